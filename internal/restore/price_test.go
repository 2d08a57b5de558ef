package restore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// A till adds up what a store would charge for.
type till struct {
	firn.Store
	sizes              map[firn.ArchiveID]int64
	requests, retrieve atomic.Int64
	download           atomic.Int64
}

func newTill(b *worktest.Bench) *till {
	t := &till{Store: b.Store, sizes: map[firn.ArchiveID]int64{}}
	for _, a := range b.Memory.Archives() {
		t.sizes[a.ID] = a.Size
	}
	return t
}

func (t *till) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	id, err := t.Store.StartRetrieval(ctx, spec)
	if err == nil {
		t.requests.Add(1)
		size := t.sizes[spec.Archive]
		if spec.Range != nil {
			size = spec.Range.Len()
		}
		t.retrieve.Add(size)
	}
	return id, err
}

func (t *till) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := t.Store.Output(ctx, id, at)
	if err == nil {
		t.download.Add(at.Len()) // nobody stops in the middle, undisturbed
	}
	return out, err
}

// mixed makes files of all sizes: alone in archives, in bundles, one after the
// other.
func mixed(b *worktest.Bench, n int) {
	for i := range n {
		size := 1000 + i*37%5000
		switch i % 40 {
		case 0:
			size = 3<<20 + i
		case 1:
			size = 600 << 10
		case 2:
			size = 100 << 10
		}
		b.Write(fmt.Sprintf("d%d/f%03d", i%3, i), strings.Repeat(fmt.Sprintf("%04d", i), size/4+1))
	}
}

// TestThePlanIsWhatItCosts: what a plan says is what the store is asked for, to
// the request and to the byte; and what comes over the network is that to the
// cent.
func TestThePlanIsWhatItCosts(t *testing.T) {
	for name, c := range map[string]struct {
		below, size int64
		sealed      bool
		paths       []string
		maxRange    int64
	}{
		"single files":          {},
		"encrypted":             {sealed: true},
		"bundles":               {below: 1 << 20, size: 4 << 20},
		"encrypted bundles":     {below: 1 << 20, size: 4 << 20, sealed: true},
		"everything bundled":    {below: 8 << 20, size: 64 << 20},
		"members":               {below: 8 << 20, size: 64 << 20, paths: []string{"d0/f120", "d1/f001", "d1/f100", "d2/f005"}},
		"encrypted members":     {below: 8 << 20, size: 64 << 20, paths: []string{"d0/f120", "d1/f001", "d1/f100", "d2/f005"}, sealed: true},
		"a folder":              {below: 8 << 20, size: 64 << 20, paths: []string{"d1"}},
		"large files, in parts": {maxRange: 1 << 20},
		"one file, in parts":    {paths: []string{"d0/f120"}, maxRange: 2 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "encrypted members" {
				t.Skip("this is about sums")
			}
			b := worktest.New(t, slow)
			if c.size > 0 {
				b.Bundle(c.below, c.size)
			}
			var ids func(context.Context) (seal.Identities, error)
			if c.sealed {
				ids = identities(b)
			}
			mixed(b, 200)
			b.Sync()
			till := newTill(b)
			b.Store = till
			o := options(b, filepath.Join(t.TempDir(), "out"))
			o.Identities, o.Paths, o.MaxRange, o.Wait = ids, c.paths, c.maxRange, true
			o.Concurrency = 1 // side by side, a piece of a bundle may be fetched again that was let go
			p, res := planned(b, o)
			if !res.Done || res.Failed() {
				t.Fatalf("%+v", res)
			}
			if p.Requests != till.requests.Load() || p.RetrieveBytes != till.retrieve.Load() {
				t.Errorf("planned %d requests of %d bytes, made %d of %d", p.Requests, p.RetrieveBytes, till.requests.Load(), till.retrieve.Load())
			}
			bill := func(download int64) price.Amount {
				cents := price.Dollar / 100
				sum := price.Vault("us-east-1").Bill(p.Tier, price.Need{Requests: p.Requests, Retrieve: p.RetrieveBytes, Transfer: download}).Total()
				return (sum.Amount + cents/2) / cents
			}
			if plan, real := bill(p.DownloadBytes), bill(till.download.Load()); plan != real {
				t.Errorf("%d cents were planned, it was %d", plan, real)
			}
			if over := p.DownloadBytes - till.download.Load(); over < 0 || over > p.DownloadBytes/20 {
				t.Errorf("planned to download %d bytes, it were %d", p.DownloadBytes, till.download.Load())
			}
		})
	}
}

// TestASmallFileOfALargeBundle: 10 KiB out of 64 MiB take 2 MiB at most, wherever
// they lie.
func TestASmallFileOfALargeBundle(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		b := worktest.New(t, slow)
		b.Bundle(1<<20, 64<<20)
		var ids func(context.Context) (seal.Identities, error)
		if sealed {
			ids = identities(b)
		}
		const files = 63
		for i := range files {
			b.Write(fmt.Sprintf("f%02d", i), string(storetest.Data(uint64(files+i), 10<<10)))
			b.Write(fmt.Sprintf("f%02d larger", i), string(storetest.Data(uint64(i), 1<<20-14<<10)))
		}
		b.Sync()
		if all := b.Memory.Archives(); len(all) != 1 || all[0].Size < 60<<20 {
			t.Fatalf("the bundles are %+v", all)
		}
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Identities = ids
		most := int64(0)
		for i := range files {
			o.Paths, o.DryRun = []string{fmt.Sprintf("f%02d", i)}, true
			p, _ := planned(b, o)
			if p.Requests != 1 || p.RetrieveBytes > 2<<20 {
				t.Errorf("%s: %+v", o.Paths, p)
			}
			most = max(most, p.RetrieveBytes)
		}
		till := newTill(b)
		o.DryRun, o.Wait, o.Store = false, true, till
		b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
		if got := till.retrieve.Load(); got > 2<<20 || got == 0 || most != 2<<20 { // some lie across two MiB
			t.Errorf("asked for %d bytes, planned were at most %d", got, most)
		}
	}
}
