package syncer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// adopt makes the catalog know the files at these paths as another program
// stored them: with whole seconds, and without mode and owner. The store itself
// doesn't have them, so that whatever is sent shows. alter, unless nil, says
// what else is different.
func adopt(b *worktest.Bench, alter func(path string, f *catalog.Find), paths ...string) {
	b.T.Helper()
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "adopt")
	if err != nil {
		b.T.Fatal(err)
	}
	var finds []catalog.Find
	for _, p := range paths {
		data, err := os.ReadFile(filepath.Join(b.Root, p))
		if err != nil {
			b.T.Fatal(err)
		}
		c := firn.Content{Size: int64(len(data)), Tree: treehash.Sum(data)}
		f := catalog.Find{
			Archive: firn.Archive{ID: firn.ArchiveID("theirs-" + p), Size: c.Size, Tree: c.Tree, Created: time.Date(2020, 2, 1, 0, 0, 0, 0, time.UTC)},
			Kind:    catalog.ForeignArchive, Format: "mt2",
			Members: []catalog.FoundMember{{Tree: "tree", Content: c, File: firn.File{
				Path: p, Kind: firn.Regular, Mode: 0o600, UID: -1, GID: -1,
				Stamp: firn.Stamp{Size: c.Size, ModTime: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}, // see worktest.Bench.Write
			}}},
		}
		if alter != nil {
			alter(p, &f)
		}
		finds = append(finds, f)
	}
	if _, err := b.Catalog.TakeIn(b.T.Context(), run, finds); err != nil {
		b.T.Fatal(err)
	}
	if err := b.Catalog.EndRun(b.T.Context(), run, catalog.Outcome{Complete: true}); err != nil {
		b.T.Fatal(err)
	}
}

// hashless takes the hash away, as of an archive that its maker compressed.
func hashless(_ string, f *catalog.Find) {
	f.Packed, f.Members[0].Content.Tree = "compressed", treehash.Hash{}
}

// A listener keeps what a sync says of files that it never read.
type listener struct {
	mu   sync.Mutex
	said []firn.CompareEvent
	then func(firn.Event) // may be nil
}

func (l *listener) hear(e firn.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := e.(firn.CompareEvent); ok {
		l.said = append(l.said, c)
	}
	if l.then != nil {
		l.then(e)
	}
}

// wants fails unless just this was said since the last call.
func (l *listener) wants(t *testing.T, want ...firn.CompareEvent) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if fmt.Sprint(l.said) != fmt.Sprint(want) {
		t.Errorf("said %+v, want %+v", l.said, want)
	}
	l.said = nil
}

// unreadIn counts the files of the catalog that were never read.
func unreadIn(b *worktest.Bench) (n int64) {
	b.T.Helper()
	for d, err := range b.Catalog.Current(b.T.Context(), b.Tree().ID) {
		if err != nil {
			b.T.Fatal(err)
		}
		for i := range d.Files {
			if d.Files[i].Read.IsZero() {
				n++
			}
		}
	}
	return n
}

