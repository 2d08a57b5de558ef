package retrieval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
)

// Look reads the store's list of jobs, whoever started them, and brings the
// catalog up to it: see Update. From then on Find and Why go by it. After an
// error Find still gives what it gave before. Where jobs are ready at once nothing
// is listed: what was asked for before is forgotten, as it costs nothing.
func (a *Asker) Look(ctx context.Context) error {
	b := a.book
	b.begin()
	if !a.slow {
		b.sweep()
		return nil
	}
	began, gone := a.o.Clock.Now(), map[firn.JobID]bool{}
	silent, err := Update(ctx, a.o, func(j Listed) {
		switch {
		case j.Kind != firn.RetrievalJob:
		case a.gone[j.ID]:
			gone[j.ID] = true // for as long as the store lists it
		default:
			b.listed(&j)
		}
	})
	if err != nil {
		return err
	}
	for i := range silent {
		b.silent(&silent[i], a.whole)
	}
	b.sweep()
	a.gone, a.looked = gone, a.o.Clock.Now().Sub(began)
	return nil
}

// Find gives the best job that brings a want, as of the last Look and of what was
// asked for since: JobReady, or JobRunning, which may also mean that it was asked
// for and no answer came. It has no Description, and where the store doesn't list
// it yet its Created is by the local clock.
func (a *Asker) Find(w Want) (job firn.Job, ok bool) { return a.book.find(&w) }

// Why is what the store said of the last job of an archive that failed; empty
// where it lists none.
func (a *Asker) Why(archive firn.ArchiveID) string {
	return a.book.failure(archive)
}

// Failure is what the store said of the last job that failed of those for just this
// want, and when it made the job; empty where it lists none.
func (a *Asker) Failure(w Want) (why string, created time.Time) {
	at := firn.Range{}
	if w.Range != nil {
		at = *w.Range
	}
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	f, _ := a.book.wrong.get(output(w.Remote, w.Size, at))
	return f.why, f.created
}

// Ask gives the job that brings a want: the one that Find gives, else it asks for
// one, with a tier (empty: that of the options). The intent is recorded before,
// the outcome after it. Where the answer is lost the job is a running one without
// an ID; a Look finds it if there is one, and AnswerTime after it was asked for
// there is none.
// Errors: those of firn.Retriever.StartRetrieval, and of the catalog; Usage, before
// anything is asked for (the want's class has no such tier).
func (a *Asker) Ask(ctx context.Context, w Want, tier firn.Tier) (firn.Job, error) {
	return a.AskFor(ctx, w, tier, 0)
}

// AskFor is Ask of a store that thaws, whose copy is to stay for some days; 0: for
// those that Days gives of the archive.
func (a *Asker) AskFor(ctx context.Context, w Want, tier firn.Tier, days int) (firn.Job, error) {
	if err := w.check(); err != nil {
		return firn.Job{}, err
	}
	defer a.alone(w.Remote)()
	if job, ok := a.Find(w); ok {
		return job, nil
	}
	return a.start(ctx, w, cmp.Or(tier, a.o.Tier), days)
}

