package catalog

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// FileAndFolder gives the paths of a tree at which there is both something that
// is no directory, and a directory with whatever is in it: no disk has that, but
// stores of programs that knew only names have. At is as in ListQuery.
//
// Of a tree that was only ever synced it asks one index. Of another it looks once
// for each directory whether a file has its path, so that it costs nothing for
// the files, and keeps only what it finds.
func (c *Catalog) FileAndFolder(ctx context.Context, tree, at int64) (map[string]bool, error) {
	s := clashes{cat: c, ctx: ctx, tree: tree, at: at, found: map[string]bool{}}
	var more bool
	err := c.read(ctx, "find clashes", fmt.Sprint(tree), func(tx tx) error {
		return tx.row("SELECT EXISTS (SELECT 1 FROM tree t CROSS JOIN run r ON r.store = t.store AND r.tree = t.id AND r.command = 'found' WHERE t.id = ?)", tree).Scan(&more)
	})
	if err != nil {
		return nil, err
	}
	for more {
		var page []string
		err := c.read(ctx, "find clashes", fmt.Sprint(tree), func(tx tx) (err error) {
			page, more, err = s.page(tx)
			return err
		})
		for i := 0; i < len(page) && err == nil; i++ {
			err = s.judge(page[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return s.found, nil
}

// A clashes looks for paths of files that are paths of directories too.
type clashes struct {
	cat      *Catalog
	ctx      context.Context
	tree, at int64
	above    []ancestor // of the directory that was read last, and itself
	found    map[string]bool
}

// An ancestor is a directory on the way to another one.
type ancestor struct {
	id  int64
	key []byte
}

// These find the entries that have the name of a directory in its parent.
var (
	filesOfDirs    = newBulk("SELECT v.column1 FROM (VALUES ", "(?, ?, ?)", ") v CROSS JOIN file f ON f.dir = v.column2 AND f.name = v.column3")
	versionsOfDirs = newBulk("SELECT v.column1 FROM (VALUES ", "(?, ?, ?)", ") v CROSS JOIN version f ON f.dir = v.column2 AND f.name = v.column3")
)

// page reads the next directories and gives those that a file may have the path
// of. Directories come after those that they are in, and nothing else between.
func (s *clashes) page(tx tx) (maybe []string, more bool, err error) {
	if s.above == nil {
		root, err := dirRow(tx, s.tree, "")
		if err != nil {
			return nil, false, err
		}
		s.above = []ancestor{{root, []byte{}}}
	}
	var keys [][]byte
	var args []any // of the statements about them
	err = tx.each(func(rows *sql.Rows) error {
		var one ancestor
		if err := rows.Scan(&one.id, &one.key); err != nil {
			return err
		}
		if parent, name, ok := s.enter(one); ok {
			args = append(args, len(keys), parent, name)
		}
		keys = append(keys, one.key)
		return nil
	}, "SELECT id, key FROM dir WHERE tree = ? AND key > ? ORDER BY key LIMIT ?", s.tree, s.above[len(s.above)-1].key, s.cat.sizes.page)
	if err != nil {
		return nil, false, err
	}
	hit, err := s.hits(tx, args)
	for i, key := range keys {
		if hit[i] {
			maybe = append(maybe, pathOf(key))
		}
	}
	return maybe, len(keys) == s.cat.sizes.page, err
}

// hits gives the numbers of the directories whose name a file has too, or of
// old had.
func (s *clashes) hits(tx tx, args []any) (map[int]bool, error) {
	hit := map[int]bool{}
	note := func(rows *sql.Rows) error {
		var i int
		err := rows.Scan(&i)
		hit[i] = true
		return err
	}
	files := filesOfDirs.batch(tx)
	files.args = args
	var err error
	if s.at != 0 {
		versions := versionsOfDirs.batch(tx)
		versions.args = args
		err = versions.query(note)
	}
	return hit, errors.Join(err, files.query(note))
}

// enter makes a directory the one that was read last, and gives its parent's row
// and its name in that.
func (s *clashes) enter(one ancestor) (parent int64, name []byte, ok bool) {
	above, name := []byte{}, one.key
	if i := bytes.LastIndexByte(one.key, 0); i >= 0 {
		above, name = one.key[:i], one.key[i+1:]
	}
	n := len(s.above)
	for n > 1 && !bytes.Equal(s.above[n-1].key, above) {
		n--
	}
	ok = bytes.Equal(s.above[n-1].key, above)
	parent = s.above[n-1].id
	s.above = append(s.above[:n], one)
	return parent, name, ok
}

// judge looks whether both count then: the file, and the directory or something
// below it.
func (s *clashes) judge(path string) error {
	l := lister{cat: s.cat, ctx: s.ctx, q: ListQuery{Tree: s.tree, Path: path, At: s.at}}
	return l.read(func(tx tx) error {
		dir, name := split(path)
		found, err := l.entries(tx, dir, name)
		if err != nil || len(found) == 0 {
			return err
		}
		if found, err = l.child(tx, keyOf(path)); len(found) > 0 {
			s.found[path] = true
		}
		return err
	})
}
