package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// A rig is a bench whose store moves to another one.
type rig struct {
	*worktest.Bench
	target *storetest.Memory
	store  firn.Store // the target, as the works see it
	row    catalog.Store
	spool  string
}

func newRig(t *testing.T, from storetest.MemoryOptions, faults ...storetest.Fault) *rig {
	t.Helper()
	r := &rig{Bench: worktest.New(t, from, faults...), spool: filepath.Join(t.TempDir(), "spool")}
	r.target = storetest.NewMemory(storetest.MemoryOptions{Name: "target", Clock: r.Clock})
	r.behind(r.target)
	var err error
	r.row, err = r.Catalog.Register(t.Context(), catalog.StoreSpec{URL: "memory:target", Kind: "memory", Identity: "target", Name: "target"})
	r.must(err)
	return r
}

// behind lets the works see a target.
func (r *rig) behind(store firn.Store) {
	r.store = guard.Retry(store, guard.RetryOptions{Clock: r.Clock, Outage: time.Hour})
}

func (r *rig) must(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatal(err)
	}
}

func (r *rig) options() migrate.Options {
	return migrate.Options{
		Catalog: r.Catalog, From: migrate.Side{Row: r.Row, Store: r.Store}, To: migrate.Side{Row: r.row, Store: r.store},
		Clock: r.Clock, Events: r.Events, Concurrency: 4,
	}
}

func (r *rig) migrate(o migrate.Options) migrate.Result {
	r.T.Helper()
	res, err := migrate.Run(r.T.Context(), o)
	r.must(err)
	return res
}

// checked fails unless the catalog is whole.
func (r *rig) checked() {
	r.T.Helper()
	_, err := r.Catalog.Check(r.T.Context(), func(f catalog.Fault) error {
		r.T.Errorf("fault: %s: %s: %s", f.Rule, f.Where, f.What)
		return nil
	})
	r.must(err)
}

// restored gives all files of the trees in the target as they were at a run; nil
// runs: now. Identities open what is sealed.
func (r *rig) restored(runs map[int64]int64, ids ...*seal.Identities) map[string]string {
	r.T.Helper()
	trees, err := r.Catalog.Trees(r.T.Context(), r.row.ID)
	r.must(err)
	down, err := transfer.NewDownloader(r.store, transfer.DownloadOptions{Clock: r.Clock})
	r.must(err)
	to := r.T.TempDir()
	var identities func(context.Context) (seal.Identities, error)
	if len(ids) > 0 {
		identities = func(context.Context) (seal.Identities, error) { return *ids[0], nil }
	}
	_, err = restore.Run(r.T.Context(), restore.Options{
		Catalog: r.Catalog, Row: r.row, Store: r.store, Downloader: down, Clock: r.Clock, Events: firn.Discard,
		Trees: trees, Runs: runs, To: to, Identities: identities, Days: restore.Days{Tiers: []firn.Tier{firn.Bulk}},
	})
	r.must(err)
	files := map[string]string{}
	r.must(filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(to, path)
		files[rel] = string(data)
		return err
	}))
	return files
}

// expect compares files.
func (r *rig) expect(got, want map[string]string) {
	r.T.Helper()
	for path, data := range want {
		if have, ok := got[path]; !ok || have != data {
			r.T.Errorf("%s: there: %t, with %d bytes of %d", path, ok, len(have), len(data))
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			r.T.Errorf("%s: nobody wants it", path)
		}
	}
}

// loose stores an archive that belongs to no tree.
func (r *rig) loose(description string, data []byte) {
	r.T.Helper()
	run, err := r.Catalog.BeginRun(r.T.Context(), r.Row.ID, 0, "archive upload")
	r.must(err)
	in := []catalog.Intent{{Store: r.Row.ID, Run: run.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive, Description: description, Size: int64(len(data))}}
	r.must(r.Catalog.Intend(r.T.Context(), in))
	sums := treehash.NewDouble()
	sums.Write(data)
	id, err := r.Memory.UploadArchive(r.T.Context(), description, io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), sums.Sums())
	r.must(err)
	r.must(r.Catalog.Stored(r.T.Context(), in[0].ID, firn.Archive{ID: id, Size: int64(len(data)), Tree: treehash.Sum(data), Created: r.Clock.Now()}, run, nil))
}

