package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/snapshot"
)

// EmptyOptions say how a store is emptied.
type EmptyOptions struct {
	Catalog *catalog.Catalog
	Row     catalog.Store
	Store   firn.Store       // that the row stands for
	Info    firn.StoreInfo   // what it said of itself just now
	Asker   *retrieval.Asker // its run is Run
	Clock   clock.Clock
	Events  firn.Sink
	Run     catalog.Run // of the whole store
	// Concurrency is how many deletions are under way at a time; 0: 32.
	Concurrency int
	// Batch is how many deletions are recorded at a time before they are asked for;
	// 0: 128. So many may be in doubt after a kill, or twice.
	Batch int
	// Before is called each time before archives are deleted, which may be weeks after
	// the last time; its error ends it. nil: nobody is asked.
	Before func(ctx context.Context) error
	// Wait waits for what takes the store time: an inventory, and the end of what is
	// charged for.
	Wait bool
}

// DefaultDeletions is how many deletions are under way at a time: a request takes the
// service some tens of milliseconds.
const DefaultDeletions = 32

// defaultBatch is a compromise: larger ones take fewer commits, and leave more in
// doubt after a kill.
const defaultBatch = 128

// An EmptySurvey sums up what is to go.
type EmptySurvey struct {
	Todo    firn.Count    // not asked for yet
	Young   firn.Count    // of these, what is charged for still
	Fee     price.Sum     // for deleting that now
	Free    time.Time     // when the first of that is free of fees
	AllFree time.Time     // when all of it is
	Longest time.Duration // that any of it is charged for
	Asked   int64         // asked for, and no answer is known
	Gone    int64
	Refused int64
	Others  firn.Count // what other programs keep there, which stays
	Later   firn.Count // listed, but made after it was agreed to: it stays
}

// SurveyEmptying sums up the archives of an inventory, as they are at a time by the
// store's clock. The store charges for each as its storage class says, and where none is
// listed for least. E need not have begun.
func SurveyEmptying(ctx context.Context, c *catalog.Catalog, e catalog.Emptying, now time.Time, least time.Duration, prices price.Tariff) (s EmptySurvey, err error) {
	return SurveyOwn(ctx, c, e, now, least, prices, func(*catalog.EmptyItem) bool { return false })
}

// SurveyOwn is SurveyEmptying of a place that is shared: what isOthers says is another
// program's stays, and is no part of what is to go.
func SurveyOwn(ctx context.Context, c *catalog.Catalog, e catalog.Emptying, now time.Time, least time.Duration, prices price.Tariff, isOthers func(*catalog.EmptyItem) bool) (s EmptySurvey, err error) {
	s.Fee.Known = true
	for item, err := range c.EmptyItems(ctx, e.Inventory, 0) {
		if err != nil {
			return s, err
		}
		one := firn.Count{Files: 1, Bytes: item.Size}
		switch {
		case !e.Covers(item.Created):
			add(&s.Later, one)
		case item.State == catalog.EmptyAsked:
			s.Asked++
		case item.State == catalog.EmptyGone:
			s.Gone++
		case item.State == catalog.EmptyRefused:
			s.Refused++
		case isOthers(&item):
			add(&s.Others, one)
		default:
			add(&s.Todo, one)
			shortest := price.ShortestOf(item.Class, least)
			free := item.Created.Add(shortest)
			if !isYoung(item.Created, shortest, now) {
				continue
			}
			add(&s.Young, one)
			s.Fee = s.Fee.Plus(prices.Of(item.Class).EarlyDeletion(1, item.Size, free.Sub(now)))
			s.Longest = max(s.Longest, shortest)
			if s.Free.IsZero() || free.Before(s.Free) {
				s.Free = free
			}
			if free.After(s.AllFree) {
				s.AllFree = free
			}
		}
	}
	return s, nil
}

// isYoung reports whether an archive is charged for still. Now has whole seconds, and
// may be before what was stored within this one.
func isYoung(created time.Time, least time.Duration, now time.Time) bool {
	return least > 0 && created.Add(least).After(now)
}

