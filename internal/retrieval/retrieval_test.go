package retrieval_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

const mib = treehash.LeafSize

// slow is a store that takes hours.
var slow = storetest.MemoryOptions{JobDelay: 5 * time.Hour, InventoryEvery: 24 * time.Hour}

// content is some bytes, others for each seed.
func content(seed uint64, size int) []byte {
	data := make([]byte, size)
	src := rand.NewChaCha8([32]byte{byte(seed)})
	src.Read(data)
	return data
}

// A rig is a bench with archives that its catalog doesn't know.
type rig struct {
	*worktest.Bench
	data map[firn.ArchiveID][]byte

	mu  sync.Mutex
	got []string // labels that were ready
}

func newRig(t *testing.T, o storetest.MemoryOptions, faults ...storetest.Fault) *rig {
	t.Helper()
	return &rig{Bench: worktest.New(t, o, faults...), data: map[firn.ArchiveID][]byte{}}
}

func (r *rig) check(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatal(err)
	}
}

// put stores an archive, and gives the want of all of it.
func (r *rig) put(label string, size int) retrieval.Want {
	r.T.Helper()
	data := content(uint64(len(r.data)), size)
	sums := treehash.NewDouble()
	sums.Write(data)
	id, err := r.Memory.UploadArchive(r.T.Context(), label, io.NewSectionReader(bytes.NewReader(data), 0, int64(size)), sums.Sums())
	r.check(err)
	r.data[id] = data
	return retrieval.Want{Remote: id, Size: int64(size), Tree: treehash.Sum(data), Label: label}
}

// part is the want of a range of MiBs.
func part(w retrieval.Want, from, to int64) retrieval.Want {
	w.Range = &firn.Range{Start: from * mib, End: min(to*mib, w.Size)}
	w.Label = fmt.Sprint(w.Label, " ", from, "-", to)
	return w
}

// asker gives one as a new process has it.
func (r *rig) asker() *retrieval.Asker {
	r.T.Helper()
	return retrieval.New(r.options())
}

func (r *rig) options() retrieval.Options {
	r.T.Helper()
	down, err := transfer.NewDownloader(r.Store, transfer.DownloadOptions{Clock: r.Clock})
	r.check(err)
	run, err := r.Catalog.BeginRun(r.T.Context(), r.Row.ID, 0, "recover")
	r.check(err)
	return retrieval.Options{
		Catalog: r.Catalog, Row: r.Row.ID, Store: r.Store, Downloader: down, Clock: r.Clock, Events: r.Events, Run: run,
	}
}

// take fetches a want and compares it with what was stored.
func (r *rig) take(ctx context.Context, w retrieval.Want, ready *retrieval.Ready) error {
	at := firn.Range{End: ready.Size()}
	if w.Range != nil {
		at = *w.Range
	}
	data, err := ready.Fetch(ctx, at)
	if err != nil {
		return err
	}
	if !bytes.Equal(data, r.data[w.Remote][at.Start:at.End]) {
		r.T.Errorf("%s: other bytes", w.Label)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, w.Label)
	return nil
}

// round runs one round of a new process, and checks what was ready, how many
// wants are pending and how many were given up.
func (r *rig) round(wants []retrieval.Want, ready []string, pending, failed int) retrieval.Result {
	r.T.Helper()
	r.got = nil
	res, err := r.asker().Run(r.T.Context(), wants, r.take, false)
	r.check(err)
	slices.Sort(r.got)
	if !slices.Equal(r.got, ready) || len(res.Pending) != pending || len(res.Failed) != failed {
		r.T.Errorf("ready %q, want %q; %d pending, want %d; failed %v, want %d", r.got, ready, len(res.Pending), pending, res.Failed, failed)
	}
	return res
}

// asked checks how many jobs the store was asked for.
func (r *rig) asked(want int) {
	r.T.Helper()
	jobs, err := storetest.Collect(r.Memory.Jobs(r.T.Context()))
	r.check(err)
	if len(jobs) != want {
		r.T.Errorf("%d jobs were asked for, want %d", len(jobs), want)
	}
}

