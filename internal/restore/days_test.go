package restore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// jobsOf lists the retrievals that the store was asked for.
func jobsOf(b *worktest.Bench) []firn.Job {
	b.T.Helper()
	jobs, err := storetest.Collect(b.Memory.Jobs(b.T.Context()))
	must(b.T, err)
	return jobs
}

// planned runs a restore and gives the plan that was to be agreed to.
func planned(b *worktest.Bench, o restore.Options) (p restore.Plan, res restore.Result) {
	b.T.Helper()
	o.Agree = func(_ context.Context, told restore.Plan) error { p = told; return nil }
	return p, run(b, o)
}

// TestPlan says what a restore takes, before anything is asked for, and does
// nothing unless that is agreed to.
func TestPlan(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("a", "one")
	b.Write("dir/b", "three")
	b.Write("dir/twin", "three")
	b.Write("empty", "")
	b.Write("other", "in the way")
	b.Sync()
	to := filepath.Join(t.TempDir(), "out")
	refused := errors.New("no")
	o := options(b, to)
	o.Agree = func(context.Context, restore.Plan) error { return refused }
	if _, err := restore.Run(t.Context(), o); !errors.Is(err, refused) {
		t.Fatalf("refused: %v", err)
	}
	if _, err := os.Stat(to); !os.IsNotExist(err) || retrievals(b) != 0 {
		t.Errorf("refused, and there is %v, %d jobs", err, retrievals(b))
	}
	if left, err := b.Catalog.Restores(t.Context(), 0, true); err != nil || len(left) != 0 {
		t.Errorf("refused, and the catalog has %v, %v", left, err)
	}
	must(t, os.MkdirAll(to, 0o755))
	must(t, os.WriteFile(filepath.Join(to, "a"), []byte("one"), 0o644))
	must(t, os.WriteFile(filepath.Join(to, "other"), []byte("mine"), 0o644))
	p, res := planned(b, options(b, to))
	if p.Files != 3 || p.Bytes != 10 || p.Equal.Files != 1 || p.Skipped.Files != 1 || p.Archives != 1 || p.Requests != 1 || p.RetrieveBytes != 5 || p.DownloadBytes != 5 || p.Waves != 1 {
		t.Errorf("%+v", p)
	}
	if least := p.Earliest.Sub(b.Clock.Now()); least.Round(time.Second) != 5*time.Hour || p.Latest.Sub(p.Earliest) < 6*time.Hour {
		t.Errorf("from %v to %v", p.Earliest, p.Latest)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Equal: 1, firn.Failed: 1, firn.Pending: 2, firn.Restored: 1})
	o = options(b, to)
	o.Agree = func(context.Context, restore.Plan) error { t.Error("a restore that goes on asks again"); return nil }
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Pending: 2})
	b.Clock.Advance(6 * time.Hour)
	res = run(b, options(b, to))
	b.Counts(res.Counts, map[firn.Action]int64{firn.Restored: 2, firn.Failed: 1})
	if !res.Done || retrievals(b) != 1 {
		t.Errorf("%+v, %d jobs", res, retrievals(b))
	}
}

// TestDryRunTellsThePlan and leaves nothing behind.
func TestDryRunTellsThePlan(t *testing.T) {
	for _, store := range []storetest.MemoryOptions{{}, slow} {
		b := worktest.New(t, store)
		b.Write("a", "one")
		b.Write("b", "three")
		b.Sync()
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.DryRun = true
		p, res := planned(b, o)
		if p.Requests != 2 || p.RetrieveBytes != 8 || p.Files != 2 {
			t.Errorf("%+v", p)
		}
		b.Counts(res.Counts, map[firn.Action]int64{firn.Restored: 2})
		left, err := b.Catalog.Restores(t.Context(), 0, false)
		if _, gone := os.Stat(o.To); !os.IsNotExist(gone) || retrievals(b) != 0 || err != nil || len(left) != 0 {
			t.Errorf("there is %v, %d jobs, %v %v", gone, retrievals(b), left, err)
		}
	}
}