func add(sum *firn.Count, n firn.Count) {
	sum.Files += n.Files
	sum.Bytes += n.Bytes
}

// An EmptyResult says how far a store is.
type EmptyResult struct {
	Deleted firn.Count // by this run
	Refused int64      // that the store won't delete
	Why     string     // it refused the last of these
	// Young is what waits until it is free of fees, the first of it until Free.
	Young firn.Count
	Free  time.Time
	// Doubtful were asked for, and no answer is known: an inventory will tell.
	Doubtful int64
	// Others are in the store, and not to go: they came after this was agreed to, or
	// weren't listed then. Examples are some of them. Uploads are open ones of these.
	Others   firn.Count
	Examples []firn.ArchiveID
	Uploads  int64
	// Gone: the store itself is.
	Gone bool
	// Pending: it goes on, perhaps at Ready.
	Pending bool
	Ready   time.Time
}

// Done reports whether all was done that was agreed to.
func (r *EmptyResult) Done(e catalog.Emptying) bool {
	return !r.Pending && r.Refused == 0 && (r.Gone || !e.Vault)
}

// Empty goes on with an emptying whose list is there, as far as it can. It can be
// stopped and killed at any time, and called again: what the store was asked to
// delete is asked for again only where an inventory lists it that is dated later.
// Where nothing is left to be done the emptying is no more.
//
// Errors: those of store and catalog; Denied where the store deletes nothing at all.
func Empty(ctx context.Context, o EmptyOptions, e catalog.Emptying) (EmptyResult, error) {
	o.Concurrency, o.Batch = cmp.Or(o.Concurrency, DefaultDeletions), cmp.Or(o.Batch, defaultBatch)
	m := &emptier{EmptyOptions: o, e: e, least: o.Store.Traits().MinDuration, looked: o.Clock.Now()}
	err := m.run(ctx)
	return m.res, err
}

// An emptier is one Empty.
type emptier struct {
	EmptyOptions
	e      catalog.Emptying
	least  time.Duration // that the store charges for an archive
	looked time.Time     // when the store said Info.Now, by this machine's clock
	seen   time.Time     // the inventory that was last looked into: it has nothing more to say
	res    EmptyResult
}

// now is the time by the store's clock.
func (m *emptier) now() time.Time { return m.Info.Now.Add(m.Clock.Now().Sub(m.looked)) }

// look asks the store what it is, by which its clock is known anew.
func (m *emptier) look(ctx context.Context) (err error) {
	m.Info, err = m.Store.Describe(ctx)
	m.looked = m.Clock.Now()
	return err
}

// run deletes what may be deleted, looks what became of it, and ends.
func (m *emptier) run(ctx context.Context) error {
	for {
		s, err := m.survey(ctx)
		if err != nil {
			return err
		}
		todo := s.Todo.Files
		if !m.e.Pays {
			todo -= s.Young.Files
		}
		if todo > 0 {
			if m.Before != nil {
				if err := m.Before(ctx); err != nil {
					return err
				}
			}
			m.Events(firn.PlanEvent{Files: todo, Archives: true})
			if err := m.delete(ctx, s.Gone > 0); err != nil {
				return err
			}
			continue // what is young may be free by now
		}
		if !m.e.Pays && s.Young.Files > 0 {
			if again, err := m.postpone(ctx, s); !again || err != nil {
				return err
			}
			continue
		}
		if s.Asked == 0 && !m.e.Vault {
			return m.finish(ctx)
		}
		again, err := m.settle(ctx, s)
		if !again || err != nil {
			return err
		}
	}
}

// survey finds out how far it is.
func (m *emptier) survey(ctx context.Context) (s EmptySurvey, err error) {
	s, err = SurveyEmptying(ctx, m.Catalog, m.e, m.now(), m.least, price.Tariff{})
	m.res.Doubtful, m.res.Refused, m.res.Young, m.res.Free = s.Asked, s.Refused, firn.Count{}, time.Time{}
	if !m.e.Pays {
		m.res.Young, m.res.Free = s.Young, s.Free
	}
	if s.Later.Files > 0 {
		m.res.Others = s.Later
	}
	return s, err
}