// open gives the jobs that the catalog waits for.
func (r *rig) open() []catalog.Job {
	r.T.Helper()
	jobs, err := r.Catalog.OpenJobs(r.T.Context(), r.Row.ID)
	r.check(err)
	return jobs
}

// TestNothingIsAskedForTwice: by whatever process, and also where a want is
// there twice.
func TestNothingIsAskedForTwice(t *testing.T) {
	r := newRig(t, slow)
	a, b := r.put("a", 3*mib+5), r.put("b", 7)
	wants := []retrieval.Want{part(a, 1, 2), a, b, b, part(a, 2, 4)}
	for range 3 {
		res := r.round(wants, nil, 5, 0)
		if until := res.Ready.Sub(r.Clock.Now()); until <= 0 || until > 5*time.Hour {
			t.Errorf("ready in %v", until)
		}
		r.asked(2)
		r.Clock.Advance(time.Hour)
	}
	r.Clock.Advance(2 * time.Hour)
	r.round(wants, []string{"a", "a 1-2", "a 2-4", "b", "b"}, 0, 0)
	r.asked(2)
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
	// The store has the output for some hours more.
	r.round(wants[:2], []string{"a", "a 1-2"}, 0, 0)
	r.asked(2)
}

// TestRanges: each is a job of its own where nothing brings the whole, and what
// a wider one brings is not asked for.
func TestRanges(t *testing.T) {
	r := newRig(t, slow)
	a := r.put("a", 9*mib+1)
	r.round([]retrieval.Want{part(a, 4, 8)}, nil, 1, 0)
	r.round([]retrieval.Want{part(a, 8, 10), part(a, 5, 6)}, nil, 2, 0)
	r.asked(2)
	r.Clock.Advance(5 * time.Hour)
	r.round([]retrieval.Want{part(a, 8, 10), part(a, 5, 6), part(a, 4, 8), part(a, 5, 7)}, []string{"a 4-8", "a 5-6", "a 5-7", "a 8-10"}, 0, 0)
	r.asked(2)
	r.round([]retrieval.Want{part(a, 7, 9)}, nil, 1, 0)
	r.asked(3)
}

// TestWaiting: one call asks, waits until the tier's earliest time and then
// each quarter of an hour, and fetches.
func TestWaiting(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 6 * time.Hour})
	var sleeps []time.Duration
	before := r.Clock.Now()
	o := retrieval.Options{Catalog: r.Catalog, Row: r.Row.ID, Store: r.Store, Clock: r.Clock, Tier: firn.Bulk, Run: catalog.Run{ID: 1}}
	var err error
	o.Downloader, err = transfer.NewDownloader(r.Store, transfer.DownloadOptions{Clock: r.Clock})
	r.check(err)
	o.Events = func(e firn.Event) {
		if w, ok := e.(firn.WaitEvent); ok {
			sleeps = append(sleeps, w.Until.Sub(r.Clock.Now()))
			if w.What != "2 archives that the store is getting ready" {
				t.Error(w.What)
			}
		}
	}
	res, err := retrieval.New(o).Run(t.Context(), []retrieval.Want{r.put("a", 1), r.put("b", mib)}, r.take, true)
	r.check(err)
	if len(res.Pending)+len(res.Failed) != 0 || len(r.got) != 2 {
		t.Errorf("%+v, %v", res, r.got)
	}
	if took := r.Clock.Now().Sub(before); took < 6*time.Hour || took > 6*time.Hour+15*time.Minute {
		t.Errorf("it took %v", took)
	}
	if len(sleeps) != 5 || sleeps[0] != 5*time.Hour || sleeps[1] != 15*time.Minute {
		t.Errorf("it slept %v", sleeps)
	}
}

