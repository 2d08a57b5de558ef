package guard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/storetest"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// A scene is a store in memory that fails as planned, beneath Retry, with a
// clock and a watcher.
type scene struct {
	memory *storetest.Memory
	count  *guard.Counter // of the calls that reach the failing store
	store  firn.Store
	clock  *sleeper
	mu     sync.Mutex
	events []firn.Event
}

// A sleeper is a manual clock that remembers for how long it was slept on.
type sleeper struct {
	*clock.Manual
	mu     sync.Mutex
	slept  []time.Duration
	before func() // each sleep
}

func (s *sleeper) Sleep(ctx context.Context, d time.Duration) error {
	s.mu.Lock()
	s.slept = append(s.slept, d)
	s.mu.Unlock()
	if s.before != nil {
		s.before()
	}
	return s.Manual.Sleep(ctx, d)
}

// stage sets a scene. Pauses are drawn at their longest.
func stage(t *testing.T, outage time.Duration, faults ...storetest.Fault) *scene {
	s := &scene{
		memory: storetest.NewMemory(storetest.MemoryOptions{}),
		count:  guard.NewCounter(),
		clock:  &sleeper{Manual: clock.NewManual(noon)},
	}
	s.store = guard.Retry(guard.Count(storetest.Faulty(t, s.memory, faults...), s.count), guard.RetryOptions{
		Clock:  s.clock,
		Outage: outage,
		Random: func() float64 { return 1 },
		Events: func(e firn.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
		},
	})
	return s
}

func (s *scene) calls(op guard.Op) int64 { return s.count.Of(op).Calls }

func (s *scene) upload() error {
	body, sums := storetest.Body([]byte("x"))
	_, err := s.store.UploadArchive(context.Background(), "x", body, sums)
	return err
}

func wantKind(t *testing.T, err error, kind firn.Kind) {
	t.Helper()
	if err == nil || firn.KindOf(err) != kind {
		t.Errorf("%v: %v; want %v", firn.KindOf(err), err, kind)
	}
}

// TestUniqueCallsAreNotRepeated: after a lost answer there is one archive, one
// upload, one job, and the caller knows that there may be.
func TestUniqueCallsAreNotRepeated(t *testing.T) {
	ctx := t.Context()
	for _, late := range []bool{false, true} {
		s := stage(t, 0,
			storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Lost, Late: late},
			storetest.Fault{Op: "StartUpload", Kind: firn.Lost, Late: late},
			storetest.Fault{Op: "StartRetrieval", Kind: firn.Lost, Late: late},
			storetest.Fault{Op: "StartInventory", Kind: firn.Lost, Late: late},
		)
		if err := s.upload(); err != nil {
			t.Fatal(err)
		}
		archive := s.memory.Archives()[0].ID
		wantKind(t, s.upload(), firn.Lost)
		_, err := s.store.StartUpload(ctx, "x", 1<<20)
		wantKind(t, err, firn.Lost)
		_, err = s.store.StartRetrieval(ctx, firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk})
		wantKind(t, err, firn.Lost)
		_, err = s.store.StartInventory(ctx, firn.InventorySpec{Description: "x"})
		wantKind(t, err, firn.Lost)

		uploads, _ := storetest.Collect(s.memory.Uploads(ctx))
		jobs, _ := storetest.Collect(s.memory.Jobs(ctx))
		got := []int{len(s.memory.Archives()), len(uploads), len(jobs)}
		want := []int{1, 0, 0}
		if late {
			want = []int{2, 1, 2}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("late %v: archives, uploads, jobs (-want +got):\n%s", late, diff)
		}
		if len(s.clock.slept) > 0 {
			t.Errorf("waited for %v", s.clock.slept)
		}
	}
}

