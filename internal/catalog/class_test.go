package catalog_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/sqldb"
)

const (
	aDay     = 24 * time.Hour
	deepLife = 180 * aDay
	iceLife  = 90 * aDay
)

// inBucket is a fixture whose store is in S3, of the class DEEP_ARCHIVE.
func inBucket(t *testing.T) *fixture {
	f := newFixture(t)
	var err error
	f.store, err = f.Register(t.Context(), catalog.StoreSpec{URL: "s3:b/p", Kind: "s3", Identity: "bucket", Name: "b/p", Region: "us-east-1", Class: "DEEP_ARCHIVE"})
	check(t, err)
	f.tree, err = f.Bind(t.Context(), f.store.ID, "photos", "nas", "/home/photos")
	check(t, err)
	f.run = f.begin(t)
	return f
}

// storedIn records an archive with what the store said of it; it gives its row.
func (f *fixture) storedIn(t *testing.T, kind catalog.ArchiveKind, size int64, r firn.Receipt) int64 {
	t.Helper()
	in := []catalog.Intent{{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Kind: kind, Size: size, Description: "words"}}
	check(t, f.Intend(t.Context(), in))
	a := firn.Archive{ID: firn.ArchiveID("archive-" + in[0].Token.String()), Size: size, Created: f.clock.Now(), Receipt: r}
	check(t, f.Catalog.Stored(t.Context(), in[0].ID, a, f.run, nil))
	return in[0].ID
}

