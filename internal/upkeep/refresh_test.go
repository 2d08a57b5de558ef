package upkeep_test

import (
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

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

const day = 24 * time.Hour

// lagging is a store that makes an inventory a day, and takes hours to hand it out.
var lagging = storetest.MemoryOptions{InventoryEvery: day, JobDelay: 4 * time.Hour, MinDuration: 90 * day}

// A doctored store lists archives otherwise than they are.
type doctored struct {
	firn.Store
	change func(firn.Archive) []firn.Archive
	// fail, if it isn't nil, breaks off an inventory.
	fail error
}

func (d *doctored) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	var n int64
	info, err := d.Store.Inventory(ctx, id, func(a firn.Archive) error {
		for _, one := range d.change(a) {
			if err := each(one); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	info.Archives = n
	return info, errors.Join(err, d.fail)
}

// refresh runs a refresh of a bench, with changed options.
func refresh(b *worktest.Bench, change func(*upkeep.RefreshOptions)) (upkeep.RefreshResult, error) {
	b.T.Helper()
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "refresh")
	must(b.T, err)
	o := upkeep.RefreshOptions{Catalog: b.Catalog, Row: b.Row, Store: b.Store, Run: run, Now: b.Clock.Now(), Events: b.Events, Wait: true}
	if change != nil {
		change(&o)
	}
	o.Asker = retrieval.New(retrieval.Options{Catalog: b.Catalog, Row: b.Row.ID, Store: o.Store, Clock: b.Clock, Events: b.Events, Run: run})
	return upkeep.Refresh(b.T.Context(), o)
}

func fix(o *upkeep.RefreshOptions) { o.Fix = true }

// classes checks how many archives a refresh found of each class, and that it lists
// so many.
func classes(b *worktest.Bench, res upkeep.RefreshResult, err error, same, remains int64, want map[upkeep.Class]int64) {
	b.T.Helper()
	must(b.T, err)
	got := map[upkeep.Class]int64{}
	for class, t := range res.Found {
		got[class] = t.Files
	}
	if want == nil {
		want = map[upkeep.Class]int64{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.T.Errorf("classes (-want +got):\n%s", diff)
	}
	if res.Same.Files != same || res.Remains() != remains {
		b.T.Errorf("%d as recorded, %d differences remain; want %d and %d", res.Same.Files, res.Remains(), same, remains)
	}
}

// sound checks that the catalog holds together.
func sound(b *worktest.Bench) {
	b.T.Helper()
	_, err := b.Catalog.Check(b.T.Context(), func(f catalog.Fault) error {
		b.T.Errorf("the catalog: %+v", f)
		return nil
	})
	must(b.T, err)
}

// others stores an archive as another program does.
func others(b *worktest.Bench, description, content string) firn.ArchiveID {
	b.T.Helper()
	sums := treehash.NewDouble()
	sums.Write([]byte(content))
	id, err := b.Memory.UploadArchive(b.T.Context(), description, io.NewSectionReader(strings.NewReader(content), 0, int64(len(content))), sums.Sums())
	must(b.T, err)
	return id
}

// archiveOf gives the archive that the only file of a path is in.
func archiveOf(b *worktest.Bench, path string) catalog.Entry {
	b.T.Helper()
	versions, err := b.Catalog.History(b.T.Context(), b.Tree().ID, path)
	must(b.T, err)
	if len(versions) == 0 {
		b.T.Fatalf("no version of %s", path)
	}
	return versions[len(versions)-1]
}

// synced is a bench with three files, two days after they were stored.
func synced(t *testing.T) *worktest.Bench {
	b := worktest.New(t, lagging)
	for _, name := range []string{"a", "b", "c"} {
		b.Write(name, "content of "+name)
	}
	b.Sync()
	b.Clock.Advance(4 * day)
	return b
}

func TestRefreshWhereAllAgrees(t *testing.T) {
	b := synced(t)
	res, err := refresh(b, nil)
	classes(b, res, err, 3, 0, nil)
	if res.Listed.Files != 3 || res.Listed != res.Same || res.Dated.IsZero() {
		t.Errorf("%+v", res)
	}
	// When the archives were made was not known: now it is.
	for h, err := range b.Catalog.Archives(t.Context(), b.Row.ID) {
		if must(t, err); h.Created.Year() < 2020 {
			t.Errorf("%s was made at %s", h.Remote, h.Created)
		}
	}
	// What agreed is good enough for a while: nothing is asked.
	silent := storetest.Faulty(t, b.Memory)
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Store, o.MaxAge = silent, 80*time.Hour })
	if must(t, err); !res.Young || res.Dated.IsZero() {
		t.Errorf("young: %+v", res)
	}
	b.Clock.Advance(4 * day)
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.MaxAge = 80 * time.Hour })
	classes(b, res, err, 3, 0, nil)
	if res.Young {
		t.Error("an old inventory was good enough")
	}
}

