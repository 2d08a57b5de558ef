// Package syncer archives a directory tree: it joins the scan, the catalog and
// the plan, and drives the uploads. What is not stored yet goes up while the
// scan still runs; what needs no archive (folders, links, empty files, content
// that is stored already) is recorded in the catalog alone.
package syncer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/transfer"
)

// Options say what to sync, and with what.
type Options struct {
	Catalog  *catalog.Catalog
	Row      catalog.Store // the store's row in the catalog
	Store    firn.Store
	Uploader *transfer.Uploader
	Clock    clock.Clock
	Events   firn.Sink

	Root string // the directory; absolute
	Tree string // its name in the store
	Host string // this machine's name

	// Filter says what of the directory is left out; nil for nothing.
	Filter *filter.Filter

	// Bundling says which files share archives.
	Bundling Bundling
	// Prices are what the store charges, for a dry run to tell.
	Prices price.Tariff
	// Recipients can open what is stored, and nobody else; nil: it is not
	// encrypted.
	Recipients *seal.Recipients
	// Unencrypted allows a tree in the clear that was encrypted till now.
	Unencrypted bool
	// Snapshots puts the catalog into the store, while a long run goes on and
	// before anything is deleted; at its end the caller does. nil: nobody does.
	Snapshots *snapshot.Maker
	// Concurrency is how many files are worked on at a time.
	Concurrency int
	// DryRun decides everything and changes nothing, here or in the store.
	DryRun bool
	// Detect says what shows that a file has other content.
	Detect plan.Detect
	// TrustTimes takes a file that was never read here for stored where size and
	// time agree with what is known of it from the store.
	TrustTimes bool
	// Journal is a journal of mt-aws-glacier to keep, an absolute path: each file
	// has an archive of its own then, also where the store has its content. It is
	// made where it is not there. It can't be kept of what is encrypted. Empty:
	// none.
	Journal string
	// Modes are what is done, where it is not all.
	Modes Modes
	// Budget bounds what is sent; nil: nothing does.
	Budget *Budget
	// PayEarly deletes what is let go also where the store charges for it still.
	PayEarly bool
	// Partings gather what dry runs with Modes would let go; nil: nobody asks.
	Partings *Partings
	// Moved takes the directory for the tree of its name, though that was
	// another directory, or another machine, till now.
	Moved bool
	// ExpectChanges takes an empty directory, and a mass of changes, as meant to
	// be so.
	ExpectChanges bool

	held int // decisions that the guard holds back; 0: maxHeld
}

// A Result counts what was done.
type Result struct {
	Run      catalog.Run // zero of a dry run, and where none was begun
	Counts   map[firn.Action]firn.Count
	Excluded map[string]int64 // how many of the excluded, for each reason
	Doubles  int              // archives of which the store may hold two copies for now
	LetGo    LetGo            // what became of archives that no file version needs
	Outlook  *Outlook         // of a dry run: what sending would come to; nil: nothing would be sent

	dry bool // it is what would be done
}

// Failed reports whether anything was passed over after an error, or not deleted
// since the catalog could not be saved before.
func (r Result) Failed() bool { return r.Counts[firn.Failed].Files > 0 || r.LetGo.Unsaved }

// Pending reports whether another run has something to do: an inventory is
// waited for, or a limit was reached.
func (r Result) Pending() bool {
	return !r.dry && (r.Counts[firn.Pending].Files > 0 || r.Counts[firn.Left].Files > 0)
}

// passes bounds how often files are tried again whose upload ended in doubt.
const passes = 3

// Run syncs one tree. An error means that the run ended early; what was done
// till then is kept, and the next run goes on from there. Errors of single
// files are events and counts, not errors of the run.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.DryRun {
		return dryRun(ctx, o)
	}
	scribe, err := o.openScribe()
	if err != nil {
		return Result{}, err
	}
	defer scribe.close()
	if scribe != nil {
		o.Bundling.Below = 0
	}
	tree, err := o.bind(ctx)
	if err != nil {
		return Result{}, err
	}
	unfinished, err := o.hasUnfinished(ctx, tree.ID)
	if err != nil {
		return Result{}, err
	}
	if err := o.checkSealed(tree); err != nil {
		return Result{}, err
	}
	if err := o.resealed(ctx, tree); err != nil {
		return Result{}, err
	}
	run, err := o.Catalog.BeginRun(ctx, o.Row.ID, tree.ID, o.Modes.command())
	if err != nil {
		return Result{}, err
	}
	run.Recipients = o.recipients()
	s := newSyncer(o, tree, run)
	s.unfinished, s.scribe = unfinished, scribe
	err = o.explain(s.withRoot(ctx))
	outcome := catalog.Outcome{Complete: err == nil && s.isComplete(), Counts: s.tally.counts()}
	// The run's end is recorded also when ctx has ended, since then above all.
	if endErr := o.Catalog.EndRun(context.WithoutCancel(ctx), run, outcome); endErr != nil {
		err = errors.Join(err, endErr)
	}
	doubles, doublesErr := s.doubles(context.WithoutCancel(ctx))
	return Result{Run: run, Counts: outcome.Counts, Excluded: s.tally.excluded(), Doubles: doubles, LetGo: s.letGo}, errors.Join(err, doublesErr)
}