// TestWhatIsRepeated: how often a call is made that fails every time.
func TestWhatIsRepeated(t *testing.T) {
	const minute = time.Minute
	for kind, want := range map[firn.Kind]int64{
		firn.Other: 1, firn.Usage: 1, firn.NotFound: 1, firn.Denied: 1, firn.NoNewCustomers: 1, firn.Invalid: 1,
		firn.NotEmpty: 1, firn.Policy: 1, firn.Capacity: 1, firn.NotReady: 1, firn.Corrupt: 1, firn.Changed: 1,
		firn.Conflict: 1, firn.Full: 1, firn.Local: 1, firn.InDoubt: 1,
		firn.SlowBody: 3, firn.Skew: 4,
		// 0.5, 1, 2, 4, 8, 16, and 28.5 s are left of the minute.
		firn.Network: 8, firn.Unavailable: 8, firn.Lost: 8,
		// 0.02 doubled up to 20.48 s, which passes 40 s; then 30 s pass 60.
		firn.Throttled: 13,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			s := stage(t, minute, storetest.Fault{Op: "Describe", Times: -1, Kind: kind})
			_, err := s.store.Describe(t.Context())
			wantKind(t, err, kind)
			if got := s.calls(guard.OpDescribe); got != want {
				t.Errorf("%d calls, want %d; slept %v", got, want, s.clock.slept)
			}
		})
	}
}

// TestPausesGrow up to a minute.
func TestPausesGrow(t *testing.T) {
	s := stage(t, 5*time.Minute, storetest.Fault{Op: "Describe", Times: -1, Kind: firn.Network})
	_, err := s.store.Describe(t.Context())
	wantKind(t, err, firn.Network)
	seconds := []float64{0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 56.5}
	var got []float64
	for _, d := range s.clock.slept {
		got = append(got, d.Seconds())
	}
	if diff := cmp.Diff(seconds, got); diff != "" {
		t.Error(diff)
	}
}

// TestOutage: a store that is gone is waited for; who watches learns of it
// once, and once when it is back.
func TestOutage(t *testing.T) {
	s := stage(t, time.Hour, storetest.Fault{Op: "UploadArchive", Times: 10, Kind: firn.Network})
	if _, err := s.store.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.upload(); err != nil {
		t.Fatal(err)
	}
	want := []firn.Event{
		firn.NoticeEvent{Text: "UploadArchive: planned fault", Warn: true},
		firn.WaitEvent{What: "the store to answer again", Until: noon.Add(time.Hour)},
		firn.NoticeEvent{Text: "the store answers again, after 4m4s"},
	}
	if diff := cmp.Diff(want, s.events); diff != "" {
		t.Error(diff)
	}
	if n := len(s.memory.Archives()); n != 1 {
		t.Errorf("%d archives", n)
	}
}

// TestHiccupsAreSilent: what is over in seconds is nobody's business.
func TestHiccupsAreSilent(t *testing.T) {
	for _, kind := range []firn.Kind{firn.Unavailable, firn.Network} {
		s := stage(t, time.Hour, storetest.Fault{Op: "UploadArchive", Times: 3, Kind: kind})
		if _, err := s.store.Describe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.upload(); err != nil {
			t.Fatal(err)
		}
		if len(s.events) > 0 {
			t.Errorf("%v: %+v", kind, s.events)
		}
	}
}

// TestFirstContact: what is in the way of a store that hasn't answered yet is said
// before anything is waited for.
func TestFirstContact(t *testing.T) {
	s := stage(t, time.Hour, storetest.Fault{Op: "Describe", Kind: firn.Network})
	s.clock.before = sync.OnceFunc(func() {
		want := []firn.Event{
			firn.NoticeEvent{Text: "Describe: planned fault", Warn: true},
			firn.WaitEvent{What: "the store to answer", Until: noon.Add(time.Hour)},
		}
		if diff := cmp.Diff(want, s.events); diff != "" {
			t.Error(diff)
		}
	})
	if _, err := s.store.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.clock.slept); n != 1 {
		t.Errorf("waited %d times", n)
	}
}

