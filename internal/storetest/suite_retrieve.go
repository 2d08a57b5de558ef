package storetest

import (
	"bytes"
	"io"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

func span(start, end int64) firn.Range { return firn.Range{Start: start, End: end} }

func (t *suiteTest) retrieval() {
	const size = 6*mib + 100
	data := Data(20, size)
	archive := t.upload("x", data)
	job := t.retrieve(firn.RetrievalSpec{Archive: archive, Tier: firn.Standard, Description: "token"})
	want := firn.Job{
		ID: job.ID, Kind: firn.RetrievalJob, State: firn.JobReady, Message: job.Message, Description: "token",
		Created: job.Created, Completed: job.Completed, Tier: firn.Standard,
		Archive: archive, ArchiveSize: size, ArchiveTree: treehash.Sum(data),
		Range: firn.Range{End: size}, RangeTree: treehash.Sum(data), Expires: job.Expires,
	}
	if traits := t.Store.Traits(); job.Expires.IsZero() == (traits.ThawsWhole && !traits.InstantJobs) {
		t.Errorf("it expires at %v", job.Expires)
	}
	if t.Store.Traits().ThawsWhole {
		want.Description, want.Tier = "", ""
	}
	if job != want {
		t.Errorf("got  %+v\nwant %+v", job, want)
	}
	if job.ID == "" || job.Created.IsZero() != t.Store.Traits().ThawsWhole || job.Completed.Before(job.Created) {
		t.Errorf("created %v, completed %v", job.Created, job.Completed)
	}
	t.checkRanges(job, data)
	if got, _ := t.download(job.ID, firn.Range{End: size}); !bytes.Equal(got, data) {
		t.Error("read once more, other bytes come")
	}
}

// checkRanges reads an output in all kinds of ranges. A hash must be right
// where there is one, and be there for nodes of the tree.
func (t *suiteTest) checkRanges(job firn.Job, data []byte) {
	t.Helper()
	size := int64(len(data))
	for _, at := range []firn.Range{
		span(0, size), span(0, 1), span(size-1, size), span(5, 1005), span(mib, 2*mib), span(2*mib, 4*mib),
		span(mib, 3*mib), span(mib/2, mib+1), span(size-size%mib, size),
	} {
		if at.End > size || at.Len() < 1 {
			continue
		}
		got, tree := t.download(job.ID, at)
		if !bytes.Equal(got, data[at.Start:at.End]) {
			t.Errorf("%v: other bytes come back (%d of them)", at, len(got))
		}
		node := treehash.NodeAligned(size, at.Start, at.End) && !job.RangeTree.IsZero() &&
			(at == span(0, size) || !t.Store.Traits().UncheckedTrees)
		switch {
		case node && tree != treehash.Sum(got):
			t.Errorf("%v: is a node of the tree; its hash is said to be %v", at, tree)
		case !node && !tree.IsZero() && tree != treehash.Sum(got):
			t.Errorf("%v: a wrong hash", at)
		}
	}
}

func (t *suiteTest) rangedRetrieval() {
	const size = 6*mib + 100
	data := Data(21, size)
	archive := t.upload("x", data)
	for _, r := range []firn.Range{span(0, mib), span(2*mib, 4*mib), span(mib, 4*mib), span(4*mib, size)} {
		job := t.retrieve(firn.RetrievalSpec{Archive: archive, Range: &r})
		part := data[r.Start:r.End]
		var tree treehash.Hash
		if treehash.NodeAligned(size, r.Start, r.End) && !t.Store.Traits().UncheckedTrees {
			tree = treehash.Sum(part)
		}
		if job.Range != r || job.RangeTree != tree || job.ArchiveSize != size || job.ArchiveTree != treehash.Sum(data) {
			t.Errorf("%v: %+v", r, job)
		}
		t.checkRanges(job, part)
	}
}

func (t *suiteTest) retrievalInvalid() {
	const size = 2*mib + 100
	archive := t.upload("x", Data(22, size))
	for name, spec := range map[string]firn.RetrievalSpec{
		"a start inside a MiB": {Range: new(span(1, mib))},
		"an end inside a MiB":  {Range: new(span(0, mib+1))},
		"beyond the end":       {Range: new(span(0, 3*mib))},
		"an empty range":       {Range: new(span(mib, mib))},
		"a backward range":     {Range: new(span(mib, 0))},
		"no such tier":         {Tier: "free"},
		"no tier":              {},
		"the description":      {Description: "\n"},
	} {
		spec.Archive = archive
		if spec.Tier == "" && name != "no tier" {
			spec.Tier = firn.Bulk
		}
		_, err := t.Store.StartRetrieval(t.ctx, spec)
		t.wants(name, err, firn.Invalid)
	}
	_, err := t.Store.StartRetrieval(t.ctx, firn.RetrievalSpec{Archive: "nonsense", Tier: firn.Bulk})
	t.wants("an unknown archive", err, firn.NotFound)
	if jobs, err := Collect(t.Store.Jobs(t.ctx)); err != nil || len(jobs) > 0 {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
	job := t.retrieve(firn.RetrievalSpec{Archive: archive})
	for name, at := range map[string]firn.Range{
		"empty": span(5, 5), "backward": span(5, 3), "negative": span(-1, 3), "beyond the end": span(size, size+1),
	} {
		_, err := t.Store.Output(t.ctx, job.ID, at)
		t.wants(name, err, firn.Invalid)
	}
}

func (t *suiteTest) runningJob() {
	if t.Ripe == 0 {
		t.Skip("jobs are ready at once")
	}
	archive := t.upload("x", Data(23, 100))
	t.Advance(t.Lag)
	retrieval, err := t.Store.StartRetrieval(t.ctx, firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk})
	t.must(err)
	inventory, err := t.Store.StartInventory(t.ctx, firn.InventorySpec{})
	t.must(err)
	running := []firn.JobID{retrieval, inventory}
	if t.Store.Traits().LiveInventory {
		running = running[:1]
	}
	for _, id := range running {
		job, err := t.Store.Job(t.ctx, id)
		t.must(err)
		if job.State != firn.JobRunning || !job.Completed.IsZero() {
			t.Errorf("%+v", job)
		}
	}
	_, err = t.Store.Output(t.ctx, retrieval, firn.Range{End: 100})
	t.wants("Output", err, firn.NotReady)
	if t.Store.Traits().LiveInventory {
		return
	}
	_, err = t.Store.Inventory(t.ctx, inventory, func(firn.Archive) error { return nil })
	t.wants("Inventory", err, firn.NotReady)
}

func (t *suiteTest) unknownJob() {
	_, err := t.Store.Job(t.ctx, "nonsense")
	t.wants("Job", err, firn.NotFound)
	_, err = t.Store.Output(t.ctx, "nonsense", firn.Range{End: 1})
	t.wants("Output", err, firn.NotFound)
	_, err = t.Store.Inventory(t.ctx, "nonsense", func(firn.Archive) error { return nil })
	t.wants("Inventory", err, firn.NotFound)
}

func (t *suiteTest) expiredJob() {
	if t.OutputLife == 0 {
		t.Skip("what is ready stays so")
	}
	archive := t.upload("x", Data(24, 100))
	job := t.retrieve(firn.RetrievalSpec{Archive: archive})
	t.Advance(t.OutputLife - time.Hour)
	t.download(job.ID, firn.Range{End: 100})
	t.Advance(2 * time.Hour)
	_, err := t.Store.Output(t.ctx, job.ID, firn.Range{End: 100})
	t.wants("Output", err, firn.NotFound)
	_, err = t.Store.Job(t.ctx, job.ID)
	t.wants("Job", err, firn.NotFound)
}

// failedJob: where a job takes time, deleting its archive meanwhile fails it.
func (t *suiteTest) failedJob() {
	if t.Ripe == 0 {
		t.Skip("jobs are ready at once")
	}
	archive := t.upload("x", Data(25, 100))
	id, err := t.Store.StartRetrieval(t.ctx, firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk})
	t.must(err)
	t.must(t.Store.DeleteArchive(t.ctx, archive))
	t.Advance(t.Ripe)
	job, err := t.Store.Job(t.ctx, id)
	if t.Store.Traits().ThawsWhole {
		t.wants("Job", err, firn.NotFound)
		return
	}
	t.must(err)
	if job.State != firn.JobFailed || job.Completed.IsZero() || job.Message == "" {
		t.Errorf("%+v", job)
	}
	_, err = t.Store.Output(t.ctx, id, firn.Range{End: 100})
	t.wants("Output", err, firn.Invalid)
}

