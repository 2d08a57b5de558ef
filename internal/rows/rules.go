package rows

import (
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
)

// rules hold a stream to its order, and its rows to what can be, on both ways:
// what a Writer may write, Read reads. The memory they take grows with the
// rows, by about a bit for an archive.
type rules struct {
	stage   stage
	version int        // of the header
	catalog firn.Token // of the header
	delta   bool       // archives may be in the stream that this one adds to

	catalogs, trees, runs, archives set

	awaited []int64 // archives of snapshots
	found   found
	last    version
	counts  End
}

// A stage is how far a stream is: what comes next is of the same stage, or of
// a later one.
type stage int

const (
	atStart stage = iota
	atHeader
	atCatalogs
	atTrees
	atRuns
	atSnapshots
	atArchives
	atDirs
	atEntries // and back to atDirs
	atEnd
)

// A version is the entry before, in the same directory.
type version struct {
	there bool
	name  []byte
	since int64
	until int64
}

// found are the numbers that were looked for last: entries mostly ask for
// those of the one before.
type found struct{ run, archive int64 }

// take checks the next row.
func (s *rules) take(row Row) error {
	switch r := row.(type) {
	case *Header:
		return s.header(r)
	case *Catalog:
		return s.step(atCatalogs, s.checkCatalog(r))
	case *Tree:
		return s.step(atTrees, s.checkTree(r))
	case *Run:
		return s.step(atRuns, s.checkRun(r))
	case *Snapshot:
		return s.step(atSnapshots, s.checkSnapshot(r))
	case *Archive:
		return s.step(atArchives, s.checkArchive(r))
	case *Dir:
		s.last = version{name: s.last.name}
		return s.step(atDirs, s.checkDir(r))
	case *Entry:
		return s.step(atEntries, s.checkEntry(r))
	case *End:
		return s.step(atEnd, s.checkEnd(r))
	}
	return fmt.Errorf("there are no rows of type %T", row)
}

// step goes on to a stage, unless the row is wrong or out of order.
func (s *rules) step(to stage, err error) error {
	switch {
	case s.stage == atStart:
		return errors.New("the first line is not a header: these are no rows")
	case s.stage == atEnd:
		return errors.New("it stands behind the end")
	case to == atEntries && s.stage < atDirs:
		return errors.New("it stands before the first directory")
	case to < s.stage && !(to == atDirs && s.stage == atEntries):
		return errors.New("it stands behind lines that come after all of its kind")
	case err != nil:
		return err
	}
	if s.stage <= atArchives && to > atArchives {
		err = s.checkAwaited()
	}
	s.stage = to
	return err
}
