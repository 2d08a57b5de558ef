package upkeep

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
)

// flushAfter is how long an outcome waits at most for others to be recorded with,
// while more come in.
const flushAfter = time.Second

// refusedInARow is after how many refusals, with no deletion between them, it is
// looked into whether the store refuses single archives or everything.
const refusedInARow = 1000

// A deletion is one pass over what is to go: what is to be asked for is recorded, a
// batch at a time; then workers ask for it, and what they are told is recorded in
// batches again.
type deletion struct {
	*emptier
	ctx  context.Context
	stop context.CancelCauseFunc
	todo chan catalog.EmptyItem
	done chan answer
	turn atomic.Int64 // counts what is asked, and what is answered

	// The recorder's:
	anyGone bool // the store has deleted something, at some time
	pending []catalog.EmptyOutcome
	since   time.Time // of the first of pending
	sent    time.Time // the last of all, by the store's clock
	refused []answer  // in a row
	barred  bool      // nobody may delete here, so that no refusal is one of an archive
}

// An answer is an outcome of what was sent at a time, by the store's clock; zero: it
// wasn't. It came between two turns: others may have been answered in that time, and
// are recorded in any order.
type answer struct {
	catalog.EmptyOutcome
	sent            time.Time
	asked, answered int64
}

// delete deletes all that may be deleted by now. AnyGone: something of the list is
// gone already.
func (m *emptier) delete(ctx context.Context, anyGone bool) error {
	d := &deletion{emptier: m, todo: make(chan catalog.EmptyItem), done: make(chan answer, m.Batch), anyGone: anyGone}
	d.ctx, d.stop = context.WithCancelCause(ctx)
	defer d.stop(nil)
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		d.record()
	}()
	var asking sync.WaitGroup
	asking.Go(func() {
		defer close(d.todo)
		if err := d.feed(); err != nil {
			d.stop(err)
		}
	})
	for range m.Concurrency {
		asking.Go(func() {
			for item := range d.todo {
				d.ask(item)
			}
		})
	}
	asking.Wait()
	close(d.done)
	<-recorded
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	return nil
}

