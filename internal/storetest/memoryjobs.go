package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// StartRetrieval starts a retrieval job.
func (m *Memory) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	const op = "start retrieval"
	if err := m.enter(ctx, op); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	if err := checkDescription(spec.Description); err != nil {
		return "", m.fail(op, firn.Invalid, err)
	}
	if _, err := firn.ParseTier(string(spec.Tier)); err != nil {
		return "", m.fail(op, firn.Invalid, err)
	}
	a := m.archive(spec.Archive)
	if a == nil {
		return "", m.fail(op, firn.NotFound, fmt.Errorf("no archive %q", spec.Archive))
	}
	bytes := firn.Range{End: a.Size}
	if spec.Range != nil {
		bytes = *spec.Range
	}
	if !treehash.LeafAligned(a.Size, bytes.Start, bytes.End) {
		return "", m.fail(op, firn.Invalid, fmt.Errorf("the range %v of %d bytes", bytes, a.Size))
	}
	j := m.job(firn.RetrievalJob, spec.Description)
	j.archive = a
	j.Tier, j.Archive, j.ArchiveSize, j.ArchiveTree, j.Range = spec.Tier, a.ID, a.Size, a.Tree, bytes
	if treehash.NodeAligned(a.Size, bytes.Start, bytes.End) {
		j.RangeTree = treehash.Sum(a.data[bytes.Start:bytes.End])
	}
	return j.ID, nil
}

func (m *Memory) job(kind firn.JobKind, description string) *memoryJob {
	j := &memoryJob{Job: firn.Job{
		ID:          firn.JobID(m.id("job")),
		Kind:        kind,
		Description: description,
		Created:     m.o.Clock.Now(),
	}}
	m.jobs = append(m.jobs, j)
	return j
}

// now gives the job as it is now, and whether it is still known.
func (m *Memory) now(j *memoryJob) (firn.Job, bool) {
	now, ripe := m.o.Clock.Now(), j.Created.Add(m.o.JobDelay)
	job := j.Job
	switch {
	case now.Before(ripe):
		job.State, job.RangeTree = firn.JobRunning, treehash.Hash{}
		return job, true
	case j.archive != nil && !j.archive.deleted.IsZero() && j.archive.deleted.Before(ripe):
		job.State, job.Message = firn.JobFailed, "the archive was deleted"
	default:
		job.State = firn.JobReady
	}
	job.Completed = ripe
	if job.Kind == firn.InventoryJob && job.State == firn.JobReady {
		m.write(j)
		job.InventorySize, job.Listing.Marker = int64(len(j.output)), j.next
	}
	return job, now.Before(ripe.Add(m.o.OutputLife))
}

// find finds a job that is still known.
func (m *Memory) find(op string, id firn.JobID) (*memoryJob, firn.Job, error) {
	for _, j := range m.jobs {
		if j.ID != id {
			continue
		}
		if job, known := m.now(j); known {
			return j, job, nil
		}
	}
	return nil, firn.Job{}, m.fail(op, firn.NotFound, fmt.Errorf("no job %q", id))
}

// Job describes a job.
func (m *Memory) Job(ctx context.Context, id firn.JobID) (firn.Job, error) {
	const op = "describe job"
	if err := m.enter(ctx, op); err != nil {
		return firn.Job{}, err
	}
	defer m.mu.Unlock()
	_, job, err := m.find(op, id)
	return job, err
}

// Jobs lists the jobs.
func (m *Memory) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return listing(m, ctx, "list jobs", func() (jobs []firn.Job, err error) {
		for _, j := range m.jobs {
			if job, known := m.now(j); known {
				jobs = append(jobs, job)
			}
		}
		return jobs, nil
	})
}

// ready finds a job whose output is there.
func (m *Memory) ready(op string, id firn.JobID) (*memoryJob, firn.Job, error) {
	j, job, err := m.find(op, id)
	switch {
	case err != nil:
		return nil, job, err
	case job.State == firn.JobRunning:
		return nil, job, m.fail(op, firn.NotReady, fmt.Errorf("the job is running"))
	case job.State == firn.JobFailed:
		return nil, job, m.fail(op, firn.Invalid, fmt.Errorf("the job failed: %s", job.Message))
	}
	return j, job, nil
}

// Output opens part of an output.
func (m *Memory) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	const op = "download"
	if err := m.enter(ctx, op); err != nil {
		return firn.Output{}, err
	}
	defer m.mu.Unlock()
	j, job, err := m.ready(op, id)
	if err != nil {
		return firn.Output{}, err
	}
	whole := j.output
	if j.archive != nil {
		whole = j.archive.data[job.Range.Start:job.Range.End]
	}
	if at.Start < 0 || at.End <= at.Start || at.End > int64(len(whole)) {
		return firn.Output{}, m.fail(op, firn.Invalid, fmt.Errorf("the range %v of this output", at))
	}
	out := firn.Output{ReadCloser: io.NopCloser(bytes.NewReader(whole[at.Start:at.End]))}
	if !job.RangeTree.IsZero() && treehash.NodeAligned(job.Range.Len(), at.Start, at.End) {
		out.Tree = treehash.Sum(whole[at.Start:at.End])
	}
	return out, nil
}
