package restore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
)

// thawing is a bench on a store in S3 of a class, whose archives thaw in some time.
func thawing(t *testing.T, class s3cold.Class, thaw time.Duration) (*worktest.Bench, *s3test.Server) {
	t.Helper()
	return thawingBy(t, class, s3test.Options{Thaw: thaw})
}

// thawingBy is thawing where the options say how fast that is.
func thawingBy(t *testing.T, class s3cold.Class, o s3test.Options) (*worktest.Bench, *s3test.Server) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	b := worktest.New(t, storetest.MemoryOptions{})
	o.Buckets, o.Clock = []string{"bucket"}, b.Clock
	server := s3test.New(o)
	s, err := s3cold.Open(t.Context(), s3cold.Config{Bucket: "bucket", Prefix: "p", Class: class, Region: "us-east-1", Endpoint: "http://s3.test", Transport: server.Transport()})
	must(t, err)
	must(t, s.Create(t.Context()))
	b.Store = s
	b.Row, err = b.Catalog.Register(t.Context(), catalog.StoreSpec{URL: "s3:bucket/p", Kind: "s3", Identity: "s3", Name: "p", Class: string(class)})
	must(t, err)
	return b, server
}

// sizeOfAll gives how many archives there are, and their bytes.
func sizeOfAll(b *worktest.Bench) (archives, bytes int64) {
	b.T.Helper()
	s, err := b.Catalog.StoreByURL(b.T.Context(), "s3:bucket/p")
	must(b.T, err)
	return s.Archives, s.Bytes
}

// TestABundleThawsWhole: for one member of a bundle all of it is asked for, and
// charged for, as a copy too; but what is read of it is the member.
func TestABundleThawsWhole(t *testing.T) {
	b, server := thawing(t, s3cold.DeepArchive, 12*time.Hour)
	b.Bundle(8<<20, 256<<20)
	for i := range 40 {
		b.Write(fmt.Sprintf("f%02d", i), strings.Repeat(string(rune('a'+i%26)), 900<<10))
	}
	b.Sync()
	archives, size := sizeOfAll(b)
	if archives != 1 {
		t.Fatalf("%d archives", archives)
	}
	till := &till{Store: b.Store, sizes: map[firn.ArchiveID]int64{}}
	b.Store = till
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Paths = []string{"f20", "f38"}
	p, res := planned(b, o)
	if p.Requests != 1 || p.Archives != 1 || p.RetrieveBytes != size || p.DownloadBytes > 4<<20 || p.DownloadBytes < 1800<<10 || p.ThawDays != 5 || p.Waves != 1 {
		t.Errorf("%+v", p)
	}
	// 48 hours of thawing and 18 of downloading are three days; two more, and until midnight.
	need := price.Need{Requests: p.Requests, Retrieve: p.RetrieveBytes, Days: int64(p.ThawDays)}
	copies := price.Bucket("DEEP_ARCHIVE", "us-east-1").Bill(p.Tier, need)[3]
	if copies.Units != size*6 || !copies.Cost.Known || copies.Cost.Amount == 0 {
		t.Errorf("copies are %+v", copies)
	}
	if least, most := p.Earliest.Sub(b.Clock.Now()), p.Latest.Sub(b.Clock.Now()); least.Round(time.Hour) != 24*time.Hour || most.Round(time.Hour) != 48*time.Hour {
		t.Errorf("from %v to %v", least, most)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Pending: 2})
	b.Clock.Advance(12 * time.Hour)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2})
	if calls := server.Calls()["POST restore"]; calls != 1 || till.download.Load() > 4<<20 {
		t.Errorf("%d requests, %d bytes downloaded", calls, till.download.Load())
	}
	ledger, err := b.Catalog.Ledger(t.Context(), b.Row.ID, b.Clock.Now().AddDate(0, -1, 0), b.Clock.Now().AddDate(0, 1, 0))
	must(t, err)
	if len(ledger.Charges) != 1 || ledger.Charges[0] != (catalog.Charge{Op: catalog.CopyOp, Rest: 5 * 24 * time.Hour, Calls: 1, Bytes: size}) {
		t.Errorf("the ledger has %+v", ledger.Charges)
	}
}