// doubles counts the archives that were sent again after a lost answer.
func (s *syncer) doubles(ctx context.Context) (n int, err error) {
	doubts, err := s.Catalog.Doubts(ctx, s.Row.ID)
	for _, d := range doubts {
		if d.Resent {
			n++
		}
	}
	return n, err
}

// A syncer is one run over one tree.
type syncer struct {
	Options
	tree  catalog.Tree
	this  catalog.Run
	root  *scan.Root
	tally *tally
	// since is when files began to be hashed to see whether there is a mass of
	// changes; zero where they weren't.
	since time.Time
	letGo LetGo
	// scribe keeps a journal of mt-aws-glacier; nil: nobody does.
	scribe *scribe
	// announcedUnread: it was said how much was never read here.
	announcedUnread bool
	// unfinished: a run before this one didn't let go all that it was to.
	unfinished bool

	resumable map[string]catalog.Intent // by path: begun by an earlier run
	packs     []catalog.Intent          // bundles of many files: begun by an earlier run
	pending   map[string]catalog.Intent // by path: waits for an inventory

	twins  twins
	flying flight
	always bool // also what the store has is sent
	// repacks: what is sent is stored already, and versions are given its new
	// places when all of it is there.
	repacks bool
	midway  chan struct{} // a snapshot is to be made; nil: none is wanted
	again   *retryList    // files whose upload ended in doubt in this run
	used    pathSet       // paths of resumable intents that this run went on with
}

func newSyncer(o Options, tree catalog.Tree, run catalog.Run) *syncer {
	s := &syncer{Options: o, tree: tree, this: run, tally: newTally(), again: &retryList{}, always: o.Detect == plan.Always}
	s.twins.init()
	s.flying.contents = map[firn.Content]seat{}
	return s
}

// withRoot runs with the directory open.
func (s *syncer) withRoot(ctx context.Context) (err error) {
	s.root, err = scan.OpenRoot(s.Root)
	if err != nil {
		return err
	}
	defer s.root.Close()
	if err := s.withSnapshots(ctx, s.run); err != nil {
		return err
	}
	return s.mirror(ctx)
}

// isComplete reports whether nothing is left to do so far.
func (s *syncer) isComplete() bool {
	return !s.letGo.Unsaved && !s.tally.has(firn.Failed) && !s.tally.has(firn.Pending) && !s.tally.has(firn.Left)
}

func (s *syncer) run(ctx context.Context) error {
	if err := s.reconcile(ctx); err != nil {
		return err
	}
	if err := s.resumePacks(ctx, s.packs); err != nil {
		return err
	}
	if _, packs := s.again.take(); len(packs) > 0 {
		// Lost once more: what is in them is not to be sent a second time.
		if err := s.reconcile(ctx); err != nil {
			return err
		}
		if err := s.settlePacks(ctx, packs); err != nil {
			return err
		}
	}
	if err := s.pass(ctx, s.planned(ctx)); err != nil {
		return err
	}
	for range passes {
		files, packs := s.again.take()
		if len(files)+len(packs) == 0 {
			break
		}
		// Lost answers: look before sending again.
		if err := s.reconcile(ctx); err != nil {
			return err
		}
		if err := s.settlePacks(ctx, packs); err != nil {
			return err
		}
		if err := s.pass(ctx, s.retried(ctx, files)); err != nil {
			return err
		}
	}
	files, packs := s.again.take()
	for _, f := range files {
		s.fileEvent(firn.Pending, f.file, firn.FileEvent{Reason: unanswered})
	}
	for _, p := range packs {
		p.pending()
	}
	return s.dropAbandoned(ctx)
}

// reconcile settles what is open, and learns what there is to resume.
func (s *syncer) reconcile(ctx context.Context) error {
	res, err := reconcile.Run(ctx, reconcile.Options{
		Catalog: s.Catalog, Row: s.Row.ID, Store: s.Store, Run: s.this, Tree: s.tree.ID,
		Clock: s.Clock, Events: s.Events, Single: transfer.MaxSingle,
	})
	if err != nil {
		return err
	}
	s.resumable, s.pending, s.packs = map[string]catalog.Intent{}, map[string]catalog.Intent{}, nil
	for _, in := range res.Resumable {
		switch {
		case in.Tree != s.tree.ID:
		case recipientsOf(in) != s.this.Recipients:
			if err := s.dropIntent(ctx, in, "it was for other recipients"); err != nil {
				return err
			}
		case s.scribe != nil && in.Kind == catalog.BundleArchive:
			if err := s.dropIntent(ctx, in, "a journal wants an archive for each file"); err != nil {
				return err
			}
		case in.File.Path == "":
			s.packs = append(s.packs, in)
		default:
			s.resumable[in.File.Path] = in
		}
	}
	for _, in := range res.Pending {
		if in.Tree == s.tree.ID {
			s.pending[in.File.Path] = in
		}
	}
	return s.bringUpToDate(ctx)
}

