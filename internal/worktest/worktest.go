// Package worktest is a bench for tests of the works: a catalog, a store and an
// engine, joined as the program joins them, with a directory to work on.
package worktest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// Large is the size in bytes of the smallest file that goes up in parts.
const Large = transfer.MaxSingle + 1

// A Bench is one machine with one tree and one store.
type Bench struct {
	T       *testing.T
	Memory  *storetest.Memory // what the store really holds
	Store   firn.Store        // as the works see it: with faults, behind guard
	Catalog *catalog.Catalog
	Path    string // of the catalog
	Row     catalog.Store
	Clock   *clock.Manual // this machine's
	Root    string        // the tree's directory
	// Bundling of syncs; zero: each file has an archive of its own.
	Bundling syncer.Bundling
	// Recipients that syncs encrypt for; nil: they don't.
	Recipients *seal.Recipients
	// Maker makes snapshots while a sync goes on; nil: nobody does. See Snapshots.
	Maker *snapshot.Maker

	mu     sync.Mutex
	events []firn.Event
}

// New gives a bench on a store in memory, in which the faults are planned.
func New(t *testing.T, o storetest.MemoryOptions, faults ...storetest.Fault) *Bench {
	t.Helper()
	b := &Bench{T: t, Clock: clock.NewManual(clock.System{}.Now()), Root: filepath.Join(t.TempDir(), "tree"), Path: filepath.Join(t.TempDir(), "catalog.db")}
	if o.Clock == nil {
		o.Clock = b.Clock
	}
	b.Memory = storetest.NewMemory(o)
	b.Store = guard.Retry(storetest.Faulty(t, b.Memory, faults...), guard.RetryOptions{Clock: b.Clock, Outage: time.Hour})
	var err error
	if b.Catalog, err = catalog.Open(t.Context(), b.Path, b.Clock); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Catalog.Close() })
	if b.Row, err = b.Catalog.Register(t.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"}); err != nil {
		t.Fatal(err)
	}
	b.must(os.MkdirAll(b.Root, 0o755))
	return b
}

func (b *Bench) must(err error) {
	b.T.Helper()
	if err != nil {
		b.T.Fatal(err)
	}
}

// Events is the sink of all works: they are kept.
func (b *Bench) Events(e firn.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

// Notices gives what the works said, since the last call or that of Files, and
// forgets all events; warnings begin with "warning: ".
func (b *Bench) Notices() (said []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if n, ok := e.(firn.NoticeEvent); ok && n.Warn {
			said = append(said, "warning: "+n.Text)
		} else if ok {
			said = append(said, n.Text)
		}
	}
	b.events = nil
	return said
}

// Files gives the paths of which an event told this action, since the last
// call, and forgets all events.
func (b *Bench) Files(a firn.Action) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var paths []string
	for _, e := range b.events {
		if f, ok := e.(firn.FileEvent); ok && f.Action == a {
			paths = append(paths, f.Path)
		}
	}
	b.events = nil
	return paths
}

// Write makes a file of the tree, with a time of long ago and a mode of its own, so
// that no test depends on when it ran, or with which umask.
func (b *Bench) Write(path, content string) {
	b.T.Helper()
	name := filepath.Join(b.Root, path)
	b.must(os.MkdirAll(filepath.Dir(name), 0o755))
	b.must(os.WriteFile(name, []byte(content), 0o644))
	b.must(os.Chmod(name, 0o644))
	old := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	b.must(os.Chtimes(name, old, old))
}

// WriteLarge makes a file that goes up in parts: zeros behind a few bytes.
func (b *Bench) WriteLarge(path, content string) {
	b.T.Helper()
	b.Write(path, content)
	b.must(os.Truncate(filepath.Join(b.Root, path), Large))
}

// Bundle makes syncs put files below some bytes into bundles of some bytes.
func (b *Bench) Bundle(below, size int64) {
	b.Bundling = syncer.Bundling{Below: below, Size: size, Spool: filepath.Join(b.T.TempDir(), "spool")}
}

