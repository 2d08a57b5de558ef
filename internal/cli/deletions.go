package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/wire"
)

// A deletionsRecord is how the queue of a store's deletions stands, of status and
// resume.
type deletionsRecord struct {
	Store   string       `json:"store"`
	State   string       `json:"state"`
	Deleted archiveCount `json:"deleted"` // in this round
	Waiting archiveCount `json:"waiting"` // all that are left
	First   string       `json:"first,omitempty"`
	Last    string       `json:"last,omitempty"`
}

func newDeletionsRecord(store catalog.Store, q catalog.DeletionQueue) deletionsRecord {
	return deletionsRecord{
		Store: store.URL, State: "waiting", Waiting: archiveCount{q.Archives.Files, q.Archives.Bytes}, First: timeText(q.First), Last: timeText(q.Last),
	}
}

// waitingText says what is left of a queue.
func (r deletionsRecord) waitingText() string {
	text := archives(r.Waiting.Archives, r.Waiting.Bytes) + " to be deleted, free of fees from " + r.First + " on"
	if r.Last != r.First {
		text += ", the last from " + r.Last + " on"
	}
	return text
}

// showDeletions shows the queue of a store's deletions, and reports whether there
// is one.
func showDeletions(ctx context.Context, s *session, store catalog.Store) (bool, error) {
	q, err := s.catalog.DeletionQueue(ctx, store.ID)
	if err != nil || q.Archives.Files == 0 && !q.Unsettled {
		return false, err
	}
	r := newDeletionsRecord(store, q)
	s.ui.Record("deletions", r)
	if q.Unsettled {
		s.ui.Print("  a prune was killed; firn resume goes on with it")
	}
	if q.Archives.Files > 0 {
		s.ui.Print("  " + r.waitingText())
	}
	return true, nil
}

// deletions goes on with the queues of all stores, or of the one that is named.
// It reports whether there were any. Its error stands for a status, and was told
// already, but for trouble with the catalog.
func (o *resumeOptions) deletions(ctx context.Context) (any bool, err error) {
	stores, err := o.queues(ctx)
	if err != nil {
		return false, err
	}
	var errs []error
	for _, q := range stores {
		errs = append(errs, o.deleteOf(ctx, q))
		if ctx.Err() != nil {
			return true, errors.Join(append(errs, context.Cause(ctx))...)
		}
	}
	return len(stores) > 0, errors.Join(errs...)
}

// A storeQueue is a queue of deletions that is not empty.
type storeQueue struct {
	store catalog.Store
	catalog.DeletionQueue
	due bool // something can be done now
}

// queues gives those of all stores, or of the one that is named.
func (o *resumeOptions) queues(ctx context.Context) (all []storeQueue, err error) {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return nil, err
	}
	defer s.close()
	stores, err := s.catalog.Stores(ctx)
	if o.Store != "" {
		var row catalog.Store
		if row, err = s.catalog.StoreByURL(ctx, s.loc.String()); firn.KindOf(err) == firn.NotFound {
			return nil, nil
		}
		stores = []catalog.Store{row}
	}
	if err != nil {
		return nil, err
	}
	for _, store := range stores {
		q := storeQueue{store: store}
		if q.DeletionQueue, err = s.catalog.DeletionQueue(ctx, store.ID); err != nil {
			return nil, err
		}
		q.due = q.Unsettled
		for _, err := range s.catalog.Deletions(ctx, store.ID, s.env.Clock.Now()) {
			if err != nil {
				return nil, err
			}
			q.due = true
			break
		}
		if q.due || q.Archives.Files > 0 {
			all = append(all, q)
		}
	}
	return all, nil
}

// deleteOf deletes what is due in one store.
func (o *resumeOptions) deleteOf(ctx context.Context, q storeQueue) error {
	r := newDeletionsRecord(q.store, q.DeletionQueue)
	if !q.due {
		o.tellDeletions(r, "not done yet: "+q.store.URL+": "+r.waitingText())
		return ErrNotYet
	}
	res, err := o.finish(ctx, q.store)
	switch {
	case wire.IsHeld(err):
		r.State = "running"
		o.tellDeletions(r, "not done yet: the deletions of "+q.store.URL+": another process works on the store")
		return ErrNotYet
	case err != nil:
		r.State = "failed"
		o.app.ui.Record("deletions", r)
		o.app.ui.Warn("the deletions of " + q.store.URL + ": " + spoken(err))
		return toldError(statusOfTask(ctx, err))
	}
	return o.tellDeleted(ctx, q.store, res)
}

