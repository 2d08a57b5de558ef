package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
)

// rounds is a bench whose verifications keep hashes.
type rounds struct {
	*worktest.Bench
	path string // of the catalog
}

// newRounds syncs so many files.
func newRounds(t *testing.T, files int) *rounds {
	t.Helper()
	b := worktest.New(t, storetest.MemoryOptions{})
	must(t, b.Catalog.Close())
	r := &rounds{b, filepath.Join(t.TempDir(), "catalog.db")}
	r.open()
	var err error
	b.Row, err = b.Catalog.Register(t.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	must(t, err)
	for i := range files {
		b.Write(fmt.Sprintf("d%d/f%d", i%3, i), fmt.Sprint("content ", i))
	}
	b.Sync()
	b.Files("")
	return r
}

// open opens the catalog, again after a kill.
func (r *rounds) open() {
	r.T.Helper()
	c, err := catalog.Open(r.T.Context(), r.path, r.Clock)
	must(r.T, err)
	r.Catalog = c
}

// options are those of a call of the round of a part.
func (r *rounds) options(part, parts int) upkeep.VerifyOptions {
	r.T.Helper()
	tree := r.Tree()
	round, err := r.Catalog.BeginRound(r.T.Context(), tree.ID, r.Root, part, parts)
	must(r.T, err)
	return upkeep.VerifyOptions{
		Catalog: r.Catalog, Tree: tree, Root: r.Root, Events: r.Events, Clock: r.Clock, Round: round, Believe: round.Began, Concurrency: 1,
	}
}

func (r *rounds) verify(o upkeep.VerifyOptions) upkeep.VerifyResult {
	r.T.Helper()
	res, err := upkeep.Verify(r.T.Context(), o)
	must(r.T, err)
	return res
}

func wantHashes(t *testing.T, res upkeep.VerifyResult, read, believed int64) {
	t.Helper()
	if h := res.Hashes; h.Read.Files != read || h.Believed.Files != believed {
		t.Errorf("read %d files and believed %d, want %d and %d", h.Read.Files, h.Believed.Files, read, believed)
	}
}

// atFile calls fn whenever something is said of a file.
func atFile(fn func()) firn.Sink {
	var mu sync.Mutex
	return func(e firn.Event) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := e.(firn.FileEvent); ok {
			fn()
		}
	}
}

// TestVerifyGoesOnAfterAKill: wherever a verification is killed, the next one
// reads again at most what was not in a batch, and comes to the same result.
func TestVerifyGoesOnAfterAKill(t *testing.T) {
	const files, batch = 7, 2
	for killed := 1; killed <= files; killed++ {
		r := newRounds(t, files)
		o := r.options(1, 1)
		o.Batch = batch
		seen := 0
		o.Events = atFile(func() {
			if seen++; seen == killed {
				r.Catalog.Close() // before what was read is kept
			}
		})
		if _, err := upkeep.Verify(t.Context(), o); err == nil {
			t.Fatalf("killed at %d: it ended well", killed)
		}
		r.open()
		o = r.options(1, 1)
		if !o.Round.Resumed {
			t.Errorf("killed at %d: it begins again", killed)
		}
		res := r.verify(o)
		kept := int64(killed-1) / batch * batch
		wantHashes(t, res, files-kept, kept)
		r.Counts(res.Counts, map[firn.Action]int64{firn.Verified: files})
		must(t, r.Catalog.EndRound(t.Context(), o.Round, o.Round.Began))
		if next := r.options(1, 1); next.Round.Resumed {
			t.Errorf("killed at %d: after its end it goes on", killed)
		}
	}
}

// TestInterruptKeepsWhatWasRead: nothing that was read is read again.
func TestInterruptKeepsWhatWasRead(t *testing.T) {
	r := newRounds(t, 6)
	ctx, cancel := context.WithCancel(t.Context())
	o := r.options(1, 1)
	seen := 0
	o.Events = atFile(func() {
		if seen++; seen == 4 {
			cancel()
		}
	})
	res, err := upkeep.Verify(ctx, o)
	if !errors.Is(err, context.Canceled) || !res.Stopped {
		t.Errorf("%v, stopped %t", err, res.Stopped)
	}
	wantHashes(t, r.verify(r.options(1, 1)), 2, 4)
}

// TestNextRoundReadsAll: a round that is over is believed only by who says so.
func TestNextRoundReadsAll(t *testing.T) {
	r := newRounds(t, 5)
	o := r.options(1, 1)
	wantHashes(t, r.verify(o), 5, 0)
	must(t, r.Catalog.EndRound(t.Context(), o.Round, o.Round.Began))
	r.Clock.Advance(24 * time.Hour)
	o = r.options(1, 1)
	o.Believe = r.Clock.Now().Add(-48 * time.Hour)
	wantHashes(t, r.verify(o), 0, 5)
	o.Believe = r.Clock.Now().Add(-time.Hour)
	wantHashes(t, r.verify(o), 5, 0)
}

