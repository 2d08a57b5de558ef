package guard_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

type sums = treehash.Sums

// everything makes every call of a store once, on things that are there.
func everything(t *testing.T, s firn.Store) map[guard.Op]error {
	t.Helper()
	ctx, errs := context.Background(), map[guard.Op]error{}
	errs[guard.OpCreate] = s.Create(ctx)
	body, sum := storetest.Body(storetest.Data(1, 1000))
	var archive firn.ArchiveID
	archive, errs[guard.OpUploadArchive] = s.UploadArchive(ctx, "x", body, sum)
	var upload firn.UploadID
	upload, errs[guard.OpStartUpload] = s.StartUpload(ctx, "x", 1<<20)
	errs[guard.OpUploadPart] = s.UploadPart(ctx, upload, 0, body, sum)
	_, errs[guard.OpUploads] = storetest.Collect(s.Uploads(ctx))
	_, errs[guard.OpParts] = storetest.Collect(s.Parts(ctx, upload))
	_, errs[guard.OpCompleteUpload] = s.CompleteUpload(ctx, upload, 1000, sum.Tree)
	errs[guard.OpAbortUpload] = s.AbortUpload(ctx, upload)
	var job, inventory firn.JobID
	job, errs[guard.OpStartRetrieval] = s.StartRetrieval(ctx, firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk})
	inventory, errs[guard.OpStartInventory] = s.StartInventory(ctx, firn.InventorySpec{Description: "x"})
	_, errs[guard.OpJob] = s.Job(ctx, job)
	_, errs[guard.OpJobs] = storetest.Collect(s.Jobs(ctx))
	out, err := s.Output(ctx, job, firn.Range{Start: 100, End: 600})
	errs[guard.OpOutput] = err
	if err == nil {
		io.Copy(io.Discard, out)
		out.Close()
	}
	_, errs[guard.OpInventory] = s.Inventory(ctx, inventory, func(firn.Archive) error { return nil })
	errs[guard.OpDeleteArchive] = s.DeleteArchive(ctx, archive)
	_, errs[guard.OpDescribe] = s.Describe(ctx)
	errs[guard.OpSetTags] = s.SetTags(ctx, map[string]string{"k": "v"})
	_, errs[guard.OpTags] = s.Tags(ctx)
	errs[guard.OpRemoveTags] = s.RemoveTags(ctx, "k")
	n := s.(firn.Notifier)
	errs[guard.OpSetNotifications] = n.SetNotifications(ctx, firn.Notifications{Topic: "arn:aws:sns:x", Events: []string{firn.ArchiveRetrieved}})
	_, errs[guard.OpNotifications] = n.Notifications(ctx)
	errs[guard.OpRemoveNotifications] = n.RemoveNotifications(ctx)
	errs[guard.OpDelete] = s.Delete(ctx)
	if want := reflect.TypeFor[firn.Store]().NumMethod() - 1 + reflect.TypeFor[firn.Notifier]().NumMethod(); len(errs) != want { // but Traits
		t.Fatalf("%d calls were made, a store has %d", len(errs), want)
	}
	return errs
}

func TestCount(t *testing.T) {
	counter := guard.NewCounter()
	s := guard.Count(storetest.NewMemory(storetest.MemoryOptions{}), counter)
	want := map[guard.Op]guard.Tally{}
	for op, err := range everything(t, s) {
		want[op] = guard.Tally{Calls: 1}
		if err != nil && op != guard.OpDelete { // there is an archive left
			t.Errorf("%s: %v", op, err)
		}
	}
	want[guard.OpUploadArchive] = guard.Tally{Calls: 1, Up: 1000}
	want[guard.OpUploadPart] = guard.Tally{Calls: 1, Up: 1000}
	want[guard.OpOutput] = guard.Tally{Calls: 1, Down: 500}
	want[guard.OpDelete] = guard.Tally{Calls: 1, Failed: 1}
	if diff := cmp.Diff(want, counter.All()); diff != "" {
		t.Error(diff)
	}
}

func TestCountFailures(t *testing.T) {
	counter := guard.NewCounter()
	s := guard.Count(storetest.Faulty(t, storetest.NewMemory(storetest.MemoryOptions{}),
		storetest.Fault{Op: "UploadArchive", Kind: firn.Network, After: 10},
		storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Lost},
		storetest.Fault{Op: "Jobs", Kind: firn.Throttled},
	), counter)
	body, sum := storetest.Body(storetest.Data(1, 1000))
	for range 3 {
		s.UploadArchive(t.Context(), "x", body, sum)
	}
	storetest.Collect(s.Jobs(t.Context()))
	if got, want := counter.Of(guard.OpUploadArchive), (guard.Tally{Calls: 3, Failed: 2, Lost: 1, Up: 1010}); got != want {
		t.Errorf("%+v", got)
	}
	if got, want := counter.Of(guard.OpJobs), (guard.Tally{Calls: 1, Failed: 1}); got != want {
		t.Errorf("%+v", got)
	}
	if got := counter.Of(guard.OpTags); got != (guard.Tally{}) {
		t.Errorf("%+v", got)
	}
}

// TestDryRun: nothing that changes anything gets through, everything else does.
func TestDryRun(t *testing.T) {
	counter := guard.NewCounter()
	s := guard.DryRun(guard.Count(storetest.NewMemory(storetest.MemoryOptions{}), counter))
	questions := map[guard.Op]bool{
		guard.OpUploads: true, guard.OpParts: true, guard.OpJob: true, guard.OpJobs: true, guard.OpOutput: true,
		guard.OpInventory: true, guard.OpDescribe: true, guard.OpTags: true, guard.OpNotifications: true,
	}
	for op, err := range everything(t, s) {
		if refused := errors.Is(err, guard.ErrDryRun); refused == questions[op] {
			t.Errorf("%s: %v", op, err)
		}
	}
	for op := range counter.All() {
		if !questions[op] {
			t.Errorf("%s reached the store", op)
		}
	}
	if len(counter.All()) != len(questions) {
		t.Errorf("only %v got through", counter.All())
	}
}
