package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// settleDoubts looks for the doubtful archives in an inventory, if one can be
// had now that may tell, and sees to it that there will be one else.
func (r *reconciler) settleDoubts(ctx context.Context) error {
	_, doubts, err := r.open(ctx)
	if err != nil || len(doubts) == 0 {
		return err
	}
	if r.Store.Traits().FreshInventory {
		// Only a job that starts now shows what was stored until now.
		job, ready, err := r.startInventory(ctx)
		if err != nil || !ready {
			return err
		}
		return r.settleBy(ctx, job, doubts)
	}
	ready, newest, err := r.inventoryJobs(ctx, oldest(doubts))
	if err != nil {
		return err
	}
	if ready.ID != "" {
		err := r.settleBy(ctx, ready, doubts)
		switch firn.KindOf(err) {
		case firn.NotFound, firn.NotReady, firn.Corrupt, firn.Invalid:
			// It expired, or is no inventory. Doubts wait; a sync need not.
			newest = time.Time{}
		default:
			if err != nil {
				return err
			}
		}
	}
	return r.askAgain(ctx, newest)
}

// askAgain asks for an inventory where doubts are left that a job which starts
// now can settle, and the newest job could not.
func (r *reconciler) askAgain(ctx context.Context, newest time.Time) error {
	_, doubts, err := r.open(ctx)
	if err != nil || len(doubts) == 0 {
		return err
	}
	info, err := r.describe(ctx)
	if err != nil {
		return err
	}
	since := oldest(doubts)
	useful := since.Add(settleMargin)
	if info.LastInventory.After(since) {
		useful = info.LastInventory
	} else if info.Now.Before(useful) {
		return nil
	}
	if !newest.Before(useful) {
		return nil // it will tell, once it is ready; or it told, and a later one may
	}
	_, _, err = r.startInventory(ctx)
	return err
}

