package guard

import (
	"context"
	"io"
	"iter"
	"maps"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// An Op is a kind of call: the name of a method of firn.Store or firn.Notifier.
type Op string

// The calls that are counted.
const (
	OpUploadArchive  Op = "UploadArchive"
	OpStartUpload    Op = "StartUpload"
	OpUploadPart     Op = "UploadPart"
	OpCompleteUpload Op = "CompleteUpload"
	OpAbortUpload    Op = "AbortUpload"
	OpUploads        Op = "Uploads"
	OpParts          Op = "Parts"
	OpStartRetrieval Op = "StartRetrieval"
	OpStartInventory Op = "StartInventory"
	OpJob            Op = "Job"
	OpJobs           Op = "Jobs"
	OpOutput         Op = "Output"
	OpInventory      Op = "Inventory"
	OpDeleteArchive  Op = "DeleteArchive"
	OpDescribe       Op = "Describe"
	OpCreate         Op = "Create"
	OpDelete         Op = "Delete"
	OpTags           Op = "Tags"
	OpSetTags        Op = "SetTags"
	OpRemoveTags     Op = "RemoveTags"

	OpNotifications       Op = "Notifications"
	OpSetNotifications    Op = "SetNotifications"
	OpRemoveNotifications Op = "RemoveNotifications"
)

// A Tally is what calls of one kind came to.
type Tally struct {
	Calls  int64 // made, whatever came of them; a listing is one, however many pages it has
	Failed int64 // that gave an error
	Lost   int64 // of Failed: that may have had an effect
	Up     int64 // bytes of bodies that the store read
	Down   int64 // bytes of outputs and inventories that were read from the store
	// Class is the storage class of S3 that an output is of, or that an archive was
	// stored in, or is to be once its parts are there, where the store says so; in sums
	// it is empty.
	Class string
}

// A Counter holds the tallies of a store. It is safe for concurrent use, and
// several stores may share one.
type Counter struct {
	mu      sync.Mutex
	ops     map[Op]Tally
	watcher func(Op, Tally) // nil: none
}

// NewCounter gives a counter that stands at zero.
func NewCounter() *Counter { return &Counter{ops: map[Op]Tally{}} }

// Watch has each further tally told to fn as well, when it is added: of a call
// when it is over, of bytes as they go. fn is called by many at once.
func (c *Counter) Watch(fn func(Op, Tally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watcher = fn
}

// Of gives the tally of one kind of call.
func (c *Counter) Of(op Op) Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ops[op]
}

// All gives the tallies of all kinds that were called.
func (c *Counter) All() map[Op]Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ops)
}

func (c *Counter) add(op Op, t Tally) {
	if watch := c.sum(op, t); watch != nil {
		watch(op, t)
	}
}

func (c *Counter) sum(op Op, t Tally) (watch func(Op, Tally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.ops[op]
	sum.Calls += t.Calls
	sum.Failed += t.Failed
	sum.Lost += t.Lost
	sum.Up += t.Up
	sum.Down += t.Down
	c.ops[op] = sum
	return c.watcher
}

// outcome counts a call that is over, and was of a storage class, where one is known.
func (c *Counter) outcome(op Op, class string, err error) {
	t := Tally{Calls: 1, Class: class}
	if err != nil {
		t.Failed = 1
		if firn.KindOf(err) == firn.Lost {
			t.Lost = 1
		}
	}
	c.add(op, t)
}

// counting is a store whose calls are counted.
type counting struct {
	firn.Store
	counter *Counter
}

// Count gives a store that counts its calls, and the bytes of bodies and
// outputs, into counter: what the bill is made of.
func Count(s firn.Store, counter *Counter) firn.Store { return &counting{s, counter} }

// watch counts the bytes of body that the store reads.
func (c *counting) watch(op Op, body *io.SectionReader) *io.SectionReader {
	return section(body, readerFunc(func(p []byte, off int64) (int, error) {
		n, err := body.ReadAt(p, off)
		c.counter.add(op, Tally{Up: int64(n)})
		return n, err
	}))
}

// one counts a call that gives a value.
func one[T any](c *counting, op Op, v T, err error) (T, error) {
	c.counter.outcome(op, "", err)
	return v, err
}

// none counts a call that gives nothing but an error.
func (c *counting) none(op Op, err error) error {
	c.counter.outcome(op, "", err)
	return err
}

// list counts a listing, when it ends.
func list[T any](c *counting, op Op, items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var failed error
		for item, err := range items {
			failed = err
			if !yield(item, err) {
				break
			}
		}
		c.counter.outcome(op, "", failed)
	}
}

