package retrieval

import (
	"fmt"
	"slices"
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
	looks int32           // that were begun
	jobs  digests[*entry] // by archive; the last one that was added
	pace  firn.Pace
	why   digests[string]  // by archive: what the store says of the last job that failed
	wrong digests[failure] // by what it was to bring: the last job that failed
	// hastened are, by archive, requests that it comes faster, of a store whose
	// archives thaw whole, to which nobody knows the answer.
	hastened digests[unanswered]
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
	size               int64 // of the archive
	tree               treehash.Hash
	part               *part // nil: it brings all of the archive
	created, completed moment
	expires            int64  // Unix seconds; 0: nobody knows
	row                int64  // in the catalog; 0: none waits for it
	next               *entry // of the same archive
	look               int32  // the last one that it was seen in
	tier               tier
	ready              bool
}

// A part is what a job brings that doesn't bring all of its archive.
type part struct {
	at   firn.Range
	tree treehash.Hash
}

// isWhole reports whether a job brings all of its archive.
func isWhole(j *firn.Job) bool {
	return j.Range == firn.Range{} || j.Range == firn.Range{End: j.ArchiveSize}
}

// A moment is a time in nanoseconds since 1970, of this century; 0: nobody knows.
type moment int64

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.UnixNano())
}

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(m)).UTC()
}

// A tier is the place of a firn.Tier in tiers, from 1 on; 0: none that is known.
type tier uint8

var tiers = [...]firn.Tier{firn.Bulk, firn.Standard, firn.Expedited}

func tierOf(t firn.Tier) tier { return tier(slices.Index(tiers[:], t) + 1) }

func (t tier) tier() firn.Tier {
	if t == 0 {
		return ""
	}
	return tiers[t-1]
}

func newBook(p firn.Pace) *book {
	return &book{pace: p, jobs: newDigests[*entry](), why: newDigests[string](), wrong: newDigests[failure](), hastened: newDigests[unanswered]()}
}

// listed takes in a job of the store's list.
func (b *book) listed(j *Listed) {
	if j.State != firn.JobFailed {
		b.add(&j.Job, j.Row)
		if j.Hastened.row != 0 {
			b.lost(j.Archive, j.Hastened)
		}
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
		e = &entry{id: j.ID, tier: tierOf(j.Tier), next: first}
		b.jobs.set(string(j.Archive), e)
	}
	if t := tierOf(j.Tier); t != 0 {
		e.tier = t // it may have been asked for by a faster one since
	}
	e.size, e.tree = j.ArchiveSize, j.ArchiveTree
	e.part = nil
	if !isWhole(j) {
		e.part = &part{j.Range, j.RangeTree}
	}
	e.created, e.completed, e.ready = momentOf(j.Created), momentOf(j.Completed), j.State == firn.JobReady
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
	clear(b.hastened.all)
}

// lost notes a request that what an archive's job brings comes faster, to which nobody
// knows the answer.
func (b *book) lost(archive firn.ArchiveID, u unanswered) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hastened.set(string(archive), u)
}

// answered gives such a request once, since somebody sees to it then; row 0: there is none.
func (b *book) answered(archive firn.ArchiveID) unanswered {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.hastened.of(string(archive))
	u := b.hastened.all[at]
	delete(b.hastened.all, at)
	return u
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

// failure is what the store says of the last job of an archive that failed.
func (b *book) failure(archive firn.ArchiveID) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	why, _ := b.why.get(string(archive))
	return why
}

// is reports whether the entry is that of a job of its archive. Not everybody who
// tells of a job knows how large its archive is.
func (e *entry) is(job *firn.Job) bool {
	if e.id != job.ID {
		return false
	}
	if e.part != nil {
		return e.part.at == job.Range
	}
	return isWhole(job) || job.Range == firn.Range{End: e.size}
}

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
	return e.part == nil || w.Range != nil && e.part.at.Start <= w.Range.Start && w.Range.End <= e.part.at.End
}

// better compares jobs that bring the same.
func (e *entry) better(than *entry, p firn.Pace) bool {
	if e.ready != than.ready {
		return e.ready
	}
	if e.ready {
		return e.completed > than.completed
	}
	mine, _, _ := p.Delivery(e.tier.tier())
	other, _, _ := p.Delivery(than.tier.tier())
	return e.created.time().Add(mine).Before(than.created.time().Add(other))
}

// job is the entry as the store tells of jobs.
func (e *entry) job(archive firn.ArchiveID) firn.Job {
	j := firn.Job{
		ID: e.id, Kind: firn.RetrievalJob, State: firn.JobRunning, Tier: e.tier.tier(),
		Created: e.created.time(), Completed: e.completed.time(),
		Archive: archive, ArchiveSize: e.size, ArchiveTree: e.tree, Range: firn.Range{End: e.size},
	}
	if e.ready {
		j.State = firn.JobReady
	}
	if e.expires != 0 {
		j.Expires = time.Unix(e.expires, 0).UTC()
	}
	if e.part == nil && e.ready {
		j.RangeTree = e.tree // what brings all has the hash of all
	}
	if e.part != nil {
		j.Range, j.RangeTree = e.part.at, e.part.tree
	}
	return j
}
