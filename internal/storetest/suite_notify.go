package storetest

import (
	"context"
	"errors"
	"slices"

	"github.com/firn-archive/firn"
)

// notifications are what a store tells to whom, where it can tell anything.
func (t *suiteTest) notifications() {
	s, ok := t.Store.(firn.Notifier)
	if !ok {
		t.Skip("it is no firn.Notifier")
	}
	n, err := s.Notifications(t.ctx)
	if firn.KindOf(err) == firn.Invalid {
		t.Skip("it tells nothing: ", err)
	}
	t.must(err)
	if n.Topic != "" || len(n.Events) > 0 {
		t.Errorf("a new store tells %+v", n)
	}
	t.must(s.RemoveNotifications(t.ctx)) // there are none
	const topic = "arn:aws:sns:us-east-1:000000000000:topic"
	for _, want := range []firn.Notifications{
		{Topic: topic, Events: []string{firn.ArchiveRetrieved}},
		{Topic: topic + "-2", Events: []string{firn.ArchiveRetrieved, firn.InventoryRetrieved}},
		{Topic: topic, Events: []string{firn.InventoryRetrieved}},
	} {
		t.must(s.SetNotifications(t.ctx, want))
		t.tells(s, want)
		for name, bad := range map[string]firn.Notifications{
			"no topic":         {Events: want.Events},
			"no ARN":           {Topic: "topic", Events: want.Events},
			"no events":        {Topic: topic},
			"an unknown event": {Topic: topic, Events: []string{"ArchiveDeleted"}},
		} {
			t.wants(name, s.SetNotifications(t.ctx, bad), firn.Invalid)
		}
		t.tells(s, want)
	}
	t.must(s.RemoveNotifications(t.ctx))
	t.tells(s, firn.Notifications{})
	t.notificationsOfNobody(s)
}

// tells checks what a store tells to whom.
func (t *suiteTest) tells(s firn.Notifier, want firn.Notifications) {
	t.Helper()
	got, err := s.Notifications(t.ctx)
	t.must(err)
	slices.Sort(got.Events)
	if got.Topic != want.Topic || !slices.Equal(got.Events, want.Events) {
		t.Errorf("it tells %+v, want %+v", got, want)
	}
}

// notificationsOfNobody: a store that isn't there tells nothing, and nor does one
// that nobody waits for.
func (t *suiteTest) notificationsOfNobody(s firn.Notifier) {
	set := firn.Notifications{Topic: "arn:aws:sns:us-east-1:000000000000:topic", Events: []string{firn.ArchiveRetrieved}}
	missing := t.Missing.(firn.Notifier)
	_, err := missing.Notifications(t.ctx)
	t.wants("Notifications of a missing store", err, firn.NotFound)
	t.wants("SetNotifications of a missing store", missing.SetNotifications(t.ctx, set), firn.NotFound)
	t.wants("RemoveNotifications of a missing store", missing.RemoveNotifications(t.ctx), firn.NotFound)
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.ctx)
	cancel(because)
	_, err = s.Notifications(ctx)
	for _, err := range []error{err, s.SetNotifications(ctx, set), s.RemoveNotifications(ctx)} {
		if !errors.Is(err, because) {
			t.Errorf("%v, want the context's cause", err)
		}
	}
	t.tells(s, firn.Notifications{})
}
