package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A Fault is a failure to act out at certain calls of one method.
type Fault struct {
	Op    string    // the method: "UploadArchive"
	Nth   int       // the first call that it strikes; 0 means 1
	Times int       // how many calls in a row it strikes; 0 means 1, below 0 all
	Kind  firn.Kind // of the error
	// Late: the call has its effect, and then fails: a lost answer.
	Late bool
	// After: a listing or an inventory fails after so many items, an output or
	// a body after so many bytes; 0 is before the first.
	After int64
}

// String names the fault, for messages.
func (f Fault) String() string {
	return fmt.Sprintf("%v of %s, call %d", f.Kind, f.Op, max(1, f.Nth))
}

// Faults are failures to act out in stores. They count how often each strikes.
type Faults struct {
	mu     sync.Mutex
	faults []Fault
	struck []int
}

// NewFaults plans faults, and fails t at its end for each that never struck: a
// test of a failure that didn't happen tests nothing.
func NewFaults(t testing.TB, faults ...Fault) *Faults {
	f := &Faults{faults: faults, struck: make([]int, len(faults))}
	t.Cleanup(func() {
		for i, n := range f.struck {
			if n == 0 && !t.Skipped() {
				t.Errorf("planned, but never struck: %v", faults[i])
			}
		}
	})
	return f
}

// Faulty gives s with faults, each of which must strike before t ends.
func Faulty(t testing.TB, s firn.Store, faults ...Fault) firn.Store {
	return NewFaults(t, faults...).Store(s)
}

// Store gives s with the faults. The calls of each store are counted apart.
func (f *Faults) Store(s firn.Store) firn.Store {
	return &faulty{Store: s, plan: f, calls: map[string]int{}}
}

// Struck is how often the i-th fault has struck, in all stores.
func (f *Faults) Struck(i int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.struck[i]
}

// strike counts a call of op and gives the fault that strikes it, or nil.
func (f *Faults) strike(op string, calls map[string]int) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls[op]++
	for i := range f.faults {
		fault := &f.faults[i]
		since := calls[op] - max(1, fault.Nth)
		if fault.Op == op && since >= 0 && (fault.Times < 0 || since < max(1, fault.Times)) {
			f.struck[i]++
			return fault
		}
	}
	return nil
}

type faulty struct {
	firn.Store
	plan  *Faults
	calls map[string]int // guarded by plan.mu
}

// errFault is the cause of every error that a fault gives.
var errFault = errors.New("planned fault")

func (f *Fault) error() error { return &firn.Error{Op: f.Op, Kind: f.Kind, Err: errFault} }

// around makes a call, unless a fault stands in its way.
func (f *faulty) around(op string, call func() error) error {
	fault := f.plan.strike(op, f.calls)
	switch {
	case fault == nil:
		return call()
	case fault.Late:
		if err := call(); err != nil {
			return err
		}
	}
	return fault.error()
}

// upload is around for a call with a body, of which a fault lets a part through.
func (f *faulty) upload(op string, body *io.SectionReader, call func() error) error {
	fault := f.plan.strike(op, f.calls)
	switch {
	case fault == nil:
		return call()
	case fault.Late:
		if err := call(); err != nil {
			return err
		}
	default:
		io.Copy(io.Discard, io.NewSectionReader(body, 0, min(fault.After, body.Size())))
	}
	return fault.error()
}

func listFaulty[T any](f *faulty, op string, items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		fault := f.plan.strike(op, f.calls)
		n := int64(0)
		for item, err := range items {
			if fault != nil && n >= fault.After {
				break
			}
			n++
			if !yield(item, err) || err != nil {
				return
			}
		}
		if fault != nil {
			yield(zero, fault.error())
		}
	}
}

func (f *faulty) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (id firn.ArchiveID, err error) {
	err = f.upload("UploadArchive", body, func() error {
		id, err = f.Store.UploadArchive(ctx, description, body, sums)
		return err
	})
	return unless(err, id)
}

// unless hides the answer of a call that failed, as a lost one would be.
func unless[T any](err error, answer T) (T, error) {
	if err != nil {
		var zero T
		return zero, err
	}
	return answer, nil
}