// TestOneMemberTakesOneRange of a bundle, and what lies near it costs no second
// request.
func TestOneMemberTakesOneRange(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		b := worktest.New(t, slow)
		b.Bundle(1<<20, 64<<20)
		for i := range 40 {
			b.Write(fmt.Sprintf("f%02d", i), strings.Repeat(string(rune('a'+i%26)), 900<<10))
		}
		var ids func(context.Context) (seal.Identities, error)
		if sealed {
			ids = identities(b)
		}
		b.Sync()
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Identities = ids
		o.Paths = []string{"f20", "f38"}
		p, _ := planned(b, o)
		if p.Requests != 2 || p.RetrieveBytes > 6<<20 || p.DownloadBytes != p.RetrieveBytes {
			t.Errorf("sealed %t: %+v", sealed, p)
		}
		for _, j := range jobsOf(b) {
			if j.Range.Len() == 0 || j.Range.Len() > 3<<20 {
				t.Errorf("asked for %+v", j.Range)
			}
		}
		b.Clock.Advance(6 * time.Hour)
		b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2})
		if n := retrievals(b); n != 2 {
			t.Errorf("%d jobs", n)
		}
		o.Paths, o.Gap, o.To = []string{"f01", "f05"}, 4<<20, filepath.Join(t.TempDir(), "near")
		if p, _ := planned(b, o); p.Requests != 1 || p.DownloadBytes >= p.RetrieveBytes && !sealed {
			t.Errorf("near each other: %+v", p)
		}
	}
}

// identities seals the bench, and gives what opens it.
func identities(b *worktest.Bench) func(context.Context) (seal.Identities, error) {
	ids := b.Seal()
	return func(context.Context) (seal.Identities, error) { return *ids, nil }
}

// TestAskedInTheOrderOfCreation, whatever the order of the paths.
func TestAskedInTheOrderOfCreation(t *testing.T) {
	b := worktest.New(t, slow)
	for _, name := range []string{"c", "a", "b"} {
		b.Write(name, "content of "+name)
		b.Sync()
		b.Clock.Advance(time.Hour)
	}
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Concurrency = 1
	run(b, o)
	var order []time.Time
	for _, j := range jobsOf(b) {
		for _, a := range b.Memory.Archives() {
			if a.ID == j.Archive {
				order = append(order, a.Created)
			}
		}
	}
	if len(order) != 3 || !order[0].Before(order[1]) || !order[1].Before(order[2]) {
		t.Errorf("archives made at %v", order)
	}
}

// TestRetrieveRate: no more is asked for in an hour than the rate, and nothing is
// waited for longer than it takes.
func TestRetrieveRate(t *testing.T) {
	b := worktest.New(t, slow)
	for i := range 6 {
		b.Write(fmt.Sprint("f", i), strings.Repeat(fmt.Sprint(i), 1000))
	}
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.RetrieveRate, o.Wait = 2500, true
	start := b.Clock.Now()
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 6})
	var asked []time.Time
	for _, j := range jobsOf(b) {
		asked = append(asked, j.Created)
	}
	for i, at := range asked {
		if i >= 2 && at.Sub(asked[i-2]) < time.Hour {
			t.Errorf("asked at %v", asked)
		}
	}
	if took := b.Clock.Now().Sub(start); len(asked) != 6 || took > 9*time.Hour {
		t.Errorf("%d jobs, after %v", len(asked), took)
	}
}

// TestWaves: what can't be downloaded in time isn't asked for yet.
func TestWaves(t *testing.T) {
	b := worktest.New(t, slow)
	for i := range 4 {
		b.Write(fmt.Sprint("f", i), strings.Repeat(fmt.Sprint(i), 3<<20))
	}
	b.Sync()
	must(t, b.Catalog.SetDownloadRate(t.Context(), b.Row.ID, 100)) // 6.2 MiB a wave
	o := options(b, filepath.Join(t.TempDir(), "out"))
	p, _ := planned(b, o)
	if n := retrievals(b); n != 3 || p.Waves != 2 || p.Latest.Sub(b.Clock.Now()) < 24*time.Hour {
		t.Errorf("%d jobs at once, %+v", n, p)
	}
	b.Clock.Advance(6 * time.Hour)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3, firn.Pending: 1})
	if n := retrievals(b); n != 4 {
		t.Errorf("%d jobs", n)
	}
	b.Clock.Advance(6 * time.Hour)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
}

// TestNoCapacity: the next tier is asked for where there is one, else all waits.
func TestNoCapacity(t *testing.T) {
	for _, tiers := range [][]firn.Tier{{firn.Expedited, firn.Standard}, {firn.Expedited}} {
		b := worktest.New(t, slow, storetest.Fault{Op: "StartRetrieval", Nth: 2, Kind: firn.Capacity})
		for _, name := range []string{"a", "b", "c"} {
			b.Write(name, "content of "+name)
		}
		b.Sync()
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Tiers, o.Concurrency = tiers, 1
		b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Pending: 3})
		byTier := map[firn.Tier]int{}
		for _, j := range jobsOf(b) {
			byTier[j.Tier]++
		}
		// One more may be on its way when the store refuses.
		if n := byTier[firn.Standard]; byTier[firn.Expedited] > 2 || len(tiers) > 1 && n < 1 || len(tiers) == 1 && n > 0 {
			t.Errorf("%v: asked %v", tiers, byTier)
		}
		if said := strings.Join(b.Notices(), "\n"); !strings.Contains(said, "asking by the tier standard instead") && !strings.Contains(said, "nothing more is asked for now") {
			t.Errorf("said %q", said)
		}
		b.Clock.Advance(6 * time.Hour)
		run(b, o)
		b.Clock.Advance(6 * time.Hour)
		run(b, o)
		if names, err := os.ReadDir(o.To); err != nil || len(names) != 3 {
			t.Errorf("%v: came %v, %v", tiers, names, err)
		}
	}
}

