package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// A task is an archive that is ready to be copied, or can be had at once.
type task struct {
	catalog.CopyTask
	label string
	want  retrieval.Want
	job   firn.Job // zero: it is to be asked for
	tree  treehash.Hash
	gone  atomic.Bool // the job's output isn't there any more
	// denied: the source doesn't let it be read.
	denied atomic.Bool
}

func newTask(t catalog.CopyTask) *task {
	label := t.File.Path
	if label == "" {
		label = "archive " + string(t.Remote)
	}
	return &task{CopyTask: t, label: label, want: retrieval.Want{Remote: t.Remote, Size: t.Size, Tree: t.TreeHash, Row: t.Archive, Class: t.Class, Label: label}}
}

// stamp is that of the archive as a file: what is the same at every try.
func (t *task) stamp() firn.Stamp { return firn.Stamp{Size: t.Size, ModTime: t.File.Stamp.ModTime} }

// note remembers that the output is gone, or denied.
func (t *task) note(err error) {
	switch firn.KindOf(err) {
	case firn.NotFound, firn.NotReady:
		t.gone.Store(true)
	case firn.Denied:
		t.denied.Store(true)
	}
}

// fetchable has a job for the archive whose output can be read.
func (m *mover) fetchable(ctx context.Context, t *task) error {
	if t.job.ID == "" {
		if err := m.asker.Try(t.want); err != nil {
			return err
		}
		job, err := m.asker.Ask(ctx, t.want, tierFor(m.supply.Pace.Of(t.Class), m.Tiers))
		if err != nil {
			t.denied.Store(firn.KindOf(err) == firn.Denied)
			return err
		}
		t.job = job
	}
	if t.TreeHash.IsZero() && t.job.ArchiveTree.IsZero() {
		told, err := m.From.Store.Job(ctx, t.job.ID)
		if err != nil {
			t.note(err)
			return err
		}
		t.job.ArchiveTree, t.job.ArchiveSize = told.ArchiveTree, max(told.ArchiveSize, t.job.ArchiveSize)
	}
	r, err := m.asker.Output(t.want, t.job)
	if err == nil {
		t.tree = r.Tree()
	}
	return err
}

// copyOne copies one archive, as one. It gives an error only where the run can't
// go on.
func (m *mover) copyOne(ctx context.Context, t *task) error {
	err := m.fetchable(ctx, t)
	var j *copyJournal
	if err == nil {
		j = &copyJournal{mover: m, task: t, intent: m.resume(t.Copy)}
		j.Sending = m.Catalog.Sending(&j.intent.ID)
		err = m.send(ctx, j)
	}
	return m.settleTask(ctx, t, j, err)
}

// send uploads what a task brings.
func (m *mover) send(ctx context.Context, j *copyJournal) error {
	t := j.task
	if t.Size == 0 && !m.traits.EmptyArchives {
		return &firn.Error{Op: "copy", Subject: t.label, Kind: firn.Invalid, Err: errors.New("it is empty, and the target takes no empty archives")}
	}
	open := func() (transfer.File, error) {
		j.source = &source{mover: m, ctx: ctx, task: t, part: j.part, windows: map[int64]*window{}, streams: map[int64]*stream{}}
		return j.source, nil
	}
	var resume *transfer.Resume
	if j.intent.Upload != "" {
		resume, j.part = reconcile.ResumeOpened(j.intent), j.intent.PartSize
	}
	_, err := m.up.Upload(ctx, transfer.Task{
		Source: transfer.Source{Path: t.label, Open: open}, Journal: j, Resume: resume,
		Known: func(_ context.Context, c firn.Content) (bool, error) { return false, j.verify(c) },
	})
	m.Events(firn.TransferEvent{Path: t.label, Ended: true})
	return err
}

// resume gives what an earlier process began of an archive of the target, once.
func (m *mover) resume(archive int64) catalog.Intent {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.resumes[archive]
	delete(m.resumes, archive)
	return in
}

