package mtjournal

import (
	"context"
	"sync"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

// gathering is how long lines wait for others that may go with them. The disk takes a
// tenth of that for a line, as long as for thirty: without the wait those that come
// one after the other, as the answers of a server do, would go singly. Nobody who
// sends files notices it.
const gathering = 3 * time.Millisecond

// AppendTogether is Append for many goroutines: it returns when the records are on
// the disk, with those that others append in the same few milliseconds. Its error is that
// of all which were written with them: a caller looks at each record first (see
// Record.Check). Several records are a group by themselves, and don't wait for others.
func (a *Appender) AppendTogether(records ...Record) error {
	if len(records) > 1 {
		return a.Append(records...)
	}
	return a.queue.add(a.Append, records)
}

// A queue writes records of several goroutines together: each writing waits for the
// disk, and what comes meanwhile goes with the next one.
type queue struct {
	turn chan struct{} // holds one while nobody writes
	mu   sync.Mutex
	next *batch // that waits for its turn; nil: none does
}

type batch struct {
	records []Record
	done    chan struct{} // closed when they are written, or err says why not
	err     error
}

func newQueue() *queue {
	q := &queue{turn: make(chan struct{}, 1)}
	q.turn <- struct{}{}
	return q
}

// add returns when the records are on the disk.
func (q *queue) add(write func(...Record) error, records []Record) error {
	q.mu.Lock()
	b := q.next
	first := b == nil
	if first {
		b = &batch{done: make(chan struct{})}
		q.next = b
	}
	b.records = append(b.records, records...)
	q.mu.Unlock()
	if !first {
		<-b.done
		return b.err
	}
	<-q.turn
	clock.System{}.Sleep(context.Background(), gathering)
	q.mu.Lock()
	q.next = nil
	q.mu.Unlock()
	b.err = write(b.records...)
	q.turn <- struct{}{}
	close(b.done)
	return b.err
}
