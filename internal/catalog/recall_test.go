package catalog_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestRecall: archives are recalled that are as recorded in size and time, and what
// is recalled is as recorded in a comparison.
func TestRecall(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 3, 3) // several pages, and both halves of the index
	made := epoch.AddDate(0, -1, 0)
	want := map[string]bool{"same": true, "size": false, "overwritten": false, "lost": false, "deleted": false, "foreign": true, "strange": false,
		"untold": true, "untold, and too old": false, "untold, and too young": false}
	list := map[string]firn.Archive{}
	for name := range want {
		created := made
		if len(name) >= 6 && name[:6] == "untold" {
			created = time.Time{}
		}
		switch name {
		case "strange":
			list[name] = firn.Archive{ID: "nobody's", Size: 1, Created: made}
		case "foreign":
			a := foreignArchive(1)
			_, err := f.TakeIn(t.Context(), f.run, []catalog.Find{{Archive: a, Kind: catalog.ForeignArchive}})
			check(t, err)
			list[name] = a
		default:
			list[name] = f.held(t, f.run, name, created)
		}
	}
	check(t, f.MarkLost(t.Context(), f.run, []int64{f.rowOf(t, list["lost"].ID)}))
	check(t, f.MarkDeleted(t.Context(), f.run, f.rowOf(t, list["deleted"].ID)))
	stored := f.clock.Now() // when it came, by this machine's clock
	var names []string
	var listed []firn.Archive
	for name, a := range list {
		switch name {
		case "size":
			a.Size++
		case "overwritten":
			a.Created = made.Add(time.Second)
		case "untold":
			a.Created = stored
		case "untold, and too old":
			a.Created = stored.AddDate(0, 0, -1)
		case "untold, and too young":
			a.Created = stored.Add(16 * time.Minute)
		}
		names = append(names, name)
		listed = append(listed, firn.Archive{ID: a.ID, Size: a.Size, Created: a.Created})
	}
	known, err := f.Recall(f.store.ID)(t.Context(), listed)
	check(t, err)
	m := f.NewComparison(f.store.ID)
	for i, name := range names {
		if known[i] != want[name] {
			t.Errorf("%s: known is %v", name, known[i])
		}
		if !known[i] {
			continue
		}
		if listed[i].Tree != list[name].Tree {
			t.Errorf("%s: another hash", name)
		}
		differs, err := m.Add(t.Context(), listed[i:i+1])
		check(t, err)
		differs = slices.DeleteFunc(differs, func(d catalog.Difference) bool { return d.Verdict == catalog.Untold })
		if len(differs) > 0 {
			t.Errorf("%s: %+v", name, differs)
		}
	}
}