// settleTask sees to what became of a copy.
func (m *mover) settleTask(ctx context.Context, t *task, j *copyJournal, err error) error {
	if err == nil {
		return m.fetched(ctx, t)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if t.gone.Load() {
		if j != nil && j.intent.ID != 0 && j.intent.Upload == "" {
			if err := m.abandon(ctx, j.intent); err != nil {
				return err
			}
		}
		return m.asker.Gone(ctx, t.want, t.job, "its output expired")
	}
	if errors.Is(err, errDiffers) {
		return m.fail(ctx, t, j, err)
	}
	if t.denied.Load() && firn.KindOf(err) == firn.Denied {
		return m.deny(reading, t, j, err)
	}
	switch firn.KindOf(err) {
	case firn.InDoubt, firn.NotReady, firn.Lost:
		return nil // the next round looks at it
	case firn.Corrupt, firn.Invalid, firn.NotFound, firn.Changed:
		return m.fail(ctx, t, j, err)
	}
	return err
}

// fetchedAtOnce is how many jobs are recorded as fetched in one go: those of which a
// kill keeps the record show as ready until they expire, and nothing waits for them.
const fetchedAtOnce = 256

// fetched notes that nothing waits for the jobs of some archives any more.
func (m *mover) fetched(ctx context.Context, tasks ...*task) error {
	if !m.slow {
		return nil
	}
	m.mu.Lock()
	for _, t := range tasks {
		m.done = append(m.done, t.job)
	}
	var full []firn.Job
	if len(m.done) >= fetchedAtOnce {
		full, m.done = m.done, nil
	}
	m.mu.Unlock()
	return m.asker.FetchedAll(ctx, full)
}

// recordFetched records what fetched noted.
func (m *mover) recordFetched(ctx context.Context) error {
	m.mu.Lock()
	rest := m.done
	m.done = nil
	m.mu.Unlock()
	return m.asker.FetchedAll(ctx, rest)
}

// fail gives an archive up: it stays where it is.
func (m *mover) fail(ctx context.Context, t *task, j *copyJournal, why error) error {
	if j != nil && j.intent.ID != 0 {
		if err := m.abandon(ctx, j.intent); err != nil {
			return err
		}
	}
	m.Events(firn.FileEvent{Action: firn.Failed, Tree: t.Tree, Path: t.label, Size: t.Size, Archive: t.Remote, Err: why})
	return m.Catalog.CopyFails(ctx, m.m, t.Archive, why.Error())
}

// abandon leaves nothing of an upload, unless it may be an archive.
func (m *mover) abandon(ctx context.Context, in catalog.Intent) error {
	_, state, err := m.Catalog.ArchiveState(ctx, in.ID)
	if err != nil || state >= catalog.Stored || state == catalog.Doubt {
		return err
	}
	if in.Upload != "" {
		if err := m.To.Store.AbortUpload(ctx, in.Upload); err != nil && firn.KindOf(err) != firn.NotFound {
			return err
		}
	}
	return m.Catalog.CopyDropped(ctx, m.m, in.ID, "the upload was given up")
}

// A copyJournal keeps the record of a copy in the catalog. It is a
// transfer.Journal.
type copyJournal struct {
	*mover
	catalog.Sending
	task   *task
	source *source
	part   int64
	intent catalog.Intent // ID 0 until recorded
}

// verify compares what was read with what was stored.
func (j *copyJournal) verify(c firn.Content) error {
	if want := j.task.tree; !want.IsZero() && c.Tree != want || c.Size != j.task.Size {
		return &firn.Error{Op: "verify", Subject: j.task.label, Kind: firn.Other,
			Err: fmt.Errorf("%w: the tree hash of its %d bytes is %s, and should be %s", errDiffers, c.Size, c.Tree, want)}
	}
	return nil
}

// Begin records the intent, or goes on with the one of an earlier process.
func (j *copyJournal) Begin(ctx context.Context, b transfer.Begun) (transfer.Name, error) {
	if j.intent.ID != 0 {
		j.intent.Upload = ""
		return transfer.Name{Token: j.intent.Token, Description: j.intent.Description}, j.Catalog.Retry(ctx, j.intent.ID)
	}
	in, err := j.intend(ctx, j.task)
	if err != nil {
		return transfer.Name{}, err
	}
	in.File.Stamp, in.Size = b.Stamp, b.Stamp.Size
	plans := []catalog.CopyPlan{{Intent: in, Sources: []int64{j.task.Archive}}}
	if err := j.Catalog.BeginCopies(ctx, j.m, plans); err != nil {
		return transfer.Name{}, err
	}
	j.intent = plans[0].Intent
	return transfer.Name{Token: in.Token, Description: in.Description}, nil
}

// Opened records the multipart upload.
func (j *copyJournal) Opened(ctx context.Context, id firn.UploadID, partSize int64) error {
	j.intent.Upload, j.part = id, partSize
	if j.source != nil {
		j.source.part = partSize
	}
	return j.Sending.Opened(ctx, id, partSize)
}

// Part records a part that the store has.
func (j *copyJournal) Part(ctx context.Context, p firn.Part) error {
	j.source.release(p.Offset, p.Size)
	return j.Sending.Part(ctx, p)
}

// Completing records that the upload may be an archive from now on, if it holds
// what it should.
func (j *copyJournal) Completing(ctx context.Context, c firn.Content) error {
	if err := j.verify(c); err != nil {
		return err
	}
	return j.Sending.Completing(ctx, c)
}

// Stored records the archive.
func (j *copyJournal) Stored(ctx context.Context, r transfer.Result) error {
	archive := r.As(j.intent.Description)
	if err := j.Catalog.CopyStored(catalog.Patiently(ctx), j.m, j.intent.ID, archive); err != nil {
		return err
	}
	j.copied(j.task, r.Archive)
	return nil
}

// Dropped records that nothing is left of the attempt.
func (j *copyJournal) Dropped(ctx context.Context) error {
	id := j.intent.ID
	j.intent = catalog.Intent{}
	return j.Catalog.CopyDropped(ctx, j.m, id, "the upload was given up")
}

// copied counts and tells of an archive that is in the target.
func (m *mover) copied(t *task, to firn.ArchiveID) {
	m.mu.Lock()
	m.res.Copied.Files++
	m.res.Copied.Bytes += t.Size
	m.lastCopied = m.Clock.Now()
	m.mu.Unlock()
	m.denials.had(reading)
	m.Events(firn.FileEvent{Action: firn.Sent, Tree: t.Tree, Path: t.label, Size: t.Size, Archive: to})
}

// patience is how long what is ready may wait for more that goes into its bundle.
const patience = 6 * time.Hour

// day is how exactly a sealed archive says when it was made, as of a sync.
const day = 24 * time.Hour
