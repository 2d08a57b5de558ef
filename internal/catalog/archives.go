package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// LooseArchive is the kind of archives that were uploaded one by one: of no
// tree, known by their id, and never deleted but by that. Their descriptions
// are kept.
const LooseArchive ArchiveKind = "loose"

// keepDescription keeps what an intent of a loose archive says, which nothing
// else in the catalog does.
func keepDescription(tx tx, id int64) error {
	return tx.exec("INSERT OR REPLACE INTO description (archive, text) SELECT archive, description FROM intent WHERE archive = ?", id)
}

// A Holding is an archive that a store holds.
type Holding struct {
	ID       int64 // row
	Kind     ArchiveKind
	State    State // Stored or Foreign
	Remote   firn.ArchiveID
	Size     int64         // bytes as stored
	TreeHash treehash.Hash // of these
	Created  time.Time     // by the store's clock; zero where it didn't say
	Class    string        // storage class of S3, where it is recorded; else empty
	// Recorded is when the run began that recorded it, by the local clock.
	Recorded time.Time
	Tree     string // name of the tree whose run made it; empty where none did
	Contents int64  // how many of files are in it; 0 where it holds no tree's files
	// Description is kept of loose and foreign archives.
	Description string
	// Leaving: no version needs it, and it is deleted once it is due.
	Leaving bool
}

// Archives gives all archives that a store holds, in the order in which they
// were recorded. It holds no lock while the consumer works, and ends with the
// first error.
func (c *Catalog) Archives(ctx context.Context, store int64) iter.Seq2[Holding, error] {
	return archivePages(ctx, c, store, func(tx tx, page []Holding, after, to int64) ([]Holding, error) {
		return holdings(tx, page, store, after, to)
	})
}

// holdingsQuery reads what scanHolding takes.
const holdingsQuery = `SELECT a.id, a.kind, a.state, coalesce(a.remote, ''), a.size, a.tree, coalesce(a.created, -62135596800), coalesce(a.created_ns, 0),
	coalesce(r.started, -62135596800), coalesce(r.started_ns, 0), coalesce(t.name, ''),
	coalesce((SELECT max(member) + 1 FROM location l WHERE l.archive = a.id), 0), coalesce(d.text, ''),
	EXISTS (SELECT 1 FROM deletion WHERE archive = a.id AND state > 0), coalesce((SELECT class FROM object WHERE archive = a.id), '')
	FROM archive a LEFT JOIN run r ON r.id = a.settled LEFT JOIN run m ON m.id = a.run LEFT JOIN tree t ON t.id = m.tree
	LEFT JOIN description d ON d.archive = a.id`

// holdings appends the archives that a store holds, behind one row and up to
// another.
func holdings(tx tx, page []Holding, store, after, to int64) ([]Holding, error) {
	err := tx.each(func(r *sql.Rows) error {
		h, err := scanHolding(r)
		page = append(page, h)
		return err
	}, holdingsQuery+" WHERE a.id > ? AND a.id <= ? AND a.store = ? AND a.state IN (10, 11) ORDER BY a.id", after, to, store)
	return page, err
}

// archivePages goes through the rows of all archives a page at a time: read appends
// what it finds behind one row and up to another. Between the archives of a store
// stand those of others: so no page takes long, however little it gives.
func archivePages[T any](ctx context.Context, c *Catalog, store int64, read func(tx tx, page []T, after, to int64) ([]T, error)) iter.Seq2[T, error] {
	return paged(ctx, c, "list archives", fmt.Sprint("of store ", store), func() pager[T] {
		last := int64(0)
		return func(tx tx, page []T) (_ []T, more bool, err error) {
			after := last
			if last, more, err = endOfPage(tx, after, c.sizes.page); err == nil {
				page, err = read(tx, page, after, last)
			}
			return page, more, err
		}
	})
}

// endOfPage gives the last row of a page of archives behind the row last, and
// whether there may be another page.
func endOfPage(tx tx, last int64, rows int) (end int64, more bool, err error) {
	err = tx.row("SELECT id FROM archive WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?", last, rows-1).Scan(&end)
	if isNoRows(err) {
		return math.MaxInt64, false, nil
	}
	return end, err == nil, err
}

func scanHolding(rows *sql.Rows) (h Holding, err error) {
	var tree []byte
	var created, createdNs, recorded, recordedNs int64
	err = rows.Scan(&h.ID, &h.Kind, &h.State, &h.Remote, &h.Size, &tree, &created, &createdNs, &recorded, &recordedNs, &h.Tree, &h.Contents, &h.Description, &h.Leaving, &h.Class)
	copy(h.TreeHash[:], tree)
	h.Created, h.Recorded = at(created, createdNs), at(recorded, recordedNs)
	return h, err
}
