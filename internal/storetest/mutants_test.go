package storetest_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// A mutant is a store with one thing wrong, and the case that must notice.
type mutant struct {
	store func(*storetest.Memory) firn.Store
	dies  string
	slow  bool // in the world with waiting only
}

// mutants are what could go wrong in a store, one by one.
func mutants() map[string]mutant {
	return map[string]mutant{
		"merges equal uploads":     {func(m *storetest.Memory) firn.Store { return &merging{Memory: m} }, "UploadsAreNotMerged", false},
		"believes every hash":      {func(m *storetest.Memory) firn.Store { return believing{m} }, "UploadOfWrongBytes", false},
		"sends from the position":  {func(m *storetest.Memory) firn.Store { return positioned{m} }, "UploadReadsFromTheStart", false},
		"takes any description":    {func(m *storetest.Memory) firn.Store { return careless{m} }, "UploadThatIsRefused", false},
		"trims descriptions":       {func(m *storetest.Memory) firn.Store { return trimming{m} }, "Descriptions", false},
		"lists one page":           {func(m *storetest.Memory) firn.Store { return onePage{m} }, "UploadsPage", false},
		"lists one page of parts":  {func(m *storetest.Memory) firn.Store { return onePage{m} }, "PartsPage", false},
		"lists one page of jobs":   {func(m *storetest.Memory) firn.Store { return onePage{m} }, "JobsPage", false},
		"completes once":           {func(m *storetest.Memory) firn.Store { return &once{Memory: m} }, "CompleteIsIdempotent", false},
		"misses what was deleted":  {func(m *storetest.Memory) firn.Store { return &once{Memory: m} }, "DeleteArchive", false},
		"misses what was aborted":  {func(m *storetest.Memory) firn.Store { return &once{Memory: m} }, "Abort", false},
		"gives all for a range":    {func(m *storetest.Memory) firn.Store { return rangeless{m} }, "Retrieval", false},
		"gives the archive's hash": {func(m *storetest.Memory) firn.Store { return mislabelled{m} }, "RetrievalOfARange", false},
		"has no raw inventories":   {func(m *storetest.Memory) firn.Store { return parsed{m} }, "InventoryOutput", false},
		"knows one format":         {func(m *storetest.Memory) firn.Store { return oneFormat{m} }, "InventoryInCSV", false},
		"lists everything always":  {func(m *storetest.Memory) firn.Store { return boundless{m} }, "InventoryOfSome", false},
		"goes on after each":       {func(m *storetest.Memory) firn.Store { return deafToEach{m} }, "InventoryStopsWithEach", false},
		"shows what is there now":  {func(m *storetest.Memory) firn.Store { return &fresh{Memory: m} }, "InventoryLag", true},
		"tells all or nothing":     {func(m *storetest.Memory) firn.Store { return talkative{m} }, "Notifications", false},
		"has no empty tags":        {func(m *storetest.Memory) firn.Store { return nilTags{m} }, "Tags", false},
		"ignores contexts":         {func(m *storetest.Memory) firn.Store { return tireless{m} }, "EndedContext", false},
		"is always the same":       {func(m *storetest.Memory) firn.Store { return eternal{m} }, "DeleteNeedsAnEmptyStore", false},
		"says no too late":         {func(m *storetest.Memory) firn.Store { return unknowing{m} }, "UnknownJob", false},
	}
}

// TestSuiteNoticesMutants runs, for each mutant, the case that must notice it,
// in a process of its own, since a test can't survive its failing subtest.
func TestSuiteNoticesMutants(t *testing.T) {
	for name, m := range mutants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestMutant$/^"+m.dies+"$")
			cmd.Env = append(os.Environ(), "STORETEST_MUTANT="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("--- FAIL: TestMutant/"+m.dies)) {
				t.Errorf("%s passes it: %v\n%s", m.dies, err, out)
			}
		})
	}
}

// TestMutant is one of those processes.
func TestMutant(t *testing.T) {
	m, ok := mutants()[os.Getenv("STORETEST_MUTANT")]
	if !ok {
		t.Skip("this runs in processes of TestSuiteNoticesMutants")
	}
	o := worlds["instant"]
	if m.slow {
		o = worlds["slow"]
	}
	storetest.Run(t, func(*testing.T) storetest.Harness {
		return memory(o, func(s firn.Store) firn.Store { return m.store(s.(*storetest.Memory)) })
	})
}

type merging struct {
	*storetest.Memory
	ids map[string]firn.ArchiveID
}

func (m *merging) UploadArchive(ctx context.Context, d string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	if id, ok := m.ids[d]; ok {
		return id, nil
	}
	id, err := m.Memory.UploadArchive(ctx, d, body, sums)
	m.ids = map[string]firn.ArchiveID{d: id}
	return id, err
}

type believing struct{ *storetest.Memory }

func (m believing) UploadArchive(ctx context.Context, d string, body *io.SectionReader, _ treehash.Sums) (firn.ArchiveID, error) {
	double := treehash.NewDouble()
	io.Copy(double, io.NewSectionReader(body, 0, body.Size()))
	return m.Memory.UploadArchive(ctx, d, body, double.Sums())
}

type positioned struct{ *storetest.Memory }

