package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/rows"
)

// A TreeOwner says whose a tree is.
type TreeOwner struct {
	Tree
	// Catalogs are those that synced it.
	Catalogs []firn.Token
	// Saved is when the newest snapshot was stored that the catalog made which
	// synced it last, by the store's clock. What was stored later isn't in any
	// snapshot that was read. Zero where none is known.
	Saved time.Time
}

// TreeOwners gives a store's trees by name, with whose they are.
func (c *Catalog) TreeOwners(ctx context.Context, store int64) (all []TreeOwner, err error) {
	err = c.read(ctx, "list owners", fmt.Sprint("of store ", store), func(tx tx) error {
		all = nil
		err := tx.each(func(r *sql.Rows) error {
			t, err := scanTree(r)
			all = append(all, TreeOwner{Tree: t})
			return err
		}, "SELECT "+treeColumns+" FROM tree WHERE store = ? ORDER BY name", store)
		for i := range all {
			if err == nil {
				err = all[i].read(tx)
			}
		}
		return err
	})
	return all, err
}

// syncRuns are the runs of a tree in which a directory was compared with it.
const syncRuns = "FROM run WHERE tree = ? AND command IN ('sync', 'mirror')"

func (o *TreeOwner) read(tx tx) error {
	err := tx.each(func(r *sql.Rows) error {
		var token []byte
		err := r.Scan(&token)
		o.Catalogs = append(o.Catalogs, firn.Token{})
		copy(o.Catalogs[len(o.Catalogs)-1][:], token)
		return err
	}, "SELECT token FROM catalog WHERE id IN (SELECT catalog "+syncRuns+") ORDER BY id", o.ID)
	if err != nil {
		return err
	}
	var until sql.NullInt64
	err = tx.row(`SELECT max(coalesce(a.created, s.made)) FROM snapshot s CROSS JOIN archive a ON a.id = s.archive AND a.state = 10
		WHERE s.store = ? AND s.catalog = (SELECT catalog `+syncRuns+" ORDER BY id DESC LIMIT 1)", o.Store, o.ID).Scan(&until)
	if until.Valid {
		o.Saved = at(until.Int64, 0)
	}
	return err
}

// maxOthers is how many trees of one name and host get names of their own.
const maxOthers = 100

// MayBe reports whether the tree is called so by its owner: it has the name, or
// one that it got here since another one had that.
func (t Tree) MayBe(name string) bool {
	if t.Name == name {
		return true
	}
	own := rows.Tree{Name: name, Host: t.Host}
	for n := 1; n < maxOthers; n++ {
		if t.Name == otherName(&own, n) {
			return true
		}
	}
	return false
}

// NameOf is the name that a tree gets which a machine calls so, where another
// one has that.
func NameOf(name, host string) string { return otherName(&rows.Tree{Name: name, Host: host}, 1) }