// RecordUnder records, as of a run, another archive of five bytes under an id that one
// had before: in S3 the name of what was deleted is free again.
func (b *Bench) RecordUnder(run catalog.Run, id firn.ArchiveID) {
	b.T.Helper()
	tree := treehash.Sum([]byte("other"))
	in := []catalog.Intent{{
		Store: run.Store, Run: run.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive, Description: "another",
		File: firn.File{Path: "x", Kind: firn.Regular}, Size: 5, TreeHash: tree,
	}}
	b.must(b.Catalog.Intend(b.T.Context(), in))
	b.must(b.Catalog.Stored(b.T.Context(), in[0].ID, firn.Archive{ID: id, Size: 5, Tree: tree}, run, nil))
}

// Seal makes syncs encrypt, and gives the identity that opens it.
func (b *Bench) Seal() *seal.Identities {
	b.T.Helper()
	file, recipient, err := seal.NewIdentity(b.Clock.Now(), false)
	b.must(err)
	recipients, err := seal.ParseRecipients([]string{recipient})
	b.must(err)
	ids, err := seal.ReadIdentities(bytes.NewReader(file), "identity", nil)
	b.must(err)
	b.Recipients = &recipients
	return &ids
}

func (b *Bench) uploader() *transfer.Uploader {
	b.T.Helper()
	up, err := transfer.NewUploader(b.Store, b.Store.Traits(), transfer.UploadOptions{PartSize: 16 << 20, Clock: b.Clock, TokenOf: describe.TokenOf})
	b.must(err)
	return up
}

// Options are those of a sync of the bench.
func (b *Bench) Options() syncer.Options {
	b.T.Helper()
	return syncer.Options{
		Catalog: b.Catalog, Row: b.Row, Store: b.Store, Uploader: b.uploader(), Clock: b.Clock, Events: b.Events,
		Root: b.Root, Tree: "tree", Host: "here", Concurrency: 4, Bundling: b.Bundling, Recipients: b.Recipients, Snapshots: b.Maker,
	}
}

// SnapshotOptions are those of a maker of snapshots, for a command that is alone
// on the machine.
func (b *Bench) SnapshotOptions() snapshot.Options {
	b.T.Helper()
	info, err := b.Memory.Describe(b.T.Context())
	b.must(err)
	return snapshot.Options{
		Catalog: b.Catalog, Row: b.Row, Info: info, Store: b.Store, Uploader: b.uploader(), Clock: b.Clock, Events: b.Events,
		Spool: filepath.Join(b.Root, "..", "snapshots"), Host: "here",
	}
}

// Snapshots makes the next syncs make snapshots, as a command does that begins
// now.
func (b *Bench) Snapshots() *snapshot.Maker {
	b.T.Helper()
	b.Maker = snapshot.NewMaker(b.SnapshotOptions())
	return b.Maker
}

// Sync runs a sync, which must not end early.
func (b *Bench) Sync() syncer.Result {
	b.T.Helper()
	res, err := syncer.Run(b.T.Context(), b.Options())
	b.must(err)
	return res
}

// SyncWith runs a sync with options of its own.
func (b *Bench) SyncWith(o syncer.Options) (syncer.Result, error) {
	return syncer.Run(b.T.Context(), o)
}

// Tree is the catalog's row of the tree.
func (b *Bench) Tree() catalog.Tree {
	b.T.Helper()
	tree, err := b.Catalog.Tree(b.T.Context(), b.Row.ID, "tree")
	b.must(err)
	return tree
}

// Counts checks what a result counted: files by action, nothing else.
func (b *Bench) Counts(got map[firn.Action]firn.Count, want map[firn.Action]int64) {
	b.T.Helper()
	for a, c := range got {
		if want[a] != c.Files {
			b.T.Errorf("%s: %d files, want %d", a, c.Files, want[a])
		}
	}
	for a, n := range want {
		if got[a].Files != n {
			b.T.Errorf("%s: %d files, want %d", a, got[a].Files, n)
		}
	}
}

// Stored gives the paths of the archives in the store, with how many there are
// of each, and checks that no upload is open.
func (b *Bench) Stored() map[string]int {
	b.T.Helper()
	paths := map[string]int{}
	for _, a := range b.Memory.Archives() {
		paths[describe.Decode(a.Description).Path]++
	}
	for u, err := range b.Memory.Uploads(b.T.Context()) {
		b.must(errors.Join(err))
		b.T.Errorf("the upload %s is open", u.ID)
	}
	return paths
}