// TestThePlanOfAThaw: what a plan says is what is asked for, whole archives of all
// sizes, by each tier; expedited is none of those of DEEP_ARCHIVE.
func TestThePlanOfAThaw(t *testing.T) {
	for class, tiers := range map[s3cold.Class][]firn.Tier{
		s3cold.DeepArchive: {firn.Bulk, firn.Standard},
		s3cold.Glacier:     {firn.Bulk, firn.Standard, firn.Expedited},
	} {
		b, server := thawing(t, class, 12*time.Hour)
		b.Bundle(1<<20, 4<<20)
		mixed(b, 100)
		b.Sync()
		archives, size := sizeOfAll(b)
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Wait, o.MaxRange = true, 1<<20 // what is large can't come in parts
		p, res := planned(b, o)
		if p.Requests != archives || p.RetrieveBytes != size || int64(server.Calls()["POST restore"]) != archives || !res.Done || res.Failed() {
			t.Errorf("%s: %d archives of %d bytes: %+v, %v, %+v", class, archives, size, p, server.Calls(), res)
		}
		if got := p.Tiers(); fmt.Sprint(got) != fmt.Sprint(tiers) {
			t.Errorf("%s has the tiers %v", class, got)
		}
		fast := p.By(firn.Standard, 0)
		if fast.ThawDays >= p.ThawDays && class == s3cold.DeepArchive || !fast.Latest.Before(p.Latest) {
			t.Errorf("%s: standard %+v, bulk %+v", class, fast, p)
		}
	}
}

// TestNoSuchTier: what a class doesn't offer is refused before anything is done.
func TestNoSuchTier(t *testing.T) {
	b, server := thawing(t, s3cold.DeepArchive, time.Hour)
	b.Write("f", "content")
	b.Sync()
	for _, tiers := range [][]firn.Tier{{firn.Expedited}, {firn.Expedited, firn.Standard}, {firn.Bulk, firn.Expedited}} {
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Tiers = tiers
		o.Agree = func(context.Context, restore.Plan) error { t.Error("there is a plan"); return nil }
		_, err := restore.Run(t.Context(), o)
		if firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), "DEEP_ARCHIVE has no expedited retrievals") {
			t.Errorf("%v: %v", tiers, err)
		}
	}
	if left, err := b.Catalog.Restores(t.Context(), b.Row.ID, false); err != nil || len(left) != 0 || server.Calls()["POST restore"] != 0 {
		t.Errorf("%v, %v, %v", left, err, server.Calls())
	}
}

// TestNoSuchTierLater: nor does a restore go on by one.
func TestNoSuchTierLater(t *testing.T) {
	b, server := thawing(t, s3cold.DeepArchive, time.Hour)
	b.Write("f", "content")
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Afford = func(firn.Tier, restore.Spent) error {
		return &firn.Error{Op: "retrieve", Kind: firn.Policy, Err: errors.New("not now")}
	}
	o.Agree = func(context.Context, restore.Plan) error { return nil }
	run(b, o)
	o.Tiers, o.Afford = []firn.Tier{firn.Expedited}, nil
	o.Agree = func(context.Context, restore.Plan) error { t.Error("there is a plan"); return nil }
	if _, err := restore.Run(t.Context(), o); firn.KindOf(err) != firn.Usage || server.Calls()["POST restore"] != 0 {
		t.Errorf("%v, %v", err, server.Calls())
	}
}

// A snail is a store whose bytes take their time, by the clock.
type snail struct {
	firn.Store
	clock *clock.Manual
	perMB time.Duration
}