// TestLostAnswers: a job whose answer was lost is found in the list; one that
// never was is asked for when it can't appear any more.
func TestLostAnswers(t *testing.T) {
	for name, late := range map[string]bool{"started": true, "never started": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, slow, storetest.Fault{Op: "StartRetrieval", Kind: firn.Lost, Late: late})
			wants := []retrieval.Want{r.put("a", 5)}
			r.round(wants, nil, 1, 0)
			r.Clock.Advance(5 * time.Minute)
			r.round(wants, nil, 1, 0)
			r.Clock.Advance(6 * time.Minute)
			r.round(wants, nil, 1, 0)
			r.asked(1)
			if open := r.open(); len(open) != 1 || open[0].State != catalog.JobRunning {
				t.Errorf("the catalog waits for %+v", open)
			}
			r.Clock.Advance(5 * time.Hour)
			r.round(wants, []string{"a"}, 0, 0)
			r.asked(1)
		})
	}
}

// TestWaitingForALostAnswer: who waits looks soon whether a request arrived that there is
// no answer to, and not only once the tier's time has passed; and asks again then.
func TestWaitingForALostAnswer(t *testing.T) {
	for name, late := range map[string]bool{"started": true, "never started": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, slow, storetest.Fault{Op: "StartRetrieval", Kind: firn.Lost, Late: late})
			before := r.Clock.Now()
			sleeps := 0
			o := r.options()
			o.Events = func(e firn.Event) {
				if _, ok := e.(firn.WaitEvent); ok {
					sleeps++
				}
			}
			_, err := retrieval.New(o).Run(t.Context(), []retrieval.Want{r.put("a", 1), r.put("b", 1)}, r.take, true)
			r.check(err)
			if took := r.Clock.Now().Sub(before); len(r.got) != 2 || took > 5*time.Hour+30*time.Minute || sleeps > 3 {
				t.Errorf("it took %v, and slept %d times; %d came", took, sleeps, len(r.got))
			}
		})
	}
}

// TestKilledBeforeItAsked: the intent alone makes a later process wait for as
// long as the request may still arrive.
func TestKilledBeforeItAsked(t *testing.T) {
	r := newRig(t, slow)
	w := part(r.put("a", 3*mib), 1, 2)
	_, err := r.Catalog.JobIntent(t.Context(), catalog.Job{
		Store: r.Row.ID, Token: firn.NewToken(), Remote: firn.Job{Kind: firn.RetrievalJob, Archive: w.Remote, Range: *w.Range, Tier: firn.Bulk},
	})
	r.check(err)
	r.Clock.Advance(retrieval.AnswerTime)
	r.round([]retrieval.Want{w}, nil, 1, 0)
	r.asked(0)
	r.Clock.Advance(time.Second)
	r.round([]retrieval.Want{w}, nil, 1, 0)
	r.asked(1)
}

// TestCancelledWhileItAsks: what the store did is recorded, though nobody waits.
func TestCancelledWhileItAsks(t *testing.T) {
	r := newRig(t, slow)
	w := r.put("a", 5)
	ctx, cancel := context.WithCancel(t.Context())
	r.Store = &hooked{Store: r.Store, started: cancel}
	if _, err := r.asker().Run(ctx, []retrieval.Want{w, r.put("b", 5)}, r.take, true); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	for _, j := range r.open() {
		if j.State != catalog.JobRunning {
			t.Errorf("not recorded: %+v", j)
		}
	}
}

// hooked calls a function after each job was started.
type hooked struct {
	firn.Store
	started func()
}

func (h *hooked) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	defer h.started()
	return h.Store.StartRetrieval(ctx, spec)
}

// TestOtherPeoplesJobs are as good as ours, whether they bring the whole archive
// or the range.
func TestOtherPeoplesJobs(t *testing.T) {
	r := newRig(t, slow)
	a, b := r.put("a", 3*mib), r.put("b", 3*mib)
	for _, w := range []retrieval.Want{a, part(b, 1, 2)} {
		_, err := r.Memory.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: w.Remote, Range: w.Range, Tier: firn.Standard, Description: "mtijob1 other"})
		r.check(err)
	}
	wants := []retrieval.Want{part(a, 0, 1), part(b, 1, 2)}
	r.round(wants, nil, 2, 0)
	r.asked(2)
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
	r.Clock.Advance(5 * time.Hour)
	r.round(append(wants, b), []string{"a 0-1", "b 1-2"}, 1, 0)
	r.asked(3)
}

