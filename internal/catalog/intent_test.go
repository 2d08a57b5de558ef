package catalog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// openIntents gives what there is to reconcile, as after a kill.
func (f *fixture) openIntents(tb testing.TB) []catalog.Intent {
	tb.Helper()
	intents, err := f.OpenIntents(tb.Context(), f.store.ID)
	check(tb, err)
	return intents
}

func TestUploadRecords(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	ch := regular("odd\xff\nname", "content")
	ch.Mode = 0o600
	want := f.intend(t, f.run, ch)
	step := func(name string, err error) {
		t.Helper()
		check(t, err)
		if diff := gocmp.Diff([]catalog.Intent{want}, f.openIntents(t)); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
	}
	step("intended", nil)

	want.State, want.Upload, want.PartSize = catalog.Uploading, "upload-1", 1<<20
	step("opened", f.UploadOpened(ctx, want.ID, "upload-1", 1<<20))

	second := firn.Part{Offset: 1 << 20, Size: 7, Tree: treehash.Sum([]byte("2"))}
	want.Parts = []firn.Part{second}
	step("second part", f.PartDone(ctx, want.ID, second))
	first := firn.Part{Size: 1 << 20, Tree: treehash.Sum([]byte("1"))}
	want.Parts = []firn.Part{first, second}
	step("first part", f.PartDone(ctx, want.ID, first))
	first.Tree = treehash.Sum([]byte("again"))
	want.Parts[0] = first
	step("first part again", f.PartDone(ctx, want.ID, first))

	want.State, want.Size, want.TreeHash = catalog.Completing, 1<<20+7, treehash.Sum([]byte("all"))
	step("completing", f.UploadCompleting(ctx, want.ID, want.Size, want.TreeHash))

	want.State, want.Since = catalog.Doubt, epoch.Add(time.Hour)
	step("in doubt", f.Doubtful(ctx, want.ID, want.Since))

	want.State, want.Upload, want.PartSize, want.Parts, want.Since, want.Resent = catalog.Intended, "", 0, nil, time.Time{}, true
	step("again", f.Retry(ctx, want.ID))
}

