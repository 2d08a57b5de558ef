package recovery_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/recovery"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
)

// A machine is an empty one that a store is recovered on.
type machine struct {
	*testing.T
	cat    *catalog.Catalog
	row    catalog.Store
	store  firn.Store
	clock  *clock.Manual
	ids    *seal.Identities
	events []firn.Event
	asked  []recovery.Need
	wait   bool
}

func newMachine(b *worktest.Bench, ids *seal.Identities) *machine {
	m := &machine{T: b.T, store: b.Store, clock: b.Clock, ids: ids, wait: true}
	m.open(filepath.Join(m.TempDir(), "catalog.db"))
	return m
}

func (m *machine) open(path string) {
	m.Helper()
	var err error
	m.cat, err = catalog.Open(m.Context(), path, m.clock)
	m.must(err)
	m.Cleanup(func() { m.cat.Close() })
	m.row, err = m.cat.Register(m.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	m.must(err)
}

func (m *machine) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) downloader() *transfer.Downloader {
	d, err := transfer.NewDownloader(m.store, transfer.DownloadOptions{Clock: m.clock})
	m.must(err)
	return d
}

// try runs a recovery.
func (m *machine) try(ctx context.Context) (recovery.Result, error) {
	m.Helper()
	run, err := m.cat.BeginRecovery(ctx, m.row.ID)
	m.must(err)
	events := func(e firn.Event) { m.events = append(m.events, e) }
	asker := retrieval.New(retrieval.Options{Catalog: m.cat, Row: m.row.ID, Store: m.store, Downloader: m.downloader(), Clock: m.clock, Run: run})
	o := recovery.Options{
		Catalog: m.cat, Row: m.row, Store: m.store, Asker: asker, Run: run, Clock: m.clock, Events: events,
		Agree: func(_ context.Context, n recovery.Need) error { m.asked = append(m.asked, n); return nil },
		Spool: filepath.Join(m.TempDir(), "spool"), Wait: m.wait,
	}
	if m.ids != nil {
		o.Identities = func(context.Context) (seal.Identities, error) { return *m.ids, nil }
	}
	return recovery.Run(ctx, o)
}

// recover runs a recovery that finds everything.
func (m *machine) recover() recovery.Result {
	m.Helper()
	m.clock.Advance(48 * time.Hour) // so that an inventory has it all
	res, err := m.try(m.Context())
	m.must(err)
	if res.Failed > 0 || res.Pending > 0 {
		m.Errorf("%+v; %v", res, m.warnings())
	}
	return res
}

func (m *machine) warnings() (said []string) {
	for _, e := range m.events {
		if n, ok := e.(firn.NoticeEvent); ok && n.Warn {
			said = append(said, n.Text)
		}
	}
	return said
}

// restored brings all trees back, and describes what came: bytes, times, modes
// and links by path.
func (m *machine) restored() map[string]string {
	m.Helper()
	trees, err := m.cat.Trees(m.Context(), m.row.ID)
	m.must(err)
	to := filepath.Join(m.TempDir(), "back")
	o := restore.Options{
		Catalog: m.cat, Row: m.row, Store: m.store, Downloader: m.downloader(), Clock: m.clock, Events: firn.Discard,
		Trees: trees, To: to, Concurrency: 2, Days: restore.Days{Wait: true},
	}
	if m.ids != nil {
		o.Identities = func(context.Context) (seal.Identities, error) { return *m.ids, nil }
	}
	res, err := restore.Run(m.Context(), o)
	m.must(err)
	if res.Failed() || res.Pending() {
		m.Errorf("restore: %+v", res)
	}
	return picture(m.T, to)
}

// picture describes all that is in a folder.
func picture(t *testing.T, root string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case d.IsDir():
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + target
		default:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %s %q", info.ModTime().UTC().Format(time.RFC3339Nano), b[:min(len(b), 30)])
		}
		seen[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// fill makes a tree with everything in it that firn keeps.
func fill(b *worktest.Bench) {
	b.T.Helper()
	for i := range 30 {
		b.Write(fmt.Sprintf("many/file%02d", i), strings.Repeat("x", i+1))
	}
	b.Write("large", strings.Repeat("large enough for an archive of its own ", 100))
	b.Write("bad\xffname", "not UTF-8")
	b.Write("new\nline", "two lines in a name")
	b.Write("empty", "")
	if err := os.Symlink("large", filepath.Join(b.Root, "link")); err != nil {
		b.T.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(b.Root, "large"), 0o600); err != nil {
		b.T.Fatal(err)
	}
}

// slow is a store that takes its hours, and whose inventories lag by a day.
func slow() storetest.MemoryOptions {
	return storetest.MemoryOptions{JobDelay: 5 * time.Hour, InventoryEvery: 24 * time.Hour}
}

// syncAndSave syncs, and puts the catalog into the store, as the command does.
func syncAndSave(b *worktest.Bench) {
	b.T.Helper()
	maker := b.Snapshots()
	b.Sync()
	b.Maker = nil
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "snapshot")
	if err == nil {
		err = maker.Make(b.T.Context(), run)
	}
	if err == nil {
		err = b.Catalog.EndRun(b.T.Context(), run, catalog.Outcome{Complete: true})
	}
	if err != nil {
		b.T.Fatal(err)
	}
}

// benches are stores of all kinds: plain and encrypted, at once and after hours,
// with and without bundles.
func benches(t *testing.T, each func(t *testing.T, b *worktest.Bench, ids *seal.Identities)) {
	for _, instant := range []bool{true, false} {
		for _, encrypted := range []bool{false, true} {
			t.Run(fmt.Sprintf("instant=%t,encrypted=%t", instant, encrypted), func(t *testing.T) {
				o := storetest.MemoryOptions{}
				if !instant {
					o = slow()
				}
				b := worktest.New(t, o)
				b.Bundle(1000, 5000)
				var ids *seal.Identities
				if encrypted {
					ids = b.Seal()
				}
				each(t, b, ids)
			})
		}
	}
}