func (f *faulty) StartUpload(ctx context.Context, description string, partSize int64) (id firn.UploadID, err error) {
	err = f.around("StartUpload", func() error {
		id, err = f.Store.StartUpload(ctx, description, partSize)
		return err
	})
	return unless(err, id)
}

func (f *faulty) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	return f.upload("UploadPart", body, func() error { return f.Store.UploadPart(ctx, id, offset, body, sums) })
}

func (f *faulty) CompleteUpload(ctx context.Context, upload firn.UploadID, size int64, tree treehash.Hash) (id firn.ArchiveID, err error) {
	err = f.around("CompleteUpload", func() error {
		id, err = f.Store.CompleteUpload(ctx, upload, size, tree)
		return err
	})
	return unless(err, id)
}

func (f *faulty) AbortUpload(ctx context.Context, id firn.UploadID) error {
	return f.around("AbortUpload", func() error { return f.Store.AbortUpload(ctx, id) })
}

func (f *faulty) Uploads(ctx context.Context) iter.Seq2[firn.Upload, error] {
	return listFaulty(f, "Uploads", f.Store.Uploads(ctx))
}

func (f *faulty) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	return listFaulty(f, "Parts", f.Store.Parts(ctx, id))
}

func (f *faulty) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (id firn.JobID, err error) {
	err = f.around("StartRetrieval", func() error {
		id, err = f.Store.StartRetrieval(ctx, spec)
		return err
	})
	return unless(err, id)
}

func (f *faulty) StartInventory(ctx context.Context, spec firn.InventorySpec) (id firn.JobID, err error) {
	err = f.around("StartInventory", func() error {
		id, err = f.Store.StartInventory(ctx, spec)
		return err
	})
	return unless(err, id)
}

func (f *faulty) Job(ctx context.Context, id firn.JobID) (job firn.Job, err error) {
	err = f.around("Job", func() error {
		job, err = f.Store.Job(ctx, id)
		return err
	})
	return unless(err, job)
}

func (f *faulty) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return listFaulty(f, "Jobs", f.Store.Jobs(ctx))
}

func (f *faulty) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	fault := f.plan.strike("Output", f.calls)
	if fault != nil && fault.After == 0 {
		return firn.Output{}, fault.error()
	}
	out, err := f.Store.Output(ctx, id, at)
	if err == nil && fault != nil {
		out.ReadCloser = &brokenOutput{out.ReadCloser, fault, fault.After}
	}
	return out, err
}

// brokenOutput breaks off after left bytes.
type brokenOutput struct {
	io.ReadCloser
	fault *Fault
	left  int64
}

func (b *brokenOutput) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.fault.error()
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (f *faulty) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	fault := f.plan.strike("Inventory", f.calls)
	if fault == nil {
		return f.Store.Inventory(ctx, id, each)
	}
	n := int64(0)
	info, err := f.Store.Inventory(ctx, id, func(a firn.Archive) error {
		if n++; n > fault.After {
			return fault.error()
		}
		return each(a)
	})
	if err == nil {
		err = fault.error()
	}
	return info, err
}

func (f *faulty) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	return f.around("DeleteArchive", func() error { return f.Store.DeleteArchive(ctx, id) })
}

func (f *faulty) Describe(ctx context.Context) (info firn.StoreInfo, err error) {
	err = f.around("Describe", func() error {
		info, err = f.Store.Describe(ctx)
		return err
	})
	return unless(err, info)
}

func (f *faulty) Create(ctx context.Context) error {
	return f.around("Create", func() error { return f.Store.Create(ctx) })
}

func (f *faulty) Delete(ctx context.Context) error {
	return f.around("Delete", func() error { return f.Store.Delete(ctx) })
}

func (f *faulty) Tags(ctx context.Context) (tags map[string]string, err error) {
	err = f.around("Tags", func() error {
		tags, err = f.Store.Tags(ctx)
		return err
	})
	return unless(err, tags)
}

func (f *faulty) SetTags(ctx context.Context, tags map[string]string) error {
	return f.around("SetTags", func() error { return f.Store.SetTags(ctx, tags) })
}

func (f *faulty) RemoveTags(ctx context.Context, keys ...string) error {
	return f.around("RemoveTags", func() error { return f.Store.RemoveTags(ctx, keys...) })
}
