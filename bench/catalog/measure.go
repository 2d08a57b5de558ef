package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// A task is one thing to measure. prepare makes what is done, which is all that
// the clock sees; it gives how many things it did.
type task struct {
	what, unit string
	heavy      bool // it takes seconds: three rounds will do
	once       bool // only the first time is it this
	prepare    func(ctx context.Context, round int) (do func() (int, error), err error)
}

// measure prints a table of all tasks.
func (b *bench) measure(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "%d versions of %d files, %d in a folder:\n\n", b.made, b.files, b.perFolder)
	fmt.Fprintf(out, "| what | median | a second |\n|---|---|---|\n")
	for _, t := range []task{
		{what: "a full snapshot made, and stored in a folder", unit: "versions", once: true, prepare: b.snapshot},
		{what: "a snapshot made that adds one file to it", unit: "files", heavy: true, prepare: b.snapshot},
		{what: "a bundle of new files, in new folders", unit: "files", prepare: b.newFolders},
		{what: "a bundle of new files, in folders that have others", unit: "files", prepare: b.oldFolders},
		{what: "a bundle of changed files", unit: "files", prepare: b.changed},
		{what: "entries recorded whose content is stored", unit: "entries", prepare: b.recorded},
		{what: "500 contents looked up that aren't there", unit: "contents", prepare: b.lookUp(true)},
		{what: "500 contents looked up that are", unit: "contents", prepare: b.lookUp(false)},
		{what: "one folder listed", unit: "entries", prepare: b.list(catalog.ListQuery{})},
		{what: "one folder listed, as it once was", unit: "entries", prepare: b.list(catalog.ListQuery{At: 1})},
		{what: "a folder of folders listed", unit: "entries", prepare: b.shallow},
		{what: "all current files read, as a sync does", unit: "files", heavy: true, prepare: b.current},
		{what: "one archive looked for in all versions, to delete it", unit: "versions", heavy: true, prepare: b.delete},
	} {
		if err := b.time(ctx, t, out); err != nil {
			return fmt.Errorf("%s: %w", t.what, err)
		}
	}
	return nil
}

// time does a task several times and prints its row.
func (b *bench) time(ctx context.Context, t task, out io.Writer) error {
	var took []time.Duration
	did := 0
	rounds := b.rounds
	switch {
	case t.once:
		rounds = 1
	case t.heavy:
		rounds = min(rounds, 3)
	}
	for round := range rounds {
		do, err := t.prepare(ctx, round)
		if err != nil {
			return err
		}
		start := b.clock.Now()
		n, err := do()
		took = append(took, b.clock.Now().Sub(start))
		if err != nil {
			return err
		}
		if did = n; n == 0 {
			return errors.New("nothing was done")
		}
	}
	slices.Sort(took)
	median := took[len(took)/2]
	_, err := fmt.Fprintf(out, "| %s | %.2f ms | %.0f %s |\n", t.what, median.Seconds()*1e3, float64(did)/median.Seconds(), t.unit)
	return err
}

// newFolders bundles files of a tree that is new.
func (b *bench) newFolders(ctx context.Context, round int) (func() (int, error), error) {
	tree, err := b.cat.Bind(ctx, b.store.ID, fmt.Sprintf("round %d", round), "bench", "/new")
	if err != nil {
		return nil, err
	}
	return b.bundling(ctx, tree, b.members(0, b.options.bundle))
}

// oldFolders bundles files that are new in folders of the large tree.
func (b *bench) oldFolders(ctx context.Context, round int) (func() (int, error), error) {
	members := b.members(b.somewhere(), b.options.bundle)
	for i := range members {
		if members[i].Kind == firn.Regular {
			members[i].Path += fmt.Sprintf("~%d", round)
		}
	}
	return b.bundling(ctx, b.tree, members)
}

// changed bundles files of which there are other versions.
func (b *bench) changed(ctx context.Context, _ int) (func() (int, error), error) {
	return b.bundling(ctx, b.tree, b.members(b.somewhere(), b.options.bundle))
}

