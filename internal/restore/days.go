package restore

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/retrieval"
)

// passTime is how long a pass begins with archives that are new to it. After it
// the store is looked at again: what ripened meanwhile, and what can be asked for
// now that others are fetched.
const passTime = 30 * time.Minute

// days is a restore that goes on for days. What it waits for stands in the
// catalog; any process may go on with it.
type days struct {
	r     *restorer
	id    int64
	asker *retrieval.Asker
	spans spans
	// again: an earlier process began it.
	again   bool
	started time.Time // of the restore
	sorted  bool      // the store's jobs were looked at
	// asked is what was asked for so far, by whatever process.
	askedRequests, askedBytes int64

	until    time.Time   // of the pass: nothing new is begun then; zero: nothing was begun
	cut      atomic.Bool // something was left to the next pass
	failures failures
	meter    meter
	// undressed are files that the plan found, and told to be, in place, and that
	// the first pass comes to all the same.
	undressed pathSet
	recorded  recorded
	stopped   bool        // the pass has come there
	steady    atomic.Bool // the store speeds nothing up
	staying   retrieval.Stays
}

// recorded is what the catalog keeps for us of how a restore was begun.
type recorded struct {
	Runs map[int64]int64 `json:"runs"` // by tree
	// Stop is where its limits were reached.
	Stop *stop `json:"stop,omitempty"`
	// Left is what is beyond them.
	Left firn.Count `json:"left,omitzero"`
	// Tier is the one by which its price was agreed to.
	Tier firn.Tier `json:"tier"`
	// Stays and Kept are those of Spent.
	Stays int64 `json:"stays,omitempty"`
	Kept  int64 `json:"kept,omitempty"`
	// Slower is that of Spent.
	Slower []Asked `json:"slower,omitempty"`
}

// overDays restores from a store that takes hours.
func (r *restorer) overDays(ctx context.Context) error {
	d, err := r.begin(ctx)
	if err != nil {
		return err
	}
	r.days, r.id = d, d.id
	if err := r.openTarget(); err != nil {
		return err
	}
	if err := d.load(ctx); err != nil {
		return err
	}
	r.Events(firn.PlanEvent{Files: d.spans.files(), Bytes: d.spans.bytes()})
	err = d.rounds(ctx)
	return errors.Join(err, d.failures.flush(context.WithoutCancel(ctx), r.Catalog, d.id))
}

// rounds go on until everything is there, or nothing more can be done now.
func (d *days) rounds(ctx context.Context) error {
	r := d.r
	for {
		next, err := d.advance(ctx)
		if err != nil {
			return err
		}
		progress := false
		d.cut.Store(false)
		// The first pass makes all folders and links, and empty files.
		if d.spans.anyReady() || d.spans.left() == 0 || !d.again && !r.later {
			if progress, err = d.fetch(ctx); err != nil {
				return err
			}
		}
		switch {
		case d.spans.left() == 0:
			return d.finish(ctx)
		case d.cut.Load(), progress && (d.spans.anyReady() || d.spans.has(catalog.RangePlanned)):
			continue
		case !r.Wait:
			return d.pending(ctx, next)
		}
		if err := d.asker.Sleep(ctx, waitingFor(int(d.spans.files())), next); err != nil {
			return err
		}
	}
}

// begin goes on with a restore that is open, or plans one.
func (r *restorer) begin(ctx context.Context) (*days, error) {
	d := &days{r: r, asker: r.newAsker()}
	key := r.key()
	open, found, err := r.Catalog.OpenRestore(ctx, r.Row.ID, key)
	if err != nil {
		return nil, err
	}
	if found && open.State == catalog.RestoreGoing {
		d.id, d.again, d.started = open.ID, true, open.Started
		if err := d.resume(ctx, &open); err != nil {
			return nil, err
		}
		return d, r.checkPaths(ctx) // at the runs that it began with
	}
	if err := r.checkPaths(ctx); err != nil {
		return nil, err
	}
	if found { // its plan was never agreed to
		if err := r.Catalog.DropRestore(ctx, open.ID); err != nil {
			return nil, err
		}
	}
	if err := r.pin(ctx); err != nil {
		return nil, err
	}
	p, err := r.makePlan(ctx, d.asker, key)
	if err != nil {
		return nil, err
	}
	d.id, d.undressed, d.recorded = p.id, p.undressed, p.recorded
	return d, nil
}