// TestExpiry: outputs that are gone when they are read, or before anybody looked,
// are asked for again, some times.
func TestExpiry(t *testing.T) {
	r := newRig(t, slow, storetest.Fault{Op: "Output", Kind: firn.NotFound})
	wants := []retrieval.Want{r.put("a", 5)}
	r.round(wants, nil, 1, 0)
	r.Clock.Advance(5 * time.Hour)
	// As long as the store still lists what it hasn't any more, that is all there is.
	r.round(wants, nil, 1, 0)
	r.asked(2)
	r.Clock.Advance(48 * time.Hour)
	r.round(wants, nil, 1, 0)
	r.Clock.Advance(5 * time.Hour)
	r.round(wants, []string{"a"}, 0, 0)
}

// TestGivenUp: what fails again and again is not paid for for ever.
func TestGivenUp(t *testing.T) {
	r := newRig(t, slow, storetest.Fault{Op: "Output", Times: 3, Kind: firn.NotFound})
	res, err := r.asker().Run(t.Context(), []retrieval.Want{r.put("a", 5)}, r.take, true)
	r.check(err)
	if len(res.Failed) != 1 || len(res.Pending) != 0 || !strings.Contains(res.Failed[0].Err.Error(), "asked for 3 times") {
		t.Errorf("%+v", res)
	}
	r.asked(3)
}

// TestJobsThatFail are asked for some times, and the store's words are handed on.
func TestJobsThatFail(t *testing.T) {
	r := newRig(t, slow)
	r.Store = failing{r.Store}
	res, err := r.asker().Run(t.Context(), []retrieval.Want{r.put("a", 5)}, r.take, true)
	r.check(err)
	if len(res.Failed) != 1 || !strings.Contains(res.Failed[0].Err.Error(), "asked for 3 times, in vain: no luck") {
		t.Errorf("%+v", res)
	}
	r.asked(3)
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
}

// failing is a store whose jobs all fail.
type failing struct{ firn.Store }

func (f failing) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return func(yield func(firn.Job, error) bool) {
		for job, err := range f.Store.Jobs(ctx) {
			job.State, job.Message = firn.JobFailed, "no luck"
			if !yield(job, err) {
				return
			}
		}
	}
}

// TestFailedJobs say why, and hold nothing else up.
func TestFailedJobs(t *testing.T) {
	r := newRig(t, slow)
	wants := []retrieval.Want{r.put("deleted", 5), r.put("b", 5), {Remote: "nobody's", Label: "c"}, {Label: "d"}, part(retrieval.Want{Remote: "x", Size: 5 * mib}, 1, 1)}
	res := r.round(wants, nil, 2, 3)
	for _, f := range res.Failed {
		if k := firn.KindOf(f.Err); k != firn.NotFound && k != firn.Invalid || !strings.Contains(f.Err.Error(), "retriev") {
			t.Errorf("%s: %v", f.Want.Label, f.Err)
		}
	}
	r.check(r.Memory.DeleteArchive(t.Context(), wants[0].Remote))
	r.Clock.Advance(5 * time.Hour)
	r.round(wants[:2], []string{"b"}, 0, 1)
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
}

// TestCorrupt: bytes that aren't what is known, or what the store says, are told.
func TestCorrupt(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	other, short := r.put("a", 2*mib), r.put("b", 5)
	other.Tree[0]++
	short.Size++
	for _, f := range r.round([]retrieval.Want{other, part(other, 0, 1), short}, nil, 0, 3).Failed {
		if firn.KindOf(f.Err) != firn.Corrupt || !strings.Contains(f.Err.Error(), f.Want.Label) {
			t.Errorf("%s: %v", f.Want.Label, f.Err)
		}
	}
	// The body itself, of which this store gives no hash.
	c := r.put("c", 3*mib)
	c.Tree = treehash.Hash{}
	r.Store = &lying{r.Store}
	for _, w := range []retrieval.Want{c, part(c, 0, 2)} {
		for _, f := range r.round([]retrieval.Want{w}, nil, 0, 1).Failed {
			if firn.KindOf(f.Err) != firn.Corrupt {
				t.Errorf("%s: %v", f.Want.Label, f.Err)
			}
		}
	}
}

