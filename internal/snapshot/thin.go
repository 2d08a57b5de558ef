package snapshot

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// tag sets the tags, and tells once where that can't be.
func (m *Maker) tag(ctx context.Context, known []catalog.Snapshot) {
	err := m.setTags(ctx, known)
	if err == nil || m.told || ctx.Err() != nil {
		return
	}
	m.told = true
	m.Events(firn.NoticeEvent{Text: "the tags of " + m.Row.URL + " could not be set, so that a recovery would need an inventory to find the newest snapshot: " + err.Error()})
}

// superseded gives the snapshots that nobody needs, if they are old enough:
// neither the newest one, nor the full one that it adds to, nor one that another
// adds to.
func superseded(known []catalog.Snapshot) (old []catalog.Snapshot) {
	newest := newestStored(known)
	if newest == nil {
		return nil
	}
	for _, s := range known {
		if s.State == catalog.Stored && s.Seq != newest.Seq && s.Seq != newest.Base {
			old = append(old, s)
		}
	}
	return old
}

// thin deletes the snapshots that are superseded and were paid for, those that
// add to others first, so that none is ever left without what it adds to.
func (m *Maker) thin(ctx context.Context, run catalog.Run, known []catalog.Snapshot) error {
	old := superseded(known)
	if len(old) == 0 {
		return nil
	}
	info, err := m.Store.Describe(ctx)
	if err != nil {
		return err
	}
	least := kept
	if m.Row.Kind != "s3" { // those in S3 are of STANDARD, which has no shortest time
		least = max(kept, m.Store.Traits().MinDuration)
	}
	needed := map[int64]bool{} // full ones that something adds to
	for _, full := range []bool{false, true} {
		for _, s := range old {
			if full != (s.Base == 0) {
				continue
			}
			if isYoung(s, info.Now, least) || needed[s.Seq] {
				needed[s.Base] = true
				continue
			}
			if err := m.Store.DeleteArchive(ctx, s.Remote); err != nil {
				return err
			}
			if err := m.Catalog.MarkDeleted(context.WithoutCancel(ctx), run, s.Archive); err != nil {
				return err
			}
		}
	}
	return nil
}

// isYoung reports whether a snapshot is younger than that. Where the store
// didn't say when it came, it came when it was made.
func isYoung(s catalog.Snapshot, now time.Time, least time.Duration) bool {
	came := s.Created
	if came.IsZero() {
		came = s.Made
	}
	return now.Sub(came) < least
}

// tellThin tells that old snapshots stay, which costs a little and harms nobody.
func (m *Maker) tellThin(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.Events(firn.NoticeEvent{Text: "old snapshots of the catalog stay in " + m.Row.URL + ", until they can be deleted: " + err.Error()})
	return nil
}

// Settle clears away what a Maker left that was killed: an upload, and the spool
// file. Where another process makes a snapshot at the moment, that does it.
func (m *Maker) Settle(ctx context.Context) error {
	m.making.Lock()
	defer m.making.Unlock()
	if m.Lock != nil {
		release, err := m.Lock()
		if firn.KindOf(err) == firn.Conflict {
			return nil
		}
		if err != nil {
			return err
		}
		defer release()
	}
	return m.settle(ctx)
}

// settle is Settle under the lock: whoever has it knows that nobody works on
// what is open.
func (m *Maker) settle(ctx context.Context) error {
	intents, err := m.Catalog.OpenIntents(ctx, m.Row.ID)
	if err != nil {
		return err
	}
	for _, in := range intents {
		if in.Kind != catalog.CatalogArchive {
			continue
		}
		if err := m.drop(ctx, in, "it was interrupted; another one is made"); err != nil {
			return err
		}
	}
	if err := m.sweep(); err != nil {
		return err
	}
	return m.settleLists(ctx)
}

// drop leaves nothing of an upload, but for an archive that arrived without an
// answer.
func (m *Maker) drop(ctx context.Context, in catalog.Intent, why string) error {
	if err := m.abort(ctx, in); err != nil {
		return err
	}
	return m.Catalog.Drop(ctx, in.ID, why)
}

// abort ends the upload of an intent. Where its id was lost, the store has one
// that bears the intent's token.
func (m *Maker) abort(ctx context.Context, in catalog.Intent) error {
	if in.Upload != "" {
		return m.Store.AbortUpload(ctx, in.Upload)
	}
	if m.Uploader.Requests(in.Size) == 1 {
		return nil
	}
	var open []firn.UploadID
	for u, err := range m.Store.Uploads(ctx) {
		if err != nil {
			return err
		}
		if token, ok := describe.TokenOf(u.Description); ok && token == in.Token {
			open = append(open, u.ID)
		}
	}
	for _, id := range open {
		if err := m.Store.AbortUpload(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the store's spool files.
func (m *Maker) sweep() error {
	names, err := os.ReadDir(m.Spool)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return spoolError(m.Spool, err)
	}
	for _, name := range names {
		if !name.Type().IsRegular() || !strings.HasPrefix(name.Name(), m.prefix()) {
			continue
		}
		if err := os.Remove(filepath.Join(m.Spool, name.Name())); err != nil {
			return spoolError(name.Name(), err)
		}
	}
	return nil
}