func (t *suiteTest) pageJobs() {
	if t.Store.Traits().ThawsWhole {
		t.pageThawed()
		return
	}
	archive := t.upload("x", Data(26, 100))
	var want []firn.JobID
	for i := range more {
		id, err := t.Store.StartRetrieval(t.ctx, firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk, Description: label(i)})
		t.must(err)
		want = append(want, id)
		t.Advance(time.Second)
	}
	jobs, err := Collect(t.Store.Jobs(t.ctx))
	t.must(err)
	if len(jobs) != more {
		t.Fatalf("%d jobs, want %d", len(jobs), more)
	}
	for i, j := range jobs {
		if j.ID != want[i] || j.Description != label(i) || j.Archive != archive || j.Kind != firn.RetrievalJob {
			t.Errorf("job %d is %+v", i, j)
		}
	}
}

// pageThawed: an archive has one job, and the list is in the order of the ids. What
// can always be read isn't in it.
func (t *suiteTest) pageThawed() {
	var want []firn.JobID
	for i := range more {
		spec := firn.RetrievalSpec{Archive: t.upload(label(i), Data(26, 100)), Tier: firn.Bulk}
		t.upload("stays", Data(26, 100))
		id, err := t.Store.StartRetrieval(t.ctx, spec)
		t.must(err)
		again, err := t.Store.StartRetrieval(t.ctx, spec)
		t.must(err)
		if id != again {
			t.Fatalf("asked for twice it has two jobs: %q, %q", id, again)
		}
		want = append(want, id)
	}
	if t.Store.Traits().InstantJobs {
		want = nil
	}
	slices.Sort(want)
	states := []firn.JobState{firn.JobRunning, firn.JobReady}
	if t.Ripe == 0 {
		states = states[1:]
	}
	for _, state := range states {
		jobs, err := Collect(t.Store.Jobs(t.ctx))
		t.must(err)
		var ids []firn.JobID
		for _, j := range jobs {
			ids = append(ids, j.ID)
			if described, err := t.Store.Job(t.ctx, j.ID); err != nil || described.State != j.State || described.Archive != j.Archive ||
				j.State != state || j.ArchiveSize != 100 || j.Range != span(0, 100) || j.Kind != firn.RetrievalJob {
				t.Errorf("listed as %+v, described as %+v, %v", j, described, err)
			}
		}
		if !slices.Equal(ids, want) {
			t.Fatalf("%d jobs, want %d", len(ids), len(want))
		}
		t.Advance(t.Ripe)
	}
}

func (t *suiteTest) deleteArchive() {
	keep, gone := t.upload("keep", Data(32, 100)), t.upload("gone", Data(33, 100))
	job := t.retrieve(firn.RetrievalSpec{Archive: gone})
	t.must(t.Store.DeleteArchive(t.ctx, gone))
	t.must(t.Store.DeleteArchive(t.ctx, gone))
	out, err := t.Store.Output(t.ctx, job.ID, firn.Range{End: 100})
	if t.Store.Traits().ThawsWhole {
		t.wants("Output", err, firn.NotFound)
	} else {
		t.must(err)
		if got, err := io.ReadAll(out); err != nil || !bytes.Equal(got, Data(33, 100)) {
			t.Errorf("an output that was ready is gone with its archive: %v", err)
		}
		t.must(out.Close())
	}
	if all := t.listed(); len(all) != 1 || all[0].ID != keep {
		t.Errorf("there are %v", all)
	}
}