// fill syncs files, changes some, and syncs again: versions, a removed file, two of
// one content, a bundle, a large one, and loose archives.
func (r *rig) fill() (want map[string]string) {
	r.Write("a", "one")
	r.Write("b/c", "two")
	r.Write("b/d", "two")
	r.Write("gone", "gone")
	r.WriteLarge("large", "large")
	r.Sync()
	r.Clock.Advance(time.Hour)
	r.Write("a", "another one")
	r.must(os.Remove(filepath.Join(r.Root, "gone")))
	r.Bundle(1<<20, 8<<20)
	for i := range 20 {
		r.Write(fmt.Sprintf("small/%02d", i), fmt.Sprintf("small %d", i))
	}
	r.Sync()
	r.loose("my words", []byte("loose"))
	r.loose("my words", []byte("loose again"))
	want = map[string]string{"a": "another one", "b/c": "two", "b/d": "two", "large": "large" + strings.Repeat("\x00", int(worktest.Large)-5)}
	for i := range 20 {
		want[fmt.Sprintf("small/%02d", i)] = fmt.Sprintf("small %d", i)
	}
	return want
}

func TestEverythingMoves(t *testing.T) {
	for name, bundling := range map[string]migrate.Bundling{"single": {}, "bundled": {Below: 1 << 20, Size: 4 << 20}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, storetest.MemoryOptions{})
			want := r.fill()
			tree := r.Tree()
			o := r.options()
			o.Bundling = bundling
			o.Bundling.Spool = r.spool
			var told migrate.Outlook
			o.Agree = func(_ context.Context, p migrate.Outlook) error { told = p; return nil }
			res := r.migrate(o)
			if !res.Done || res.Failed() || res.Pending() || !slices.Equal(res.Moved, []string{"tree"}) || len(res.Left) != 0 {
				t.Errorf("result %+v", res)
			}
			if n := int64(len(r.Memory.Archives())); told.Archives != n || res.Migration.Totals[catalog.CopyDone].Files != n {
				t.Errorf("told of %+v, copied %+v, of %d archives", told, res.Migration.Totals, n)
			}
			r.checked()
			r.expect(r.restored(nil), want)
			first, err := r.Catalog.FirstRun(t.Context(), tree.ID)
			r.must(err)
			old := r.restored(map[int64]int64{tree.ID: first.ID})
			if old["a"] != "one" || old["gone"] != "gone" || len(old) != 5 {
				t.Errorf("as of the first run: %d files, a is %q", len(old), old["a"])
			}
			r.sameLoose()
			again := r.migrate(o)
			if again.Copied.Files != 0 || !again.Done {
				t.Errorf("once more: %+v", again)
			}
		})
	}
}

// sameLoose compares the loose archives of both stores.
func (r *rig) sameLoose() {
	r.T.Helper()
	loose := func(m *storetest.Memory) (all []string) {
		for _, a := range m.Archives() {
			if a.Description == "my words" {
				all = append(all, fmt.Sprint(a.Size, a.Tree))
			}
		}
		slices.Sort(all)
		return all
	}
	if a, b := loose(r.Memory), loose(r.target); len(a) != 2 || !slices.Equal(a, b) {
		r.T.Errorf("loose archives %v, in the target %v", a, b)
	}
}

// TestOverDays: jobs take hours, and their output is gone a day later.
func TestOverDays(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour})
	want := r.fill()
	o := r.options()
	res := r.migrate(o)
	if !res.Pending() || res.Done || res.Ready.IsZero() {
		t.Fatalf("at first: %+v", res)
	}
	r.Clock.Advance(40 * time.Hour) // the outputs are gone
	if res = r.migrate(o); !res.Pending() || res.Copied.Files != 0 {
		t.Fatalf("once they are gone: %+v", res)
	}
	r.Clock.Advance(6 * time.Hour)
	if res = r.migrate(o); !res.Done {
		t.Fatalf("in the end: %+v", res)
	}
	r.checked()
	r.expect(r.restored(nil), want)
}

// TestRateIsKept: what may be asked for in an hour, and in one call, is bounded.
func TestRateIsKept(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour})
	for i := range 10 {
		r.Write(fmt.Sprint(i), strings.Repeat(fmt.Sprint(i), 1000))
	}
	r.Sync()
	jobs := func() int { all, err := storetest.Collect(r.Memory.Jobs(t.Context())); r.must(err); return len(all) }
	o := r.options()
	o.RetrieveRate = 3500
	r.migrate(o)
	if n := jobs(); n != 3 {
		t.Errorf("%d jobs in the first hour", n)
	}
	r.Clock.Advance(61 * time.Minute)
	o.MaxFiles = 2
	r.migrate(o)
	if n := jobs(); n != 5 {
		t.Errorf("%d jobs in the second hour", n)
	}
}