// tellDeleted tells what a round has done in a store.
func (o *resumeOptions) tellDeleted(ctx context.Context, store catalog.Store, res upkeep.DeletionResult) error {
	s, err := o.app.openCatalog(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	q, err := s.catalog.DeletionQueue(ctx, store.ID)
	if err != nil {
		return err
	}
	r := newDeletionsRecord(store, q)
	r.Deleted = archiveCount{res.Deleted.Files, res.Deleted.Bytes}
	text := fmt.Sprintf("deleted %s from %s", archives(res.Deleted.Files, res.Deleted.Bytes), store.URL)
	if r.Waiting.Archives == 0 {
		r.State = "done"
	} else {
		text += "; left are " + r.waitingText()
	}
	if res.Held.Files > 0 {
		text += "; " + counted(res.Held.Files, "archive") + " of these are wanted by a restore, in doubt, or stay until a sync can store all files or save the catalog"
	}
	o.tellDeletions(r, text)
	return statusOfResult(res)
}

// tellDeletions tells how a queue stands: of the two a program gets the first,
// people the second.
func (o *resumeOptions) tellDeletions(r deletionsRecord, text string) {
	o.app.ui.Record("deletions", r)
	if !o.app.ui.IsJSON() {
		o.app.ui.Notice(text)
	}
}

// finish deletes what is due, as the command that queued it reached the store.
func (o *resumeOptions) finish(ctx context.Context, store catalog.Store) (res upkeep.DeletionResult, err error) {
	call, err := o.callOf(ctx, store)
	if err != nil {
		return res, err
	}
	env, back := o.app.env.with(catalog.Task{Dir: call.Dir, Env: call.Env})
	defer back()
	a := &app{env: env, global: o.app.global, ui: o.app.ui, once: true}
	var common storeOptions
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	common.addFlags(f, true, false)
	if err := a.useProfile(f, call.Store); err != nil {
		return res, err
	}
	s, err := a.openStore(ctx, call.Store, common.wire())
	if err != nil {
		return res, err
	}
	defer s.close()
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return res, err
	}
	if row.ID != store.ID {
		return res, &firn.Error{Op: "delete", Subject: store.URL, Kind: firn.Conflict, Err: fmt.Errorf("%s is another store by now", call.Store),
			Hint: "call firn prune with the store's own name once"}
	}
	lock, err := wire.LockStore(s.env, row, "resume")
	if err != nil {
		return res, err
	}
	defer lock.Unlock()
	return a.finishDeletions(ctx, s, row)
}

// callOf gives how a store was called last by a command that left deletions; by
// its own name where none is known.
func (o *resumeOptions) callOf(ctx context.Context, store catalog.Store) (catalog.Call, error) {
	s, err := o.app.openCatalog(ctx, "")
	if err != nil {
		return catalog.Call{}, err
	}
	defer s.close()
	call, err := s.catalog.DeletionCall(ctx, store.ID)
	if firn.KindOf(err) == firn.NotFound {
		return catalog.Call{Store: store.URL, Dir: o.app.env.Dir}, nil
	}
	return call, err
}

// deleteAtOnce is how many archives a round deletes at a time.
const deleteAtOnce = 8

// finishDeletions works off the queue of a store that is open and locked.
func (a *app) finishDeletions(ctx context.Context, s *session, row catalog.Store) (res upkeep.DeletionResult, err error) {
	maker, err := a.keeper(ctx, s, row)
	if err != nil {
		return res, err
	}
	err = s.ofStore(ctx, row, "resume", func(run catalog.Run) (complete bool, err error) {
		res, err = upkeep.FinishPrune(ctx, upkeep.DeletionOptions{
			Catalog: s.catalog, Row: row, Run: run, Store: s.store, Snapshots: maker, Events: s.env.Events, Concurrency: deleteAtOnce,
		})
		return !res.Pending() && !res.Failed(), err
	})
	return res, err
}
