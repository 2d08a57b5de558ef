package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A Reference is a file version whose content is in an archive.
type Reference struct {
	Archive      int64 // row
	Member       int64 // place in the archive's order of contents
	Tree, Path   string
	Since, Until int64 // runs that made and ended the version; Until 0: it is current
	Offset, Size int64 // of the content, in bytes; in the archive opened where that is sealed
	Content      treehash.Hash
}

// References gives the file versions, of all trees, whose contents are in any of
// the archives: the current ones first. It reads all versions that there are,
// holds no lock while the consumer works, and ends with the first error.
func (c *Catalog) References(ctx context.Context, archives []int64) iter.Seq2[Reference, error] {
	return func(yield func(Reference, error) bool) {
		if len(archives) == 0 {
			return
		}
		wanted := make(map[int64]bool, len(archives))
		for _, id := range archives {
			wanted[id] = true
		}
		among := refRange{after: slices.Min(archives) - 1, to: slices.Max(archives)}
		for _, s := range []refSource{currentRefs, oldRefs} {
			err := c.eachRef(ctx, s, among, func(r *Reference) error {
				if wanted[r.Archive] && !yield(*r, nil) {
					return errStop
				}
				return nil
			})
			if err == errStop {
				return
			}
			if err != nil {
				yield(Reference{}, err)
				return
			}
		}
	}
}

// A refRange is the rows of archives, in (after, to], of which references are
// looked for.
type refRange struct {
	after, to int64
	firstOnly bool // those to the first content of each
}

// A refSource is one of the tables that refer to archives: what a page of it says,
// and the page's last key.
type refSource struct{ page, last string }

// The queries of References read the entries behind a key, in the order of the
// table's primary key.
const (
	refColumns = "SELECT f.archive, f.member, t.name, d.key, f.name, f.since, f.until, coalesce(l.offset, 0), f.size, l.tree FROM "
	refsAmong  = ` f CROSS JOIN dir d ON d.id = f.dir CROSS JOIN tree t ON t.id = d.tree LEFT JOIN location l ON l.archive = f.archive AND l.member = f.member
		WHERE f.archive > ? AND f.archive <= ? AND (f.member = 0 OR NOT ?)`
	currentRefPage = refColumns + `(SELECT dir, name, since, 0 AS until, archive, member, size FROM file
		WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name LIMIT ?)` + refsAmong
	oldRefPage = refColumns + `(SELECT dir, name, since, until, archive, member, size FROM version
		WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name, since LIMIT ?)` + refsAmong
)

var (
	currentRefs = refSource{currentRefPage, currentRows.last}
	oldRefs     = refSource{oldRefPage, oldRows.last}
)

