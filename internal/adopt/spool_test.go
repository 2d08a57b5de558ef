package adopt_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// holdings gives all that a rig's catalog has of archives.
func (r *rig) holdings() (all []catalog.Holding) {
	r.Helper()
	for h, err := range r.catalog.Archives(r.Context(), r.row.ID) {
		r.check(err)
		all = append(all, h)
	}
	return all
}

// unspooled checks that nothing is left of spools.
func (r *rig) unspooled() {
	r.Helper()
	if left, err := os.ReadDir(filepath.Join(r.dir, "spool")); err != nil || len(left) > 0 {
		r.Errorf("left in the spool: %v, %v", left, err)
	}
}

// strange are archives as a store may list them, each under an id of its own.
func strange() []firn.Archive {
	when := time.Date(2013, 1, 2, 3, 4, 5, 678000, time.UTC)
	all := []firn.Archive{
		{ID: "plain", Description: mt2File, Created: when, Size: 5, Tree: treehash.Sum([]byte("plain"))},
		{ID: "no-hash", Description: "a/b", Created: when, Size: 1},
		{ID: "no-time", Description: "c", Size: math.MaxInt64},
		{ID: "no-name", Created: when.Add(time.Hour), Size: 1, Tree: treehash.Sum([]byte("x"))},
		{ID: firn.ArchiveID(strings.Repeat("long", 50)), Description: strings.Repeat("ü", 512), Created: when, Size: 1},
		{ID: "older", Description: "c", Created: when.Add(-time.Hour), Size: 2},
	}
	for range 4000 { // more than a buffer
		all = append(all, firn.Archive{ID: firn.ArchiveID(firn.NewToken().String()), Description: "many/" + firn.NewToken().String(), Created: when, Size: 3})
	}
	return all
}

// TestSpool: the same comes of an inventory whether it goes through a spool or
// through the catalog, also where the spool is of no use.
func TestSpool(t *testing.T) {
	all := strange()
	dated := time.Date(2014, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, listed := range map[string][]firn.Archive{
		"plain": all, "empty": nil,
		"twice": append(slices.Clone(all[:50]), all[3]), "nameless": append(slices.Clone(all[:50]), firn.Archive{Description: "d", Size: 1}),
	} {
		t.Run(name, func(t *testing.T) {
			staged, spooled := newRig(t, storetest.MemoryOptions{}), newRig(t, storetest.MemoryOptions{})
			saved := staged.file("inventory.json", inventoryJSON(vaultARN, dated, listed...))
			want := staged.adopt(func(o *adopt.Options) { o.Inventory, o.Spool = saved, "" })
			got := spooled.adopt(func(o *adopt.Options) { o.Inventory = saved })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-staged +spooled):\n%s", diff)
			}
			if diff := cmp.Diff(staged.ls("vault"), spooled.ls("vault")); diff != "" {
				t.Errorf("files (-staged +spooled):\n%s", diff)
			}
			if diff := cmp.Diff(staged.holdings(), spooled.holdings()); diff != "" {
				t.Errorf("archives (-staged +spooled):\n%s", diff)
			}
			if name == "twice" {
				spooled.heard("lists 1 archives twice")
			}
			spooled.unspooled()
		})
	}
}

// TestSpoolFails: an inventory that can't be read to its end, or kept, adopts
// nothing and leaves nothing.
func TestSpoolFails(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	whole := inventoryJSON(vaultARN, r.clock.Now(), strange()[:100]...)
	torn := r.file("torn.json", whole[:len(whole)-100])
	blocked := r.file("file", "")
	for name, change := range map[string]func(*adopt.Options){
		"torn": func(o *adopt.Options) { o.Inventory = torn },
		"no folder": func(o *adopt.Options) {
			o.Inventory, o.Spool = r.file("whole.json", whole), filepath.Join(blocked, "spool")
		},
	} {
		o := r.options()
		change(&o)
		if _, err := adopt.Run(t.Context(), o); err == nil || firn.KindOf(err) == firn.Other {
			t.Errorf("%s: %v", name, err)
		}
		if got := r.holdings(); len(got) > 0 {
			t.Errorf("%s: taken in: %v", name, got)
		}
	}
	r.unspooled()
	res := r.adopt(func(o *adopt.Options) { o.Inventory = r.file("whole.json", whole) })
	if res.Listed.Files != 100 || res.Known != 0 {
		t.Errorf("afterwards: %+v", res)
	}
}