// TestPartsAreAPartition: the parts together are all of the tree, and none has
// what another one has: whatever is wrong with a file, and wherever it is.
func TestPartsAreAPartition(t *testing.T) {
	const files, parts = 40, 7
	r := newRounds(t, files)
	for i := range 5 {
		must(t, os.Remove(filepath.Join(r.Root, fmt.Sprintf("d%d/f%d", i%3, i))))
		r.Write(fmt.Sprint("new", i), "new")
	}
	r.Write("d2/f5", "other")
	told := map[string]firn.Action{}
	var mu sync.Mutex
	collect := func(e firn.Event) {
		mu.Lock()
		defer mu.Unlock()
		if f, ok := e.(firn.FileEvent); ok {
			if _, twice := told[f.Path]; twice {
				t.Errorf("%s is in two parts", f.Path)
			}
			told[f.Path] = f.Action
		}
	}
	var read int64
	for part := 1; part <= parts; part++ {
		o := r.options(part, parts)
		o.Events = collect
		res := r.verify(o)
		read += res.Hashes.Read.Files
		if own := res.Hashes.Read.Files; own > files/2 {
			t.Errorf("part %d has %d of %d files", part, own, files)
		}
		if last := part == parts; last != (res.Hashes.Never <= 1) { // that which differs in size is never read
			t.Errorf("after %d parts %d were never read", part, res.Hashes.Never)
		}
	}
	parted := told
	told = map[string]firn.Action{}
	r.Clock.Advance(time.Hour)
	o := r.options(1, 1)
	o.Events = collect
	res := r.verify(o)
	if len(parted) != len(told) || read != res.Hashes.Read.Files {
		t.Errorf("the parts told of %d paths and read %d files; all at once it is %d and %d", len(parted), read, len(told), res.Hashes.Read.Files)
	}
	for path, a := range told {
		if parted[path] != a {
			t.Errorf("%s: %q, in its part %q", path, a, parted[path])
		}
	}
}

// TestTouchedIsReadAgain: a hash is believed only of the file that it was read of.
func TestTouchedIsReadAgain(t *testing.T) {
	r := newRounds(t, 4)
	r.verify(r.options(1, 1))
	r.Files("")
	r.Write("d0/f0", "CONTENT 0") // of the same size and time: only ctime tells
	now := r.Clock.Now()
	must(t, os.Chtimes(filepath.Join(r.Root, "d1/f1"), now, now))
	res := r.verify(r.options(1, 1))
	wantHashes(t, res, 2, 2)
	r.Counts(res.Counts, map[firn.Action]int64{firn.Differs: 2, firn.Verified: 2})
	// Its time is that of the reading: it may have been written to since.
	wantHashes(t, r.verify(r.options(1, 1)), 1, 3)
	// What differs is told each time, read or not.
	if got := r.Files(firn.Differs); !slices.Equal(got, []string{"d0/f0", "d1/f1", "d0/f0", "d1/f1"}) {
		t.Errorf("%q", got)
	}
}

// TestTimeIsUp: what is being read is read to its end, and nothing more is begun.
func TestTimeIsUp(t *testing.T) {
	r := newRounds(t, 9)
	o := r.options(1, 1)
	o.Until = r.Clock.Now().Add(3 * time.Hour)
	o.Events = atFile(func() { r.Clock.Advance(time.Hour) })
	res := r.verify(o)
	wantHashes(t, res, 3, 0)
	if !res.Stopped {
		t.Error("it is through")
	}
	o = r.options(1, 1)
	res = r.verify(o)
	wantHashes(t, res, 6, 3)
	if res.Stopped || !res.Clean() {
		t.Errorf("%+v", res)
	}
	o.Until = r.Clock.Now()
	if res := r.verify(o); !res.Stopped || res.Counts[firn.Missing].Files > 0 {
		t.Errorf("without time: %+v", res)
	}
}

// TestUnseenKeepsItsHash: files in a folder that can't be read are not missing,
// and what was read of them is believed again afterwards.
func TestUnseenKeepsItsHash(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads every folder")
	}
	r := newRounds(t, 6)
	r.verify(r.options(1, 1))
	dir := filepath.Join(r.Root, "d1")
	must(t, os.Chmod(dir, 0))
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	res := r.verify(r.options(1, 1))
	r.Counts(res.Counts, map[firn.Action]int64{firn.Failed: 1, firn.Verified: 4})
	must(t, os.Chmod(dir, 0o755))
	wantHashes(t, r.verify(r.options(1, 1)), 0, 6)
}