// resume takes on what a restore began with.
func (d *days) resume(ctx context.Context, open *catalog.Restore) error {
	was := &d.recorded
	if err := json.Unmarshal([]byte(open.Options), was); err != nil {
		return &firn.Error{Op: "go on with restore", Subject: fmt.Sprint(open.ID), Kind: firn.Corrupt, Err: err, Hint: fmt.Sprintf("give it up with: firn restore --cancel %d", open.ID)}
	}
	r := d.r
	r.Runs = was.Runs
	if was.Left.Files > 0 {
		r.counts[firn.Left] = was.Left
	}
	r.Events(firn.NoticeEvent{Text: fmt.Sprintf("this goes on with restore %d, begun %s", open.ID, open.Started.Format(time.DateTime))})
	if was.Tier == r.Tiers[0] || r.Agree == nil {
		return nil
	}
	rest, err := d.rest(ctx)
	if err != nil || rest.Requests == 0 {
		return err
	}
	if err := r.Agree(ctx, rest); err != nil {
		return err
	}
	if err := d.setAside(ctx, rest.hastened); err != nil {
		return err
	}
	was.Tier = r.Tiers[0]
	options, err := json.Marshal(was)
	if err != nil {
		return err
	}
	return r.Catalog.SetRestoreOptions(ctx, open.ID, string(options))
}

// setAside books what was asked for so far as asked for by the tier of then; so many
// bytes of it are going to be asked for once more while they are on their way.
func (d *days) setAside(ctx context.Context, again int64) error {
	asked := Asked{Tier: d.recorded.Tier, Again: again}
	for rg, err := range d.r.Catalog.RestoreRanges(ctx, d.id) {
		if err != nil {
			return err
		}
		asked.Requests += int64(rg.Asked)
		asked.Bytes += int64(rg.Asked) * rg.Range.Len()
	}
	for _, before := range d.recorded.Slower {
		asked.Requests, asked.Bytes = asked.Requests-before.Requests, asked.Bytes-before.Bytes
	}
	if asked.Requests > 0 {
		d.recorded.Slower = append(d.recorded.Slower, asked)
	}
	return nil
}

// hastens reports whether a range that a job is to bring is asked for by a faster
// tier, which somebody agreed to, while the store doesn't refuse to.
func (d *days) hastens(s *span, job *firn.Job) bool {
	agreed := d.r.Agree == nil || d.recorded.Tier == d.r.Tiers[0]
	return agreed && !d.steady.Load() && d.r.hastens(s.pace, job)
}

// rest is the plan of what is still to be asked for, by another tier than the one
// that was agreed to: what is on its way by a slower one is, too.
func (d *days) rest(ctx context.Context) (p Plan, err error) {
	r := d.r
	if r.supply.Thaws {
		if err := d.asker.Look(ctx); err != nil {
			return p, err
		}
	}
	copies := 0.0 // bytes
	for rg, err := range r.Catalog.RestoreRanges(ctx, d.id) {
		if err != nil {
			return p, err
		}
		hastened := false
		if rg.State == catalog.RangeRequested {
			job, ok := d.asker.Find(wantOf(&rg))
			hastened = ok && r.hastens(r.supply.Pace.Of(rg.Class), &job)
		}
		switch {
		case hastened:
			p.Hastened++
			p.hastened += rg.Range.Len()
		case rg.State != catalog.RangePlanned:
			continue
		default:
			copies += float64(rg.Range.Len())
		}
		p.Files, p.Bytes, p.Archives = p.Files+rg.Files, p.Bytes+rg.Bytes, p.Archives+1
		p.Requests, p.RetrieveBytes, p.DownloadBytes = p.Requests+1, p.RetrieveBytes+rg.Range.Len(), p.DownloadBytes+rg.Range.Len()
		if r.supply.Thaws {
			p.DownloadBytes += downloadOf(&rg) - rg.Range.Len()
		}
		p.share(&rg)
		if !slices.Contains(p.classes, rg.Class) {
			p.classes = append(p.classes, rg.Class)
		}
	}
	p.Tier = r.Tiers[0]
	if err := p.measure(ctx, r); err != nil {
		return p, err
	}
	if p.RetrieveBytes > 0 {
		p.ThawDays = int(math.Ceil(copies / float64(p.RetrieveBytes) * float64(r.supply.ThawDays(p.Tier, 0, p.Rate, p.RateKnown))))
	}
	p.schedule(r)
	return p, p.offers(r)
}