func TestRefreshWithoutAnyInventory(t *testing.T) {
	b := worktest.New(t, lagging)
	b.Write("a", "a")
	b.Sync()
	_, err := refresh(b, nil)
	if firn.KindOf(err) != firn.NotReady || !strings.Contains(err.Error(), "no inventory yet") {
		t.Errorf("%v", err)
	}
}

// TestRefreshWaits: a job is asked for once, whoever comes back.
func TestRefreshWaits(t *testing.T) {
	b := synced(t)
	for range 3 {
		res, err := refresh(b, func(o *upkeep.RefreshOptions) { o.Wait = false })
		if must(t, err); !res.Pending || res.Ready.IsZero() {
			t.Fatalf("%+v", res)
		}
		b.Clock.Advance(time.Hour)
	}
	b.Clock.Advance(2 * time.Hour)
	res, err := refresh(b, func(o *upkeep.RefreshOptions) { o.Wait = false })
	classes(b, res, err, 3, 0, nil)
	if n := jobs(b); n != 1 {
		t.Errorf("%d jobs", n)
	}
	// Another one is asked for where that is wanted, once.
	for range 3 {
		res, err := refresh(b, func(o *upkeep.RefreshOptions) { o.Wait, o.New = false, true })
		if must(t, err); !res.Pending {
			t.Fatalf("%+v", res)
		}
		b.Clock.Advance(time.Hour)
	}
	b.Clock.Advance(2 * time.Hour)
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Wait, o.New = false, true })
	classes(b, res, err, 3, 0, nil)
	if n := jobs(b); n != 2 {
		t.Errorf("%d jobs", n)
	}
}

func jobs(b *worktest.Bench) (n int) {
	for _, err := range b.Memory.Jobs(b.T.Context()) {
		must(b.T, err)
		n++
	}
	return n
}

// TestRefreshVanished: what is gone is lost once that is fixed, and sent again.
func TestRefreshVanished(t *testing.T) {
	b := synced(t)
	gone := archiveOf(b, "b")
	must(t, b.Memory.DeleteArchive(t.Context(), gone.Location.Remote))
	b.Clock.Advance(2*day + time.Hour)
	b.Write("new", "too new")
	b.Sync()
	want := map[upkeep.Class]int64{upkeep.Vanished: 1, upkeep.TooNew: 1}
	res, err := refresh(b, nil)
	classes(b, res, err, 2, 1, want)
	if got := archiveOf(b, "b").Location.State; got != catalog.Stored {
		t.Errorf("unasked it became %s", got)
	}
	// It is no good as an answer the next time.
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.MaxAge = 80 * time.Hour })
	classes(b, res, err, 2, 1, want)
	res, err = refresh(b, fix)
	classes(b, res, err, 2, 0, want)
	if got := archiveOf(b, "b").Location.State; got != catalog.Lost {
		t.Errorf("it became %s", got)
	}
	res, err = refresh(b, nil)
	classes(b, res, err, 2, 0, map[upkeep.Class]int64{upkeep.TooNew: 1})
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1, firn.Unchanged: 3})
	sound(b)
}

