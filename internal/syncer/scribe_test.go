package syncer_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/mtjournal"
	"github.com/firn-archive/firn/treehash"
)

// A journalist is a bench whose syncs keep a journal.
type journalist struct {
	*worktest.Bench
	path string
}

func newJournalist(t *testing.T, o storetest.MemoryOptions, faults ...storetest.Fault) journalist {
	t.Helper()
	return journalist{worktest.New(t, o, faults...), filepath.Join(t.TempDir(), "journal.log")}
}

// WriteLarge is that of the bench, with a time of long ago.
func (j journalist) WriteLarge(path, content string) {
	j.T.Helper()
	j.Bench.WriteLarge(path, content)
	old := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	if err := os.Chtimes(filepath.Join(j.Root, path), old, old); err != nil {
		j.T.Fatal(err)
	}
}

// options are those of a sync that keeps the journal.
func (j journalist) options() syncer.Options {
	o := j.Options()
	o.Journal = j.path
	return o
}

// sync syncs as modes say, and keeps the journal.
func (j journalist) sync(m syncer.Modes) syncer.Result {
	j.T.Helper()
	o := j.options()
	o.Modes = m
	return run(j.Bench, o)
}

// text is the journal.
func (j journalist) text() string {
	j.T.Helper()
	text, err := os.ReadFile(j.path)
	if err != nil {
		j.T.Fatal(err)
	}
	return string(text)
}

// append writes lines as another program does.
func (j journalist) append(lines ...string) {
	j.T.Helper()
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		j.T.Fatal(err)
	}
	defer f.Close()
	for _, line := range lines {
		if _, err := fmt.Fprintln(f, line); err != nil {
			j.T.Fatal(err)
		}
	}
}

// wants fails unless mtglacier, by what the journal says, knows just these
// files, each version in an archive that the store has and with its metadata.
func (j journalist) wants(versions map[string]int) {
	j.T.Helper()
	state, err := mtjournal.Load(strings.NewReader(j.text()), func(bad *mtjournal.LineError) { j.T.Errorf("line %d: %v", bad.Line, bad) })
	if err != nil {
		j.T.Fatal(err)
	}
	stored := map[string]firn.Archive{}
	for _, a := range j.Memory.Archives() {
		stored[string(a.ID)] = a
	}
	got := map[string]int{}
	for r := range state.All() {
		got[r.Path]++
		a, there := stored[r.Archive]
		if tree, ok := r.TreeHash(); !there || !ok || tree != a.Tree || r.Size != a.Size {
			j.T.Errorf("the journal has %+v, the store %+v", r, a)
		}
		if old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC).Unix(); !r.HasMTime || r.MTime != old || r.Time < old { // see worktest.Bench.Write
			j.T.Errorf("times of %+v", r)
		}
	}
	if !maps.Equal(got, versions) {
		j.T.Errorf("the journal has %v, want %v", got, versions)
	}
	if len(stored) != state.Len() {
		j.T.Errorf("%d archives in the store, %d in the journal", len(stored), state.Len())
	}
}

var everything = syncer.Modes{New: true, ReplaceModified: true, DeleteRemoved: true}

