// Package snapshot keeps what the catalog knows of a store in the store itself:
// it makes snapshots, sends them, tags the store with where the newest one is,
// deletes those that nobody needs any more, and reads them.
//
// A snapshot is an archive with the rows of one store, as package rows writes
// them, compressed with zstd, and encrypted with age where any tree of the store
// is. A full one has all of them; one that adds to a full one has what is newer.
// docs/format.md describes both, and the tags, for readers without firn.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/transfer"
)

const (
	// day is how old the last snapshot is before a command ends with another
	// one: a bit less than a day, so that what runs daily makes one each time,
	// also when it was quicker than the day before.
	day = 20 * time.Hour
	// While a command goes on, a snapshot is made so long after the last one, or
	// after so many bytes: a first sync may take weeks.
	midwayAfter = 24 * time.Hour
	midwayBytes = 100e9
	// kept is how long one stays at the least that is not needed any more, so
	// that there is another one if the newest can't be read.
	kept = 7 * 24 * time.Hour
	// lockPoll is how often the lock is tried that another process holds, and
	// lockWait how long: that process makes a snapshot, too.
	lockPoll = time.Second
	lockWait = 15 * time.Minute
	// attempts bounds how often one is made whose upload ended in doubt.
	attempts = 2
)

// Options say of what snapshots are made, and with what.
type Options struct {
	Catalog  *catalog.Catalog
	Row      catalog.Store  // the store's row in the catalog
	Info     firn.StoreInfo // what the store says of itself
	Store    firn.Store
	Uploader *transfer.Uploader
	Clock    clock.Clock
	Events   firn.Sink

	// Companion keeps the lists for people without firn; nil: nobody does.
	Companion firn.Companion

	// Spool is the folder where a snapshot is until it is stored. It need not
	// exist.
	Spool string
	Host  string // this machine's name
	// Profiles are those of the user's that name the store, without secrets.
	Profiles []rows.Profile
	// Lock takes the lock that lets only one process at a time make a snapshot
	// of the store. It gives Conflict where another one holds it. nil: there is
	// no other.
	Lock func() (release func(), err error)
	// Alive reports whether a run without an end goes on, in whatever process.
	// nil: the newest of each tree does.
	Alive func(catalog.Run) bool
}

// A Maker makes the snapshots of one store while a command runs. It is safe for
// concurrent use.
type Maker struct {
	Options
	token firn.Token // of the catalog
	began time.Time

	making sync.Mutex // one at a time
	told   bool       // under making: that the tags can't be set

	mu   sync.Mutex
	last time.Time      // when a snapshot was begun in this command, else when that began
	sent int64          // bytes since
	mine map[int64]bool // numbers of those made in this command
}

// NewMaker gives a Maker for a command that begins now.
func NewMaker(o Options) *Maker {
	now := o.Clock.Now()
	return &Maker{Options: o, token: o.Catalog.ID(), began: now, last: now, mine: map[int64]bool{}}
}

// Sent notes that so many bytes more are stored, and reports whether it is time
// for a snapshot, though the command goes on: then call Make. It says so once.
func (m *Maker) Sent(bytes int64) bool {
	now := m.Clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent += bytes
	if m.sent < midwayBytes && now.Sub(m.last) < midwayAfter {
		return false
	}
	m.last, m.sent = now, 0
	return true
}

// Due reports whether a command that comes to its end shall make a snapshot:
// where there is something newer than in the last one, and none was made today
// before the command began, or a tree isn't in any yet.
func (m *Maker) Due(ctx context.Context) (bool, error) {
	known, err := m.own(ctx)
	if err != nil {
		return false, err
	}
	if m.madeToday(known) {
		return m.hasNewTree(ctx, known)
	}
	return m.unsaved(ctx, known)
}

