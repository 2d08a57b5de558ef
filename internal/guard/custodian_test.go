package guard_test

import (
	"errors"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/storetest"
)

// custody makes each call of a Custodian.
func custody(t *testing.T, c firn.Custodian) (reads, changes map[guard.Op]error) {
	ctx := t.Context()
	_, accessErr := c.AccessPolicy(ctx)
	_, lockErr := c.Lock(ctx)
	_, policyErr := c.RetrievalPolicy(ctx)
	_, startErr := c.StartLock(ctx, `{"Statement":[]}`)
	reads = map[guard.Op]error{guard.OpAccessPolicy: accessErr, guard.OpLock: lockErr, guard.OpRetrievalPolicy: policyErr}
	changes = map[guard.Op]error{
		guard.OpSetAccessPolicy:    c.SetAccessPolicy(ctx, `{"Statement":[]}`),
		guard.OpRemoveAccessPolicy: c.RemoveAccessPolicy(ctx),
		guard.OpStartLock:          startErr,
		guard.OpCompleteLock:       c.CompleteLock(ctx, "id"),
		guard.OpAbortLock:          c.AbortLock(ctx),
		guard.OpSetRetrievalPolicy: c.SetRetrievalPolicy(ctx, firn.RetrievalPolicy{Strategy: firn.RetrieveAny}),
	}
	return reads, changes
}

// TestLawlessStore: a decorated store without rules says so, and is asked once
// only.
func TestLawlessStore(t *testing.T) {
	lawless := struct{ firn.Store }{storetest.NewMemory(storetest.MemoryOptions{})}
	counter := guard.NewCounter()
	s := guard.Retry(guard.Limit(guard.Count(lawless, counter), guard.LimitOptions{}), guard.RetryOptions{})
	reads, changes := custody(t, s.(firn.Custodian))
	for _, errs := range []map[guard.Op]error{reads, changes} {
		for op, err := range errs {
			if firn.KindOf(err) != firn.Invalid {
				t.Errorf("%s: %v", op, err)
			}
			if got := counter.Of(op); got != (guard.Tally{Calls: 1, Failed: 1}) {
				t.Errorf("%s: %+v", op, got)
			}
		}
	}
}

// TestDryRunKeepsTheRules: a dry run reads the rules and changes none.
func TestDryRunKeepsTheRules(t *testing.T) {
	counter := guard.NewCounter()
	below := struct{ firn.Store }{storetest.NewMemory(storetest.MemoryOptions{})}
	reads, changes := custody(t, guard.DryRun(guard.Count(below, counter)).(firn.Custodian))
	for op := range reads {
		if counter.Of(op).Calls != 1 {
			t.Errorf("%s did not pass", op)
		}
	}
	for op, err := range changes {
		if !errors.Is(err, guard.ErrDryRun) || counter.Of(op).Calls != 0 {
			t.Errorf("%s: %v, %d calls", op, err, counter.Of(op).Calls)
		}
	}
}