// TestDamagedArchiveFailsAlone: it is named, its tree stays, and nothing of it is
// left in the target. Once it is right again the rest goes.
func TestDamagedArchiveFailsAlone(t *testing.T) {
	for name, size := range map[string]int{"small": 100, "in parts": 40 << 20} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, storetest.MemoryOptions{})
			r.Write("good", "good")
			r.Write("bad", strings.Repeat("x", size))
			r.Sync()
			damaged := &damage{Store: r.Store, size: int64(size)}
			o := r.options()
			o.From.Store = damaged
			res := r.migrate(o)
			if !res.Failed() || res.Done || !slices.Equal(res.Left, []string{"tree"}) {
				t.Errorf("result %+v", res)
			}
			if got := r.Files(firn.Failed); !slices.Equal(got, []string{"bad"}) {
				t.Errorf("failed: %q", got)
			}
			if n := len(r.target.Archives()); n != 1 {
				t.Errorf("%d archives in the target", n)
			}
			if uploads, err := storetest.Collect(r.target.Uploads(t.Context())); err != nil || len(uploads) != 0 {
				t.Errorf("uploads left: %v, %v", uploads, err)
			}
			r.checked()
			o.From.Store = r.Store
			if res := r.migrate(o); !res.Done {
				t.Errorf("once it is right: %+v", res)
			}
			r.checked()
		})
	}
}

// damage gives other bytes for archives of one size, and no hash of them.
type damage struct {
	firn.Store
	size int64
}

func (d *damage) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := d.Store.Output(ctx, id, at)
	if err != nil {
		return out, err
	}
	job, err := d.Store.Job(ctx, id)
	if err == nil && job.ArchiveSize == d.size {
		out.ReadCloser, out.Tree = wrong{out.ReadCloser}, treehash.Hash{}
	}
	return out, err
}

type wrong struct {
	inner interface {
		Read([]byte) (int, error)
		Close() error
	}
}

func (w wrong) Close() error { return w.inner.Close() }
func (w wrong) Read(p []byte) (int, error) {
	n, err := w.inner.Read(p)
	for i := range p[:n] {
		p[i] ^= 1
	}
	return n, err
}

// TestDescribedAnew: each archive says in the target what it is.
func TestDescribedAnew(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.fill()
	r.migrate(r.options())
	tokens := map[firn.Token]bool{}
	kinds := map[describe.Kind]int{}
	for _, a := range append(r.Memory.Archives(), r.target.Archives()...) {
		d := describe.Decode(a.Description)
		kinds[d.Kind]++
		if d.Kind == describe.Bundle && d.Index == 0 {
			t.Errorf("a bundle without its index: %+v", d)
		}
		if d.Format != describe.Firn {
			continue
		}
		if d.Tree != "tree" || tokens[d.Token] {
			t.Errorf("%+v: its token is another's: %t", d, tokens[d.Token])
		}
		tokens[d.Token] = true
	}
	if kinds[describe.Bundle] != 2 || kinds[describe.File] != 8 {
		t.Errorf("kinds %v", kinds)
	}
}

// TestNameClashIsToldFirst: nothing is copied where the tree could not move.
func TestNameClashIsToldFirst(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.Write("a", "one")
	r.Sync()
	_, err := r.Catalog.Bind(t.Context(), r.row.ID, "tree", "there", "/elsewhere")
	r.must(err)
	if _, err := migrate.Run(t.Context(), r.options()); firn.KindOf(err) != firn.Conflict || len(r.target.Archives()) != 0 {
		t.Errorf("%v, %d archives", err, len(r.target.Archives()))
	}
}