// TestClassesAreCharged: each archive of a store in S3 by its own class, in the bill, in
// the queue, and when it is deleted; one of which no class is recorded by what the store
// may have it in.
func TestClassesAreCharged(t *testing.T) {
	f := inBucket(t)
	ctx := t.Context()
	f.storedIn(t, catalog.FileArchive, 1000, firn.Receipt{Class: "DEEP_ARCHIVE", Checksum: "SHA256:abc="})
	f.storedIn(t, catalog.FileArchive, 1000, firn.Receipt{Class: "GLACIER_IR"})
	f.storedIn(t, catalog.FileArchive, 500_000, firn.Receipt{Class: "GLACIER_IR"})
	f.storedIn(t, catalog.BundleArchive, 1000, firn.Receipt{Class: "STANDARD"})
	f.storedIn(t, catalog.FileArchive, 7, firn.Receipt{}) // stored before classes were recorded
	f.storedIn(t, catalog.CatalogArchive, 70, firn.Receipt{})
	f.clock.Advance(aDay)

	type kept struct {
		Kind                    catalog.ArchiveKind
		Class                   string
		Archives, Bytes, Charge int64
		Early, EarlyBytes       int64
		Hours, ByteHours, Rest  float64
	}
	all, err := f.Keepings(ctx, f.store.ID, epoch, epoch.AddDate(0, 1, 0), deepLife)
	check(t, err)
	var got []kept
	for _, k := range all {
		got = append(got, kept{k.Kind, k.Class, k.Archives, k.Bytes, k.Charged, k.EarlyArchives, k.EarlyBytes, k.ArchiveHours, k.ByteHours, k.EarlyHours})
	}
	deepRest, iceRest := (deepLife - aDay).Hours(), (iceLife - aDay).Hours()
	want := []kept{
		{"bundle", "STANDARD", 1, 1000, 1000, 0, 0, 24, 24_000, 0},
		{"catalog", "STANDARD", 1, 70, 70, 0, 0, 24, 24 * 70, 0},
		{"file", "DEEP_ARCHIVE", 2, 1007, 1007, 2, 1007, 48, 24 * 1007, 2 * deepRest},
		{"file", "GLACIER_IR", 2, 501_000, 631_072, 2, 631_072, 48, 24 * 631_072, 2 * iceRest},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	free := map[int64]time.Duration{}
	for s, err := range f.Standings(ctx, f.store.ID, 100*aDay) {
		check(t, err)
		free[s.ID] = s.Free.Sub(epoch.Truncate(time.Second))
	}
	if diff := gocmp.Diff(map[int64]time.Duration{1: deepLife, 2: iceLife, 3: iceLife, 4: 0, 5: 100 * aDay, 6: 100 * aDay}, free); diff != "" {
		t.Errorf("free of fees: %s", diff)
	}

	check(t, f.Condemn(ctx, f.run, catalog.Retirement{MinAge: 100 * aDay, Why: "test"}, []int64{1, 2, 4, 5}))
	_, err = f.QueueDeletions(ctx, f.run)
	check(t, err)
	q, err := f.DeletionQueue(ctx, f.store.ID)
	check(t, err)
	if first, last := q.First.Sub(epoch.Truncate(time.Second)), q.Last.Sub(epoch.Truncate(time.Second)); first != 0 || last != deepLife {
		t.Errorf("the queue is due after %v to %v", first, last)
	}
	for id := range int64(6) {
		check(t, f.MarkDeleted(ctx, f.run, id+1))
	}
	ledger, err := f.Ledger(ctx, f.store.ID, epoch.Truncate(time.Hour), epoch.AddDate(0, 1, 0))
	check(t, err)
	fees := []catalog.Charge{
		{Op: catalog.EarlyOp, Class: "DEEP_ARCHIVE", Rest: deepLife - aDay, Calls: 2, Bytes: 1007},
		{Op: catalog.EarlyOp, Class: "GLACIER_IR", Rest: iceLife - aDay, Calls: 2, Bytes: 631_072},
	}
	if diff := gocmp.Diff(fees, ledger.Charges); diff != "" {
		t.Error(diff)
	}
}

// TestClassesAreLearned: a list tells the class of what was stored before classes were
// recorded, and of what somebody has moved to another since; what S3 confirmed stays.
func TestClassesAreLearned(t *testing.T) {
	f := inBucket(t)
	ctx := t.Context()
	old := f.storedIn(t, catalog.LooseArchive, 10, firn.Receipt{})
	moved := f.storedIn(t, catalog.LooseArchive, 20, firn.Receipt{Class: "DEEP_ARCHIVE", Checksum: "SHA256:abc="})
	same := f.storedIn(t, catalog.LooseArchive, 30, firn.Receipt{Class: "DEEP_ARCHIVE"})
	var listed []firn.Archive
	for h, err := range f.Archives(ctx, f.store.ID) {
		check(t, err)
		listed = append(listed, firn.Archive{ID: h.Remote, Description: "words", Size: h.Size, Created: h.Created, Receipt: firn.Receipt{Class: map[int64]string{old: "DEEP_ARCHIVE", moved: "GLACIER_IR", same: "DEEP_ARCHIVE"}[h.ID]}})
	}
	differs, err := f.NewComparison(f.store.ID).Add(ctx, listed)
	check(t, err)
	if len(differs) != 2 || differs[0].Verdict != catalog.Untold || differs[1].Verdict != catalog.Untold {
		t.Fatalf("%+v", differs)
	}
	check(t, f.Learn(ctx, f.run, differs))
	if differs, err = f.NewComparison(f.store.ID).Add(ctx, listed); err != nil || len(differs) != 0 {
		t.Errorf("learned, and still: %+v, %v", differs, err)
	}
	rows, err := f.Query(ctx, "SELECT archive, class, checksum FROM object ORDER BY archive")
	check(t, err)
	want := [][]any{{old, "DEEP_ARCHIVE", ""}, {moved, "GLACIER_IR", "SHA256:abc="}, {same, "DEEP_ARCHIVE", ""}}
	if diff := gocmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	checkInvariants(t, f.Catalog)
}

// TestForeignClasses: what a snapshot, or a server, gives for a class or a checksum and
// can't be one isn't recorded; the archive is.
func TestForeignClasses(t *testing.T) {
	f := inBucket(t)
	ctx := t.Context()
	const class, sum = "MARK_CLASS", "MARK:sum="
	f.storedIn(t, catalog.LooseArchive, 10, firn.Receipt{Class: class, Checksum: sum})
	rows, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})
	if !bytes.Contains(rows, []byte(class)) || !bytes.Contains(rows, []byte(sum)) {
		t.Fatalf("no class in %s", rows)
	}
	for _, c := range []struct{ class, sum, wantClass, wantSum string }{
		{"GLACIER_IR", "SHA256:aGk=-3", "GLACIER_IR", "SHA256:aGk=-3"},
		{"cold-hdd.2", "CRC64NVME:a/b+c=", "cold-hdd.2", "CRC64NVME:a/b+c="},
		{`\u001b[2J`, "SHA256:a\\nb", "", ""},
		{"' OR 1", "SHA256", "", ""},
		{strings.Repeat("A", 1<<16), "SHA256:" + strings.Repeat("A", 1<<16), "", ""},
		{"EIS\u00a0", ":abc=", "", ""},
		{"DEEP_ARCHIVE", "SHA256:", "DEEP_ARCHIVE", ""},
	} {
		b := bytes.ReplaceAll(bytes.ReplaceAll(rows, []byte(class), []byte(c.class)), []byte(sum), []byte(c.sum))
		other, store := another(t)
		_, err := other.ReadRows(ctx, store, read(b))
		check(t, err)
		got, err := other.Query(ctx, "SELECT coalesce(o.class, ''), coalesce(o.checksum, '') FROM archive a LEFT JOIN object o ON o.archive = a.id")
		check(t, err)
		if diff := gocmp.Diff([][]any{{c.wantClass, c.wantSum}}, got); diff != "" {
			t.Errorf("%.20q, %.20q: %s", c.class, c.sum, diff)
		}
	}
	// A server may list the same.
	hostile := firn.Receipt{Class: strings.Repeat("A", 1<<16)}
	row := f.storedIn(t, catalog.LooseArchive, 20, hostile)
	for h, err := range f.Archives(ctx, f.store.ID) {
		check(t, err)
		if h.ID != row {
			continue
		}
		listed := firn.Archive{ID: h.Remote, Description: "words", Size: h.Size, Created: h.Created, Receipt: hostile}
		if differs, err := f.NewComparison(f.store.ID).Add(ctx, []firn.Archive{listed}); err != nil || len(differs) != 0 || h.Class != "" {
			t.Errorf("%.20q, listed: %+v, %v", h.Class, differs, err)
		}
	}
}