// TestAdoptedIsReadOnce: what agrees is not sent, in whatever way files are
// sent, and has the disk's metadata then.
func TestAdoptedIsReadOnce(t *testing.T) {
	for name, prepare := range map[string]func(*worktest.Bench){
		"alone":     func(*worktest.Bench) {},
		"bundled":   func(b *worktest.Bench) { b.Bundle(1<<20, 4<<20) },
		"encrypted": func(b *worktest.Bench) { b.Seal() },
	} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			prepare(b)
			for _, p := range []string{"agrees", "dir/agrees", "differs", "hashless", "moved", "timeless"} {
				b.Write(p, "content of "+p)
			}
			b.Write("large", strings.Repeat("large ", 1<<18))
			adopt(b, nil, "agrees", "dir/agrees", "differs", "moved", "large")
			adopt(b, hashless, "hashless")
			adopt(b, func(_ string, f *catalog.Find) { f.Members[0].Stamp.ModTime = time.Time{} }, "timeless")
			b.Write("differs", "CONTENT of differs")
			if err := os.Rename(filepath.Join(b.Root, "moved"), filepath.Join(b.Root, "elsewhere")); err != nil {
				t.Fatal(err)
			}
			l := &listener{}
			o := b.Options()
			o.Events = l.hear
			same := int64(4) // agrees twice, large, timeless
			want := map[firn.Action]int64{firn.Unchanged: same, firn.Sent: 2, firn.Recorded: 1, firn.Removed: 1}
			if name == "encrypted" { // a copy in the clear is none
				want[firn.Sent], want[firn.Recorded] = 3, 0
			}
			b.Counts(run(b, o).Counts, want)
			var bytes int64
			for _, p := range []string{"agrees", "dir/agrees", "differs", "timeless"} {
				bytes += int64(len("content of " + p))
			}
			l.wants(t, firn.CompareEvent{Tree: "tree", Read: firn.Count{Files: same + 1, Bytes: bytes + 6<<18}, Hashless: firn.Count{Files: 1, Bytes: int64(len("content of hashless"))}})
			f := recorded(b, "agrees")
			if f.Mode != 0o644 || f.UID != os.Getuid() || f.Stamp.ModTime.Nanosecond() != 6000 || f.Stamp.Inode == 0 || f.Read.IsZero() {
				t.Errorf("recorded %+v", f)
			}
			b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: 7})
			l.wants(t)
		})
	}
}

// TestTrustTimes: what agrees in size and time is not read; what doesn't is.
func TestTrustTimes(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"agrees", "hashless", "later", "timeless", "grown"} {
		b.Write(p, "content of "+p)
	}
	adopt(b, nil, "agrees", "later", "grown")
	adopt(b, hashless, "hashless")
	adopt(b, func(_ string, f *catalog.Find) { f.Members[0].Stamp.ModTime = time.Time{} }, "timeless")
	b.Write("agrees", "CONTENT of agrees") // shows that it isn't read
	b.Write("grown", "content of grown, and more")
	now := time.Date(2020, 1, 2, 3, 4, 6, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(b.Root, "later"), now, now); err != nil {
		t.Fatal(err)
	}
	l := &listener{}
	o := b.Options()
	o.Events, o.TrustTimes = l.hear, true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: 4, firn.Sent: 1})
	read := firn.Count{Files: 2, Bytes: int64(len("content of later") + len("content of timeless"))}
	l.wants(t, firn.CompareEvent{Tree: "tree", Read: read, Trusting: true})
	for _, p := range []string{"agrees", "hashless"} {
		if f := recorded(b, p); f.Mode != 0o644 || f.UID != os.Getuid() || f.Stamp.ModTime.Nanosecond() != 6000 || f.Stamp.Inode == 0 || f.Read.IsZero() || !f.IsStored() {
			t.Errorf("recorded of %s: %+v", p, f)
		}
	}
	o.TrustTimes = false
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: 5})
	l.wants(t)
	// From now on they are files like all others.
	if err := os.Chmod(filepath.Join(b.Root, "hashless"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Detect = plan.ByTimeAndHash
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: 4, firn.Recorded: 1})
	if f := recorded(b, "hashless"); f.Mode != 0o600 || !f.Content.Tree.IsZero() || !f.IsStored() {
		t.Errorf("recorded %+v", f)
	}
}

// TestAdoptedInModes: what a mode declines is neither read nor announced; to
// take something for stored is no change.
func TestAdoptedInModes(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "content")
	b.Write("b", "other content")
	adopt(b, nil, "a")
	l := &listener{}
	o := b.Options()
	o.Events, o.Modes.New = l.hear, true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Skipped: 1, firn.Sent: 1})
	l.wants(t)
	o.TrustTimes = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: 2})
	if n := unreadIn(b); n != 0 {
		t.Errorf("%d files are unread", n)
	}
}