// postpone leaves what is charged for until it is free, and waits if it is to.
func (m *emptier) postpone(ctx context.Context, s EmptySurvey) (again bool, err error) {
	if !m.Wait {
		m.res.Pending, m.res.Ready = true, s.Free
		return false, nil
	}
	left := s.Free.Sub(m.now())
	m.Events(firn.WaitEvent{What: "archives to be free of fees", Until: m.Clock.Now().Add(left)})
	// It looks once a day: the machine may sleep, and clocks are set.
	if err := m.Clock.Sleep(ctx, min(left, inventoryEvery)); err != nil {
		return false, err
	}
	return true, m.look(ctx)
}

// Margins of inventories. An inventory keeps its date while nothing changes, and what
// did happen shows within a day or so. Source: Amazon Glacier developer guide, "Vault
// inventory" (about once a day), with time to spare.
const (
	inventoryEvery = 24 * time.Hour
	settleMargin   = 72 * time.Hour
	recheck        = time.Hour // when nobody knows how long it takes
)

// settle looks into a later inventory, for what became of deletions whose answers
// were lost, and for what is left where the store is to go as well. Again: there is
// more to be done.
func (m *emptier) settle(ctx context.Context, s EmptySurvey) (again bool, err error) {
	// A store that didn't go has something that this list doesn't: an inventory shows it.
	if s.Asked+s.Gone+s.Refused > 0 || m.e.Leaving {
		check, told, err := m.check(ctx)
		if !told || err != nil {
			return m.Wait && err == nil, err
		}
		if check.Again > 0 || check.Gone > 0 && s.Refused > 0 {
			return true, nil
		}
		m.res.Doubtful = 0
		m.res.Others, m.res.Examples = check.Others, check.Examples
	}
	if m.e.Vault && m.res.Refused == 0 && m.res.Others.Files == 0 {
		return m.deleteStore(ctx)
	}
	return false, m.finish(ctx)
}

// check compares the list with an inventory that is dated after all that was asked
// for. Told: there was one.
func (m *emptier) check(ctx context.Context) (check catalog.EmptyCheck, told bool, err error) {
	if m.e, _, err = m.Catalog.EmptyingOf(ctx, m.Row.ID); err != nil {
		return check, false, err
	}
	if m.Store.Traits().FreshInventory {
		return m.compare(ctx, time.Time{}, func(time.Time) bool { return true })
	}
	after := m.e.Dated // an inventory says what it has to say once
	for _, at := range []time.Time{m.e.Asked, m.e.Checked} {
		if at.After(after) {
			after = at
		}
	}
	if err := m.look(ctx); err != nil {
		return check, false, err
	}
	late := after.Add(settleMargin)
	switch last := m.Info.LastInventory; {
	case last.After(after) && m.Info.Archives == 0:
		check.Gone, err = m.Catalog.AllGone(ctx, m.Run, m.e, m.least)
		return check, err == nil, err
	case last.After(after) && !last.Equal(m.seen):
		// Lists are dated by the second.
		check, told, err = m.compare(ctx, last, func(dated time.Time) bool { return !dated.Before(last.Truncate(time.Second)) })
		if told {
			m.seen = last
		}
		return check, told, err
	case m.Info.Now.After(late):
		return m.compare(ctx, late, func(time.Time) bool { return true })
	}
	return check, false, m.pend(ctx, "an inventory without what was deleted", after.Add(inventoryEvery))
}