// TestOutageIsShared: once the store has been waited for in vain, the next call
// finds out by one try, and each answer begins a new count.
func TestOutageIsShared(t *testing.T) {
	s := stage(t, time.Minute, storetest.Fault{Op: "UploadArchive", Times: 9, Kind: firn.Network})
	wantKind(t, s.upload(), firn.Network)
	if got := s.calls(guard.OpUploadArchive); got != 8 {
		t.Fatalf("%d calls", got)
	}
	wantKind(t, s.upload(), firn.Network)
	if got := s.calls(guard.OpUploadArchive); got != 9 {
		t.Errorf("%d more calls, want 1", got-8)
	}
	if err := s.upload(); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

// TestNoPatience: with an outage below 0 nothing is waited for.
func TestNoPatience(t *testing.T) {
	s := stage(t, -1, storetest.Fault{Op: "UploadArchive", Kind: firn.Network})
	wantKind(t, s.upload(), firn.Network)
	if got := s.calls(guard.OpUploadArchive); got != 1 {
		t.Errorf("%d calls", got)
	}
}

// TestThrottlingSlowsEveryCall, not only the one that was refused, and wears
// off.
func TestThrottlingSlowsEveryCall(t *testing.T) {
	s := stage(t, 0, storetest.Fault{Op: "UploadArchive", Times: 5, Kind: firn.Throttled})
	if err := s.upload(); err != nil {
		t.Fatal(err)
	}
	before := s.clock.Now()
	for range 3 {
		if _, err := s.store.Describe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// 20 ms doubled five times are 320 ms, a tenth less after each success.
	if took := s.clock.Now().Sub(before); took < 500*time.Millisecond || took > 900*time.Millisecond {
		t.Errorf("three other calls took %v", took)
	}
	for range 100 {
		s.store.Describe(t.Context())
	}
	before = s.clock.Now()
	s.store.Describe(t.Context())
	if took := s.clock.Now().Sub(before); took > 0 {
		t.Errorf("after a hundred successes a call still waits for %v", took)
	}
}

// TestThrottlingTogether: calls that are refused at the same time say the same
// thing, and slow the store down once.
func TestThrottlingTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 8
		memory, began := storetest.NewMemory(storetest.MemoryOptions{}), time.Now()
		m := &meeting{Store: storetest.Faulty(t, memory, storetest.Fault{Op: "Describe", Times: n, Kind: firn.Throttled}), n: n}
		m.ready.Add(n)
		s := guard.Retry(m, guard.RetryOptions{})
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				if _, err := s.Describe(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		// Eight calls, 20 ms apart. Doubled eight times it would be 2.5 s.
		if took := time.Since(began); took < 140*time.Millisecond || took > 200*time.Millisecond {
			t.Errorf("eight refusals at once cost %v", took)
		}
	})
}

// A meeting lets the first n calls of Describe wait for one another.
type meeting struct {
	firn.Store
	n     int
	mu    sync.Mutex
	ready sync.WaitGroup
}

func (m *meeting) Describe(ctx context.Context) (firn.StoreInfo, error) {
	m.mu.Lock()
	first := m.n > 0
	m.n--
	m.mu.Unlock()
	if first {
		m.ready.Done()
		m.ready.Wait()
	}
	return m.Store.Describe(ctx)
}

// TestEndOfContext: whoever gives up while Retry waits gets the reason.
func TestEndOfContext(t *testing.T) {
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := stage(t, 0, storetest.Fault{Op: "Describe", Times: -1, Kind: firn.Network})
	s.clock.before = func() {
		if len(s.clock.slept) == 3 {
			cancel(because)
		}
	}
	if _, err := s.store.Describe(ctx); !errors.Is(err, because) {
		t.Errorf("%v", err)
	}
	if got := s.calls(guard.OpDescribe); got != 3 {
		t.Errorf("%d calls", got)
	}
	if _, err := s.store.Describe(ctx); !errors.Is(err, because) || s.calls(guard.OpDescribe) != 3 {
		t.Errorf("after the end: %v, %d calls", err, s.calls(guard.OpDescribe))
	}
}

