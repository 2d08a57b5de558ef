package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// contentOf makes the content of a file's columns.
func contentOf(size int64, tree []byte) firn.Content {
	c := firn.Content{Size: size}
	if size == 0 {
		c.Tree = sha256.Sum256(nil) // a tree of one leaf; nothing is stored of it
	}
	copy(c.Tree[:], tree)
	return c
}

// A Location is where content is.
type Location struct {
	Archive int64 // row; 0 where there is none
	Member  int64 // place in its order of contents
	State   State
	Kind    ArchiveKind
	Remote  firn.ArchiveID // empty until stored
	Created time.Time      // by the store's clock; zero where it didn't say
	Size    int64          // bytes of the archive as stored
	Tree    treehash.Hash  // of the archive as stored
	Offset  int64          // of the content within the archive, opened where that is sealed
}

// locationColumns go with LEFT JOINs of location l and archive a.
const locationColumns = `coalesce(a.id, 0), coalesce(l.member, 0), coalesce(a.state, 0), coalesce(a.kind, ''), coalesce(a.remote, ''),
	coalesce(a.created, -62135596800), coalesce(a.created_ns, 0), coalesce(a.size, 0), a.tree, coalesce(l.offset, 0)`

// A locationScan takes the columns of a location out of a row.
type locationScan struct {
	Location
	sec, nsec int64
	tree      []byte
}

func (s *locationScan) dest() []any {
	return []any{&s.Archive, &s.Member, &s.State, &s.Kind, &s.Remote, &s.sec, &s.nsec, &s.Size, &s.tree, &s.Offset}
}

func (s *locationScan) location() Location {
	s.Created = at(s.sec, s.nsec)
	s.Tree = treehash.Hash{}
	copy(s.Tree[:], s.tree)
	return s.Location
}

// indexedSize is the least size that location_size holds.
const indexedSize = 1 << 20

// SizeStored reports whether the store may hold content of this size: false is
// certain, true says that hashing first may save an upload. Below 1 MiB it is
// always true: hashing costs less than keeping account. It doesn't ask who can
// open what is sealed.
func (c *Catalog) SizeStored(ctx context.Context, store, size int64) (known bool, err error) {
	if size < indexedSize {
		return true, nil
	}
	// Other stores may hold a great many files of this size: after a thousand
	// it is cheaper to hash. So may this one, and then the first is enough.
	const enough = 1000
	err = c.read(ctx, "find size", fmt.Sprint(size), func(tx tx) error {
		const some = "FROM (SELECT archive FROM location WHERE size = ? AND size >= 1048576 LIMIT ?) l CROSS JOIN archive a ON a.id = l.archive"
		err := tx.row("SELECT EXISTS (SELECT 1 "+some+" WHERE a.store = ? AND a.state = 10)", size, enough, store).Scan(&known)
		if known || err != nil {
			return err
		}
		var seen int
		err = tx.row("SELECT count(*) "+some, size, enough).Scan(&seen)
		known = seen == enough
		return err
	})
	return known, err
}

// FindContent is FindContents for one content, among archives that are not
// sealed.
func (c *Catalog) FindContent(ctx context.Context, store int64, content firn.Content) (loc Location, ok bool, err error) {
	found, err := c.FindContents(ctx, store, Recipients{}, []firn.Content{content})
	if err != nil {
		return Location{}, false, err
	}
	return found[0], found[0].Archive != 0, nil
}

