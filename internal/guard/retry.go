package guard

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// DefaultOutage is how long a store that can't be reached is waited for.
const DefaultOutage = 24 * time.Hour

// How tries follow one another.
const (
	firstDelay = 500 * time.Millisecond // after the first failure; it doubles
	maxDelay   = time.Minute
	// maxSlow is how often a body that was refused for coming too slowly is
	// sent in all; then its size must change, which is for the caller.
	maxSlow = 3
	// maxSkewed is how often a request is signed in all while the clocks are
	// apart: the first refusal tells the store's time, the second that it was
	// the store's clock that jumped.
	maxSkewed = 4
)

// RetryOptions say how patient Retry is.
type RetryOptions struct {
	// Clock is waited on; nil is the machine's.
	Clock clock.Clock
	// Outage is how long a store that doesn't answer is waited for, from its
	// first failure on; 0 means DefaultOutage, below 0 not at all.
	Outage time.Duration
	// Events learns of outages and of their end; nil is nobody.
	Events firn.Sink
	// Random gives numbers in [0, 1) that spread the tries of many machines;
	// nil is a good source.
	Random func() float64
}

// A retrier repeats calls. What it doesn't override is not repeated: Traits.
type retrier struct {
	firn.Store
	clock   clock.Clock
	outage  time.Duration
	random  func() float64
	weather weather
	pace    pace
}

// Retry gives a store that repeats the calls of s which failed but may succeed
// later, with growing, jittered pauses:
//
//   - Network, Unavailable: until RetryOptions.Outage has passed without a
//     success. The error is then given as it is.
//   - Throttled: as long; meanwhile all calls slow down together.
//   - SlowBody and Skew: a few times.
//   - Lost: as Network, where the call is idempotent. UploadArchive,
//     StartUpload, StartRetrieval and StartInventory are not: after Lost there
//     may be an archive, an upload or a job, so that the error goes to the
//     caller, who finds out by the description. They are repeated only when it
//     is sure that nothing happened. Where Traits say RepeatableUploads,
//     UploadArchive of what firn describes is idempotent: one that is given up
//     is Lost if any of its tries was.
//
// Everything else, Capacity and Policy too, goes to the caller at once: what to
// do about it is a choice.
//
// Listings begin again from the start where a page fails; what was given once
// isn't given again, and what came or went meanwhile may be in it or not.
// Inventory begins again likewise, and no archive reaches each twice. Only the
// opening of an Output is repeated, not its body: the caller asks for what is
// missing.
func Retry(s firn.Store, o RetryOptions) firn.Store {
	r := newRetrier(o)
	r.Store = s
	return r
}

// RetryVaults makes a list of vaults that begins again where it breaks off, as those
// of a store do that Retry gives: no vault comes twice.
func RetryVaults(ctx context.Context, list func(context.Context) iter.Seq2[firn.StoreInfo, error], o RetryOptions) iter.Seq2[firn.StoreInfo, error] {
	return listAgain(newRetrier(o), ctx, list, func() func(firn.StoreInfo) bool {
		first := onlyFirst()
		return func(v firn.StoreInfo) bool { return first(v.Name) }
	})
}

// newRetrier gives a retrier of no store yet.
func newRetrier(o RetryOptions) *retrier {
	r := &retrier{clock: o.Clock, outage: o.Outage, random: o.Random, weather: weather{events: o.Events}}
	if r.clock == nil {
		r.clock = clock.System{}
	}
	if r.outage == 0 {
		r.outage = DefaultOutage
	}
	if r.random == nil {
		r.random = rand.Float64
	}
	if r.weather.events == nil {
		r.weather.events = firn.Discard
	}
	return r
}

// What a call may do when it is made twice.
type nature bool

const (
	repeatable nature = true  // no more than when it is made once
	unique     nature = false // twice the same, at twice the cost
)

// A trial is one call and its tries so far.
type trial struct {
	nature  nature
	began   time.Time // first failure; zero before that
	tries   int       // that failed for want of an answer, or by throttling
	slow    int       // that failed with SlowBody
	skewed  int       // that failed with Skew
	started time.Time // of the present try
}

// do makes a call until it succeeds or can't.
func (r *retrier) do(ctx context.Context, n nature, call func() error) error {
	t := trial{nature: n}
	for {
		if err := r.pace.wait(ctx, r.clock); err != nil {
			return err
		}
		t.started = r.clock.Now()
		err := call()
		if err == nil {
			r.weather.fair(r.clock.Now())
			r.pace.faster()
			return nil
		}
		if cause(ctx) != nil {
			return err
		}
		delay, again := r.judge(&t, err)
		if !again {
			return err
		}
		if err := r.clock.Sleep(ctx, delay); err != nil {
			return err
		}
	}
}

