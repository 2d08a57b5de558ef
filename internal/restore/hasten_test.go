package restore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/worktest"
)

// paces are those of a store whose tiers differ.
func paces(steady bool) s3test.Options {
	return s3test.Options{Thaw: 48 * time.Hour, Thaws: map[string]time.Duration{"Standard": 12 * time.Hour}, Steady: steady, Faults: s3test.NewFaults()}
}

// unsure is what is said where nobody knows whether an archive comes faster.
const unsure = "whether all of what is on its way comes faster nobody knows"

// paidFor fails the test where others were charged for than those, by the server
// or in the catalog.
func paidFor(b *worktest.Bench, server *s3test.Server, bulk, standard int) {
	b.T.Helper()
	if got, want := server.Thaws(), map[string]int{"Bulk": bulk, "Standard": standard}; got["Bulk"] != bulk || got["Standard"] != standard {
		b.T.Errorf("the server charges for %v, want %v", got, want)
	}
	if got, want := askedByTier(b), map[firn.Tier]int64{firn.Bulk: int64(bulk), firn.Standard: int64(standard)}; !maps.Equal(got, want) {
		b.T.Errorf("the ledger has %v, want %v", got, want)
	}
}

// askedFor is how often a restore notes that it has asked.
func askedFor(b *worktest.Bench) (n int) {
	b.T.Helper()
	for rg, err := range b.Catalog.RestoreRanges(b.T.Context(), 1) {
		must(b.T, err)
		n += rg.Asked
	}
	return n
}

// A cutting store is one whose process dies at a request that something comes faster:
// before it is made, or after. What the process recorded until then is kept.
type cutting struct {
	firn.Store
	bench *worktest.Bench
	at    int // the first is 1
	late  bool
	left  string // a copy of the catalog, as the process left it
	seen  int
}

var errKilled = &firn.Error{Op: "retrieve", Kind: firn.Denied, Err: errors.New("the process was killed")}

func (c *cutting) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	if c.left != "" {
		return "", errKilled
	}
	if c.seen++; c.seen != c.at {
		return c.Store.StartRetrieval(ctx, spec)
	}
	if c.late {
		if _, err := c.Store.StartRetrieval(ctx, spec); err != nil && firn.KindOf(err) != firn.Conflict {
			return "", err
		}
	}
	c.left = filepath.Join(c.bench.T.TempDir(), "left.db")
	for _, part := range []string{"", "-wal"} {
		data, err := os.ReadFile(c.bench.Path + part)
		if err == nil {
			err = os.WriteFile(c.left+part, data, 0o600)
		}
		must(c.bench.T, err)
	}
	return "", errKilled
}

// kill has a restore begin to speed up what is on its way, and die at a request; what
// follows goes on from what it recorded.
func kill(b *worktest.Bench, o restore.Options, at int, late bool) {
	b.T.Helper()
	dying := &cutting{Store: b.Store, bench: b, at: at, late: late}
	o.Store, o.Concurrency = dying, 1
	o.Agree = func(context.Context, restore.Plan) error { return nil }
	if _, err := restore.Run(b.T.Context(), o); dying.left == "" {
		b.T.Fatalf("it was not killed: %v", err)
	}
	left, err := catalog.Open(b.T.Context(), dying.left, b.Clock)
	must(b.T, err)
	b.T.Cleanup(func() { left.Close() })
	b.Catalog = left
	b.Notices()
}

// TestFasterTierKilled: a process that is killed while it asks for what is on its way to
// come faster, before a request or between that and its record, is followed by one that
// asks for what is missing, pays for nothing twice, and records what is charged for. Of
// what the other one may have asked for it says so.
func TestFasterTierKilled(t *testing.T) {
	for at := 1; at <= 3; at++ {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d late %v", at, late), func(t *testing.T) {
				b, server, o := underWayBy(t, s3cold.DeepArchive, paces(false))
				o.Tiers = []firn.Tier{firn.Standard}
				kill(b, o, at, late)
				o.Catalog = b.Catalog
				for range 2 { // a second one asks for nothing more
					run(b, o)
					paidFor(b, server, 3, 3)
				}
				if said := strings.Contains(strings.Join(b.Notices(), "\n"), unsure); said != late {
					t.Errorf("nobody knows: %v", said)
				}
				if n := askedFor(b); n != 6 {
					t.Errorf("%d requests are noted", n)
				}
				if open, err := b.Catalog.OpenJobs(t.Context(), b.Row.ID); err != nil || len(open) != 3 || open[0].Remote.Tier != firn.Standard {
					t.Errorf("the catalog waits for %+v, %v", open, err)
				}
				b.Clock.Advance(12 * time.Hour)
				b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
				paidFor(b, server, 3, 3)
				if open, err := b.Catalog.OpenJobs(t.Context(), b.Row.ID); err != nil || len(open) != 0 {
					t.Errorf("the catalog waits for %+v, %v", open, err)
				}
				if n := charged(b)[catalog.CopyOp]; n != 3 {
					t.Errorf("%d copies are charged for", n)
				}
			})
		}
	}
}

