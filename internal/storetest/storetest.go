// Package storetest tests stores. Run is the contract of firn.Store as a test
// suite, which every store and every stack of decorators passes; Memory is the
// smallest store that does; Faulty makes any store fail as planned.
package storetest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A Harness is a store under test, and what a test may do to its world.
type Harness struct {
	// Store exists and is empty.
	Store firn.Store
	// Missing is another store of the same kind, which was never created.
	Missing firn.Store
	// Advance moves the store's clock.
	Advance func(time.Duration)
	// Ripe is how long the slowest job takes; 0 where Traits say InstantJobs.
	Ripe time.Duration
	// Lag is how long it takes until all that was stored is in an inventory;
	// 0 where Traits say FreshInventory.
	Lag time.Duration
	// OutputLife is how long after its completion a job's output is gone; 0: it
	// stays.
	OutputLife time.Duration
	// Defects are the cases that a server of others is known to fail, and why.
	Defects map[string]string
}

// Run runs the suite. open gives a fresh harness each time.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			if why := h.Defects[c.name]; why != "" {
				t.Skip(why)
			}
			c.run(&suiteTest{T: t, Harness: h, ctx: t.Context()})
		})
	}
}

// suite is every case of the contract.
var suite = []struct {
	name string
	run  func(*suiteTest)
}{
	{"Describe", (*suiteTest).describe},
	{"CreateIsIdempotent", (*suiteTest).createTwice},
	{"MissingStore", (*suiteTest).missing},
	{"DeleteNeedsAnEmptyStore", (*suiteTest).deleteStore},
	{"Tags", (*suiteTest).tags},
	{"TagsThatAreRefused", (*suiteTest).badTags},
	{"Notifications", (*suiteTest).notifications},
	{"UploadArchive", (*suiteTest).uploadSizes},
	{"UploadsAreNotMerged", (*suiteTest).uploadTwice},
	{"UploadReadsFromTheStart", (*suiteTest).uploadFromStart},
	{"UploadOfWrongBytes", (*suiteTest).uploadCorrupt},
	{"UploadThatIsRefused", (*suiteTest).uploadInvalid},
	{"Descriptions", (*suiteTest).descriptions},
	{"ManyAtOnce", (*suiteTest).concurrent},
	{"Multipart", (*suiteTest).multipart},
	{"MultipartThatIsRefused", (*suiteTest).multipartInvalid},
	{"MultipartOfAnyPartSize", (*suiteTest).anyPart},
	{"PartsAreReplaced", (*suiteTest).replacePart},
	{"PartsPage", (*suiteTest).pageParts},
	{"UploadsPage", (*suiteTest).pageUploads},
	{"CompleteChecks", (*suiteTest).completeChecks},
	{"CompleteIsIdempotent", (*suiteTest).completeTwice},
	{"Abort", (*suiteTest).abort},
	{"UnknownUpload", (*suiteTest).unknownUpload},
	{"Retrieval", (*suiteTest).retrieval},
	{"RetrievalOfARange", (*suiteTest).rangedRetrieval},
	{"RetrievalThatIsRefused", (*suiteTest).retrievalInvalid},
	{"RunningJob", (*suiteTest).runningJob},
	{"UnknownJob", (*suiteTest).unknownJob},
	{"ExpiredJob", (*suiteTest).expiredJob},
	{"FailedJob", (*suiteTest).failedJob},
	{"JobsPage", (*suiteTest).pageJobs},
	{"Inventory", (*suiteTest).inventory},
	{"InventoryLag", (*suiteTest).lag},
	{"InventoryStopsWithEach", (*suiteTest).inventoryStops},
	{"InventoryOfARetrieval", (*suiteTest).inventoryOfRetrieval},
	{"InventoryOutput", (*suiteTest).inventoryOutput},
	{"InventoryInCSV", (*suiteTest).inventoryCSV},
	{"InventoryOfSome", (*suiteTest).inventoryPart},
	{"InventoryThatIsRefused", (*suiteTest).inventoryInvalid},
	{"DeleteArchive", (*suiteTest).deleteArchive},
	{"ListingsStopAndBeginAgain", (*suiteTest).iterators},
	{"EndedContext", (*suiteTest).endedContext},
}

// A suiteTest is one case under way.
type suiteTest struct {
	*testing.T
	Harness
	ctx context.Context
}

// Data gives size bytes that depend on seed, and repeat nowhere.
func Data(seed uint64, size int) []byte {
	var key [16]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has a length that AES takes
	}
	b := make([]byte, size)
	cipher.NewCTR(block, make([]byte, block.BlockSize())).XORKeyStream(b, b) // as fast under the race detector
	return b
}

// Body gives data as a store wants it, with its sums.
func Body(data []byte) (*io.SectionReader, treehash.Sums) {
	d := treehash.NewDouble()
	d.Write(data)
	return io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), d.Sums()
}