// TestFromSnapshot loses the machine after a sync that made a snapshot.
func TestFromSnapshot(t *testing.T) {
	benches(t, func(t *testing.T, b *worktest.Bench, ids *seal.Identities) {
		fill(b)
		syncAndSave(b)
		m := newMachine(b, ids)
		res := m.recover()
		if len(res.Catalogs) != 1 || res.Catalogs[0].Token != b.Catalog.ID() || res.Catalogs[0].Host != "here" || res.Files+res.Bundles != 0 {
			t.Errorf("%+v", res)
		}
		if diff := cmp.Diff(picture(t, b.Root), m.restored()); diff != "" {
			t.Errorf("(-lost +restored):\n%s", diff)
		}
		again := m.recover()
		if len(again.Catalogs) != 0 || again.Archives != 0 || again.Versions != 0 {
			t.Errorf("a second recovery found %+v", again)
		}
	})
}

// TestWithoutSnapshot has only descriptions and indexes to go by. Links, empty
// files and folders are in the indexes, too.
func TestWithoutSnapshot(t *testing.T) {
	benches(t, func(t *testing.T, b *worktest.Bench, ids *seal.Identities) {
		fill(b)
		b.Sync()
		want := picture(t, b.Root)
		m := newMachine(b, ids)
		res := m.recover()
		if len(res.Catalogs) != 0 || res.Bundles == 0 {
			t.Errorf("%+v", res)
		}
		got := m.restored()
		for _, side := range []map[string]string{want, got} {
			maps.DeleteFunc(side, func(p, text string) bool { return strings.HasPrefix(text, "d") }) // folders alone have no archive
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-lost +restored):\n%s", diff)
		}
	})
}

// TestNewerThanTheSnapshot loses the machine after files changed, came and went
// once more.
func TestNewerThanTheSnapshot(t *testing.T) {
	benches(t, func(t *testing.T, b *worktest.Bench, ids *seal.Identities) {
		fill(b)
		syncAndSave(b)
		for day := range 3 {
			b.Clock.Advance(30 * time.Hour)
			b.Write("large", strings.Repeat(fmt.Sprint("changed on day ", day), 300))
			b.Write("many/file03", fmt.Sprint("changed on day ", day))
			b.Write(fmt.Sprint("new/day", day), fmt.Sprint("new on day ", day))
			b.Sync()
		}
		want := picture(t, b.Root)
		m := newMachine(b, ids)
		res := m.recover()
		if len(res.Catalogs) != 1 || res.Bundles == 0 {
			t.Errorf("%+v", res)
		}
		got := m.restored()
		delete(want, "new")
		delete(got, "new") // its mode is in no archive
		for _, side := range []map[string]string{want, got} {
			maps.DeleteFunc(side, func(p, text string) bool { return strings.HasPrefix(text, "d") })
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-lost +restored):\n%s", diff)
		}
		tree, err := m.cat.Tree(t.Context(), m.row.ID, "tree")
		m.must(err)
		versions, err := m.cat.History(t.Context(), tree.ID, "many/file03")
		m.must(err)
		if len(versions) != 4 {
			t.Errorf("%d versions, want 4", len(versions))
		}
	})
}

// TestWithoutWaiting comes back each hour, as cron would, and is told when.
func TestWithoutWaiting(t *testing.T) {
	b := worktest.New(t, slow())
	b.Bundle(1000, 5000)
	fill(b)
	syncAndSave(b)
	b.Clock.Advance(48 * time.Hour)
	b.Write("many/late", "stored after the snapshot")
	b.Sync()
	b.Clock.Advance(48 * time.Hour)
	m := newMachine(b, nil)
	m.wait = false
	rounds := 0
	for {
		res, err := m.try(t.Context())
		m.must(err)
		if res.Pending == 0 {
			break
		}
		if rounds++; rounds > 60 {
			t.Fatalf("still pending: %+v", res)
		}
		b.Clock.Advance(time.Hour)
	}
	if rounds < 2 {
		t.Errorf("it took %d rounds", rounds)
	}
	if got := m.restored(); got["many/late"] == "" || len(got) < 30 {
		t.Errorf("restored %v", slices.Sorted(maps.Keys(got)))
	}
}

// TestWithoutIdentity says what is missing, and loses nothing.
func TestWithoutIdentity(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 5000)
	ids := b.Seal()
	fill(b)
	syncAndSave(b)
	m := newMachine(b, nil)
	res, err := m.try(t.Context())
	if err == nil && res.Failed == 0 {
		t.Errorf("%+v", res)
	}
	m.ids = ids
	m.recover()
	if diff := cmp.Diff(picture(t, b.Root), m.restored()); diff != "" {
		t.Errorf("(-lost +restored):\n%s", diff)
	}
}

// TestAskedOnce prices each retrieval once, however often the recovery is called
// until its jobs are done.
func TestAskedOnce(t *testing.T) {
	b := worktest.New(t, slow())
	b.Bundle(1000, 5000)
	fill(b)
	syncAndSave(b)
	b.Clock.Advance(48 * time.Hour)
	m := newMachine(b, nil)
	m.wait = false
	for range 12 {
		_, err := m.try(t.Context())
		m.must(err)
		b.Clock.Advance(time.Hour)
	}
	if len(m.asked) != 1 || m.asked[0].Requests != 1 {
		t.Errorf("asked for %+v", m.asked)
	}
}