// TestMigrationFromSchema4: what was charged for before stays in the ledger, as of the
// store's class, and archives of which nothing is recorded are of that class too. A
// store that charged for something was reached.
func TestMigrationFromSchema4(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	ctx := t.Context()
	old, err := sqldb.Open(ctx, path, sqldb.Options{ApplicationID: catalog.ApplicationID, Name: "catalog", Migrations: catalog.SchemasUntil4()})
	check(t, err)
	check(t, old.Write(ctx, func(tx *sqldb.Tx) error {
		for _, row := range []string{
			"INSERT INTO store (id, identity, kind, url, name, region, address, registered, registered_ns, class) VALUES (1, 'bucket', 's3', 's3:b/p', 'b', 'us-east-1', '', 0, 0, 'GLACIER')",
			"INSERT INTO store (id, identity, kind, url, name, region, address, registered, registered_ns) VALUES (2, 'heard of', 's3', 's3:c/p', 'c', 'us-east-1', '', 0, 0)",
			"INSERT INTO store_url VALUES ('s3:b/p', 1)",
			"INSERT INTO ledger VALUES (1, 100, 'early', 48, 3, 3000), (1, 100, 'upload', 0, 5, 0)",
			"INSERT INTO archive (id, store, kind, state, run, remote, size, created, created_ns) VALUES (1, 1, 'file', 10, 0, 'a', 9, 360000, 0)",
		} {
			if _, err := tx.Exec(ctx, row); err != nil {
				return err
			}
		}
		return nil
	}))
	check(t, old.Close())
	f := &fixture{}
	f.Catalog = open(t, path, newFixture(t).clock)
	ledger, err := f.Ledger(ctx, 1, time.Unix(0, 0), time.Unix(1_000_000, 0))
	check(t, err)
	want := []catalog.Charge{{Op: catalog.EarlyOp, Rest: 48 * time.Hour, Calls: 3, Bytes: 3000}, {Op: catalog.UploadOp, Calls: 5}}
	if diff := gocmp.Diff(want, ledger.Charges); diff != "" {
		t.Error(diff)
	}
	stores, err := f.Stores(ctx)
	check(t, err)
	for _, s := range stores {
		if s.Reached != (s.ID == 1) {
			t.Errorf("store %d: reached %v", s.ID, s.Reached)
		}
	}
	kept, err := f.Keepings(ctx, 1, time.Unix(360_000, 0), time.Unix(363_600, 0), iceLife)
	check(t, err)
	if len(kept) != 1 || kept[0].Class != "GLACIER" || kept[0].Archives != 1 || kept[0].ByteHours != 9 {
		t.Errorf("%+v", kept)
	}
}