// compare compares the list with an inventory whose job was asked for at a time, or
// later, if its date will do.
func (m *emptier) compare(ctx context.Context, notBefore time.Time, will func(dated time.Time) bool) (check catalog.EmptyCheck, told bool, err error) {
	inv, job, ok, err := m.Asker.StageInventory(ctx, retrieval.Staging{Wait: m.Wait, NotBefore: notBefore})
	if err != nil {
		return check, false, err
	}
	if !ok {
		m.res.Pending, m.res.Ready = true, retrieval.Expected(job)
		return check, false, nil
	}
	if told = will(inv.Dated); told {
		check, err = m.Catalog.CheckEmpty(ctx, m.Run, m.e, inv.ID, m.least)
	}
	err = errors.Join(err, m.Catalog.ForgetInventory(context.WithoutCancel(ctx), inv.ID))
	if err == nil && !told {
		err = m.pend(ctx, "a newer inventory", m.now().Add(recheck))
	}
	return check, told && err == nil, err
}

// pend leaves the rest for later, or waits for it: for a day at most, since the
// clock by which a server answers need not be the one by which it dates inventories.
func (m *emptier) pend(ctx context.Context, what string, ready time.Time) error {
	now := m.now()
	if soon := now.Add(recheck); ready.Before(soon) {
		ready = soon
	}
	if most := now.Add(inventoryEvery); ready.After(most) {
		ready = most
	}
	if m.Wait {
		return m.Asker.Sleep(ctx, what, m.Clock.Now().Add(ready.Sub(m.now())))
	}
	m.res.Pending, m.res.Ready = true, ready
	return nil
}

// deleteStore deletes the store, which is empty as far as an inventory tells.
func (m *emptier) deleteStore(ctx context.Context) (again bool, err error) {
	others, err := m.abortUploads(ctx)
	if err != nil {
		return false, err
	}
	if others > 0 {
		m.res.Uploads = others
		return false, m.finish(ctx)
	}
	m.e.Leaving = true
	if err := m.Catalog.Empty(ctx, m.e); err != nil {
		return false, err
	}
	err = m.Store.Delete(ctx)
	if firn.KindOf(err) == firn.NotEmpty {
		return m.Wait, m.pend(ctx, "the store to be empty by its own account", m.now().Add(recheck))
	}
	if err != nil {
		return false, err
	}
	m.res.Gone = true
	return false, EndStore(context.WithoutCancel(ctx), m.Catalog, m.Row.ID)
}

// EndStore takes leave of a store that was emptied, and is gone.
func EndStore(ctx context.Context, c *catalog.Catalog, store int64) error {
	err := c.Forget(ctx, store)
	if err != nil && firn.KindOf(err) != firn.NotFound {
		return err
	}
	return c.EndEmptying(ctx, store)
}

// abortUploads ends the uploads that were open when this was agreed to, and counts
// those that others have begun since.
func (m *emptier) abortUploads(ctx context.Context) (others int64, err error) {
	var old []firn.UploadID
	for u, err := range m.Store.Uploads(ctx) {
		if err != nil {
			return 0, err
		}
		if m.e.Covers(u.Created) {
			old = append(old, u.ID)
		} else {
			others++
		}
	}
	if others > 0 {
		return others, nil
	}
	for _, id := range old {
		if err := m.Store.AbortUpload(ctx, id); err != nil {
			return 0, fmt.Errorf("abort upload %s: %w", id, err)
		}
	}
	return 0, nil
}

// finish ends an emptying of which nothing is left to be done, while the store stays.
func (m *emptier) finish(ctx context.Context) error {
	if err := m.Catalog.BuryEmptied(ctx, m.Run, m.e); err != nil {
		return err
	}
	err := snapshot.Untag(ctx, m.Store, func(ctx context.Context, id firn.ArchiveID) (bool, error) {
		a, err := m.Catalog.AccountOf(ctx, m.Row.ID, id)
		return a.State == catalog.Deleted, err
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		m.Events(firn.NoticeEvent{Text: "the tags of " + m.Row.URL + " name snapshots that are gone, and could not be removed: " + err.Error()})
	}
	return m.Catalog.EndEmptying(ctx, m.Row.ID)
}
