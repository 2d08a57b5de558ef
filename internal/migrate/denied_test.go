package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/storetest"
)

// A guarded store denies some archives: their retrieval, or what was retrieved.
type guarded struct {
	firn.Store
	denies func(firn.ArchiveID) bool
	output bool
	asked  atomic.Int64
	broken atomic.Bool // all of it is denied: the keys expired
}

func (g *guarded) denial(op string) error {
	return &firn.Error{Op: op, Kind: firn.Denied, Err: errors.New("AccessDenied: it is somebody else's")}
}

func (g *guarded) Describe(ctx context.Context) (firn.StoreInfo, error) {
	if g.broken.Load() {
		return firn.StoreInfo{}, &firn.Error{Op: "describe", Kind: firn.Denied, Err: errors.New("ExpiredToken")}
	}
	return g.Store.Describe(ctx)
}

func (g *guarded) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	g.asked.Add(1)
	if !g.output && g.denies(spec.Archive) || g.broken.Load() {
		return "", g.denial("start retrieval")
	}
	return g.Store.StartRetrieval(ctx, spec)
}

func (g *guarded) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	if job, err := g.Store.Job(ctx, id); g.output && err == nil && g.denies(job.Archive) {
		return firn.Output{}, g.denial("read output")
	}
	return g.Store.Output(ctx, id, at)
}

// files syncs so many files of their own.
func (r *rig) files(n int) {
	r.T.Helper()
	for i := range n {
		r.Write(fmt.Sprintf("%03d", i), fmt.Sprintf("content %03d", i))
	}
	r.Sync()
}

// over runs a migration until nothing is pending.
func (r *rig) over(o migrate.Options) (migrate.Result, error) {
	r.T.Helper()
	for range 5 {
		res, err := migrate.Run(r.T.Context(), o)
		if err != nil || !res.Pending() {
			return res, err
		}
		r.Clock.Advance(6 * time.Hour)
	}
	r.T.Fatal("it never ends")
	return migrate.Result{}, nil
}

// TestDeniedArchivesFailAlone: a few archives that the source denies, whether it takes
// hours or not, alone or in bundles, are named with the reason, and the rest goes on.
// The next run tries them again.
func TestDeniedArchivesFailAlone(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * time.Hour} {
		for _, output := range []bool{false, true} {
			for name, bundling := range map[string]migrate.Bundling{"single": {}, "bundled": {Below: 1 << 20, Size: 4 << 20}} {
				t.Run(fmt.Sprint(delay, " output ", output, " ", name), func(t *testing.T) {
					r := newRig(t, storetest.MemoryOptions{JobDelay: delay})
					r.files(20)
					all := r.Memory.Archives()
					denied := []firn.ArchiveID{all[0].ID, all[7].ID, all[len(all)-1].ID}
					from := &guarded{Store: r.Store, output: output, denies: func(id firn.ArchiveID) bool { return slices.Contains(denied, id) }}
					o := r.options()
					o.From.Store, o.Bundling = from, bundling
					o.Bundling.Spool = r.spool
					for range 2 { // the second time there is nothing but these
						res, err := r.over(o)
						r.must(err)
						if res.Done || res.Migration.Totals[catalog.CopyFailed].Files != 3 || !slices.Equal(res.Left, []string{"tree"}) {
							t.Fatalf("%+v", res)
						}
					}
					failed, err := r.Catalog.FailedCopies(t.Context(), 1, 0, 10)
					r.must(err)
					if len(failed) != 3 || !strings.Contains(failed[0].Why, "somebody else's") {
						t.Errorf("failed: %+v", failed)
					}
					denied = nil
					if res, err := r.over(o); err != nil || !res.Done {
						t.Errorf("once they may be read: %+v, %v", res, err)
					}
					r.checked()
				})
			}
		}
	}
}

// TestWhereAllIsDeniedNothingGoesOn: a migration that may not read at all ends with
// that error after a few requests, and so does one whose keys expire.
func TestWhereAllIsDeniedNothingGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		files, most int64
		from        func(*guarded)
	}{
		"a few": {3, 3, func(g *guarded) {}},
		"many":  {300, 100, func(g *guarded) {}},
		"expired": {150, 150, func(g *guarded) {
			g.denies = func(firn.ArchiveID) bool {
				if g.asked.Load() > 100 {
					g.broken.Store(true)
				}
				return false
			}
		}},
	} {
		for _, delay := range []time.Duration{0, 5 * time.Hour} {
			t.Run(fmt.Sprint(name, " ", delay), func(t *testing.T) {
				r := newRig(t, storetest.MemoryOptions{JobDelay: delay})
				r.files(int(test.files))
				from := &guarded{Store: r.Store, denies: func(firn.ArchiveID) bool { return true }}
				test.from(from)
				o := r.options()
				o.From.Store = from
				res, err := r.over(o)
				if firn.KindOf(err) != firn.Denied || from.asked.Load() > test.most {
					t.Errorf("%v after %d requests; %+v", err, from.asked.Load(), res)
				}
				if name != "expired" && res.Failed() {
					t.Errorf("failed: %+v", res.Migration.Totals)
				}
				from.denies = func(firn.ArchiveID) bool { return false }
				from.broken.Store(false)
				if res, err := r.over(o); err != nil || !res.Done {
					t.Errorf("once it may: %+v, %v", res, err)
				}
				r.checked()
			})
		}
	}
}
