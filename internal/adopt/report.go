package adopt

import (
	"fmt"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
)

// tellMost is how many things of one sort are told one by one.
const tellMost = 20

// tellBad is the same for entries that can't be read: each is to be looked at.
const tellBad = 1000

// A teller tells what was met, the first of each sort one by one, and counts
// them all.
type teller struct {
	events firn.Sink
	told   map[string]int64 // by sort
	sorts  []sort
}

// A sort is something that is told often.
type sort struct {
	name, rest string // what the others were, after a number
	most       int64
}

// tell tells of one thing. Rest says what it is, for those that aren't told.
func (t *teller) tell(name, rest, format string, args ...any) {
	most := int64(tellMost)
	if name == "bad" {
		most = tellBad
	}
	t.told[name]++
	if t.told[name] == 1 {
		t.sorts = append(t.sorts, sort{name, rest, most})
	}
	if t.told[name] <= most {
		t.events(firn.NoticeEvent{Text: fmt.Sprintf(format, args...), Warn: name == "bad"})
	}
}

// rest tells how many there were beside those that were told.
func (t *teller) rest() {
	for _, s := range t.sorts {
		if more := t.told[s.name] - s.most; more > 0 {
			t.events(firn.NoticeEvent{Text: fmt.Sprintf("and %d more %s", more, s.rest)})
		}
	}
}

// report tells what the numbers mean for whoever wants his files back.
func (a *adopter) report() {
	a.teller.rest()
	say := func(n int64, format string, args ...any) {
		if n > 0 {
			a.Events(firn.NoticeEvent{Text: archives(n) + fmt.Sprintf(format, args...)})
		}
	}
	say(a.res.Missing, " in records, but not in the vault")
	say(a.res.Deleted, " left out, since a record says that they are deleted; should one be there still, adopt again without that record")
	say(a.res.Unsized, " left out, since their records say neither how large they are nor what is in them: adopt with an inventory")
	if a.DryRun {
		say(a.res.Bare.Files, " with no name that is known here")
	} else {
		say(a.res.Bare.Files, " with no name that is known here; they are listed by: firn archive list %s", a.Row.URL)
	}
	say(a.res.Own.Files, " of firn's own, with the names of many files inside; these come back with: firn recover %s", a.Row.URL)
	if a.databases > 0 && !(a.gaveSynced() && a.res.Bare.Files == 0) {
		a.Events(firn.NoticeEvent{Text: fmt.Sprintf("the newest database of glaciersync is of %s, and has the names of what glaciersync stored: bring it back with firn restore %s %s --tree %s --to DIR, and adopt again with --db",
			a.databaseOf, a.Row.URL, syncedDatabase, a.Tree+packedSuffix)})
	}
}

// gaveSynced reports whether a database of glaciersync was given.
func (a *adopter) gaveSynced() bool {
	return slices.ContainsFunc(a.files, func(f recordFile) bool { return f.kind == foreign.GlacierSyncDatabase })
}

func archives(n int64) string {
	if n == 1 {
		return "1 archive"
	}
	return fmt.Sprintf("%d archives", n)
}