func (c *counting) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	var stored firn.Receipt
	id, err := c.Store.UploadArchive(firn.WithReceipt(ctx, &stored), description, c.watch(OpUploadArchive, body), sums)
	c.receipt(ctx, OpUploadArchive, stored, err)
	return id, err
}

func (c *counting) StartUpload(ctx context.Context, description string, partSize int64) (firn.UploadID, error) {
	var begun firn.Receipt
	id, err := c.Store.StartUpload(firn.WithReceipt(ctx, &begun), description, partSize)
	c.counter.outcome(OpStartUpload, begun.Class, err)
	return id, err
}

func (c *counting) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	var sent firn.Receipt
	err := c.Store.UploadPart(firn.WithReceipt(ctx, &sent), id, offset, c.watch(OpUploadPart, body), sums)
	c.counter.outcome(OpUploadPart, sent.Class, err)
	return err
}

func (c *counting) CompleteUpload(ctx context.Context, upload firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	var stored firn.Receipt
	id, err := c.Store.CompleteUpload(firn.WithReceipt(ctx, &stored), upload, size, tree)
	c.receipt(ctx, OpCompleteUpload, stored, err)
	return id, err
}

// receipt counts a call that stores an archive, by the class that the store says of it,
// and hands on what it says.
func (c *counting) receipt(ctx context.Context, op Op, stored firn.Receipt, err error) {
	if stored != (firn.Receipt{}) {
		firn.GiveReceipt(ctx, stored)
	}
	c.counter.outcome(op, stored.Class, err)
}

func (c *counting) AbortUpload(ctx context.Context, id firn.UploadID) error {
	return c.none(OpAbortUpload, c.Store.AbortUpload(ctx, id))
}

func (c *counting) Uploads(ctx context.Context) iter.Seq2[firn.Upload, error] {
	return list(c, OpUploads, c.Store.Uploads(ctx))
}

func (c *counting) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	return list(c, OpParts, c.Store.Parts(ctx, id))
}

func (c *counting) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	id, err := c.Store.StartRetrieval(ctx, spec)
	return one(c, OpStartRetrieval, id, err)
}

func (c *counting) StartInventory(ctx context.Context, spec firn.InventorySpec) (firn.JobID, error) {
	id, err := c.Store.StartInventory(ctx, spec)
	return one(c, OpStartInventory, id, err)
}

func (c *counting) Job(ctx context.Context, id firn.JobID) (firn.Job, error) {
	job, err := c.Store.Job(ctx, id)
	return one(c, OpJob, job, err)
}

func (c *counting) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return list(c, OpJobs, c.Store.Jobs(ctx))
}

func (c *counting) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := c.Store.Output(ctx, id, at)
	if err == nil {
		out.ReadCloser = &counted{out.ReadCloser, c.counter, out.Class}
	}
	c.counter.outcome(OpOutput, out.Class, err)
	return out, err
}

// counted is an output whose bytes are counted as they are read.
type counted struct {
	io.ReadCloser
	counter *Counter
	class   string
}

func (d *counted) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.counter.add(OpOutput, Tally{Down: int64(n), Class: d.class})
	return n, err
}

func (c *counting) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	info, err := c.Store.Inventory(ctx, id, each)
	c.counter.add(OpInventory, Tally{Down: info.Bytes})
	return one(c, OpInventory, info, err)
}

func (c *counting) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	return c.none(OpDeleteArchive, c.Store.DeleteArchive(ctx, id))
}

func (c *counting) Describe(ctx context.Context) (firn.StoreInfo, error) {
	info, err := c.Store.Describe(ctx)
	return one(c, OpDescribe, info, err)
}

func (c *counting) Create(ctx context.Context) error {
	return c.none(OpCreate, c.Store.Create(ctx))
}

func (c *counting) Delete(ctx context.Context) error {
	return c.none(OpDelete, c.Store.Delete(ctx))
}

func (c *counting) Tags(ctx context.Context) (map[string]string, error) {
	tags, err := c.Store.Tags(ctx)
	return one(c, OpTags, tags, err)
}

func (c *counting) SetTags(ctx context.Context, tags map[string]string) error {
	return c.none(OpSetTags, c.Store.SetTags(ctx, tags))
}

func (c *counting) RemoveTags(ctx context.Context, keys ...string) error {
	return c.none(OpRemoveTags, c.Store.RemoveTags(ctx, keys...))
}