// TestRefreshReturned: an inventory that was cut short made them lost.
func TestRefreshReturned(t *testing.T) {
	b := synced(t)
	half := &doctored{Store: b.Store, change: func(a firn.Archive) []firn.Archive {
		if a.Size == int64(len("content of a")) && a.ID != archiveOf(b, "a").Location.Remote {
			return nil
		}
		return []firn.Archive{a}
	}}
	res, err := refresh(b, func(o *upkeep.RefreshOptions) { o.Store, o.Fix = half, true })
	classes(b, res, err, 1, 0, map[upkeep.Class]int64{upkeep.Vanished: 2})
	want := map[upkeep.Class]int64{upkeep.Returned: 2}
	res, err = refresh(b, nil)
	classes(b, res, err, 1, 2, want)
	res, err = refresh(b, fix)
	classes(b, res, err, 1, 0, want)
	res, err = refresh(b, nil)
	classes(b, res, err, 3, 0, nil)
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 3})
	sound(b)
}

// TestRefreshOtherBytes: an archive that isn't what was sent is warned of, and is
// lost once that is fixed.
func TestRefreshOtherBytes(t *testing.T) {
	for name, change := range map[string]func(*firn.Archive){
		"size": func(a *firn.Archive) { a.Size++ },
		"hash": func(a *firn.Archive) { a.Tree = treehash.Sum([]byte("another")) },
	} {
		t.Run(name, func(t *testing.T) {
			b := synced(t)
			bad := archiveOf(b, "b").Location.Remote
			store := &doctored{Store: b.Store, change: func(a firn.Archive) []firn.Archive {
				if a.ID == bad {
					change(&a)
				}
				return []firn.Archive{a}
			}}
			with := func(o *upkeep.RefreshOptions) { o.Store = store }
			want := map[upkeep.Class]int64{upkeep.Mismatch: 1}
			res, err := refresh(b, with)
			classes(b, res, err, 2, 1, want)
			res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Store, o.Fix = store, true })
			classes(b, res, err, 2, 0, want)
			res, err = refresh(b, with)
			classes(b, res, err, 2, 0, want)
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1, firn.Unchanged: 2})
		})
	}
}

// TestRefreshWhatOthersStored: it is recorded at once, and afterwards firn adopt
// finds it as it would have before; what is wrong with its record is put right.
func TestRefreshWhatOthersStored(t *testing.T) {
	b := worktest.New(t, lagging)
	id := others(b, "a letter", "dear")
	others(b, "", "nameless")
	b.Clock.Advance(4 * day)
	res, err := refresh(b, nil)
	classes(b, res, err, 0, 0, map[upkeep.Class]int64{upkeep.Strange: 2})
	res, err = refresh(b, nil)
	classes(b, res, err, 2, 0, nil)
	if n, err := b.Catalog.Unnamed(t.Context(), b.Row.ID); err != nil || n != 2 {
		t.Errorf("%d archives nobody knows, %v", n, err)
	}
	other := &doctored{Store: b.Store, change: func(a firn.Archive) []firn.Archive {
		if a.ID == id {
			a.Description = "another letter"
		} else {
			a.Tree = treehash.Sum([]byte("another"))
		}
		return []firn.Archive{a}
	}}
	want := map[upkeep.Class]int64{upkeep.Reworded: 1, upkeep.Mismatch: 1}
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Store = other })
	classes(b, res, err, 0, 2, want)
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Store, o.Fix = other, true })
	classes(b, res, err, 0, 0, want)
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Store = other })
	classes(b, res, err, 2, 0, nil)
	// They delete it again: nothing to be alarmed about.
	must(t, b.Memory.DeleteArchive(t.Context(), id))
	b.Clock.Advance(2 * day)
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Store = other })
	classes(b, res, err, 1, 0, map[upkeep.Class]int64{upkeep.Departed: 1})
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Store = other })
	classes(b, res, err, 1, 0, nil)
	sound(b)
}

