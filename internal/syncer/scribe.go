package syncer

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/mtjournal"
)

// A scribe keeps a journal of mt-aws-glacier beside the catalog, which comes
// first: a line is written when the catalog has recorded what it says. Lines
// that a kill kept from being written are written by the next run. A nil scribe
// writes nothing.
type scribe struct {
	path string
	out  *mtjournal.Appender // nil: in a dry run

	mu    sync.Mutex
	lines map[lineKey]mark
	names map[lineKey]string // by which the journal calls archives that are about to be deleted
	told  bool               // what the catalog doesn't have of the journal
}

// A lineKey stands for an archive's id: the first half of its SHA-256. A
// million ids take 40 MB of memory so, and 200 MB as they are.
type lineKey [sha256.Size / 2]byte

func lineKeyOf[T ~string](id T) (k lineKey) {
	sum := sha256.Sum256([]byte(id))
	copy(k[:], sum[:])
	return k
}

// A mark says what a journal has of an archive.
type mark uint8

const (
	isCreated mark = 1 << iota // and not deleted since
	isDeleted
	isKnown // to the catalog
)

// linesAtOnce is how many lines are written in one go, at most.
const linesAtOnce = 1000

// openScribe opens the journal that is to be kept; nil where there is none.
func (o *Options) openScribe() (sc *scribe, err error) {
	if o.Journal == "" {
		return nil, nil
	}
	if err := o.checkJournalApart(); err != nil {
		return nil, err
	}
	out, err := mtjournal.OpenAppend(o.Journal)
	if err != nil {
		return nil, err
	}
	if out.Torn != nil {
		o.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("the last line of %s was torn, and is in %[1]s.torn now", o.Journal)})
	}
	// Names that are not UTF-8 are only written again where the journal has them.
	out.AnyEncoding = true
	sc = &scribe{path: o.Journal, out: out}
	if err := sc.load(o.Events); err != nil {
		return nil, errors.Join(err, sc.close())
	}
	return sc, nil
}

// peekJournal is openScribe for a dry run.
func (o *Options) peekJournal() (sc *scribe, err error) {
	if o.Journal == "" {
		return nil, nil
	}
	if err := o.checkJournalApart(); err != nil {
		return nil, err
	}
	sc = &scribe{path: o.Journal}
	if err := sc.load(o.Events); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return sc, nil
}

// checkJournalApart refuses a journal in the directory that it is about, unless
// a filter leaves it out: each sync would change it, and send it again.
func (o *Options) checkJournalApart() error {
	rel, err := filepath.Rel(o.Root, o.Journal)
	if err != nil || !filepath.IsLocal(rel) {
		return nil
	}
	for _, name := range []string{rel, rel + ".lock"} { // see mtjournal.OpenAppend
		if !o.Filter.Covers(&firn.File{Path: filepath.ToSlash(name), Kind: firn.Regular}) {
			return &firn.Error{Op: "sync", Subject: o.Journal, Kind: firn.Usage, Err: fmt.Errorf("the journal lies in %s, and each sync would send it again", o.Root),
				Hint: fmt.Sprintf("put it somewhere else, or leave it out with --exclude '/%s*'", filepath.ToSlash(rel))}
		}
	}
	return nil
}

func (sc *scribe) close() error {
	if sc == nil || sc.out == nil {
		return nil
	}
	return sc.out.Close()
}

// failed gives an error of the journal the kind that ends a run: no file is at
// fault, and so would the next one end.
func (sc *scribe) failed(err error) error {
	kind := firn.Other
	if firn.KindOf(err) == firn.Full {
		kind = firn.Full
	}
	return &firn.Error{Op: "keep the journal", Subject: sc.path, Kind: kind, Err: err, Hint: "what is stored is recorded; the next sync with this journal writes the lines that it lacks"}
}

// load reads the journal.
func (sc *scribe) load(events firn.Sink) error {
	sc.lines, sc.names = map[lineKey]mark{}, map[lineKey]string{}
	bad, first := 0, error(nil)
	err := sc.read(func(r *mtjournal.Record) {
		switch r.Op {
		case mtjournal.Created:
			sc.lines[lineKeyOf(r.Archive)] = isCreated
		case mtjournal.Deleted:
			sc.lines[lineKeyOf(r.Archive)] = isDeleted
		}
	}, func(err error) {
		bad++
		first = cmp.Or(first, err)
	})
	if bad > 0 && sc.out == nil && len(sc.lines) == 0 {
		return &firn.Error{Op: "read journal", Subject: sc.path, Kind: firn.Invalid, Err: first, Hint: "name a journal of mt-aws-glacier, or a file that isn't there yet"}
	}
	if bad > 0 {
		events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("%d lines of %s can't be read, and mtglacier may refuse it: %v", bad, sc.path, first)})
	}
	return err
}

