package mtglacier

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/fetch"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/mtjournal"
)

// restoreCompleted brings back the files whose archives are ready.
func (r *runner) restoreCompleted(ctx context.Context) error {
	j, err := r.readJournal(true)
	if err != nil {
		return err
	}
	lacking := j.lacking()
	if r.DryRun {
		for _, rec := range lacking {
			r.say("Will DOWNLOAD (if available) archive %s (filename %s)", rec.Archive, rec.Path)
		}
	} else {
		r.started(r.Concurrency)
	}
	if len(lacking) == 0 {
		r.say("Nothing to restore")
	}
	if r.DryRun || len(lacking) == 0 {
		return nil
	}
	return r.asRun(ctx, r.openSource, func(s *session) error { return s.bringAll(ctx, lacking) })
}

// A bringing is a restore-completed under way.
type bringing struct {
	*session
	origins *origins
	root    *os.Root
	ready   map[firn.ArchiveID]firn.Job // of the vault, of whole archives
	lacking []mtjournal.Record

	mu      sync.Mutex
	dirs    map[string]bool // that are there
	settled []bool          // of what is lacking: it came, or won't
	moved   sync.Mutex      // one at a time looks for what was moved
}

func (s *session) bringAll(ctx context.Context, lacking []mtjournal.Record) error {
	dir, err := filepath.EvalSymlinks(s.at(s.Dir))
	if err != nil {
		return problemf("Cannot open directory %s: %v", s.Dir, reason(err))
	}
	// Two runs would write to one file.
	lock, err := wire.LockFile(s.wire, dir, "mtglacier restore-completed")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	o, err := s.origins(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return problemf("Cannot open directory %s: %v", s.Dir, reason(err))
	}
	defer root.Close()
	b := &bringing{
		session: s, origins: o, root: root, ready: map[firn.ArchiveID]firn.Job{}, dirs: map[string]bool{},
		lacking: lacking, settled: make([]bool, len(lacking)),
	}
	if err := b.list(ctx); err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(s.Concurrency)
	for i, rec := range lacking {
		if inner.Err() != nil {
			break
		}
		group.Go(func() error {
			defer b.settle(i)
			return s.ofOne(inner, b.bring(inner, rec))
		})
	}
	return group.Wait()
}

// settle notes that nothing more is to come of what is lacking.
func (b *bringing) settle(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled[i] = true
}

// left gives what is still to come from where archives were moved to.
func (b *bringing) left(ctx context.Context, from *origin) iter.Seq2[retrieval.Want, error] {
	return func(yield func(retrieval.Want, error) bool) {
		for i, rec := range b.lacking {
			b.mu.Lock()
			settled := b.settled[i]
			b.mu.Unlock()
			if settled {
				continue
			}
			b.moved.Lock()
			src, err := b.origins.of(ctx, rec)
			b.moved.Unlock()
			if err == nil && src.origin == from && !yield(src.want, nil) {
				return // what is wrong with one is told in its turn
			}
		}
	}
}

// list finds out what the vault has ready. Of several jobs of one archive the one
// that lasts longest counts.
func (b *bringing) list(ctx context.Context) error {
	if b.origins.vault != nil {
		for j, err := range b.store.Jobs(ctx) {
			if err != nil {
				return err
			}
			whole := j.Kind == firn.RetrievalJob && j.State == firn.JobReady && j.Range == firn.Range{End: j.ArchiveSize}
			if old, has := b.ready[j.Archive]; whole && (!has || j.Completed.After(old.Completed)) {
				b.ready[j.Archive] = j
			}
		}
	}
	b.did("Retrieved Job List")
	return nil
}

