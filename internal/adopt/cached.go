package adopt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/foreign"
)

// cached reads a database of glacier-cli or of its fork. By an inventory it shows
// which rows are of this vault, wherever it is; without one only its name tells.
func (j *joiner) cached(ctx context.Context) error {
	db, err := foreign.OpenGlacierCLI(ctx, j.file.path)
	if err != nil {
		return err
	}
	defer db.Close()
	vault := j.Info.Name
	if j.inventory.ID != 0 {
		vault = ""
	}
	if err := j.tellVaults(ctx, db); err != nil {
		return err
	}
	return db.Archives(ctx, vault, func(c foreign.CachedArchive) error {
		if c.Deleted {
			if dated := j.res.Dated; dated.IsZero() || c.DeletedAt.IsZero() || c.DeletedAt.After(dated.Add(-inventoryLag)) {
				j.gone[j.hash(c.ID)] = struct{}{}
			}
			return nil
		}
		return j.add(ctx, j.ofCache(&c))
	}, j.bad)
}

// ofCache makes a record of a row. glacier-cli takes the description of what others
// stored for its name. Rows of other vaults aren't missed in this one's inventory.
func (j *joiner) ofCache(c *foreign.CachedArchive) record {
	r := record{archive: firn.Archive{ID: c.ID, Created: c.Created, Size: -1}, other: c.Vault != j.Info.Name}
	if d := guess(c.Name); d.Path != "" && d.Format != describe.Firn {
		r.names = []describe.Archive{d}
	}
	return r
}

// tellVaults says so where none of the database's vaults has the store's name.
func (j *joiner) tellVaults(ctx context.Context, db *foreign.GlacierCLI) error {
	vaults, err := db.Vaults(ctx)
	if err != nil {
		return err
	}
	var others []string
	for _, v := range vaults {
		if v.Vault == j.Info.Name {
			return nil
		}
		others = append(others, v.Vault)
	}
	others = slices.Compact(others)
	const most = 5
	if len(others) > most {
		others = append(others[:most], "and others")
	}
	if len(others) == 0 {
		others = []string{"none"}
	}
	j.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("%s knows no vault called %s; it knows %s", j.file.path, j.Info.Name, strings.Join(others, ", "))})
	return nil
}