// Extend has the copy that a ready job brings of an archive stay for some days from
// now on. It is false where the copy is gone meanwhile, by the store's own word: to
// ask for that would be to have it thaw once more, for its full price.
func (a *Asker) Extend(ctx context.Context, w Want, id firn.JobID, tier firn.Tier, days int) (stays bool, err error) {
	job, err := a.o.Store.Job(ctx, id)
	if firn.KindOf(err) == firn.NotFound || err == nil && job.State != firn.JobReady {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if tier = cmp.Or(tier, a.o.Tier); tier == firn.Expedited {
		tier = firn.Standard // nothing has to be brought
	}
	_, err = a.o.Store.StartRetrieval(ctx, firn.RetrievalSpec{Archive: w.Remote, Tier: tier, Days: days, Description: describe.Job(firn.NewToken(), a.o.Run.Command)})
	switch firn.KindOf(err) {
	case firn.NotFound:
		return false, nil
	case firn.Lost: // it may have been done
		return false, errors.Join(err, a.o.Catalog.CopyExtended(context.WithoutCancel(ctx), a.o.Row, w.Size, days))
	}
	if err != nil {
		return false, err
	}
	return true, a.o.Catalog.CopyExtended(context.WithoutCancel(ctx), a.o.Row, w.Size, days)
}

// Fetched says that a want was fetched from a job's output: the catalog need not
// wait for it any more. Find still gives it to other wants, while it is there.
func (a *Asker) Fetched(ctx context.Context, _ Want, job firn.Job) error {
	return a.forget(ctx, &job, "fetched")
}

// Gone says that a job's output is not there, and why: Find never gives it again,
// whatever the store lists, and what it brought can be asked for anew.
func (a *Asker) Gone(ctx context.Context, _ Want, job firn.Job, why string) error {
	err := a.forget(ctx, &job, why)
	a.book.drop(&job)
	if job.ID != "" {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.gone[job.ID] = true
	}
	return err
}

// forget records that the catalog need not wait for a job, if it does.
func (a *Asker) forget(ctx context.Context, job *firn.Job, why string) error {
	a.fetched()
	row := a.book.waits(job)
	if row == 0 {
		return nil
	}
	return a.o.Catalog.JobGone(context.WithoutCancel(ctx), row, why)
}

// fetched notes that something was ready.
func (a *Asker) fetched() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.came = true
}

// Output gives what a ready job brings. Errors: Corrupt (it is not of the archive
// that is wanted, by what is known of that).
func (a *Asker) Output(w Want, job firn.Job) (*Ready, error) {
	r := &Ready{Job: job, want: w, from: a.o.Downloader, stay: a.stayRound}
	return r, r.check()
}

// alone holds off others that would ask for an archive, until the function that
// it gives is called.
func (a *Asker) alone(archive firn.ArchiveID) func() {
	asking := &a.asking[maphash.String(a.seed, string(archive))%uint64(len(a.asking))]
	asking.Lock()
	return asking.Unlock
}

// start asks for a want.
func (a *Asker) start(ctx context.Context, w Want, tier firn.Tier, days int) (firn.Job, error) {
	if err := a.pace.Of(w.Class).Offers(tier); err != nil {
		return firn.Job{}, err
	}
	if a.slow {
		return a.startThaw(ctx, w, tier, days)
	}
	for try := 1; ; try++ {
		job, err := a.startInstant(ctx, w, tier)
		if firn.KindOf(err) != firn.Lost || ctx.Err() != nil || try == startTries {
			return job, err
		}
	}
}

func (a *Asker) request(ctx context.Context, w Want, tier firn.Tier, days int, token firn.Token, hastens bool) (firn.JobID, error) {
	if err := a.slots.Acquire(ctx, 1); err != nil {
		return "", context.Cause(ctx)
	}
	defer a.slots.Release(1)
	id, err := a.o.Store.StartRetrieval(ctx, firn.RetrievalSpec{Archive: w.Remote, Range: a.rangeOf(w), Tier: tier, Days: days, Hastens: hastens, Description: describe.Job(token, a.o.Run.Command)})
	if err == nil && id == "" {
		err = &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.Lost, Err: errors.New("the store's answer names no job")}
	}
	if err != nil {
		return "", err // not every store leaves it out
	}
	return id, nil
}

// rangeOf is the range to ask for: where an archive can only thaw whole, all of it.
func (a *Asker) rangeOf(w Want) *firn.Range {
	if a.whole {
		return nil
	}
	return w.Range
}

// back says that a job is there again: where jobs are states of archives, one that
// was asked for anew has the id that it had.
func (a *Asker) back(id firn.JobID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.gone, id)
}

// startInstant starts a job of a store where jobs are ready at once and cost
// nothing: one that nobody remembers does no harm.
func (a *Asker) startInstant(ctx context.Context, w Want, tier firn.Tier) (firn.Job, error) {
	id, err := a.request(ctx, w, tier, 0, firn.NewToken(), false)
	if err != nil {
		return firn.Job{}, err
	}
	job, err := a.o.Store.Job(ctx, id)
	if err != nil {
		return firn.Job{}, err
	}
	if job.State == firn.JobFailed {
		return firn.Job{}, &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.Invalid, Err: fmt.Errorf("the job failed: %s", job.Message)}
	}
	a.book.add(&job, 0)
	return job, nil
}

