package upkeep

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
)

// StoreOptions say what to compare with a store's inventory.
type StoreOptions struct {
	Catalog *catalog.Catalog
	Row     int64            // of the store in the catalog
	Store   firn.Store       // that the row stands for
	Asker   *retrieval.Asker // of that store
	Events  firn.Sink
	// Wait waits for the inventory. Without it the result is pending.
	Wait bool
	// Strict takes archives that are listed without a tree hash as not listed.
	Strict bool
}

// A StoreResult says how a store's newest inventory and the catalog differ.
type StoreResult struct {
	// Pending: the store is getting its inventory ready, perhaps until Ready.
	Pending bool
	Ready   time.Time

	Dated  time.Time  // of the inventory
	Same   firn.Count // archives that are as recorded
	TooNew firn.Count // archives that may be too young to be listed
	// Differ are archives that are not as recorded, by what is wrong with them.
	Differ map[catalog.Verdict]firn.Count
	Files  int64 // file versions in those
	// Unnamed are archives of these that no file version refers to.
	Unnamed firn.Count

	compared *catalog.Comparison
	unsure   rowSet // listed, and not as recorded
}

// Clean reports whether all archives are as recorded that can be told of.
func (r *StoreResult) Clean() bool { return len(r.Differ) == 0 }

// Confirmed reports whether the inventory lists an archive as recorded.
func (r *StoreResult) Confirmed(loc *catalog.Location) bool {
	return loc.State == catalog.Stored && r.compared.Listed(loc.Archive) && !r.unsure.has(loc.Archive)
}

// Whole reports whether all archives are as recorded that can be told of, and settled
// whether none is too young for that.
func (r *StoreResult) Whole() (whole, settled bool) { return r.Clean(), r.TooNew.Files == 0 }

// outputTries bounds how often an inventory is taken whose output expires before
// it was read.
const outputTries = 3

// VerifyStore compares what the catalog has as stored with the store's newest
// inventory that is ready, or that it asks for: each archive must be listed with
// the recorded size, tree hash and description. It tells the files of those that
// aren't, and the current ones in what is recorded as lost, and changes nothing.
// Errors: NotReady (the store has no inventory yet), and those of store and catalog.
func VerifyStore(ctx context.Context, o StoreOptions) (StoreResult, error) {
	var notBefore time.Time
	for try := 1; ; try++ {
		job, ready, err := o.Asker.AwaitInventory(ctx, notBefore, o.Wait)
		if err != nil || !ready {
			return StoreResult{Pending: err == nil, Ready: retrieval.Expected(job)}, err
		}
		s := &storeCheck{StoreOptions: o, compared: o.Catalog.NewComparison(o.Row), res: StoreResult{Differ: map[catalog.Verdict]firn.Count{}}}
		expired, err := s.list(ctx, job)
		if err == nil {
			err = s.absent(ctx)
		}
		if err == nil {
			err = s.losses(ctx)
		}
		if expired && try < outputTries {
			notBefore = job.Created.Add(time.Second)
			continue
		}
		if err != nil {
			return StoreResult{}, err
		}
		return s.res, o.read(ctx, job.ID)
	}
}

// AnyLost reports whether current files are in archives that are recorded as lost.
func AnyLost(ctx context.Context, c *catalog.Catalog, store int64) (bool, error) {
	s := &storeCheck{
		StoreOptions: StoreOptions{Catalog: c, Row: store, Events: firn.Discard}, res: StoreResult{Differ: map[catalog.Verdict]firn.Count{}},
	}
	err := s.losses(ctx)
	return !s.res.Clean(), err
}

// read takes note that nobody waits for the job any more.
func (o *StoreOptions) read(ctx context.Context, id firn.JobID) error {
	job, ok, err := o.Catalog.JobByRemote(ctx, o.Row, id)
	if err != nil || !ok || job.State >= catalog.JobFailed {
		return err
	}
	return o.Catalog.JobGone(ctx, job.ID, "its inventory was read")
}

// A storeCheck is one reading of an inventory.
type storeCheck struct {
	StoreOptions
	compared *catalog.Comparison
	res      StoreResult
	bad      map[int64]*badArchive // of which the files were not told yet
	page     []firn.Archive
}

type badArchive struct {
	remote firn.ArchiveID
	why    string
	size   int64
	named  bool
	lost   bool // it is recorded as that
}

const (
	// listedAtOnce is how many archives are looked up at a time.
	listedAtOnce = 4096
	// badAtOnce is for how many archives files are looked for in one pass over all
	// versions: they stay in memory.
	badAtOnce = 100_000
)

// list compares all that the inventory lists. Expired: its output is gone.
func (s *storeCheck) list(ctx context.Context, job firn.Job) (expired bool, err error) {
	var own error
	recall := s.Catalog.Recall(s.Row)
	if s.Strict {
		recall = nil // what the store itself says of them counts
	}
	info, err := firn.InventoryBut(ctx, s.Store, job.ID, recall, func(a firn.Archive) error {
		if s.Strict && a.Tree.IsZero() {
			return nil
		}
		if s.page = append(s.page, a); len(s.page) < listedAtOnce {
			return nil
		}
		own = s.compare(ctx)
		return own
	})
	if err != nil {
		return own == nil && firn.KindOf(err) == firn.NotFound, err
	}
	s.res.Dated = showsUntil(s.Store, info.Date, job)
	return false, s.compare(ctx)
}

