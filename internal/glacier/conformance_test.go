package glacier_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/storetest"
)

// harness is a fresh server with the vault "photos" on it, and one vault
// missing. The server's clock is wound by hand; signatures live in real time.
func harness(t *testing.T, timing glacierd.Timing, faults *glacierd.Faults, decorate func(firn.Store) firn.Store) storetest.Harness {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
	s := serve(t, func(c *glacierd.Config) { c.Timing, c.Clock, c.Faults = &timing, now, faults })
	vault := func(name string) firn.Store {
		return decorate(open(t, s, func(c *glacier.Config) {
			c.Vault, c.Now = name, now.Now
			c.FreshInventory, c.InstantJobs = timing.InventoryEvery == 0, timing.Bulk == 0
		}))
	}
	h := storetest.Harness{
		Store:      vault("photos"),
		Missing:    vault("missing"),
		Advance:    now.Advance,
		Ripe:       max(timing.Bulk, timing.Standard, timing.Inventory),
		Lag:        timing.InventoryEvery,
		OutputLife: 24 * time.Hour,
	}
	if err := h.Store.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

func plain(s firn.Store) firn.Store { return s }

// retried is guard.Retry on a clock of its own, so that its pauses cost
// nothing and make no job ripe.
func retried(s firn.Store) firn.Store {
	return guard.Retry(s, guard.RetryOptions{Clock: clock.NewManual(time.Now())})
}

func TestConformance(t *testing.T) {
	timings := map[string]glacierd.Timing{"instant": {}, "service": glacierd.ServiceTiming()}
	for name, timing := range timings {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Harness { return harness(t, timing, nil, plain) })
		})
	}
}

// The operations that a vault uses: those that may be made twice without harm,
// those that may not, and those with bodies.
var (
	repeatable = []string{
		"CreateVault", "DescribeVault", "DeleteVault", "AddTagsToVault", "RemoveTagsFromVault", "ListTagsForVault",
		"DeleteArchive", "UploadMultipartPart", "CompleteMultipartUpload", "AbortMultipartUpload",
		"ListMultipartUploads", "ListParts", "DescribeJob", "ListJobs", "GetJobOutput",
		"SetVaultNotifications", "GetVaultNotifications", "DeleteVaultNotifications",
	}
	unique  = []string{"UploadArchive", "InitiateMultipartUpload", "InitiateJob"}
	uploads = []string{"UploadArchive", "UploadMultipartPart"}
)

// TestConformanceUnderFaults: beneath guard.Retry, a server that fails in all
// the ways that a repetition helps against passes the suite as if it didn't.
// Each operation of each case meets one fault after the other.
func TestConformanceUnderFaults(t *testing.T) {
	every := slices.Concat(repeatable, unique)
	others := slices.DeleteFunc(slices.Clone(every), func(op string) bool { return slices.Contains(uploads, op) })
	plans := map[string][]glacierd.Fault{
		"refused": slices.Concat(
			onEach(every, 1, glacierd.Fault{Kind: glacierd.FaultInternal}),
			onEach(every, 2, glacierd.Fault{Kind: glacierd.FaultThrottle}),
			onEach(every, 3, glacierd.Fault{Kind: glacierd.FaultUnavailable}),
			onEach(every, 4, glacierd.Fault{Kind: glacierd.FaultSlow, Delay: time.Millisecond}),
		),
		"unanswered": slices.Concat(
			onEach(repeatable, 1, glacierd.Fault{Kind: glacierd.FaultLostAnswer}),
			onEach(repeatable, 2, glacierd.Fault{Kind: glacierd.FaultReset}),
		),
		"late": slices.Concat(
			onEach(uploads, 1, glacierd.Fault{Kind: glacierd.FaultTimeout, After: 5}),
			onEach(uploads, 2, glacierd.Fault{Kind: glacierd.FaultLateSignature}),
			onEach(uploads, 3, glacierd.Fault{Kind: glacierd.FaultClockSkew}),
			onEach(others, 1, glacierd.Fault{Kind: glacierd.FaultClockSkew}),
		),
	}
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "unanswered" {
				t.Skip("the whole suite, as often as there are kinds of faults")
			}
			struck := make([]int, len(plan))
			storetest.Run(t, func(t *testing.T) storetest.Harness {
				faults := glacierd.NewFaults(1)
				for i, f := range plan {
					armed, err := faults.Add(f)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { struck[i] += armed.Struck() })
				}
				return harness(t, glacierd.Timing{}, faults, retried)
			})
			for i, n := range struck {
				if n == 0 {
					t.Errorf("never struck: %+v", plan[i])
				}
			}
		})
	}
}

// onEach aims a fault at the n-th call of each operation.
func onEach(ops []string, nth int, f glacierd.Fault) (faults []glacierd.Fault) {
	for _, op := range ops {
		f.Op, f.Nth = op, nth
		faults = append(faults, f)
	}
	return faults
}
