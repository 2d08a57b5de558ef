package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// held records an archive that is stored, and gives it as the store lists it.
func (f *fixture) held(t *testing.T, run catalog.Run, name string, created time.Time) firn.Archive {
	t.Helper()
	in := f.intend(t, run, regular(name, name))
	words, err := describe.Encode(describe.Archive{Kind: describe.File, Token: in.Token, Tree: "photos", Path: name, ModTime: epoch, Made: epoch})
	check(t, err)
	a := firn.Archive{ID: firn.ArchiveID("archive of " + name), Description: words, Size: int64(len(name)), Tree: content(name).Tree, Created: created}
	check(t, f.Stored(t.Context(), in.ID, a, run, nil))
	return a
}

// verdicts compares an inventory, and gives what differs: verdict and id.
func (f *fixture) verdicts(t *testing.T, inventory int64, margin time.Duration) (all []string) {
	t.Helper()
	for d, err := range f.Compare(t.Context(), inventory, margin) {
		check(t, err)
		all = append(all, fmt.Sprint(d.Verdict, ": ", d.Archive.ID))
	}
	slices.Sort(all)
	return all
}

func TestCompare(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 3, 3) // several pages, and both halves of the index
	dated := epoch.AddDate(0, 1, 0)
	old := dated.AddDate(0, 0, -3)
	run, err := f.BeginRun(t.Context(), f.store.ID, 0, "prune")
	check(t, err)
	all := map[string]firn.Archive{}
	for _, name := range []string{"same", "size", "hash", "words", "lost", "deleted", "gone", "other words and size", "no hash listed"} {
		all[name] = f.held(t, f.run, name, old)
	}
	all["untold"] = f.held(t, f.run, "untold", time.Time{})
	f.held(t, f.run, "young", dated.Add(-time.Hour))
	check(t, f.MarkLost(t.Context(), run, []int64{f.rowOf(t, all["lost"].ID)}))
	check(t, f.MarkDeleted(t.Context(), run, f.rowOf(t, all["deleted"].ID)))
	foreign := []firn.Archive{foreignArchive(1), foreignArchive(2), foreignArchive(3)}
	for _, a := range foreign {
		_, err := f.TakeIn(t.Context(), f.run, []catalog.Find{{Archive: a, Kind: catalog.ForeignArchive}})
		check(t, err)
	}

	list := map[string]firn.Archive{}
	for name, a := range all {
		switch name {
		case "size", "other words and size":
			a.Size++
		case "hash":
			a.Tree = treehash.Sum([]byte("another"))
		case "untold":
			a.Created = old
		case "no hash listed":
			a.Tree = treehash.Hash{}
		}
		if name == "words" || name == "other words and size" {
			a.Description = all["same"].Description
		}
		if name != "gone" {
			list[name] = a
		}
	}
	foreign[1].Description = "another"
	listed := []firn.Archive{{ID: "stranger"}, foreign[0], foreign[1]}
	for _, a := range list {
		listed = append(listed, a)
	}
	inv := f.staged(t, dated, listed...)
	want := []string{
		"departed: " + string(foreign[2].ID), "description: " + string(foreign[1].ID), "description: archive of words",
		"hash: archive of hash", "lingering: archive of deleted", "new: archive of young", "returned: archive of lost",
		"size: archive of other words and size", "size: archive of size", "stranger: stranger", "untold: archive of untold", "vanished: archive of gone",
	}
	slices.Sort(want)
	if diff := gocmp.Diff(want, f.verdicts(t, inv.ID, catalog.InventoryMargin)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := f.verdicts(t, inv.ID, 0); !slices.Contains(got, "vanished: archive of young") {
		t.Errorf("without lag: %q", got)
	}
	for range f.Compare(t.Context(), inv.ID, 0) {
		break // wants no more
	}
}

// TestUnlistedOfAKill: what was stored by a run that never ended is not too new for
// ever.
func TestUnlistedOfAKill(t *testing.T) {
	f := newFixture(t)
	killed, err := f.BeginRun(t.Context(), f.store.ID, f.tree.ID, "sync")
	check(t, err)
	f.held(t, killed, "gone", time.Time{})
	for dated, want := range map[time.Time]string{
		epoch.Add(catalog.InventoryMargin):     "new: archive of gone",
		epoch.Add(2 * catalog.InventoryMargin): "vanished: archive of gone",
	} {
		inv := f.staged(t, dated)
		if got := f.verdicts(t, inv.ID, catalog.InventoryMargin); !slices.Equal(got, []string{want}) {
			t.Errorf("of %v: %q", dated, got)
		}
	}
}

