package catalog

import (
	"context"
	"crypto/sha256"
	"fmt"
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
// always true: hashing costs less than keeping account.
func (c *Catalog) SizeStored(ctx context.Context, store, size int64) (known bool, err error) {
	if size < indexedSize {
		return true, nil
	}
	// Other stores may hold a great many files of this size: after a thousand
	// it is cheaper to hash.
	const enough = 1000
	err = c.read(ctx, "find size", fmt.Sprint(size), func(tx tx) error {
		var seen, here int
		err := tx.row(`SELECT count(*), count(*) FILTER (WHERE a.store = ? AND a.state = 10)
			FROM (SELECT archive FROM location WHERE size = ? AND size >= 1048576 LIMIT ?) l CROSS JOIN archive a ON a.id = l.archive`,
			store, size, enough).Scan(&seen, &here)
		known = here > 0 || seen == enough
		return err
	})
	return known, err
}

// FindContent finds where a store holds content. Only archives count that are
// stored, not lost and not in doubt.
func (c *Catalog) FindContent(ctx context.Context, store int64, content firn.Content) (loc Location, ok bool, err error) {
	err = c.read(ctx, "find content", content.Tree.String(), func(tx tx) error {
		where, found, err := findContent(tx, store, content)
		if err != nil || !found {
			return err
		}
		var s locationScan
		ok = true
		err = tx.row("SELECT "+locationColumns+" FROM location l CROSS JOIN archive a ON a.id = l.archive WHERE l.archive = ? AND l.member = ?",
			where.archive, where.member).Scan(s.dest()...)
		loc = s.location()
		return err
	})
	return loc, ok, err
}

// findContent is FindContent within a transaction.
func findContent(tx tx, store int64, content firn.Content) (where place, ok bool, err error) {
	h64 := hash64(content.Tree)
	err = tx.row(`SELECT l.archive, l.member
		FROM (SELECT archive, member FROM by_tree WHERE h64 = ? UNION ALL SELECT archive, member FROM by_tree_new WHERE h64 = ?) b
		CROSS JOIN location l ON l.archive = b.archive AND l.member = b.member
		CROSS JOIN archive a ON a.id = b.archive
		WHERE l.size = ? AND l.tree = ? AND a.store = ? AND a.state = 10 LIMIT 1`,
		h64, h64, content.Size, content.Tree[:], store).Scan(&where.archive, &where.member)
	if isNoRows(err) {
		return place{}, false, nil
	}
	return where, err == nil, err
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

// archiveByRemote gives the row of an archive; 0 where there is none.
func archiveByRemote(tx tx, store int64, id firn.ArchiveID) (row int64, err error) {
	h64 := remote64(id)
	err = tx.row(`SELECT a.id FROM (SELECT archive FROM by_remote WHERE h64 = ? UNION ALL SELECT archive FROM by_remote_new WHERE h64 = ?) b
		CROSS JOIN archive a ON a.id = b.archive WHERE a.remote = ? AND a.store = ? LIMIT 1`, h64, h64, string(id), store).Scan(&row)
	if isNoRows(err) {
		return 0, nil
	}
	return row, err
}
