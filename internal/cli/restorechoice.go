package cli

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/restore"
)

// A choice is what a command line names of the trees of a store.
type choice struct {
	names []string
	paths []string // of names, as paths; "" is everything
	globs []*globs // of names that are patterns; nil of others
	// there says which names each tree has something of, by the tree's ID.
	there map[int64][]bool
}

// choose finds what the names mean: a path that exists, whatever letters it is
// of, else a pattern. Errors: NotFound (of what was named nothing is there),
// Usage (no pattern).
func (o *restoreOptions) choose(ctx context.Context, s *session, trees *storeTrees) (*choice, error) {
	c := &choice{names: o.Names, globs: make([]*globs, len(o.Names)), there: map[int64][]bool{}}
	for _, name := range c.names {
		c.paths = append(c.paths, treePath(name))
	}
	for tree, run := range trees.then {
		there := make([]bool, len(c.names))
		for i, p := range c.paths {
			var err error
			if there[i], err = hasPath(ctx, s.catalog, catalog.ListQuery{Tree: tree.ID, Path: p, At: run}); err != nil {
				return nil, err
			}
		}
		c.there[tree.ID] = there
	}
	for i, name := range c.names {
		if c.isThere(i) {
			continue
		}
		if going, err := o.goingOn(ctx, s, trees); err != nil || len(going) > 0 {
			if err != nil {
				return nil, err
			}
			if err := c.keep(i, going); err != nil {
				return nil, err
			}
			continue
		}
		if !strings.ContainsAny(name, `*?[\`) {
			return nil, o.notThere(name, "the store has no such file or folder", "the store had no such file or folder then")
		}
		if err := c.match(ctx, s, trees, i); err != nil {
			return nil, err
		}
		if !c.isThere(i) {
			return nil, o.notThere(name, "nothing in the store matches", "nothing in the store matched then")
		}
	}
	return c, nil
}

// isThere reports whether any tree has something of a name.
func (c *choice) isThere(i int) bool {
	for _, there := range c.there {
		if there[i] {
			return true
		}
	}
	return false
}

// goingOn gives the trees of which a restore is open that goes to the same place:
// what it brings may have been removed since it began.
func (o *restoreOptions) goingOn(ctx context.Context, s *session, trees *storeTrees) (ids []int64, err error) {
	open, err := s.catalog.Restores(ctx, trees.store.ID, true)
	if err != nil {
		return nil, err
	}
	for tree := range trees.then {
		to := o.To
		if o.InPlace {
			to = tree.Root
		}
		if real, err := filepath.EvalSymlinks(to); err == nil {
			to = real
		}
		if slices.ContainsFunc(open, func(r catalog.Restore) bool { return r.State == catalog.RestoreGoing && r.Target == to }) {
			ids = append(ids, tree.ID)
		}
	}
	return ids, nil
}

// keep takes a name as it is, that these trees have nothing of any more. Whether
// they had, the restore finds out.
func (c *choice) keep(i int, trees []int64) (err error) {
	if strings.ContainsAny(c.names[i], `*?[\`) {
		if c.globs[i], err = parseGlobs([]string{c.names[i]}); err != nil {
			return wrongUsage("restore", "%w", err)
		}
		c.paths[i] = c.globs[i].below()
	}
	for _, id := range trees {
		c.there[id][i] = true
	}
	return nil
}

// match takes a name as a pattern, and finds the trees where anything matches.
func (c *choice) match(ctx context.Context, s *session, trees *storeTrees, i int) (err error) {
	if c.globs[i], err = parseGlobs([]string{c.names[i]}); err != nil {
		return wrongUsage("restore", "%w", err)
	}
	c.paths[i] = c.globs[i].below()
	for tree, run := range trees.then {
		for e, err := range s.catalog.Files(ctx, catalog.ListQuery{Tree: tree.ID, Path: c.paths[i], At: run}) {
			if err != nil {
				return err
			}
			if e.Path != "" && c.globs[i].match(e.Path, e.Kind == firn.Directory) {
				c.there[tree.ID][i] = true
				break
			}
		}
	}
	return nil
}

// hasPath reports whether a tree has something at a path.
func hasPath(ctx context.Context, c *catalog.Catalog, q catalog.ListQuery) (bool, error) {
	for _, err := range c.Files(ctx, q) {
		return err == nil, err
	}
	return false, nil
}

func (o *restoreOptions) notThere(name, now, then string) error {
	e := &firn.Error{Op: "restore", Subject: name, Kind: firn.NotFound, Err: errors.New(now), Hint: "list what it has with firn ls, and older versions with firn history"}
	if !o.At.isNow() {
		e.Err = errors.New(then)
	}
	return e
}

// fill puts the choice into the options of a restore, and reports whether its
// trees have anything of it.
func (c *choice) fill(r *restore.Options) bool {
	if len(c.names) == 0 {
		return true
	}
	var used []int
	for i := range c.names {
		if slices.ContainsFunc(r.Trees, func(t catalog.Tree) bool { return len(c.there[t.ID]) > 0 && c.there[t.ID][i] }) {
			used = append(used, i)
		}
	}
	globbed := false
	literal := map[string]bool{}
	var patterns []*globs
	var texts []string
	for _, i := range used {
		r.Paths = append(r.Paths, c.paths[i])
		if g := c.globs[i]; g != nil {
			globbed = true
			patterns = append(patterns, g)
		} else {
			literal[c.paths[i]] = true
		}
		texts = append(texts, c.names[i])
	}
	if globbed && !literal[""] {
		r.Globs = &restore.Globs{Match: matcher(literal, patterns), Text: strings.Join(texts, " ")}
	}
	return len(used) > 0
}

// matcher tells what is one of the paths or matches one of the patterns. It may be
// called from several goroutines.
func matcher(paths map[string]bool, patterns []*globs) func(p string, folder bool) bool {
	var mu sync.Mutex // patterns have room for one path
	return func(p string, folder bool) bool {
		if paths[p] {
			return true
		}
		mu.Lock()
		defer mu.Unlock()
		return slices.ContainsFunc(patterns, func(g *globs) bool { return g.match(p, folder) })
	}
}
