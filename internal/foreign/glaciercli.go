package foreign

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/inventory"
	"github.com/firn-archive/firn/treehash"
)

// A GlacierCLI is the database of glacier-cli, or of its fork, which keeps the
// tree hash too. Source: github.com/basak/glacier-cli, github.com/vbourachot/glacier-cli.
//
// It is kept by the access key, not by account and region, so that one vault may
// stand under several keys, and two vaults of one name in two regions look like
// one. Only an inventory can tell those apart.
type GlacierCLI struct {
	*database
	Fork bool     // it is the fork's
	has  []string // columns of its table
}

// A CachedVault is a vault that a database of glacier-cli knows.
type CachedVault struct {
	Vault    string
	Key      string // id of the access key by which it was used
	Archives int64  // rows, those of deleted archives among them
	Deleted  int64  // rows of deleted archives
}

// A CachedArchive is one row of such a database. Times are zero where there is
// none, or where it can't be one.
type CachedArchive struct {
	ID       firn.ArchiveID
	Name     string // empty where there is none: archives of other programs, for instance
	Vault    string
	Key      string    // id of the access key by which it was used
	LastSeen time.Time // date of the last inventory that listed it
	Created  time.Time // when the row was made
	// Deleted: glacier-cli has deleted the archive, and waits for an inventory
	// that confirms it. At DeletedAt, if that is known.
	Deleted   bool
	DeletedAt time.Time
	tree      treehash.Hash
}

// Tree gives the tree hash that the fork recorded of an archive of size bytes;
// false where none is known. The fork has a fault: "archive upload" writes down
// the hash of no bytes at all, whatever it uploaded.
func (a *CachedArchive) Tree(size int64) (treehash.Hash, bool) {
	nothing := treehash.Hash(sha256.Sum256(nil))
	if a.tree.IsZero() || a.tree == nothing && size != 0 {
		return treehash.Hash{}, false
	}
	return a.tree, true
}

// archiveTable is glacier-cli's one table.
const archiveTable = "archive"

// OpenGlacierCLI opens a database of glacier-cli or its fork; the caller closes
// it. Errors have the kinds Usage (it is something else), Corrupt, Conflict (it
// is being written to), Local.
func OpenGlacierCLI(ctx context.Context, path string) (*GlacierCLI, error) {
	d, err := openDatabase(ctx, path)
	if err != nil {
		return nil, err
	}
	g := &GlacierCLI{database: d}
	ok, err := g.recognize(ctx)
	if err == nil && !ok {
		err = notThat(path, GlacierCLIDatabase)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return g, nil
}

// notThat is the error of a file that is opened as what it isn't.
func notThat(path string, kind Kind) error {
	return &firn.Error{Op: "open", Subject: path, Kind: firn.Usage, Err: errors.New("it is not a " + string(kind))}
}

func (g *GlacierCLI) recognize(ctx context.Context) (bool, error) {
	tables, err := g.tables(ctx)
	if err != nil {
		return false, err
	}
	ok, err := g.contains(ctx, tables, archiveTable, "id", "name", "vault", "key")
	if err != nil || !ok {
		return false, err
	}
	g.has, err = g.columns(ctx, archiveTable)
	// With a region, the hash is of firn's glacier: see Cache.
	g.Fork = slices.Contains(g.has, "hash") && !slices.Contains(g.has, "region")
	return true, err
}

// column names a column in a query, or NULL where this database hasn't got it.
func (g *GlacierCLI) column(name string) string {
	if slices.Contains(g.has, name) {
		return `+"` + name + `"`
	}
	return "NULL"
}

// maxVaults is how many vaults and keys are told.
const maxVaults = 10_000

// Vaults lists the vaults that the database knows, by name and key, at most
// 10,000 of them.
func (g *GlacierCLI) Vaults(ctx context.Context) ([]CachedVault, error) {
	if err := g.check(ctx, archiveTable); err != nil {
		return nil, err
	}
	c, err := g.query(ctx, "SELECT +vault, +key, count(*), count("+g.column("deleted_here")+") FROM archive GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ?", maxVaults)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var all []CachedVault
	for c.next() {
		var v CachedVault
		v.Vault, _ = text(c.values[0])
		v.Key, _ = text(c.values[1])
		v.Archives, _ = c.values[2].(int64)
		v.Deleted, _ = c.values[3].(int64)
		all = append(all, v)
	}
	return all, c.err
}

// Archives hands each row of a vault to each, those of all access keys, in the
// order of the file; of all vaults where vault is empty. Rows that can't be an
// archive go to bad.
func (g *GlacierCLI) Archives(ctx context.Context, vault string, each func(CachedArchive) error, bad Bad) error {
	query := "SELECT +id, +name, +vault, +key"
	for _, name := range []string{"last_seen_upstream", "created_here", "deleted_here", "hash"} {
		query += ", " + g.column(name)
	}
	if err := g.check(ctx, archiveTable); err != nil {
		return err
	}
	c, err := g.query(ctx, query+" FROM archive NOT INDEXED")
	if err != nil {
		return err
	}
	defer c.close()
	for n := int64(1); c.next(); n++ {
		if of, _ := text(c.values[2]); vault != "" && of != vault {
			continue
		}
		a, err := cached(c)
		if err == nil {
			err = each(a)
		} else {
			err = bad.tell(corrupt(g.path, row(archiveTable, n), err))
		}
		if err != nil {
			return err
		}
	}
	if c.err != nil {
		return c.err
	}
	return g.whole(ctx)
}

// cached reads one row.
func cached(c *cursor) (a CachedArchive, err error) {
	id, err := c.text(0, "id")
	if err != nil {
		return a, err
	}
	if err := inventory.CheckID(id); err != nil {
		return a, err
	}
	a.ID = firn.ArchiveID(id)
	if c.values[1] != nil {
		if a.Name, err = c.text(1, "name"); err != nil {
			return a, err
		}
	}
	if a.Vault, err = c.text(2, "vault"); err != nil {
		return a, err
	}
	if a.Key, err = c.text(3, "key"); err != nil {
		return a, err
	}
	a.LastSeen, a.Created = moment(c.values[4]), moment(c.values[5])
	a.Deleted, a.DeletedAt = c.values[6] != nil, moment(c.values[6])
	if hash, _ := text(c.values[7]); len(hash) == 2*treehash.Size {
		a.tree, _ = treehash.Parse(hash) // what is none is not known
	}
	return a, nil
}