func (s *snail) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := s.Store.Output(ctx, id, at)
	if err == nil {
		s.clock.Advance(time.Duration(float64(at.Len()) / (1 << 20) * float64(s.perMB)))
	}
	return out, err
}

// TestCopiesStay: what is fetched too slowly for its copy is asked to stay, in time,
// and thaws once; what is fetched in time isn't.
func TestCopiesStay(t *testing.T) {
	for name, c := range map[string]struct {
		files  int
		size   int64
		perMB  time.Duration
		extend bool
	}{
		"one large file, slow":  {1, 80 << 20, 2 * time.Hour, true}, // 160 hours, of a copy for 120
		"one large file":        {1, 80 << 20, time.Hour, false},    // 80 hours
		"many small ones, slow": {40, 2 << 20, 2 * time.Hour, true},
		"many small ones":       {40, 2 << 20, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && c.files == 1 {
				t.Skip("many small files come by the same way, and in parallel")
			}
			b, server := thawing(t, s3cold.DeepArchive, 12*time.Hour)
			for i := range c.files {
				b.Write(fmt.Sprintf("f%02d", i), string(storetest.Data(uint64(i), int(c.size))))
			}
			b.Sync()
			b.Store = &snail{b.Store, b.Clock, c.perMB}
			o := options(b, filepath.Join(t.TempDir(), "out"))
			o.Concurrency, o.Wait = 1, true
			o.Downloader = downloader(t, b, 4<<20)
			res := run(b, o)
			if !res.Done || res.Failed() || res.Counts[firn.Restored].Files != int64(c.files) {
				t.Fatalf("%+v; %q", res, b.Notices())
			}
			ledger, err := b.Catalog.Ledger(t.Context(), b.Row.ID, b.Clock.Now().AddDate(0, -2, 0), b.Clock.Now().AddDate(0, 1, 0))
			must(t, err)
			calls := map[catalog.Op]int64{}
			for _, one := range ledger.Charges {
				calls[one.Op] += one.Calls
			}
			if calls[catalog.CopyOp] != int64(c.files) || calls[catalog.ExtendOp] > 0 != c.extend || calls[catalog.ExtendOp] > int64(c.files)*2 {
				t.Errorf("asked %v times", calls)
			}
			if asked := int64(server.Calls()["POST restore"]); asked != calls[catalog.CopyOp]+calls[catalog.ExtendOp] {
				t.Errorf("the ledger has %v, the server %d", calls, asked)
			}
		})
	}
}

// A sleeper is a store whose user's machine sleeps for a while, once it has brought
// something.
type sleeper struct {
	firn.Store
	clock *clock.Manual
	sleep time.Duration
	slept atomic.Bool
}

func (s *sleeper) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := s.Store.Output(ctx, id, at)
	if err == nil && !s.slept.Swap(true) {
		s.clock.Advance(s.sleep)
	}
	return out, err
}

// charged is what a restore was charged for by the ledger, call by call.
func charged(b *worktest.Bench) map[catalog.Op]int64 {
	b.T.Helper()
	ledger, err := b.Catalog.Ledger(b.T.Context(), b.Row.ID, b.Clock.Now().AddDate(0, -2, 0), b.Clock.Now().AddDate(0, 1, 0))
	must(b.T, err)
	calls := map[catalog.Op]int64{}
	for _, one := range ledger.Charges {
		calls[one.Op] += one.Calls
	}
	return calls
}

