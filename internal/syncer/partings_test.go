package syncer_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

// priced are the options of a mirror in GLACIER_IR, at 0.004 for a GB and month.
func priced(b *worktest.Bench) syncer.Options {
	b.T.Helper()
	o := b.Options()
	o.Modes, o.Prices = mirror, price.Bucket("GLACIER_IR", "us-east-1")
	return o
}

// farewell is what dry runs would let go.
func farewell(b *worktest.Bench, tries ...syncer.Options) syncer.Farewell {
	b.T.Helper()
	p := &syncer.Partings{}
	for _, o := range tries {
		o.DryRun, o.Partings = true, p
		run(b, o)
	}
	out, err := p.Foresee(b.T.Context(), b.Catalog, b.Row, b.Store, price.Bucket("GLACIER_IR", "us-east-1"))
	if err != nil {
		b.T.Fatal(err)
	}
	return out
}

// TestForeseenDeletions: a dry run says what the run then deletes, and what that costs:
// of what was removed and replaced, and not what another path needs, or was moved.
func TestForeseenDeletions(t *testing.T) {
	const month = 30 * 24 * time.Hour
	b := worktest.New(t, storetest.MemoryOptions{MinDuration: 3 * month})
	for _, p := range []string{"same", "gone", "modified", "touched", "emptied"} {
		b.Write(p, "content of "+p)
	}
	b.Write("twin 1", "content of twins")
	b.Sync() // of twins sent at once either may be the one that is
	b.Write("twin 2", "content of twins")
	b.Sync()
	b.Clock.Advance(month)
	if got := farewell(b, priced(b)); got.Now.Files+got.Later.Files != 0 || got.AtMost || got.Kept {
		t.Errorf("of a tree as it was: %+v", got)
	}

	remove(t, b, "gone", "twin 1")
	got := farewell(b, priced(b))
	// The least of the class, 128 KiB, for two months: 0.004 / 8,192 rounded
	// up to billionths, twice.
	if got.Later.Files != 1 || got.Now.Files != 0 || got.AtMost || got.Fees.String() != "0.000000978" {
		t.Errorf("of a file that is gone: %+v", got)
	}
	b.Write("modified", "other content")
	b.Write("emptied", "")
	touch(b, "touched", b.Clock.Now().Add(-time.Hour))
	if got = farewell(b, priced(b)); got.Later.Files != 4 || !got.AtMost {
		t.Errorf("of what is hashed or sent: %+v", got)
	}
	o := priced(b)
	o.PayEarly = true
	if res := run(b, o); res.LetGo.Deleted.Files != 3 {
		t.Errorf("the run: %+v", res.LetGo)
	}
	wantStored(b, map[string]int{"same": 1, "modified": 1, "touched": 1, "twin 1": 1})
	if got := farewell(b, priced(b)); got.Now.Files+got.Later.Files != 0 {
		t.Errorf("after the run: %+v", got)
	}

	b.Clock.Advance(3 * month)
	remove(t, b, "same")
	if got := farewell(b, priced(b)); got.Now.Files != 1 || got.Later.Files != 0 || got.Fees.Amount != 0 || !got.Fees.Known {
		t.Errorf("of what is free of fees: %+v", got)
	}
}

// TestForeseenDeletionsOfTwoTrees: what two trees have goes when both let it go, and
// what is left by a limit keeps all.
func TestForeseenDeletionsOfTwoTrees(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{MinDuration: 90 * 24 * time.Hour})
	root := t.TempDir()
	other := func() syncer.Options {
		o := priced(b)
		o.Root, o.Tree = root, "other"
		return o
	}
	for _, name := range []string{"shared", "kept"} {
		path := filepath.Join(root, name)
		old := b.Clock.Now().Add(-time.Hour) // what is younger would be hashed again
		if err := errors.Join(os.WriteFile(path, []byte(name), 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	b.Write("shared", "shared")
	b.Write("kept too", "kept too")
	b.Sync()
	run(b, other())
	remove(t, b, "shared")
	if got := farewell(b, priced(b)); got.Later.Files != 0 {
		t.Errorf("of what another tree has: %+v", got)
	}
	if err := os.Remove(filepath.Join(root, "shared")); err != nil {
		t.Fatal(err)
	}
	if got := farewell(b, priced(b), other()); got.Later.Files != 1 || got.AtMost {
		t.Errorf("of what two trees let go: %+v", got)
	}
	b.Write("more", "more than the limit")
	o := priced(b)
	o.Budget = syncer.NewBudget(syncer.Limits{Bytes: 1})
	if got := farewell(b, o); !got.Kept {
		t.Errorf("with a limit: %+v", got)
	}
}

// TestForeseenQueue: what waits for its deletion already is in it.
func TestForeseenQueue(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{MinDuration: 90 * 24 * time.Hour})
	b.Write("a", "content of a")
	b.Write("b", "content of b")
	b.Sync()
	remove(t, b, "a")
	if res := syncAs(b, mirror); res.LetGo.Waiting != (firn.Count{Files: 1, Bytes: 12}) {
		t.Errorf("waiting: %+v", res.LetGo)
	}
	if got := farewell(b, priced(b)); got.Later != (firn.Count{Files: 1, Bytes: 12}) || got.AtMost {
		t.Errorf("%+v", got)
	}
}
