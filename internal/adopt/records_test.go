package adopt_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// fastGlacier describes a file as FastGlacier does.
func fastGlacier(name string) string {
	return "<m><v>4</v><p>" + base64.StdEncoding.EncodeToString([]byte(name)) + "</p></m>"
}

// journalLine is a line of mt-aws-glacier's journal.
func journalLine(id firn.ArchiveID, size int, name string) string {
	return fmt.Sprintf("B\t1355666755\tCREATED\t%s\t%d\t1355566755\t%s\t%s\n", id, size, treehash.Sum([]byte(strings.Repeat("j", size))), name)
}

// TestJournal: a journal's names win over the descriptions, and what the vault
// hasn't got is told.
func TestJournal(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	one := r.upload("some words", "one")
	two := r.upload(mt2File, "two!")
	r.upload("three.txt", "33333")
	deleted := r.upload("deleted.txt", "deleted")
	nameless := r.upload("by its words", "x")
	journal := r.file("journal", journalLine(one, 3, "dir/one")+journalLine(two, 4, "dir/../two")+
		journalLine(deleted, 7, "dir/deleted")+fmt.Sprintf("B\t%d\tDELETED\t%s\tdir/deleted\n", r.clock.Now().Unix(), deleted)+
		"rubbish\n"+journalLine("gone", 5, "dir/gone")+journalLine(nameless, 1, string(nameless))+"B\t1355666755\tCREATED\ttorn")
	res := r.adopt(func(o *adopt.Options) { o.Journals = []string{journal} })
	r.want("vault", "by its words 1", "three.txt 5", "dir/one 3", "dir/___/two 4")
	if res.Bad != 2 || res.Missing != 1 || res.Complete() || res.Bare.Files != 0 || res.Known != 0 {
		t.Errorf("%+v", res)
	}
	r.heard("journal line 5", "journal line 8", "dir/gone is in "+journal+", but not in the vault", "dir/../two is kept as dir/___/two", "archive "+string(deleted)+" was deleted")
	tree, err := r.catalog.Tree(t.Context(), r.row.ID, "vault")
	r.check(err)
	all, err := r.catalog.History(t.Context(), tree.ID, "dir/one")
	r.check(err)
	if e := all[0]; !e.Stamp.ModTime.Equal(time.Unix(1355566755, 0)) || e.Content.Tree != treehash.Sum([]byte("one")) {
		t.Errorf("%+v", e)
	}
	res = r.adopt(func(o *adopt.Options) { o.Journals = []string{journal} })
	if res.Files.Files != 0 || res.Known != 4 {
		t.Errorf("again: %+v", res)
	}
}

// TestJournalAlone takes a journal by its word.
func TestJournalAlone(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	id := r.upload(mt2File, "jjj")
	journal := r.file("journal", journalLine(id, 3, "a\\b")+journalLine("old", 2, "v")+journalLine("new", 4, "v"))
	alone := func(o *adopt.Options) { o.Journals, o.WithoutInventory = []string{journal}, true }
	res := r.adopt(alone)
	r.want("vault", `a\b 3`, "v 4")
	if res.Older != 1 || res.Files.Files != 3 || !res.Dated.IsZero() {
		t.Errorf("%+v", res)
	}
	if got := r.versions("vault", `a\b`); !slices.Equal(got, []string{"jjj"}) {
		t.Errorf("%v", got)
	}
	if res = r.adopt(alone); res.Known != 3 || res.Files.Files != 0 {
		t.Errorf("again: %+v", res)
	}
	if res = r.adopt(nil); res.Known != 1 || res.Files.Files != 0 {
		t.Errorf("with the inventory: %+v", res)
	}
}

// TestTwoVersionsOfASafeName: names of a journal that had to be changed stay
// apart from others, in later runs too, when nothing tells any more how they
// were.
func TestTwoVersionsOfASafeName(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	lines := journalLine("1", 1, "a\x01") + journalLine("2", 2, "a%01") + journalLine("3", 3, "a\x01")
	alone := func(text string) func(*adopt.Options) {
		return func(o *adopt.Options) {
			o.Journals, o.WithoutInventory = []string{r.file("journal", text)}, true
		}
	}
	r.adopt(alone(lines))
	first := r.ls("vault")
	if len(first) != 2 || first[0] != "a%01 3" || !strings.HasPrefix(first[1], "a%01~") {
		t.Fatalf("%q", first)
	}
	r.adopt(alone(lines + journalLine("4", 4, "a\x01") + journalLine("5", 5, "a%01")))
	clash, _, _ := strings.Cut(first[1], " ")
	r.want("vault", "a%01 4", clash+" 5")
}

// TestFilesThatAreNone are refused before anything is done.
func TestFilesThatAreNone(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.upload("x", "x")
	journal := r.file("journal", journalLine("id", 3, "x"))
	for name, change := range map[string]func(*adopt.Options){
		"a journal as a database": func(o *adopt.Options) { o.Databases = []string{journal} },
		"rubbish":                 func(o *adopt.Options) { o.Journals = []string{r.file("rubbish", "one\ntwo\n")} },
		"nothing":                 func(o *adopt.Options) { o.Journals = []string{r.dir + "/missing"} },
	} {
		o := r.options()
		change(&o)
		if _, err := adopt.Run(t.Context(), o); err == nil || firn.KindOf(err) != firn.Usage && firn.KindOf(err) != firn.Local {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.want("vault")
}
