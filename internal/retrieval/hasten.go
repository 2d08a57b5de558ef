package retrieval

import (
	"context"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
)

// Hasten asks once more, by a faster tier, for an archive that a job is to bring by a
// slower one, of a store whose archives thaw whole. That is a retrieval like the one
// before, and is charged for besides; there is one copy, and it stays for the days that
// it was to stay, which have to be given again: those are tried one by one. Errors: those
// of AskFor; Conflict or Invalid where the store doesn't speed it up.
//
// Where an answer was lost, this process's or an earlier one's, it asks again. That is
// safe: the store refuses what is on its way by that tier, or by a faster one, already.
// What it refuses then comes faster or doesn't, which nobody can find out: it is told of,
// and counts as done. So does what was asked by a slower tier than now, since the store
// doesn't tell of that. Where there is no answer at last the job has no ID, and goes on as
// it was asked for.
//
// Source: Amazon S3 API reference, "RestoreObject", "Upgrading the speed of an
// in-progress restore".
func (a *Asker) Hasten(ctx context.Context, w Want, slow firn.Job, tier firn.Tier, days ...int) (firn.Job, error) {
	if err := w.check(); err != nil {
		return firn.Job{}, err
	}
	if err := a.pace.Of(w.Class).Offers(tier); err != nil {
		return firn.Job{}, err
	}
	defer a.alone(w.Remote)()
	lost := a.book.answered(w.Remote)
	if lost.row != 0 && lost.tier < tierOf(tier) {
		a.tellUnsure(fmt.Sprintf("the answer to a request that what is on its way comes by the tier %s was lost: it counts as asked for", lost.tier.tier()))
		job, err := a.counted(ctx, slow, lost)
		if err != nil {
			return job, err
		}
		slow, lost = job, unanswered{}
	}
	return a.hasten(ctx, w, slow, tier, days, lost)
}

// hasten asks until there is an answer, a few times; lost is an earlier request of which
// there is none.
func (a *Asker) hasten(ctx context.Context, w Want, slow firn.Job, tier firn.Tier, days []int, lost unanswered) (firn.Job, error) {
	for try := 1; ; try++ {
		job, row, err := a.hastenFor(ctx, w, tier, days)
		switch kind := firn.KindOf(err); {
		case err == nil:
			return job, errors.Join(a.hastened(ctx, slow, job, row), a.repeated(ctx, lost))
		case kind == firn.Lost:
			gone := lost
			if lost = (unanswered{row, tierOf(tier)}); gone.tier > lost.tier {
				gone, lost = lost, gone // of two the dearer one counts
			}
			if err = a.repeated(ctx, gone); err == nil && ctx.Err() == nil && try < startTries {
				continue
			}
			a.book.lost(w.Remote, lost)
			a.unanswered()
			return job, err
		case lost.row == 0:
			return job, err
		case kind == firn.Conflict, kind == firn.Invalid:
			a.tellUnsure(fmt.Sprintf("whether all of what is on its way comes faster nobody knows: the answer to a request for that was lost, and asked again the store says only that it is on its way; it counts as asked for: %v", err))
			return a.counted(ctx, slow, lost)
		default:
			a.book.lost(w.Remote, lost)
			return job, err
		}
	}
}

// hastenFor asks with each of some days, until the store takes one, or gives no answer.
func (a *Asker) hastenFor(ctx context.Context, w Want, tier firn.Tier, days []int) (job firn.Job, row int64, err error) {
	for _, d := range days {
		job, row, err = a.startRecorded(ctx, w, tier, d, true)
		if kind := firn.KindOf(err); kind != firn.Conflict && kind != firn.Invalid {
			break
		}
	}
	return job, row, err
}

// hastened records that a job comes by the tier of a request, whose row stands in place of
// that of the one before it.
func (a *Asker) hastened(ctx context.Context, slow, job firn.Job, row int64) error {
	before := a.book.waits(&slow)
	a.book.add(&job, row)
	return a.o.Catalog.JobHastened(context.WithoutCancel(ctx), row, job.ID, before)
}

// counted has a request count as done of which nobody knows whether it was.
func (a *Asker) counted(ctx context.Context, slow firn.Job, lost unanswered) (firn.Job, error) {
	job := slow
	job.Tier, job.Created = lost.tier.tier(), momentOf(a.o.Clock.Now()).time()
	return job, a.hastened(ctx, slow, job, lost.row)
}

// repeated records that another request stands for one that there is no answer of.
func (a *Asker) repeated(ctx context.Context, lost unanswered) error {
	if lost.row == 0 {
		return nil
	}
	return a.o.Catalog.JobGone(context.WithoutCancel(ctx), lost.row, "there was no answer, and it was asked for again")
}

// tellUnsure says once that nobody knows what became of a request.
func (a *Asker) tellUnsure(text string) {
	a.mu.Lock()
	told := a.unsure
	a.unsure = true
	a.mu.Unlock()
	if !told {
		a.o.Events(firn.NoticeEvent{Warn: true, Text: text})
	}
}