// TestListingsGiveEachItemOnce, however often they begin again.
func TestListingsGiveEachItemOnce(t *testing.T) {
	ctx := t.Context()
	broken := func(op string) (faults []storetest.Fault) {
		for i, after := range []int64{2, 0, 7, 3, 7} {
			faults = append(faults, storetest.Fault{Op: op, Nth: i + 1, After: after, Kind: firn.Lost})
		}
		return faults
	}
	s := stage(t, 0, append(append(broken("Uploads"), broken("Parts")...), broken("Jobs")...)...)
	var wantUploads, wantJobs, gotUploads, gotJobs []string
	for i := range 10 {
		id, err := s.memory.StartUpload(ctx, fmt.Sprint(i), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		wantUploads = append(wantUploads, string(id))
		job, err := s.memory.StartInventory(ctx, firn.InventorySpec{Description: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		wantJobs = append(wantJobs, string(job))
		body, sums := storetest.Body([]byte("x"))
		if err := s.memory.UploadPart(ctx, firn.UploadID(wantUploads[0]), int64(i)<<20, body, sums); err != nil {
			t.Fatal(err)
		}
	}
	for u, err := range s.store.Uploads(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		gotUploads = append(gotUploads, string(u.ID))
	}
	for j, err := range s.store.Jobs(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		gotJobs = append(gotJobs, string(j.ID))
	}
	parts, err := storetest.Collect(s.store.Parts(ctx, firn.UploadID(wantUploads[0])))
	if err != nil || len(parts) != 10 {
		t.Errorf("%d parts, %v", len(parts), err)
	}
	for i, p := range parts {
		if p.Offset != int64(i)<<20 {
			t.Errorf("part %d is at %d", i, p.Offset)
		}
	}
	if diff := cmp.Diff(wantUploads, gotUploads); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(wantJobs, gotJobs); diff != "" {
		t.Error(diff)
	}
}

// TestVaultsAreListedAgain: a list of vaults that breaks begins again, no vault
// comes twice, and what is refused is not asked again.
func TestVaultsAreListedAgain(t *testing.T) {
	for _, test := range []struct {
		kind  firn.Kind
		lists int // that are begun
		want  []string
	}{
		{firn.Unavailable, 3, []string{"a", "b", "c"}},
		{firn.Denied, 1, []string{"a"}},
	} {
		lists := 0
		list := func(context.Context) iter.Seq2[firn.StoreInfo, error] {
			return func(yield func(firn.StoreInfo, error) bool) {
				lists++
				for i, name := range []string{"a", "b", "c"} {
					if i == lists && lists < 3 {
						yield(firn.StoreInfo{}, &firn.Error{Op: "list vaults", Kind: test.kind})
						return
					}
					if !yield(firn.StoreInfo{Name: name}, nil) {
						return
					}
				}
			}
		}
		var got []string
		var last error
		for v, err := range guard.RetryVaults(t.Context(), list, guard.RetryOptions{Clock: clock.NewManual(noon)}) {
			if last = err; err == nil {
				got = append(got, v.Name)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" || lists != test.lists || (last == nil) != (test.kind != firn.Denied) {
			t.Errorf("%v: %d lists, %v, %s", test.kind, lists, last, diff)
		}
	}
}

// TestListingThatIsLeft: a loop that ends early ends the listing, even if what
// follows would fail.
func TestListingThatIsLeft(t *testing.T) {
	s := stage(t, 0, storetest.Fault{Op: "Uploads", After: 1, Kind: firn.Network})
	for range 3 {
		if _, err := s.memory.StartUpload(t.Context(), "x", 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, err := range s.store.Uploads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			break
		}
	}
	if got := s.calls(guard.OpUploads); got != 1 {
		t.Errorf("%d calls", got)
	}
	_, err := storetest.Collect(s.store.Uploads(t.Context()))
	if err != nil {
		t.Error(err)
	}
}

// TestListingThatFails gives what came before the error, and the error once.
func TestListingThatFails(t *testing.T) {
	s := stage(t, 0, storetest.Fault{Op: "Uploads", After: 2, Times: -1, Kind: firn.Denied})
	for range 3 {
		if _, err := s.memory.StartUpload(t.Context(), "x", 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	items, errs := 0, 0
	for _, err := range s.store.Uploads(t.Context()) {
		if err != nil {
			errs++
			continue
		}
		items++
	}
	if items != 2 || errs != 1 {
		t.Errorf("%d items, %d errors", items, errs)
	}
}

// inventoryOf stores n archives and gives a ready inventory of them.
func (s *scene) inventoryOf(t *testing.T, n int) firn.JobID {
	t.Helper()
	for range n {
		if err := s.upload(); err != nil {
			t.Fatal(err)
		}
	}
	id, err := s.store.StartInventory(t.Context(), firn.InventorySpec{Description: "x"})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestInventoryGivesEachArchiveOnce, wherever it breaks off.
func TestInventoryGivesEachArchiveOnce(t *testing.T) {
	const n = 10
	for after := range int64(n + 1) {
		s := stage(t, 0,
			storetest.Fault{Op: "Inventory", Nth: 1, After: after, Kind: firn.Network},
			storetest.Fault{Op: "Inventory", Nth: 2, After: after / 2, Kind: firn.Lost},
			storetest.Fault{Op: "Inventory", Nth: 3, After: min(n, after+1), Kind: firn.Unavailable},
		)
		id := s.inventoryOf(t, n)
		var got []firn.Archive
		info, err := s.store.Inventory(t.Context(), id, func(a firn.Archive) error {
			got = append(got, a)
			return nil
		})
		if err != nil || info.Archives != n {
			t.Errorf("%+v, %v", info, err)
		}
		if diff := cmp.Diff(s.memory.Archives(), got); diff != "" {
			t.Errorf("after %d: %s", after, diff)
		}
	}
}

// TestInventoryThatChanges: a second reading that differs from the first can't
// be joined to it.
func TestInventoryThatChanges(t *testing.T) {
	s := stage(t, 0)
	for name, second := range map[string][]firn.Archive{
		"another archive": {{ID: "a"}, {ID: "x"}, {ID: "c"}},
		"fewer":           {{ID: "a"}},
	} {
		reads := 0
		store := guard.Retry(&inventories{Store: s.memory, read: func(each func(firn.Archive) error) (firn.InventoryInfo, error) {
			list := second
			if reads++; reads == 1 {
				list = []firn.Archive{{ID: "a"}, {ID: "b"}}
			}
			for _, a := range list {
				if err := each(a); err != nil {
					return firn.InventoryInfo{}, err
				}
			}
			if reads == 1 {
				return firn.InventoryInfo{}, &firn.Error{Op: "read", Kind: firn.Network}
			}
			return firn.InventoryInfo{Archives: int64(len(list))}, nil
		}}, guard.RetryOptions{Clock: s.clock})
		_, err := store.Inventory(t.Context(), "x", func(firn.Archive) error { return nil })
		if firn.KindOf(err) != firn.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type inventories struct {
	firn.Store
	read func(each func(firn.Archive) error) (firn.InventoryInfo, error)
}

func (i *inventories) Inventory(_ context.Context, _ firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	return i.read(each)
}

// TestOutputsBreakOff: what is missing of a download is for the caller to ask.
func TestOutputsBreakOff(t *testing.T) {
	s := stage(t, 0, storetest.Fault{Op: "Output", Kind: firn.Network}, storetest.Fault{Op: "Output", Nth: 2, After: 5, Kind: firn.Network})
	data := []byte("0123456789")
	body, sums := storetest.Body(data)
	archive, err := s.store.UploadArchive(t.Context(), "x", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	job, err := s.store.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.store.Output(t.Context(), job, firn.Range{End: 10})
	if err != nil {
		t.Fatalf("opening it: %v", err)
	}
	got, err := io.ReadAll(out)
	wantKind(t, err, firn.Network)
	if !bytes.Equal(got, data[:5]) {
		t.Errorf("%q", got)
	}
}

// TestErrorsComeThroughUnchanged, with what they say.
func TestErrorsComeThroughUnchanged(t *testing.T) {
	s := stage(t, -1, storetest.Fault{Op: "Describe", Kind: firn.Unavailable})
	_, err := s.store.Describe(t.Context())
	var e *firn.Error
	if !errors.As(err, &e) || e.Op != "Describe" || !strings.Contains(err.Error(), "planned fault") {
		t.Errorf("%v", err)
	}
}