// TestCopiesThatAreGone: what was gone while the machine slept isn't asked to stay:
// that would have it thaw for its full price, which nobody agreed to. It is asked for
// again, and counted.
func TestCopiesThatAreGone(t *testing.T) {
	b, server := thawing(t, s3cold.DeepArchive, 12*time.Hour)
	for i := range 5 {
		b.Write(fmt.Sprintf("f%d", i), string(storetest.Data(uint64(i), 2<<20)))
	}
	b.Sync()
	b.Store = &sleeper{Store: b.Store, clock: b.Clock, sleep: 10 * 24 * time.Hour}
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Concurrency, o.Wait = 1, true
	o.Downloader = downloader(t, b, 4<<20)
	var last restore.Spent
	o.Afford = func(_ firn.Tier, all restore.Spent) error { last = all; return nil }
	res := run(b, o)
	if !res.Done || res.Failed() || res.Counts[firn.Restored].Files != 5 {
		t.Fatalf("%+v; %q", res, b.Notices())
	}
	calls, asked := charged(b), int64(server.Calls()["POST restore"])
	if calls[catalog.ExtendOp] != 0 || calls[catalog.CopyOp] != asked || last.Requests != asked || asked != 9 || last.Stays != 0 {
		t.Errorf("the server was asked %d times, the ledger has %v, and %+v was agreed to", asked, calls, last)
	}
}

// TestKeptCopiesAreAffordable: copies that stay longer count for what may be spent,
// over processes; where that is too much they go, and are asked for again if that may
// be.
func TestKeptCopiesAreAffordable(t *testing.T) {
	if testing.Short() {
		t.Skip("this is about sums")
	}
	tooDear := &firn.Error{Op: "retrieve", Kind: firn.Usage, Err: errors.New("too dear")}
	slow := func(t *testing.T) (*worktest.Bench, *s3test.Server, restore.Options) {
		b, server := thawing(t, s3cold.DeepArchive, 12*time.Hour)
		for i := range 40 {
			b.Write(fmt.Sprintf("f%02d", i), string(storetest.Data(uint64(i), 2<<20)))
		}
		b.Sync()
		b.Store = &snail{b.Store, b.Clock, 2 * time.Hour}
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Concurrency = 1
		o.Downloader = downloader(t, b, 4<<20)
		return b, server, o
	}
	t.Run("counted", func(t *testing.T) {
		b, _, o := slow(t)
		var last restore.Spent
		o.Afford = func(_ firn.Tier, all restore.Spent) error { last = all; return nil }
		run(b, o)
		b.Clock.Advance(13 * time.Hour)
		for range 50 {
			if run(b, o).Done {
				break
			}
		}
		stays := charged(b)[catalog.ExtendOp]
		if stays == 0 || last.Stays != stays || last.Kept < stays*3*2<<20 || last.Kept > stays*5*2<<20 {
			t.Errorf("%+v, and the ledger has %d", last, stays)
		}
		last = restore.Spent{}
		open, err := b.Catalog.Restores(t.Context(), b.Row.ID, false)
		must(t, err)
		if want := fmt.Sprintf(`"stays":%d`, stays); len(open) != 1 || !strings.Contains(open[0].Options, want) {
			t.Errorf("%+v doesn't have %s", open, want)
		}
	})
	t.Run("too dear", func(t *testing.T) {
		b, server, o := slow(t)
		o.Afford = func(_ firn.Tier, all restore.Spent) error {
			if all.Stays > 3 || all.Requests > 40 {
				return tooDear
			}
			return nil
		}
		run(b, o)
		b.Clock.Advance(13 * time.Hour)
		var err error
		for range 50 {
			if _, err = restore.Run(t.Context(), o); err != nil {
				break
			}
		}
		if asked := server.Calls()["POST restore"]; firn.KindOf(err) != firn.Usage || asked != 43 || charged(b)[catalog.ExtendOp] != 3 {
			t.Errorf("%v, after %d requests; %v", err, asked, charged(b))
		}
		if !strings.Contains(fmt.Sprint(b.Notices()), "can't be kept longer, and is asked for again when it is gone: retrieve: too dear") {
			t.Errorf("%q", b.Notices())
		}
	})
}

