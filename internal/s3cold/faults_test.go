package s3cold_test

import (
	"bytes"
	"io"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// The operations of S3 that a store uses: those that may be made twice without
// harm, and those that may not, because the suite's archives bear no token by which
// two of them are one.
var (
	repeatable = []string{
		"GET", "HEAD", "DELETE", "GET list-type", "GET uploads",
		"PUT uploadId", "GET uploadId", "POST uploadId", "DELETE uploadId",
	}
	unique = []string{"PUT", "POST uploads", "POST restore"}
	lists  = []string{"GET list-type", "GET uploads", "GET uploadId"}
)

// onEach aims a fault at the n-th call of each operation.
func onEach(ops []string, nth int, kind s3test.FaultKind) (faults []s3test.Fault) {
	for _, op := range ops {
		faults = append(faults, s3test.Fault{Op: op, Nth: nth, Kind: kind})
	}
	return faults
}

// TestConformanceUnderFaults: beneath guard.Retry, a server that fails in all the
// ways that a repetition helps against passes the suite as if it didn't. It speaks
// over a network, whose connections break.
func TestConformanceUnderFaults(t *testing.T) {
	every := slices.Concat(repeatable, unique)
	spoken := slices.DeleteFunc(slices.Clone(every), func(op string) bool { return op == "HEAD" }) // whose refusals have no body
	// A completion whose answer was lost isn't asked for again: it shows.
	safe := slices.DeleteFunc(slices.Clone(repeatable), func(op string) bool { return op == "POST uploadId" })
	plans := map[string][]s3test.Fault{
		"refused": slices.Concat(
			onEach(every, 1, s3test.SlowDown), onEach(every, 2, s3test.Unavailable), onEach(every, 3, s3test.Conflict),
			onEach(spoken, 4, s3test.Skew),
		),
		"unanswered": slices.Concat(
			onEach(repeatable, 1, s3test.LostAnswer), onEach(safe, 2, s3test.Reset), onEach(safe, 3, s3test.Internal),
		),
		"completed late": slices.Concat(
			onEach([]string{"POST uploadId"}, 1, s3test.Late), onEach([]string{"POST uploadId"}, 2, s3test.Reset),
			onEach([]string{"POST uploadId"}, 3, s3test.Internal), onEach([]string{"POST uploadId"}, 4, s3test.LostAnswer),
		),
		"cut short": slices.Concat(onEach(lists, 1, s3test.Truncate), onEach(lists, 3, s3test.Truncate)),
	}
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "unanswered" {
				t.Skip("the whole suite, as often as there are kinds of faults")
			}
			struck := make([]int, len(plan))
			storetest.Run(t, func(t *testing.T) storetest.Harness { return faulty(t, plan, struck) })
			for i, n := range struck {
				if n == 0 {
					t.Errorf("never struck: %+v", plan[i])
				}
			}
		})
	}
}