// TestRefreshDeletions: what is deleted is listed for a while; what is listed for
// long was not deleted, and is queued again.
func TestRefreshDeletions(t *testing.T) {
	b := synced(t)
	gone := archiveOf(b, "b")
	must(t, os.Remove(filepath.Join(b.Root, "b")))
	b.Sync()
	retire(b, gone)
	// It is recorded, and never done.
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "prune")
	must(t, err)
	must(t, b.Catalog.MarkDeleted(t.Context(), run, gone.Location.Archive))
	must(t, b.Catalog.EndRun(t.Context(), run, catalog.Outcome{Complete: true}))
	b.Clock.Advance(time.Hour)
	res, err := refresh(b, nil)
	classes(b, res, err, 2, 0, map[upkeep.Class]int64{upkeep.Lagging: 1})
	b.Write("later", "keeps the inventory going")
	b.Sync()
	b.Clock.Advance(4 * day)
	want := map[upkeep.Class]int64{upkeep.Undeleted: 1}
	res, err = refresh(b, nil)
	classes(b, res, err, 3, 1, want)
	res, err = refresh(b, fix)
	classes(b, res, err, 3, 0, want)
	var queued []firn.ArchiveID
	for d, err := range b.Catalog.Deletions(t.Context(), b.Row.ID, b.Clock.Now().Add(365*day)) {
		must(t, err)
		queued = append(queued, d.Remote)
	}
	if !slices.Equal(queued, []firn.ArchiveID{gone.Location.Remote}) {
		t.Errorf("queued: %q", queued)
	}
	res, err = refresh(b, nil)
	classes(b, res, err, 4, 0, nil)
	sound(b)
}

// retire forgets a version, so that nothing refers to its archive.
func retire(b *worktest.Bench, e catalog.Entry) {
	b.T.Helper()
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "prune")
	must(b.T, err)
	if n, err := b.Catalog.Retire(b.T.Context(), run, catalog.Retirement{}, []catalog.Entry{e}); err != nil || n != 1 {
		b.T.Fatalf("%d versions forgotten, %v", n, err)
	}
}

// TestRefreshOrphans: what this catalog stored without knowing is taken in, what
// other machines stored is left to firn recover.
func TestRefreshOrphans(t *testing.T) {
	b := synced(t)
	tree := b.Tree().Name
	words := func(a describe.Archive) string {
		a.Token, a.ModTime, a.Made = firn.NewToken(), time.Unix(1e9, 0), time.Unix(1e9, 0)
		s, err := describe.Encode(a)
		must(t, err)
		return s
	}
	self := b.Catalog.ID()
	others(b, words(describe.Archive{Kind: describe.File, Tree: tree, Path: "lost/answer", Catalog: self}), "answer")
	others(b, words(describe.Archive{Kind: describe.Opaque, Tree: tree, Path: "x\n", Catalog: self}), "opaque")
	others(b, words(describe.Archive{Kind: describe.File, Path: "loose", Catalog: self}), "loose")
	others(b, words(describe.Archive{Kind: describe.Bundle, Tree: tree, Members: 3, Index: 100, Catalog: self}), "a bundle")
	others(b, words(describe.Archive{Kind: describe.File, Tree: "theirs", Path: "a", Catalog: firn.Token{7}}), "theirs")
	others(b, words(describe.Archive{Kind: describe.File, Tree: "nobody's", Path: "a"}), "nobody's")
	b.Clock.Advance(4 * day)
	want := map[upkeep.Class]int64{upkeep.Orphan: 4, upkeep.Elsewhere: 2}
	res, err := refresh(b, nil)
	classes(b, res, err, 3, 4, want)
	res, err = refresh(b, fix)
	classes(b, res, err, 3, 1, want)
	if n := res.Of(upkeep.Orphan).Recover; n != 1 {
		t.Errorf("%d left to firn recover", n)
	}
	res, err = refresh(b, nil)
	classes(b, res, err, 6, 1, map[upkeep.Class]int64{upkeep.Orphan: 1, upkeep.Elsewhere: 2})
	if got := archiveOf(b, "lost/answer"); got.Location.State != catalog.Stored {
		t.Errorf("%+v", got)
	}
	sound(b)
}