// TestFasterTierLosesAnswers: a request that something comes faster is made again where
// its answer is lost: nothing is paid for twice, and of what may have been done before it
// is said that nobody knows, once.
func TestFasterTierLosesAnswers(t *testing.T) {
	for _, c := range []struct {
		kind  s3test.FaultKind
		times int // how often; more than a process tries means that a later one has to
	}{{s3test.LostAnswer, 1}, {s3test.Reset, 1}, {s3test.Internal, 2}, {s3test.LostAnswer, 3}, {s3test.Reset, 3}, {s3test.LostAnswer, 7}} {
		t.Run(fmt.Sprint(c.kind, " ", c.times), func(t *testing.T) {
			how := paces(false)
			b, server, o := underWayBy(t, s3cold.DeepArchive, how)
			how.Faults.Add(s3test.Fault{Op: "POST restore", Nth: 2, Times: c.times, Kind: c.kind})
			o.Tiers, o.Concurrency = []firn.Tier{firn.Standard}, 1
			_, res := planned(b, o)
			for range 3 {
				if !res.Pending() {
					t.Fatalf("%+v", res)
				}
				res = run(b, o)
			}
			paidFor(b, server, 3, 3)
			lost := c.kind == s3test.LostAnswer
			if told := strings.Count(strings.Join(b.Notices(), "\n"), unsure); (told > 0) != lost || how.Faults.Struck(0) != c.times {
				t.Errorf("it was told %d times that nobody knows; the fault struck %d times", told, how.Faults.Struck(0))
			}
			if n := askedFor(b); n != 6 {
				t.Errorf("%d requests are noted", n)
			}
			b.Clock.Advance(12 * time.Hour)
			b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
			paidFor(b, server, 3, 3)
			if open, err := b.Catalog.OpenJobs(t.Context(), b.Row.ID); err != nil || len(open) != 0 {
				t.Errorf("the catalog waits for %+v, %v", open, err)
			}
		})
	}
}

// TestSteadyServerKilled: a server that speeds nothing up says of what an earlier process
// asked for the same as one that did it: it is told that nobody knows, and it is counted,
// for what may have been paid for is not to go unseen. What is sure to be refused isn't.
func TestSteadyServerKilled(t *testing.T) {
	b, server, o := underWayBy(t, s3cold.DeepArchive, paces(true))
	o.Tiers, o.Concurrency = []firn.Tier{firn.Standard}, 1
	kill(b, o, 1, true)
	o.Catalog = b.Catalog
	run(b, o)
	said := strings.Join(b.Notices(), "\n")
	if got := askedByTier(b); !strings.Contains(said, unsure) || got[firn.Standard] != 1 || got[firn.Bulk] != 2 && got[firn.Bulk] != 3 || server.Thaws()["Standard"] != 0 {
		t.Errorf("%v, %v; %s", got, server.Thaws(), said)
	}
	b.Clock.Advance(47 * time.Hour)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
	if open, err := b.Catalog.OpenJobs(t.Context(), b.Row.ID); err != nil || len(open) != 0 {
		t.Errorf("the catalog waits for %+v, %v", open, err)
	}
}

// TestNobodyAsksAgain: what a killed process may have asked to come faster, and nobody
// after it, counts as asked for once it is there, and is no copy of its own.
func TestNobodyAsksAgain(t *testing.T) {
	for _, late := range []bool{false, true} {
		b, _, o := underWayBy(t, s3cold.DeepArchive, paces(false))
		slow := o.Tiers
		o.Tiers = []firn.Tier{firn.Standard}
		kill(b, o, 1, late)
		o.Catalog, o.Tiers, o.Agree = b.Catalog, slow, nil
		run(b, o)
		b.Clock.Advance(47 * time.Hour)
		b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
		b.Clock.Advance(time.Hour)
		run(b, o)
		if got, copies := askedByTier(b), charged(b)[catalog.CopyOp]; got[firn.Bulk] != 3 || got[firn.Standard] != 1 || copies != 3 {
			t.Errorf("late %v: %v, %d copies", late, got, copies)
		}
	}
}

// TestAnotherTierAfterAKill: what a killed process may have asked to come by one tier is
// asked for by another. By a slower one the store says whether it comes faster already; a
// faster one it takes in any case, and the other counts as asked for. Of what nobody knows
// it is said so.
func TestAnotherTierAfterAKill(t *testing.T) {
	for _, c := range []struct {
		lost, then firn.Tier
		late, told bool
		asked      map[firn.Tier]int64
	}{
		{firn.Expedited, firn.Standard, false, false, map[firn.Tier]int64{firn.Bulk: 3, firn.Standard: 3}},
		{firn.Expedited, firn.Standard, true, true, map[firn.Tier]int64{firn.Bulk: 3, firn.Standard: 2, firn.Expedited: 1}},
		{firn.Standard, firn.Expedited, false, true, map[firn.Tier]int64{firn.Bulk: 3, firn.Standard: 1, firn.Expedited: 3}},
		{firn.Standard, firn.Expedited, true, true, map[firn.Tier]int64{firn.Bulk: 3, firn.Standard: 1, firn.Expedited: 3}},
	} {
		t.Run(fmt.Sprint(c.lost, " ", c.then, " late ", c.late), func(t *testing.T) {
			how := s3test.Options{Thaw: 12 * time.Hour, Thaws: map[string]time.Duration{"Standard": 5 * time.Hour, "Expedited": 5 * time.Minute}}
			b, _, o := underWayBy(t, s3cold.Glacier, how)
			o.Tiers = []firn.Tier{c.lost}
			kill(b, o, 1, c.late)
			o.Catalog, o.Tiers, o.Concurrency = b.Catalog, []firn.Tier{c.then}, 1
			run(b, o)
			if got := askedByTier(b); !maps.Equal(got, c.asked) {
				t.Errorf("the ledger has %v, want %v", got, c.asked)
			}
			if said := strings.Contains(strings.Join(b.Notices(), "\n"), "it counts as asked for"); said != c.told {
				t.Errorf("nobody knows: %v", said)
			}
			b.Clock.Advance(5 * time.Hour)
			b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
			if open, err := b.Catalog.OpenJobs(t.Context(), b.Row.ID); err != nil || len(open) != 0 {
				t.Errorf("the catalog waits for %+v, %v", open, err)
			}
		})
	}
}