// TestScatteredFilesAreDownloaded: of small files all over bundles the whole MiBs are
// downloaded that hold them, and a portion is as much as that takes.
func TestScatteredFilesAreDownloaded(t *testing.T) {
	b, _ := thawing(t, s3cold.DeepArchive, 12*time.Hour)
	b.Bundle(2<<20, 4<<20)
	for i := range 24 {
		b.Write(fmt.Sprintf("f%02d.large", i), string(storetest.Data(uint64(i), 1500<<10)))
		b.Write(fmt.Sprintf("f%02d.small", i), fmt.Sprint("small ", i))
	}
	b.Sync()
	const wave = 66 * 3600 * 16 // 48 hours of thawing, and 18
	must(t, b.Catalog.SetDownloadRate(t.Context(), b.Row.ID, 16))
	o := options(b, filepath.Join(t.TempDir(), "out"))
	for i := range 24 {
		o.Paths = append(o.Paths, fmt.Sprintf("f%02d.small", i))
	}
	p, _ := planned(b, o)
	if p.Waves < 3 || p.DownloadBytes < 12<<20 {
		t.Fatalf("%+v", p)
	}
	open, err := b.Catalog.Restores(t.Context(), b.Row.ID, true)
	must(t, err)
	first, err := restore.ToDownload(t.Context(), b.Catalog, open[0].ID, catalog.RangeRequested)
	must(t, err)
	all, err := restore.ToDownload(t.Context(), b.Catalog, open[0].ID)
	must(t, err)
	if first == 0 || first > wave+4<<20 || all != p.DownloadBytes {
		t.Errorf("the first portion has %d bytes to download of %d (planned: %d), where %d come in time", first, all, p.DownloadBytes, wave)
	}
}

// TestWavesOfAThaw: no more thaws at a time than is downloaded while it does, by what
// is wanted of it; and a copy that takes long stays long.
func TestWavesOfAThaw(t *testing.T) {
	b, _ := thawing(t, s3cold.DeepArchive, 30*time.Hour)
	b.Bundle(1<<20, 4<<20)
	mixed(b, 100)
	b.Sync()
	must(t, b.Catalog.SetDownloadRate(t.Context(), b.Row.ID, 16)) // 3.6 MiB in 66 hours
	o := options(b, filepath.Join(t.TempDir(), "out"))
	p, _ := planned(b, o)
	if p.Waves < 2 || p.ThawDays < 5 {
		t.Fatalf("%+v", p)
	}
	open, err := b.Catalog.Restores(t.Context(), b.Row.ID, true)
	must(t, err)
	totals, err := b.Catalog.RangeTotals(t.Context(), open[0].ID)
	must(t, err)
	wave := int64(16 * 66 * 3600)
	if first := totals[catalog.RangeRequested]; first.Ranges == 0 || totals[catalog.RangePlanned].Ranges == 0 || first.Bytes > wave+8<<20 {
		t.Errorf("of %+v the first wave of %d is %+v", p, wave, first)
	}
	o.Wait = true
	if res := run(b, o); !res.Done || res.Failed() {
		t.Errorf("%+v", res)
	}
}

// TestReadAtOnce: a class that is read at once waits for nothing, and yet is agreed to
// first, where it is charged for.
func TestReadAtOnce(t *testing.T) {
	b, server := thawing(t, s3cold.GlacierIR, time.Hour)
	b.Bundle(1<<20, 4<<20)
	b.Write("a", strings.Repeat("a", 100<<10))
	b.Write("large", strings.Repeat("l", 2<<20))
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Afford = func(firn.Tier, restore.Spent) error { return nil }
	o.Agree = func(_ context.Context, p restore.Plan) error {
		if p.Files != 2 || p.RetrieveBytes < 2<<20 || p.RetrieveBytes > 4<<20 || p.ThawDays != 0 || !p.Latest.Equal(p.Now) {
			t.Errorf("%+v", p)
		}
		return io.ErrClosedPipe
	}
	if _, err := restore.Run(t.Context(), o); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("not agreed to: %v", err)
	}
	o.Agree = func(context.Context, restore.Plan) error { return nil }
	b.Files(firn.Restored)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2})
	if told := b.Files(firn.Restored); len(told) != 2 || server.Calls()["POST restore"] != 0 {
		t.Errorf("told of %q; %v", told, server.Calls())
	}
	left, err := b.Catalog.Restores(t.Context(), b.Row.ID, false)
	if err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func downloader(t *testing.T, b *worktest.Bench, piece int64) *transfer.Downloader {
	t.Helper()
	d, err := transfer.NewDownloader(b.Store, transfer.DownloadOptions{Clock: b.Clock, PieceSize: piece, Concurrency: 1})
	must(t, err)
	return d
}

