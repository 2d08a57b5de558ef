package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
)

// RefreshOptions say which store to compare with the catalog, and what to do about
// what differs.
type RefreshOptions struct {
	Catalog *catalog.Catalog
	Row     catalog.Store
	Store   firn.Store       // that the row stands for
	Asker   *retrieval.Asker // its run is Run
	Run     catalog.Run      // of the whole store
	Now     time.Time        // by the store's clock
	Events  firn.Sink

	// Fix makes the catalog say what the store says, where that can be.
	Fix bool
	// ExpectChanges lets Fix give up a mass of archives: see Refresh.
	ExpectChanges bool
	// MaxAge is how old the inventory may be, by the store's clock, by which all
	// archives were as recorded: then nothing is asked. Zero: the store is asked
	// anyhow.
	MaxAge time.Duration
	// New takes no inventory that was asked for before this refresh began, by
	// whichever of its runs.
	New bool
	// Wait waits for the inventory. Without it the result is pending.
	Wait bool
	// Each is told of each archive that is not as recorded; nil: nobody is.
	Each func(Found)
}

// A Class is a way in which an archive differs between catalog and inventory.
type Class string

// The classes, in the order in which they are told.
const (
	Vanished  Class = "vanished"    // recorded as stored, not listed, and old enough to be
	Mismatch  Class = "mismatch"    // listed with another size or tree hash
	Reworded  Class = "description" // listed under another description
	Returned  Class = "returned"    // recorded as lost, and listed
	Undeleted Class = "undeleted"   // deleted long before, and listed still
	Orphan    Class = "orphan"      // this catalog stored it, and has no record of that
	Elsewhere Class = "elsewhere"   // another catalog stored it
	Unsettled Class = "unsettled"   // an upload that is on its way, or in doubt
	Strange   Class = "foreign"     // another program stored it
	Departed  Class = "departed"    // somebody else's, or to be deleted anyhow, and not listed any more
	Lagging   Class = "lagging"     // deleted lately, and listed still
	TooNew    Class = "new"         // stored too lately to be listed for sure
)

// Classes gives them all.
func Classes() []Class {
	return []Class{Vanished, Mismatch, Reworded, Returned, Undeleted, Orphan, Elsewhere, Unsettled, Strange, Departed, Lagging, TooNew}
}

// A Found is an archive that is not as recorded.
type Found struct {
	Class Class
	catalog.Difference
	// Whose says which machine stored it, of Elsewhere, where that is known.
	Whose string
	// Remains: the catalog says something else than the store still.
	Remains bool
	// Recover: firn recover knows what to do with it.
	Recover bool

	tree string // of an Orphan: its name here
}

// maxExamples is how many archives of a class a result names.
const maxExamples = 5

// A RefreshTally is what was found of one class.
type RefreshTally struct {
	firn.Count
	Remains  int64 // of them: the catalog says something else still
	Recover  int64 // of them: firn recover knows what to do with them
	Examples []Found
}

// A RefreshResult says what a refresh came to.
type RefreshResult struct {
	// Pending: the store is getting its inventory ready, perhaps until Ready.
	Pending bool
	Ready   time.Time
	// Young: nothing was asked, since the inventory of Dated agreed, and is young
	// enough.
	Young bool
	Dated time.Time // of the inventory, by the store's clock

	Listed   firn.Count // archives in the inventory
	Same     firn.Count // of them: that are as recorded
	Twice    int64      // entries beside these, of archives that it lists before
	Nameless int64      // entries beside these, without an id
	Found    map[Class]*RefreshTally
	// Mass: so many archives vanished that none of them was given up.
	Mass bool
}

// Of gives the tally of a class.
func (r *RefreshResult) Of(c Class) RefreshTally {
	if t := r.Found[c]; t != nil {
		return *t
	}
	return RefreshTally{}
}

// Remains counts the archives of which the catalog says something else than the
// store.
func (r *RefreshResult) Remains() (n int64) {
	for _, t := range r.Found {
		n += t.Remains
	}
	return n
}

// Archives are a mass that are more than both of these, of those that the catalog
// has as stored: the inventory may be another vault's, or cut short.
const (
	massArchives = 1000
	massPart     = 4 // one in so many
)

