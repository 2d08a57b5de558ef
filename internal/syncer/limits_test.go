package syncer_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

func limited(b *worktest.Bench, l syncer.Limits) syncer.Result {
	b.T.Helper()
	o := b.Options()
	o.Budget = syncer.NewBudget(l)
	return run(b, o)
}

// TestMaxFiles: only what is sent counts, not what is unchanged, stored already
// or without content; what is left is sent by the next runs.
func TestMaxFiles(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for i := range 5 {
		b.Write(fmt.Sprintf("a%d", i), fmt.Sprintf("old %d", i))
	}
	b.Sync()
	b.Write("a0-copy", "old 0")
	b.Write("empty", "")
	for i := range 5 {
		b.Write(fmt.Sprintf("b%d", i), fmt.Sprintf("new %d", i))
	}
	res := limited(b, syncer.Limits{Files: 2})
	b.Counts(res.Counts, map[firn.Action]int64{firn.Unchanged: 5, firn.Recorded: 2, firn.Sent: 2, firn.Left: 3})
	if !res.Pending() || res.Failed() {
		t.Errorf("result %+v", res)
	}
	b.Counts(limited(b, syncer.Limits{Files: 2}).Counts, map[firn.Action]int64{firn.Unchanged: 9, firn.Sent: 2, firn.Left: 1})
	res = limited(b, syncer.Limits{Files: 2})
	b.Counts(res.Counts, map[firn.Action]int64{firn.Unchanged: 11, firn.Sent: 1})
	if res.Pending() {
		t.Error("nothing is left, and the run says it is")
	}
}

// TestMaxBytes: what doesn't fit is left, and what does goes on; a file over the
// limit is named as such.
func TestMaxBytes(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "1234567")
	b.Write("b", "12345678901234567890")
	b.Write("c", "123")
	b.Write("d", "1")
	var why []string
	o := b.Options()
	o.Budget, o.Concurrency = syncer.NewBudget(syncer.Limits{Bytes: 10}), 1
	o.Events = func(e firn.Event) {
		if f, ok := e.(firn.FileEvent); ok && f.Action == firn.Left {
			why = append(why, f.Path+": "+f.Reason)
		}
	}
	res := run(b, o)
	if c := res.Counts[firn.Sent]; c.Files != 2 || c.Bytes != 10 {
		t.Errorf("sent %+v", c)
	}
	if len(why) != 2 || why[0] != "b: it is larger than --max-bytes" || why[1] != "d: --max-bytes is reached" {
		t.Errorf("left: %q", why)
	}
	b.Counts(limited(b, syncer.Limits{Bytes: 10}).Counts, map[firn.Action]int64{firn.Unchanged: 2, firn.Sent: 1, firn.Left: 1})
}

// TestLimitRemovesNothing: what is left is not taken for gone, and what is gone
// is still marked.
func TestLimitRemovesNothing(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"a", "b", "c"} {
		b.Write(p, "content of "+p)
	}
	b.Sync()
	b.Write("a", "other content of a")
	b.Write("b", "other content of b")
	remove(t, b, "c")
	b.Counts(limited(b, syncer.Limits{Files: 1}).Counts, map[firn.Action]int64{firn.Sent: 1, firn.Left: 1, firn.Removed: 1})
	if got := current(b); len(got) != 3 {
		t.Errorf("current %q", got)
	}
}

// TestLimitAndLostAnswers: a file that is sent once more after a lost answer is
// one file, and one that was begun by an earlier run counts.
func TestLimitAndLostAnswers(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost},
		storetest.Fault{Op: "UploadPart", Nth: 2, Kind: firn.Denied})
	b.Write("a", "a")
	b.Write("b", "b")
	b.Counts(limited(b, syncer.Limits{Files: 1}).Counts, map[firn.Action]int64{firn.Sent: 1, firn.Left: 1})
	b.WriteLarge("c", "L")
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Denied {
		t.Fatal(err)
	}
	b.Sync()
	for p, n := range b.Stored() {
		if n != 1 {
			t.Errorf("%s is stored %d times", p, n)
		}
	}
}

// TestLimitKeepsAnUploadForTheNextRun: what an earlier run began, and this one
// has no room for, is gone on with, not aborted.
func TestLimitKeepsAnUploadForTheNextRun(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadPart", Nth: 3, Kind: firn.Denied})
	b.WriteLarge("large", "L")
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Denied {
		t.Fatal(err)
	}
	before, err := b.Catalog.OpenIntents(t.Context(), b.Row.ID)
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	b.Counts(limited(b, syncer.Limits{Bytes: 1 << 20}).Counts, map[firn.Action]int64{firn.Left: 1})
	after, err := b.Catalog.OpenIntents(t.Context(), b.Row.ID)
	if err != nil || len(after) != 1 || after[0].Upload != before[0].Upload {
		t.Fatalf("open after the limited run: %+v, %v", after, err)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1})
}