// underWay is a restore of three archives that thaw by the tier bulk since an hour ago.
func underWay(t *testing.T, class s3cold.Class) (*worktest.Bench, *s3test.Server, restore.Options) {
	t.Helper()
	return underWayBy(t, class, s3test.Options{Thaw: 48 * time.Hour, Thaws: map[string]time.Duration{"Standard": 12 * time.Hour, "Expedited": time.Minute}})
}

// underWayBy is underWay where the options say how fast that is.
func underWayBy(t *testing.T, class s3cold.Class, how s3test.Options) (*worktest.Bench, *s3test.Server, restore.Options) {
	t.Helper()
	b, server := thawingBy(t, class, how)
	for i := range 3 {
		b.Write(fmt.Sprintf("f%d", i), string(storetest.Data(uint64(i), 2<<20)))
	}
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	if res := run(b, o); !res.Pending() || server.Calls()["POST restore"] != 3 {
		t.Fatalf("%+v, %v", res, server.Calls())
	}
	b.Clock.Advance(time.Hour)
	return b, server, o
}

// TestFasterTier: what thaws slowly is asked for once more by a faster tier, once that
// was agreed to, for its price and no further copy; and it is there when that tier
// brings it.
func TestFasterTier(t *testing.T) {
	b, server, o := underWay(t, s3cold.DeepArchive)
	_, size := sizeOfAll(b)
	o.Tiers = []firn.Tier{firn.Standard}
	refused := errors.New("too dear")
	o.Agree = func(context.Context, restore.Plan) error { return refused }
	if _, err := restore.Run(t.Context(), o); !errors.Is(err, refused) || server.Calls()["POST restore"] != 3 {
		t.Fatalf("%v, %v", err, server.Calls())
	}

	var last restore.Spent
	o.Afford = func(_ firn.Tier, all restore.Spent) error { last = all; return nil }
	p, res := planned(b, o)
	if p.Tier != firn.Standard || p.Requests != 3 || p.Hastened != 3 || p.RetrieveBytes != size || p.ThawDays != 0 || p.Files != 3 {
		t.Errorf("planned %+v", p)
	}
	if calls := server.Calls()["POST restore"]; calls != 6 || !res.Pending() || !res.Ready.Equal(b.Clock.Now().Add(6*time.Hour).Truncate(time.Second)) {
		t.Errorf("%d requests; %+v", calls, res)
	}
	if fmt.Sprint(last) != fmt.Sprint(restore.Spent{Requests: 3, Bytes: size, Slower: []restore.Asked{{Tier: firn.Bulk, Requests: 3, Bytes: size, Again: size}}}) {
		t.Errorf("what may be spent was asked of %+v", last)
	}
	if open, err := b.Catalog.OpenJobs(t.Context(), b.Row.ID); err != nil || len(open) != 3 || open[0].Remote.Tier != firn.Standard {
		t.Errorf("the catalog waits for %+v, %v", open, err)
	}

	// Nothing is asked for a third time, by whatever tier.
	for _, tier := range []firn.Tier{firn.Standard, firn.Bulk} {
		o.Tiers = []firn.Tier{tier}
		o.Agree = func(_ context.Context, p restore.Plan) error { return fmt.Errorf("asked to agree to %+v", p) }
		run(b, o)
	}
	b.Clock.Advance(12 * time.Hour)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
	if calls, charged := server.Calls()["POST restore"], charged(b); calls != 6 || charged[catalog.CopyOp] != 3 || charged[catalog.ExtendOp] != 0 {
		t.Errorf("%d requests; %v", calls, charged)
	}
	if open, err := b.Catalog.OpenJobs(t.Context(), b.Row.ID); err != nil || len(open) != 0 {
		t.Errorf("the catalog waits for %+v, %v", open, err)
	}
}

