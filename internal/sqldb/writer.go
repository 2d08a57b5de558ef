package sqldb

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A writer groups what is written at the same time. It has no goroutine of its
// own: whoever comes first leads, takes along all that have queued meanwhile,
// and commits for them.
type writer struct {
	tx     *Tx
	path   string        // of the database
	groups int           // that were committed, or were to be
	lead   chan struct{} // holds a token while somebody leads

	mu    sync.Mutex
	queue []*request
	err   error // set once closed
}

type request struct {
	ctx   context.Context
	fn    func(*Tx) error
	again bool       // fn may run twice
	err   error      // of fn
	done  chan error // of capacity 1: the leader never waits for the asker
}

// Write runs fn in a write transaction and returns once that is durable. It
// shares the transaction with other writers: an error of fn takes back only
// what fn itself did, an error of the commit fails them all. fn runs at most
// once, with no other writer of this process beside it; it must not call Write
// or Read of the same database. When ctx ends before fn began, fn never runs.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.write.do(&request{ctx: ctx, fn: fn, done: make(chan error, 1)})
}

// WriteAgain is Write for a function that may run a second time, after all that
// it wrote the first time was taken back: of what it sets in memory, the second
// time must not depend on the first. It is for the many small writes of an
// upload, which cost far less in a group then.
func (db *DB) WriteAgain(ctx context.Context, fn func(tx *Tx) error) error {
	return db.write.do(&request{ctx: ctx, fn: fn, again: true, done: make(chan error, 1)})
}

func (w *writer) do(r *request) error {
	if err := w.enqueue(r); err != nil {
		return err
	}
	lead, late := w.lead, (<-chan time.Time)(nil)
	if r.ctx.Value(patient{}) != nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		lead, late = nil, timer.C
	}
	for {
		select {
		case err := <-r.done:
			return err
		case <-r.ctx.Done():
			if w.withdraw(r) {
				return context.Cause(r.ctx)
			}
			return <-r.done
		case <-late:
			lead = w.lead
		case lead <- struct{}{}:
			w.turn()
		}
	}
}

// turn commits a group. It lets others lead also where a function panics: a
// program that closes the database on its way out would wait for ever.
func (w *writer) turn() {
	defer func() { <-w.lead }()
	runtime.Gosched() // whoever is about to write comes along
	w.commit(w.take())
}

func (w *writer) enqueue(r *request) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.queue = append(w.queue, r)
	return nil
}

// withdraw takes r out of the queue, if it still waits there.
func (w *writer) withdraw(r *request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.queue, r)
	if i < 0 {
		return false
	}
	w.queue = slices.Delete(w.queue, i, i+1)
	return true
}

func (w *writer) take() []*request {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), maxGroup)
	group := slices.Clone(w.queue[:n])
	w.queue = slices.Delete(w.queue, 0, n)
	return group
}

// fail answers all that wait, and all that come, with err.
func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	for _, r := range w.queue {
		r.done <- err
	}
	w.queue = nil
}

// commit runs a group in one transaction and answers each member.
func (w *writer) commit(group []*request) {
	if len(group) == 0 {
		return
	}
	err := w.transact(group)
	for _, r := range group {
		if r.err == nil {
			r.err = err
		}
		r.done <- r.err
	}
}

// transact runs a group, and gives what fails all of it.
func (w *writer) transact(group []*request) error {
	if err := w.begin(); err != nil {
		return err
	}
	if w.groups++; w.groups == roomAfter {
		makeRoom(w.path) // without it all goes on, only slower
	}
	if len(group) == 1 {
		return w.tx.end(group[0].run(w.tx))
	}
	rest, err := w.together(group)
	if err != nil {
		// What the others did can't be told from what this one did.
		w.tx.end(err)
		if err := w.begin(); err != nil {
			return err
		}
		rest = group
	}
	for _, r := range rest {
		if err := w.within(r); err != nil {
			return w.tx.end(err)
		}
	}
	return w.tx.end(nil)
}

func (w *writer) begin() error {
	_, err := w.tx.Exec(context.Background(), "BEGIN IMMEDIATE")
	return err
}

// together runs those functions first that may run again, one after the other,
// and gives the requests that are left. The error is that of the first that fails.
func (w *writer) together(group []*request) (rest []*request, err error) {
	for _, r := range group {
		switch {
		case !r.again:
			rest = append(rest, r)
		case r.ctx.Err() != nil:
			r.err = context.Cause(r.ctx)
		default:
			if err := r.run(w.tx); err != nil {
				return nil, err
			}
		}
	}
	return rest, nil
}

// run runs the function, unless its context ended while it waited.
func (r *request) run(tx *Tx) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return r.fn(tx)
}

// within runs one function in a savepoint; its error means that the whole
// transaction is broken. Whoever is alone in a transaction needs none, nor do those
// that may run again: in a savepoint SQLite copies each page that is changed first,
// and makes a file for the copies where they are many.
func (w *writer) within(r *request) error {
	ctx := context.Background()
	if _, err := w.tx.Exec(ctx, "SAVEPOINT one"); err != nil {
		return err
	}
	if r.err = r.run(w.tx); r.err != nil {
		if _, err := w.tx.Exec(ctx, "ROLLBACK TO one"); err != nil {
			return fmt.Errorf("%w (after: %w)", err, r.err)
		}
	}
	_, err := w.tx.Exec(ctx, "RELEASE one")
	return err
}
