package catalog_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// billed is a fixture whose store charges.
func billed(t *testing.T) *fixture {
	f := newFixture(t)
	var err error
	f.store, err = f.Register(t.Context(), catalog.StoreSpec{URL: "glacier:v", Kind: "glacier", Identity: "vault", Name: "v", Region: "us-east-1"})
	check(t, err)
	f.tree, err = f.Bind(t.Context(), f.store.ID, "bills", "nas", "/home/bills")
	check(t, err)
	f.run = f.begin(t)
	return f
}

// TestLedger: charges of an hour and of months add up, those of other stores
// are none of theirs, and jobs are retrievals as soon as they were perhaps asked
// for.
func TestLedger(t *testing.T) {
	f := billed(t)
	ctx := t.Context()
	remote := f.upload(t, f.run, regular("f", "12345"))
	begin := f.clock.Now()
	up, down := catalog.Charge{Op: catalog.UploadOp, Calls: 3}, catalog.Charge{Op: catalog.DownloadOp, Calls: 1, Bytes: 100}
	for range 2 {
		check(t, f.Charge(ctx, "glacier:v", []catalog.Charge{up, down}))
		f.clock.Advance(2 * time.Hour)
	}
	check(t, f.Charge(ctx, "local:/v", []catalog.Charge{up}))
	check(t, f.Charge(ctx, "glacier:unheard-of", []catalog.Charge{up}))

	whole, part, foreign := firn.Job{Archive: remote, Tier: firn.Bulk}, firn.Job{Archive: remote, Tier: firn.Bulk, Range: firn.Range{Start: 1, End: 3}}, firn.Job{Archive: "unknown", Tier: firn.Standard}
	for _, job := range []firn.Job{whole, part, foreign, whole} {
		job.Kind = firn.RetrievalJob
		_, err := f.JobIntent(ctx, catalog.Job{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Remote: job})
		check(t, err)
	}
	check(t, f.JobGone(ctx, 4, "the store refused it")) // the second of the whole archive never was
	_, err := f.JobSeen(ctx, f.store.ID, firn.Token{}, firn.Job{ID: "somebody else's", Kind: firn.RetrievalJob, Archive: remote, Tier: firn.Bulk})
	check(t, err)

	got, err := f.Ledger(ctx, f.store.ID, begin.Truncate(time.Hour), begin.Add(24*time.Hour))
	check(t, err)
	want := catalog.Ledger{
		Charges: []catalog.Charge{{Op: catalog.DownloadOp, Calls: 2, Bytes: 200}, {Op: catalog.UploadOp, Calls: 6}},
		Retrievals: []catalog.Retrievals{
			{Tier: firn.Bulk, Requests: 2, Bytes: 7},
			{Tier: firn.Standard, Requests: 1, Unsized: 1},
		},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = f.Ledger(ctx, f.store.ID, begin.Truncate(time.Hour), begin.Truncate(time.Hour).Add(time.Hour))
	check(t, err)
	want = catalog.Ledger{Charges: []catalog.Charge{{Op: catalog.DownloadOp, Calls: 1, Bytes: 100}, {Op: catalog.UploadOp, Calls: 3}}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestEarlyDeletionsAreCharged: with what is left of the shortest time, once, and
// only where the store charges for it.
func TestEarlyDeletionsAreCharged(t *testing.T) {
	f := billed(t)
	ctx := t.Context()
	for i := range 3 {
		f.upload(t, f.run, regular(fmt.Sprint("f", i), fmt.Sprint("content ", i)))
	}
	deleted := func() {
		f.remove(t, "f0")
		f.retireOld(t, "f0")
		f.queue(t)
	}
	deleted()
	f.clock.Advance(24*time.Hour + time.Minute)
	check(t, f.MarkDeleted(ctx, f.run, 1)) // by its place in the queue
	check(t, f.MarkDeleted(ctx, f.run, 1))
	check(t, f.MarkDeleted(ctx, f.run, 2)) // by its age
	f.clock.Advance(90 * 24 * time.Hour)
	check(t, f.MarkDeleted(ctx, f.run, 3)) // it was paid for
	got, err := f.Ledger(ctx, f.store.ID, epoch.Truncate(time.Hour), epoch.AddDate(1, 0, 0))
	check(t, err)
	want := catalog.Ledger{Charges: []catalog.Charge{{Op: catalog.EarlyOp, Rest: 89 * 24 * time.Hour, Calls: 2, Bytes: 18}}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	free := newFixture(t)
	free.upload(t, free.run, regular("f", "content"))
	check(t, free.MarkDeleted(ctx, free.run, 1))
	got, err = free.Ledger(ctx, free.store.ID, epoch.Truncate(time.Hour), epoch.AddDate(1, 0, 0))
	check(t, err)
	if len(got.Charges) != 0 {
		t.Errorf("a folder charges %+v", got)
	}
}

// TestKeepings: what there is now, and for how long it was there, with what went
// meanwhile; over several pages of archives.
func TestKeepings(t *testing.T) {
	f := billed(t)
	f.SetSizes(2, 3, 100)
	ctx := t.Context()
	for i := range 7 {
		f.upload(t, f.run, regular(fmt.Sprint("f", i), fmt.Sprint("content ", i))) // 9 bytes each, created at epoch
	}
	f.clock.Advance(10 * time.Hour)
	check(t, f.MarkDeleted(ctx, f.run, 2))
	check(t, f.MarkLost(ctx, f.run, []int64{3}))
	f.clock.Advance(90 * time.Hour)
	keep := func(from, to time.Time, shortest time.Duration) catalog.Keeping {
		t.Helper()
		all, err := f.Keepings(ctx, f.store.ID, from, to, shortest)
		check(t, err)
		if len(all) != 1 || all[0].Kind != catalog.FileArchive {
			t.Fatalf("%+v", all)
		}
		return all[0]
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	all := keep(epoch, epoch.AddDate(0, 1, 0), 200*time.Hour)
	if all.Archives != 5 || all.Bytes != 45 || all.EarlyArchives != 5 || all.EarlyBytes != 45 {
		t.Errorf("now: %+v", all)
	}
	near("archives", all.ArchiveHours, 5*100+2*10)
	near("bytes", all.ByteHours, 9*(5*100+2*10))
	near("left", all.EarlyHours, 5*100)
	near("bytes left", all.EarlyByteHours, 9*5*100)
	if old := keep(epoch, epoch.AddDate(0, 1, 0), 100*time.Hour); old.EarlyArchives != 0 || old.EarlyHours != 0 {
		t.Errorf("at the end of the shortest time: %+v", old)
	}
	part := keep(epoch.Add(4*time.Hour), epoch.Add(20*time.Hour), 0)
	near("archives of a part", part.ArchiveHours, 5*16+2*6)
	if before := keep(epoch.AddDate(0, -1, 0), epoch.Add(-time.Hour), 0); before.ArchiveHours != 0 {
		t.Errorf("before there was anything: %+v", before)
	}
}

// TestOpenParts: uploads with parts at the store are charged for, until they are
// complete.
func TestOpenParts(t *testing.T) {
	f := billed(t)
	open := func(want firn.Count) {
		t.Helper()
		got, err := f.OpenParts(t.Context(), f.store.ID)
		check(t, err)
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	first, second := f.intend(t, f.run, regular("f", "one")), f.intend(t, f.run, regular("g", "two"))
	open(firn.Count{})
	for i, archive := range []int64{first.ID, first.ID, second.ID} {
		check(t, f.Exec(t.Context(), "INSERT INTO part (archive, offset, size, tree) VALUES (?, ?, ?, x'00')", archive, i<<20, 1<<20))
	}
	open(firn.Count{Files: 2, Bytes: 3 << 20})
	f.stored(t, f.run, first)
	open(firn.Count{Files: 1, Bytes: 1 << 20})
}

// TestEarlyDeletionsOfClasses: in S3 the shortest time is that of the class; of
// snapshots, which are of STANDARD, there is none.
func TestEarlyDeletionsOfClasses(t *testing.T) {
	for class, rest := range map[string]time.Duration{"DEEP_ARCHIVE": 80, "GLACIER": 0, "GLACIER_IR": 0, "STANDARD": 0, "": 0} {
		f := newFixture(t)
		ctx := t.Context()
		var err error
		f.store, err = f.Register(ctx, catalog.StoreSpec{URL: "s3:b", Kind: "s3", Identity: "bucket", Name: "b", Class: class})
		check(t, err)
		f.tree, err = f.Bind(ctx, f.store.ID, "bills", "nas", "/home/bills")
		check(t, err)
		f.run = f.begin(t)
		f.upload(t, f.run, regular("f", "content"))
		snapshot := f.snapshot(t, f.run, 0, f.run.ID)
		f.clock.Advance(100 * 24 * time.Hour)
		check(t, f.MarkDeleted(ctx, f.run, 1))
		check(t, f.MarkDeleted(ctx, f.run, snapshot.Archive))
		got, err := f.Ledger(ctx, f.store.ID, epoch.Truncate(time.Hour), epoch.AddDate(1, 0, 0))
		check(t, err)
		var want []catalog.Charge
		if rest > 0 {
			want = []catalog.Charge{{Op: catalog.EarlyOp, Class: class, Rest: rest * 24 * time.Hour, Calls: 1, Bytes: 7}}
		}
		if diff := gocmp.Diff(want, got.Charges); diff != "" {
			t.Errorf("%s: %s", class, diff)
		}
	}
}

// TestCopiesAreCharged: with the days for which they are to stay, when they are asked
// for and each time that they are to stay longer.
func TestCopiesAreCharged(t *testing.T) {
	f := billed(t)
	ctx := t.Context()
	row, err := f.JobIntent(ctx, catalog.Job{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Remote: firn.Job{Kind: firn.RetrievalJob, Archive: "a", Tier: firn.Bulk}})
	check(t, err)
	check(t, f.JobThawed(ctx, row, "thaw::a", 1000, 5))
	check(t, f.CopyExtended(ctx, f.store.ID, 1000, 3))
	wantKind(t, f.JobThawed(ctx, 99, "thaw::b", 1000, 5), firn.NotFound, "thaw::b")
	got, err := f.Ledger(ctx, f.store.ID, epoch.Truncate(time.Hour), epoch.AddDate(1, 0, 0))
	check(t, err)
	want := []catalog.Charge{
		{Op: catalog.CopyOp, Rest: 5 * 24 * time.Hour, Calls: 1, Bytes: 1000},
		{Op: catalog.ExtendOp, Rest: 3 * 24 * time.Hour, Calls: 1, Bytes: 1000},
	}
	if diff := gocmp.Diff(want, got.Charges); diff != "" || len(got.Retrievals) != 1 {
		t.Errorf("%s; %+v", diff, got.Retrievals)
	}
	if jobs := f.openJobs(t); len(jobs) != 1 || jobs[0].Remote.ID != "thaw::a" {
		t.Errorf("%+v", jobs)
	}
}