// TestJournal: each file has an archive and a line of its own, also where two
// have one content, or one was renamed; what is deleted has a second line.
func TestJournal(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	j.Bundle(1<<20, 4<<20) // which a journal goes without
	for p, text := range map[string]string{"a": "the same", "copy": "the same", "dir/b": "another", "gone": "soon", "empty": ""} {
		j.Write(p, text)
	}
	j.WriteLarge("large", "L")
	j.WriteLarge("large copy", "L")
	if err := os.Symlink("a", filepath.Join(j.Root, "link")); err != nil {
		t.Fatal(err)
	}
	all := map[string]int{"a": 1, "copy": 1, "dir/b": 1, "gone": 1, "large": 1, "large copy": 1}
	j.Counts(j.sync(syncer.Modes{}).Counts, map[firn.Action]int64{firn.Sent: 6, firn.Recorded: 2})
	j.wants(all)

	before := j.text()
	j.Counts(j.sync(syncer.Modes{}).Counts, map[firn.Action]int64{firn.Unchanged: 8})
	if j.text() != before {
		t.Errorf("nothing has changed, but the journal has:\n%s", j.text())
	}

	if err := os.Rename(filepath.Join(j.Root, "a"), filepath.Join(j.Root, "renamed")); err != nil {
		t.Fatal(err)
	}
	remove(t, j.Bench, "gone")
	j.Write("dir/b", "modified")
	all["renamed"], all["dir/b"] = 1, 2
	j.Counts(j.sync(syncer.Modes{}).Counts, map[firn.Action]int64{firn.Sent: 2, firn.Removed: 2, firn.Unchanged: 5})
	j.wants(all)

	j.Write("copy", "modified, too")
	remove(t, j.Bench, "renamed")
	j.Counts(j.sync(everything).Counts, map[firn.Action]int64{firn.Sent: 1, firn.Removed: 1, firn.Unchanged: 5})
	delete(all, "renamed")
	j.wants(all)
	if !strings.Contains(j.text(), "\tDELETED\t") {
		t.Error("nothing was deleted")
	}
}

// TestTouchedIsNotSentAgain: a file that has the content which is stored of it
// keeps its archive.
func TestTouchedIsNotSentAgain(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	j.Write("a", "the same")
	j.Write("b", "the same")
	j.sync(syncer.Modes{})
	if err := os.Chmod(filepath.Join(j.Root, "b"), 0o600); err != nil {
		t.Fatal(err)
	}
	j.Counts(j.sync(everything).Counts, map[firn.Action]int64{firn.Unchanged: 2})
	remove(t, j.Bench, "a")
	j.sync(everything)
	j.wants(map[string]int{"b": 1})
}

// TestJournalCatchesUp: what a sync without a journal did, or one that died
// before it wrote a line, is in the journal after the next one.
func TestJournalCatchesUp(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	for _, p := range []string{"a", "b", "c"} {
		j.Write(p, "content of "+p)
	}
	j.Sync()
	j.Write("b", "modified")
	j.Sync()
	if err := os.Chmod(filepath.Join(j.Root, "c"), 0o600); err != nil { // a version without an archive of its own
		t.Fatal(err)
	}
	j.Sync()
	j.sync(syncer.Modes{})
	j.wants(map[string]int{"a": 1, "b": 2, "c": 1})

	remove(t, j.Bench, "a")
	j.Write("c", "modified")
	syncAs(j.Bench, everything)
	j.sync(syncer.Modes{})
	j.wants(map[string]int{"b": 2, "c": 1})
	before := j.text()
	j.sync(everything)
	if j.text() != before {
		t.Errorf("written once more:\n%s", j.text())
	}

	// A kill after the archive was recorded: the line is the last one, or torn.
	lines := strings.SplitAfter(before, "\n")
	last := lines[len(lines)-2]
	for _, torn := range []int{0, 1, len(last) - 1} {
		if err := os.WriteFile(j.path, []byte(strings.TrimSuffix(before, last)+last[:torn]), 0o600); err != nil {
			t.Fatal(err)
		}
		j.sync(syncer.Modes{})
		j.wants(map[string]int{"b": 2, "c": 1})
	}
	if said := strings.Join(j.Notices(), "\n"); !strings.Contains(said, "was torn") {
		t.Errorf("said: %s", said)
	}
}

// TestJournalAfterLostAnswers: archives that reconciliation finds have lines,
// too, and each has one.
func TestJournalAfterLostAnswers(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{},
		storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Lost, Late: true},
		storetest.Fault{Op: "CompleteUpload", Kind: firn.Lost, Late: true})
	for _, p := range []string{"a", "b", "c"} {
		j.Write(p, "content of "+p)
	}
	j.WriteLarge("large", "L")
	j.Counts(j.sync(syncer.Modes{}).Counts, map[firn.Action]int64{firn.Sent: 4})
	j.wants(map[string]int{"a": 1, "b": 1, "c": 1, "large": 1})
}