// judge decides whether a failed call is made again, and when.
func (r *retrier) judge(t *trial, err error) (delay time.Duration, again bool) {
	now := r.clock.Now()
	kind := firn.KindOf(err)
	if answered(kind) {
		r.weather.fair(now)
	}
	switch kind {
	case firn.Lost:
		if t.nature == unique {
			return 0, false
		}
		return r.outlast(t, r.weather.foul(now, err, r.outage))
	case firn.Network, firn.Unavailable:
		return r.outlast(t, r.weather.foul(now, err, r.outage))
	case firn.Throttled:
		r.pace.slower(t.started, now)
		_, again := r.outlast(t, now)
		return 0, again // the pace is the pause
	case firn.SlowBody:
		t.slow++
		return r.spread(firstDelay), t.slow < maxSlow
	case firn.Skew:
		t.skewed++
		return r.spread(firstDelay / 10), t.skewed < maxSkewed
	}
	return 0, false
}

// answered reports whether an error of this kind comes from the store itself,
// so that there is a way to it.
func answered(k firn.Kind) bool {
	switch k {
	case firn.NotFound, firn.Invalid, firn.NotEmpty, firn.Policy, firn.Capacity, firn.Throttled,
		firn.NotReady, firn.NoNewCustomers, firn.SlowBody, firn.Skew:
		return true
	}
	return false
}

// outlast plans the next try within the time that an outage may last. That is
// counted from the first failure of this call, and from the first of any calls
// since when none succeeded: else each would wait anew.
func (r *retrier) outlast(t *trial, since time.Time) (time.Duration, bool) {
	now := r.clock.Now()
	if t.began.IsZero() {
		t.began = now
	}
	left := r.outage - now.Sub(earlier(t.began, since))
	if left <= 0 {
		return 0, false
	}
	delay := min(firstDelay<<min(t.tries, 16), maxDelay)
	t.tries++
	return min(r.spread(delay), left), true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// spread draws a delay from the upper half of d.
func (r *retrier) spread(d time.Duration) time.Duration {
	return d/2 + time.Duration(r.random()*float64(d/2))
}

func (r *retrier) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (id firn.ArchiveID, err error) {
	lost := false
	err = r.do(ctx, unique, func() error {
		id, err = r.Store.UploadArchive(ctx, description, body, sums)
		if firn.KindOf(err) != firn.Lost || !r.Store.Traits().RepeatableUploads {
			return err
		}
		if _, own := describe.TokenOf(description); !own {
			return err
		}
		lost = true
		return ofKind(firn.Network, err)
	})
	if err != nil && lost {
		err = ofKind(firn.Lost, err) // nobody knows what became of that try
	}
	return id, err
}

// ofKind gives an error that says the same, as one of another kind.
func ofKind(kind firn.Kind, err error) error {
	var e *firn.Error
	if !errors.As(err, &e) {
		return &firn.Error{Op: "upload", Kind: kind, Err: err}
	}
	other := *e
	other.Kind = kind
	return &other
}

func (r *retrier) StartUpload(ctx context.Context, description string, partSize int64) (id firn.UploadID, err error) {
	err = r.do(ctx, unique, func() error {
		id, err = r.Store.StartUpload(ctx, description, partSize)
		return err
	})
	return id, err
}

func (r *retrier) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	return r.do(ctx, repeatable, func() error {
		return r.Store.UploadPart(ctx, id, offset, body, sums)
	})
}

func (r *retrier) CompleteUpload(ctx context.Context, upload firn.UploadID, size int64, tree treehash.Hash) (id firn.ArchiveID, err error) {
	err = r.do(ctx, repeatable, func() error {
		id, err = r.Store.CompleteUpload(ctx, upload, size, tree)
		return err
	})
	return id, err
}

func (r *retrier) AbortUpload(ctx context.Context, id firn.UploadID) error {
	return r.do(ctx, repeatable, func() error { return r.Store.AbortUpload(ctx, id) })
}

func (r *retrier) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (id firn.JobID, err error) {
	err = r.do(ctx, unique, func() error {
		id, err = r.Store.StartRetrieval(ctx, spec)
		return err
	})
	return id, err
}

func (r *retrier) StartInventory(ctx context.Context, spec firn.InventorySpec) (id firn.JobID, err error) {
	err = r.do(ctx, unique, func() error {
		id, err = r.Store.StartInventory(ctx, spec)
		return err
	})
	return id, err
}

func (r *retrier) Job(ctx context.Context, id firn.JobID) (job firn.Job, err error) {
	err = r.do(ctx, repeatable, func() error {
		job, err = r.Store.Job(ctx, id)
		return err
	})
	return job, err
}

func (r *retrier) Output(ctx context.Context, id firn.JobID, at firn.Range) (out firn.Output, err error) {
	err = r.do(ctx, repeatable, func() error {
		out, err = r.Store.Output(ctx, id, at)
		return err
	})
	return out, err
}