// lying changes a byte of each output.
type lying struct{ firn.Store }

func (l *lying) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := l.Store.Output(ctx, id, at)
	if err != nil {
		return out, err
	}
	data, err := io.ReadAll(out)
	data[len(data)/2]++
	return firn.Output{ReadCloser: io.NopCloser(bytes.NewReader(data))}, errors.Join(err, out.Close())
}

// TestDownload writes large things to files, and knows how to verify them.
func TestDownload(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	a := r.put("a", 5*mib+3)
	name := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		want retrieval.Want
		kind firn.Kind
	}{{want: a}, {want: part(a, 4, 6)}, {want: part(a, 2, 4)}, {part(a, 1, 3), firn.Usage}} {
		at := firn.Range{End: a.Size}
		if c.want.Range != nil {
			at = *c.want.Range
		}
		file, err := os.Create(name)
		r.check(err)
		_, err = r.asker().Run(t.Context(), []retrieval.Want{c.want}, func(ctx context.Context, w retrieval.Want, ready *retrieval.Ready) error {
			if ready.Brings() != at || ready.Size() != a.Size || ready.Tree() != a.Tree {
				t.Errorf("%s: %v of %d bytes, %v", w.Label, ready.Brings(), ready.Size(), ready.Tree())
			}
			for _, bad := range []firn.Range{{}, {Start: at.Start, End: at.End + 1}, {Start: at.Start - 1, End: at.End}} {
				if _, err := ready.Fetch(ctx, bad); firn.KindOf(err) != firn.Usage {
					t.Errorf("%v: %v", bad, err)
				}
			}
			return ready.Download(ctx, file)
		}, false)
		r.check(file.Close())
		if c.kind != firn.Other {
			if firn.KindOf(err) != c.kind {
				t.Errorf("%s: %v", c.want.Label, err)
			}
			continue
		}
		r.check(err)
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, r.data[a.Remote][at.Start:at.End]) {
			t.Errorf("%s: %d bytes, %v", c.want.Label, len(got), err)
		}
	}
}

// TestInstantStore: nothing is listed or recorded where jobs cost nothing, and an
// answer that was lost is no matter.
func TestInstantStore(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{}, storetest.Fault{Op: "StartRetrieval", Kind: firn.Lost, Late: true})
	a := r.put("a", 3*mib)
	r.Store = noList{r.Store}
	r.round([]retrieval.Want{a, part(a, 1, 2), r.put("b", 5)}, []string{"a", "a 1-2", "b"}, 0, 0)
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
}

// noList is a store of which nobody may ask the list of jobs.
type noList struct{ firn.Store }

func (noList) Jobs(context.Context) iter.Seq2[firn.Job, error] { panic("it lists the jobs") }

// TestErrorsOfEach: those that are about one archive end only its want.
func TestErrorsOfEach(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	wants := []retrieval.Want{r.put("a", 5), r.put("b", 5)}
	fail := func(kind firn.Kind) func(context.Context, retrieval.Want, *retrieval.Ready) error {
		return func(ctx context.Context, w retrieval.Want, ready *retrieval.Ready) error {
			if w.Label == "b" {
				return nil
			}
			return &firn.Error{Op: "read", Subject: w.Label, Kind: kind}
		}
	}
	for kind, want := range map[firn.Kind]string{
		firn.Corrupt: "0 pending, 1 failed, <nil>", firn.NotFound: "0 pending, 1 failed, <nil>", firn.NotReady: "1 pending, 0 failed, <nil>",
		firn.Full: "0 pending, 0 failed, read a: disk full",
	} {
		res, err := r.asker().Run(t.Context(), wants, fail(kind), false)
		if got := fmt.Sprintf("%d pending, %d failed, %v", len(res.Pending), len(res.Failed), err); got != want {
			t.Errorf("%v: %s, want %s", kind, got, want)
		}
	}
}

