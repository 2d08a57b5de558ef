package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firn-archive/firn"
)

// A Tree is one directory of one machine, in one store.
type Tree struct {
	ID, Store int64
	Name      string // unique in the store
	Host      string
	Root      string // absolute path; bytes

	// What is current in it, stored or not:
	Files int64 // regular files
	Bytes int64 // in those
	Dirs  int64
	Links int64 // symbolic

	// Recipients that its last sync encrypted for, and their public keys: see
	// SetRecipients.
	Recipients Recipients
	Keys       string // one a line
}

// IsBound reports whether the tree stands for a directory of a machine. One
// that was found in a store doesn't, until it is synced.
func (t Tree) IsBound() bool { return t.Host != "" || t.Root != "" }

const treeColumns = "id, store, name, host, root, files, bytes, dirs, links, recipients, keys"

func scanTree(row interface{ Scan(...any) error }) (t Tree, err error) {
	var recipients []byte
	err = row.Scan(&t.ID, &t.Store, &t.Name, &t.Host, &t.Root, &t.Files, &t.Bytes, &t.Dirs, &t.Links, &recipients, &t.Keys)
	copy(t.Recipients[:], recipients)
	return t, err
}

// maxTreeName is in bytes: as long as a file name may be, since restores make
// folders of tree names.
const maxTreeName = 255

// checkTreeName refuses what would be ambiguous in a path, a description or on
// a terminal.
func checkTreeName(name string) error {
	unfit := func(r rune) bool { return r == '/' || !unicode.IsPrint(r) }
	if name != "" && name != "." && name != ".." && len(name) <= maxTreeName &&
		utf8.ValidString(name) && !strings.ContainsFunc(name, unfit) {
		return nil
	}
	return &firn.Error{
		Op: "name tree", Subject: fmt.Sprintf("%q", name), Kind: firn.Usage,
		Err:  fmt.Errorf("a tree's name is 1 to %d bytes of printable UTF-8 without slash, and not a dot or two", maxTreeName),
		Hint: "give it another with: --tree NAME",
	}
}

// Bind finds the tree of this name, or makes it and binds it to host and root,
// which is a clean absolute path. A tree that is bound to nothing yet, since it
// was found in the store, is bound to them.
// Errors: Usage (not a name), Conflict (the name is bound to another
// directory or machine).
func (c *Catalog) Bind(ctx context.Context, store int64, name, host, root string) (tree Tree, err error) {
	if err := checkTreeName(name); err != nil {
		return Tree{}, err
	}
	err = c.write(ctx, "bind tree", name, func(tx tx) error {
		err := tx.exec(`INSERT INTO tree (store, name, host, root) VALUES (?, ?, ?, ?) ON CONFLICT (store, name) DO
			UPDATE SET host = excluded.host, root = excluded.root WHERE host = '' AND length(root) = 0`, store, name, host, []byte(root))
		if err != nil {
			return err
		}
		tree, err = scanTree(tx.row("SELECT "+treeColumns+" FROM tree WHERE store = ? AND name = ?", store, name))
		if err != nil || tree.Host == host && tree.Root == root {
			return err
		}
		return &firn.Error{
			Op: "bind tree", Subject: name, Kind: firn.Conflict,
			Err:  fmt.Errorf("the name stands for %q on %s, not for %q on %s", tree.Root, tree.Host, root, host),
			Hint: "give this directory a name of its own with --tree NAME, or say with --tree-moved that it is the same one in a new place",
		}
	})
	if err != nil {
		return Tree{}, err
	}
	return tree, nil
}

// Rebind binds a tree to another host and root: the directory has moved.
// Errors: NotFound.
func (c *Catalog) Rebind(ctx context.Context, tree int64, host, root string) error {
	return c.write(ctx, "rebind", fmt.Sprint("tree ", tree), func(tx tx) error {
		return tx.row("UPDATE tree SET host = ?, root = ? WHERE id = ? RETURNING id", host, []byte(root), tree).Scan(&tree)
	})
}

// SetRecipients records whom a tree's syncs encrypt for from now on, and the
// public keys that r stands for, one a line; zero and none for nobody.
// Errors: NotFound.
func (c *Catalog) SetRecipients(ctx context.Context, tree int64, r Recipients, keys []string) error {
	return c.write(ctx, "record recipients", fmt.Sprint("of tree ", tree), func(tx tx) error {
		return tx.row("UPDATE tree SET recipients = ?, keys = ? WHERE id = ? RETURNING id", r.column(), strings.Join(keys, "\n"), tree).Scan(&tree)
	})
}

// Trees lists a store's trees by name.
func (c *Catalog) Trees(ctx context.Context, store int64) (trees []Tree, err error) {
	err = c.read(ctx, "list trees", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			t, err := scanTree(rows)
			trees = append(trees, t)
			return err
		}, "SELECT "+treeColumns+" FROM tree WHERE store = ? ORDER BY name", store)
	})
	return trees, err
}

// Tree finds a store's tree by name. Errors: NotFound.
func (c *Catalog) Tree(ctx context.Context, store int64, name string) (tree Tree, err error) {
	err = c.read(ctx, "find tree", name, func(tx tx) error {
		tree, err = scanTree(tx.row("SELECT "+treeColumns+" FROM tree WHERE store = ? AND name = ?", store, name))
		if isNoRows(err) {
			return &firn.Error{
				Op: "find tree", Subject: name, Kind: firn.NotFound,
				Err:  errors.New("the store has no tree of this name"),
				Hint: "see them all with: firn status",
			}
		}
		return err
	})
	return tree, err
}
