package retrieval

import (
	"context"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
)

// recordsAtOnce is how many jobs are recorded in one transaction of the catalog, and
// held until then: some 100 ms, in which nobody else can write, and a MiB.
const recordsAtOnce = 1024

// A Listed is a job in the store's list, whoever started it.
type Listed struct {
	firn.Job
	// Row is that of the catalog; 0: it doesn't wait for the job, which is
	// another program's, or another machine's, or was fetched already.
	Row int64
	// Hastened is a request that the job comes faster, to which nobody knows the
	// answer; its row 0: there is none.
	Hastened unanswered
}

// An unanswered request is one that a job comes by a faster tier. Whether it was made
// the store doesn't tell, but it is safe to make it again: one that was is refused.
type unanswered struct {
	row  int64 // in the catalog
	tier tier
}

// Update reads the store's list of jobs, whoever started them, and brings the
// catalog up to it, so that nothing is asked for twice and nothing waits for a
// job that is gone. It hands each job to each, and gives the retrievals that the
// store doesn't list and that may yet appear: their answer was lost, or they were
// asked for a moment ago. Of o it looks at Catalog, Row, Store and Clock.
//
// However many jobs there are, it makes the requests that listing takes and no
// other, and of each open job it holds some 100 bytes.
func Update(ctx context.Context, o Options, each func(Listed)) (silent []catalog.Job, err error) {
	u := &updating{o: o, began: o.Clock.Now(), open: newDigests[known](), tokens: map[firn.Token]known{}, thaws: map[firn.ArchiveID]firn.Token{}}
	for k, err := range o.Catalog.OpenJobKeys(ctx, o.Row, 0) {
		if err != nil {
			return nil, err
		}
		u.know(&k)
	}
	for job, err := range o.Store.Jobs(ctx) {
		if err != nil {
			return nil, err
		}
		listed := Listed{Job: job}
		if err := u.take(ctx, &listed); err != nil {
			return nil, err
		}
		each(listed)
	}
	if err := o.Catalog.JobsSeen(ctx, o.Row, u.seen); err != nil {
		return nil, err
	}
	return u.unlisted(ctx)
}

// An updating is one Update.
type updating struct {
	o      Options
	began  time.Time
	last   int64                // the newest row that was open then
	open   digests[known]       // open jobs by their ids
	tokens map[firn.Token]known // and those without
	// thaws are the last of those without of each archive, of a store whose jobs are
	// states of archives and bear no token.
	thaws map[firn.ArchiveID]firn.Token
	seen  []catalog.SeenJob // still to be recorded
}

// A known is an open job of the catalog: there may be very many.
type known struct {
	row    int64
	asked  int64 // when, in seconds since 1970
	state  catalog.JobState
	tier   tier
	fresh  bool // the store never told of it
	late   bool // it was asked for so long ago that the store should list it
	brings bool // an archive, and no inventory
	listed bool
}

// patience is how long a job may be missing from the store's list.
func patience(k *catalog.JobKey) time.Duration {
	if k.Handed {
		return HandedTime
	}
	return AnswerTime
}

func (u *updating) know(k *catalog.JobKey) {
	u.last = k.ID
	one := known{row: k.ID, asked: k.Asked.Unix(), state: k.State, fresh: !k.Seen, late: u.began.Sub(k.Asked) > patience(k), brings: k.Kind == firn.RetrievalJob, tier: tierOf(k.Tier)}
	if k.Remote == "" {
		u.tokens[k.Token] = one
		if one.brings && plan.SupplyOf(u.o.Store.Traits()).Thaws {
			u.thaws[k.Archive] = k.Token
		}
	} else {
		u.open.set(string(k.Remote), one)
	}
}