// feed hands out what is to be asked for, once that is recorded.
func (d *deletion) feed() error {
	batch := make([]catalog.EmptyItem, 0, d.Batch)
	for item, err := range d.Catalog.EmptyItems(d.ctx, d.e.Inventory, 0) {
		if err != nil {
			return err
		}
		if item.State != catalog.EmptyTodo || !d.e.Covers(item.Created) || !d.e.Pays && isYoung(item.Created, price.ShortestOf(item.Class, d.least), d.now()) {
			continue
		}
		if batch = append(batch, item); len(batch) == cap(batch) {
			if err := d.hand(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return d.hand(batch)
}

// hand hands out a batch. What nobody took, since it all ends, was never asked for.
func (d *deletion) hand(batch []catalog.EmptyItem) error {
	if len(batch) == 0 {
		return nil
	}
	if err := d.Catalog.EmptyAsks(d.ctx, d.Row.ID, d.now(), batch); err != nil {
		return err
	}
	for i := range batch {
		select {
		case d.todo <- batch[i]:
			continue
		case <-d.ctx.Done():
		}
		for _, item := range batch[i:] {
			d.done <- answer{EmptyOutcome: catalog.EmptyOutcome{EmptyItem: item}}
		}
		return context.Cause(d.ctx)
	}
	return nil
}

// ask asks the store to delete one archive. Where nobody knows whether that came to
// pass there is no outcome.
func (d *deletion) ask(item catalog.EmptyItem) {
	o := answer{EmptyOutcome: catalog.EmptyOutcome{EmptyItem: item}}
	if d.ctx.Err() != nil {
		d.done <- o
		return
	}
	o.sent, o.asked = d.now(), d.turn.Add(1)
	o.Left = max(0, item.Created.Add(price.ShortestOf(item.Class, d.least)).Sub(o.sent))
	err := firn.DeleteOnly(d.ctx, d.Store, firn.Deletable{Archive: firn.Archive{ID: item.Archive, Size: item.Size, Created: item.Created}, Own: true})
	o.answered = d.turn.Add(1)
	switch kind := firn.KindOf(err); {
	case err == nil, kind == firn.Conflict: // what has its name by now came later
		o.State = catalog.EmptyGone
	case kind == firn.Denied || kind == firn.Invalid:
		o.State, o.Why = catalog.EmptyRefused, reason(err)
	case kind == firn.Other && d.ctx.Err() != nil: // stopped before it was sent
	case kind.Temporary(), kind == firn.NotFound, kind == firn.NoNewCustomers: // it surely is there still, or the store isn't
		d.stop(err)
	default:
		d.stop(err)
		return
	}
	d.done <- o
}

// reason is what a store says of an archive, without which one.
func reason(err error) string {
	var e *firn.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

// record records outcomes until there are no more. It takes all, whatever goes
// wrong, so that no worker waits for it.
func (d *deletion) record() {
	for a := range d.done {
		if a.sent.After(d.sent) {
			d.sent = a.sent
		}
		o := a.EmptyOutcome
		switch o.State {
		case catalog.EmptyRefused:
			if d.refused = append(d.refused, a); len(d.refused) == refusedInARow {
				d.judge()
			}
			continue
		case catalog.EmptyGone:
			d.anyGone = true
			d.keepRefused(a.asked)
		}
		d.keep(o)
		if len(d.pending) >= d.Batch || d.Clock.Now().Sub(d.since) >= flushAfter {
			d.flush()
		}
	}
	d.endRefused()
	d.flush()
}

func (d *deletion) keep(o catalog.EmptyOutcome) {
	if len(d.pending) == 0 {
		d.since = d.Clock.Now()
	}
	d.pending = append(d.pending, o)
}

// ever is after all turns.
const ever = math.MaxInt64

// keepRefused takes the last refusals for such of single archives, unless all is
// barred. Only those that were answered before a turn: a deletion that was asked for
// then, and done, says nothing of what was refused later, which may come here first.
func (d *deletion) keepRefused(before int64) {
	later := d.refused[:0]
	for _, a := range d.refused {
		switch {
		case a.answered > before:
			later = append(later, a)
			continue
		case d.barred:
			a.State, a.Why = catalog.EmptyTodo, ""
		}
		d.keep(a.EmptyOutcome)
	}
	d.refused = later
}

// judge looks into why everything was refused lately. Keys that have expired refuse
// nothing in particular; where nothing ever went, nobody may delete here.
func (d *deletion) judge() {
	why := d.refused[len(d.refused)-1].Why
	if !d.anyGone {
		d.bar(&firn.Error{Op: "empty", Subject: d.Row.URL, Kind: firn.Denied, Err: errors.New("the store refused to delete any of its archives: " + why),
			Hint: "may this account delete archives? Is there a lock on the vault?"})
	} else if _, err := d.Store.Describe(d.ctx); err != nil {
		d.bar(err)
	}
	d.keepRefused(ever)
	d.flush()
}

// endRefused is judge of the last refusals, as far as keys may have expired.
func (d *deletion) endRefused() {
	if len(d.refused) > 0 && d.ctx.Err() == nil {
		if _, err := d.Store.Describe(d.ctx); err != nil {
			d.bar(err)
		}
	}
	d.keepRefused(ever)
}

// bar ends it all: what was refused lately is as it was before.
func (d *deletion) bar(err error) {
	d.barred = true
	d.stop(err)
}

// flush writes down what is pending, and tells of it.
func (d *deletion) flush() {
	if len(d.pending) == 0 {
		return
	}
	if err := d.Catalog.Emptied(context.WithoutCancel(d.ctx), d.Run, d.sent, d.pending); err != nil {
		d.stop(err)
		d.pending = d.pending[:0]
		return
	}
	for i := range d.pending {
		o := &d.pending[i]
		switch o.State {
		case catalog.EmptyGone:
			add(&d.res.Deleted, firn.Count{Files: 1, Bytes: o.Size})
			d.Events(firn.FileEvent{Action: firn.Deleted, Path: string(o.Archive), Size: o.Size, Archive: o.Archive})
		case catalog.EmptyRefused:
			d.res.Why = o.Why
			d.Events(firn.FileEvent{Action: firn.Failed, Path: string(o.Archive), Size: o.Size, Archive: o.Archive, Reason: o.Why})
		}
	}
	d.pending = d.pending[:0]
}
