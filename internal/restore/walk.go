package restore

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/scan"
)

// outermost drops paths that are named twice or lie below others, and sorts the
// rest so that those in one folder stand together.
func outermost(paths []string) []string {
	sorted := slices.Clone(paths)
	slices.SortFunc(sorted, scan.Compare)
	var kept []string
	for _, p := range sorted {
		if len(kept) == 0 || !isWithin(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

// isWithin reports whether p is dir or lies below it.
func isWithin(p, dir string) bool {
	return dir == "" || p == dir || len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}

// checkPaths finds paths that no tree has, before anything is done.
func (r *restorer) checkPaths(ctx context.Context) error {
	for _, p := range r.Paths {
		found := false
		for w := range r.walkers(nil) {
			for _, err := range r.Catalog.Files(ctx, catalog.ListQuery{Tree: w.tree.ID, Path: p, At: w.run}) {
				if err != nil {
					return err
				}
				found = true
				break
			}
		}
		if !found {
			return r.notFound(p)
		}
	}
	return nil
}

func (r *restorer) notFound(p string) error {
	e := &firn.Error{Op: "restore", Subject: p, Kind: firn.NotFound, Err: errors.New("the store has no such file or folder"),
		Hint: "list what it has with firn ls, and older versions with firn history"}
	if r.Runs != nil {
		e.Err = errors.New("the store had no such file or folder then")
	}
	return e
}

// A walker goes through what is wanted of one tree, in walk order: a folder,
// its files, then the folders in it.
type walker struct {
	r     *restorer
	tree  catalog.Tree
	run   int64
	below string // where the tree goes in the target; "" is the target
	*places
	files chan<- item
	// stack holds the folder that the walk is in, and those above it, from
	// the tree's root.
	stack []*folder
	// chosen says whether globs match the folder judged, or one above it.
	judged            string
	wasJudged, chosen bool
}

// walkers gives one for each tree that was there.
func (r *restorer) walkers(files chan<- item) func(yield func(*walker) bool) {
	return func(yield func(*walker) bool) {
		for _, tree := range r.Trees {
			run, there := r.Runs[tree.ID]
			if r.Runs != nil && !there {
				continue
			}
			w := &walker{r: r, tree: tree, run: run, files: files}
			if !yield(w) {
				return
			}
		}
	}
}

// walk does what needs no reading and no download, folders and links, and
// hands out files.
func (r *restorer) walk(ctx context.Context, files chan<- item) error {
	for w := range r.walkers(files) {
		err := w.start(ctx)
		if err == nil {
			err = w.paths(ctx)
		}
		for len(w.stack) > 0 {
			w.pop(err != nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) paths(ctx context.Context) error {
	paths := w.r.Paths
	if len(paths) == 0 {
		paths = []string{""}
	}
	for _, p := range paths {
		for e, err := range w.r.Catalog.Files(ctx, catalog.ListQuery{Tree: w.tree.ID, Path: p, At: w.run}) {
			if err != nil {
				return err
			}
			if err := w.entry(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// start enters the tree's root.
func (w *walker) start(ctx context.Context) (err error) {
	root := &folder{path: "."}
	if len(w.r.Trees) > 1 {
		w.below, _ = escapeName(w.tree.Name)
		if err := checkPlain(w.below); err != nil || strings.Contains(w.below, "/") {
			return &firn.Error{Op: "restore", Subject: w.tree.Name, Kind: firn.Invalid, Err: errors.New("a tree of that name can't have a folder"), Hint: "restore it alone, with --tree"}
		}
		root = &folder{parent: &folder{path: "."}, path: w.below}
	}
	if w.places, err = w.r.newPlaces(ctx, w.tree, w.run, w.below); err != nil {
		return err
	}
	file, known, err := w.lookup(ctx, "")
	if err != nil {
		return err
	}
	if known && w.below == "" {
		w.r.root = &file
	}
	w.push(root, file, known && w.below != "")
	return nil
}

// entry sees to one entry, or hands it out.
func (w *walker) entry(ctx context.Context, e catalog.Entry) (err error) {
	if e.Path == "" || !w.isChosen(&e) {
		return nil // start saw to the root
	}
	if w.r.planning == nil && w.r.days.isBeyond(w.tree.ID, e.Path) {
		return nil
	}
	it := item{file: e.File, from: e.Path, tree: w.tree.Name, treeID: w.tree.ID, content: e.Content, loc: e.Location, group: e.LinkGroup}
	if err := checkPlain(e.Path); err != nil {
		if !w.r.later {
			w.r.refuse(it, err)
		}
		return nil
	}
	if it.file.Path, err = w.place(ctx, e.Path, e.Kind); err != nil {
		return err
	}
	if e.Kind != firn.Directory && !w.r.wants(it.file.Path) {
		return nil
	}
	parent, err := w.into(ctx, dirOf(e.Path))
	if err != nil {
		return err
	}
	it.folder = parent
	switch e.Kind {
	case firn.Directory:
		w.folder(it)
		return nil
	case firn.Symlink:
		parent.enter()
		w.link(it)
		return nil
	}
	parent.enter()
	if out, err := w.r.isOut(ctx, it); out || err != nil {
		return err
	}
	if it.group != 0 && w.r.planning == nil {
		w.r.links.lead(it) // the first in this order, so that after a kill it is there if any is
	}
	select {
	case w.files <- it:
		return nil
	case <-ctx.Done():
		w.r.leave(parent, true)
		return context.Cause(ctx)
	}
}

// isOut settles an item that this pass can do nothing for.
func (r *restorer) isOut(ctx context.Context, it item) (bool, error) {
	if r.days == nil || r.planning != nil || it.content.Size == 0 && !r.later {
		return false, nil
	}
	if it.content.Size == 0 {
		r.leave(it.folder, false)
		return true, nil
	}
	at, _, err := r.openers.stored(ctx, r.Catalog, &it)
	if err != nil {
		r.leave(it.folder, true)
		return false, err
	}
	if it.isUnread() {
		at = firn.Range{End: it.loc.Size}
	}
	is, why, left := r.days.spans.judge(it.loc.Archive, at, r.days.mayBegin)
	if left {
		r.days.cut.Store(true)
	}
	switch is {
	case settled:
		if !r.later && r.days.wasTold(&it) {
			return false, nil // it is compared once more
		}
		r.links.stands(&it)
		r.leave(it.folder, false)
	case cantBe:
		if r.days.inParts(&it) {
			r.target.root.Remove(path.Join(path.Dir(it.file.Path), tempName(it.file.Path))) // what came of it, if anything did
		}
		r.fail(it, errors.New(why))
	case notYet:
		r.leave(it.folder, true)
	default:
		return false, nil
	}
	return true, nil
}

// isChosen reports whether an entry is among those that globs choose: it matches,
// or a folder above it does.
func (w *walker) isChosen(e *catalog.Entry) bool {
	globs := w.r.Globs
	if globs == nil || globs.Match(e.Path, e.Kind == firn.Directory) {
		return true
	}
	if dir := dirOf(e.Path); dir != w.judged || !w.wasJudged {
		w.judged, w.wasJudged, w.chosen = dir, true, false
		for ; dir != "" && !w.chosen; dir = dirOf(dir) {
			w.chosen = globs.Match(dir, true)
		}
	}
	return w.chosen
}

// link sees to a symbolic link.
func (w *walker) link(it item) {
	switch {
	case w.r.planning != nil:
		w.r.planning.add(it)
	case w.r.days != nil && w.r.later:
		w.r.leave(it.folder, false)
	default:
		w.r.link(it)
	}
}

// folder makes a folder, and goes into it.
func (w *walker) folder(it item) {
	f := &folder{parent: it.folder, path: it.file.Path, from: it.from}
	w.push(f, it.file, true)
	if w.r.planning != nil || w.r.later {
		return // made in the first pass
	}
	if err := w.r.target.reach(f, search); err != nil {
		f.enter()
		it.folder = f
		w.r.fail(it, err)
	}
}

// dirOf gives the folder that an entry of a tree is in.
func dirOf(p string) string { return p[:max(0, strings.LastIndexByte(p, '/'))] }

// into makes the folder p of the tree the one that the walk is in. Folders on
// the way that are not among what is restored are looked up.
func (w *walker) into(ctx context.Context, p string) (*folder, error) {
	for !isWithin(p, w.top().from) {
		w.pop(false)
	}
	for w.top().from != p {
		from := w.top().from
		rest := strings.TrimPrefix(p[len(from):], "/")
		name, _, _ := strings.Cut(rest, "/")
		from = path.Join(from, name)
		file, known, err := w.lookup(ctx, from)
		if err != nil {
			return nil, err
		}
		to, err := w.place(ctx, from, firn.Directory)
		if err != nil {
			return nil, err
		}
		w.push(&folder{parent: w.top(), path: to, from: from}, file, known)
	}
	return w.top(), nil
}

// lookup finds a folder's own entry.
func (w *walker) lookup(ctx context.Context, p string) (file firn.File, known bool, err error) {
	for e, err := range w.r.Catalog.Files(ctx, catalog.ListQuery{Tree: w.tree.ID, Path: p, At: w.run, Shallow: true}) {
		if err != nil {
			return file, false, err
		}
		if e.Path == p && e.Kind == firn.Directory {
			return e.File, e.Run != 0, nil
		}
		break
	}
	return file, false, nil
}

func (w *walker) top() *folder { return w.stack[len(w.stack)-1] }

func (w *walker) push(f *folder, file firn.File, known bool) {
	f.file, f.known = file, known
	f.file.Path = f.path
	f.work = 1
	if f.parent != nil {
		f.parent.enter()
	}
	w.stack = append(w.stack, f)
}

func (w *walker) pop(undone bool) {
	f := w.top()
	w.stack = w.stack[:len(w.stack)-1]
	w.r.leave(f, undone)
}
