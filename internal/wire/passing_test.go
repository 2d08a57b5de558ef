package wire_test

import (
	"context"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/wire"
)

// shop is a store in S3, as far as its lists and deletions go.
type shop struct {
	firn.Store
	recalled bool
	deleted  firn.Deletable
}

func (s *shop) InventoryBut(ctx context.Context, _ firn.JobID, recall firn.Recall, _ func(firn.Archive) error) (info firn.InventoryInfo, err error) {
	_, err = recall(ctx, nil)
	return info, err
}

func (s *shop) DeleteOnly(_ context.Context, a firn.Deletable) error {
	s.deleted = a
	return nil
}

// TestWhatStoresInS3Do: the works hold the opened store, and what it can do beyond
// others must not end there.
func TestWhatStoresInS3Do(t *testing.T) {
	below := &shop{}
	var s firn.Store = &wire.Store{Store: below}
	recall := func(context.Context, []firn.Archive) ([]bool, error) {
		below.recalled = true
		return nil, nil
	}
	if _, err := firn.InventoryBut(t.Context(), s, "job", recall, nil); err != nil || !below.recalled {
		t.Errorf("nothing was recalled: %v", err)
	}
	want := firn.Deletable{Archive: firn.Archive{ID: "a"}, Token: firn.NewToken()}
	if err := firn.DeleteOnly(t.Context(), s, want); err != nil || below.deleted != want {
		t.Errorf("deleted %+v, %v; want %+v", below.deleted, err, want)
	}
}
