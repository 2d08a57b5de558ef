package catalog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// epoch is where test clocks begin.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)

// A fixture is an open catalog with one store, one tree and one run, as most
// tests need it.
type fixture struct {
	*catalog.Catalog
	clock *clock.Manual
	store catalog.Store
	tree  catalog.Tree
	run   catalog.Run
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	return openFixture(tb, filepath.Join(tb.TempDir(), "catalog.db"))
}

func openFixture(tb testing.TB, path string) *fixture {
	tb.Helper()
	f := &fixture{clock: clock.NewManual(epoch)}
	f.Catalog = open(tb, path, f.clock)
	var err error
	f.store, err = f.Register(tb.Context(), catalog.StoreSpec{URL: "local:/v", Kind: "local", Identity: "one", Name: "v", Address: "/v"})
	check(tb, err)
	f.tree, err = f.Bind(tb.Context(), f.store.ID, "photos", "nas", "/home/photos")
	check(tb, err)
	f.run = f.begin(tb)
	return f
}

func (f *fixture) begin(tb testing.TB) catalog.Run {
	tb.Helper()
	run, err := f.BeginRun(tb.Context(), f.store.ID, f.tree.ID, "sync")
	check(tb, err)
	return run
}

func open(tb testing.TB, path string, c clock.Clock) *catalog.Catalog {
	tb.Helper()
	cat, err := catalog.Open(tb.Context(), path, c)
	check(tb, err)
	tb.Cleanup(func() { cat.Close() })
	return cat
}

func check(tb interface {
	Helper()
	Fatal(...any)
}, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// wantKind checks the kind of an error, and that it names its subject.
func wantKind(tb testing.TB, err error, kind firn.Kind, subject string) {
	tb.Helper()
	if err == nil || firn.KindOf(err) != kind || !strings.Contains(err.Error(), subject) {
		tb.Errorf("error %v (%v), want %v that names %q", err, firn.KindOf(err), kind, subject)
	}
}

// content makes content that differs with each text.
func content(text string) firn.Content {
	return firn.Content{Size: int64(len(text)), Tree: treehash.Sum([]byte(text))}
}

// regular is a file with text in it.
func regular(path, text string) catalog.Change {
	return catalog.Change{
		File: firn.File{
			Path: path, Kind: firn.Regular, Mode: 0o644, UID: 1000, GID: 100, Links: 1,
			Stamp: firn.Stamp{Size: int64(len(text)), ModTime: epoch.Add(-time.Hour), Changed: epoch.Add(-time.Minute), Inode: 7},
		},
		Content: content(text),
		Read:    epoch,
	}
}

func directory(path string) catalog.Change {
	return catalog.Change{File: firn.File{
		Path: path, Kind: firn.Directory, Mode: 0o755, UID: -1, GID: -1, Links: 2,
		Stamp: firn.Stamp{Size: 4096, ModTime: epoch.Add(-time.Hour)},
	}, Read: epoch}
}

func symlink(path, target string) catalog.Change {
	return catalog.Change{File: firn.File{
		Path: path, Kind: firn.Symlink, Mode: 0o777, Links: 1, Target: target,
		Stamp: firn.Stamp{Size: int64(len(target)), ModTime: epoch.Add(-time.Hour)},
	}, Read: epoch}
}

// upload takes a file's archive from its intent to where it is stored.
func (f *fixture) upload(tb testing.TB, run catalog.Run, ch catalog.Change) firn.ArchiveID {
	tb.Helper()
	in := f.intend(tb, run, ch)
	id := firn.ArchiveID("archive-" + in.Token.String())
	check(tb, f.Stored(tb.Context(), in.ID, firn.Archive{ID: id, Size: ch.Content.Size, Tree: ch.Content.Tree, Created: epoch}, run, &ch))
	return id
}

func (f *fixture) intend(tb testing.TB, run catalog.Run, ch catalog.Change) catalog.Intent {
	tb.Helper()
	in := []catalog.Intent{{
		Store: run.Store, Run: run.ID, Token: firn.NewToken(), Kind: catalog.FileArchive,
		Description: "about " + ch.Path, Tree: run.Tree, File: ch.File, Size: ch.Content.Size,
	}}
	check(tb, f.Intend(tb.Context(), in))
	return in[0]
}

func (f *fixture) record(tb testing.TB, run catalog.Run, changes ...catalog.Change) catalog.Recorded {
	tb.Helper()
	done, err := f.Record(tb.Context(), run, changes)
	check(tb, err)
	return done
}

// list gives the entries that a query finds, as lines of path and run.
func (f *fixture) list(tb testing.TB, q catalog.ListQuery) string {
	tb.Helper()
	var b strings.Builder
	for e, err := range f.Files(tb.Context(), q) {
		check(tb, err)
		fmt.Fprintf(&b, "%s@%d ", e.Path, e.Run)
	}
	return strings.TrimSpace(b.String())
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	cat := open(t, path, clock.System{})
	id := cat.ID()
	if id.IsZero() {
		t.Error("a new catalog has no id")
	}
	check(t, cat.Close())
	again := open(t, path, clock.System{})
	if again.ID() != id {
		t.Errorf("id %v became %v", id, again.ID())
	}
	if other := open(t, path+"2", clock.System{}); other.ID() == id {
		t.Error("two catalogs with one id")
	}
	rows, err := again.Query(t.Context(), "SELECT application_id FROM pragma_application_id")
	check(t, err)
	if rows[0][0] != int64(0x6669726e) { // "firn"
		t.Errorf("application id %x", rows[0][0])
	}
}

func TestOpenRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	check(t, os.WriteFile(text, []byte(strings.Repeat("no database\n", 500)), 0o600))
	_, err := catalog.Open(t.Context(), text, clock.System{})
	wantKind(t, err, firn.Corrupt, text)

	_, err = catalog.Open(t.Context(), filepath.Join(text, "catalog.db"), clock.System{})
	wantKind(t, err, firn.Local, text)
}

func TestCancelled(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Stores(ctx); err != context.Canceled {
		t.Errorf("read: %v", err)
	}
	if _, err := f.BeginRun(ctx, f.store.ID, f.tree.ID, "sync"); err != context.Canceled {
		t.Errorf("write: %v", err)
	}
	for _, err := range f.Current(ctx, f.tree.ID) {
		if err != context.Canceled {
			t.Errorf("iterator: %v", err)
		}
	}
}

// fewer gives how much of something a test does: less of it with -short, as under
// the race detector, which makes SQLite ten times as slow.
func fewer(all, short int) int {
	if testing.Short() {
		return short
	}
	return all
}