// eachRef calls fn at each reference of a table, between its transactions.
func (c *Catalog) eachRef(ctx context.Context, s refSource, among refRange, fn func(*Reference) error) error {
	at := newPassage()
	for more := true; more; {
		var page []Reference
		err := c.read(ctx, "look for versions", c.db.Path(), func(tx tx) error {
			err := tx.each(func(rows *sql.Rows) error {
				r, err := scanRef(rows)
				page = append(page, r)
				return err
			}, s.page, at.dir, at.name, at.since, c.sizes.page, among.after, among.to, among.firstOnly)
			if err == nil {
				more, err = at.advance(tx, s.last, int64(c.sizes.page))
			}
			return err
		})
		if err != nil {
			return err
		}
		for i := range page {
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func scanRef(rows *sql.Rows) (r Reference, err error) {
	var key, name, tree []byte
	err = rows.Scan(&r.Archive, &r.Member, &r.Tree, &key, &name, &r.Since, &r.Until, &r.Offset, &r.Size, &tree)
	r.Path = joinPath(pathOf(key), name)
	copy(r.Content[:], tree)
	return r, err
}

// A Named is an archive that a store holds, with what it is the content of, where
// it has one.
type Named struct {
	Holding
	Path string // in Tree; of several one. Empty where no version has it
	// Paths is how many paths have it now; 0 beside a Path: only older versions do.
	Paths int64
}

// namesAtOnce is for how many archives names are looked up in one pass over all
// versions: they stay in memory.
const namesAtOnce = 100_000

// NamedArchives is Archives, with the paths of those that hold a single file. It
// reads all versions, once for every hundred thousand archives.
func (c *Catalog) NamedArchives(ctx context.Context, store int64) iter.Seq2[Named, error] {
	return func(yield func(Named, error) bool) {
		var names map[int64]*Named
		end := int64(0)
		for h, err := range c.Archives(ctx, store) {
			if err == nil && h.ID > end {
				names, end, err = c.namesFrom(ctx, h.ID)
			}
			if err != nil {
				yield(Named{}, err)
				return
			}
			n := Named{Holding: h}
			if found := names[h.ID]; found != nil && h.Contents <= 1 {
				n.Tree, n.Path, n.Paths = found.Tree, found.Path, found.Paths
			}
			if !yield(n, nil) {
				return
			}
		}
	}
}

// namesFrom gives what the first contents of archives are called, from one on,
// and the last row that they are of.
func (c *Catalog) namesFrom(ctx context.Context, first int64) (names map[int64]*Named, end int64, err error) {
	err = c.read(ctx, "list archives", fmt.Sprint("from ", first), func(tx tx) error {
		end, _, err = endOfPage(tx, first-1, c.sizes.names())
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	names = map[int64]*Named{}
	among := refRange{after: first - 1, to: end, firstOnly: true}
	err = c.eachRef(ctx, currentRefs, among, func(r *Reference) error {
		n := names[r.Archive]
		if n == nil {
			n = &Named{Holding: Holding{Tree: r.Tree}, Path: r.Path}
			names[r.Archive] = n
		}
		n.Paths++
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return names, end, c.eachRef(ctx, oldRefs, among, func(r *Reference) error {
		if names[r.Archive] == nil {
			names[r.Archive] = &Named{Holding: Holding{Tree: r.Tree}, Path: r.Path}
		}
		return nil
	})
}

// names is namesAtOnce, unless a test reads smaller pages.
func (s sizes) names() int {
	if s.page < defaults().page {
		return 2 * s.page
	}
	return namesAtOnce
}

// An Account is all that is known of one archive.
type Account struct {
	Holding          // in any state
	Bytes      int64 // of all contents together
	Sealed     bool  // it is encrypted by firn
	Format     string
	Packed     string // how its maker compressed or encrypted it
	Doubted    bool   // there may be two of it
	Wanted     bool   // a restore, or a job that was asked for lately, brings it
	Leaves     Deletion
	HasAccount bool // false: nothing is known of it, but for Wanted
	// Came is when the store made it, else when it said that it had, or when the run
	// ended that stored it; zero: nobody knows.
	Came time.Time
}

// AccountOf says what is known of the archive with the store's id.
func (c *Catalog) AccountOf(ctx context.Context, store int64, id firn.ArchiveID) (a Account, err error) {
	err = c.read(ctx, "look up archive", string(id), func(tx tx) error {
		since := c.wantedSince()
		row, err := archiveByRemote(tx, store, id)
		if err != nil {
			return err
		}
		if row == 0 {
			return tx.row("SELECT EXISTS (SELECT 1 FROM job WHERE store = ? AND state < 10 AND remote_archive = ? AND asked > ?)", store, string(id), since).Scan(&a.Wanted)
		}
		a.HasAccount = true
		err = tx.each(func(rows *sql.Rows) (err error) {
			a.Holding, err = scanHolding(rows)
			return err
		}, holdingsQuery+" WHERE a.id = ?", row)
		if err != nil {
			return err
		}
		var came int64
		err = tx.row(`SELECT coalesce((SELECT sum(size) FROM location WHERE archive = a.id), 0), EXISTS (SELECT 1 FROM seal WHERE archive = a.id),
			coalesce(d.format, ''), coalesce(d.packed, ''), coalesce(nullif(a.created, -62135596800), a.came, (SELECT ended FROM run WHERE id = a.settled), 0), `+doubted+", "+wanted+`
			FROM archive a LEFT JOIN description d ON d.archive = a.id WHERE a.id = ?`, since, since, row).
			Scan(&a.Bytes, &a.Sealed, &a.Format, &a.Packed, &came, &a.Doubted, &a.Wanted)
		if came != 0 {
			a.Came = at(came, 0)
		}
		if err != nil || !a.Leaving {
			return err
		}
		var notBefore int64
		err = tx.row("SELECT not_before, state = 2, why FROM deletion WHERE archive = ?", row).Scan(&notBefore, &a.Leaves.Asked, &a.Leaves.Why)
		a.Leaves.NotBefore = at(notBefore, 0)
		return err
	})
	return a, err
}

// recentJobs is how many jobs LastBrought looks through.
const recentJobs = 100_000

// LastBrought gives the size and tree hash of an archive as the store told of the
// last job that brought it; false where none of the last hundred thousand jobs did.
func (c *Catalog) LastBrought(ctx context.Context, store int64, id firn.ArchiveID) (content firn.Content, ok bool, err error) {
	err = c.read(ctx, "look up job", string(id), func(tx tx) error {
		var last int64
		if err := tx.row("SELECT coalesce(max(id), 0) FROM job").Scan(&last); err != nil {
			return err
		}
		var tree []byte
		err := tx.row("SELECT archive_size, archive_tree FROM job WHERE id > ? AND store = ? AND remote_archive = ? AND archive_size > 0 ORDER BY id DESC LIMIT 1",
			last-recentJobs, store, string(id)).Scan(&content.Size, &tree)
		copy(content.Tree[:], tree)
		ok = err == nil && !content.Tree.IsZero()
		return ignoreNoRows(err)
	})
	return content, ok, err
}

// Condemn queues stored archives that somebody wants deleted, as QueueDeletions
// queues what versions let go of: those that a version refers to are not. Then
// follow DeletionAsked, the store, and MarkDeleted, or Reprieve.
func (c *Catalog) Condemn(ctx context.Context, run Run, r Retirement, archives []int64) error {
	err := c.write(ctx, "queue deletions", "", func(tx tx) error {
		for _, id := range archives {
			if err := c.suspect(tx, run, r, id); err != nil {
				return err
			}
			if err := tx.exec("UPDATE deletion SET sweep = ? WHERE archive = ? AND state = 0", run.ID, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range []scanned{currentRows, oldRows} {
		if err := c.clearReferred(ctx, run, s); err != nil {
			return err
		}
	}
	return c.write(ctx, "queue deletions", "", func(tx tx) error {
		return tx.exec("UPDATE deletion SET state = 1, sweep = NULL WHERE store = ? AND state = 0 AND sweep = ?", run.Store, run.ID)
	})
}

// Reprieve takes an archive off the queue that surely was not deleted.
func (c *Catalog) Reprieve(ctx context.Context, archive int64) error {
	return c.write(ctx, "keep", fmt.Sprint("archive ", archive), func(tx tx) error {
		return tx.exec("DELETE FROM deletion WHERE archive = ? AND (SELECT state FROM archive WHERE id = deletion.archive) < ?", archive, Dropped)
	})
}