// TestDryRunShowsLimits: as a run would go.
func TestDryRunShowsLimits(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"a", "b", "c"} {
		b.Write(p, p)
	}
	o := b.Options()
	o.DryRun, o.Budget = true, syncer.NewBudget(syncer.Limits{Files: 2})
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Sent: 2, firn.Left: 1})
}

// TestLimitsInBundles: a bundle takes no more files than the limits allow, and
// content that needs no place of its own doesn't count.
func TestLimitsInBundles(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1<<20, 4<<20)
	for i := range 10 {
		b.Write(fmt.Sprintf("f%d", i), fmt.Sprint("content ", i/2)) // each twice
	}
	b.Write("empty", "")
	res := limited(b, syncer.Limits{Files: 3})
	b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 6, firn.Recorded: 1, firn.Left: 4})
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 4, firn.Unchanged: 7})
}

// TestTreesShareABudget: the limits are those of all runs that have it.
func TestTreesShareABudget(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"a", "b", "c"} {
		b.Write(p, p)
	}
	o := b.Options()
	o.Budget = syncer.NewBudget(syncer.Limits{Files: 4})
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Sent: 3})
	other := b.Options()
	other.Root, other.Tree, other.Budget = t.TempDir(), "other", o.Budget
	for _, p := range []string{"x", "y"} {
		if err := os.WriteFile(filepath.Join(other.Root, p), []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.Counts(run(b, other).Counts, map[firn.Action]int64{firn.Sent: 1, firn.Left: 1})
}

// costing gives a limit on money of so many requests in us-east-1.
func costing(requests int64) syncer.Limits {
	p := price.Vault("us-east-1")
	return syncer.Limits{Cost: p.Cost(price.Upload, requests).Amount, Prices: p}
}

// TestMaxCost: never more requests than the money is for, whatever they bring,
// and run by run all is stored.
func TestMaxCost(t *testing.T) {
	for name, c := range map[string]struct {
		below, size int64
		most        int64 // requests
		runs        int
	}{
		"one by one":              {0, 0, 3, 3},
		"bundles":                 {100, 4096, 1, 4}, // 8 members without content, or 4 with
		"bundles, several a run":  {100, 4096, 2, 2},
		"bundles, all in one run": {1 << 20, 64 << 20, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			if c.below > 0 {
				b.Bundle(c.below, c.size)
			}
			for i := range 9 {
				b.Write(fmt.Sprintf("f%d", i), fmt.Sprint("content ", i))
			}
			if c.below > 0 {
				for i := range 12 {
					b.Write(fmt.Sprintf("empty%02d", i), "")
				}
			}
			store := &counted{Store: b.Store}
			b.Store = store
			runs := 0
			for pending := true; pending; {
				store.n.Store(0)
				o := b.Options()
				o.DryRun, o.Budget = true, syncer.NewBudget(costing(c.most))
				foreseen := run(b, o).Counts
				res := limited(b, costing(c.most))
				if n := store.n.Load(); n > c.most {
					t.Fatalf("%d requests, and the money is for %d", n, c.most)
				}
				if foreseen[firn.Left] != res.Counts[firn.Left] || foreseen[firn.Sent] != res.Counts[firn.Sent] {
					t.Errorf("run %d did %+v, and the dry run said %+v", runs, res.Counts, foreseen)
				}
				if pending = res.Pending(); pending && res.Counts[firn.Left].Files == 0 {
					t.Fatalf("%+v", res)
				}
				if runs++; runs > 20 {
					t.Fatal("it never gets done")
				}
			}
			if runs != c.runs {
				t.Errorf("%d runs, want %d", runs, c.runs)
			}
			everyCurrentFileIsStored(b)
		})
	}
}

// TestMaxCostOfParts: a file that takes more than the money is for is named as
// such, and what fits goes on.
func TestMaxCostOfParts(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.WriteLarge("large", "L") // 5 parts of 16 MiB, and 2 requests
	b.Write("small", "s")
	why := ""
	o := b.Options()
	o.Budget = syncer.NewBudget(costing(6))
	o.Events = func(e firn.Event) {
		if f, ok := e.(firn.FileEvent); ok && f.Action == firn.Left {
			why = f.Path + ": " + f.Reason
		}
	}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Sent: 1, firn.Left: 1})
	if why != "large: it costs more than --max-cost" {
		t.Errorf("left: %s", why)
	}
	b.Counts(limited(b, costing(7)).Counts, map[firn.Action]int64{firn.Unchanged: 1, firn.Sent: 1})
}

