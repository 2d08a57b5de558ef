package restore

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// States that only a process knows; the catalog keeps what it has until they end.
const (
	// doubted is a range whose job is gone, after an earlier process may have put
	// in place what it brought.
	doubted catalog.RangeState = 4
	// failing is one that can't be had, until the files in it were told of.
	failing catalog.RangeState = 9
)

// A span is a range of an archive that is asked for, while a process works on it.
// There may be millions.
type span struct {
	archive, from, to int64 // from and to of the archive as stored
	bytes             int64
	download          int64     // bytes of it that are to be downloaded
	expect            int64     // when it may be ready, Unix seconds; 0: nobody knows
	job               *readyJob // of a ready one
	why               string
	files             uint32
	asked, failed     uint16 // how often; the most that can be counted means more
	tier              tierCode
	pace              firn.Pace // of its archive
	state             catalog.RangeState
	touched           bool // an earlier process may have fetched it

	// Of a pass:
	begun bool   // some of it was fetched
	lacks bool   // not all of it is in place
	seen  uint32 // files that lie in it
}

// A readyJob is what is kept of a job: whose range it brings tells the rest.
type readyJob struct {
	id   firn.JobID
	at   firn.Range    // that it brings; zero: all
	tree treehash.Hash // of that; zero: nobody tells
	// expires is when it can't be read any more, Unix seconds; 0: nobody knows.
	expires int64
}

func newReadyJob(j *firn.Job) *readyJob {
	ready := &readyJob{id: j.ID, at: j.Range, tree: j.RangeTree}
	if !j.Expires.IsZero() {
		ready.expires = j.Expires.Unix()
	}
	return ready
}

// job gives as much of a job as there is, of the archive that it is for.
func (j *readyJob) job(archive firn.ArchiveID) firn.Job {
	return firn.Job{ID: j.id, Kind: firn.RetrievalJob, State: firn.JobReady, Archive: archive, Range: j.at, RangeTree: j.tree}
}

// A tierCode is a tier, in a byte.
type tierCode uint8

var tierCodes = [...]firn.Tier{"", firn.Bulk, firn.Standard, firn.Expedited}

func codeOf(t firn.Tier) tierCode { return tierCode(max(0, slices.Index(tierCodes[:], t))) }

// few is a count that fits.
func few[N uint16 | uint32](n int64) N { return N(min(n, int64(^N(0)))) }

func (s *span) Range() firn.Range { return firn.Range{Start: s.from, End: s.to} }

// expected is when it may be ready; zero: nobody knows.
func (s *span) expected() time.Time {
	if s.expect == 0 {
		return time.Time{}
	}
	return time.Unix(s.expect, 0).UTC()
}

// expectAt notes when it may be ready; the zero time: nobody knows.
func (s *span) expectAt(t time.Time) {
	if s.expect = 0; !t.IsZero() {
		s.expect = t.Unix()
	}
}

// become gives a span a state, and what is to be recorded of that.
func (s *span) become(state catalog.RangeState) catalog.RangeChange {
	s.state = state
	return catalog.RangeChange{
		Archive: s.archive, From: s.from, State: state, Tier: tierCodes[s.tier], Asked: int(s.asked), Failed: int(s.failed), Ready: s.expected(), Why: s.why,
	}
}

// spans are all that a restore asks for, by archive and from its start on.
type spans struct {
	mu  sync.Mutex // of state, job, begun and lacks
	all []span
}

// add takes in a range of an archive of some pace.
func (s *spans) add(rg *catalog.RestoreRange, pace firn.Pace) {
	one := span{archive: rg.Archive, from: rg.Range.Start, to: rg.Range.End, files: few[uint32](rg.Files), bytes: rg.Bytes, download: downloadOf(rg),
		state: rg.State, tier: codeOf(rg.Tier), asked: few[uint16](int64(rg.Asked)), failed: few[uint16](int64(rg.Failed)), why: rg.Why, pace: pace}
	if one.state == catalog.RangeReady {
		one.state, one.touched = catalog.RangeRequested, true // until the store's list shows its job
	}
	if !rg.Ready.IsZero() {
		one.expect = rg.Ready.Unix()
	}
	s.all = append(s.all, one)
}

