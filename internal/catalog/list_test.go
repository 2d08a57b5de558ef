package catalog_test

import (
	"fmt"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestShallow lists a directory whose directories were never recorded: what is
// in them makes up for it, however late it comes.
func TestShallow(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	f.record(t, f.run, regular("top", "one"), regular("early/z", "one"), regular("both/z", "one"), directory("both"))
	second := f.begin(t)
	for i := range 50 {
		f.record(t, second, regular(fmt.Sprintf("early/%02d", i), "two"), regular(fmt.Sprintf("late/%02d/x", i), "two"))
	}
	third := f.begin(t)
	_, err := f.Remove(t.Context(), third, []string{"late"})
	check(t, err)
	for _, c := range []struct {
		q    catalog.ListQuery
		want string
	}{
		{catalog.ListQuery{}, "top@1 both@1 early@0"},
		{catalog.ListQuery{At: f.run.ID}, "top@1 both@1 early@0"},
		{catalog.ListQuery{At: second.ID}, "top@1 both@1 early@0 late@0"},
		{catalog.ListQuery{All: true}, "top@1 both@1 early@0 late@0"},
		{catalog.ListQuery{Path: "early", At: f.run.ID}, "early/z@1"},
		{catalog.ListQuery{Path: "late", At: f.run.ID}, ""},
		{catalog.ListQuery{Path: "top"}, "top@1"},
		{catalog.ListQuery{Path: "nowhere"}, ""},
	} {
		c.q.Tree, c.q.Shallow = f.tree.ID, true
		if got := f.list(t, c.q); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
}

// TestManyVersions: a file has more versions than fit a page.
func TestManyVersions(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(3, 10_000, 100_000)
	f.record(t, f.run, directory("d"), symlink("d/a", "x"), symlink("d/z", "x"))
	var runs []catalog.Run
	for i := range 20 {
		run := f.begin(t)
		f.record(t, run, symlink("d/log", fmt.Sprint(i)))
		runs = append(runs, run)
	}
	for i, run := range runs {
		want := fmt.Sprintf("d@1 d/a@1 d/log@%d d/z@1", run.ID)
		if got := f.list(t, catalog.ListQuery{Tree: f.tree.ID, At: run.ID}); got != want {
			t.Errorf("at version %d: %s, want %s", i, got, want)
		}
	}
	all, err := f.History(t.Context(), f.tree.ID, "d/log")
	check(t, err)
	for i, e := range all {
		if e.Target != fmt.Sprint(i) || e.Kind != firn.Symlink || e.Removed || (e.Until == 0) != (i == 19) {
			t.Errorf("version %d: %+v", i, e)
		}
	}
	if len(all) != 20 {
		t.Errorf("%d versions", len(all))
	}
}
