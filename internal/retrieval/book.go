package retrieval

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// A book knows the jobs of a store by what they bring, in one round.
type book struct {
	seed maphash.Seed
	// asking holds off a second want of one archive while the first asks.
	asking [64]sync.Mutex

	mu   sync.Mutex
	jobs map[firn.ArchiveID][]*entry
	why  map[firn.ArchiveID]string // what the store says of the last job that failed
}

// An entry is a job that runs, is ready, or may have been asked for.
type entry struct {
	firn.Job
	row   int64     // in the catalog; 0: none
	asked time.Time // by the local clock; zero where somebody else asked
}

func newBook() *book {
	return &book{seed: maphash.MakeSeed(), jobs: map[firn.ArchiveID][]*entry{}, why: map[firn.ArchiveID]string{}}
}

// listed takes in a job of the store's list.
func (b *book) listed(j Listed) {
	if j.Kind != firn.RetrievalJob {
		return
	}
	if j.State == firn.JobFailed {
		b.mu.Lock()
		b.why[j.Archive] = j.Message
		b.mu.Unlock()
		return
	}
	b.add(&entry{Job: j.Job, row: j.Row})
}

func (b *book) add(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs[e.Archive] = append(b.jobs[e.Archive], e)
}

// drop forgets a job whose output is gone.
func (b *book) drop(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var kept []*entry
	for _, have := range b.jobs[e.Archive] {
		if have != e {
			kept = append(kept, have)
		}
	}
	b.jobs[e.Archive] = kept
}

// find gives the best job for a want, nil where there is none: of the ready ones
// the last, whose output stays longest, else the one that runs longest.
func (b *book) find(w Want) (best *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.jobs[w.Remote] {
		switch ready := e.State == firn.JobReady; {
		case !e.serves(w):
		case best == nil, ready && (best.State != firn.JobReady || e.Completed.After(best.Completed)):
			best = e
		}
	}
	return best
}

// serves reports whether a job brings what is wanted.
func (e *entry) serves(w Want) bool {
	whole := e.Range == firn.Range{} || e.Range == firn.Range{End: e.ArchiveSize}
	return whole || w.Range != nil && e.Range.Start <= w.Range.Start && w.Range.End <= e.Range.End
}

// job gives the best job for a want, and starts one if there is none.
func (a *Asker) job(ctx context.Context, w Want) (*entry, error) {
	asking := &a.book.asking[maphash.String(a.book.seed, string(w.Remote))%uint64(len(a.book.asking))]
	asking.Lock()
	defer asking.Unlock()
	if e := a.book.find(w); e != nil {
		return e, nil
	}
	for {
		if err := a.count(w); err != nil {
			return nil, err
		}
		if a.slow {
			return a.startRecorded(ctx, w)
		}
		e, err := a.startInstant(ctx, w)
		if firn.KindOf(err) != firn.Lost || ctx.Err() != nil {
			return e, err
		}
	}
}

// count counts how often a want was asked for, up to what is enough.
func (a *Asker) count(w Want) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tries[w.key()]++; a.tries[w.key()] <= startTries {
		return nil
	}
	err := fmt.Errorf("it was asked for %d times, in vain", startTries)
	if why := a.book.why[w.Remote]; why != "" {
		err = fmt.Errorf("%w: %s", err, why)
	}
	return &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.Invalid, Err: err, Hint: "try again later, with another tier perhaps"}
}

func (a *Asker) start(ctx context.Context, w Want, token firn.Token) (firn.JobID, error) {
	id, err := a.o.Store.StartRetrieval(ctx, firn.RetrievalSpec{Archive: w.Remote, Range: w.Range, Tier: a.o.Tier, Description: describe.Job(token, a.o.Run.Command)})
	if err == nil && id == "" {
		err = &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.Invalid, Err: errors.New("the store's answer names no job")}
	}
	return id, err
}

// startInstant starts a job of a store where jobs are ready at once and cost
// nothing: one that nobody remembers does no harm.
func (a *Asker) startInstant(ctx context.Context, w Want) (*entry, error) {
	id, err := a.start(ctx, w, firn.NewToken())
	if err != nil {
		return nil, err
	}
	job, err := a.o.Store.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	if job.State == firn.JobFailed {
		return nil, &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.Invalid, Err: fmt.Errorf("the job failed: %s", job.Message)}
	}
	e := &entry{Job: job}
	a.book.add(e)
	return e, nil
}

// startRecorded records the intent before it asks, and the outcome after.
func (a *Asker) startRecorded(ctx context.Context, w Want) (*entry, error) {
	e := &entry{Job: firn.Job{Kind: firn.RetrievalJob, State: firn.JobRunning, Archive: w.Remote, ArchiveSize: w.Size, Tier: a.o.Tier}, asked: a.o.Clock.Now()}
	if w.Range != nil {
		e.Range = *w.Range
	}
	token := firn.NewToken()
	var err error
	if e.row, err = a.o.Catalog.JobIntent(ctx, catalog.Job{Store: a.o.Row, Run: a.o.Run.ID, Token: token, Remote: e.Job}); err != nil {
		return nil, err
	}
	e.ID, err = a.start(ctx, w, token)
	// What the store did is recorded even if the user wants no more.
	record := context.WithoutCancel(ctx)
	switch {
	case err == nil:
		a.book.add(e)
		return e, a.o.Catalog.JobStarted(record, e.row, e.ID)
	case firn.KindOf(err) == firn.Lost:
		a.book.add(e) // if it was started, the next list of jobs shows it
		return e, nil
	}
	if gone := a.o.Catalog.JobGone(record, e.row, err.Error()); gone != nil {
		return nil, fmt.Errorf("%w (and its outcome could not be recorded: %w)", err, gone)
	}
	return nil, err
}
