package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// A foundRecord is a store that firn has left something in, of recover without
// STORE.
type foundRecord struct {
	Store    string `json:"store"`
	Address  string `json:"address"`
	Catalogs int    `json:"catalogs"` // whose snapshots its tags name
	Archives int64  `json:"archives"` // at its last inventory
	Bytes    int64  `json:"bytes"`
}

// look lists the vaults of all regions that firn's marks are on. A region that
// can't be asked, as one that the account hasn't enabled, is told and passed
// over; but for the first, which every account has.
func (o *recoverOptions) look(ctx context.Context) error {
	env := o.app.wireEnv()
	list := ui.NewList(o.app.ui, "found",
		ui.Column[foundRecord]{Head: "store", Cell: func(r foundRecord) string { return r.Store }},
		ui.Column[foundRecord]{Head: "catalogs", Right: true, Cell: func(r foundRecord) string { return ui.Count(int64(r.Catalogs)) }, Plain: func(r foundRecord) string { return exact(int64(r.Catalogs)) }},
		ui.Column[foundRecord]{Head: "archives", Right: true, Cell: func(r foundRecord) string { return ui.Count(r.Archives) }, Plain: func(r foundRecord) string { return exact(r.Archives) }},
		ui.Column[foundRecord]{Head: "size", Right: true, Cell: func(r foundRecord) string { return ui.Bytes(r.Bytes) }, Plain: func(r foundRecord) string { return exact(r.Bytes) }},
	)
	vaults, marked := 0, 0
	for i, region := range wire.Regions(env, o.Common.wire()) {
		n, m, err := o.lookIn(ctx, region, list.Add)
		vaults, marked = vaults+n, marked+m
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && i == 0:
			return err // it is no matter of the region
		case err != nil:
			o.app.ui.Notice(fmt.Sprintf("passed over %s: %v", region, err))
		}
	}
	list.Close()
	switch {
	case marked > 0:
		o.app.ui.Notice("recover one of them with: firn recover STORE")
	case vaults > 0:
		o.app.ui.Notice(fmt.Sprintf("none of the account's %d vaults has firn's mark; of one that was filled without leave to set tags, or by another program, give the name: firn recover STORE, firn adopt STORE", vaults))
	default:
		o.app.ui.Notice("the account has no vaults; a vault in a folder is recovered with: firn recover local:DIR")
	}
	return nil
}

// lookIn looks through the vaults of one region, and counts them and those that
// are firn's.
func (o *recoverOptions) lookIn(ctx context.Context, region string, add func(foundRecord)) (vaults, marked int, err error) {
	for info, err := range wire.VaultsOf(ctx, o.app.wireEnv(), region, o.Common.wire()) {
		if err != nil {
			return vaults, marked, err
		}
		vaults++
		mark, err := o.marks(ctx, region, info)
		if err != nil {
			return vaults, marked, err
		}
		if mark == nil {
			continue
		}
		marked++
		add(*mark)
	}
	return vaults, marked, nil
}

// marks reads a vault's tags; nil where firn has set none.
func (o *recoverOptions) marks(ctx context.Context, region string, info firn.StoreInfo) (found *foundRecord, err error) {
	loc, _, err := o.app.resolve("glacier:" + region + "/" + info.Name)
	if err != nil {
		return nil, err
	}
	s, err := wire.Open(ctx, o.app.wireEnv(), loc, o.Common.wire())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	tags, err := s.Tags(ctx)
	if err != nil || !snapshot.IsMarked(tags) {
		return nil, err
	}
	catalogs := map[firn.Token]bool{}
	for _, c := range snapshot.Candidates(tags) {
		catalogs[c.Catalog] = true
	}
	return &foundRecord{loc.String(), info.Address, len(catalogs), info.Archives, info.Bytes}, nil
}