// Collect gives the items of a listing up to its first error.
func Collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range items {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}

// must fails the test at once where err isn't nil.
func (t *suiteTest) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants fails the test where err isn't an error of one of the kinds.
func (t *suiteTest) wants(what string, err error, kinds ...firn.Kind) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", what, kinds)
		return
	}
	if !slices.Contains(kinds, firn.KindOf(err)) {
		t.Errorf("%s: %v: %v, want %v", what, firn.KindOf(err), err, kinds)
	}
}

// upload stores data.
func (t *suiteTest) upload(description string, data []byte) firn.ArchiveID {
	t.Helper()
	body, sums := Body(data)
	id, err := t.Store.UploadArchive(t.ctx, description, body, sums)
	t.must(err)
	if id == "" {
		t.Fatal("an archive without id")
	}
	return id
}

// listed gives what an inventory says once all that was stored is in one.
func (t *suiteTest) listed() []firn.Archive {
	t.Helper()
	t.Advance(t.Lag)
	id, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{Description: "suite"})
	if firn.KindOf(err) == firn.NotReady {
		return nil // nothing was ever stored
	}
	t.must(err)
	all, _ := t.readInventory(id)
	return all
}

// readInventory waits for an inventory job and reads it.
func (t *suiteTest) readInventory(id firn.JobID) ([]firn.Archive, firn.InventoryInfo) {
	t.Helper()
	t.Advance(t.Ripe)
	var all []firn.Archive
	info, err := t.Store.Inventory(t.ctx, id, func(a firn.Archive) error {
		all = append(all, a)
		return nil
	})
	t.must(err)
	if info.Archives != int64(len(all)) {
		t.Errorf("the inventory says that it lists %d archives, and lists %d", info.Archives, len(all))
	}
	return all, info
}

// describes fails the test where a isn't the archive of data.
func (t *suiteTest) describes(a firn.Archive, id firn.ArchiveID, description string, data []byte) {
	t.Helper()
	want := firn.Archive{ID: id, Description: description, Created: a.Created, Size: int64(len(data)), Tree: treehash.Sum(data), Receipt: a.Receipt}
	if a != want {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
}

// retrieve starts a retrieval and waits until it is ready.
func (t *suiteTest) retrieve(spec firn.RetrievalSpec) firn.Job {
	t.Helper()
	if spec.Tier == "" {
		spec.Tier = firn.Bulk
	}
	id, err := t.Store.StartRetrieval(t.ctx, spec)
	t.must(err)
	t.Advance(t.Ripe)
	job, err := t.Store.Job(t.ctx, id)
	t.must(err)
	return job
}

// download reads part of an output.
func (t *suiteTest) download(id firn.JobID, at firn.Range) ([]byte, treehash.Hash) {
	t.Helper()
	out, err := t.Store.Output(t.ctx, id, at)
	t.must(err)
	data := bytes.NewBuffer(make([]byte, 0, at.Len()+bytes.MinRead)) // growing as it comes, it would be copied many times
	_, err = data.ReadFrom(out)
	t.must(errors.Join(err, out.Close()))
	return data.Bytes(), out.Tree
}

// multi uploads data in parts without completing it.
func (t *suiteTest) multi(description string, data []byte, partSize int) firn.UploadID {
	t.Helper()
	id, err := t.Store.StartUpload(t.ctx, description, int64(partSize))
	t.must(err)
	for i, piece := range slices.Collect(slices.Chunk(data, partSize)) {
		t.part(id, int64(i*partSize), piece)
	}
	return id
}

func (t *suiteTest) part(id firn.UploadID, offset int64, data []byte) {
	t.Helper()
	body, sums := Body(data)
	t.must(t.Store.UploadPart(t.ctx, id, offset, body, sums))
}

// nothing is what a store that was only spoken to holds.
func (t *suiteTest) nothing(why string) {
	t.Helper()
	if all := t.listed(); len(all) > 0 {
		t.Errorf("%s: the store keeps %d archives", why, len(all))
	}
}

// partSize is a size of parts that the store takes: a power of two, so that the
// trees of parts join.
func (t *suiteTest) partSize() int {
	size := mib
	for int64(size) < t.Store.Traits().MinPart {
		size *= 2
	}
	return size
}

// inOrder puts archives in the order of ids, where lists are in another.
func (t *suiteTest) inOrder(all []firn.Archive, ids []firn.ArchiveID) []firn.Archive {
	if t.Store.Traits().LiveInventory {
		slices.SortFunc(all, func(a, b firn.Archive) int { return slices.Index(ids, a.ID) - slices.Index(ids, b.ID) })
	}
	return all
}

// label numbers things in order.
func label(i int) string { return fmt.Sprintf("number %03d", i) }