// bring brings one file back, if its archive is ready.
func (b *bringing) bring(ctx context.Context, rec mtjournal.Record) error {
	tree, ok := rec.TreeHash()
	switch {
	case rec.Size == 0:
		return corrupt(rec, "the journal says that it is empty, which no archive can be")
	case !ok:
		return corrupt(rec, fmt.Sprintf("the journal has no tree hash of it, but %q", rec.Tree))
	}
	if job, ready := b.ready[firn.ArchiveID(rec.Archive)]; ready {
		switch {
		case job.ArchiveSize != rec.Size:
			return corrupt(rec, fmt.Sprintf("wrong file size in journal: %d bytes, and the archive has %d", rec.Size, job.ArchiveSize))
		case !job.ArchiveTree.IsZero() && job.ArchiveTree != tree:
			return corrupt(rec, fmt.Sprintf("treehash mismatch: the journal has %s, and the archive %s", tree, job.ArchiveTree))
		}
		return b.download(ctx, rec, b.origins.vault, job.ID, 0)
	}
	src, job, err := b.copied(ctx, rec)
	if err != nil || job == "" {
		return err
	}
	return b.download(ctx, rec, src.origin, job, src.offset)
}

// copied gives the job that has an archive ready where it was moved to; an empty
// one where it wasn't moved, or isn't ready.
func (b *bringing) copied(ctx context.Context, rec mtjournal.Record) (src source, job firn.JobID, err error) {
	b.moved.Lock()
	defer b.moved.Unlock()
	src, err = b.origins.of(ctx, rec)
	if err != nil || src.origin == b.origins.vault {
		return src, "", err
	}
	if src.store.Traits().InstantJobs {
		job, err = src.ask(ctx)
		return src, job, err
	}
	if found, ok := src.asker.Find(src.want); ok && found.State == firn.JobReady {
		job = found.ID
	}
	return src, job, nil
}

func corrupt(rec mtjournal.Record, why string) error {
	return &firn.Error{Op: "restore", Subject: rec.Path, Kind: firn.Corrupt, Err: errors.New(why)}
}

// download brings the bytes, verifies them, and gives the file its name.
func (b *bringing) download(ctx context.Context, rec mtjournal.Record, from *origin, job firn.JobID, offset int64) error {
	name, err := b.Encodings.Filenames.Encode(rec.Path)
	if err != nil {
		return corrupt(rec, err.Error())
	}
	if isPlain(filepath.Join(b.root.Name(), filepath.FromSlash(name))) {
		return nil // another run has brought it meanwhile
	}
	if err := b.makeDir(rec.Path, path.Dir(name)); err != nil {
		return err
	}
	return b.into(ctx, rec, name, from, job, offset)
}

func (b *bringing) into(ctx context.Context, rec mtjournal.Record, name string, from *origin, job firn.JobID, offset int64) error {
	tree, _ := rec.TreeHash()
	segment := int64(b.SegmentSize) << 20
	inSegments := segment > 0 && rec.Size > segment
	shown := b.below(rec.Path)
	place := fetch.Place{Root: b.root, Name: name, Arrived: func(p transfer.Piece) {
		if inSegments {
			b.did("Downloaded part of archive %s at offset %d, size %d", shown, p.Offset, p.Size)
		}
	}}
	if rec.HasMTime {
		place.ModTime = time.Unix(rec.MTime, 0)
	}
	load := fetch.Load{Label: rec.Path, Job: job, From: offset, Want: firn.Content{Size: rec.Size, Tree: tree}}
	if from.asker != nil {
		load.Arrived = func(ctx context.Context) { from.asker.Stay(ctx, b.left(ctx, from)) }
	}
	if _, err := load.Into(ctx, from.from, place); err != nil {
		return err
	}
	if !inSegments {
		b.did("Downloaded archive %s", shown)
	}
	return nil
}

// makeDir makes the folder of a file of the tree, and all above it.
func (b *bringing) makeDir(name, dir string) error {
	if path.Base(name) == "." || name[len(name)-1] == '/' {
		return &firn.Error{Op: "restore", Subject: name, Kind: firn.Invalid, Err: errors.New("its name is that of a folder")}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dirs[dir] {
		return nil
	}
	if err := b.root.MkdirAll(dir, 0o777); err != nil {
		return &firn.Error{Op: "write", Subject: name, Kind: fetch.LocalKind(err), Err: reason(err)}
	}
	b.dirs[dir] = true
	return nil
}
