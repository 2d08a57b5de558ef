package snapshot

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/transfer"
)

// fullPart: a full snapshot is made again when those that add to the last one
// are together larger than one in so many of its bytes.
const fullPart = 4

// Make puts a snapshot into the store, if there is something newer than in the
// last one, and returns when it is there and recorded, as work of a run. Then
// it sets the store's tags and deletes what is not needed any more: what keeps
// it from doing these is told, and is no error. What it left the last time, when
// it was killed, is cleared away first.
//
// An error means that the store has no newer snapshot than before, as far as is
// known, and that nothing else is lost: the next one has it all.
func (m *Maker) Make(ctx context.Context, run catalog.Run) error {
	if err := m.makeLocked(ctx, run); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return m.failure(err)
	}
	return nil
}

func (m *Maker) makeLocked(ctx context.Context, run catalog.Run) error {
	m.making.Lock()
	defer m.making.Unlock()
	release, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := m.settle(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		// It costs a little while it is there, and is no reason to do without.
		m.Events(firn.NoticeEvent{Text: "what an interrupted command left of a snapshot of the catalog can't be cleared away: " + err.Error(), Warn: true})
	}
	known, err := m.own(ctx)
	if err != nil {
		return err
	}
	if unsaved, err := m.unsaved(ctx, known); err != nil || !unsaved {
		return err
	}
	m.begin()
	for try := 1; ; try++ {
		err := m.attempt(ctx, run, known)
		if firn.KindOf(err) != firn.InDoubt || try == attempts {
			if err != nil {
				return err
			}
			break
		}
	}
	if known, err = m.own(ctx); err != nil {
		return err
	}
	m.makeLists(ctx, known)
	m.tag(ctx, known)
	return m.tellThin(ctx, m.thin(ctx, run, known))
}

// begin starts the time anew until the next one.
func (m *Maker) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.sent = m.Clock.Now(), 0
}

// attempt makes one snapshot and sends it. Its number is used up, also where it
// fails: what is sent with it may have arrived.
func (m *Maker) attempt(ctx context.Context, run catalog.Run, known []catalog.Snapshot) error {
	s := &shot{Maker: m, run: run, made: m.Clock.Now().UTC()}
	var err error
	if s.seq, err = m.Catalog.NextSnapshot(ctx, m.Row.ID); err != nil {
		return err
	}
	s.base = baseFor(known)
	if err := s.draw(ctx); err != nil {
		return err
	}
	if err := s.write(ctx); err != nil {
		return err
	}
	defer os.Remove(s.path) // what stays, the next one sweeps
	if err := s.expectLists(); err != nil {
		return err
	}
	m.Events(firn.PlanEvent{Bytes: s.size()})
	res, err := m.Uploader.Upload(ctx, transfer.Task{
		Source:  transfer.Source{Path: label(s.seq), Open: s.open},
		Journal: &journal{s, s.Catalog.Sending(&s.intent.ID)},
	})
	m.Events(firn.TransferEvent{Path: label(s.seq), Ended: true})
	if err != nil {
		return s.giveUp(ctx, err)
	}
	m.mu.Lock()
	m.mine[s.seq] = true
	m.mu.Unlock()
	m.Events(firn.SnapshotEvent{Store: m.Row.URL, Seq: s.seq, Base: s.baseSeq(), Archive: res.Archive, Size: res.Content.Size})
	return nil
}

// baseFor gives the full snapshot that the next one adds to; nil where that is
// to be full. One that was made before any run had ended saves nothing.
func baseFor(known []catalog.Snapshot) *catalog.Snapshot {
	var full *catalog.Snapshot
	for i := range known {
		if s := &known[i]; s.Own && s.State == catalog.Stored && s.Base == 0 && (full == nil || s.Seq > full.Seq) {
			full = s
		}
	}
	if full == nil || full.Through == 0 {
		return nil
	}
	added := int64(0)
	for i := range known {
		if s := &known[i]; s.Base == full.Seq && s.State == catalog.Stored {
			added += s.Size
		}
	}
	if added > full.Size/fullPart {
		return nil
	}
	return full
}

// A shot is a snapshot while it is made.
type shot struct {
	*Maker
	run  catalog.Run
	made time.Time
	seq  int64
	base *catalog.Snapshot // nil: it is full

	path    string // of the spool file
	plain   int64  // bytes in it
	through int64
	key     *seal.Key // nil: it is not encrypted
	sealed  catalog.Recipients

	intent catalog.Intent // ID 0 until recorded
}

func (s *shot) baseSeq() int64 {
	if s.base == nil {
		return 0
	}
	return s.base.Seq
}

// size is that of the archive.
func (s *shot) size() int64 {
	if s.key == nil {
		return s.plain
	}
	return s.key.Size(s.plain)
}

// describe gives the archive's description. A sealed one says only the day,
// since the store knows when it came, and nothing more is for others to know.
func (s *shot) describe(token firn.Token) (string, error) {
	made := s.made
	if s.key != nil {
		made = made.Truncate(24 * time.Hour)
	}
	return describe.Encode(describe.Archive{
		Token: token, Kind: describe.Snapshot, Made: made, Catalog: s.token, Seq: s.seq, Base: s.baseSeq(), Encrypted: s.key != nil,
	})
}

// giveUp drops what was begun and ended with an error. It may have arrived: then
// it is a snapshot as good as any, which an inventory shows. Where the store
// can't be reached, or the command is to end, that is left to the next one.
func (s *shot) giveUp(ctx context.Context, err error) error {
	if s.intent.ID == 0 || ctx.Err() != nil || firn.KindOf(err).Temporary() {
		return err
	}
	intents, openErr := s.Catalog.OpenIntents(ctx, s.Row.ID)
	if openErr != nil {
		return fmt.Errorf("%w; and then: %w", err, openErr)
	}
	for _, in := range intents {
		if in.ID != s.intent.ID {
			continue
		}
		if dropErr := s.drop(ctx, in, "it could not be sent: "+err.Error()); dropErr != nil {
			return fmt.Errorf("%w; and then: %w", err, dropErr)
		}
	}
	return err
}