// TestJournalOfAdopted: archives of others have lines where they are files as
// they were, and no others.
func TestJournalOfAdopted(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	for _, p := range []string{"a", "compressed", "timeless", "other"} {
		j.Write(p, "content of "+p)
	}
	adopt(j.Bench, nil, "a")
	adopt(j.Bench, hashless, "compressed")
	adopt(j.Bench, func(_ string, f *catalog.Find) { f.Members[0].Stamp.ModTime = time.Time{} }, "timeless")
	adopt(j.Bench, func(_ string, f *catalog.Find) { f.Members[0].Tree = "another" }, "other")
	o := j.options()
	o.TrustTimes = true
	j.Counts(run(j.Bench, o).Counts, map[firn.Action]int64{firn.Unchanged: 3, firn.Sent: 1})
	state, err := mtjournal.Load(strings.NewReader(j.text()), func(bad *mtjournal.LineError) { t.Error(bad) })
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := state.Archive("theirs-a"); !ok || r.Path != "a" || r.MTime != time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC).Unix() || r.Time != time.Date(2020, 2, 1, 0, 0, 0, 0, time.UTC).Unix() {
		t.Errorf("of a: %+v, %v", r, ok)
	}
	if r, ok := state.Archive("theirs-timeless"); !ok || r.HasMTime {
		t.Errorf("of timeless: %+v, %v", r, ok)
	}
	if n := len(state.Versions("other")); n != 1 || state.Len() != 3 { // the one that was sent
		t.Errorf("%d archives, %d of other:\n%s", state.Len(), n, j.text())
	}
}

// TestWhatAJournalShows: what only people can see to is said, and not touched.
func TestWhatAJournalShows(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	j.Bundle(1<<20, 4<<20)
	j.Write("small", "content")
	j.Sync()
	j.Bundling = syncer.Bundling{}
	j.Write("a", "content of a")
	j.sync(syncer.Modes{})
	deleted := j.Memory.Archives()
	i := slices.IndexFunc(deleted, func(a firn.Archive) bool { return a.Size == int64(len("content of a")) })
	hash := treehash.Sum([]byte("theirs"))
	j.append(
		fmt.Sprintf("B\t1600000000\tDELETED\t%s\ta", deleted[i].ID),
		fmt.Sprintf("B\t1600000000\tCREATED\tunknown-archive\t6\t1500000000\t%s\ttheirs", hash),
		"B\tno line at all")
	before := j.text()
	for _, dry := range []bool{true, false} {
		j.Notices()
		o := j.options()
		o.DryRun = dry
		run(j.Bench, o)
		said := strings.Join(j.Notices(), "\n")
		for _, want := range []string{
			"warning: 1 lines of ", "1 archives in " + j.path + " are not in the catalog", "firn adopt memory: --journal " + j.path,
			"1 archives that the catalog takes for stored are deleted", "1 archives of this tree hold several files each",
		} {
			if strings.Count(said, want) != 1 {
				t.Errorf("dry %v: %q is not said once:\n%s", dry, want, said)
			}
		}
		if strings.Contains(said, "%!") {
			t.Errorf("dry %v: something is left of a format:\n%s", dry, said)
		}
		if j.text() != before {
			t.Errorf("dry %v: the journal is\n%s", dry, j.text())
		}
	}
}

// TestNamesThatAJournalCantHold stop only themselves, before they are sent.
func TestNamesThatAJournalCantHold(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	j.Write("good", "content")
	j.Write("a\ttab", "one")
	j.Write("a\nline", "two")
	j.Write("no utf-8 \xff", "three")
	for _, dry := range []bool{true, false} {
		o := j.options()
		o.DryRun = dry
		res := run(j.Bench, o)
		j.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 1, firn.Failed: 3})
		if got := j.Files(firn.Failed); len(got) != 3 || !res.Failed() {
			t.Errorf("failed: %q", got)
		}
	}
	j.wants(map[string]int{"good": 1})
	// Those that were stored without a journal have no lines, and are left alone.
	j.Sync()
	j.Notices()
	j.Counts(j.sync(syncer.Modes{}).Counts, map[firn.Action]int64{firn.Unchanged: 4})
	if said := strings.Join(j.Notices(), "\n"); strings.Count(said, "archives have names that") != 1 {
		t.Errorf("said: %s", said)
	}
}

