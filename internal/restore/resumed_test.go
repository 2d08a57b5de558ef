package restore_test

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
)

// TestPartsOutOfLargerJobs: another program asked for more than a part, or for
// all of the file. What it brings is taken, wherever it begins, and asked for again
// when it is gone.
func TestPartsOutOfLargerJobs(t *testing.T) {
	content := string(storetest.Data(1, 5<<20+7))
	for name, c := range map[string]struct {
		theirs *firn.Range
		taken  int64
		gone   bool
	}{
		"two parts":           {theirs: &firn.Range{Start: 1 << 20, End: 3 << 20}, taken: 2},
		"all":                 {taken: 6},
		"two, that expired":   {theirs: &firn.Range{Start: 1 << 20, End: 3 << 20}, taken: 2, gone: true},
		"all, that expired":   {taken: 6, gone: true},
		"one part, precisely": {theirs: &firn.Range{Start: 1 << 20, End: 2 << 20}, taken: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var faults []storetest.Fault
			if c.gone {
				faults = []storetest.Fault{{Op: "Output", Kind: firn.NotFound, Times: 2}}
			}
			b := worktest.New(t, slow, faults...)
			b.Write("large", content)
			b.Sync()
			_, err := b.Memory.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: b.Memory.Archives()[0].ID, Range: c.theirs, Tier: firn.Bulk})
			must(t, err)
			o := options(b, filepath.Join(t.TempDir(), "out"))
			o.MaxRange, o.Wait = 1<<20, true
			p, res := planned(b, o)
			if p.Taken != c.taken || p.Requests != 6-c.taken || !res.Done || res.Failed() {
				t.Errorf("%+v, %+v", p, res)
			}
			if got, err := os.ReadFile(filepath.Join(o.To, "large")); err != nil || string(got) != content {
				t.Errorf("%d bytes came, %v", len(got), err)
			}
		})
	}
}

// moody is a store whose jobs fail while it is in the mood.
type moody struct {
	firn.Store
	fails bool
}

func (m *moody) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return func(yield func(firn.Job, error) bool) {
		for j, err := range m.Store.Jobs(ctx) {
			if m.fails {
				j.State, j.Message = firn.JobFailed, "it went wrong"
			}
			if !yield(j, err) {
				return
			}
		}
	}
}

// TestExpiryIsNoFailure: what expired is asked for again however often that is,
// and what fails a few times, over several processes.
func TestExpiryIsNoFailure(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("f", "1")
	b.Sync()
	store := &moody{Store: b.Store}
	b.Store = store
	to := filepath.Join(t.TempDir(), "out")
	for range 5 {
		b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Pending: 1})
		b.Clock.Advance(72 * time.Hour)
	}
	for range 2 {
		b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Pending: 1})
		store.fails = true
		b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Pending: 1})
		store.fails = false
	}
	run(b, options(b, to))
	store.fails = true
	res := run(b, options(b, to))
	b.Counts(res.Counts, map[firn.Action]int64{firn.Failed: 1})
	if said := strings.Join(failedWith(b), "\n"); !res.Done || !strings.Contains(said, "it went wrong; that was so 3 times") {
		t.Errorf("%+v: %s", res, said)
	}
}

// TestAFailureCountsOnce, though the store tells of it while other requests for the
// same go wrong in other ways.
func TestAFailureCountsOnce(t *testing.T) {
	b := worktest.New(t, slow, storetest.Fault{Op: "StartRetrieval", Nth: 2, Times: 4, Kind: firn.Lost})
	b.Write("f", "1")
	b.Sync()
	b.Store = &moody{Store: b.Store, fails: true}
	to := filepath.Join(t.TempDir(), "out")
	for range 6 {
		b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Pending: 1})
		b.Clock.Advance(11 * time.Minute)
	}
}

// failedWith gives why files failed, as the catalog has it.
func failedWith(b *worktest.Bench) (why []string) {
	b.T.Helper()
	all, err := b.Catalog.Restores(b.T.Context(), 0, false)
	must(b.T, err)
	for _, r := range all {
		for f, err := range b.Catalog.FailedFiles(b.T.Context(), r.ID) {
			must(b.T, err)
			why = append(why, f.Why)
		}
	}
	return why
}

