package syncer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

// indexes gives the paths in the indexes of all bundles of the store, each
// bundle's in its order, and checks that the contents are where they should be.
func indexes(b *worktest.Bench) (bundles [][]string) {
	b.T.Helper()
	for _, a := range b.Memory.Archives() {
		d := describe.Decode(a.Description)
		if d.Kind != describe.Bundle {
			continue
		}
		data := b.Memory.Content(a.ID)
		f, err := bundle.ParseFooter(data[len(data)-bundle.FooterSize:], int64(len(data)))
		if err != nil {
			b.T.Fatal(err)
		}
		if int64(len(data))-f.Offset != d.Index {
			b.T.Errorf("the description says %d bytes of index, and there are %d", d.Index, int64(len(data))-f.Offset)
		}
		_, members, err := bundle.ReadIndex(bytes.NewReader(data[f.Offset:]), f)
		if err != nil {
			b.T.Fatal(err)
		}
		var paths []string
		for m, err := range members {
			if err != nil {
				b.T.Fatal(err)
			}
			paths = append(paths, m.File.Path)
			if m.File.Kind != firn.Regular {
				continue
			}
			want, err := os.ReadFile(filepath.Join(b.Root, m.File.Path))
			if err != nil || !bytes.Equal(data[m.Offset:m.Offset+m.Content.Size], want) && m.Content.Size > 0 {
				b.T.Errorf("%s has other content in the bundle (%v)", m.File.Path, err)
			}
		}
		if int64(len(paths)) != d.Members {
			b.T.Errorf("the description says %d members, and there are %d", d.Members, len(paths))
		}
		bundles = append(bundles, paths)
	}
	return bundles
}

func TestSmallFilesShareABundle(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 64<<20)
	for i := range 300 {
		b.Write(fmt.Sprintf("d%d/f%03d", i%3, i), fmt.Sprint("content ", i))
	}
	b.Write("large", string(make([]byte, 1000)))
	b.Write("empty", "")
	if err := os.Symlink("large", filepath.Join(b.Root, "link")); err != nil {
		t.Fatal(err)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 301, firn.Recorded: 2})
	got := indexes(b)
	if len(got) != 1 || len(got[0]) != 305 || len(b.Memory.Archives()) != 2 {
		t.Fatalf("%d archives, bundles of %d", len(b.Memory.Archives()), len(got[0]))
	}
	if !slices.Equal(got[0][:4], []string{"empty", "link", "d0", "d0/f000"}) {
		t.Errorf("in another order: %q", got[0][:4])
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 303})
	b.Write("d1/f001", "changed")
	b.Write("d1/more", "new")
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 2, firn.Unchanged: 302})
	if n := len(b.Memory.Archives()); n != 3 {
		t.Errorf("%d archives, want 3", n)
	}
	names, err := os.ReadDir(b.Bundling.Spool)
	if err != nil || len(names) != 0 {
		t.Errorf("left in the spool: %v, %v", names, err)
	}
}

// TestBundlesAreFull: they have the size that was asked for, and a file larger
// than what is read at once has its place.
func TestBundlesAreFull(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(3<<20, 4<<20)
	for i := range 6 {
		b.Write(fmt.Sprint("f", i), string(bytes.Repeat([]byte{byte('a' + i)}, 2<<20+i)))
	}
	b.Write("g", "small")
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 7})
	if got := indexes(b); len(got) != 6 || len(b.Memory.Archives()) != 6 {
		t.Errorf("bundles %q", got)
	}
}

// TestContentIsInOneBundle: within a bundle, in two that are on their way at
// once, and in later runs.
func TestContentIsInOneBundle(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(3<<20, 4<<20)
	same := string(bytes.Repeat([]byte("x"), 2<<20))
	for _, name := range []string{"a", "b", "m", "y", "z"} {
		b.Write(name, same)
	}
	for i := range 9 {
		b.Write(fmt.Sprint("n", i), string(bytes.Repeat([]byte{byte(i)}, 1<<20)))
		b.Write(fmt.Sprint("s", i), "small and the same")
	}
	res := b.Sync()
	if n := res.Counts[firn.Sent].Files + res.Counts[firn.Recorded].Files; n != 23 {
		t.Errorf("%+v", res.Counts)
	}
	var bytes int64
	for _, a := range b.Memory.Archives() {
		bytes += a.Size
	}
	if bytes > 12<<20+1<<18 {
		t.Errorf("stored %d bytes", bytes)
	}
	b.Write("again/copy", same)
	b.Write("again/small", "small and the same")
	res = b.Sync()
	b.Counts(res.Counts, map[firn.Action]int64{firn.Recorded: 2, firn.Unchanged: 23})
	everyCurrentFileIsStored(b)
}

