package catalog

import (
	"cmp"
	"slices"

	"github.com/firn-archive/firn/internal/rows"
)

// writeFiles records the versions that came.
func (in *rowReader) writeFiles() error {
	if err := in.writeArchives(); err != nil {
		return err
	}
	files := in.files
	in.files, in.size = nil, 0
	if len(files) == 0 {
		return nil
	}
	return in.c.write(in.ctx, "take in files", files[0].dir.Path, func(tx tx) error {
		w := fileWriter{in: in, tx: tx, merger: newMerger(tx), trees: map[int64]*recorder{}}
		if err := w.write(files); err != nil {
			return err
		}
		in.out.Versions += w.merger.added
		return w.merger.finish()
	})
}

// A fileWriter records versions of a stream, within one transaction.
type fileWriter struct {
	in *rowReader
	tx
	merger *merger
	trees  map[int64]*recorder // they make directories
}

func (w *fileWriter) write(files []pathRows) error {
	slots, fresh, err := w.slots(files)
	if err != nil {
		return err
	}
	var maybe []slot
	for i := range files {
		if !fresh[i] {
			maybe = append(maybe, slots[i])
		}
	}
	has, err := taken(w.tx, maybe)
	if err != nil {
		return err
	}
	held, err := w.heldAt(files)
	if err != nil {
		return err
	}
	for i := range files {
		revisions, err := w.revisions(&files[i], held)
		if err != nil {
			return err
		}
		known := false
		if !fresh[i] {
			known, has = has[0], has[1:]
		}
		tree := w.in.trees[files[i].dir.Tree]
		switch {
		case len(revisions) == 0:
		case known:
			err = w.merger.merge(tree, slots[i], revisions)
		default:
			err = w.merger.add(tree, slots[i], revisions)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// slots finds the places of paths, making their directories. What is in a
// directory that was made is fresh: it has no history.
func (w *fileWriter) slots(files []pathRows) (slots []slot, fresh []bool, err error) {
	slots, fresh = make([]slot, len(files)), make([]bool, len(files))
	for i := range files {
		f := &files[i]
		tree, ok := w.in.trees[f.dir.Tree]
		if !ok {
			return nil, nil, w.in.refuse("it has no tree %d", f.dir.Tree)
		}
		if err := checkPath(f.dir.Path); err != nil {
			return nil, nil, err
		}
		r := w.trees[tree]
		if r == nil {
			r = newRecorder(w.tx, Run{Store: w.in.store, Tree: tree})
			w.trees[tree] = r
		}
		dir, err := r.makeDir(f.dir.Path)
		if err != nil {
			return nil, nil, err
		}
		slots[i], fresh[i] = slot{dir.id, f.name}, dir.group == r.group
	}
	return slots, fresh, nil
}

// revisions gives the versions of a path with the numbers that they have here.
// What is in an archive that no stream has was on its way, and is none.
func (w *fileWriter) revisions(f *pathRows, held map[place]heldSize) (all []revision, err error) {
	tree := w.in.trees[f.dir.Tree]
	for i := range f.entries {
		e := &f.entries[i]
		r := revision{mode: int64(e.Mode), size: e.Size, uid: e.UID, gid: e.GID, group: e.LinkGroup, attrs: e.Attrs}
		r.mtime, r.mtimeNs = instant(e.ModTime)
		if r.mode&modeType == modeLink {
			r.target = []byte(e.Target)
		}
		if r.since, err = w.in.run(e.Since); err != nil {
			return nil, err
		}
		if r.until, err = w.in.run(e.Until); err != nil {
			return nil, err
		}
		if r.mode&modeType == modeFile && r.size > 0 {
			ok, err := w.locate(tree, f, e, &r, held)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b revision) int { return cmp.Compare(a.since, b.since) })
	all = slices.CompactFunc(all, func(a, b revision) bool { return a.since == b.since })
	line(all)
	return all, nil
}

// locate finds the content of a version, and reports whether that counts.
func (w *fileWriter) locate(tree int64, f *pathRows, e *rows.Entry, r *revision, held map[place]heldSize) (ok bool, err error) {
	if e.Archive != 0 {
		r.where = place{w.in.archive(e.Archive), e.Member}
		switch r.where.archive {
		case isRefused:
			w.in.out.Refused++ // with its archive, of which it was told
			return false, nil
		case 0, isGone, isOpen:
			return false, nil
		}
	}
	if what := w.in.entryFault(tree, e, r.where, held); what != "" {
		w.in.leaveOut(1, "%s: %s", joinPath(f.dir.Path, []byte(f.name)), what)
		return false, nil
	}
	w.in.treeBytes[tree] += e.Size
	if !w.in.leaving[r.where.archive] {
		return true, nil
	}
	delete(w.in.leaving, r.where.archive) // another catalog's version needs it
	return true, w.exec("DELETE FROM deletion WHERE archive = ?", r.where.archive)
}