// read gives all records of the journal. A line that can't be taken, but can be
// read, is one too.
func (sc *scribe) read(take func(*mtjournal.Record), warn func(error)) error {
	f, err := os.Open(sc.path)
	if err != nil {
		return &firn.Error{Op: "read journal", Subject: sc.path, Kind: firn.Local, Err: err}
	}
	defer f.Close()
	for r, err := range mtjournal.Records(f) {
		var line *mtjournal.LineError
		switch {
		case err == nil:
			take(&r)
		case !errors.As(err, &line):
			return &firn.Error{Op: "read journal", Subject: sc.path, Kind: firn.Local, Err: err}
		case line.Reason == mtjournal.Torn: // it is being written
		default:
			warn(err)
			if line.Record != nil {
				take(line.Record)
			}
		}
	}
	return nil
}

// check reports whether the journal can hold a file's name.
func (sc *scribe) check(f *firn.File) error {
	if sc == nil {
		return nil
	}
	const any = "x"
	err := mtjournal.Record{Op: mtjournal.Created, Archive: any, Tree: any, Path: f.Path}.Check()
	if err == nil {
		return nil
	}
	return &firn.Error{Op: "send", Subject: f.Path, Kind: firn.Invalid, Err: err, Hint: "give it another name, or sync it without --journal"}
}

// write writes lines, and notes what the journal has then.
func (sc *scribe) write(records ...mtjournal.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := sc.out.AppendTogether(records...); err != nil {
		return sc.failed(err)
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for i := range records {
		m := isCreated
		if records[i].Op == mtjournal.Deleted {
			m = isDeleted
		}
		sc.lines[lineKeyOf(records[i].Archive)] = m | isKnown
	}
	return nil
}

// fits reports whether a line can be written. One that says that an archive is
// deleted has the name that the journal has, UTF-8 or not.
func (sc *scribe) fits(r *mtjournal.Record) bool {
	c := *r
	if c.Op == mtjournal.Deleted && mtjournal.ValidName(c.Path) {
		c.Path = "x"
	}
	return c.Check() == nil
}

// stored writes that a file was stored.
func (sc *scribe) stored(now time.Time, path string, mtime time.Time, archive firn.Archive) error {
	if sc == nil {
		return nil
	}
	return sc.write(createdLine(now, path, mtime, archive))
}

func createdLine(when time.Time, path string, mtime time.Time, a firn.Archive) mtjournal.Record {
	return mtjournal.Record{
		Op: mtjournal.Created, Time: max(when.Unix(), 0), Archive: string(a.ID), Size: a.Size,
		MTime: mtime.Unix(), HasMTime: !mtime.IsZero(), Tree: a.Tree.String(), Path: path,
	}
}

// deleted writes that an archive was deleted, if the journal has it.
func (sc *scribe) deleted(now time.Time, archive firn.ArchiveID) error {
	if sc == nil {
		return nil
	}
	key := lineKeyOf(archive)
	sc.mu.Lock()
	name, found := sc.names[key]
	delete(sc.names, key)
	sc.mu.Unlock()
	if line := deletedLine(now, name, string(archive)); found && sc.fits(&line) {
		return sc.write(line)
	}
	return nil
}

func deletedLine(now time.Time, path, archive string) mtjournal.Record {
	return mtjournal.Record{Op: mtjournal.Deleted, Time: max(now.Unix(), 0), Archive: archive, Path: path}
}

// deletionsAtOnce is how many deletions are looked up in one reading of the
// journal, which knows the names that their lines need.
const deletionsAtOnce = 20_000

// looksUp gives deletions once it is known how the journal calls them.
func (sc *scribe) looksUp(all iter.Seq2[catalog.Deletion, error]) iter.Seq2[catalog.Deletion, error] {
	if sc == nil {
		return all
	}
	return func(yield func(catalog.Deletion, error) bool) {
		var some []catalog.Deletion
		give := func() bool {
			if err := sc.lookUp(some); err != nil {
				yield(catalog.Deletion{}, err)
				return false
			}
			for _, d := range some {
				if !yield(d, nil) {
					return false
				}
			}
			some = some[:0]
			return true
		}
		for d, err := range all {
			if err != nil {
				yield(d, err)
				return
			}
			if some = append(some, d); len(some) == deletionsAtOnce && !give() {
				return
			}
		}
		give()
	}
}

func (sc *scribe) lookUp(deletions []catalog.Deletion) error {
	wanted := map[lineKey]bool{}
	sc.mu.Lock()
	for _, d := range deletions {
		if key := lineKeyOf(d.Remote); sc.lines[key]&isCreated != 0 {
			wanted[key] = true
		}
	}
	sc.mu.Unlock()
	if len(wanted) == 0 {
		return nil
	}
	return sc.read(func(r *mtjournal.Record) {
		if key := lineKeyOf(r.Archive); r.Op == mtjournal.Created && wanted[key] {
			sc.mu.Lock()
			sc.names[key] = r.Path
			sc.mu.Unlock()
		}
	}, func(error) {})
}
