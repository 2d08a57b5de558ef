package sqldb

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// A writer groups what is written at the same time. It has no goroutine of its
// own: whoever comes first leads, takes along all that have queued meanwhile,
// and commits for them.
type writer struct {
	tx   *Tx
	lead chan struct{} // holds a token while somebody leads

	mu    sync.Mutex
	queue []*request
	err   error // set once closed
}

type request struct {
	ctx  context.Context
	fn   func(*Tx) error
	done chan error // of capacity 1: the leader never waits for the asker
}

// Write runs fn in a write transaction and returns once that is durable. It
// shares the transaction with other writers: an error of fn takes back only
// what fn itself did, an error of the commit fails them all. fn runs at most
// once, with no other writer of this process beside it; it must not call Write
// or Read of the same database. When ctx ends before fn began, fn never runs.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	w := db.write
	r := &request{ctx: ctx, fn: fn, done: make(chan error, 1)}
	if err := w.enqueue(r); err != nil {
		return err
	}
	for {
		select {
		case err := <-r.done:
			return err
		case <-ctx.Done():
			if w.withdraw(r) {
				return context.Cause(ctx)
			}
			return <-r.done
		case w.lead <- struct{}{}:
			w.turn()
		}
	}
}

// turn commits a group. It lets others lead also where a function panics: a
// program that closes the database on its way out would wait for ever.
func (w *writer) turn() {
	defer func() { <-w.lead }()
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
	results := make([]error, len(group))
	err := w.transact(group, results)
	for i, r := range group {
		if results[i] == nil {
			results[i] = err
		}
		r.done <- results[i]
	}
}

func (w *writer) transact(group []*request, results []error) error {
	ctx := context.Background()
	if _, err := w.tx.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if len(group) == 1 {
		return w.tx.end(group[0].run(w.tx))
	}
	for i, r := range group {
		result, broken := w.within(r)
		if broken != nil {
			return w.tx.end(broken)
		}
		results[i] = result
	}
	return w.tx.end(nil)
}

// run runs the function, unless its context ended while it waited.
func (r *request) run(tx *Tx) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return r.fn(tx)
}

// within runs one function in a savepoint. An error of the savepoint itself
// means that the whole transaction is broken. Whoever is alone in a transaction
// needs none: in a savepoint SQLite copies each page that is changed first.
func (w *writer) within(r *request) (result, broken error) {
	ctx := context.Background()
	if _, err := w.tx.Exec(ctx, "SAVEPOINT one"); err != nil {
		return nil, err
	}
	if result = r.run(w.tx); result != nil {
		if _, err := w.tx.Exec(ctx, "ROLLBACK TO one"); err != nil {
			return nil, fmt.Errorf("%w (after: %w)", err, result)
		}
	}
	_, broken = w.tx.Exec(ctx, "RELEASE one")
	return result, broken
}