// TestOutlived: an archive that was deleted is listed for a while.
func TestOutlived(t *testing.T) {
	ended := epoch
	for _, tt := range []struct {
		verdict catalog.Verdict
		ended   time.Time
		dated   time.Time
		margin  time.Duration
		want    bool
	}{
		{catalog.Lingering, ended, ended.Add(-time.Hour), catalog.InventoryMargin, false},
		{catalog.Lingering, ended, ended.Add(catalog.InventoryMargin), catalog.InventoryMargin, false},
		{catalog.Lingering, ended, ended.Add(catalog.InventoryMargin + time.Second), catalog.InventoryMargin, true},
		{catalog.Lingering, ended, ended.Add(time.Minute), 0, false}, // two clocks
		{catalog.Lingering, ended, ended.Add(2 * time.Hour), 0, true},
		{catalog.Lingering, time.Time{}, ended, 0, false},
		{catalog.Returned, ended, ended.Add(1000 * time.Hour), 0, false},
	} {
		d := catalog.Difference{Verdict: tt.verdict, Ended: tt.ended}
		if got := d.Outlived(tt.dated, tt.margin); got != tt.want {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}

// TestCompareLikeSets: whatever is known and listed, in whatever order and batches,
// what differs is what two sets say.
func TestCompareLikeSets(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 5 {
		f := newFixture(t)
		f.SetSizes(1+random.IntN(7), 3, 3)
		var listed []firn.Archive
		var want []string
		for i := range 60 {
			name := fmt.Sprint(i)
			a := firn.Archive{ID: firn.ArchiveID("archive of " + name)}
			known, isListed := random.IntN(3) > 0, random.IntN(3) > 0
			if known {
				a = f.held(t, f.run, name, epoch)
			}
			switch {
			case isListed:
				listed = append(listed, a)
				if !known {
					want = append(want, "stranger: "+string(a.ID))
				}
			case known:
				want = append(want, "vanished: "+string(a.ID))
			}
		}
		random.Shuffle(len(listed), func(i, j int) { listed[i], listed[j] = listed[j], listed[i] })
		inv := f.staged(t, epoch.AddDate(0, 1, 0), listed...)
		slices.Sort(want)
		if diff := gocmp.Diff(want, f.verdicts(t, inv.ID, catalog.InventoryMargin)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// TestComparisonCounts: what comes twice counts once, and what is as recorded is
// counted, whoever records it meanwhile.
func TestComparisonCounts(t *testing.T) {
	f := newFixture(t)
	a, b := f.held(t, f.run, "a", epoch), f.held(t, f.run, "bb", epoch)
	m := f.NewComparison(f.store.ID)
	for _, batch := range [][]firn.Archive{{a, {}}, {b, a}, {{ID: "late"}}} {
		_, err := m.Add(t.Context(), batch)
		check(t, err)
	}
	if m.Same != (firn.Count{Files: 2, Bytes: 3}) || m.Twice != 1 || m.Nameless != 1 {
		t.Errorf("%+v, %d twice, %d nameless", m.Same, m.Twice, m.Nameless)
	}
	inv := f.staged(t, epoch, firn.Archive{ID: "archive of late", Size: 4, Tree: content("late").Tree, Created: epoch})
	late := f.held(t, f.run, "late", epoch)
	for d, err := range m.Differences(t.Context(), inv.ID) {
		check(t, err)
		if d.Verdict != catalog.OtherWords { // staged without any
			t.Errorf("%+v", d)
		}
	}
	for d, err := range m.Unlisted(t.Context(), epoch.AddDate(1, 0, 0), 0) {
		t.Errorf("%v, %v; %s is listed", d, err, late.ID)
	}
}

// TestAwaitedInventory: who wants a new one finds that somebody waits for it.
func TestAwaitedInventory(t *testing.T) {
	f := newFixture(t)
	for _, want := range []time.Time{{}, epoch.Truncate(time.Second), {}} {
		check(t, f.AwaitInventory(t.Context(), f.store.ID, want))
		if got, err := f.AwaitedInventory(t.Context(), f.store.ID); err != nil || !got.Equal(want) {
			t.Errorf("since %v, %v; want %v", got, err, want)
		}
	}
}