// settleBy reads the inventory that a job has ready, and settles what it can.
func (r *reconciler) settleBy(ctx context.Context, job firn.Job, doubts []catalog.DoubtfulUpload) error {
	found := map[firn.Token][]firn.Archive{}
	for _, d := range doubts {
		found[d.Token] = nil
	}
	nameless, err := r.nameless(ctx)
	if err != nil {
		return err
	}
	info, err := r.Store.Inventory(ctx, job.ID, func(a firn.Archive) error {
		token, ok := describe.TokenOf(a.Description)
		if !ok {
			return r.takeNameless(ctx, nameless, a, found)
		}
		if _, wanted := found[token]; wanted {
			found[token] = append(found[token], a)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.settle(ctx, doubts, found, evidence{dated: info.Date, asked: job.Created, fresh: r.Store.Traits().FreshInventory})
}

// settleMargin is how long after a doubt a list of the store shows what there
// is, whatever its date: an inventory keeps its date while nothing changes, and
// what did arrive shows within a day or so. Source: Amazon Glacier developer
// guide, "Vault inventory" (about once a day), with time to spare.
const settleMargin = 72 * time.Hour

// evidence is what is known of an inventory's age, by the store's clock.
type evidence struct {
	dated time.Time // the inventory
	asked time.Time // the job that brought it
	fresh bool      // it shows all that was stored before it was asked for
}

// decides reports whether what the inventory doesn't list surely isn't there,
// if it was sent at since or before. Dates are whole seconds, so an inventory
// of the same second may be the older one.
func (e evidence) decides(since time.Time) bool {
	return e.fresh || e.dated.After(since) || e.asked.After(since.Add(settleMargin))
}

func oldest(doubts []catalog.DoubtfulUpload) time.Time {
	since := doubts[0].Since
	for _, d := range doubts {
		if d.Since.Before(since) {
			since = d.Since
		}
	}
	return since
}

// settle decides each doubt by what an inventory listed.
func (r *reconciler) settle(ctx context.Context, doubts []catalog.DoubtfulUpload, found map[firn.Token][]firn.Archive, e evidence) error {
	intents, _, err := r.open(ctx)
	if err != nil {
		return err
	}
	for _, d := range doubts {
		decisive := e.decides(d.Since)
		i := slices.IndexFunc(intents, func(in catalog.Intent) bool { return in.ID == d.Archive })
		if i >= 0 && intents[i].State == catalog.Doubt {
			err = r.settleOpen(ctx, d, &intents[i], found[d.Token], decisive)
		} else {
			err = r.settleDouble(ctx, d, found[d.Token], decisive)
		}
		if err != nil {
			return fmt.Errorf("reconcile %s: %w", nameOf(d.Path), err)
		}
	}
	return nil
}

// settleOpen: the archive is there, and becomes the file's; or it surely is
// not, and the file is to be sent. The intent is marked, as it may have been
// in doubt more than once.
func (r *reconciler) settleOpen(ctx context.Context, d catalog.DoubtfulUpload, in *catalog.Intent, found []firn.Archive, decisive bool) error {
	if len(found) == 0 {
		if !decisive {
			return nil
		}
		in.State = catalog.Dropped
		if err := r.Catalog.Drop(ctx, in.ID, "not in the inventory: it never arrived"); err != nil {
			return err
		}
		return r.resolve(ctx, d)
	}
	free, err := r.unrecorded(ctx, *in, found)
	if err != nil || len(free) == 0 {
		return err
	}
	in.State = catalog.Stored
	if err := r.adopt(ctx, *in, free[0]); err != nil {
		return err
	}
	return r.settleDouble(ctx, d, found, decisive)
}

// unrecorded gives the archives that no row of the catalog stands for, and that
// may be what the intent says.
func (r *reconciler) unrecorded(ctx context.Context, in catalog.Intent, found []firn.Archive) (free []firn.Archive, err error) {
	for _, a := range found {
		_, known, err := r.Catalog.ArchiveByRemote(ctx, r.Row, a.ID)
		if err != nil {
			return nil, err
		}
		if !known && (in.TreeHash.IsZero() || in.TreeHash == a.Tree) {
			free = append(free, a)
		}
	}
	return free, nil
}

// resolve takes a doubt off the list. Recording the archive may have done so
// before.
func (r *reconciler) resolve(ctx context.Context, d catalog.DoubtfulUpload) error {
	if err := r.Catalog.ResolveDoubt(ctx, d.ID); err != nil && firn.KindOf(err) != firn.NotFound {
		return err
	}
	return nil
}

// settleDouble deletes the second copies of an archive: those of which the
// catalog knows nothing, and that have the same bytes as the one it has, which
// must be seen beside them.
func (r *reconciler) settleDouble(ctx context.Context, d catalog.DoubtfulUpload, found []firn.Archive, decisive bool) error {
	if d.State == catalog.Dropped {
		return r.settleDropped(ctx, d, found, decisive)
	}
	if len(found) == 0 && decisive {
		return r.resolve(ctx, d) // it never arrived
	}
	known, err := r.indexOfKnown(ctx, d, found)
	if err != nil || known < 0 {
		// The copy sent last is younger than the inventory.
		return err
	}
	for i, a := range found {
		if i == known {
			continue
		}
		if err := r.deleteCopy(ctx, d, a, found[known]); err != nil {
			return err
		}
	}
	if !decisive {
		return nil
	}
	return r.resolve(ctx, d)
}

// deleteCopy deletes an archive, if it is nothing but a copy of another.
func (r *reconciler) deleteCopy(ctx context.Context, d catalog.DoubtfulUpload, a, kept firn.Archive) error {
	_, recorded, err := r.Catalog.ArchiveByRemote(ctx, r.Row, a.ID)
	if err != nil || recorded {
		return err
	}
	if a.Size != kept.Size || a.Tree != kept.Tree {
		r.unowned(d, a)
		return nil
	}
	if err := r.Store.DeleteArchive(ctx, a.ID); err != nil {
		return err
	}
	// An inventory of before may list it again.
	if err := r.Catalog.Bury(ctx, r.Run, a); err != nil {
		return err
	}
	r.Events(firn.NoticeEvent{Text: fmt.Sprintf("%s was stored twice after a lost answer; deleted the second copy", nameOf(d.Path))})
	return nil
}

// unowned tells of an archive that stays, though nothing refers to it.
func (r *reconciler) unowned(d catalog.DoubtfulUpload, a firn.Archive) {
	r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("the store holds another state of %s that no file version refers to: archive %s", nameOf(d.Path), a.ID)})
}

// settleDropped: the file was given up meanwhile, or stored under another
// token. A copy that did arrive is nobody's; it is not deleted, since nothing
// says that its content is stored elsewhere.
func (r *reconciler) settleDropped(ctx context.Context, d catalog.DoubtfulUpload, found []firn.Archive, decisive bool) error {
	if len(found) == 0 && !decisive {
		return nil
	}
	for _, a := range found {
		r.unowned(d, a)
	}
	return r.resolve(ctx, d)
}

// indexOfKnown finds the archive that the catalog has recorded for a doubt.
func (r *reconciler) indexOfKnown(ctx context.Context, d catalog.DoubtfulUpload, found []firn.Archive) (int, error) {
	for i, a := range found {
		loc, ok, err := r.Catalog.ArchiveByRemote(ctx, r.Row, a.ID)
		if err != nil {
			return -1, err
		}
		if ok && loc.Archive == d.Archive && loc.State == catalog.Stored {
			return i, nil
		}
	}
	return -1, nil
}

// inventoryJobs looks through the store's jobs for inventories of everything
// that were asked for after a time: it gives the newest one that is ready, if
// any, and when the newest of all was asked for.
func (r *reconciler) inventoryJobs(ctx context.Context, since time.Time) (ready firn.Job, newest time.Time, err error) {
	for job, err := range r.Store.Jobs(ctx) {
		if err != nil {
			return firn.Job{}, time.Time{}, err
		}
		if job.Kind != firn.InventoryJob || job.Partial || job.Format == firn.InventoryCSV || job.State == firn.JobFailed || job.Created.Before(since) {
			continue
		}
		if job.State == firn.JobReady && !job.Created.Before(ready.Created) {
			ready = job
		}
		if job.Created.After(newest) {
			newest = job.Created
		}
	}
	return ready, newest, nil
}

// startTries bounds how often an inventory is asked for when answers get lost.
// An inventory job too many costs next to nothing.
const startTries = 3

// startInventory asks for an inventory, and gives it if it is there at once.
func (r *reconciler) startInventory(ctx context.Context) (firn.Job, bool, error) {
	for try := 1; ; try++ {
		job, ready, err := r.startInventoryOnce(ctx)
		if firn.KindOf(err) != firn.Lost || try == startTries {
			return job, ready, err
		}
	}
}

func (r *reconciler) startInventoryOnce(ctx context.Context) (firn.Job, bool, error) {
	token := firn.NewToken()
	id, err := r.Catalog.JobIntent(ctx, catalog.Job{
		Store: r.Row, Run: r.Run.ID, Token: token, State: catalog.JobIntended,
		Asked: r.Clock.Now(), Remote: firn.Job{Kind: firn.InventoryJob},
	})
	if err != nil {
		return firn.Job{}, false, err
	}
	remote, err := r.Store.StartInventory(ctx, firn.InventorySpec{Description: describe.Job(token, "inventory")})
	if firn.KindOf(err) == firn.NotReady {
		return firn.Job{}, false, r.Catalog.JobGone(ctx, id, "the store has no inventory yet")
	}
	if err != nil {
		return firn.Job{}, false, err
	}
	if err := r.Catalog.JobStarted(ctx, id, remote); err != nil {
		return firn.Job{}, false, err
	}
	job, err := r.Store.Job(ctx, remote)
	if err != nil {
		return firn.Job{}, false, err
	}
	if _, err := r.Catalog.JobSeen(ctx, r.Row, token, job); err != nil {
		return firn.Job{}, false, err
	}
	return job, job.State == firn.JobReady, nil
}
