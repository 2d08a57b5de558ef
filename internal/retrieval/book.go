package retrieval

import (
	"fmt"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// A book knows the retrieval jobs of a store by what they bring, since the last
// look at them. It is safe for concurrent use.
type book struct {
	mu    sync.Mutex
	looks int             // that were begun
	jobs  digests[*entry] // by archive; the last one that was added
	pace  firn.Pace
	why   digests[string]  // by archive: what the store says of the last job that failed
	wrong digests[failure] // by what it was to bring: the last job that failed
}

// A failure is a job that failed.
type failure struct {
	why     string
	created time.Time
}

// output names the bytes of an archive of so many; a range without any means all.
func output(archive firn.ArchiveID, size int64, at firn.Range) string {
	if at.Len() == 0 {
		at = firn.Range{End: size}
	}
	return fmt.Sprint(at.Start, " ", at.End, " ", archive)
}

// An entry is a job that runs, is ready, or may have been asked for: then it was
// created when that was, by the local clock. There may be very many, so that it
// holds no more than it must.
type entry struct {
	id                 firn.JobID
	tier               firn.Tier
	size               int64 // of the archive
	tree, rangeTree    treehash.Hash
	at                 firn.Range
	created, completed time.Time
	row                int64  // in the catalog; 0: none waits for it
	next               *entry // of the same archive
	look               int    // the last one that it was seen in
	expires            int64  // Unix seconds; 0: nobody knows
	ready              bool
}

func newBook(p firn.Pace) *book {
	return &book{pace: p, jobs: newDigests[*entry](), why: newDigests[string](), wrong: newDigests[failure]()}
}

// listed takes in a job of the store's list.
func (b *book) listed(j *Listed) {
	if j.State != firn.JobFailed {
		b.add(&j.Job, j.Row)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.why.set(string(j.Archive), j.Message)
	b.wrong.set(output(j.Archive, j.ArchiveSize, j.Range), failure{j.Message, j.Created})
}

// silent takes in a job that the catalog knows and the store doesn't list yet; whole:
// its archives can only thaw whole.
func (b *book) silent(j *catalog.Job, whole bool) {
	job := j.Remote
	job.State, job.Created = firn.JobRunning, j.Asked
	if whole {
		job.ArchiveSize = job.Range.End // what the catalog has of it is the range: all
	}
	b.add(&job, j.ID)
}

// add takes in a job, in place of what was known of it before.
func (b *book) add(j *firn.Job, row int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, _ := b.jobs.get(string(j.Archive))
	e := first
	for e != nil && !e.is(j) {
		e = e.next
	}
	if e == nil {
		e = &entry{id: j.ID, tier: oneTier(j.Tier), at: j.Range, next: first}
		b.jobs.set(string(j.Archive), e)
	}
	e.size, e.tree, e.rangeTree = j.ArchiveSize, j.ArchiveTree, j.RangeTree
	e.created, e.completed, e.ready = j.Created, j.Completed, j.State == firn.JobReady
	e.row, e.look, e.expires = row, b.looks, 0
	if !j.Expires.IsZero() {
		e.expires = j.Expires.Unix()
	}
}

// begin begins a look, that ends with sweep, or else leaves what was known before
// in the book. There is never a second one, since they are large.
func (b *book) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	clear(b.why.all)
	clear(b.wrong.all)
}

// sweep forgets what wasn't seen in the look.
func (b *book) sweep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for archive, first := range b.jobs.all {
		b.keep(archive, first, func(e *entry) bool { return e.look == b.looks })
	}
}

// keep keeps some of the jobs of an archive.
func (b *book) keep(archive digest, first *entry, which func(*entry) bool) {
	var kept *entry
	for e := first; e != nil; {
		next := e.next
		if which(e) {
			e.next, kept = kept, e
		}
		e = next
	}
	if kept != nil {
		b.jobs.all[archive] = kept
	} else {
		delete(b.jobs.all, archive)
	}
}

// oneTier is a tier without memory of its own.
func oneTier(t firn.Tier) firn.Tier {
	for _, known := range []firn.Tier{firn.Bulk, firn.Standard, firn.Expedited} {
		if t == known {
			return known
		}
	}
	return t
}

// failure is what the store says of the last job of an archive that failed.
func (b *book) failure(archive firn.ArchiveID) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	why, _ := b.why.get(string(archive))
	return why
}

// is reports whether the entry is that of a job of its archive.
func (e *entry) is(job *firn.Job) bool { return e.id == job.ID && e.at == job.Range }

// waits gives the catalog's row that waits for a job, once; 0: none does.
func (b *book) waits(job *firn.Job) (row int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e, _ := b.jobs.get(string(job.Archive)); e != nil; e = e.next {
		if e.is(job) {
			row, e.row = e.row, 0
			return row
		}
	}
	return 0
}

// drop forgets a job.
func (b *book) drop(job *firn.Job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	archive := b.jobs.of(string(job.Archive))
	b.keep(archive, b.jobs.all[archive], func(e *entry) bool { return !e.is(job) })
}

// find gives the best job for a want: of the ready ones the last, whose output
// stays longest, else the one that may be ready first.
func (b *book) find(w *Want) (job firn.Job, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var best *entry
	for e, _ := b.jobs.get(string(w.Remote)); e != nil; e = e.next {
		if e.serves(w) && (best == nil || e.better(best, b.pace)) {
			best = e
		}
	}
	if best == nil {
		return firn.Job{}, false
	}
	return best.job(w.Remote), true
}

// serves reports whether a job brings what is wanted.
func (e *entry) serves(w *Want) bool {
	whole := e.at == firn.Range{} || e.at == firn.Range{End: e.size}
	return whole || w.Range != nil && e.at.Start <= w.Range.Start && w.Range.End <= e.at.End
}

// better compares jobs that bring the same.
func (e *entry) better(than *entry, p firn.Pace) bool {
	if e.ready != than.ready {
		return e.ready
	}
	if e.ready {
		return e.completed.After(than.completed)
	}
	mine, _, _ := p.Delivery(e.tier)
	other, _, _ := p.Delivery(than.tier)
	return e.created.Add(mine).Before(than.created.Add(other))
}

// job is the entry as the store tells of jobs.
func (e *entry) job(archive firn.ArchiveID) firn.Job {
	j := firn.Job{
		ID: e.id, Kind: firn.RetrievalJob, State: firn.JobRunning, Created: e.created, Completed: e.completed, Tier: e.tier,
		Archive: archive, ArchiveSize: e.size, ArchiveTree: e.tree, Range: e.at, RangeTree: e.rangeTree,
	}
	if e.ready {
		j.State = firn.JobReady
	}
	if e.expires != 0 {
		j.Expires = time.Unix(e.expires, 0).UTC()
	}
	return j
}
