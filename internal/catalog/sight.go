package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A Sighting is what is known of an archive that somebody's record names.
type Sighting struct {
	State   State        // of the archive's row; NoArchive: it has none
	Listed  bool         // the inventory lists it
	Archive firn.Archive // as it is listed
}

var (
	// inBothHalves gives the rows, states and tokens of archives that are recorded.
	inBothHalves = []*bulk{inHalf("by_remote"), inHalf("by_remote_new")}
	sightListed  = newBulk("SELECT v.column1, s.remote, s.description, s.created, s.size, s.tree, s.class FROM (VALUES ", anID,
		`) v CROSS JOIN by_staged k ON k.h64 = v.column2 CROSS JOIN staged s ON s.id = k.staged AND s.remote = v.column3 WHERE k.inventory = ?`)
)

// inHalf looks archives up in one half of the index.
func inHalf(index string) *bulk {
	return newBulk("SELECT v.column1, a.id, a.state, a.token FROM (VALUES ", anID, ") v CROSS JOIN "+index+` b ON b.h64 = v.column2
		CROSS JOIN archive a ON a.id = b.archive AND a.remote = v.column3 AND a.store = ?`)
}

// Sight looks archives up by their ids: among those that are recorded of a
// store, and in an inventory that was staged; 0: in none. It answers in the order
// of the ids, of which some thousands at a time are best.
// Errors: Conflict, NotFound as Stage.
func (c *Catalog) Sight(ctx context.Context, store, inventory int64, ids []firn.ArchiveID) (all []Sighting, err error) {
	all = make([]Sighting, len(ids))
	hashed := make([]hashedID, len(ids))
	for i, id := range ids {
		hashed[i] = hashedID{i, remote64(id), string(id)}
	}
	err = c.read(ctx, "look up archives", fmt.Sprint("of store ", store), func(tx tx) error {
		for _, half := range inBothHalves {
			err := half.lookUp(tx, hashed, store, func(rows *sql.Rows) error {
				var place int
				var id int64
				var state State
				var token sql.RawBytes
				err := rows.Scan(&place, &id, &state, &token)
				if all[place].State != Stored { // of several of one id that one is there
					all[place].State = state
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if inventory == 0 {
			return nil
		}
		if _, err := findInventory(tx, inventory, inventoryStaged); err != nil {
			return err
		}
		return sightListed.lookUp(tx, hashed, inventory, func(rows *sql.Rows) error { return scanListed(rows, all) })
	})
	return all, err
}

// scanListed reads a row of staged into its place.
func scanListed(rows *sql.Rows, all []Sighting) error {
	var place int
	var created int64
	var remote string // a type of its own would cost ten times as much
	var a firn.Archive
	var tree sql.RawBytes
	if err := rows.Scan(&place, &remote, &a.Description, &created, &a.Size, &tree, &a.Class); err != nil {
		return err
	}
	a.ID, a.Created = firn.ArchiveID(remote), time.UnixMicro(created).UTC()
	copy(a.Tree[:], tree)
	all[place].Listed, all[place].Archive = true, a
	return nil
}

// HoldersOf gives the archives that hold the versions of a path, the removed
// ones too, with their ids and, where others wrote them, their descriptions: what
// a path was made of. One without an id stands for a version without content.
func (c *Catalog) HoldersOf(ctx context.Context, store int64, tree, path string) (all []firn.Archive, err error) {
	dir, name := split(path)
	err = c.read(ctx, "look up", path, func(tx tx) error {
		for _, query := range []string{
			`SELECT coalesce(a.remote, ''), coalesce(d.text, '') FROM tree t CROSS JOIN dir k ON k.tree = t.id AND k.key = ?
				CROSS JOIN file f ON f.dir = k.id AND f.name = ? LEFT JOIN archive a ON a.id = f.archive LEFT JOIN description d ON d.archive = a.id
				WHERE t.store = ? AND t.name = ?`,
			`SELECT coalesce(a.remote, ''), coalesce(d.text, '') FROM tree t CROSS JOIN dir k ON k.tree = t.id AND k.key = ?
				CROSS JOIN version f ON f.dir = k.id AND f.name = ? LEFT JOIN archive a ON a.id = f.archive LEFT JOIN description d ON d.archive = a.id
				WHERE t.store = ? AND t.name = ?`,
		} {
			err := tx.each(func(rows *sql.Rows) error {
				var a firn.Archive
				err := rows.Scan(&a.ID, &a.Description)
				all = append(all, a)
				return err
			}, query, keyOf(dir), []byte(name), store, tree)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// ForgetInventory gives up an inventory that was begun, and deletes what was
// staged of it: it was only looked at. One that is gone or worked in is left as
// it is.
func (c *Catalog) ForgetInventory(ctx context.Context, inventory int64) error {
	var store int64
	err := c.write(ctx, "forget inventory", fmt.Sprint(inventory), func(tx tx) error {
		err := tx.row("UPDATE inventory SET state = 4 WHERE id = ? AND state IN (1, 2) RETURNING store", inventory).Scan(&store)
		return ignoreNoRows(err)
	})
	if err != nil || store == 0 {
		return err
	}
	return c.emptyInventories(ctx, store)
}