// TestFasterTierOfAnother: a restore that begins by a faster tier than another one asked
// for the same archives doesn't count on these; one by a tier that is as slow, or that
// may use one, does.
func TestFasterTierOfAnother(t *testing.T) {
	b, server, o := underWay(t, s3cold.Glacier)
	for _, c := range []struct {
		tiers []firn.Tier
		more  int64
	}{{[]firn.Tier{firn.Bulk}, 0}, {[]firn.Tier{firn.Standard, firn.Bulk}, 0}, {[]firn.Tier{firn.Expedited, firn.Standard}, 3}, {[]firn.Tier{firn.Standard}, 0}} {
		o.To, o.Tiers = filepath.Join(t.TempDir(), "other"), c.tiers
		before := server.Calls()["POST restore"]
		p, _ := planned(b, o)
		if asked := int64(server.Calls()["POST restore"] - before); p.Requests != c.more || p.Hastened != c.more || p.Taken != 3-c.more || asked != c.more {
			t.Errorf("%v: %d requests, %+v", c.tiers, asked, p)
		}
	}
	b.Clock.Advance(time.Minute)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
}

// TestSteadyServer: a server that says that an archive is on its way already, and speeds
// nothing up, is believed, however often it is tried: nothing counts as asked for.
func TestSteadyServer(t *testing.T) {
	b, server, o := underWayBy(t, s3cold.DeepArchive, s3test.Options{Thaw: 48 * time.Hour, Steady: true})
	o.Tiers, o.Concurrency = []firn.Tier{firn.Standard}, 1
	var last restore.Spent
	o.Afford = func(_ firn.Tier, all restore.Spent) error { last = all; return nil }
	_, res := planned(b, o)
	if said := strings.Join(b.Notices(), "\n"); !res.Pending() || server.Calls()["POST restore"] != 4 || !strings.Contains(said, "comes no faster") {
		t.Errorf("%+v, %v; %s", res, server.Calls(), said)
	}
	for range 3 {
		run(b, o)
	}
	if last.Requests > 2 { // one that is made, and the one that waits for it
		t.Errorf("what may be spent was asked of %+v", last)
	}
	if charged := askedByTier(b); charged[firn.Standard] != 0 || charged[firn.Bulk] != 3 {
		t.Errorf("charged for %v", charged)
	}
	o.Wait = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
}

// TestFasterTwice: what was sped up once is so again by a tier that is faster still.
func TestFasterTwice(t *testing.T) {
	b, server, o := underWay(t, s3cold.Glacier)
	for i, tier := range []firn.Tier{firn.Standard, firn.Expedited} {
		o.Tiers = []firn.Tier{tier}
		if p, _ := planned(b, o); p.Hastened != 3 || server.Calls()["POST restore"] < 6+3*i {
			t.Errorf("%s: %+v, %v", tier, p, server.Calls())
		}
	}
	b.Clock.Advance(time.Minute)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
}

// TestFasterTierTooDear: what was not sped up after all is on its way still: to go on by
// the slower tier needs no yes, and counts as nothing more.
func TestFasterTierTooDear(t *testing.T) {
	b, server, o := underWay(t, s3cold.DeepArchive)
	o.Tiers, o.Agree = []firn.Tier{firn.Standard}, func(context.Context, restore.Plan) error { return nil }
	o.Afford = func(firn.Tier, restore.Spent) error {
		return &firn.Error{Op: "retrieve", Kind: firn.Policy, Err: errors.New("too dear")}
	}
	run(b, o)
	o.Tiers, o.Afford = []firn.Tier{firn.Bulk}, nil
	o.Agree = func(_ context.Context, p restore.Plan) error { return fmt.Errorf("asked to agree to %+v", p) }
	if res := run(b, o); !res.Pending() || server.Calls()["POST restore"] != 3 {
		t.Errorf("%+v, %v", res, server.Calls())
	}
	for rg, err := range b.Catalog.RestoreRanges(t.Context(), 1) {
		if err != nil || rg.Asked != 1 || rg.State != catalog.RangeRequested {
			t.Errorf("%+v, %v", rg, err)
		}
	}
}

