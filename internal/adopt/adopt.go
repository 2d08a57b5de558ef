// Package adopt takes in a vault that other programs filled: it learns what the
// archives hold from the records that those programs kept, and else from the
// archives' descriptions, and writes that into the catalog. The archives stay as
// they are. Nothing that it reads is trusted: names become paths that stay below
// a folder, and what can't be read stops nothing else.
package adopt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/retrieval"
)

// packedSuffix follows the tree's name in that of the tree of archives that hold
// something other than the file: a sync of the tree itself must never take them
// for removed.
const packedSuffix = ".packed"

// defaultBatch is a compromise: larger ones are faster, by fewer commits, and take
// memory.
const defaultBatch = 8192

// MaxTree is the longest name of a tree to adopt into, in bytes.
const MaxTree = describe.MaxTree - len(packedSuffix)

// Options say what to take in, and from where.
type Options struct {
	Catalog *catalog.Catalog
	Row     catalog.Store
	Store   firn.Store       // that the row stands for
	Info    firn.StoreInfo   // what it said of itself
	Asker   *retrieval.Asker // its run is Run
	Clock   clock.Clock
	Events  firn.Sink
	Run     catalog.Run // of the whole store; in a dry run its ID is not looked at

	// Tree is the name of the tree for what doesn't say to which it belongs; see
	// CheckTree.
	Tree string
	// Places are directories whose files go into trees of their own, where a name says
	// that it was below one of them; its path is the one from there on.
	Places []Place
	// Strip is a folder that is taken off the paths below it, with slashes or
	// backslashes; empty for none.
	Strip string
	// Journals are of mt-aws-glacier, Databases of glacier-cli, its fork, and
	// glaciersync: paths of files.
	Journals, Databases []string
	// Inventory is the file with a saved one; empty: the store's own. Without
	// any the records alone are believed.
	Inventory        string
	WithoutInventory bool
	// Spool is a folder for the inventory, which is made; empty: it goes into the
	// catalog in any case, which takes longer.
	Spool string
	// Batch is how many archives, or names, are held in memory at a time, about; 0:
	// 8,192. Up to eight batches are taken in by one transaction.
	Batch int
	// Wait waits for the store's inventory. Without it the result is pending.
	Wait bool
	// DryRun finds out what would be taken in. It asks the store for its
	// inventory too, and reads that into the catalog for a while.
	DryRun bool
}

// A Place is a directory, as it was on the machine of the program that stored its
// files: an absolute path, with slashes or backslashes. Tree is what it is called in
// the store; see CheckTree.
type Place struct{ Dir, Tree string }

// A Source counts what was taken in by the words of one kind of record or
// description.
type Source struct {
	Name     string     // "journal of mt-aws-glacier", "cloudberry"
	Archives firn.Count // and the bytes in them
	Names    int64      // of files and folders
	Packed   int64      // of the archives, that their maker compressed or encrypted
}

// A Result says what was found.
type Result struct {
	// Pending: the store is getting its inventory ready, perhaps until Ready.
	Pending bool
	Ready   time.Time

	Dated  time.Time  // of the inventory; zero where it doesn't say
	Listed firn.Count // archives in the inventory
	// Sources are those that brought something, those of records first.
	Sources []Source
	Known   int64      // archives that the catalog knew before
	Bare    firn.Count // of which nobody says what they hold; they are recorded
	Own     firn.Count // firn's bundles and snapshots, which are left to firn recover
	Older   int64      // names that are of older versions
	Missing int64      // archives in records that the inventory lacks
	Deleted int64      // archives that a record says to be deleted, though the inventory has them
	Unsized int64      // archives in records that don't say their size, without an inventory
	Bad     int64      // entries of records that can't be read
	Files   firn.Count // all names together, and the bytes in their archives
}

// Complete reports whether all that was to be read was read.
func (r *Result) Complete() bool { return !r.Pending && r.Bad == 0 }

// CheckTree tells whether a tree may have the name: as describe.CheckTree says,
// and with place for an ending. The error has the kind Usage.
func CheckTree(name string) error {
	if err := describe.CheckTree(name); err != nil {
		return err
	}
	if len(name) > MaxTree {
		return &firn.Error{Op: "name tree", Subject: name, Kind: firn.Usage, Err: fmt.Errorf("its name has %d bytes, and here it may have %d", len(name), MaxTree)}
	}
	return nil
}

// Run takes in what there is to take in. It can be stopped at any time, and run
// again: what is taken in already is passed over. Errors: Usage and Local (of a
// file that can't be read at all: nothing is done then), Conflict (an inventory
// of another vault), NotReady (the store has no inventory yet), and those of
// store and catalog.
func Run(ctx context.Context, o Options) (res Result, err error) {
	a, err := newAdopter(ctx, o)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, a.end(ctx)) }()
	if !o.WithoutInventory {
		ok, err := a.stage(ctx)
		if err != nil || !ok {
			return a.res, err
		}
	}
	trees, err := o.Catalog.Trees(ctx, o.Row.ID)
	if err != nil {
		return a.res, err
	}
	for _, t := range trees {
		a.bound[t.Name] = t.IsBound()
	}
	before := current(trees)
	err = a.takeAll(ctx)
	if err = errors.Join(err, a.taker.wait()); err != nil {
		return a.res, err
	}
	if trees, err = o.Catalog.Trees(ctx, o.Row.ID); err != nil {
		return a.res, err
	}
	a.sum(current(trees) - before)
	a.report()
	return a.res, a.close(ctx)
}

