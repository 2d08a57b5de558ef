package scan

import (
	"container/list"
	"context"
	"io/fs"
	"sync"
)

// limits bound what stands in memory: some 300 bytes an entry.
type limits struct {
	piece int // entries of a directory handed over at a time
	ahead int // entries read before they are asked for, about
}

// defaultLimits keep the workers busy and cost 4 MB.
var defaultLimits = limits{piece: 4096, ahead: 8192}

// A node is a directory in the walk.
type node struct {
	path   string
	device uint64 // its volume, once read
	above  uint64 // its parent's
	left   bool   // it is left out itself

	read   bool
	gone   bool    // it was not there to be read
	dir    *Dir    // its first piece, until handed over; nil where it is gone
	weight int     // entries in that
	rest   *reader // its other pieces; nil where there are none

	// Once its last piece was read: the directories in it.
	kids  names
	begun int     // so many of them have nodes
	queue []*node // and these of the nodes were not handed over yet, in order
	place *list.Element
}

// A walker reads directories ahead of its consumer, always the first one in
// walk order that nobody reads yet.
//
// To find it, order holds the nodes that are not read or have kids without a
// node, each before its parent: so the first with such kids has it.
//
// The walk can't hang, however little may be read ahead: the consumer waits
// for the first directory that was not handed over. Whoever read its parent
// was free after that, and has taken nothing since that comes later.
type walker struct {
	volume volume
	opts   Options
	limits limits

	mu     sync.Mutex
	work   sync.Cond  // workers wait here for a directory, or the end
	ready  sync.Cond  // the consumer waits here for one to be read, or the end
	order  *list.List // of *node
	ahead  int        // entries that were read and not handed over
	hungry bool       // the consumer waits for a directory that nobody reads
	over   bool
}

// walk hands the directories of v to yield, until that wants no more, and closes
// v. Errors: fs.ErrNotExist where the root is gone, or ctx's cause.
func walk(ctx context.Context, v volume, opts Options, lim limits, yield func(*Dir) bool) error {
	w := &walker{volume: v, opts: opts, limits: lim, order: list.New()}
	w.work.L, w.ready.L = &w.mu, &w.mu
	root := &node{}
	root.place = w.order.PushBack(root)

	workers := opts.Workers
	if workers <= 0 {
		workers = DefaultWorkers
	}
	var group sync.WaitGroup
	group.Go(func() { w.read(root); w.labour() })
	for range workers - 1 {
		group.Go(w.labour)
	}
	unwatch := context.AfterFunc(ctx, w.end)
	defer func() {
		unwatch()
		w.end()
		finish := func() { group.Wait(); v.close() }
		if ctx.Err() != nil {
			go finish() // a worker may hang in a dead network file system
			return
		}
		finish()
	}()
	wanted := w.hand(root, yield)
	switch {
	case wanted && ctx.Err() != nil:
		return context.Cause(ctx)
	case wanted && root.gone:
		return fs.ErrNotExist
	}
	return nil
}

// hand gives n and all that is below to yield. It reports whether yield wants
// more.
func (w *walker) hand(n *node, yield func(*Dir) bool) bool {
	for d := w.await(n); d != nil; d = w.another(n) {
		if !yield(d) {
			return false
		}
	}
	for kid := w.nextKid(n); kid != nil; kid = w.nextKid(n) {
		if !w.hand(kid, yield) {
			return false
		}
	}
	return true
}

// await gives a node's first piece; nil where it is gone or all is over.
func (w *walker) await(n *node) *Dir {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !n.read && !w.over {
		w.ready.Wait()
	}
	d := n.dir
	if d == nil || w.over {
		return nil
	}
	n.dir = nil
	before := w.ahead
	w.ahead -= n.weight
	if before >= w.limits.ahead/2 && w.ahead < w.limits.ahead/2 {
		w.work.Broadcast()
	}
	return d
}

// another gives a node's next piece; nil where there is none. The consumer
// reads it itself, so that a huge directory is never read far ahead.
func (w *walker) another(n *node) *Dir {
	r := n.rest
	if r == nil || w.isOver() {
		return nil
	}
	d := r.more()
	if !d.More {
		w.mu.Lock()
		defer w.mu.Unlock()
		n.rest = nil
		w.settle(n, r.kids)
	}
	return d
}

// nextKid gives the next directory in n to be handed over; nil where there is
// none, or all is over.
func (w *walker) nextKid(n *node) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(n.queue) == 0 {
		if n.begun == n.kids.len() || w.over {
			return nil
		}
		w.hungry = true
		w.work.Broadcast()
		w.ready.Wait()
	}
	kid := n.queue[0]
	n.queue = n.queue[1:]
	return kid
}

// labour is what each worker does.
func (w *walker) labour() {
	for {
		n := w.take()
		if n == nil {
			return
		}
		w.read(n)
	}
}

// take waits for the next directory to be read; nil at the end.
func (w *walker) take() *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.over {
		if w.ahead < w.limits.ahead || w.hungry {
			if n := w.begin(); n != nil {
				return n
			}
		}
		w.work.Wait()
	}
	return nil
}

// begin makes the first node in walk order that does not exist yet; nil where
// none is known.
func (w *walker) begin() *node {
	for e := w.order.Front(); e != nil; e = e.Next() {
		n := e.Value.(*node)
		if n.begun == n.kids.len() {
			continue // not read yet
		}
		name, left := cutKid(n.kids.get(n.begun))
		kid := &node{path: join(n.path, name), above: n.device, left: left}
		kid.place = w.order.InsertBefore(kid, e)
		n.queue = append(n.queue, kid)
		n.begun++
		if n.begun == n.kids.len() {
			w.order.Remove(e)
		}
		if w.hungry {
			w.hungry = false
			w.ready.Signal()
		}
		return kid
	}
	return nil
}

// read reads a node's first piece.
func (w *walker) read(n *node) {
	r := &reader{volume: w.volume, opts: w.opts, piece: w.limits.piece, above: n.above, left: n.left}
	d := r.first(n.path)
	w.mu.Lock()
	defer w.mu.Unlock()
	n.read, n.gone, n.dir, n.device = true, d == nil, d, r.file.Stamp.Device
	if d != nil {
		n.weight = 1 + len(d.Files) + len(d.Skipped) + r.kids.len()
		w.ahead += n.weight
	}
	if d != nil && d.More {
		n.rest = r
	} else {
		w.settle(n, r.kids)
	}
	w.ready.Signal()
}

// settle tells that all of a node was read.
func (w *walker) settle(n *node, kids names) {
	n.kids = kids
	if kids.len() == 0 {
		w.order.Remove(n.place)
		return
	}
	w.work.Broadcast()
}

// end makes everybody stop.
func (w *walker) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.work.Broadcast()
	w.ready.Broadcast()
}

func (w *walker) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over
}