// FindContents finds where a store holds contents, among archives that are
// sealed for the given recipients. The answers are in the order of the
// questions, with Archive 0 where there is none. Only archives count that are
// stored, not lost, not in doubt, and not about to be deleted. What is found
// may be gone by the time that it is recorded: then Record says NotFound.
func (c *Catalog) FindContents(ctx context.Context, store int64, sealed Recipients, contents []firn.Content) (found []Location, err error) {
	const op = "find contents"
	found = make([]Location, len(contents))
	if len(contents) == 1 {
		some, err := c.isIndexed(ctx, op, contents[0])
		if err != nil {
			return nil, err
		}
		if !some {
			return found, nil
		}
	}
	err = c.read(ctx, op, "", func(tx tx) error {
		places, err := findContents(tx, store, sealed, contents)
		if err != nil {
			return err
		}
		for i, where := range places {
			if where == (place{}) {
				continue
			}
			var s locationScan
			err := tx.row("SELECT "+locationColumns+" FROM location l CROSS JOIN archive a ON a.id = l.archive WHERE l.archive = ? AND l.member = ?",
				where.archive, where.member).Scan(s.dest()...)
			if err != nil {
				return err
			}
			found[i] = s.location()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// isIndexed reports whether any archive may hold a content: most that are asked
// for one at a time are new, and that costs far less than looking where they are.
func (c *Catalog) isIndexed(ctx context.Context, op string, content firn.Content) (some bool, err error) {
	err = c.glance(ctx, op, "", func(tx tx) error {
		return tx.row("SELECT EXISTS (SELECT 1 FROM by_tree_new WHERE h64 = ?1) OR EXISTS (SELECT 1 FROM by_tree WHERE h64 = ?1)", hash64(content.Tree)).Scan(&some)
	})
	return some, err
}

// contentsIn looks contents up in one half of the index. Deletion's state 2 is
// that of archives that are about to be deleted.
//
// Only archives count that nobody else deletes: those of this catalog, of trees
// that it has synced since it took them over, and those of other programs. What
// another machine stores is that one's to delete, whenever it likes.
func contentsIn(index string) *bulk {
	return newBulk("SELECT v.column1, l.archive, l.member FROM (VALUES ", "(?, ?, ?, ?)", ") v CROSS JOIN "+index+` b ON b.h64 = v.column2
		CROSS JOIN location l ON l.archive = b.archive AND l.member = b.member AND l.size = v.column3 AND l.tree = v.column4
		CROSS JOIN archive a ON a.id = b.archive AND a.store = ? AND a.state = 10
		WHERE (SELECT recipients FROM seal WHERE archive = a.id) IS ? AND NOT EXISTS (SELECT 1 FROM deletion WHERE archive = a.id AND state = 2)
		AND (a.kind = 'foreign' OR EXISTS (SELECT 1 FROM run r WHERE r.id = a.run AND (r.catalog = 1
			OR EXISTS (SELECT 1 FROM run o WHERE o.tree = r.tree AND o.catalog = 1 AND o.command IN ('sync', 'mirror')))))`)
}

var inTree, inTreeNew = contentsIn("by_tree"), contentsIn("by_tree_new")

// findContents is FindContents within a transaction.
func findContents(tx tx, store int64, sealed Recipients, contents []firn.Content) (found []place, err error) {
	found = make([]place, len(contents))
	err = lookUpContents(tx, store, sealed, contents, func(i int) bool { return found[i] == (place{}) }, func(i int, p place) { found[i] = p })
	if err != nil {
		return nil, err
	}
	return found, nil
}

// lookUpContents gives the places of the contents that are wanted, by their
// numbers: those in one half of the index first. It goes through the index in its
// order, so that it doesn't read a page twice.
func lookUpContents(tx tx, store int64, sealed Recipients, contents []firn.Content, wants func(i int) bool, give func(i int, p place)) error {
	order := make([]int, len(contents))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(hash64(contents[a].Tree), hash64(contents[b].Tree)) })
	scan := func(rows *sql.Rows) error {
		var i int
		var p place
		err := rows.Scan(&i, &p.archive, &p.member)
		give(i, p)
		return err
	}
	for _, half := range []*bulk{inTreeNew, inTree} {
		b := half.batch(tx, store, sealed.column())
		for n, i := range order {
			if wants(i) {
				b.args = append(b.args, i, hash64(contents[i].Tree), contents[i].Size, contents[i].Tree[:])
			}
			if b.full() || n == len(order)-1 {
				if err := b.query(scan); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ArchiveByRemote finds an archive, in whatever state, by the store's id.
func (c *Catalog) ArchiveByRemote(ctx context.Context, store int64, id firn.ArchiveID) (loc Location, ok bool, err error) {
	err = c.read(ctx, "find archive", string(id), func(tx tx) error {
		row, err := archiveByRemote(tx, store, id)
		if err != nil || row == 0 {
			return err
		}
		var s locationScan
		ok = true
		err = tx.row("SELECT "+locationColumns+" FROM archive a LEFT JOIN location l ON l.archive = a.id AND l.member = 0 WHERE a.id = ?", row).Scan(s.dest()...)
		loc = s.location()
		return err
	})
	return loc, ok, err
}

// archiveByRemote gives the row of an archive; 0 where there is none. Ids that are
// names are used again: of several it is the one that is there, else the newest.
func archiveByRemote(tx tx, store int64, id firn.ArchiveID) (row int64, err error) {
	h64 := remote64(id)
	err = tx.row(`SELECT a.id FROM (SELECT archive FROM by_remote WHERE h64 = ? UNION ALL SELECT archive FROM by_remote_new WHERE h64 = ?) b
		CROSS JOIN archive a ON a.id = b.archive WHERE a.remote = ? AND a.store = ? ORDER BY a.state IN (10, 11) DESC, a.id DESC LIMIT 1`, h64, h64, string(id), store).Scan(&row)
	if isNoRows(err) {
		return 0, nil
	}
	return row, err
}