// An adopter is one Run.
type adopter struct {
	Options
	res       Result
	files     []recordFile
	inventory catalog.Inventory // ID 0: there is none
	spool     *spool            // it is here; nil: it is staged
	taker     taker
	names     namer
	bound     map[string]bool // trees that are directories of machines
	tally     map[string]*Source
	order     []string // of the tally
	teller    teller
	seed      maphash.Seed
	// gone are archives that a record says to be deleted, lately: an inventory
	// lags. By their ids' hashes.
	gone map[uint64]struct{}
	// named are those whose records were found in a dry run, which leaves them
	// strangers.
	named map[uint64]struct{}
	// databases are how many of glaciersync's the store has, and databaseOf is the
	// time of the newest one.
	databases  int
	databaseOf string
	// unlisted are the archives that were taken in though the inventory doesn't list
	// them yet.
	unlisted int64
}

func newAdopter(ctx context.Context, o Options) (*adopter, error) {
	if err := CheckTree(o.Tree); err != nil {
		return nil, err
	}
	o.Batch = cmp.Or(o.Batch, defaultBatch)
	a := &adopter{Options: o, tally: map[string]*Source{}, bound: map[string]bool{}, seed: maphash.MakeSeed(), gone: map[uint64]struct{}{}, named: map[uint64]struct{}{}}
	a.teller = teller{events: o.Events, told: map[string]int64{}}
	a.taker = taker{Options: o, ctx: ctx, intake: o.Catalog.Intake(o.Run)}
	a.names = namer{catalog: o.Catalog, store: o.Row.ID, claims: map[uint64]uint64{}, seed: a.seed}
	var err error
	if a.names.strip, err = prefix(o.Strip); err != nil {
		return nil, err
	}
	if a.names.places, err = safePlaces(o.Places); err != nil {
		return nil, err
	}
	a.files, err = sniff(ctx, o.Journals, o.Databases)
	return a, err
}

// takeAll takes in what records say, then what is left by its descriptions.
func (a *adopter) takeAll(ctx context.Context) error {
	for _, f := range a.files {
		if err := a.record(ctx, f); err != nil {
			return err
		}
		// The next record may name the same archives.
		if err := a.taker.flush(); err != nil {
			return err
		}
	}
	if a.inventory.ID == 0 {
		return nil
	}
	if err := a.taker.intake.OnlyStrangers(ctx); err != nil {
		return err
	}
	if err := a.strangers(ctx); err != nil {
		return err
	}
	if err := a.taker.flush(); err != nil {
		return err
	}
	if err := a.bare(ctx); err != nil {
		return err
	}
	return a.taker.flush()
}

// current counts the files and folders that are current in trees.
func current(trees []catalog.Tree) (n int64) {
	for _, t := range trees {
		n += t.Files + t.Dirs
	}
	return n
}

// sum fills in the totals. More is by how much there are more current entries.
func (a *adopter) sum(more int64) {
	for _, name := range a.order {
		s := *a.tally[name]
		a.res.Sources = append(a.res.Sources, s)
		a.res.Files.Files += s.Names
		a.res.Files.Bytes += s.Archives.Bytes
	}
	if !a.DryRun {
		a.res.Older = max(0, a.res.Files.Files-more)
	}
	if a.inventory.ID != 0 {
		a.res.Known = a.inventory.Archives + a.unlisted - a.res.Bare.Files - a.res.Own.Files - a.res.Deleted
		for _, s := range a.res.Sources {
			a.res.Known -= s.Archives.Files
		}
	}
}

// close lets go of the inventory, which is worked in.
func (a *adopter) close(ctx context.Context) error {
	if a.inventory.ID == 0 || a.DryRun {
		return nil
	}
	if a.spool != nil {
		return a.Catalog.EndUnstaged(ctx, a.inventory)
	}
	return a.Catalog.EndInventory(ctx, a.inventory.ID)
}

// end ends the run, and a dry run without a trace.
func (a *adopter) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if a.spool != nil {
		defer a.spool.Close()
	}
	if !a.DryRun {
		counts := map[firn.Action]firn.Count{firn.Recorded: a.res.Files}
		return a.Catalog.EndRun(ctx, a.Run, catalog.Outcome{Complete: a.res.Complete(), Counts: counts})
	}
	if a.inventory.ID == 0 {
		return nil
	}
	return a.Catalog.ForgetInventory(ctx, a.inventory.ID)
}

// source gives the tally of one.
func (a *adopter) source(name string) *Source {
	s := a.tally[name]
	if s == nil {
		s = &Source{Name: name}
		a.tally[name] = s
		a.order = append(a.order, name)
	}
	return s
}

func (a *adopter) hash(id firn.ArchiveID) uint64 { return maphash.String(a.seed, string(id)) }