func (m positioned) UploadArchive(ctx context.Context, d string, body *io.SectionReader, _ treehash.Sums) (firn.ArchiveID, error) {
	rest, _ := io.ReadAll(body)
	again, sums := storetest.Body(rest)
	return m.Memory.UploadArchive(ctx, d, again, sums)
}

type careless struct{ *storetest.Memory }

func (m careless) StartUpload(ctx context.Context, d string, partSize int64) (firn.UploadID, error) {
	return m.Memory.StartUpload(ctx, strings.ToValidUTF8(d[:min(len(d), 1)], ""), partSize)
}

type trimming struct{ *storetest.Memory }

func (m trimming) UploadArchive(ctx context.Context, d string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	return m.Memory.UploadArchive(ctx, strings.Join(strings.Fields(d), " "), body, sums)
}

type onePage struct{ *storetest.Memory }

func first[T any](items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		n := 0
		for item, err := range items {
			if n++; n > 50 || !yield(item, err) {
				return
			}
		}
	}
}

func (m onePage) Uploads(ctx context.Context) iter.Seq2[firn.Upload, error] {
	return first(m.Memory.Uploads(ctx))
}

func (m onePage) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	return first(m.Memory.Parts(ctx, id))
}

func (m onePage) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return first(m.Memory.Jobs(ctx))
}

// once refuses to do a thing twice.
type once struct {
	*storetest.Memory
	done []string
}

func (m *once) again(what string) error {
	if slices.Contains(m.done, what) {
		return &firn.Error{Op: "repeat", Kind: firn.NotFound}
	}
	m.done = append(m.done, what)
	return nil
}

func (m *once) CompleteUpload(ctx context.Context, id firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	if err := m.again(string(id)); err != nil {
		return "", err
	}
	return m.Memory.CompleteUpload(ctx, id, size, tree)
}

func (m *once) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	if err := m.again(string(id)); err != nil {
		return err
	}
	return m.Memory.DeleteArchive(ctx, id)
}

func (m *once) AbortUpload(ctx context.Context, id firn.UploadID) error {
	if err := m.again(string(id)); err != nil {
		return err
	}
	return m.Memory.AbortUpload(ctx, id)
}

type rangeless struct{ *storetest.Memory }

func (m rangeless) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	return m.Memory.Output(ctx, id, firn.Range{End: at.Len()})
}

type mislabelled struct{ *storetest.Memory }

func (m mislabelled) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := m.Memory.Output(ctx, id, at)
	if job, lost := m.Memory.Job(ctx, id); lost == nil {
		out.Tree = job.ArchiveTree
	}
	return out, err
}

type parsed struct{ *storetest.Memory }

func (m parsed) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	if job, err := m.Memory.Job(ctx, id); err == nil && job.Kind == firn.InventoryJob {
		return firn.Output{}, &firn.Error{Op: "download", Kind: firn.Invalid}
	}
	return m.Memory.Output(ctx, id, at)
}

type oneFormat struct{ *storetest.Memory }

func (m oneFormat) StartInventory(ctx context.Context, spec firn.InventorySpec) (firn.JobID, error) {
	spec.Format = ""
	return m.Memory.StartInventory(ctx, spec)
}

type boundless struct{ *storetest.Memory }

func (m boundless) StartInventory(ctx context.Context, spec firn.InventorySpec) (firn.JobID, error) {
	spec.Listing = firn.Listing{}
	return m.Memory.StartInventory(ctx, spec)
}

type deafToEach struct{ *storetest.Memory }

func (m deafToEach) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	return m.Memory.Inventory(ctx, id, func(a firn.Archive) error { each(a); return nil })
}

type fresh struct{ *storetest.Memory }

func (m *fresh) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (info firn.InventoryInfo, err error) {
	if info, err = m.Memory.Inventory(ctx, id, func(firn.Archive) error { return nil }); err != nil {
		return info, err
	}
	info.Archives = 0
	for _, a := range m.Archives() {
		info.Archives++
		if err := each(a); err != nil {
			return info, err
		}
	}
	return info, nil
}

type nilTags struct{ *storetest.Memory }

func (m nilTags) Tags(ctx context.Context) (map[string]string, error) {
	tags, err := m.Memory.Tags(ctx)
	if len(tags) == 0 {
		tags = nil
	}
	return tags, err
}

type talkative struct{ *storetest.Memory }

func (m talkative) SetNotifications(ctx context.Context, n firn.Notifications) error {
	if len(n.Events) == 1 {
		n.Events = append(n.Events, firn.ArchiveRetrieved, firn.InventoryRetrieved)
	}
	return m.Memory.SetNotifications(ctx, n)
}

type tireless struct{ *storetest.Memory }

func (m tireless) StartInventory(_ context.Context, d firn.InventorySpec) (firn.JobID, error) {
	return m.Memory.StartInventory(context.Background(), d)
}

type eternal struct{ *storetest.Memory }

func (m eternal) Describe(ctx context.Context) (firn.StoreInfo, error) {
	info, err := m.Memory.Describe(ctx)
	info.Identity = "I"
	return info, err
}

type unknowing struct{ *storetest.Memory }

func (m unknowing) Job(ctx context.Context, id firn.JobID) (firn.Job, error) {
	job, err := m.Memory.Job(ctx, id)
	if firn.KindOf(err) == firn.NotFound {
		return firn.Job{ID: id, State: firn.JobRunning}, nil
	}
	return job, err
}