func TestReopenedUploadForgetsParts(t *testing.T) {
	f := newFixture(t)
	in := f.intend(t, f.run, regular("f", "x"))
	check(t, f.UploadOpened(t.Context(), in.ID, "upload-1", 1<<20))
	check(t, f.PartDone(t.Context(), in.ID, firn.Part{Size: 1}))
	check(t, f.UploadOpened(t.Context(), in.ID, "upload-2", 2<<20))
	got := f.openIntents(t)[0]
	if got.Upload != "upload-2" || got.PartSize != 2<<20 || len(got.Parts) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestIntentsInBatches(t *testing.T) {
	f := newFixture(t)
	batch := []catalog.Intent{
		{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Kind: catalog.CatalogArchive, Description: "a snapshot", Size: 9},
		{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Kind: catalog.FileArchive, Tree: f.tree.ID, File: regular("f", "x").File},
	}
	check(t, f.Intend(t.Context(), batch))
	if diff := gocmp.Diff(batch, f.openIntents(t)); diff != "" {
		t.Error(diff)
	}
	bad := []catalog.Intent{batch[0], {Store: f.store.ID}}
	bad[0].Token = firn.NewToken()
	wantKind(t, f.Intend(t.Context(), bad), firn.Invalid, "token")
	bad[1] = batch[1]
	bad[1].File.Path = "../x"
	wantKind(t, f.Intend(t.Context(), bad), firn.Invalid, "../x")
	if n := len(f.openIntents(t)); n != 2 {
		t.Errorf("%d intents: a refused batch left something", n)
	}
}

func TestStored(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	ch := regular("d/f", "content")
	in := f.intend(t, f.run, ch)
	archive := firn.Archive{ID: "remote", Size: ch.Content.Size, Tree: ch.Content.Tree, Created: epoch.Add(time.Second)}
	if _, ok, err := f.FindContent(ctx, f.store.ID, ch.Content); ok || err != nil {
		t.Errorf("found before it was stored: %v", err)
	}
	check(t, f.Stored(ctx, in.ID, archive, f.run, &ch))
	check(t, f.Stored(ctx, in.ID, archive, f.run, &ch)) // said twice

	want := catalog.Location{Archive: in.ID, State: catalog.Stored, Kind: catalog.FileArchive, Remote: "remote", Created: archive.Created, Size: 7, Tree: archive.Tree}
	got, ok, err := f.FindContent(ctx, f.store.ID, ch.Content)
	if !ok || err != nil || got != want {
		t.Errorf("found %+v, %v, %v", got, ok, err)
	}
	if got, ok, err := f.ArchiveByRemote(ctx, f.store.ID, "remote"); !ok || err != nil || got != want {
		t.Errorf("by id: %+v, %v, %v", got, ok, err)
	}
	for e, err := range f.Files(ctx, catalog.ListQuery{Tree: f.tree.ID}) {
		check(t, err)
		if e.Path != "d/f" || e.Location != want || e.Content != ch.Content || e.Run != f.run.ID {
			t.Errorf("listed: %+v", e)
		}
	}
	if len(f.openIntents(t)) != 0 {
		t.Error("the intent is open still")
	}
	if s, _ := f.StoreByURL(ctx, f.store.URL); s.Archives != 1 || s.Bytes != 7 {
		t.Errorf("store has %d archives, %d bytes", s.Archives, s.Bytes)
	}
}

// TestStoredWhole: an archive whose file can't be recorded isn't stored at
// all: else it would be there, and nobody would know for what.
func TestStoredWhole(t *testing.T) {
	f := newFixture(t)
	ch := regular("f", "content")
	in := f.intend(t, f.run, ch)
	ch.Stamp.Size++
	wantKind(t, f.Stored(t.Context(), in.ID, firn.Archive{ID: "remote"}, f.run, &ch), firn.Invalid, "f")
	if got := f.openIntents(t); len(got) != 1 || got[0].State != catalog.Intended {
		t.Errorf("%+v", got)
	}
	if _, ok, _ := f.ArchiveByRemote(t.Context(), f.store.ID, "remote"); ok {
		t.Error("half of it is stored")
	}
}

// TestOutcomesAreFinal calls everything on archives in every state that has an
// outcome, and on none.
func TestOutcomesAreFinal(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	ch := regular("f", "x")
	settled := map[string]int64{"missing": 999}
	for _, state := range []string{"stored", "dropped", "lost", "deleted"} {
		in := f.intend(t, f.run, ch)
		settled[state] = in.ID
		if state == "dropped" {
			check(t, f.Drop(ctx, in.ID, "no reason"))
			continue
		}
		check(t, f.Stored(ctx, in.ID, firn.Archive{ID: firn.ArchiveID(state)}, f.run, nil))
	}
	check(t, f.MarkLost(ctx, f.run, []int64{settled["lost"]}))
	check(t, f.MarkDeleted(ctx, f.run, settled["deleted"]))

	for state, id := range settled {
		for name, call := range map[string]func() error{
			"UploadOpened":     func() error { return f.UploadOpened(ctx, id, "u", 1) },
			"PartDone":         func() error { return f.PartDone(ctx, id, firn.Part{}) },
			"UploadCompleting": func() error { return f.UploadCompleting(ctx, id, 1, treehash.Hash{}) },
			"Stored":           func() error { return f.Stored(ctx, id, firn.Archive{ID: "other"}, f.run, &ch) },
			"Doubtful":         func() error { return f.Doubtful(ctx, id, epoch) },
			"Retry":            func() error { return f.Retry(ctx, id) },
			"Drop":             func() error { return f.Drop(ctx, id, "x") },
		} {
			err, kind := call(), firn.Conflict
			if state == "missing" {
				kind = firn.NotFound
			}
			if firn.KindOf(err) != kind || kind == firn.Conflict && !strings.Contains(err.Error(), state) {
				t.Errorf("%s of an archive that is %s: %v", name, state, err)
			}
		}
	}
	for _, state := range []string{"dropped", "missing"} {
		if err := f.MarkDeleted(ctx, f.run, settled[state]); err == nil {
			t.Errorf("an archive that is %s was deleted", state)
		}
	}
}

func TestLostAndDeletedAreNotFound(t *testing.T) {
	for name, mark := range map[string]func(*fixture, int64) error{
		"lost":    func(f *fixture, id int64) error { return f.MarkLost(context.Background(), f.run, []int64{id}) },
		"deleted": func(f *fixture, id int64) error { return f.MarkDeleted(context.Background(), f.run, id) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ctx := t.Context()
			ch := regular("f", "content")
			remote := f.upload(t, f.run, ch)
			loc, _, err := f.FindContent(ctx, f.store.ID, ch.Content)
			check(t, err)
			check(t, mark(f, loc.Archive))
			check(t, mark(f, loc.Archive)) // said twice
			if _, ok, err := f.FindContent(ctx, f.store.ID, ch.Content); ok || err != nil {
				t.Errorf("content is found still: %v", err)
			}
			if s, _ := f.StoreByURL(ctx, f.store.URL); s.Archives != 0 || s.Bytes != 0 {
				t.Errorf("store has %d archives, %d bytes", s.Archives, s.Bytes)
			}
			// The row stays: a late inventory must not bring it back.
			if got, ok, _ := f.ArchiveByRemote(ctx, f.store.ID, remote); !ok || got.State.String() != name {
				t.Errorf("by id: %+v", got)
			}
			for d, err := range f.Current(ctx, f.tree.ID) {
				check(t, err)
				if d.Files[0].IsStored() {
					t.Error("a planner would take the file as stored")
				}
			}

			// Sent again, it is the same version in a new place.
			run := f.begin(t)
			f.upload(t, run, ch)
			for e, err := range f.Files(ctx, catalog.ListQuery{Tree: f.tree.ID, All: true}) {
				check(t, err)
				if e.Run != f.run.ID || e.Location.State != catalog.Stored || e.Location.Archive == loc.Archive {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

func TestDoubts(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	ch := regular("f", "content")
	since := epoch.Add(time.Hour)
	doubts := func() []catalog.DoubtfulUpload {
		t.Helper()
		d, err := f.Doubts(ctx, f.store.ID)
		check(t, err)
		return d
	}

	// It turns out to have arrived: no doubt is left.
	in := f.intend(t, f.run, ch)
	check(t, f.Doubtful(ctx, in.ID, since.Add(-1)))
	check(t, f.Doubtful(ctx, in.ID, since)) // said again, later
	want := catalog.DoubtfulUpload{ID: 1, Archive: in.ID, State: catalog.Doubt, Token: in.Token, Since: since, Size: 7, Tree: f.tree.ID, Path: "f"}
	if diff := gocmp.Diff([]catalog.DoubtfulUpload{want}, doubts()); diff != "" {
		t.Error(diff)
	}
	check(t, f.Stored(ctx, in.ID, firn.Archive{ID: "1", Size: 7, Tree: ch.Content.Tree}, f.run, &ch))
	if d := doubts(); len(d) != 0 {
		t.Errorf("after it was found: %+v", d)
	}

	// It is sent again, under the same token: there may be two.
	in = f.intend(t, f.run, ch)
	check(t, f.Doubtful(ctx, in.ID, since))
	check(t, f.Retry(ctx, in.ID))
	check(t, f.Stored(ctx, in.ID, firn.Archive{ID: "2", Size: 7, Tree: ch.Content.Tree}, f.run, &ch))
	d := doubts()
	if len(d) != 1 || !d[0].Resent || d[0].State != catalog.Stored || d[0].Token != in.Token {
		t.Fatalf("after it was sent again: %+v", d)
	}
	check(t, f.ResolveDoubt(ctx, d[0].ID))
	wantKind(t, f.ResolveDoubt(ctx, d[0].ID), firn.NotFound, "")

	// Twice in doubt, sent again in between, then found: the first one may
	// have arrived too.
	in = f.intend(t, f.run, ch)
	check(t, f.Doubtful(ctx, in.ID, since))
	check(t, f.Retry(ctx, in.ID))
	check(t, f.Doubtful(ctx, in.ID, since.Add(time.Hour)))
	check(t, f.Stored(ctx, in.ID, firn.Archive{ID: "3", Size: 7, Tree: ch.Content.Tree}, f.run, &ch))
	d = doubts()
	if len(d) != 1 || !d[0].Resent || !d[0].Since.Equal(since) {
		t.Fatalf("after the second was found: %+v", d)
	}
	check(t, f.ResolveDoubt(ctx, d[0].ID))

	// The same, then given up: two are listed.
	in = f.intend(t, f.run, ch)
	check(t, f.Doubtful(ctx, in.ID, since))
	check(t, f.Retry(ctx, in.ID))
	check(t, f.Doubtful(ctx, in.ID, since.Add(time.Hour)))
	check(t, f.Drop(ctx, in.ID, "the file is gone"))
	if d := doubts(); len(d) != 2 || !d[0].Resent || d[1].Resent || d[0].State != catalog.Dropped {
		t.Errorf("after it was given up: %+v", d)
	}
}

func TestSizeStored(t *testing.T) {
	f := newFixture(t)
	other, err := f.Register(t.Context(), spec("local:/b", "B"))
	check(t, err)
	const large = 3 << 20
	ch := regular("f", "x")
	ch.Stamp.Size, ch.Content.Size = large, large
	f.upload(t, f.run, ch)
	for _, c := range []struct {
		store, size int64
		want        bool
	}{
		{f.store.ID, large, true}, {f.store.ID, large + 1, false}, {f.store.ID, large - 1, false}, {other.ID, large, false},
		{f.store.ID, 1, true}, // small: not kept account of
	} {
		if got, err := f.SizeStored(t.Context(), c.store, c.size); got != c.want || err != nil {
			t.Errorf("store %d, size %d: %v, %v", c.store, c.size, got, err)
		}
	}
}

// TestIndexes finds everything at each moment, while rows move between the
// halves of the indexes.
func TestIndexes(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(4096, 7, 20)
	other, err := f.Register(t.Context(), spec("local:/b", "B"))
	check(t, err)
	remotes := map[string]firn.ArchiveID{}
	for i := range 100 {
		text := strings.Repeat("x", i+1)
		remotes[text] = f.upload(t, f.run, regular("d/"+text, text))
		if i%9 != 0 {
			continue
		}
		for text, remote := range remotes {
			loc, ok, err := f.FindContent(t.Context(), f.store.ID, content(text))
			if !ok || err != nil || loc.Remote != remote {
				t.Fatalf("after %d: %d bytes are at %+v, %v", i, len(text), loc, err)
			}
			if _, ok, err := f.ArchiveByRemote(t.Context(), f.store.ID, remote); !ok || err != nil {
				t.Fatalf("after %d: archive %s: %v, %v", i, remote, ok, err)
			}
			if _, ok, _ := f.FindContent(t.Context(), other.ID, content(text)); ok {
				t.Fatal("found in the other store")
			}
		}
	}
	rows, err := f.Query(t.Context(), "SELECT (SELECT count(*) FROM by_tree), (SELECT count(*) FROM by_tree_new), (SELECT count(*) FROM by_remote), (SELECT count(*) FROM by_remote_new)")
	check(t, err)
	sorted, fresh := rows[0][0].(int64), rows[0][1].(int64)
	if sorted+fresh != 100 || fresh > 21 || rows[0][2] != sorted || rows[0][3] != fresh {
		t.Errorf("index rows: %v", rows[0])
	}
}

func TestBury(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	double := firn.Archive{ID: "double", Size: 7, Tree: treehash.Sum([]byte("content")), Created: epoch}
	check(t, f.Bury(ctx, f.run, double))
	check(t, f.Bury(ctx, f.run, double)) // said twice
	loc, ok, err := f.ArchiveByRemote(ctx, f.store.ID, "double")
	if !ok || err != nil || loc.State != catalog.Deleted || loc.Size != 7 || !loc.Created.Equal(epoch) {
		t.Errorf("%+v, %v, %v", loc, ok, err)
	}
	remote := f.upload(t, f.run, regular("f", "content"))
	check(t, f.Bury(ctx, f.run, firn.Archive{ID: remote}))
	if loc, _, _ := f.ArchiveByRemote(ctx, f.store.ID, remote); loc.State != catalog.Stored {
		t.Errorf("a stored archive became %v", loc.State)
	}
	checkInvariants(t, f.Catalog)
}