// compare takes a page of the list.
func (s *storeCheck) compare(ctx context.Context) error {
	differences, err := s.compared.Add(ctx, s.page)
	if err != nil {
		return err
	}
	s.page = s.page[:0]
	for i := range differences {
		if err := s.note(ctx, &differences[i]); err != nil {
			return err
		}
	}
	return nil
}

// absent takes what the inventory doesn't list.
func (s *storeCheck) absent(ctx context.Context) error {
	margin := catalog.InventoryMargin
	if s.Store.Traits().FreshInventory {
		margin = 0
	}
	for d, err := range s.compared.Unlisted(ctx, s.res.Dated, margin) {
		if err == nil {
			err = s.note(ctx, &d)
		}
		if err != nil {
			return err
		}
	}
	s.res.Same.Files += s.compared.Same.Files
	s.res.Same.Bytes += s.compared.Same.Bytes
	s.res.compared = s.compared
	return s.tell(ctx)
}

// losses takes what is recorded as lost, and current files are in: a sync has yet to
// send them again, or can't.
func (s *storeCheck) losses(ctx context.Context) error {
	for d, err := range s.Catalog.Losses(ctx, s.Row) {
		if err != nil {
			return err
		}
		if err := s.add(ctx, &d, &badArchive{remote: d.Archive.ID, why: "its archive is recorded as lost", size: d.Size, lost: true}); err != nil {
			return err
		}
	}
	return s.tell(ctx)
}

// note takes a difference.
func (s *storeCheck) note(ctx context.Context, d *catalog.Difference) error {
	why := ""
	switch d.Verdict {
	case catalog.OtherSize:
		why = "its archive has another size in the store's inventory"
	case catalog.OtherTree:
		why = "its archive has another tree hash in the store's inventory"
	case catalog.OtherWords:
		why = "its archive has another description in the store's inventory"
	case catalog.Vanished:
		why = "its archive is not in the store's inventory"
	case catalog.TooNew:
		s.res.TooNew.Files++
		s.res.TooNew.Bytes += d.Size
		return nil
	case catalog.Untold:
		s.res.Same.Files++
		s.res.Same.Bytes += d.Size
		if d.Tree.IsZero() {
			s.res.unsure.add(d.Row)
		}
		return nil
	default: // nothing that a file is in
		return nil
	}
	s.differ(d.Verdict, d.Size)
	s.res.unsure.add(d.Row)
	return s.add(ctx, d, &badArchive{remote: d.Archive.ID, why: why, size: d.Size})
}

// differ counts an archive.
func (s *storeCheck) differ(v catalog.Verdict, size int64) {
	n := s.res.Differ[v]
	s.res.Differ[v] = firn.Count{Files: n.Files + 1, Bytes: n.Bytes + size}
}

// add takes an archive of which the files are to be told, some at a time.
func (s *storeCheck) add(ctx context.Context, d *catalog.Difference, bad *badArchive) error {
	if s.bad == nil {
		s.bad = map[int64]*badArchive{}
	}
	if s.bad[d.Row] = bad; len(s.bad) < badAtOnce {
		return nil
	}
	return s.tell(ctx)
}

// tell tells the files of archives that are not as recorded.
func (s *storeCheck) tell(ctx context.Context) error {
	rows := make([]int64, 0, len(s.bad))
	for row := range s.bad {
		rows = append(rows, row)
	}
	for ref, err := range s.Catalog.References(ctx, rows) {
		if err != nil {
			return err
		}
		a := s.bad[ref.Archive]
		if a.lost && ref.Until != 0 {
			continue // nothing brings it back
		}
		if a.lost && !a.named {
			s.differ(catalog.Vanished, a.size)
		}
		a.named = true
		s.res.Files++
		why := a.why
		if ref.Until != 0 {
			why += "; an older version"
		}
		s.Events(firn.FileEvent{Action: firn.Differs, Tree: ref.Tree, Path: ref.Path, Size: ref.Size, Archive: a.remote, Reason: why})
	}
	for _, a := range s.bad {
		if !a.named && !a.lost {
			s.res.Unnamed.Files++
			s.res.Unnamed.Bytes += a.size
		}
	}
	s.bad = nil
	return nil
}

// A rowSet is a set of rows, by a bit each.
type rowSet struct{ words []uint64 }

func (s *rowSet) add(row int64) {
	if n := int(row/64) + 1 - len(s.words); n > 0 {
		s.words = append(s.words, make([]uint64, n)...)
	}
	s.words[row/64] |= 1 << (row % 64)
}

func (s *rowSet) has(row int64) bool {
	return row/64 < int64(len(s.words)) && s.words[row/64]&(1<<(row%64)) != 0
}