// TestLostBundles: the answer to a bundle's upload gets lost.
func TestLostBundles(t *testing.T) {
	for name, c := range map[string]struct {
		store storetest.MemoryOptions
		late  bool // it had arrived
		max   int  // archives at the end
	}{
		"arrived, seen at once":  {storetest.MemoryOptions{}, true, 1},
		"never arrived":          {storetest.MemoryOptions{}, false, 1},
		"arrived, seen later":    {lagging, true, 1},
		"never, and seen as lag": {lagging, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, c.store, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: c.late})
			b.Bundle(1000, 64<<20)
			for i := range 20 {
				b.Write(fmt.Sprint("f", i), fmt.Sprint("content ", i))
			}
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 20})
			everyCurrentFileIsStored(b)
			if c.store.InventoryEvery != 0 {
				days(b, 3)
			}
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 20})
			if n := len(b.Memory.Archives()); n > c.max {
				t.Errorf("%d archives, want at most %d", n, c.max)
			}
			if names, _ := os.ReadDir(b.Bundling.Spool); len(names) != 0 {
				t.Errorf("left in the spool: %v", names)
			}
		})
	}
}

// TestBundleOfAKilledRun: the next run sends what the killed one had sealed,
// once, or makes it anew where its spool file is gone or another.
func TestBundleOfAKilledRun(t *testing.T) {
	for name, meddle := range map[string]func(spool string) error{
		"sent": func(string) error { return nil },
		"gone": os.Remove,
		"damaged": func(spool string) error {
			return os.WriteFile(spool, make([]byte, 4096), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			b.Bundle(1000, 64<<20)
			for i := range 20 {
				b.Write(fmt.Sprint("f", i), fmt.Sprint("content ", i))
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			plain := b.Store
			b.Store = &meddled{Store: plain, upload: func() { cancel(errors.New("killed")) }}
			if _, err := syncer.Run(ctx, b.Options()); err == nil {
				t.Fatal("it was not stopped")
			}
			b.Store = plain
			names, err := os.ReadDir(b.Bundling.Spool)
			if err != nil || len(names) != 1 {
				t.Fatalf("in the spool: %v, %v", names, err)
			}
			if err := meddle(filepath.Join(b.Bundling.Spool, names[0].Name())); err != nil {
				t.Fatal(err)
			}
			res := b.Sync()
			if n := res.Counts[firn.Sent].Files; n != 20 {
				t.Errorf("%+v", res.Counts)
			}
			everyCurrentFileIsStored(b)
			if n := len(b.Memory.Archives()); n != 1 {
				t.Errorf("%d archives", n)
			}
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 20})
		})
	}
}

// TestFilesThatChangeAreNotTorn: a member is a state that the file really had.
func TestFilesThatVanishOrGrow(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1<<20, 64<<20)
	for _, name := range []string{"a", "b", "c", "d"} {
		b.Write(name, name)
	}
	o := b.Options()
	events := o.Events
	o.Events = func(e firn.Event) {
		events(e)
		if s, ok := e.(firn.ScanEvent); ok && s.Files == 4 && !s.Done {
			// After the scan, before anything of this folder is read.
			b.Write("b", "b is longer now")
			b.Write("c", "")
			os.Remove(filepath.Join(b.Root, "d"))
		}
	}
	res, err := syncer.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n := res.Counts[firn.Sent].Files + res.Counts[firn.Recorded].Files + res.Counts[firn.Failed].Files; n != 4 {
		t.Errorf("%+v", res.Counts)
	}
	everyCurrentFileIsStored(b)
	b.Clock.Advance(time.Minute)
	b.Sync()
	for _, paths := range indexes(b) {
		if slices.Contains(paths, "d") && res.Counts[firn.Failed].Files == 1 {
			t.Errorf("a file that was gone is in a bundle: %q", paths)
		}
	}
}
