package guard_test

import (
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/storetest"
)

// TestSilentStore: a decorated store that tells nothing says so, and is asked
// once only.
func TestSilentStore(t *testing.T) {
	silent := struct{ firn.Store }{storetest.NewMemory(storetest.MemoryOptions{})}
	counter := guard.NewCounter()
	s := guard.Retry(guard.Limit(guard.Count(silent, counter), guard.LimitOptions{}), guard.RetryOptions{})
	n := s.(firn.Notifier)
	_, err := n.Notifications(t.Context())
	for op, err := range map[guard.Op]error{
		guard.OpNotifications:       err,
		guard.OpSetNotifications:    n.SetNotifications(t.Context(), firn.Notifications{Topic: "arn:aws:sns:x", Events: []string{firn.ArchiveRetrieved}}),
		guard.OpRemoveNotifications: n.RemoveNotifications(t.Context()),
	} {
		if firn.KindOf(err) != firn.Invalid {
			t.Errorf("%s: %v", op, err)
		}
		if got := counter.Of(op); got != (guard.Tally{Calls: 1, Failed: 1}) {
			t.Errorf("%s: %+v", op, got)
		}
	}
}
