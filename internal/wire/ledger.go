package wire

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/price"
)

// How long calls wait at the most until they are in the catalog's ledger: some
// seconds after the first of them, with the next call, or some hundreds of them.
// What a kill loses is so much.
const (
	ledgerAge   = 2 * time.Second
	ledgerCalls = 256
)

// A ledger gathers what calls are charged for, and writes it to the catalog in
// batches. Retrievals are not among them: those are recorded as jobs, before
// they are asked for.
type ledger struct {
	catalog *catalog.Catalog
	url     string
	class   func() string // that uploads are of which the store says none of, where it isn't its own
	own     func() string // class of the store
	clock   clock.Clock
	events  firn.Sink

	mu        sync.Mutex
	uploads   map[string]int64          // requests, by the class that the store says; "": it said none
	downloads map[string]catalog.Charge // by the class that they are of
	since     time.Time                 // of the first that is not written
	failed    bool                      // which was told
}

// KeepLedger has all further calls that are charged for written to the catalog's
// ledger, from when the catalog knows the store. A store that charges nothing has
// no ledger. Call Close before the catalog is closed.
func (s *Store) KeepLedger(cat *catalog.Catalog) {
	s.catalog = cat
	if s.Prices().Free {
		return
	}
	l := &ledger{catalog: cat, url: s.Location.String(), class: s.otherClass, own: s.ownClass, clock: s.env.Clock, events: s.env.Events}
	l.clear()
	s.Counter.Watch(l.note)
	s.close = append(s.close, func() error { l.write(l.take()); return nil })
}

func (l *ledger) clear() {
	l.uploads, l.downloads = map[string]int64{}, map[string]catalog.Charge{}
}

// note takes in what a call came to, and writes what is due.
func (l *ledger) note(op guard.Op, t guard.Tally) {
	if l.add(op, t) {
		l.write(l.take())
	}
}

// add reports whether it is time to write.
func (l *ledger) add(op guard.Op, t guard.Tally) (due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wasEmpty := l.isEmpty()
	switch op {
	case guard.OpUploadArchive, guard.OpCompleteUpload:
		l.uploaded(t.Class, t)
	case guard.OpStartUpload, guard.OpUploadPart: // those that failed say no class
		l.uploaded(price.PartsClass(cmp.Or(t.Class, l.class(), l.own())), t)
	case guard.OpPutCompanion:
		l.uploaded(price.SnapshotClass, t) // which S3 alone has, beside snapshots
	case guard.OpOutput, guard.OpInventory:
		if t.Class == l.own() {
			t.Class = ""
		}
		sum := l.downloads[t.Class]
		l.downloads[t.Class] = catalog.Charge{Op: catalog.DownloadOp, Class: t.Class, Calls: sum.Calls + t.Calls, Bytes: sum.Bytes + t.Down}
	}
	if wasEmpty {
		l.since = l.clock.Now()
		return false
	}
	return l.calls() >= ledgerCalls || l.clock.Now().Sub(l.since) >= ledgerAge
}

// uploaded takes in requests that were about what is stored in a class.
func (l *ledger) uploaded(class string, t guard.Tally) {
	if n := t.Calls - t.Failed + t.Lost; n > 0 { // what the store refused it doesn't charge for
		l.uploads[class] += n
	}
}

// calls is how many are not written.
func (l *ledger) calls() (n int64) {
	for _, calls := range l.uploads {
		n += calls
	}
	for _, d := range l.downloads {
		n += d.Calls
	}
	return n
}

func (l *ledger) isEmpty() bool {
	return len(l.uploads) == 0 && len(l.downloads) == 0
}

// take gives what is not written.
func (l *ledger) take() (charges []catalog.Charge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for class, calls := range l.uploads {
		switch class {
		case "":
			class = l.class()
		case l.own():
			class = ""
		}
		charges = append(charges, catalog.Charge{Op: catalog.UploadOp, Class: class, Calls: calls})
	}
	for _, d := range l.downloads {
		if d.Calls > 0 || d.Bytes > 0 {
			charges = append(charges, d)
		}
	}
	l.clear()
	return charges
}

// write writes charges. What can't be written stops nothing: it is told of once.
func (l *ledger) write(charges []catalog.Charge) {
	if len(charges) == 0 {
		return
	}
	err := l.catalog.Charge(context.Background(), l.url, charges)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && !l.failed {
		l.failed = true
		l.events(firn.NoticeEvent{Warn: true, Text: "firn cost will not know all that was charged for: " + err.Error()})
	}
}
