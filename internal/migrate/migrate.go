package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
)

const (
	// bodySize is how much of an archive is in memory at once: all of one that goes
	// up in one request, or a part.
	bodySize = 16 << 20
	// memory bounds what is on its way, in bytes.
	memory = 64 << 20
	// roundSize is how many archives are copied before the leftovers are looked at
	// again, where none has to be waited for.
	roundSize = 16 << 10
	// pageSize is how many copies are read from the catalog at once.
	pageSize = 512
)

// A Side is one of the two stores.
type Side struct {
	Row   catalog.Store
	Store firn.Store // that the row stands for
}

// Bundling says which archives of single files share one in the target, as when
// they are synced.
type Bundling struct {
	Below int64  // bytes from which on one stays alone; 0: each does
	Size  int64  // bytes that a bundle gets
	Spool string // the folder where bundles are until they are stored
}

// Options say what is moved where, and how.
type Options struct {
	Catalog  *catalog.Catalog
	From, To Side
	Clock    clock.Clock
	Events   firn.Sink

	Only         string // name of the one tree that is moved; "": all there is
	Bundling     Bundling
	LeastCharged int64       // bytes that the target charges for an archive at the least
	Tiers        []firn.Tier // by which the source is asked, in order of preference
	RetrieveRate int64       // bytes an hour; 0: as much as can be fetched
	MaxFiles     int64       // archives that are asked for, or copied, in this run; 0: all
	MaxBytes     int64       // in them, likewise
	Concurrency  int         // archives and parts that are on their way at a time
	LimitUpload  int64       // bytes/s that the target is limited to; 0: not known
	Wait         bool        // until all is copied
	Poll         time.Duration
	Waker        retrieval.Waker

	// Agree is asked once, before anything is done that costs, and again where a later
	// run asks by another tier, or with AgreeAgain, of what is left; nil: nobody is.
	Agree      func(ctx context.Context, o Outlook) error
	AgreeAgain bool
	// AgreeMore is asked where so much came to the source since somebody agreed that it
	// is a tenth more than that was: of what is left, of which Grown is new. It reports
	// whether that was agreed to, or is too little to ask about. nil: nobody is asked.
	AgreeMore func(ctx context.Context, o Outlook) (asked bool, err error)
	// Listed is what an inventory that was read for this run showed that the catalog
	// doesn't know; nil: none was, and what the last one showed still holds.
	Listed *Unknown
	// Lock keeps all else from a tree of the source while it moves.
	Lock func(ctx context.Context, tree string) (unlock func(), err error)
	// Saved is called when trees have moved, for snapshots of both stores; run is
	// the target's. nil: nobody makes any.
	Saved func(ctx context.Context, run catalog.Run) error
}

// A Result says what came of a run.
type Result struct {
	Migration catalog.Migration // with the sums so far
	Copied    firn.Count        // in this run
	Moved     []string          // trees that have moved to the target in it
	Left      []string          // trees that have not moved: something of them isn't copied
	// Ready is when the next archive may be there, as far as that is known.
	Ready time.Time
	// Done: all that was to be copied is.
	Done bool
	// Unknown is what of the source is no part of it.
	Unknown Unknown
	// Mended is how many versions in the target have a copy again, which was lost.
	Mended int64
}

// Pending reports whether the source is getting archives ready, or whether some
// arrived isn't known yet.
func (r Result) Pending() bool { return r.Migration.Totals.Open().Files > 0 }

// Failed reports whether any archive could not be copied.
func (r Result) Failed() bool { return r.Migration.Totals[catalog.CopyFailed].Files > 0 }

// A mover is one run.
type mover struct {
	Options
	m        catalog.Migration
	run      catalog.Run
	asker    *retrieval.Asker
	down     *transfer.Downloader
	up       *transfer.Uploader
	traits   firn.Traits // of the target
	slow     bool        // the source takes time
	supply   plan.Supply // of the source
	memory   *semaphore.Weighted
	buffers  sync.Pool
	resumes  map[int64]catalog.Intent // by the target's archive: what an earlier process began
	largest  int64
	admitted firn.Count // in this run
	told     bool       // that nothing more is asked for
	terms    agreed
	denials  denials
	toldTier bool // that a class has no such tier

	mu         sync.Mutex
	res        Result
	lastCopied time.Time
	packer     packer
	done       []firn.Job // whose output was fetched, and which are not recorded so
}

// Plan takes in what is to be copied and gives what that comes to. It records
// nothing of a migration that hasn't begun.
func Plan(ctx context.Context, o Options) (Outlook, error) {
	m, err := newMover(o)
	if err != nil {
		return Outlook{}, err
	}
	found, _, err := o.Catalog.FindMigration(ctx, o.From.Row.ID, o.To.Row.ID, o.Only)
	if err != nil {
		return Outlook{}, err
	}
	m.m = found
	m.m.Source, m.m.Target, m.m.Only = o.From.Row.ID, o.To.Row.ID, o.Only
	return m.outlook(ctx)
}