func (s *spans) sort() {
	slices.SortFunc(s.all, func(a, b span) int { return cmp.Or(cmp.Compare(a.archive, b.archive), cmp.Compare(a.from, b.from)) })
}

// of gives the spans of an archive.
func (s *spans) of(archive int64) []span {
	// A copy of a span would have what others are changing.
	from := sort.Search(len(s.all), func(i int) bool { return s.all[i].archive >= archive })
	to := from
	for to < len(s.all) && s.all[to].archive == archive {
		to++
	}
	return s.all[from:to]
}

// within gives the spans that have something of a range of an archive.
func (s *spans) within(archive int64, at firn.Range) []span {
	from := sort.Search(len(s.all), func(i int) bool {
		o := &s.all[i]
		return o.archive > archive || o.archive == archive && o.to > at.Start
	})
	to := from
	for to < len(s.all) && s.all[to].archive == archive && s.all[to].from < at.End {
		to++
	}
	return s.all[from:to]
}

// failWithParts gives up what else was to be asked for of files that are asked
// for in parts, of which one can't be had.
func (s *spans) failWithParts() {
	for i := range s.all {
		bad := &s.all[i]
		if bad.state != failing {
			continue
		}
		of := s.of(bad.archive)
		// Of the parts of a file only the last one counts it.
		if len(of) == 1 || !slices.ContainsFunc(of, func(o span) bool { return o.files == 0 }) {
			continue
		}
		for j := range of {
			if of[j].state == catalog.RangePlanned {
				of[j].state, of[j].why = failing, bad.why
			}
		}
	}
}

// find gives the span of an archive that begins at a byte.
func (s *spans) find(archive, from int64) *span {
	i := sort.Search(len(s.all), func(i int) bool {
		o := &s.all[i]
		return o.archive > archive || o.archive == archive && o.from >= from
	})
	if i == len(s.all) || s.all[i].archive != archive || s.all[i].from != from {
		return nil
	}
	return &s.all[i]
}

// anyReady reports whether a pass can settle something.
func (s *spans) anyReady() bool {
	for i := range s.all {
		switch s.all[i].state {
		case catalog.RangeReady, doubted, failing:
			return true
		}
	}
	return false
}

// left is how many are not settled.
func (s *spans) left() (n int) {
	for i := range s.all {
		if s.all[i].state < catalog.RangeDone {
			n++
		}
	}
	return n
}

func (s *spans) files() int64 { n, _ := s.open(); return n }
func (s *spans) bytes() int64 { _, n := s.open(); return n }

// open sums up what is not settled.
func (s *spans) open() (files, bytes int64) {
	for i := range s.all {
		if one := &s.all[i]; one.state < catalog.RangeDone {
			files, bytes = files+int64(one.files), bytes+one.bytes
		}
	}
	return files, bytes
}

// used gives the jobs that are needed still.
func (s *spans) used() map[firn.JobID]bool {
	used := map[firn.JobID]bool{}
	for i := range s.all {
		if one := &s.all[i]; one.state == catalog.RangeReady {
			used[one.job.id] = true
		}
	}
	return used
}

func (s *spans) beginPass() {
	for i := range s.all {
		s.all[i].begun, s.all[i].lacks, s.all[i].seen = false, false, 0
	}
}

// A readiness says what a pass can do for an item.
type readiness int

const (
	settled readiness = iota // nothing: it is in place, or was told of
	notYet
	cantBe // it failed, and was not told of
	isReady
)

// judge tells what can be done for what lies in a range of an archive. It notes
// what is begun, unless that is to be left to a later pass.
func (s *spans) judge(archive int64, at firn.Range, begin func() bool) (is readiness, why string, left bool) {
	of := s.within(archive, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range of {
		of[i].seen++
	}
	for i := range of {
		one := &of[i]
		switch {
		case one.state == failing:
			return cantBe, one.why, false
		case one.state == catalog.RangeFailed:
			return settled, "", false // with all that it is a part of
		case one.state == doubted: // nothing is fetched, so that there is no hurry
			is = isReady
		case one.state < catalog.RangeReady:
			is = max(is, notYet)
		case one.state == catalog.RangeReady && !one.begun && !begin():
			one.lacks, left = true, true
			is = max(is, notYet)
		case one.state == catalog.RangeReady:
			one.begun = true
			is = isReady
		}
	}
	return is, "", left
}