// TestKnownArchivesAreKept: a job of an archive that the catalog knows keeps it
// from being deleted meanwhile, whoever asks for it by its id alone.
func TestKnownArchivesAreKept(t *testing.T) {
	r := newRig(t, slow)
	r.Write("a", "content")
	r.Sync()
	archive := r.Memory.Archives()[0]
	r.round([]retrieval.Want{{Remote: archive.ID, Size: archive.Size, Label: "a"}}, nil, 1, 0)
	loc, _, err := r.Catalog.ArchiveByRemote(t.Context(), r.Row.ID, archive.ID)
	r.check(err)
	if open := r.open(); len(open) != 1 || open[0].Archive != loc.Archive || loc.Archive == 0 {
		t.Errorf("open jobs %+v of archive %d", open, loc.Archive)
	}
	jobs, err := storetest.Collect(r.Memory.Jobs(t.Context()))
	r.check(err)
	if token, ok := describe.JobToken(jobs[0].Description); !ok || token != r.open()[0].Token {
		t.Errorf("described as %q", jobs[0].Description)
	}
}

// TestOverTheWire: the server of vaults, its hours, and a process that comes back
// for what another one asked for.
func TestOverTheWire(t *testing.T) {
	r := newRig(t, slow)
	const id, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	timing := glacierd.ServiceTiming()
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Timing: &timing, Clock: r.Clock, Credentials: func(key string) (glacierd.KeyPair, bool) {
		return glacierd.KeyPair{AccessKeyID: id, SecretAccessKey: secret}, key == id
	}})
	r.check(err)
	defer server.Close()
	vault, err := glacier.Open(t.Context(), glacier.Config{
		Vault: "photos", Region: "eu-west-1", Endpoint: "http://glacier.test", Transport: server.Transport(), Credentials: glacier.StaticCredentials(id, secret, ""),
	})
	r.check(err)
	defer vault.Close()
	r.check(vault.Create(t.Context()))
	data := content(9, 5*mib+7)
	sums := treehash.NewDouble()
	sums.Write(data)
	archive, err := vault.UploadArchive(t.Context(), "someone's", io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), sums.Sums())
	r.check(err)
	r.Store, r.data[archive] = vault, data

	if _, _, err := r.asker().Inventory(t.Context(), time.Time{}); firn.KindOf(err) != firn.NotReady {
		t.Errorf("a new vault's inventory: %v", err)
	}
	whole := retrieval.Want{Remote: archive, Label: "all"}
	tail := part(retrieval.Want{Remote: archive, Size: int64(len(data)), Label: "tail"}, 4, 6)
	r.round([]retrieval.Want{tail}, nil, 1, 0)
	r.Clock.Advance(6 * time.Hour)
	r.round([]retrieval.Want{tail, whole}, nil, 2, 0)
	r.Clock.Advance(6 * time.Hour)
	r.round([]retrieval.Want{tail, whole}, []string{"tail 4-6"}, 1, 0)
	r.Clock.Advance(6 * time.Hour)
	r.round([]retrieval.Want{whole}, []string{"all"}, 0, 0)

	r.Clock.Advance(24 * time.Hour)
	job, ready, err := r.asker().AwaitInventory(t.Context(), time.Time{}, true)
	r.check(err)
	info, err := vault.Inventory(t.Context(), job.ID, func(a firn.Archive) error {
		if a.ID != archive || a.Tree != treehash.Sum(data) {
			t.Errorf("%+v", a)
		}
		return nil
	})
	if err != nil || !ready || info.Archives != 1 {
		t.Errorf("ready: %t, %+v, %v", ready, info, err)
	}
}