// TestRefusals stop only what they are about.
func TestRefusals(t *testing.T) {
	b := worktest.New(t, slow, storetest.Fault{Op: "StartRetrieval", Nth: 2, Kind: firn.NotFound})
	for _, name := range []string{"a", "b", "c"} {
		b.Write(name, "content of "+name)
	}
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Concurrency = 1
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Pending: 2, firn.Failed: 1})
	b.Clock.Advance(6 * time.Hour)
	res := run(b, o)
	b.Counts(res.Counts, map[firn.Action]int64{firn.Restored: 2, firn.Failed: 1})
	if !res.Done {
		t.Errorf("%+v", res)
	}
	ended, err := b.Catalog.RestoreByID(t.Context(), res.ID)
	if err != nil || ended.State != catalog.RestoreDone {
		t.Errorf("%+v, %v", ended, err)
	}
}

// TestLimits: a restore brings so much in walk order, and the next one goes on
// behind it.
func TestLimits(t *testing.T) {
	for _, store := range []storetest.MemoryOptions{{}, slow} {
		b := worktest.New(t, store)
		for i := range 5 {
			b.Write(fmt.Sprint("f", i), strings.Repeat(fmt.Sprint(i), 100))
		}
		b.Sync()
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.MaxFiles, o.Wait = 2, true
		b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2, firn.Left: 3})
		o.MaxFiles, o.MaxBytes = 0, 250
		b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Equal: 2, firn.Restored: 2, firn.Left: 1})
		o.MaxBytes = 0
		b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Equal: 4, firn.Restored: 1})
	}
}

// TestPinned: a restore that goes on brings what was current when it began.
func TestPinned(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("f", "old")
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	run(b, o)
	b.Write("f", "newer")
	b.Clock.Advance(6 * time.Hour)
	b.Sync()
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
	if got, err := os.ReadFile(filepath.Join(o.To, "f")); string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestLargeFilesComeInParts: what can't be downloaded while it can be read is
// asked for in ranges, which are put together over as many calls as it takes; an
// earlier part that was spoilt on the disk is fetched again.
func TestLargeFilesComeInParts(t *testing.T) {
	for _, spoilt := range []bool{false, true} {
		b := worktest.New(t, slow)
		content := strings.Repeat("0123456789abcdef", 5<<16) + "the end" // 5 MiB
		b.Write("large", content)
		b.Sync()
		must(t, b.Catalog.SetDownloadRate(t.Context(), b.Row.ID, 30)) // 1.9 MiB a wave
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.MaxRange = 1 << 20
		p, _ := planned(b, o)
		if p.Requests != 6 || p.RetrieveBytes != int64(len(content)) {
			t.Fatalf("%+v", p)
		}
		for round := 0; ; round++ {
			b.Clock.Advance(6 * time.Hour)
			res := run(b, o)
			if res.Done {
				break
			}
			if !res.Pending() || res.Failed() || round > 20 {
				t.Fatalf("round %d: %+v", round, res)
			}
			if round == 1 && spoilt {
				spoil(t, o.To)
			}
		}
		if got, err := os.ReadFile(filepath.Join(o.To, "large")); err != nil || string(got) != content {
			t.Errorf("%d bytes came, %v", len(got), err)
		}
		// What was spoilt could still be read.
		if n := len(b.Files(firn.Restored)); n != 1 || asked(b) != 6 {
			t.Errorf("spoilt %t: restored %d times, asked for %d times", spoilt, n, asked(b))
		}
	}
}

// asked counts what was asked for ever, of which the store has forgotten some.
func asked(b *worktest.Bench) (n int) {
	b.T.Helper()
	asks, err := b.Catalog.AskedSince(b.T.Context(), b.Row.ID, time.Time{})
	must(b.T, err)
	return len(asks)
}

// spoil changes a byte of a temporary file.
func spoil(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, ".firn-*.part"))
	must(t, err)
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Size() > 1<<20 {
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteAt([]byte("!"), 100)
			must(t, errors.Join(err, f.Close()))
			return
		}
	}
	t.Fatal("there is no temporary file")
}