// TestMaxCostOfTheRest: of an upload that was begun only what is left is paid
// for.
func TestMaxCostOfTheRest(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadPart", Nth: 4, Kind: firn.Denied})
		if sealed {
			b.Seal()
		}
		b.WriteLarge("large", "L")
		o := b.Options()
		o.Concurrency = 1
		if _, err := syncer.Run(t.Context(), o); firn.KindOf(err) != firn.Denied {
			t.Fatal(err)
		}
		intents, err := b.Catalog.OpenIntents(t.Context(), b.Row.ID)
		if err != nil || len(intents) != 1 || len(intents[0].Parts) == 0 {
			t.Fatal(intents, err)
		}
		rest := int64(5-len(intents[0].Parts)) + 1
		b.Counts(limited(b, costing(rest-1)).Counts, map[firn.Action]int64{firn.Left: 1})
		b.Counts(limited(b, costing(rest)).Counts, map[firn.Action]int64{firn.Sent: 1})
	}
}

// TestMaxCostNeedsPrices: where they are not known the limit is refused, and
// nothing slips through.
func TestMaxCostNeedsPrices(t *testing.T) {
	for name, p := range map[string]price.Tariff{"no prices": {}, "those of another region": price.Vault("eu-west-1")} {
		if err := (syncer.Limits{Cost: price.Dollar, Prices: p}).Check(); firn.KindOf(err) != firn.Usage {
			t.Errorf("%s: %v", name, err)
		}
		if err := (syncer.Limits{Files: 1, Prices: p}).Check(); err != nil {
			t.Errorf("%s, which don't matter: %v", name, err)
		}
	}
	if err := (syncer.Limits{Cost: price.Dollar, Prices: price.Vault("us-east-1")}).Check(); err != nil {
		t.Error(err)
	}
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "a")
	b.Counts(limited(b, syncer.Limits{Cost: price.Dollar}).Counts, map[firn.Action]int64{firn.Left: 1})
	free := syncer.Limits{Cost: 1, Prices: price.Local()}
	if err := free.Check(); err != nil {
		t.Error(err)
	}
	b.Counts(limited(b, free).Counts, map[firn.Action]int64{firn.Sent: 1})
}

// TestAskAbove: the question comes once, before the request that would be too
// much; after a no nothing more is begun, and after a yes all is sent.
func TestAskAbove(t *testing.T) {
	no := errors.New("no")
	for name, c := range map[string]struct {
		below  int64
		answer error
		sent   int64
	}{"a no, one by one": {0, no, 3}, "a yes, one by one": {0, nil, 9}, "a no, in bundles": {100, no, 0}, "a yes, in bundles": {100, nil, 0}} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			if c.below > 0 {
				b.Bundle(c.below, 4096)
			}
			for i := range 9 {
				b.Write(fmt.Sprintf("f%d", i), fmt.Sprint("content ", i))
			}
			store := &counted{Store: b.Store}
			b.Store = store
			asked, atMost := 0, int64(3)
			if c.below > 0 {
				atMost = 1
			}
			p := price.Vault("us-east-1")
			budget := syncer.NewBudget(syncer.Limits{Prices: p, AskAbove: p.Cost(price.Upload, atMost).Amount, Ask: func(string) error {
				if asked++; store.n.Load() > atMost {
					t.Errorf("asked after %d requests", store.n.Load())
				}
				return c.answer
			}})
			o := b.Options()
			o.Budget = budget
			res := run(b, o)
			if asked != 1 || !errors.Is(budget.Refused(), c.answer) {
				t.Errorf("asked %d times, refused %v", asked, budget.Refused())
			}
			if n := store.n.Load(); c.answer != nil && n > atMost {
				t.Errorf("%d requests after a no", n)
			}
			if c.sent > 0 && res.Counts[firn.Sent].Files != c.sent {
				t.Errorf("%+v", res.Counts)
			}
			if pending := res.Pending(); pending != (c.answer != nil) {
				t.Errorf("pending %t: %+v", pending, res.Counts)
			}
			if c.answer == nil {
				everyCurrentFileIsStored(b)
			}
		})
	}
}

// TestNameOfALimit: who reads why a file is left learns which limit it was.
func TestNameOfALimit(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "a")
	l := costing(0)
	l.Cost, l.CostOf = 1, "--monthly-budget"
	o, why := b.Options(), ""
	o.Budget = syncer.NewBudget(l)
	o.Events = func(e firn.Event) {
		if f, ok := e.(firn.FileEvent); ok && f.Action == firn.Left {
			why = f.Reason
		}
	}
	run(b, o)
	if why != "it costs more than --monthly-budget" {
		t.Errorf("left: %q", why)
	}
}
