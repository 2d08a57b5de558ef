package adopt_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// describeLoose is the description of an archive of no tree, as firn writes it where it
// is called mtglacier: with a mode, which archives by themselves don't have.
func (r *rig) describeLoose(path string, when time.Time, called bool) string {
	r.Helper()
	a := describe.Archive{Token: firn.NewToken(), Kind: describe.File, Path: path, ModTime: when}
	if called {
		a.Mode, a.HasMode = 0o600, true
	}
	text, err := describe.Encode(a)
	r.check(err)
	return text
}

// store stores an archive of no tree, as firn does where it is called mtglacier or
// glacier.
func (r *rig) store(description, content string) firn.ArchiveID {
	r.Helper()
	run, err := r.catalog.BeginRun(r.Context(), r.row.ID, 0, "store")
	r.check(err)
	token, ours := describe.TokenOf(description)
	if !ours {
		token = firn.NewToken()
	}
	id := r.upload(description, content)
	in := []catalog.Intent{{
		Store: r.row.ID, Run: run.ID, Token: token, Kind: catalog.LooseArchive, Description: description,
		Size: int64(len(content)), TreeHash: treehash.Sum([]byte(content)),
	}}
	r.check(r.catalog.Intend(r.Context(), in))
	archive := firn.Archive{ID: id, Description: description, Size: in[0].Size, Tree: in[0].TreeHash} // a vault doesn't say when
	r.check(r.catalog.Stored(r.Context(), in[0].ID, archive, run, nil))
	r.check(r.catalog.EndRun(r.Context(), run, catalog.Outcome{Complete: true}))
	return id
}

// kinds are those of the archives that are recorded, by their ids.
func (r *rig) kinds() map[firn.ArchiveID]catalog.ArchiveKind {
	r.Helper()
	all := map[firn.ArchiveID]catalog.ArchiveKind{}
	for h, err := range r.catalog.Archives(r.Context(), r.row.ID) {
		r.check(err)
		all[h.Remote] = h.Kind
	}
	return all
}

// TestLooseByJournal: what firn stored under the name mtglacier becomes files of a
// tree by the journal, and what no record names stays as it is.
func TestLooseByJournal(t *testing.T) {
	when := time.Unix(1355566755, 5).UTC() // as journalLine says, and some nanoseconds
	for _, with := range []string{"", "none"} {
		r := newRig(t, storetest.MemoryOptions{})
		exact := r.store(r.describeLoose("dir/exact", when, true), "jjj")
		words := r.store("mt2 words", "jj")
		alone := r.store(r.describeLoose("alone", when, false), "alone")
		journal := r.file("journal", journalLine(exact, 3, "dir/exact")+journalLine(words, 2, "dir/words"))
		take := func(o *adopt.Options) { o.Journals, o.WithoutInventory = []string{journal}, with == "none" }
		res := r.adopt(func(o *adopt.Options) { take(o); o.DryRun = true })
		if res.Files.Files != 2 {
			t.Errorf("a dry run: %+v", res)
		}
		r.want("vault")
		res = r.adopt(take)
		r.want("vault", "dir/exact 3", "dir/words 2")
		if res.Files != (firn.Count{Files: 2, Bytes: 5}) || res.Bad != 0 || !res.Complete() || with == "" && res.Known != 1 {
			t.Errorf("%+v", res)
		}
		if got := r.kinds(); got[exact] != catalog.FileArchive || got[words] != catalog.ForeignArchive || got[alone] != catalog.LooseArchive {
			t.Errorf("%v", got)
		}
		tree, err := r.catalog.Tree(t.Context(), r.row.ID, "vault")
		r.check(err)
		all, err := r.catalog.History(t.Context(), tree.ID, "dir/exact")
		r.check(err)
		if e := all[0]; len(all) != 1 || e.Mode != 0o600 || !e.Stamp.ModTime.Equal(when) || e.Content.Tree != treehash.Sum([]byte("jjj")) {
			t.Errorf("%+v", all)
		}
		r.restored("vault", map[string]string{"dir/exact": "jjj", "dir/words": "jj"})
		if res = r.adopt(take); res.Files.Files != 0 || res.Known < 2 {
			t.Errorf("again: %+v", res)
		}
		stores, err := r.catalog.Stores(t.Context())
		r.check(err)
		if stores[0].Archives != 3 || stores[0].Bytes != 10 {
			t.Errorf("counted twice: %+v", stores[0])
		}
	}
}