// Run moves what is in one store to another: it asks for archives in the order in
// which they were made, copies what is ready, and when all of a tree is there lets
// the tree move. What a run that was killed has begun it goes on with. Without Wait
// it ends while the source is getting archives ready: call it again.
//
// An archive that can't be copied is told of, and stays where it is, with its tree:
// the next run tries it again. Errors: Conflict (a tree of that name is in the
// target, or a restore from the source isn't done), those of Agree, and what ends
// all: a store that isn't there, or a full disk.
func Run(ctx context.Context, o Options) (res Result, err error) {
	m, err := newMover(o)
	if err != nil {
		return res, err
	}
	if err := m.begin(ctx); err != nil {
		return m.res, err
	}
	err = m.rounds(ctx)
	record := context.WithoutCancel(ctx)
	if found, ok, ferr := o.Catalog.FindMigration(record, m.m.Source, m.m.Target, m.m.Only); ferr == nil && ok {
		m.res.Migration = found
	}
	return m.res, err
}

func newMover(o Options) (*mover, error) {
	o.Concurrency = cmp.Or(o.Concurrency, 2*transfer.DefaultConcurrency)
	if len(o.Tiers) == 0 {
		o.Tiers = []firn.Tier{firn.Bulk}
	}
	if o.Events == nil {
		o.Events = firn.Discard
	}
	o.Bundling.Below = min(o.Bundling.Below, bodySize)
	m := &mover{Options: o, traits: o.To.Store.Traits(), slow: !o.From.Store.Traits().InstantJobs, supply: plan.SupplyOf(o.From.Store.Traits()), memory: semaphore.NewWeighted(memory), resumes: map[int64]catalog.Intent{}}
	m.packer.mover = m
	var err error
	// Bodies have windows of their own, so that all slots are for those.
	if m.down, err = transfer.NewDownloader(o.From.Store, transfer.DownloadOptions{PieceSize: bodySize, Concurrency: 2 * o.Concurrency, Clock: o.Clock}); err != nil {
		return nil, err
	}
	m.up, err = transfer.NewUploader(o.To.Store, m.traits, transfer.UploadOptions{
		PartSize: bodySize, Single: bodySize, Concurrency: o.Concurrency, Limit: o.LimitUpload, Clock: o.Clock, Events: o.Events, TokenOf: describe.TokenOf,
	})
	return m, err
}

// begin finds the migration that goes on, or begins one, and plans it.
func (m *mover) begin(ctx context.Context) (err error) {
	m.m, _, err = m.Catalog.FindMigration(ctx, m.From.Row.ID, m.To.Row.ID, m.Only)
	if err != nil {
		return err
	}
	m.m.Source, m.m.Target, m.m.Only = m.From.Row.ID, m.To.Row.ID, m.Only
	if err := m.check(ctx); err != nil {
		return err
	}
	if err := m.agree(ctx); err != nil {
		return err
	}
	if m.m.Run == 0 || m.m.State >= catalog.MigrationDone {
		run, err := m.Catalog.BeginRun(ctx, m.To.Row.ID, 0, catalog.MigrateRun)
		if err != nil {
			return err
		}
		m.m.Run = run.ID
	}
	if err := m.record(ctx); err != nil {
		return err
	}
	m.res.Unknown = m.terms.Unknown
	m.run = catalog.Run{ID: m.m.Run, Store: m.To.Row.ID, Command: catalog.MigrateRun}
	if _, err := m.Catalog.PlanCopies(ctx, m.m, false); err != nil {
		return err
	}
	if err := m.Catalog.SettleCopies(ctx, m.m, true); err != nil {
		return err
	}
	if _, err := m.Catalog.LeaveOut(ctx, m.m); err != nil {
		return err
	}
	m.asker = retrieval.New(retrieval.Options{
		Catalog: m.Catalog, Row: m.From.Row.ID, Store: m.From.Store, Downloader: m.down, Clock: m.Clock, Events: m.Events,
		Tier: m.Tiers[0], Run: m.run, Poll: m.Poll, Waker: m.Waker, Concurrency: m.Concurrency,
	})
	return nil
}

// record writes down that the migration goes on, and on which terms.
func (m *mover) record(ctx context.Context) (err error) {
	m.m.Options = m.terms.text()
	m.m, _, err = m.Catalog.BeginMigration(ctx, m.m)
	return err
}

