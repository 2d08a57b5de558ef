package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
)

// skewAllowed is how far this machine's clock may be from that of a service which
// takes requests signed by it, in seconds. Source: Amazon S3 API reference, "Error
// responses", RequestTimeTooSkewed.
const skewAllowed = "900"

// recallIn looks archives up in one half of the index, and gives those that are
// recorded as there with this size, and made at this time. Of one that this catalog
// stored, and no inventory has yet said when, the time must be that of the run: from
// its beginning, which is by this machine's clock, until the answer came.
func recallIn(index string) *bulk {
	return newBulk(`SELECT v.column1, a.kind, a.token, a.tree,
		CASE WHEN a.kind IN ('foreign', 'loose') THEN (SELECT text FROM description WHERE archive = a.id) END
		FROM (VALUES `, "(?, ?, ?, ?, ?)", ") v CROSS JOIN "+index+` b ON b.h64 = v.column2
		CROSS JOIN archive a ON a.id = b.archive AND a.remote = v.column3 AND a.store = ?
		WHERE a.state IN (10, 11) AND a.size = v.column4 AND CASE
			WHEN nullif(a.created, -62135596800) IS NOT NULL THEN a.created = v.column5
			ELSE a.came IS NOT NULL AND EXISTS (SELECT 1 FROM run r WHERE r.id = a.run AND r.catalog = 1
				AND v.column5 BETWEEN r.started - `+skewAllowed+" AND a.came + "+skewAllowed+") END")
}

var recallHalves = []*bulk{recallIn("by_remote_new"), recallIn("by_remote")}

// kindsRecalled says what kind a description tells, of archives that firn stored.
var kindsRecalled = map[ArchiveKind]describe.Kind{
	FileArchive: describe.Opaque, BundleArchive: describe.Bundle, CatalogArchive: describe.Snapshot,
}

// Recall gives what completes the archives of a store of which a list says no more
// than their size and when they were made: those that are recorded with both. An
// object that was overwritten since has another time, and isn't among them. The
// description of what firn stored has the token, and not the name: enough to be
// compared with what is recorded.
func (c *Catalog) Recall(store int64) firn.Recall {
	return func(ctx context.Context, listed []firn.Archive) (known []bool, err error) {
		known = make([]bool, len(listed))
		ids := make([]hashedID, 0, len(listed))
		for i := range listed {
			ids = append(ids, hashedID{i, remote64(listed[i].ID), string(listed[i].ID)})
		}
		sortHashed(ids)
		err = c.read(ctx, "recall archives", fmt.Sprint("of store ", store), func(tx tx) error {
			for _, half := range recallHalves {
				if err := half.recall(tx, ids, listed, store, known); err != nil {
					return err
				}
			}
			return nil
		})
		return known, err
	}
}

// recall runs recallIn for archives, in the order of the index.
func (b *bulk) recall(tx tx, ids []hashedID, listed []firn.Archive, store int64, known []bool) error {
	q := b.batch(tx, store)
	var place int
	var kind ArchiveKind
	var token, tree []byte
	var text sql.NullString
	for i, id := range ids {
		a := &listed[id.place]
		q.args = append(q.args, id.place, id.h64, id.remote, a.Size, a.Created.Unix())
		if !q.full() && i < len(ids)-1 {
			continue
		}
		err := q.query(func(rows *sql.Rows) error {
			if err := rows.Scan(&place, &kind, &token, &tree, &text); err != nil {
				return err
			}
			a := &listed[place]
			if says, own := kindsRecalled[kind]; own {
				d := describe.Archive{Kind: says, Made: a.Created}
				copy(d.Token[:], token)
				var err error
				if a.Description, err = describe.Encode(d); err != nil {
					return nil // it has to be asked about
				}
			} else {
				a.Description = text.String
			}
			copy(a.Tree[:], tree)
			known[place] = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
