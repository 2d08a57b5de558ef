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
	// Loose: it is stored and of no tree, and a find that has it can make it a file.
	Loose    bool
	Recorded firn.Archive // as it is recorded, where it is Loose
}

var (
	// inBothHalves gives the rows, states and tokens of archives that are recorded, and
	// whether they are loose.
	inBothHalves = []*bulk{inHalf("by_remote"), inHalf("by_remote_new")}
	sightListed  = newBulk("SELECT v.column1, s.remote, s.description, s.created, s.size, s.tree, s.class FROM (VALUES ", anID,
		`) v CROSS JOIN by_staged k ON k.h64 = v.column2 CROSS JOIN staged s ON s.id = k.staged AND s.remote = v.column3 WHERE k.inventory = ?`)
)

// inHalf looks archives up in one half of the index.
func inHalf(index string) *bulk {
	return newBulk("SELECT v.column1, a.id, a.state, a.token, a.kind = 'loose' FROM (VALUES ", anID, ") v CROSS JOIN "+index+` b ON b.h64 = v.column2
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
		if err := sightRows(tx, hashed, store, all); err != nil {
			return err
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

// sightRows says which archives are recorded, and what of the loose ones.
func sightRows(tx tx, ids []hashedID, store int64, all []Sighting) error {
	free := freeLoose.batch(tx)
	for _, half := range inBothHalves {
		err := half.lookUp(tx, ids, store, func(rows *sql.Rows) error {
			var place int
			var r recordedRow
			err := r.scan(rows, &place)
			if all[place].State != Stored { // of several of one id that one is there
				all[place].State = r.state
				if r.state == Stored && r.loose {
					free.args = append(free.args, place, r.id)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(free.args) == 0 {
		return nil
	}
	return free.query(func(rows *sql.Rows) error {
		var place int
		var created, createdNs int64
		var remote string
		var a firn.Archive
		var tree sql.RawBytes
		err := rows.Scan(&place, &remote, &a.Description, &created, &createdNs, &a.Size, &tree)
		copy(a.Tree[:], tree)
		a.ID, a.Created = firn.ArchiveID(remote), at(created, createdNs)
		all[place].Loose, all[place].Recorded = true, a
		return err
	})
}

// A recordedRow is what inBothHalves gives of an archive.
type recordedRow struct {
	id    int64
	state State
	token sql.RawBytes
	loose bool
}

func (r *recordedRow) scan(rows *sql.Rows, place *int) error {
	return rows.Scan(place, &r.id, &r.state, &r.token, &r.loose)
}

// canBeNamed is true of loose archives whose bytes are a file's and which nobody has
// asked to go: those of which more can be known than that they are there.
const canBeNamed = `a.kind = 'loose' AND a.state = 10 AND NOT EXISTS (SELECT 1 FROM seal WHERE archive = a.id)
	AND NOT EXISTS (SELECT 1 FROM location WHERE archive = a.id) AND NOT EXISTS (SELECT 1 FROM deletion WHERE archive = a.id)`

// freeLoose reads loose archives that can be named, by their rows.
var freeLoose = newBulk("SELECT v.column1, a.remote, coalesce(d.text, ''), coalesce(a.created, -62135596800), coalesce(a.created_ns, 0), a.size, a.tree FROM (VALUES ",
	"(?, ?)", ") v CROSS JOIN archive a ON a.id = v.column2 LEFT JOIN description d ON d.archive = a.id WHERE "+canBeNamed)

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
		if err != nil {
			return ignoreNoRows(err)
		}
		return forgetMarks(tx, inventory)
	})
	if err != nil || store == 0 {
		return err
	}
	return c.emptyInventories(ctx, store)
}