// Days is for how many days copies of so many bytes together are to stay, so that
// they can be downloaded as fast as the store's bytes were seen to arrive, and two days
// more; three at the least. 0: the store makes none.
func (a *Asker) Days(ctx context.Context, bytes int64) (int, error) {
	supply := plan.SupplyOf(a.o.Store.Traits())
	if !supply.Thaws {
		return 0, nil
	}
	rate, known, err := a.o.Catalog.DownloadRate(ctx, a.o.Row)
	return supply.StayDays(max(bytes, 1), rate, known), err
}

// startThaw asks, and has the answer recorded.
func (a *Asker) startThaw(ctx context.Context, w Want, tier firn.Tier, days int) (firn.Job, error) {
	days, err := a.daysOr(ctx, w, days)
	if err != nil {
		return firn.Job{}, err
	}
	job, row, err := a.startRecorded(ctx, w, tier, days, false)
	record := context.WithoutCancel(ctx)
	switch {
	case firn.KindOf(err) == firn.Lost:
		a.book.add(&job, row) // if it was started, the next look finds it
		a.unanswered()
		return job, nil
	case err != nil:
		return firn.Job{}, err
	}
	a.book.add(&job, row)
	a.back(job.ID)
	if a.whole {
		return job, a.o.Catalog.JobThawed(record, row, job.ID, w.Size, days)
	}
	return job, a.o.Catalog.JobStarted(catalog.Patiently(record), row, job.ID)
}

// unanswered notes that it is worth a look whether a request arrived, as soon as that
// tells it for sure: what didn't would be missing for as long again as its tier takes.
func (a *Asker) unanswered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers = a.o.Clock.Now().Add(AnswerTime)
}

// daysOr is for how many days a copy is to stay where nobody says so.
func (a *Asker) daysOr(ctx context.Context, w Want, days int) (int, error) {
	if days != 0 {
		return days, nil
	}
	return a.Days(ctx, w.Size)
}

// startRecorded records the intent before it asks, in a row, and after it that the store
// refused. The job is a running one, and without an ID after an error: where that is Lost
// there may be one.
func (a *Asker) startRecorded(ctx context.Context, w Want, tier firn.Tier, days int, hastens bool) (job firn.Job, row int64, err error) {
	job = firn.Job{Kind: firn.RetrievalJob, State: firn.JobRunning, Archive: w.Remote, ArchiveSize: w.Size, Tier: tier, Created: momentOf(a.o.Clock.Now()).time()}
	if at := a.rangeOf(w); at != nil {
		job.Range = *at
	} else if a.whole {
		job.Range = firn.Range{End: w.Size} // as the store lists it
	}
	token := firn.NewToken()
	row, err = a.o.Catalog.JobIntent(ctx, catalog.Job{Store: a.o.Row, Run: a.o.Run.ID, Token: token, Archive: w.Row, Remote: job})
	if err != nil {
		return job, 0, err
	}
	job.ID, err = a.request(ctx, w, tier, days, token, hastens)
	if err == nil || firn.KindOf(err) == firn.Lost {
		return job, row, err
	}
	// What the store did is recorded even if the user wants no more.
	if gone := a.o.Catalog.JobGone(context.WithoutCancel(ctx), row, err.Error()); gone != nil {
		err = fmt.Errorf("%w (and its outcome could not be recorded: %w)", err, gone)
	}
	return job, row, err
}

// FetchedAll is Fetched of many jobs, in few transactions.
func (a *Asker) FetchedAll(ctx context.Context, jobs []firn.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	a.fetched()
	var rows []int64
	for i := range jobs {
		if row := a.book.waits(&jobs[i]); row != 0 {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows) // which is how they lie in the catalog
	for part := range slices.Chunk(rows, recordsAtOnce) {
		if err := a.o.Catalog.JobsGone(context.WithoutCancel(ctx), part, "fetched"); err != nil {
			return err
		}
	}
	return nil
}