// askedByTier are the requests that are charged for, by tier.
func askedByTier(b *worktest.Bench) map[firn.Tier]int64 {
	b.T.Helper()
	l, err := b.Catalog.Ledger(b.T.Context(), b.Row.ID, time.Unix(0, 0), b.Clock.Now().Add(time.Hour))
	must(b.T, err)
	all := map[firn.Tier]int64{}
	for _, r := range l.Retrievals {
		all[r.Tier] += r.Requests
	}
	return all
}

// A steady store speeds nothing up.
type steady struct {
	firn.Store
	refused int
}

func (s *steady) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	if spec.Tier == firn.Standard {
		s.refused++
		return "", &firn.Error{Op: "start retrieval", Kind: firn.Invalid, Err: errors.New("a restore is in progress")}
	}
	return s.Store.StartRetrieval(ctx, spec)
}

// TestNoFasterTier: of a store that refuses it nothing is given up: it comes as slowly
// as it was asked to.
func TestNoFasterTier(t *testing.T) {
	b, _, o := underWay(t, s3cold.DeepArchive)
	s := &steady{Store: b.Store}
	o.Store, o.Tiers, o.Concurrency = s, []firn.Tier{firn.Standard}, 1
	_, res := planned(b, o)
	if said := strings.Join(b.Notices(), "\n"); !res.Pending() || s.refused != 1 || !strings.Contains(said, "comes no faster") {
		t.Errorf("%+v, refused %d times; %s", res, s.refused, said)
	}
	o.Wait = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
}

// A midnight is a store at which copies end amid an archive, once some pieces of it came.
type midnight struct {
	firn.Store
	clock  *clock.Manual
	pieces int // that come before
	read   atomic.Int64
}

func (m *midnight) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	if m.pieces--; m.pieces == -1 {
		job, err := m.Store.Job(ctx, id)
		if err != nil || job.Expires.IsZero() || !job.Expires.Equal(job.Expires.Truncate(24*time.Hour)) {
			return firn.Output{}, fmt.Errorf("the copy is there until %v, which is no midnight: %w", job.Expires, err)
		}
		m.clock.Advance(job.Expires.Sub(m.clock.Now())) // to the moment itself
	}
	out, err := m.Store.Output(ctx, id, at)
	if err == nil {
		m.read.Add(at.Len())
	}
	return out, err
}

// TestCopyEndsAtMidnight: a copy that ends while its archive is downloaded is asked for
// again, once, and counted; the pieces that came before are kept.
func TestCopyEndsAtMidnight(t *testing.T) {
	b, server := thawing(t, s3cold.DeepArchive, 12*time.Hour)
	const size, piece = worktest.Large, 16 << 20
	b.WriteLarge("large", "L")
	b.Sync()
	m := &midnight{Store: b.Store, clock: b.Clock, pieces: 2}
	b.Store = m
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Concurrency, o.Wait = 1, true
	o.Downloader = downloader(t, b, piece)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
	if asked, calls := server.Calls()["POST restore"], charged(b); asked != 2 || calls[catalog.CopyOp] != 2 || calls[catalog.ExtendOp] != 0 {
		t.Errorf("the server was asked %d times, the ledger has %v", asked, calls)
	}
	if n := m.read.Load(); n != size {
		t.Errorf("%d bytes were downloaded, want each once: %d", n, size)
	}
}
