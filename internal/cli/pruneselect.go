package cli

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// matcher gives what the names stand for: a path that was ever there, with all
// below it, whatever letters it is of, else a pattern; nil for everything.
// Errors: NotFound (nothing that was ever there has a name), Usage (no pattern).
func (w *pruning) matcher(ctx context.Context, trees []catalog.Tree) (func(string, bool) bool, error) {
	if len(w.Names) == 0 {
		return nil, nil
	}
	var paths, patterns []string
	for _, name := range w.Names {
		p := treePath(name)
		there, err := w.ever(ctx, trees, p, nil)
		switch {
		case err != nil:
			return nil, err
		case there:
			paths = append(paths, p)
			continue
		case !strings.ContainsAny(name, `*?[\`):
			return nil, nothingEver(name, "the store never had such a file or folder")
		}
		one, err := parseGlobs([]string{name})
		if err != nil {
			return nil, wrongUsage("prune", "%w", err)
		}
		if there, err = w.ever(ctx, trees, one.below(), belowGlobs(one)); err != nil {
			return nil, err
		}
		if !there {
			return nil, nothingEver(name, "nothing that the store ever had matches")
		}
		patterns = append(patterns, name)
	}
	all, err := parseGlobs(patterns)
	if err != nil {
		return nil, wrongUsage("prune", "%w", err)
	}
	matches := belowGlobs(all)
	return func(p string, folder bool) bool { return isAtOrBelow(paths, p) || matches(p, folder) }, nil
}

// ever reports whether any of the trees ever had anything at a path or below it,
// or, of that, anything that matches.
func (w *pruning) ever(ctx context.Context, trees []catalog.Tree, at string, match func(string, bool) bool) (bool, error) {
	for _, t := range trees {
		for e, err := range w.catalog.Files(ctx, catalog.ListQuery{Tree: t.ID, Path: at, All: true}) {
			if err != nil || match == nil || match(e.Path, e.Kind == firn.Directory) {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// isAtOrBelow reports whether a path is one of some, or below it.
func isAtOrBelow(paths []string, p string) bool {
	for _, one := range paths {
		if one == "" || p == one || strings.HasPrefix(p, one) && p[len(one)] == '/' {
			return true
		}
	}
	return false
}

// belowGlobs matches what the patterns are for, and what is in folders that they
// are for.
func belowGlobs(g *globs) func(p string, folder bool) bool {
	return func(p string, folder bool) bool {
		for p != "" && p != "." {
			if g.match(p, folder) {
				return true
			}
			p, folder = path.Dir(p), true
		}
		return false
	}
}

func nothingEver(name, why string) error {
	return &firn.Error{Op: "prune", Subject: name, Kind: firn.NotFound, Err: errors.New(why), Hint: "list all versions with firn history, or firn find --all"}
}