// faulty is a fresh server with faults, and two stores on it whose calls are
// repeated.
func faulty(t *testing.T, plan []s3test.Fault, struck []int) storetest.Harness {
	const thaw = 12 * time.Hour
	faults := s3test.NewFaults(plan...)
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
	server := httptest.NewServer(s3test.New(s3test.Options{Clock: now, Thaw: thaw, Page: 40, Buckets: []string{"bucket"}, Faults: faults}))
	t.Cleanup(func() {
		server.Close()
		for i := range plan {
			struck[i] += faults.Struck(i)
		}
	})
	store := func(prefix string) firn.Store {
		s := open(t, nil, func(c *s3cold.Config) { c.Endpoint, c.Prefix, c.Class = server.URL, prefix, s3cold.DeepArchive })
		// On a clock of its own, so that pauses cost nothing and thaw nothing.
		return guard.Retry(s, guard.RetryOptions{Clock: clock.NewManual(time.Now())})
	}
	h := storetest.Harness{Store: store("photos"), Missing: store("missing"), Advance: now.Advance, Ripe: thaw, OutputLife: 57 * time.Hour} // two days, and until midnight
	if err := h.Store.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// shaky opens a store of a server with faults, whose calls are repeated.
func shaky(t *testing.T, o s3test.Options, faults ...s3test.Fault) (*s3test.Server, *s3test.Faults, firn.Store) {
	t.Helper()
	plan := s3test.NewFaults(faults...)
	o.Buckets, o.Faults = []string{"bucket"}, plan
	server := s3test.New(o)
	s := guard.Retry(open(t, server, nil), guard.RetryOptions{Clock: clock.NewManual(time.Now()), Outage: time.Hour})
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server, plan, s
}

// TestLostUploadIsRepeated: an upload of firn's own whose answer was lost, or of
// which the server doesn't know what became, is made again, and is one archive.
func TestLostUploadIsRepeated(t *testing.T) {
	for _, kind := range []s3test.FaultKind{s3test.LostAnswer, s3test.Internal, s3test.Reset} {
		server, plan, s := shaky(t, s3test.Options{}, s3test.Fault{Op: "PUT", Key: "home/", Times: 3, Kind: kind})
		d, _ := describeFile(t, "home", "a")
		id := upload(t, s, d, []byte("content"))
		if keys := server.Keys("bucket"); id != "home/a" || plan.Struck(0) < 3 || len(keys) != 2 {
			t.Errorf("%s: %q after %d; there are %q", kind, id, plan.Struck(0), keys)
		}
	}
}

// TestLostUploadIsDoubtful: where nothing tells two archives apart, or the network
// doesn't come back, an upload without an answer is in doubt.
func TestLostUploadIsDoubtful(t *testing.T) {
	body, sums := storetest.Body([]byte("content"))
	own, _ := describeFile(t, "home", "a")
	for name, c := range map[string]struct {
		description string
		o           s3test.Options
		key         string
		then        s3test.FaultKind
	}{
		"another's description": {"x", s3test.Options{}, "objects/", s3test.LostAnswer},
		"no conditions":         {own, s3test.Options{NoConditions: true}, "objects/", s3test.LostAnswer},
		"for ever":              {own, s3test.Options{}, "home/", s3test.LostAnswer},
		"then refused":          {own, s3test.Options{}, "home/", s3test.Denied},
		"then gone":             {own, s3test.Options{}, "home/", s3test.SlowDown},
	} {
		_, _, s := shaky(t, c.o, s3test.Fault{Op: "PUT", Key: c.key, Kind: s3test.LostAnswer}, s3test.Fault{Op: "PUT", Key: c.key, Nth: 2, Times: -1, Kind: c.then},
			s3test.Fault{Op: "HEAD", Key: c.key, Times: -1, Kind: c.then})
		_, err := s.UploadArchive(t.Context(), c.description, body, sums)
		wantKind(t, name, err, firn.Lost)
	}
}

// TestLostTicket: the name that an upload in parts is to have isn't given up where
// the answer was lost that it is free.
func TestLostTicket(t *testing.T) {
	server, _, s := shaky(t, s3test.Options{}, s3test.Fault{Op: "PUT", Key: "/uploads/", Kind: s3test.LostAnswer})
	d, _ := describeFile(t, "home", "large")
	id, err := s.StartUpload(t.Context(), d, s3cold.MinPart)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("one small part")
	body, sums := storetest.Body(data)
	if err := s.UploadPart(t.Context(), id, 0, body, sums); err != nil {
		t.Fatal(err)
	}
	archive, err := s.CompleteUpload(t.Context(), id, int64(len(data)), sums.Tree)
	if err != nil || archive != "home/large" {
		t.Errorf("%q, %v; there are %q", archive, err, server.Keys("bucket"))
	}
}

// TestSpoiltBodies: a byte that changes on its way up is refused by the server, and
// nothing is kept; one that changes on its way down differs from the tree hash that
// comes with it.
func TestSpoiltBodies(t *testing.T) {
	server, _, s := shaky(t, s3test.Options{},
		s3test.Fault{Op: "PUT", Key: "home/", Kind: s3test.Spoilt}, s3test.Fault{Op: "PUT uploadId", Kind: s3test.Spoilt},
		s3test.Fault{Op: "GET", Key: "catalog/", Kind: s3test.Spoilt})
	d, _ := describeFile(t, "home", "a")
	body, sums := storetest.Body([]byte("content"))
	_, err := s.UploadArchive(t.Context(), d, body, sums)
	wantKind(t, "UploadArchive", err, firn.Corrupt)
	id, err := s.StartUpload(t.Context(), d, s3cold.MinPart)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "UploadPart", s.UploadPart(t.Context(), id, 0, body, sums), firn.Corrupt)
	if data, _, _ := server.Object("bucket", "photos/home/a"); data != nil {
		t.Error("it was kept")
	}
	snapshot := encode(t, describe.Archive{Token: firn.NewToken(), Kind: describe.Snapshot, Made: time.Unix(1e9, 0)})
	job, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: upload(t, s, snapshot, []byte("rows")), Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Output(t.Context(), job, firn.Range{End: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	got, err := io.ReadAll(out)
	if err != nil || bytes.Equal(got, []byte("rows")) || treehash.Sum(got) == out.Tree || out.Tree != treehash.Sum([]byte("rows")) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestPagesBreakOff: a list that breaks off is read again, and has each archive
// once, also where others come and go meanwhile.
func TestPagesBreakOff(t *testing.T) {
	server, plan, s := shaky(t, s3test.Options{Page: 3}, s3test.Fault{Op: "GET list-type", Nth: 4, Kind: s3test.Truncate},
		s3test.Fault{Op: "GET list-type", Nth: 8, Kind: s3test.Reset})
	want := map[firn.ArchiveID]bool{}
	for i := range 20 {
		d, _ := describeFile(t, "home", string(rune('b'+i)))
		want[upload(t, s, d, []byte{1})] = true
	}
	job, err := s.StartInventory(t.Context(), firn.InventorySpec{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[firn.ArchiveID]int{}
	info, err := s.Inventory(t.Context(), job, func(a firn.Archive) error {
		if got[a.ID]++; len(got) == 5 {
			early, _ := describeFile(t, "home", "a") // before what was read
			upload(t, s, early, []byte{1})
			return s.DeleteArchive(t.Context(), a.ID)
		}
		return nil
	})
	if err != nil || plan.Struck(0) != 1 || plan.Struck(1) != 1 {
		t.Fatalf("%v; %d, %d; %d", err, plan.Struck(0), plan.Struck(1), server.Calls()["GET list-type"])
	}
	for id := range want {
		if got[id] != 1 {
			t.Errorf("%q came %d times", id, got[id])
		}
	}
	if info.Archives != int64(len(got)) {
		t.Errorf("%d archives of %d", info.Archives, len(got))
	}
}