// TestWhereItWent: others find the new place of an archive by its old id.
func TestWhereItWent(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.fill()
	if _, moved, err := r.Catalog.MovedTo(t.Context(), "memory:"); moved || err != nil {
		t.Errorf("before: %t, %v", moved, err)
	}
	o := r.options()
	o.Bundling = migrate.Bundling{Below: 1 << 20, Size: 4 << 20, Spool: r.spool}
	r.migrate(o)
	for _, name := range []string{"memory:", "memory"} {
		m, moved, err := r.Catalog.MovedTo(t.Context(), name)
		if err != nil || !moved || !m.Copied || m.Finished || m.URL != "memory:target" || m.Target != r.row.ID {
			t.Errorf("%s went to %+v, %t, %v", name, m, moved, err)
		}
	}
	target := map[firn.ArchiveID][]byte{}
	for _, a := range r.target.Archives() {
		target[a.ID] = r.bytes(r.target, a)
	}
	for _, a := range r.Memory.Archives() {
		p, ok, err := r.Catalog.CopyOf(t.Context(), r.Row.ID, a.ID)
		if err != nil || !ok || p.Size != a.Size {
			t.Errorf("%s: %+v, %t, %v", a.ID, p, ok, err)
			continue
		}
		if got := treehash.Sum(target[p.Remote][p.Offset : p.Offset+p.Size]); got != a.Tree {
			t.Errorf("%s is not what is there: %+v", a.ID, p)
		}
	}
}

func (r *rig) bytes(m *storetest.Memory, a firn.Archive) []byte {
	r.T.Helper()
	id, err := m.StartRetrieval(r.T.Context(), firn.RetrievalSpec{Archive: a.ID, Tier: firn.Bulk})
	r.must(err)
	down, err := transfer.NewDownloader(m, transfer.DownloadOptions{})
	r.must(err)
	data, err := down.Fetch(r.T.Context(), id, nil, firn.Range{End: a.Size})
	r.must(err)
	return data
}

// TestStopped: however often it is stopped, nothing is there twice, nothing missing.
func TestStopped(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	want := r.fill()
	n := 0
	for stop := 1; ; stop++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		o := r.options()
		o.Bundling = migrate.Bundling{Below: 1 << 20, Size: 4 << 20, Spool: r.spool}
		left := stop
		o.To.Store = &stopper{Store: r.store, stop: func() {
			if left--; left == 0 {
				cancel(errStopped)
			}
		}}
		o.Concurrency = 1
		res, err := migrate.Run(ctx, o)
		cancel(nil)
		if err == nil && res.Done {
			break
		}
		if n++; !errors.Is(err, errStopped) && err != nil || n > 100 {
			t.Fatalf("stop %d: %+v, %v", stop, res, err)
		}
	}
	if n < 3 {
		t.Errorf("stopped only %d times", n)
	}
	r.checked()
	r.expect(r.restored(nil), want)
	seen := map[string]int{}
	for _, a := range r.target.Archives() {
		if seen[a.Tree.String()]++; seen[a.Tree.String()] > 1 {
			t.Errorf("twice: %+v", a)
		}
	}
}

var errStopped = errors.New("stopped")

// A stopper counts what is stored, after the store has it.
type stopper struct {
	firn.Store
	stop func()
}

func (s *stopper) CompleteUpload(ctx context.Context, id firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	s.stop()
	a, err := s.Store.CompleteUpload(ctx, id, size, tree)
	s.stop()
	return a, err
}

func (s *stopper) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	s.stop()
	a, err := s.Store.UploadArchive(ctx, description, body, sums)
	s.stop()
	return a, err
}

func (s *stopper) StartUpload(ctx context.Context, description string, partSize int64) (firn.UploadID, error) {
	s.stop()
	return s.Store.StartUpload(ctx, description, partSize)
}

// TestSnapshotsAreMade: after a move the target's next snapshot is a whole one.
func TestSnapshotsAreMade(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.fill()
	so := r.SnapshotOptions()
	so.Row, so.Store = r.row, r.store
	var err error
	so.Info, err = r.target.Describe(t.Context())
	r.must(err)
	so.Uploader, err = transfer.NewUploader(r.store, r.store.Traits(), transfer.UploadOptions{Clock: r.Clock, TokenOf: describe.TokenOf})
	r.must(err)
	maker := snapshot.NewMaker(so)
	o := r.options()
	o.Saved = maker.Make
	if res := r.migrate(o); !res.Done {
		t.Fatalf("%+v", res)
	}
	all, err := r.Catalog.Snapshots(t.Context(), r.row.ID)
	if err != nil || len(all) != 1 || all[0].Base != 0 || all[0].State != catalog.Stored {
		t.Errorf("snapshots %+v, %v", all, err)
	}
	r.checked()
}