func (r *restorer) newAsker() *retrieval.Asker {
	return retrieval.New(retrieval.Options{
		Catalog: r.Catalog, Row: r.Row.ID, Store: r.Store, Downloader: r.Downloader, Clock: r.Clock, Events: r.Events,
		Tier: r.Tiers[0], Run: catalog.Run{Command: "restore"}, Poll: r.Poll, Waker: r.Waker, Concurrency: r.Concurrency,
	})
}

// key tells what a restore is: where from, where to, and what of it.
func (r *restorer) key() string {
	h := sha256.New()
	say := func(s string) { fmt.Fprintf(h, "%d %s\n", len(s), s) }
	say(r.real)
	for _, t := range r.Trees {
		say(fmt.Sprint(t.ID))
	}
	say(r.As)
	if r.Globs != nil {
		say("globs " + r.Globs.Text)
	}
	for _, p := range r.Paths {
		say("path " + p)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// what says what a restore brings, for people.
func (r *restorer) what() string {
	var names []string
	for _, t := range r.Trees {
		names = append(names, t.Name)
	}
	paths := r.Paths
	if r.Globs != nil {
		paths = []string{r.Globs.Text}
	}
	all := strings.Join(names, ", ")
	switch {
	case len(paths) == 0 || len(paths) == 1 && paths[0] == "":
	case len(paths) == 1:
		all += ": " + paths[0]
	default:
		all += fmt.Sprintf(": %s and %d more", paths[0], len(paths)-1)
	}
	if r.As != "" {
		all += ", as of " + r.As
	}
	return all
}

// pin makes a restore be about what is current now, since syncs may run while
// the store takes its hours.
func (r *restorer) pin(ctx context.Context) error {
	if r.Runs != nil {
		return nil
	}
	r.Runs = map[int64]int64{}
	always := r.Clock.Now().AddDate(100, 0, 0) // a clock may have been ahead
	for _, tree := range r.Trees {
		run, err := r.Catalog.RunAt(ctx, tree.ID, always)
		if err != nil && firn.KindOf(err) != firn.NotFound {
			return err
		}
		r.Runs[tree.ID] = run.ID
	}
	return nil
}

// outlookTime is longer than any plan takes.
const outlookTime = 24 * time.Hour

// outlook plans, tells of it, and leaves no trace.
func (r *restorer) outlook(ctx context.Context) error {
	key := "outlook " + r.key()
	left, found, err := r.Catalog.OpenRestore(ctx, r.Row.ID, key)
	switch {
	case err == nil && found && r.Clock.Now().Sub(left.Started) > outlookTime: // of a process that was killed
		err = r.Catalog.DropRestore(ctx, left.ID)
	case err == nil && found:
		key = "" // of another process
	}
	if err != nil {
		return err
	}
	p, err := r.makePlan(ctx, r.newAsker(), key)
	if err != nil {
		return err
	}
	return r.Catalog.DropRestore(context.WithoutCancel(ctx), p.id)
}

// makePlan walks over everything, records what has to be asked for, and has it
// agreed to. What isn't agreed to is dropped.
func (r *restorer) makePlan(ctx context.Context, asker *retrieval.Asker, key string) (*planning, error) {
	p, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	p.recorded = recorded{Runs: r.Runs, Stop: p.stop, Left: p.plan.Left, Tier: r.Tiers[0]}
	options, err := json.Marshal(p.recorded)
	if err != nil {
		return nil, err
	}
	p.id, err = r.Catalog.PlanRestore(ctx, catalog.Restore{Store: r.Row.ID, Key: key, Target: r.real, What: r.what(), Options: string(options)})
	if err != nil {
		return nil, err
	}
	if err = r.settlePlan(ctx, p, asker); err != nil {
		return nil, errors.Join(err, r.Catalog.DropRestore(context.WithoutCancel(ctx), p.id))
	}
	if r.DryRun {
		return p, nil
	}
	return p, r.Catalog.SetRestore(ctx, p.id, catalog.RestoreGoing, "")
}

func (r *restorer) settlePlan(ctx context.Context, p *planning, asker *retrieval.Asker) error {
	if err := p.plan.measure(ctx, r); err != nil {
		return err
	}
	maxRange := r.MaxRange
	switch {
	case r.supply.Thaws:
		maxRange = 0
	case maxRange == 0:
		maxRange = plan.MaxRange(plan.WaveBytes(p.plan.Rate, p.plan.RateKnown))
	}
	if err := p.record(ctx, p.id, maxRange); err != nil {
		return err
	}
	if r.slow {
		if err := asker.Look(ctx); err != nil {
			return err
		}
	}
	told, err := p.reckon(ctx, p.id, asker)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(p.failed, changesAtOnce) {
		if err := r.Catalog.FailFile(ctx, p.id, batch); err != nil {
			return err
		}
	}
	if r.Agree == nil {
		return nil
	}
	return r.Agree(ctx, told)
}

// wasTold reports whether it was told of an item before that it is in place: by
// the plan, or, of what is in no archive, by an earlier process.
func (d *days) wasTold(it *item) bool {
	if d == nil {
		return false
	}
	_, ok := d.undressed[d.r.hash(it.file.Path)]
	return ok || d.again && it.content.Size == 0
}

// isBeyond reports whether an entry is beyond the limits of the restore: the one
// at which they were reached, or what the walk comes to after it. d may be nil.
func (d *days) isBeyond(tree int64, path string) bool {
	if d == nil {
		return false
	}
	d.stopped = d.stopped || d.recorded.Stop.is(tree, path)
	return d.stopped
}

// mayBegin reports whether this pass begins with something new. Its time begins
// with the first: to come there may take long.
func (d *days) mayBegin() bool {
	now := d.r.Clock.Now()
	if d.until.IsZero() {
		d.until = now.Add(passTime)
	}
	return now.Before(d.until)
}

// failed notes that an item can't be brought back.
func (d *days) failed(it item, err error) { d.failures.add(&it, err) }

// load reads how far the restore is.
func (d *days) load(ctx context.Context) error {
	totals, err := d.r.Catalog.RangeTotals(ctx, d.id)
	if err != nil {
		return err
	}
	n := int64(0)
	for _, t := range totals {
		n += t.Ranges
	}
	d.spans.all = make([]span, 0, n)
	for rg, err := range d.r.Catalog.RestoreRanges(ctx, d.id) {
		if err != nil {
			return err
		}
		d.spans.add(&rg, d.r.supply.Pace.Of(rg.Class))
		d.askedRequests += int64(rg.Asked)
		d.askedBytes += int64(rg.Asked) * rg.Range.Len()
	}
	for _, before := range d.recorded.Slower {
		d.askedRequests, d.askedBytes = d.askedRequests-before.Requests, d.askedBytes-before.Bytes
	}
	d.spans.sort()
	return nil
}

// fetch puts in place what is ready, and reports whether that settled anything.
func (d *days) fetch(ctx context.Context) (progress bool, err error) {
	r := d.r
	d.until = time.Time{}
	d.spans.beginPass()
	d.stopped = false
	d.meter.start(r.Clock.Now())
	err = r.pass(ctx, r.file)
	record := context.WithoutCancel(ctx)
	d.meter.stop(record, r)
	if flushed := d.failures.flush(record, r.Catalog, d.id); err == nil {
		err = flushed
	}
	if err != nil {
		return false, err
	}
	return d.settle(record)
}

// settle records which ranges are done, after a pass that went over all, and
// reports whether any are.
func (d *days) settle(ctx context.Context) (progress bool, err error) {
	var changes []catalog.RangeChange
	fetched := false
	for i := range d.spans.all {
		s := &d.spans.all[i]
		switch {
		case s.state == catalog.RangeReady && !s.lacks:
			fetched = true
			changes = append(changes, s.become(catalog.RangeDone))
		case s.state == doubted && !s.lacks:
			changes = append(changes, s.become(catalog.RangeDone))
		case s.state == doubted:
			changes = append(changes, s.become(catalog.RangePlanned))
			continue
		case s.state == failing:
			changes = append(changes, s.become(catalog.RangeFailed))
		default:
			continue
		}
		d.tellMissed(s)
	}
	if err := d.setRanges(ctx, changes); err != nil {
		return false, err
	}
	if fetched {
		err = d.release(ctx)
	}
	return len(changes) > 0, err
}

// tellMissed tells of files that a range was to bring, and that the walk did not
// come to: the catalog has forgotten the version, or has its content elsewhere.
func (d *days) tellMissed(s *span) {
	if s.seen >= s.files {
		return
	}
	it := item{from: fmt.Sprintf("%d of the files in archive %d", s.files-s.seen, s.archive)}
	it.file.Path = it.from
	err := &firn.Error{Op: "restore", Subject: it.from, Kind: firn.NotFound, Err: errors.New("since the restore began the catalog has forgotten them, or found their content elsewhere"),
		Hint: "restore once more to bring back what is left of them"}
	d.r.event(firn.Failed, it, err)
	d.failed(it, err)
}

// release tells the asker of the jobs that have brought all that they were to.
func (d *days) release(ctx context.Context) error {
	var fetched []firn.Job
	used := d.spans.used() // a job may bring another range too
	for rg, err := range d.r.Catalog.RestoreRanges(ctx, d.id) {
		if err != nil {
			return err
		}
		s := d.spans.find(rg.Archive, rg.Range.Start)
		if s == nil || s.state != catalog.RangeDone || s.job == nil {
			continue
		}
		if !used[s.job.id] {
			fetched = append(fetched, s.job.job(rg.Remote))
		}
		if s.job = nil; len(fetched) == changesAtOnce {
			if err := d.asker.FetchedAll(ctx, fetched); err != nil {
				return err
			}
			fetched = fetched[:0]
		}
	}
	return d.asker.FetchedAll(ctx, fetched)
}

// changesAtOnce is how many ranges get their state in one transaction.
const changesAtOnce = 1000

func (d *days) setRanges(ctx context.Context, changes []catalog.RangeChange) error {
	for batch := range slices.Chunk(changes, changesAtOnce) {
		if err := d.r.Catalog.SetRanges(ctx, d.id, batch); err != nil {
			return err
		}
	}
	return nil
}

// pending says what is left for another call.
func (d *days) pending(ctx context.Context, next time.Time) error {
	totals, err := d.r.Catalog.RangeTotals(ctx, d.id)
	if err != nil {
		return err
	}
	var left firn.Count
	for state, t := range totals {
		if state < catalog.RangeDone {
			left.Files += t.Files
			left.Bytes += t.Bytes
		}
	}
	// Of a file in parts only the last one counts it.
	left.Files = max(left.Files, int64(min(1, d.spans.left())))
	d.r.counts[firn.Pending] = left
	d.r.ready = next
	return nil
}

// finish ends the restore: all that can be had is in place.
func (d *days) finish(ctx context.Context) error {
	r := d.r
	if err := d.failures.flush(ctx, r.Catalog, d.id); err != nil {
		return err
	}
	if err := d.tellFailed(ctx); err != nil {
		return err
	}
	if err := r.finish(); err != nil {
		return err
	}
	r.done = true
	return r.Catalog.SetRestore(context.WithoutCancel(ctx), d.id, catalog.RestoreDone, "")
}

// tellFailed names what earlier processes could not bring back.
func (d *days) tellFailed(ctx context.Context) error {
	if !d.again {
		return nil
	}
	trees := map[int64]string{}
	for _, t := range d.r.Trees {
		trees[t.ID] = t.Name
	}
	for f, err := range d.r.Catalog.FailedFiles(ctx, d.id) {
		if err != nil {
			return err
		}
		it := item{from: f.Path, tree: trees[f.Tree], treeID: f.Tree}
		it.file.Path = f.Path
		if !d.failures.told(&it) {
			d.r.event(firn.Failed, it, &firn.Error{Op: "restore", Subject: f.Path, Kind: firn.Other, Err: errors.New(f.Why)})
		}
	}
	return nil
}
