package restore

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// places say where the entries of one tree go in the target: to their own paths,
// but for what the system can't hold.
type places struct {
	r       *restorer
	tree    catalog.Tree
	run     int64
	below   string
	clashes map[string]bool // files whose path a folder has too
	// dir is the folder that was asked for last, and at its place.
	dir, at string
}

func (r *restorer) newPlaces(ctx context.Context, tree catalog.Tree, run int64, below string) (*places, error) {
	clashes, err := r.Catalog.FileAndFolder(ctx, tree.ID, run)
	return &places{r: r, tree: tree, run: run, below: below, clashes: clashes, at: below}, err
}

// place gives the path below the target of an entry of the tree. What gets
// another name is told of once.
func (p *places) place(ctx context.Context, from string, kind firn.FileKind) (string, error) {
	if dir := dirOf(from); dir != p.dir {
		at, err := p.folder(ctx, dir)
		if err != nil {
			return "", err
		}
		p.dir, p.at = dir, at
	}
	to, changed, err := p.in(ctx, p.at, from)
	if err != nil {
		return "", err
	}
	if kind != firn.Directory && p.clashes[from] {
		to, changed = besideName(to), true
	}
	if changed && p.tells() {
		p.r.Events(firn.NoticeEvent{Text: fmt.Sprintf("%q can't have its name here, and is restored as %q", from, to)})
	}
	return to, nil
}

// tells reports whether this pass is the first of all processes.
func (p *places) tells() bool {
	return p.r.planning != nil || p.r.days == nil && p.r.waiting == nil
}

// folder gives the place of a folder of the tree, from the root on.
func (p *places) folder(ctx context.Context, dir string) (at string, err error) {
	at = p.below
	for i := 1; dir != "" && i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		if at, _, err = p.in(ctx, at, dir[:i]); err != nil {
			return "", err
		}
	}
	return at, nil
}

// in gives the place of an entry whose folder has the place at, and whether its
// name is another one.
func (p *places) in(ctx context.Context, at, from string) (to string, changed bool, err error) {
	name := baseName(from)
	safe, changed := escapeName(name)
	if changed {
		taken, err := p.isTaken(ctx, dirOf(from), safe)
		if err != nil {
			return "", false, err
		}
		if taken {
			safe = apartName(safe, name)
		}
	}
	return path.Join(at, safe), changed, nil
}

// isTaken reports whether a folder of the tree has an entry of that name.
func (p *places) isTaken(ctx context.Context, dir, name string) (bool, error) {
	for _, err := range p.r.Catalog.Files(ctx, catalog.ListQuery{Tree: p.tree.ID, Path: strings.TrimPrefix(dir+"/"+name, "/"), At: p.run}) {
		return err == nil, err
	}
	return false, nil
}

// checkPlain refuses paths that lead elsewhere than where they say. No sync
// records them, but a damaged or hostile catalog may hold them.
func checkPlain(p string) error { return checkPathOn("", p) }