// merge compares the disk with what is recorded. What was hashed since a time
// is not hashed once more for Detect alone.
func (o Options) merge(ctx context.Context, recorded iter.Seq2[*plan.Known, error], since time.Time) iter.Seq2[*plan.Dir, error] {
	seen := scan.Walk(ctx, o.Root, o.Filter.Scan())
	return plan.Merge(seen, recorded, plan.Options{Detect: o.Detect, Since: since, TrustTimes: o.TrustTimes, Empty: o.ExpectChanges, LeftOut: o.Filter.Covers})
}

// known gives the catalog's directories as the plan takes them.
func known(current iter.Seq2[*catalog.Dir, error]) iter.Seq2[*plan.Known, error] {
	return func(yield func(*plan.Known, error) bool) {
		for dir, err := range current {
			if err != nil {
				yield(nil, err)
				return
			}
			k := &plan.Known{Path: dir.Path, More: dir.More, Entries: make([]plan.Entry, len(dir.Files))}
			if dir.Self != nil {
				k.Self, k.Mount = new(entry(dir.Self)), dir.Self.Mount
			}
			for i := range dir.Files {
				k.Entries[i] = entry(&dir.Files[i])
			}
			if !yield(k, nil) {
				return
			}
		}
	}
}

func entry(f *catalog.CurrentFile) plan.Entry {
	return plan.Entry{File: f.File, Content: f.Content, Stored: f.IsStored(), Lost: f.State == catalog.Lost, Read: f.Read}
}

// bind finds the tree, or makes it, or takes it along to where it is now.
func (o Options) bind(ctx context.Context) (catalog.Tree, error) {
	tree, err := o.Catalog.Bind(ctx, o.Row.ID, o.Tree, o.Host, o.Root)
	if firn.KindOf(err) != firn.Conflict || !o.Moved {
		return tree, err
	}
	if tree, err = o.Catalog.Tree(ctx, o.Row.ID, o.Tree); err != nil {
		return tree, err
	}
	if err := o.Catalog.Rebind(ctx, tree.ID, o.Host, o.Root); err != nil {
		return tree, err
	}
	return o.Catalog.Tree(ctx, o.Row.ID, o.Tree)
}

// explain says what to do about a tree that looks emptied.
func (o Options) explain(err error) error {
	if !errors.Is(err, plan.ErrEmpty) {
		return err
	}
	return &firn.Error{Op: "sync", Subject: o.Root, Kind: firn.Conflict, Err: err,
		Hint: "is its disk mounted? If it is meant to be empty, run it again with --expect-changes"}
}

// recipientsOf gives those that an upload is sealed for.
func recipientsOf(in catalog.Intent) catalog.Recipients {
	if in.Seal == nil {
		return catalog.Recipients{}
	}
	return in.Seal.Recipients
}

// dropAbandoned aborts uploads of files that this run did not go on with: the
// file is gone, or is another one now. Their parts would cost money unseen.
func (s *syncer) dropAbandoned(ctx context.Context) error {
	if s.tally.has(firn.Failed) {
		return nil // what could not be seen, or read, may come back
	}
	for path, in := range s.resumable {
		if in.State == catalog.Doubt || s.used.has(path) {
			continue
		}
		needless, err := s.needless(ctx, in)
		if err != nil {
			return err
		}
		if !needless {
			continue // a filter leaves it out perhaps, or its disk is not mounted
		}
		if err := s.dropIntent(ctx, in, "the file is not there any more"); err != nil {
			return err
		}
		s.Events(firn.NoticeEvent{Text: fmt.Sprintf("aborted the upload of %s: the file is gone, or was stored otherwise", path)})
	}
	return nil
}

// needless reports whether nobody will go on with an upload: its file surely is
// gone, or is stored otherwise by now.
func (s *syncer) needless(ctx context.Context, in catalog.Intent) (bool, error) {
	if s.root.Gone(in.File.Path) {
		return true, nil
	}
	return s.isStored(ctx, in.File)
}

// now is the moment of reading, by the local clock.
func (s *syncer) now() time.Time { return s.Clock.Now() }

// A pathSet is a set of paths, safe for concurrent use.
type pathSet struct {
	mu    sync.Mutex
	paths map[string]bool
}

func (p *pathSet) add(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paths == nil {
		p.paths = map[string]bool{}
	}
	p.paths[path] = true
}

func (p *pathSet) has(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paths[path]
}
