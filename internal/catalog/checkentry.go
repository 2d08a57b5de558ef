package catalog

import (
	"database/sql"
	"fmt"
)

// What is read of an entry and all that it refers to, behind columns that the
// two tables of entries differ in.
const (
	checkColumns = `f.mode, f.size, f.archive, f.member, f.target IS NOT NULL, d.tree, d.key, l.size, l.tree IS NOT NULL, coalesce(a.state, 0), coalesce(a.kind, ''), coalesce(a.store, 0), coalesce(a.note = '` + emptiedNote + `', 0)`
	checkJoins   = ` f LEFT JOIN dir d ON d.id = f.dir LEFT JOIN location l ON l.archive = f.archive AND l.member = f.member LEFT JOIN archive a ON a.id = f.archive`
)

// A checkedEntry is a row of file or version, with what it refers to.
type checkedEntry struct {
	dir  int64
	name []byte

	since, until, next int64 // until 0: it is current; next: since of the version after it
	hasSince, hasUntil bool  // the runs are there

	mode, size, archive, member int64
	hasTarget                   bool
	tree                        sql.NullInt64 // null: its directory isn't there
	key                         []byte
	held                        sql.NullInt64 // size of its content in the archive; null: there is none
	isHashed                    bool          // somebody has read that
	state                       State
	kind                        ArchiveKind
	store                       int64 // of the archive
	isEmptied                   bool  // it went with all others of its store
}

func (e *checkedEntry) scan(rows *sql.Rows) error {
	err := rows.Scan(&e.dir, &e.name, &e.since, &e.until, &e.next, &e.hasSince, &e.hasUntil,
		&e.mode, &e.size, &e.archive, &e.member, &e.hasTarget, &e.tree, &e.key, &e.held, &e.isHashed, &e.state, &e.kind, &e.store, &e.isEmptied)
	if e.name == nil {
		e.name = []byte{} // which is not NULL
	}
	return err
}

// faults says what is wrong with an entry of a tree that is in the given store.
func (e *checkedEntry) faults(store int64) (all []Fault) {
	add := func(rule Rule, wrong bool, what string, args ...any) {
		if wrong {
			all = append(all, Fault{Rule: rule, What: fmt.Sprintf(what, args...)})
		}
	}
	kind := e.mode & modeType
	isDir, isLink, isFile := kind == modeDir, kind == modeLink, kind == modeFile
	add(EntryRule, !e.tree.Valid, "its directory is not there")
	add(EntryRule, !e.hasSince, "the run %d that made it is not there", e.since)
	add(EntryRule, !isDir && !isLink && !isFile, "mode %o is that of no file, directory or link", e.mode)
	add(EntryRule, isDir != (len(e.name) == 0), "mode %o doesn't fit its name", e.mode)
	add(EntryRule, isLink != e.hasTarget, "mode %o, and it has a target: %t", e.mode, e.hasTarget)
	add(EntryRule, e.size < 0, "it has %d bytes", e.size)
	if isFile && e.size > 0 {
		all = append(all, e.contentFaults(store)...)
	}
	add(VersionRule, !e.hasUntil, "the run %d that replaced it is not there", e.until)
	if e.until != 0 {
		add(VersionRule, e.until <= e.since, "it is from run %d and was replaced in run %d", e.since, e.until)
		add(VersionRule, e.until > e.next, "it was replaced in run %d, and the version after it is from run %d", e.until, e.next)
	}
	return all
}

// contentFaults says what is wrong with where a file's content is.
func (e *checkedEntry) contentFaults(store int64) (all []Fault) {
	what := ""
	neverStored := e.state < Stored || e.state == Dropped
	switch {
	case e.archive == 0:
		what = fmt.Sprintf("it has %d bytes, and is in no archive", e.size)
	case e.state == NoArchive:
		what = fmt.Sprintf("the archive %d that it is in is not there", e.archive)
	case e.tree.Valid && e.store != store:
		what = fmt.Sprintf("the archive %d that it is in is in another store", e.archive)
	case !e.held.Valid:
		what = fmt.Sprintf("the archive %d has no content %d, which it should be", e.archive, e.member)
	case e.isHashed && e.held.Int64 != e.size:
		what = fmt.Sprintf("it has %d bytes, and its content in archive %d has %d", e.size, e.archive, e.held.Int64)
	case e.kind == FileArchive && neverStored:
		what = fmt.Sprintf("the archive %d that it is in was never stored: it is %s", e.archive, e.state)
	case e.state == Deleted && !e.isEmptied:
		what = fmt.Sprintf("the archive %d that it is in was deleted", e.archive)
	default:
		return nil
	}
	return []Fault{{Rule: EntryRule, What: what}}
}