// TestAdoptedBySize: sizes are believed, and what nobody recorded is recorded.
func TestAdoptedBySize(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "content")
	b.Write("hashless", "other content")
	adopt(b, nil, "a")
	adopt(b, hashless, "hashless")
	o := b.Options()
	o.Detect = plan.BySize
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Recorded: 2})
	for _, p := range []string{"a", "hashless"} {
		if f := recorded(b, p); f.Mode != 0o644 || f.UID != os.Getuid() || f.Stamp.ModTime.Nanosecond() != 0 {
			t.Errorf("%s: %+v", p, f)
		}
	}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: 2})
}

func TestDryRunAnnounces(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "content")
	b.Write("hashless", "other content")
	adopt(b, nil, "a")
	adopt(b, hashless, "hashless")
	l := &listener{}
	o := b.Options()
	o.Events, o.DryRun = l.hear, true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Sent: 2})
	l.wants(t, firn.CompareEvent{Tree: "tree", Read: firn.Count{Files: 1, Bytes: 7}, Hashless: firn.Count{Files: 1, Bytes: 13}})
	o.TrustTimes = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: 2})
	l.wants(t)
	if b.Tree().IsBound() {
		t.Error("a dry run has bound the tree")
	}
}

// adoptCrowd is a tree of many files that all were adopted.
func adoptCrowd(t *testing.T, n int, alter func(string, *catalog.Find)) *worktest.Bench {
	t.Helper()
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1<<20, 4<<20)
	paths := make([]string, n)
	for i := range n {
		paths[i] = name(i)
		b.Write(paths[i], fmt.Sprintf("content %8d", i))
	}
	adopt(b, alter, paths...)
	return b
}

// TestMassOfAdopted: that they were never compared is no mass of changes, but
// it shows if they have changed.
func TestMassOfAdopted(t *testing.T) {
	for trust, want := range map[bool]map[firn.Action]int64{
		false: {firn.Unchanged: 900, firn.Sent: 300},
		true:  {firn.Unchanged: 1200},
	} {
		b := adoptCrowd(t, 1200, nil)
		each(b, 0, 300, func(path string) error {
			err := shout(path)
			if old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC); err == nil {
				err = os.Chtimes(path, old, old)
			}
			return err
		})
		l := &listener{}
		o := b.Options()
		o.Events, o.TrustTimes = l.hear, trust
		b.Counts(run(b, o).Counts, want)
		if len(l.said) != 1-len(want)%2 {
			t.Errorf("trusting %v: said %+v", trust, l.said)
		}
	}
	b := adoptCrowd(t, 1200, nil)
	each(b, 0, 1100, shout)
	stops(b, b.Options(), "have changed")
	b = adoptCrowd(t, 1200, hashless)
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1200})
}

// TestComparingIsKept: a run that is stopped while it compares leaves to the
// next one only what it did not come to.
func TestComparingIsKept(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files int
		below int64
		stop  int // after so many
	}{
		{"each alone", 40, 0, 10},
		{"into bundles", 600, 1 << 20, 300},
		{"a mass", 1200, 1 << 20, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := adoptCrowd(t, tt.files, nil)
			b.Bundling.Below = tt.below
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l := &listener{}
			compared := 0
			l.then = func(e firn.Event) {
				if p, ok := e.(firn.PlanEvent); ok && p.Files < 0 {
					if compared++; compared == tt.stop {
						cancel()
					}
				}
			}
			o := b.Options()
			o.Events = l.hear
			_, stopped := syncer.Run(ctx, o)
			if stopped == nil {
				t.Fatal("the first run went through")
			}
			left := unreadIn(b)
			if left > int64(tt.files-tt.stop+o.Concurrency) || left == 0 {
				t.Errorf("%d of %d files are unread still; the run ended with: %v", left, tt.files, stopped)
			}
			all := firn.Count{Files: int64(tt.files), Bytes: int64(tt.files * len("content 12345678"))}
			l.wants(t, firn.CompareEvent{Tree: "tree", Read: all})
			l.then = nil
			b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: int64(tt.files)})
			l.wants(t, firn.CompareEvent{Tree: "tree", Read: firn.Count{Files: left, Bytes: left * int64(len("content 12345678"))}})
		})
	}
}
