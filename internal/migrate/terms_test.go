package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/storetest"
)

// TestWhatGrowsIsAskedAgain: what was agreed to bounds a migration. Somebody is asked
// where more than a tenth came since, by whatever steps, and asked no more about what
// was agreed to then; refused, nothing is asked for.
func TestWhatGrowsIsAskedAgain(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour})
	next := 0
	grow := func(n int) {
		for range n {
			r.Write(fmt.Sprintf("%03d", next), fmt.Sprintf("content %03d", next))
			next++
		}
		r.Sync()
	}
	refuse := errors.New("too dear")
	var asked, told []migrate.Outlook
	var answer error
	little := false
	o := r.options()
	o.MaxFiles = 1
	o.Agree = func(_ context.Context, p migrate.Outlook) error { told = append(told, p); return nil }
	o.AgreeMore = func(_ context.Context, p migrate.Outlook) (bool, error) {
		if little {
			return false, nil
		}
		asked = append(asked, p)
		return true, answer
	}
	run := func(want error, times int) {
		t.Helper()
		if _, err := migrate.Run(t.Context(), o); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		if len(asked) != times || len(told) != 1 {
			t.Fatalf("asked %d times, want %d; told %d", len(asked), times, len(told))
		}
	}
	grow(20)
	run(nil, 0)
	grow(2)
	run(nil, 0) // a tenth
	little = true
	grow(1)
	run(nil, 0) // more, and too little to ask about
	little, answer = false, refuse
	run(refuse, 1)
	if got := asked[0].Grown; got != (firn.Count{Files: 3, Bytes: 3 * 11}) {
		t.Errorf("grown by %+v", got)
	}
	jobs := func() int { all, err := storetest.Collect(r.Memory.Jobs(t.Context())); r.must(err); return len(all) }
	before := jobs()
	run(refuse, 2)
	if n := jobs(); n != before {
		t.Errorf("refused, and %d were asked for", n-before)
	}
	answer = nil
	run(nil, 3)
	run(nil, 3)
	grow(2)
	run(nil, 3)
	grow(1)
	run(nil, 4)
	o.MaxFiles = 0
	if res, err := r.over(o); err != nil || !res.Done {
		t.Errorf("%+v, %v", res, err)
	}
}