// TestRefreshGivenUp: an archive whose upload was given up, and that arrived all
// the same, goes to the tree that it was for.
func TestRefreshGivenUp(t *testing.T) {
	b := synced(t)
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, b.Tree().ID, "sync")
	must(t, err)
	var descriptions []string
	var intents []catalog.Intent
	for _, path := range []string{"dropped", "on its way"} {
		token := firn.NewToken()
		s, err := describe.Encode(describe.Archive{Kind: describe.File, Token: token, Tree: "as called then", Path: path, ModTime: time.Unix(1e9, 0), Made: time.Unix(1e9, 0)})
		must(t, err)
		descriptions = append(descriptions, s)
		intents = append(intents, catalog.Intent{Store: b.Row.ID, Run: run.ID, Token: token, Kind: catalog.FileArchive, Description: s, Tree: b.Tree().ID, Size: 4,
			File: firn.File{Path: path, Kind: firn.Regular, Mode: 0o644}})
	}
	must(t, b.Catalog.Intend(t.Context(), intents))
	must(t, b.Catalog.Drop(t.Context(), intents[0].ID, "given up"))
	for _, s := range descriptions {
		others(b, s, "late")
	}
	b.Clock.Advance(4 * day)
	want := map[upkeep.Class]int64{upkeep.Orphan: 1, upkeep.Unsettled: 1}
	res, err := refresh(b, nil)
	classes(b, res, err, 3, 1, want)
	res, err = refresh(b, fix)
	classes(b, res, err, 3, 0, want)
	if got := archiveOf(b, "dropped"); got.Location.State != catalog.Stored {
		t.Errorf("%+v", got)
	}
	sound(b)
}

// TestRefreshSparesAMass: where more than a quarter of all archives, and 1,000, are
// gone, they are given up only where that is expected.
func TestRefreshSparesAMass(t *testing.T) {
	const n, gone = 1200, 1001
	b := worktest.New(t, lagging)
	for i := range n {
		b.Write(fmt.Sprintf("dir/%04d", i), fmt.Sprint("file ", i))
	}
	b.Sync()
	b.Clock.Advance(4 * day)
	i := 0
	part := &doctored{Store: b.Store, change: func(a firn.Archive) []firn.Archive {
		if i++; i <= gone {
			return nil
		}
		return []firn.Archive{a}
	}}
	want := map[upkeep.Class]int64{upkeep.Vanished: gone}
	res, err := refresh(b, func(o *upkeep.RefreshOptions) { o.Store, o.Fix = part, true })
	classes(b, res, err, n-gone, gone, want)
	if !res.Mass || b.Tree().Files != n {
		t.Errorf("%+v", res)
	}
	i = 0
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Store, o.Fix, o.ExpectChanges = part, true, true })
	classes(b, res, err, n-gone, 0, want)
	if res.Mass {
		t.Error("spared")
	}
	o := b.Options()
	o.ExpectChanges = true
	sent, err := b.SyncWith(o)
	must(t, err)
	b.Counts(sent.Counts, map[firn.Action]int64{firn.Sent: gone, firn.Unchanged: n - gone})
	sound(b)
}