// hasNewTree reports whether a tree was synced here for the first time since the
// last snapshot was made: one that was adopted before isn't bound to its directory
// in that.
func (m *Maker) hasNewTree(ctx context.Context, known []catalog.Snapshot) (bool, error) {
	newest := newestStored(known)
	if newest == nil {
		return true, nil
	}
	trees, err := m.Catalog.Trees(ctx, m.Row.ID)
	if err != nil {
		return false, err
	}
	for _, t := range trees {
		first, err := m.Catalog.FirstSync(ctx, t.ID)
		switch {
		case firn.KindOf(err) == firn.NotFound:
		case err != nil:
			return false, err
		case first.Started.Truncate(time.Second).After(newest.Made): // which has whole seconds
			return true, nil
		}
	}
	return false, nil
}

// madeToday reports whether one is younger than a day that was made before the
// command began. A time in the future is that of a clock that was wrong.
func (m *Maker) madeToday(known []catalog.Snapshot) bool {
	now := m.Clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(known, func(s catalog.Snapshot) bool {
		age := now.Sub(s.Made)
		return s.State == catalog.Stored && !m.mine[s.Seq] && !s.Made.After(m.began) && 0 <= age && age < day
	})
}

// Unsaved reports whether there is something newer than in the last snapshot.
func (m *Maker) Unsaved(ctx context.Context) (bool, error) {
	known, err := m.own(ctx)
	if err != nil {
		return false, err
	}
	return m.unsaved(ctx, known)
}

func (m *Maker) unsaved(ctx context.Context, known []catalog.Snapshot) (bool, error) {
	through := int64(0)
	if newest := newestStored(known); newest != nil && newest.Own {
		through = newest.Through
	}
	return m.Catalog.Unsaved(ctx, m.Row.ID, through)
}

// own gives the snapshots that this catalog has made of the store, by their
// numbers, also those that are gone again. What has been taken in since, as by a
// recovery, isn't in those that aren't Own any more, and nothing can add to them.
func (m *Maker) own(ctx context.Context) ([]catalog.Snapshot, error) {
	all, err := m.Catalog.Snapshots(ctx, m.Row.ID)
	return slices.DeleteFunc(all, func(s catalog.Snapshot) bool { return s.Catalog != m.token }), err
}

// newestStored gives the newest of those that the store has; nil for none.
func newestStored(known []catalog.Snapshot) (newest *catalog.Snapshot) {
	for i := range known {
		if s := &known[i]; s.State == catalog.Stored && (newest == nil || s.Seq > newest.Seq) {
			newest = s
		}
	}
	return newest
}

// bySeq gives the one of that number, if the store has it.
func bySeq(known []catalog.Snapshot, seq int64) *catalog.Snapshot {
	i := slices.IndexFunc(known, func(s catalog.Snapshot) bool { return s.Seq == seq && s.State == catalog.Stored })
	if i < 0 {
		return nil
	}
	return &known[i]
}

// lock takes the lock, and waits for it.
func (m *Maker) lock(ctx context.Context) (release func(), err error) {
	if m.Lock == nil {
		return func() {}, nil
	}
	for end := m.Clock.Now().Add(lockWait); ; {
		release, err := m.Lock()
		if firn.KindOf(err) != firn.Conflict || !m.Clock.Now().Before(end) {
			return release, err
		}
		if err := m.Clock.Sleep(ctx, lockPoll); err != nil {
			return nil, err
		}
	}
}

// failure tells what can't be done without a snapshot, and why there is none.
func (m *Maker) failure(err error) error {
	var e *firn.Error
	if errors.As(err, &e) && e.Op == opSave {
		return err
	}
	return &firn.Error{Op: opSave, Subject: "in " + m.Row.URL, Kind: firn.KindOf(err), Err: err,
		Hint: "the files are stored, but without the catalog of this machine their older versions, links and folders could not all be found again; the next sync tries again"}
}

const opSave = "save the catalog"

// label is what people see of a snapshot while it is sent.
func label(seq int64) string { return fmt.Sprintf("snapshot %d of the catalog", seq) }