// check refuses what would be in the way at the end.
func (m *mover) check(ctx context.Context) error {
	if err := m.Catalog.TreeClash(ctx, m.m); err != nil {
		return err
	}
	restores, err := m.Catalog.Restores(ctx, m.From.Row.ID, true)
	if err != nil {
		return err
	}
	if len(restores) > 0 {
		r := restores[0]
		return &firn.Error{Op: "migrate", Subject: m.From.Row.URL, Kind: firn.Conflict, Err: fmt.Errorf("restore %d, of %s to %s, is not done", r.ID, r.What, r.Target),
			Hint: fmt.Sprintf("let it end, or give it up with: firn restore --cancel %d", r.ID)}
	}
	return nil
}

// rounds go on until all is copied, or nothing more can be done now.
func (m *mover) rounds(ctx context.Context) error {
	stuck := 0
	for {
		before := m.res.Copied.Files
		r, err := m.round(ctx)
		if err != nil {
			return err
		}
		open, err := m.open(ctx)
		if err != nil {
			return err
		}
		progress := m.res.Copied.Files > before
		if stuck++; progress {
			stuck = 0
		}
		switch {
		case open == 0:
			return m.finish(ctx)
		case m.isOver() && !r.waits:
			return nil
		case progress, !m.slow && stuck < 3, r.isQuick(ctx):
			continue
		case !m.slow || !m.Wait:
			m.res.Ready = r.next
			return nil
		}
		if err := m.asker.Sleep(ctx, fmt.Sprintf("%d archives that the store is getting ready", open), r.next); err != nil {
			return err
		}
	}
}

// open counts what is still to be copied.
func (m *mover) open(ctx context.Context) (int64, error) {
	found, _, err := m.Catalog.FindMigration(ctx, m.m.Source, m.m.Target, m.m.Only)
	if err != nil {
		return 0, err
	}
	m.m.Totals = found.Totals
	m.res.Migration = found
	return found.Totals.Open().Files, nil
}

// isOver reports whether as much was done as this run may do.
func (m *mover) isOver() bool {
	return m.MaxFiles > 0 && m.admitted.Files >= m.MaxFiles || m.MaxBytes > 0 && m.admitted.Bytes >= m.MaxBytes
}

// finish lets all trees move whose archives are copied, once nothing is open.
func (m *mover) finish(ctx context.Context) error {
	if _, err := m.Catalog.LeaveOut(ctx, m.m); err != nil {
		return err
	}
	more, err := m.Catalog.PlanCopies(ctx, m.m, true)
	if err != nil {
		return err
	}
	again, err := m.Catalog.RenewCopies(ctx, m.m)
	if err != nil {
		return err
	}
	if more > 0 {
		if asked, err := m.agreeMore(ctx); err != nil {
			return err
		} else if asked {
			if err := m.record(ctx); err != nil {
				return err
			}
		}
	}
	if more+again > 0 && !m.isOver() { // came meanwhile, or went
		return m.rounds(ctx)
	}
	if _, err := m.open(ctx); err != nil || more+again > 0 {
		return err
	}
	m.asker = nil // it knows many jobs, and what follows needs memory too
	if err := m.moveTrees(ctx); err != nil {
		return err
	}
	// Where a copy was lost that versions of the target were in, they get the new one.
	if m.res.Mended, err = m.Catalog.Mend(ctx, m.run); err != nil {
		return err
	}
	m.res.Done = len(m.res.Left) == 0 && m.m.Totals[catalog.CopyFailed].Files == 0
	if m.res.Done && m.m.State == catalog.Migrating {
		if err := m.Catalog.SetMigration(ctx, m.m.ID, catalog.MigrationCopied); err != nil {
			return err
		}
	}
	if m.Saved == nil || len(m.res.Moved) == 0 && !m.res.Done {
		return nil
	}
	return m.Saved(ctx, m.run)
}

// moveTrees lets the trees of the source move, one after the other.
func (m *mover) moveTrees(ctx context.Context) error {
	trees, err := m.Catalog.Trees(ctx, m.From.Row.ID)
	if err != nil {
		return err
	}
	for _, t := range trees {
		if m.Only != "" && t.Name != m.Only {
			continue
		}
		moved, err := m.moveTree(ctx, t)
		if err != nil {
			return err
		}
		if moved {
			m.res.Moved = append(m.res.Moved, t.Name)
		} else {
			m.res.Left = append(m.res.Left, t.Name)
		}
	}
	return nil
}

func (m *mover) moveTree(ctx context.Context, t catalog.Tree) (moved bool, err error) {
	if m.Lock != nil {
		unlock, err := m.Lock(ctx, t.Name)
		if firn.KindOf(err) == firn.Conflict {
			m.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("the tree %s can't move now: %v", t.Name, err)})
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer unlock()
	}
	return m.Catalog.MoveTree(ctx, m.m, t)
}

// errDiffers marks an archive that isn't what it was when it was stored.
var errDiffers = errors.New("it isn't what was stored")