// Refresh compares the store's inventory with what the catalog knows of it, tells
// what differs, and records what is harmless: archives of other programs, when
// archives were made, and what others have deleted. With Fix the catalog is made
// to say what the store says: what vanished is lost, so that the next sync sends it
// again, unless it is more than a quarter of all archives, and more than 1,000.
//
// What is under way must be settled before; what isn't is told as Unsettled. It can
// be stopped at any time, and run again. Errors: NotReady (the store has no
// inventory yet), and those of store and catalog.
func Refresh(ctx context.Context, o RefreshOptions) (res RefreshResult, err error) {
	r := &refresher{RefreshOptions: o, res: RefreshResult{Found: map[Class]*RefreshTally{}}}
	defer func() {
		outcome := catalog.Outcome{Complete: err == nil && !res.Pending}
		err = errors.Join(err, o.Catalog.EndRun(context.WithoutCancel(ctx), o.Run, outcome))
	}()
	if young, err := r.isYoung(ctx); young || err != nil {
		return r.res, err
	}
	after, err := r.after(ctx)
	if err != nil {
		return r.res, err
	}
	inv, ok, err := r.read(ctx, after)
	if err != nil || !ok {
		return r.res, err
	}
	if err := r.compare(ctx, inv); err != nil {
		return r.res, err
	}
	return r.res, r.end(ctx, inv)
}

// A refresher is one Refresh.
type refresher struct {
	RefreshOptions
	res    RefreshResult
	seen   *catalog.Comparison
	owners owners
	// What is to be done about archives of one sort, some thousands at a time.
	work map[Class][]Found
	told []catalog.Difference // to be learned from
}

// isYoung reports whether an inventory that agreed is young enough.
func (r *refresher) isYoung(ctx context.Context) (bool, error) {
	if r.New || r.MaxAge <= 0 || r.Store.Traits().FreshInventory {
		return false, nil
	}
	agreed, err := r.Catalog.Agreed(ctx, r.Row.ID)
	if err != nil || agreed.All.IsZero() || r.Now.Sub(agreed.All) > r.MaxAge {
		return false, err
	}
	r.res.Young, r.res.Dated = true, agreed.All
	return true, nil
}

// after is since when the inventory must have been asked for: of one that is to be
// new, since the first run that wanted that.
func (r *refresher) after(ctx context.Context) (time.Time, error) {
	if !r.New {
		return time.Time{}, nil
	}
	since, err := r.Catalog.AwaitedInventory(ctx, r.Row.ID)
	if err != nil || !since.IsZero() {
		return since, err
	}
	return r.Now, r.Catalog.AwaitInventory(ctx, r.Row.ID, r.Now)
}

// comparedAtOnce is how many archives are looked up at a time: the more, the more
// of them stand on one page of the index, and the more memory it takes.
const comparedAtOnce = 16384

// read reads the inventory, and stages what of it is not as recorded; false: there
// is none yet.
func (r *refresher) read(ctx context.Context, after time.Time) (retrieval.Staged, bool, error) {
	inv, job, ok, err := r.Asker.StageInventory(ctx, retrieval.Staging{
		Wait: r.Wait, NotBefore: after, Batch: comparedAtOnce, Recall: r.Catalog.Recall(r.Row.ID),
		Progress: func(seen firn.Count) { r.Events(firn.ScanEvent{Files: seen.Files, Bytes: seen.Bytes, Archives: true}) },
		Sieve: func() retrieval.Sieve {
			r.seen = r.Catalog.NewComparison(r.Row.ID) // another reading begins anew
			return r.sift
		},
	})
	if firn.KindOf(err) == firn.NotReady {
		return inv, false, &firn.Error{Op: "refresh", Subject: r.Row.URL, Kind: firn.NotReady, Err: errors.New("the store has no inventory yet"),
			Hint: "a vault's first one is made about a day after its first upload; run the same command again then"}
	}
	if err == nil && !ok {
		r.res.Pending, r.res.Ready = true, retrieval.Expected(job)
	}
	if err == nil && ok {
		r.res.Dated = showsUntil(r.Store, inv.Dated, job)
	}
	return inv, ok && err == nil, err
}

// sift picks the archives that are not as recorded.
func (r *refresher) sift(ctx context.Context, batch []firn.Archive) ([]firn.Archive, error) {
	differences, err := r.seen.Add(ctx, batch)
	some := batch[:0]
	for i := range differences {
		some = append(some, differences[i].Archive)
	}
	return some, err
}