// take records a job of the list if it says anything new, and tells what the catalog
// knows of it.
func (u *updating) take(ctx context.Context, job *Listed) (err error) {
	k, ok := u.open.get(string(job.ID))
	switch lost, thaws := u.lost(job.Archive); {
	case !ok && thaws && lost.late: // nobody waits for the answer any more
		k, ok = lost, true
		u.found(job.Archive)
		err = u.thawed(ctx, k.row, &job.Job)
	case ok && thaws && lost.tier > k.tier:
		u.found(job.Archive)
		job.Hastened, err = u.hastened(ctx, job, &k, &lost)
	}
	if err != nil {
		return err
	}
	seen := catalog.SeenJob{Row: k.row}
	if !ok {
		if seen.Token, _ = describe.TokenOf(job.Description); seen.Token.IsZero() {
			return nil
		}
		if k, ok = u.tokens[seen.Token]; !ok {
			return nil
		}
		delete(u.tokens, seen.Token) // another job with it is another job
	}
	if job.Created.IsZero() {
		job.Created = time.Unix(k.asked, 0).UTC() // the store keeps no times of jobs
	}
	if job.Tier == "" && k.brings {
		job.Tier = k.tier.tier() // nor of their tiers
	}
	news := k.fresh || k.state != stateOf(job.State)
	k.listed, k.fresh, k.state = true, false, stateOf(job.State)
	u.open.set(string(job.ID), k)
	if job.Row = k.row; !news {
		return nil
	}
	seen.Job = job.Job
	if u.seen = append(u.seen, seen); len(u.seen) < recordsAtOnce {
		return nil
	}
	err = u.o.Catalog.JobsSeen(ctx, u.o.Row, u.seen)
	u.seen = u.seen[:0]
	return err
}

// lost gives the last request for an archive, of those that bear no token in the
// store's list, to which nobody got the answer.
func (u *updating) lost(archive firn.ArchiveID) (k known, ok bool) {
	token, ok := u.thaws[archive]
	if ok {
		k, ok = u.tokens[token]
	}
	return k, ok
}

// found says that such a request belongs to a job of the list.
func (u *updating) found(archive firn.ArchiveID) {
	delete(u.tokens, u.thaws[archive])
	delete(u.thaws, archive)
}

// hastened is about a job that may have been asked to come faster since. Once it is
// ready nobody can find out: then it counts as done, since it may be charged for.
func (u *updating) hastened(ctx context.Context, job *Listed, k, lost *known) (unanswered, error) {
	if job.State != firn.JobReady {
		return unanswered{lost.row, lost.tier}, nil
	}
	before := k.row
	k.row, k.tier = lost.row, lost.tier
	return unanswered{}, u.o.Catalog.JobHastened(ctx, lost.row, job.ID, before)
}

// thawed records that a request was done whose answer nobody got.
func (u *updating) thawed(ctx context.Context, row int64, job *firn.Job) error {
	return u.o.Catalog.JobThawed(ctx, row, job.ID, job.ArchiveSize, price.ThawDays)
}

// stateOf is a state of the store's as the catalog has it.
func stateOf(s firn.JobState) catalog.JobState {
	switch s {
	case firn.JobReady:
		return catalog.JobReady
	case firn.JobFailed:
		return catalog.JobFailed
	}
	return catalog.JobRunning
}

// unlisted records of the jobs that the store doesn't list that they are gone, and
// gives the retrievals that may yet appear: with those that another process has
// asked for meanwhile.
func (u *updating) unlisted(ctx context.Context) (silent []catalog.Job, err error) {
	var gone, young []int64
	settle := func(k known) {
		switch {
		case k.listed:
		case k.late:
			gone = append(gone, k.row)
		case k.brings:
			young = append(young, k.row)
		}
	}
	for _, k := range u.open.all {
		settle(k)
	}
	for _, k := range u.tokens {
		settle(k)
	}
	slices.Sort(gone) // which is how they lie in the catalog
	slices.Sort(young)
	for part := range slices.Chunk(gone, recordsAtOnce) {
		if err := u.o.Catalog.JobsGone(ctx, part, "the store does not list it any more"); err != nil {
			return nil, err
		}
	}
	for k, err := range u.o.Catalog.OpenJobKeys(ctx, u.o.Row, u.last) {
		if err != nil {
			return nil, err
		}
		if !u.open.has(string(k.Remote)) && k.Kind == firn.RetrievalJob {
			young = append(young, k.ID)
		}
	}
	for part := range slices.Chunk(young, recordsAtOnce) {
		jobs, err := u.o.Catalog.Jobs(ctx, part)
		if err != nil {
			return nil, err
		}
		silent = append(silent, jobs...)
	}
	return silent, nil
}