func TestDryRunMakesNoJournal(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	j.Write("a", "content")
	o := j.options()
	o.DryRun = true
	run(j.Bench, o)
	if left, err := os.ReadDir(filepath.Dir(j.path)); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := os.WriteFile(j.path, []byte("a shopping list\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o.DryRun = range []bool{true, false} {
		if _, err := syncer.Run(t.Context(), o); firn.KindOf(err) != firn.Invalid {
			t.Errorf("what is no journal, dry %v: %v", o.DryRun, err)
		}
	}
	if j.text() != "a shopping list\n" {
		t.Errorf("the file is now %q", j.text())
	}
}

// TestJournalInItsOwnDirectory would be sent by each sync, unless it is left out.
func TestJournalInItsOwnDirectory(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	j.path = filepath.Join(j.Root, "kept.journal")
	j.Write("a", "content")
	if _, err := syncer.Run(t.Context(), j.options()); firn.KindOf(err) != firn.Usage {
		t.Errorf("it is not refused: %v", err)
	}
	if _, err := os.Lstat(j.path); err == nil {
		t.Error("it was made")
	}
	rules, err := filter.ParseRules("-kept.journal*")
	if err != nil {
		t.Fatal(err)
	}
	o := j.options()
	o.Filter = filter.New(filter.Options{Rules: rules})
	run(j.Bench, o)
	j.wants(map[string]int{"a": 1})
}

// TestHeldJournal: two syncs never write one journal.
func TestHeldJournal(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	j.Write("a", "content")
	other, err := mtjournal.OpenAppend(j.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := syncer.Run(t.Context(), j.options()); firn.KindOf(err) != firn.Conflict {
		t.Errorf("%v", err)
	}
	wantStored(j.Bench, map[string]int{})
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	j.sync(syncer.Modes{})
	j.wants(map[string]int{"a": 1})
}

// TestJournalOfAnotherDirectory: its names would be taken for this one's.
func TestJournalOfAnotherDirectory(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{})
	j.Write("a", "content")
	j.sync(syncer.Modes{})
	o := j.options()
	o.Tree = "again" // of the same directory
	j.Counts(run(j.Bench, o).Counts, map[firn.Action]int64{firn.Sent: 1})
	j.wants(map[string]int{"a": 2})
	before := j.text()
	o.Tree, o.Root = "other", t.TempDir()
	if err := os.WriteFile(filepath.Join(o.Root, "a"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o.DryRun = range []bool{true, false} {
		if _, err := syncer.Run(t.Context(), o); firn.KindOf(err) != firn.Conflict || !strings.Contains(err.Error(), j.Root) {
			t.Errorf("dry %v: %v", o.DryRun, err)
		}
	}
	if j.text() != before || len(j.Memory.Archives()) != 2 {
		t.Errorf("%d archives, and the journal is\n%s", len(j.Memory.Archives()), j.text())
	}
}

// TestJournalEndsBundlesUnderWay: what an earlier run was about to send together
// is sent one by one.
func TestJournalEndsBundlesUnderWay(t *testing.T) {
	j := newJournalist(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadPart", Nth: 2, Kind: firn.Denied})
	j.Bundle(64<<20, 100<<20)
	for i := range 5 {
		j.Write(fmt.Sprint(i), strings.Repeat(fmt.Sprint(i), 15<<20))
	}
	if _, err := syncer.Run(t.Context(), j.Options()); firn.KindOf(err) != firn.Denied {
		t.Fatalf("first run: %v", err)
	}
	if in, err := j.Catalog.OpenIntents(t.Context(), j.Row.ID); err != nil || len(in) != 1 || in[0].Kind != catalog.BundleArchive {
		t.Fatalf("open: %+v, %v", in, err)
	}
	j.Counts(j.sync(syncer.Modes{}).Counts, map[firn.Action]int64{firn.Sent: 5})
	j.wants(map[string]int{"0": 1, "1": 1, "2": 1, "3": 1, "4": 1})
	j.Stored() // and no upload is open
}
