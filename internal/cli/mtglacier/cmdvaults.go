package mtglacier

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/wire"
)

// createVault makes a vault. One that is there already stays as it is.
func (r *runner) createVault(ctx context.Context) error {
	return r.withVault(ctx, func(s *session) error {
		if err := s.store.Create(ctx); err != nil {
			return err
		}
		r.did("Created vault %s", r.Vault)
		return nil
	})
}

// deleteVault deletes a vault, which the service sees to be empty.
func (r *runner) deleteVault(ctx context.Context) error {
	return r.withVault(ctx, func(s *session) error {
		if err := s.store.Delete(ctx); err != nil {
			return err
		}
		r.did("Deleted vault %s", r.Vault)
		if err := r.forget(ctx); err != nil {
			r.note("firn's catalog still has the vault, until: firn store forget %s (%v)", r.location(), err)
		}
		return nil
	})
}

// forget lets the catalog forget the vault, so that another may have its name.
func (r *runner) forget(ctx context.Context) error {
	cat, err := wire.OpenCatalog(ctx, r.wireEnv())
	if err != nil {
		return err
	}
	defer cat.Close()
	row, err := cat.StoreByURL(ctx, r.location().String())
	switch {
	case firn.KindOf(err) == firn.NotFound:
		return nil
	case err != nil:
		return err
	}
	return cat.Forget(ctx, row.ID)
}

// listVaults lists the vaults of the account in the region.
func (r *runner) listVaults(ctx context.Context) error {
	if r.DryRun {
		return nil // there is nothing that it would do
	}
	r.started(1)
	vaults, err := r.vaults(ctx)
	if err != nil {
		return err
	}
	r.did("Getting vault list (first page)")
	if r.ForHumans {
		r.showVaults(vaults)
	} else {
		r.tellVaults(vaults)
	}
	return nil
}

func (r *runner) vaults(ctx context.Context) (all []firn.StoreInfo, err error) {
	for v, err := range wire.VaultsOf(ctx, r.wireEnv(), r.Region, r.wireOptions()) {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// showVaults lists vaults for people.
func (r *runner) showVaults(vaults []firn.StoreInfo) {
	for _, v := range vaults {
		r.say("%s (%s)", v.Name, v.Address)
		r.say("  created %s", serviceTime(v.Created))
		if v.LastInventory.IsZero() {
			r.say("  not yet inventoried")
		} else {
			r.say("  inventoried %s: %d archives, %d bytes", serviceTime(v.LastInventory), v.Archives, v.Bytes)
		}
	}
	archives, size := totals(vaults)
	r.say("%d vaults: %d archives, %d bytes", len(vaults), archives, size)
}

// tellVaults lists vaults for programs.
func (r *runner) tellVaults(vaults []firn.StoreInfo) {
	for _, v := range vaults {
		tell := func(field string, value any) { r.say("MTMSG\tVAULT_LIST\t%s\t%s\t%v", v.Address, field, value) }
		tell("SizeInBytes", v.Bytes)
		tell("CreationDate", serviceTime(v.Created))
		tell("VaultName", v.Name)
		tell("NumberOfArchives", v.Archives)
		tell("LastInventoryDate", serviceTime(v.LastInventory))
	}
	archives, size := totals(vaults)
	r.say("MTMSG\tVAULTS_SUMMARY\ttotal_number_of_archives\t%d", archives)
	r.say("MTMSG\tVAULTS_SUMMARY\ttotal_size_of_archives\t%d", size)
}

func totals(vaults []firn.StoreInfo) (archives, size int64) {
	for _, v := range vaults {
		archives += v.Archives
		size += v.Bytes
	}
	return archives, size
}

// serviceTime is a time as the service writes it, in UTC with milliseconds; empty
// for none. Source: API reference, "List Vaults".
func serviceTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
