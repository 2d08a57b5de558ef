package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/sqldb"
)

// A Rule is something that holds in every catalog that is whole.
type Rule string

// The rules that Check knows.
const (
	FileRule     Rule = "file"      // SQLite can read all of the file
	IndexRule    Rule = "index"     // indexes have all that they are to find: RebuildIndex makes them whole
	RefersRule   Rule = "reference" // what a row refers to is there
	DirRule      Rule = "directory" // a directory is of a tree, and those above it are there
	EntryRule    Rule = "entry"     // an entry is of one kind, and its content is in an archive of its store
	VersionRule  Rule = "version"   // the versions of an entry follow each other
	ArchiveRule  Rule = "archive"   // an archive is what its state says
	LocationRule Rule = "location"  // content lies within its archive
	SumRule      Rule = "sum"       // the sums of trees, stores and restores are right
	RestoreRule  Rule = "restore"   // what a restore asks for lies within archives of its store
)

// Rules lists all rules, in the order in which Check looks at them.
func Rules() []Rule {
	return []Rule{FileRule, RefersRule, SumRule, ArchiveRule, LocationRule, DirRule, EntryRule, VersionRule, RestoreRule, IndexRule}
}

// A Fault is a place where a catalog breaks a rule.
type Fault struct {
	Rule  Rule
	Where string // rows, or the path of an entry; any bytes
	What  string // is wrong there
}

// Checked counts what Check looked at.
type Checked struct {
	Stores, Trees, Dirs int64
	Files               int64 // current entries, directories too
	Versions            int64 // old ones
	Archives, Locations int64
	Faults              int64
	// Unstored are current files whose content the store doesn't have, or not
	// yet: a bundle that never came to be, an archive that is lost. That is no
	// fault: the next sync sends them.
	Unstored int64
}

// Check looks at the whole catalog and calls each at every fault, stopping at
// its first error. It changes nothing, and takes little memory; SQLite's own
// part, and the sums, are long read transactions, the rest are short ones, and
// what is written meanwhile is never a fault.
//
// Where the file is so damaged that a part can't be read, that is a fault of
// the rule that was looked at, and Check goes on with the next.
func (c *Catalog) Check(ctx context.Context, each func(Fault) error) (Checked, error) {
	seed := maphash.MakeSeed()
	k := &checker{cat: c, ctx: ctx, each: each, trees: map[int64]checkedTree{}, located: tally{seed: seed}, remote: tally{seed: seed}}
	for _, step := range []struct {
		rule Rule
		run  func() error
	}{
		{FileRule, k.file},
		{RefersRule, k.references},
		{SumRule, k.storeSums},
		{SumRule, k.treeSums},
		{ArchiveRule, k.archives},
		{LocationRule, k.locations},
		{DirRule, k.dirs},
		{EntryRule, k.files},
		{VersionRule, k.versions},
		{RestoreRule, k.restores},
		{RestoreRule, k.ranges},
		{RestoreRule, k.pieces},
		{IndexRule, k.treeIndex},
		{IndexRule, k.remoteIndex},
	} {
		err := step.run()
		if firn.KindOf(err) == firn.Corrupt {
			err = k.fault(step.rule, "the file", "it can't be read: %v", cause(err))
		}
		if err != nil {
			return k.done, err
		}
	}
	return k.done, nil
}

// cause is what is below an error of this package.
func cause(err error) error {
	var e *firn.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}

// A checker is one Check.
type checker struct {
	cat   *Catalog
	ctx   context.Context
	each  func(Fault) error
	done  Checked
	trees map[int64]checkedTree

	located, remote tally // what is to be in the indexes
}

// A checkedTree is what faults say of a tree, and the store that it is in.
type checkedTree struct {
	name  string
	store int64
}

func (k *checker) fault(rule Rule, where, what string, args ...any) error {
	k.done.Faults++
	return k.each(Fault{rule, where, fmt.Sprintf(what, args...)})
}

// faults tells of faults that were found within a transaction, after its end.
func (k *checker) faults(all []Fault) error {
	for _, f := range all {
		k.done.Faults++
		if err := k.each(f); err != nil {
			return err
		}
	}
	return nil
}

func (k *checker) read(fn func(tx) error) error {
	return k.cat.read(k.ctx, "check", k.cat.db.Path(), fn)
}

// file lets SQLite look at every page. It may take minutes: ctx breaks it off.
func (k *checker) file() error {
	var found []Fault
	err := k.read(func(tx tx) error {
		rows, err := tx.Query(k.ctx, "PRAGMA integrity_check")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			for line := range strings.Lines(text) {
				if line = strings.TrimSpace(line); line != "ok" && line != "" && !strings.HasPrefix(line, "***") {
					found = append(found, fileFault(line))
				}
			}
		}
		return rows.Err()
	})
	return errors.Join(k.faults(found), err)
}