// TestLinksToWhatIsThere: the second name of a file that an earlier process, or an
// earlier restore, put in place is a link to it, if it is still that file.
func TestLinksToWhatIsThere(t *testing.T) {
	for _, store := range []storetest.MemoryOptions{{}, slow} {
		for _, changed := range []bool{false, true} {
			b := worktest.New(t, store)
			b.Write("a", "the same")
			for _, name := range []string{"b", "c"} {
				must(t, os.Link(filepath.Join(b.Root, "a"), filepath.Join(b.Root, name)))
			}
			b.Sync()
			o := options(b, filepath.Join(t.TempDir(), "out"))
			o.Wait = true
			run(b, o)
			at := func(name string) string { return filepath.Join(o.To, name) }
			must(t, os.Remove(at("b")))
			must(t, os.Remove(at("c")))
			if changed {
				must(t, os.Remove(at("a")))
				must(t, os.WriteFile(at("a"), []byte("of mine!"), 0o644))
			}
			res := run(b, o)
			var infos [3]os.FileInfo
			for i, name := range []string{"a", "b", "c"} {
				var err error
				infos[i], err = os.Stat(at(name))
				must(t, err)
			}
			if got := os.SameFile(infos[0], infos[1]); got == changed || !os.SameFile(infos[1], infos[2]) {
				t.Errorf("changed %t: linked %t, %+v", changed, got, res.Counts)
			}
		}
	}
}

// TestWhatIsInPlaceIsNotAskedForAgain: a process died after the file had its name,
// and before that was recorded; when the next one comes, the output is gone.
func TestWhatIsInPlaceIsNotAskedForAgain(t *testing.T) {
	for _, missing := range []bool{false, true} {
		b := worktest.New(t, slow)
		b.Write("f", "1")
		b.Write("g", "2")
		b.Sync()
		o := options(b, filepath.Join(t.TempDir(), "out"))
		run(b, o)
		b.Clock.Advance(6 * time.Hour)
		ctx, kill := context.WithCancel(t.Context())
		dies := o
		dies.Events = func(e firn.Event) {
			if f, ok := e.(firn.FileEvent); ok && f.Action == firn.Restored {
				kill() // before anything is settled
			}
		}
		_, err := restore.Run(ctx, dies)
		if firn.KindOf(err) == firn.NotFound || err == nil {
			t.Fatal(err)
		}
		here := 0
		for _, name := range []string{"f", "g"} {
			if _, err := os.Stat(filepath.Join(o.To, name)); err == nil {
				here++
				if missing {
					must(t, os.Remove(filepath.Join(o.To, name)))
					here--
				}
			}
		}
		b.Clock.Advance(48 * time.Hour)
		res := run(b, o)
		if n := retrievals(b); n != 2-here || res.Done != (here == 2) {
			t.Errorf("missing %t: %d in place, %d asked for, %+v", missing, here, n, res)
		}
	}
}

// once alters a byte of the first output that has it.
type once struct {
	damaged
	done atomic.Bool
}

func (o *once) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	if at.Start <= o.at && o.at < at.End && o.done.CompareAndSwap(false, true) {
		return o.damaged.Output(ctx, id, at)
	}
	return o.Store.Output(ctx, id, at)
}

// TestAByteThatIsWrongOnce is fetched again, also where it is encrypted.
func TestAByteThatIsWrongOnce(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		for _, size := range []int{1000, 3 << 20, 9 << 20} {
			b := worktest.New(t, slow)
			var ids func(context.Context) (seal.Identities, error)
			if sealed {
				ids = identities(b)
			}
			b.Write("f", string(storetest.Data(1, size)))
			b.Sync()
			store := &once{damaged: damaged{b.Store, int64(size / 2)}}
			b.Store = store
			o := options(b, filepath.Join(t.TempDir(), "out"))
			o.Identities, o.Wait = ids, true
			if res := run(b, o); res.Failed() || !res.Done || !store.done.Load() {
				t.Errorf("sealed %t, %d bytes: %+v", sealed, size, res)
			}
		}
	}
}

// TestLargeSealedFilesGoOn where a process left off.
func TestLargeSealedFilesGoOn(t *testing.T) {
	b := worktest.New(t, slow)
	ids := identities(b)
	b.WriteLarge("large", "L")
	b.Sync()
	till := newTill(b)
	to := filepath.Join(t.TempDir(), "out")
	o := func(store firn.Store) restore.Options {
		b.Store = store
		o := options(b, to)
		var err error
		o.Downloader, err = transfer.NewDownloader(store, transfer.DownloadOptions{Clock: b.Clock, PieceSize: 16 << 20, Concurrency: 1})
		must(t, err)
		o.Identities = ids
		return o
	}
	run(b, o(till))
	b.Clock.Advance(6 * time.Hour)
	broken := storetest.Faulty(t, till, storetest.Fault{Op: "Output", Nth: 4, Kind: firn.Denied})
	if _, err := restore.Run(t.Context(), o(broken)); firn.KindOf(err) != firn.Denied {
		t.Fatalf("the process went on: %v", err)
	}
	before := till.download.Load()
	b.Counts(run(b, o(till)).Counts, map[firn.Action]int64{firn.Restored: 1})
	if rest := till.download.Load() - before; before < 48<<20 || rest > 17<<20 {
		t.Errorf("%d bytes came before, %d after", before, rest)
	}
	sameContents(t, b.Root, to)
}
