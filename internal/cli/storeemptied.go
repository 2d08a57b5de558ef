package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/upkeep"
)

// An emptyingRecord says how far the emptying of a store is.
type emptyingRecord struct {
	Store        string           `json:"store"`
	DryRun       bool             `json:"dry_run"`
	Cancelled    bool             `json:"cancelled,omitempty"` // it goes on no more
	Archives     int64            `json:"archives"`            // deleted by this run; of a dry run, to be deleted
	Bytes        int64            `json:"bytes"`
	Waiting      int64            `json:"waiting"` // charged for still
	WaitingBytes int64            `json:"waiting_bytes"`
	Free         string           `json:"free,omitempty"`     // RFC 3339, as all times
	AllFree      string           `json:"all_free,omitempty"` // of a dry run
	InDoubt      int64            `json:"in_doubt"`
	Refused      int64            `json:"refused"`
	Others       int64            `json:"others"`
	OtherBytes   int64            `json:"other_bytes"`
	OtherIDs     []firn.ArchiveID `json:"other_ids,omitempty"` // of some
	Uploads      int64            `json:"uploads"`
	StoreDeleted bool             `json:"store_deleted"`
	Pending      bool             `json:"pending"`
	Ready        string           `json:"ready,omitempty"`
}

func (m *emptying) record(r emptyingRecord) {
	r.Store = m.row.URL
	m.ui.Record("emptying", r)
}

// report tells how far it is, and gives the error that stands for that.
func (m *emptying) report(res upkeep.EmptyResult) error {
	m.record(emptyingRecord{
		Archives: res.Deleted.Files, Bytes: res.Deleted.Bytes, Waiting: res.Young.Files, WaitingBytes: res.Young.Bytes, Free: timeText(res.Free),
		InDoubt: res.Doubtful, Refused: res.Refused, Others: res.Others.Files, OtherBytes: res.Others.Bytes, OtherIDs: res.Examples, Uploads: res.Uploads,
		StoreDeleted: res.Gone, Pending: res.Pending, Ready: timeText(res.Ready),
	})
	if text := m.deletedText(res); text != "" {
		m.ui.Print(text)
	}
	if res.Gone {
		m.ui.Print("deleted " + m.row.URL + " itself")
	}
	m.tellRest(res)
	switch {
	case res.Pending:
		return ErrNotYet
	case !res.Done(m.e):
		return ErrPartial
	}
	return nil
}

// deletedText says what this run has deleted, or that there was nothing to do; empty
// where there is more to say of what is left, or of the store itself.
func (m *emptying) deletedText(res upkeep.EmptyResult) string {
	left := res.Young.Files + res.Doubtful + res.Refused + res.Others.Files + res.Uploads
	switch {
	case res.Deleted.Files > 0:
		return fmt.Sprintf("deleted %s with %s from %s", counted(res.Deleted.Files, "archive"), ui.Bytes(res.Deleted.Bytes), m.row.URL)
	case left > 0 || res.Pending || res.Gone:
		return ""
	}
	return "nothing is left to delete in " + m.row.URL
}

// inDoubtText says of how many archives it isn't known whether they are gone.
func inDoubtText(n int64) string {
	return fmt.Sprintf("of %s nobody knows whether %s gone", counted(n, "archive"), form(n, "it is", "they are"))
}

// tellRest tells what is not done, and why.
func (m *emptying) tellRest(res upkeep.EmptyResult) {
	if res.Young.Files > 0 {
		m.ui.Print(fmt.Sprintf("%s %s free of fees, the first until %s; firn resume goes on", counted(res.Young.Files, "archive"), form(res.Young.Files, "waits until it is", "wait until they are"), localTime(res.Free)))
	}
	if res.Doubtful > 0 {
		m.ui.Print(inDoubtText(res.Doubtful) + ": an inventory dated later will tell")
	}
	if res.Refused > 0 {
		m.ui.Warn(fmt.Sprintf("the store refused to delete %s: %s", counted(res.Refused, "archive"), res.Why))
	}
	stays := ""
	if m.e.Vault && !res.Pending {
		stays = ", so that the store stays; " + cmp.Or(m.again, "to delete these as well, call it again")
	}
	if n := res.Others; n.Files > 0 {
		text := fmt.Sprintf("it has %s with %s that were stored later, or weren't listed when this began", counted(n.Files, "archive"), ui.Bytes(n.Bytes))
		for i, id := range res.Examples {
			text += map[bool]string{true: ": ", false: ", "}[i == 0] + string(id)
		}
		m.ui.Warn(text + stays)
	}
	if res.Uploads > 0 {
		m.ui.Warn(counted(res.Uploads, "upload") + " began since" + stays)
	}
	if res.Pending && res.Young.Files == 0 {
		m.ui.Print(m.readyLine(res.Ready))
	}
}

// readyLine says when it is worth going on.
func (m *emptying) readyLine(ready time.Time) string {
	text := "an inventory has to show what is left"
	if ready.After(m.env.Clock.Now()) {
		text += ", not before " + localTime(ready)
	}
	return text + "; firn resume goes on"
}

// tellEmptying warns who stores something in a store that is being emptied.
func tellEmptying(ctx context.Context, s *session, row catalog.Store) error {
	e, open, err := s.catalog.EmptyingOf(ctx, row.ID)
	if open {
		s.ui.Warn(fmt.Sprintf("%s is being emptied: what it had by %s goes, also what files here need, which a later sync sends again; to keep it: firn store empty %[1]s --cancel", s.loc, localTime(e.Agreed)))
	}
	return err
}
