package migrate

import (
	"context"
	"fmt"
	"sync"

	"github.com/firn-archive/firn/internal/catalog"
)

// mostDenied is how many archives in a row may be denied before that is taken for what
// all of them are: a request each is nothing, and a million of them is.
const mostDenied = 64

// denials are archives that the source denies: a few of them are set aside, as whoever
// wrote them may have kept them to himself. Where nothing can be had, that is no matter
// of the archives.
type denials struct {
	mu    sync.Mutex
	held  []denial // until it shows whether others can be had
	inRow [stages]int
	some  [stages]bool // in this run something could be had
}

// A stage is what the source may deny of an archive.
type stage int

const (
	asking  stage = iota // for it
	reading              // what was asked for
	stages
)

type denial struct {
	stage
	task *task
	j    *copyJournal
	err  error
}

// had notes that the source gave, or promised, an archive.
func (d *denials) had(s stage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inRow[s], d.some[s] = 0, true
}

// deny sets an archive aside that the source denies. Its error, which ends the run, is
// that so many were denied in a row that the others are, too.
func (m *mover) deny(s stage, t *task, j *copyJournal, err error) error {
	d := &m.denials
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inRow[s]++; d.inRow[s] > mostDenied {
		return fmt.Errorf("the last %d archives were denied, and nothing more is asked for: %w", d.inRow[s], err)
	}
	d.held = append(d.held, denial{s, t, j, err})
	return nil
}

// settleDenied fails what was denied in a round, alone: where others could be had, in
// this run or an earlier one, and the keys are good still.
func (m *mover) settleDenied(ctx context.Context) error {
	d := &m.denials
	d.mu.Lock()
	held, some := d.held, d.some
	d.held = nil
	d.mu.Unlock()
	if len(held) == 0 {
		return nil
	}
	if _, err := m.open(ctx); err != nil {
		return err
	}
	for _, one := range held {
		if !some[one.stage] && m.m.Totals[catalog.CopyDone].Files == 0 {
			return one.err
		}
	}
	if _, err := m.From.Store.Describe(ctx); err != nil {
		return err
	}
	for _, one := range held {
		if err := m.fail(ctx, one.task, one.j, one.err); err != nil {
			return err
		}
	}
	return nil
}