// CheckFile looks at every page of the file, as the first part of Check does,
// but for what indexes lack. Errors: Corrupt (the file is damaged).
func (c *Catalog) CheckFile(ctx context.Context) error {
	return c.read(ctx, "check catalog", c.db.Path(), func(tx tx) error {
		var text string
		rows, err := tx.Query(ctx, "PRAGMA quick_check(1)")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() && err == nil {
			err = rows.Scan(&text)
		}
		if err = errors.Join(err, rows.Err()); err != nil || text == "ok" {
			return err
		}
		return fmt.Errorf("%w: %s", sqldb.ErrDamaged, strings.Join(strings.Fields(text), " "))
	})
}

// fileFault tells what an index lacks, which can be made anew, from damage.
// The texts are those of sqlite3.c, OP_IntegrityCk and sqlite3Pragma.
func fileFault(line string) Fault {
	if strings.Contains(line, " missing from index ") || strings.Contains(line, "wrong # of entries in index ") {
		return Fault{IndexRule, "the file", line}
	}
	return Fault{FileRule, "the file", line}
}

// looseReferences finds what refers to archives that are not there, without a
// foreign key; the rows of large tables are looked at one by one.
const looseReferences = `WITH loose (what, archive) AS (
	SELECT 'deletion', archive FROM deletion UNION ALL SELECT 'doubt', archive FROM doubt UNION ALL SELECT 'snapshot', archive FROM snapshot
	UNION ALL SELECT 'intent', archive FROM intent UNION ALL SELECT 'part', archive FROM part UNION ALL SELECT 'copy', archive FROM copy
	UNION ALL SELECT 'description', archive FROM description UNION ALL SELECT 'seal', archive FROM seal UNION ALL SELECT 'object', archive FROM object)
	SELECT what, archive FROM loose WHERE NOT EXISTS (SELECT 1 FROM archive WHERE id = loose.archive)`

func (k *checker) references() error {
	var found []Fault
	err := k.read(func(tx tx) error {
		err := tx.each(func(rows *sql.Rows) error {
			var table, parent string
			var row sql.NullInt64
			var key int64
			err := rows.Scan(&table, &row, &parent, &key)
			found = append(found, Fault{RefersRule, fmt.Sprintf("%s %d", table, row.Int64), "the " + parent + " that it is of is not there"})
			return err
		}, "PRAGMA foreign_key_check")
		if err != nil {
			return err
		}
		return tx.each(func(rows *sql.Rows) error {
			var what string
			var archive int64
			err := rows.Scan(&what, &archive)
			found = append(found, Fault{RefersRule, what, fmt.Sprintf("the archive %d that it refers to is not there", archive)})
			return err
		}, looseReferences)
	})
	return errors.Join(k.faults(found), err)
}

// storeSums compares what stores say with the sums over their archives.
func (k *checker) storeSums() error {
	var found []Fault
	err := k.read(func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var url string
			var has, want firn.Count
			err := rows.Scan(&url, &has.Files, &has.Bytes, &want.Files, &want.Bytes)
			k.done.Stores++
			if has != want {
				found = append(found, Fault{SumRule, "store " + url, fmt.Sprintf("it says %d archives of %d bytes, and there are %d of %d bytes", has.Files, has.Bytes, want.Files, want.Bytes)})
			}
			return err
		}, `WITH sums AS (SELECT store, count(*) AS n, sum(size) AS bytes FROM archive WHERE state = 10 GROUP BY store)
			SELECT s.url, s.archives, s.bytes, coalesce(n, 0), coalesce(sums.bytes, 0) FROM store s LEFT JOIN sums ON sums.store = s.id ORDER BY s.id`)
	})
	return errors.Join(k.faults(found), err)
}

// treeSums compares what trees say with the sums over their current entries,
// a tree in a transaction.
func (k *checker) treeSums() error {
	var ids []int64
	err := k.read(func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var id int64
			var t checkedTree
			err := rows.Scan(&id, &t.name, &t.store)
			ids, k.trees[id] = append(ids, id), t
			return err
		}, "SELECT id, name, store FROM tree ORDER BY id")
	})
	if err != nil {
		return err
	}
	k.done.Trees = int64(len(ids))
	for _, id := range ids {
		var has, want totals
		err := k.read(func(tx tx) error {
			err := tx.row("SELECT files, bytes, dirs, links FROM tree WHERE id = ?", id).Scan(&has.files, &has.bytes, &has.dirs, &has.links)
			if err != nil {
				return ignoreNoRows(err)
			}
			return tx.row(`SELECT count(*) FILTER (WHERE mode & 61440 NOT IN (16384, 40960)), coalesce(sum(size) FILTER (WHERE mode & 61440 NOT IN (16384, 40960)), 0),
				count(*) FILTER (WHERE mode & 61440 = 16384), count(*) FILTER (WHERE mode & 61440 = 40960)`+fromFile+" WHERE d.tree = ?", id).
				Scan(&want.files, &want.bytes, &want.dirs, &want.links)
		})
		if err == nil && has != want {
			err = k.fault(SumRule, "tree "+k.trees[id].name, "it says %v, and there are %v", has, want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// String lists the totals, for people.
func (t totals) String() string {
	return fmt.Sprintf("%d files of %d bytes, %d directories, %d links", t.files, t.bytes, t.dirs, t.links)
}