// TestLooseVersions: archives of one name are versions of a file, in the order in which
// they were made.
func TestLooseVersions(t *testing.T) {
	for _, with := range []string{"", "none"} {
		r := newRig(t, storetest.MemoryOptions{})
		first, second, third := r.store("x", "j"), r.store("x", "jj"), r.store("x", "jjj")
		lines := ""
		for i, id := range []firn.ArchiveID{third, first, second} {
			size := []int{3, 1, 2}[i]
			lines += strings.Replace(journalLine(id, size, "x"), "1355666755", fmt.Sprint(1355666755+60*size), 1)
		}
		journal := r.file("journal", lines)
		r.adopt(func(o *adopt.Options) { o.Journals, o.WithoutInventory = []string{journal}, with == "none" })
		if got := r.versions("vault", "x"); !slices.Equal(got, []string{"j", "jj", "jjj"}) {
			t.Errorf("%q: %v", with, got)
		}
	}
}

// TestLooseUnlisted: an inventory that is too old for what firn stored itself is no
// reason to leave that out.
func TestLooseUnlisted(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	id := r.store("words", "jjj")
	journal := r.file("journal", journalLine(id, 3, "new"))
	old := r.file("inventory", inventoryJSON(vaultARN, r.clock.Now().Add(-time.Hour)))
	res := r.adopt(func(o *adopt.Options) { o.Journals, o.Inventory = []string{journal}, old })
	r.want("vault", "new 3")
	if res.Missing != 0 || res.Known != 0 || res.Files.Files != 1 {
		t.Errorf("%+v", res)
	}
}

// TestLooseThatDiffer: a record with another size, or another hash, is of other bytes
// than were stored.
func TestLooseThatDiffer(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	size, hash := r.store("one", "jjj"), r.store("two", "xxx")
	journal := r.file("journal", journalLine(size, 4, "size")+journalLine(hash, 3, "hash"))
	res := r.adopt(func(o *adopt.Options) { o.Journals = []string{journal} })
	r.want("vault")
	if res.Bad != 2 || res.Complete() || res.Known != 2 {
		t.Errorf("%+v", res)
	}
	r.heard("size has 4 bytes there, and the archive that was stored, "+string(size)+", has 3: it is left out",
		fmt.Sprintf("hash has the tree hash %s there", treehash.Sum([]byte("jjj"))))
}

// TestLooseElsewhere: another machine, whose catalog knows nothing, takes files in that
// firn stored under the name mtglacier, and leaves what was uploaded by itself.
func TestLooseElsewhere(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	when := time.Unix(1e9, 5).UTC()
	called := r.upload(r.describeLoose("dir/called", when, true), "one")
	alone := r.upload(r.describeLoose("alone", when, false), "two")
	r.adopt(nil)
	r.want("vault", "dir/called 3")
	if got := r.kinds(); got[called] != catalog.FileArchive || got[alone] != catalog.LooseArchive {
		t.Errorf("%v", got)
	}
	tree, err := r.catalog.Tree(t.Context(), r.row.ID, "vault")
	r.check(err)
	all, err := r.catalog.History(t.Context(), tree.ID, "dir/called")
	r.check(err)
	if e := all[0]; e.Mode != 0o600 || !e.Stamp.ModTime.Equal(when) {
		t.Errorf("%+v", e)
	}
	// Without its journal it is known by now, and with it still one file.
	journal := r.file("journal", journalLine(called, 3, "dir/called")+journalLine(alone, 3, "alone"))
	res := r.adopt(func(o *adopt.Options) { o.Journals = []string{journal} })
	if r.want("vault", "dir/called 3"); res.Bad != 1 {
		t.Errorf("%+v", res)
	}
}
