package wire

import (
	"context"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/guard"
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
	class   func() string // that uploads are of, where it isn't the store's
	own     func() string // class of the store
	clock   clock.Clock
	events  firn.Sink

	mu        sync.Mutex
	upload    catalog.Charge
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
	l.upload, l.downloads = catalog.Charge{Op: catalog.UploadOp}, map[string]catalog.Charge{}
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
	case guard.OpUploadArchive, guard.OpStartUpload, guard.OpUploadPart, guard.OpCompleteUpload, guard.OpPutCompanion:
		l.upload.Calls += t.Calls - t.Failed + t.Lost // what the store refused it doesn't charge for
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
	calls := l.upload.Calls
	for _, d := range l.downloads {
		calls += d.Calls
	}
	return calls >= ledgerCalls || l.clock.Now().Sub(l.since) >= ledgerAge
}

func (l *ledger) isEmpty() bool {
	return l.upload.Calls == 0 && len(l.downloads) == 0
}

// take gives what is not written.
func (l *ledger) take() (charges []catalog.Charge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upload.Calls > 0 {
		l.upload.Class = l.class()
		charges = append(charges, l.upload)
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