// TestRefreshHostileInventory: whatever a list holds, what it says counts once, and
// paths stay in their trees.
func TestRefreshHostileInventory(t *testing.T) {
	b := synced(t)
	evil, err := describe.Encode(describe.Archive{Kind: describe.Opaque, Token: firn.NewToken(), Tree: b.Tree().Name, Path: "../../evil", Catalog: b.Catalog.ID(),
		ModTime: time.Unix(1e9, 0), Made: time.Unix(1e9, 0)})
	must(t, err)
	first := true
	store := &doctored{Store: b.Store, change: func(a firn.Archive) []firn.Archive {
		all := []firn.Archive{a, a}
		if first {
			nul := firn.Archive{ID: "nul\x00\xff", Description: "\x00\x1b[2J", Size: -5, Created: time.Unix(-1<<40, 0)}
			long := firn.Archive{ID: firn.ArchiveID(strings.Repeat("x", 100_000)), Description: strings.Repeat("mt2 ", 50_000), Size: 1 << 62}
			all = append(all, firn.Archive{Description: "no id"}, nul, nul, long, firn.Archive{ID: "evil", Description: evil, Size: 1})
		}
		first = false
		return all
	}}
	res, err := refresh(b, func(o *upkeep.RefreshOptions) { o.Store, o.Fix = store, true })
	classes(b, res, err, 3, 1, map[upkeep.Class]int64{upkeep.Strange: 2, upkeep.Orphan: 1})
	if res.Twice != 4 || res.Nameless != 1 {
		t.Errorf("%d twice, %d without an id", res.Twice, res.Nameless)
	}
	sound(b)
}

// TestRefreshGoesOn: one that is cut short, wherever, changes nothing for the next.
func TestRefreshGoesOn(t *testing.T) {
	b := synced(t)
	must(t, b.Memory.DeleteArchive(t.Context(), archiveOf(b, "b").Location.Remote))
	for i := range 5 {
		others(b, fmt.Sprint("letter ", i), "dear")
	}
	b.Clock.Advance(4 * day)
	broken := &doctored{Store: b.Store, change: func(a firn.Archive) []firn.Archive { return []firn.Archive{a} }, fail: errors.New("broken off")}
	if _, err := refresh(b, func(o *upkeep.RefreshOptions) { o.Store, o.Fix = broken, true }); err == nil {
		t.Error("no error")
	}
	for stop := 1; stop <= 6; stop++ {
		ctx, cancel := context.WithCancel(t.Context())
		run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "refresh")
		must(t, err)
		n := 0
		_, err = upkeep.Refresh(ctx, upkeep.RefreshOptions{
			Catalog: b.Catalog, Row: b.Row, Store: b.Store, Run: run, Now: b.Clock.Now(), Events: b.Events, Wait: true, Fix: true,
			Asker: retrieval.New(retrieval.Options{Catalog: b.Catalog, Row: b.Row.ID, Store: b.Store, Clock: b.Clock, Events: b.Events, Run: run}),
			Each: func(upkeep.Found) {
				if n++; n == stop {
					cancel()
				}
			},
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %d: %v", stop, err)
		}
	}
	res, err := refresh(b, fix)
	classes(b, res, err, 2, 0, map[upkeep.Class]int64{upkeep.Strange: 5, upkeep.Vanished: 1})
	res, err = refresh(b, nil)
	classes(b, res, err, 7, 0, nil)
	sound(b)
}

// TestRefreshTwoMachines: what one machine stores and deletes is no loss to the
// other, which has learned of it from a snapshot or an inventory.
func TestRefreshTwoMachines(t *testing.T) {
	b := synced(t)
	path := filepath.Join(t.TempDir(), "other.db")
	other, err := catalog.Open(t.Context(), path, b.Clock)
	must(t, err)
	defer other.Close()
	row, err := other.Register(t.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	must(t, err)
	second := &worktest.Bench{T: t, Memory: b.Memory, Store: b.Store, Catalog: other, Row: row, Clock: b.Clock, Root: filepath.Join(t.TempDir(), "second")}
	second.Write("x", "of the second machine")
	second.Sync()
	b.Clock.Advance(4 * day)
	res, err := refresh(b, fix)
	classes(b, res, err, 3, 0, map[upkeep.Class]int64{upkeep.Elsewhere: 1})
	res, err = refresh(second, fix)
	classes(second, res, err, 1, 0, map[upkeep.Class]int64{upkeep.Elsewhere: 3})
}