func (b *bench) bundling(ctx context.Context, tree catalog.Tree, members []catalog.Member) (func() (int, error), error) {
	run, err := b.begin(ctx, tree)
	return func() (int, error) { return len(members), b.bundle(ctx, run, members) }, err
}

// somewhere is a file that as many follow as a bundle takes.
func (b *bench) somewhere() int { return rand.IntN(max(1, b.files-b.options.bundle)) }

// recorded records copies of files, in a tree that is new.
func (b *bench) recorded(ctx context.Context, round int) (func() (int, error), error) {
	tree, err := b.cat.Bind(ctx, b.store.ID, fmt.Sprintf("copy %d", round), "bench", "/copy")
	if err != nil {
		return nil, err
	}
	run, err := b.begin(ctx, tree)
	var changes []catalog.Change
	for _, m := range b.members(0, min(b.options.bundle, b.files)) {
		if m.Kind == firn.Regular {
			m.Content.Tree = hashOf(int(m.Number) + 1) // what file i was made with
		}
		changes = append(changes, m.Change)
	}
	return func() (int, error) {
		done, err := b.cat.Record(ctx, run, changes)
		return done.Versions, err
	}, err
}

// lookUp looks for contents, far apart as hashes are.
func (b *bench) lookUp(absent bool) func(context.Context, int) (func() (int, error), error) {
	return func(ctx context.Context, _ int) (func() (int, error), error) {
		const many = 500
		contents := make([]firn.Content, many)
		for i := range contents {
			n := rand.IntN(min(b.files, b.versions))
			contents[i] = firn.Content{Size: int64(100 + n%1000), Tree: hashOf(n + 1)}
			if absent {
				contents[i].Size++
			}
		}
		return func() (int, error) {
			found, err := b.cat.FindContents(ctx, b.store.ID, catalog.Recipients{}, contents)
			for _, l := range found {
				if absent != (l.Archive == 0) {
					return 0, fmt.Errorf("found in archive %d", l.Archive)
				}
			}
			return many, err
		}, nil
	}
}

// list lists one folder.
func (b *bench) list(q catalog.ListQuery) func(context.Context, int) (func() (int, error), error) {
	return func(ctx context.Context, _ int) (func() (int, error), error) {
		q.Tree, q.Path = b.tree.ID, b.folder(rand.IntN(b.files))
		return b.listing(ctx, q)
	}
}

// shallow lists a folder without what is in its folders.
func (b *bench) shallow(ctx context.Context, _ int) (func() (int, error), error) {
	return b.listing(ctx, catalog.ListQuery{Tree: b.tree.ID, Path: "photos/0000", Shallow: true})
}

func (b *bench) listing(ctx context.Context, q catalog.ListQuery) (func() (int, error), error) {
	return func() (n int, err error) {
		for _, err := range b.cat.Files(ctx, q) {
			if err != nil {
				return 0, err
			}
			n++
		}
		return n, nil
	}, nil
}

// current reads all that is current.
func (b *bench) current(ctx context.Context, _ int) (func() (int, error), error) {
	return func() (n int, err error) {
		for d, err := range b.cat.Current(ctx, b.tree.ID) {
			if err != nil {
				return 0, err
			}
			n += len(d.Files)
		}
		return n, nil
	}, nil
}

// delete forgets the old versions of one file and looks whether their archives
// can go.
func (b *bench) delete(ctx context.Context, round int) (func() (int, error), error) {
	path := b.change(round)
	run, err := b.begin(ctx, b.tree)
	if err != nil {
		return nil, err
	}
	if err := b.bundle(ctx, run, b.members(round, 1)); err != nil {
		return nil, err
	}
	old, err := b.cat.History(ctx, b.tree.ID, path.Path)
	if err != nil {
		return nil, err
	}
	if _, err := b.cat.Retire(ctx, run, catalog.Retirement{}, old); err != nil {
		return nil, err
	}
	return func() (int, error) {
		_, err := b.cat.QueueDeletions(ctx, run)
		return b.made, err
	}, nil
}