func (r *retrier) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	return r.do(ctx, repeatable, func() error { return r.Store.DeleteArchive(ctx, id) })
}

func (r *retrier) Describe(ctx context.Context) (info firn.StoreInfo, err error) {
	err = r.do(ctx, repeatable, func() error {
		info, err = r.Store.Describe(ctx)
		return err
	})
	return info, err
}

func (r *retrier) Create(ctx context.Context) error {
	return r.do(ctx, repeatable, func() error { return r.Store.Create(ctx) })
}

func (r *retrier) Delete(ctx context.Context) error {
	return r.do(ctx, repeatable, func() error { return r.Store.Delete(ctx) })
}

func (r *retrier) Tags(ctx context.Context) (tags map[string]string, err error) {
	err = r.do(ctx, repeatable, func() error {
		tags, err = r.Store.Tags(ctx)
		return err
	})
	return tags, err
}

func (r *retrier) SetTags(ctx context.Context, tags map[string]string) error {
	return r.do(ctx, repeatable, func() error { return r.Store.SetTags(ctx, tags) })
}

func (r *retrier) RemoveTags(ctx context.Context, keys ...string) error {
	return r.do(ctx, repeatable, func() error { return r.Store.RemoveTags(ctx, keys...) })
}

func (r *retrier) Uploads(ctx context.Context) iter.Seq2[firn.Upload, error] {
	return listAgain(r, ctx, r.Store.Uploads, func() func(firn.Upload) bool {
		first := onlyFirst()
		return func(u firn.Upload) bool { return first(string(u.ID)) }
	})
}

func (r *retrier) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return listAgain(r, ctx, r.Store.Jobs, func() func(firn.Job) bool {
		first := onlyFirst()
		return func(j firn.Job) bool { return first(string(j.ID)) }
	})
}

func (r *retrier) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	list := func(ctx context.Context) iter.Seq2[firn.Part, error] { return r.Store.Parts(ctx, id) }
	return listAgain(r, ctx, list, func() func(firn.Part) bool {
		next := int64(0) // parts come by offset
		return func(p firn.Part) bool {
			isNew := p.Offset >= next
			next = max(next, p.Offset+1)
			return isNew
		}
	})
}

// onlyFirst gives a function that reports whether it sees an id for the first
// time. It keeps 64 bits of each, so that a million jobs take some 20 MB; that
// two ids agree in them, and the later one is left out, won't happen.
func onlyFirst() func(id string) bool {
	seed, seen := maphash.MakeSeed(), map[uint64]struct{}{}
	return func(id string) bool {
		before := len(seen)
		seen[maphash.String(seed, id)] = struct{}{}
		return len(seen) > before
	}
}

// listAgain makes a listing that begins again from the start where it breaks,
// and gives only items that are new to the filter that isNew makes.
func listAgain[T any](r *retrier, ctx context.Context, list func(context.Context) iter.Seq2[T, error], filter func() func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		isNew := filter()
		stopped := false
		err := r.do(ctx, repeatable, func() error {
			for item, err := range list(ctx) {
				if err != nil {
					return err
				}
				if isNew(item) && !yield(item, nil) {
					stopped = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			var zero T
			yield(zero, err)
		}
	}
}

// Inventory reads an inventory, again from the start where it breaks off. The
// output of a job doesn't change, so that the archives that each has had are
// the first ones again; that the last of them is the same is checked. One that is
// made while it is read does: see liveInventory.
func (r *retrier) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	return r.InventoryBut(ctx, id, nil, each)
}

func (r *retrier) inventory(ctx context.Context, read func(func(firn.Archive) error) (firn.InventoryInfo, error), each func(firn.Archive) error) (info firn.InventoryInfo, err error) {
	had, last := int64(0), firn.ArchiveID("")
	var stopped error // of each, or ours; whatever its kind, nothing is repeated
	err = r.do(ctx, repeatable, func() error {
		at := int64(0)
		got, err := read(func(a firn.Archive) error {
			at++
			if at < had {
				return nil
			}
			if at == had {
				if a.ID != last {
					stopped = changedInventory(at, last, a.ID)
				}
				return stopped
			}
			if stopped = each(a); stopped == nil {
				had, last = at, a.ID
			}
			return stopped
		})
		if stopped != nil {
			return nil
		}
		info = got
		return err
	})
	switch {
	case stopped != nil:
		return info, stopped
	case err == nil && info.Archives < had:
		return info, changedInventory(had, last, "")
	}
	return info, err
}

func changedInventory(at int64, was, is firn.ArchiveID) error {
	return &firn.Error{Op: "read inventory", Kind: firn.Corrupt,
		Err: fmt.Errorf("read again, it differs: archive number %d is %.20q, was %.20q", at, is, was)}
}