// compare goes through all that is not as recorded.
func (r *refresher) compare(ctx context.Context, inv retrieval.Staged) (err error) {
	r.work = map[Class][]Found{}
	if r.owners, err = r.whoOwns(ctx); err != nil {
		return err
	}
	var strangers []catalog.Difference
	for d, err := range r.seen.Differences(ctx, inv.ID) {
		if err == nil && d.Verdict == catalog.Stranger {
			strangers = append(strangers, d)
			if len(strangers) == atOnce {
				err = r.judgeStrangers(ctx, strangers)
				strangers = strangers[:0]
			}
		} else if err == nil {
			err = r.judge(ctx, d)
		}
		if err != nil {
			return err
		}
	}
	if err := r.judgeStrangers(ctx, strangers); err != nil {
		return err
	}
	r.sum(inv)
	if err := r.absent(ctx); err != nil {
		return err
	}
	return r.flush(ctx)
}

// sum adds up what the inventory listed.
func (r *refresher) sum(inv retrieval.Staged) {
	r.res.Same = r.seen.Same
	r.res.Twice, r.res.Nameless = r.seen.Twice+inv.Twice, r.seen.Nameless+inv.Nameless
	r.res.Listed = r.res.Same
	for _, t := range r.res.Found {
		r.res.Listed.Files += t.Files
		r.res.Listed.Bytes += t.Bytes
	}
	r.Events(firn.ScanEvent{Files: r.res.Listed.Files, Bytes: r.res.Listed.Bytes, Done: true, Archives: true})
}

// showsUntil gives until when an inventory shows what was stored, by the store's
// clock, but for its margin. One that is made at once shows what is there when it is
// asked for: its date may be that of the last change, and then says nothing of
// archives that went with a vault which was put back from a copy.
func showsUntil(s firn.Store, dated time.Time, job firn.Job) time.Time {
	if s.Traits().FreshInventory && job.Created.After(dated) {
		return job.Created
	}
	return dated
}

// margin is how much older than the inventory something must be to show in it.
func (r *refresher) margin() time.Duration {
	if r.Store.Traits().FreshInventory {
		return 0
	}
	return catalog.InventoryMargin
}

// absent goes through what the inventory doesn't list. What is to be given up is so
// only once it is known how much that is.
func (r *refresher) absent(ctx context.Context) error {
	stored := r.res.Same.Files
	for d, err := range r.seen.Unlisted(ctx, r.res.Dated, r.margin()) {
		if err != nil {
			return err
		}
		if d.State == catalog.Stored {
			stored++
		}
		if f := r.absence(d); f.Class != Vanished || !r.Fix {
			if err := r.take(ctx, f); err != nil {
				return err
			}
		} else {
			r.res.Found[Vanished] = plus(r.res.Found[Vanished], &f)
		}
	}
	vanished := r.res.Of(Vanished).Files
	if !r.Fix || vanished == 0 {
		return nil
	}
	delete(r.res.Found, Vanished) // they are told now
	r.res.Mass = !r.ExpectChanges && vanished > massArchives && vanished*massPart > stored
	for d, err := range r.seen.Unlisted(ctx, r.res.Dated, r.margin()) {
		if err != nil {
			return err
		}
		f := r.absence(d)
		if f.Class != Vanished {
			continue
		}
		f.Remains = r.res.Mass
		if err := r.take(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// end lets go of the inventory, which is worked in.
func (r *refresher) end(ctx context.Context, inv retrieval.Staged) error {
	if err := r.Catalog.EndInventory(ctx, inv.ID); err != nil {
		return err
	}
	if r.New {
		if err := r.Catalog.AwaitInventory(ctx, r.Row.ID, time.Time{}); err != nil {
			return err
		}
	}
	if r.res.Remains() > 0 {
		return r.Catalog.Disagreed(ctx, r.Row.ID)
	}
	return r.Catalog.SetAgreed(ctx, r.Row.ID, r.res.Dated, true)
}

// plus adds an archive to a tally, which may be nil.
func plus(t *RefreshTally, f *Found) *RefreshTally {
	if t == nil {
		t = &RefreshTally{}
	}
	t.Files++
	t.Bytes += max(f.Archive.Size, 0)
	if f.Remains {
		t.Remains++
	}
	if f.Recover {
		t.Recover++
	}
	if len(t.Examples) < maxExamples {
		t.Examples = append(t.Examples, *f)
	}
	return t
}

// MassText says what a mass of archives that vanished means.
func (r *RefreshResult) MassText() string {
	return fmt.Sprintf("%d archives that the catalog has as stored are not in the inventory: is it the right vault, and the whole inventory? None of them was given up", r.Of(Vanished).Files)
}
