package mtjournal

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"math"
	"slices"
)

// A State is what a journal says there is: the archives that were created and
// not deleted since, and the newest retrieval job of each. It is held packed,
// in about 300 bytes an archive. It is not safe for use by several goroutines
// at once, other than reading.
type State struct {
	seed    maphash.Seed
	packed  arena
	entries []entry
	live    int

	// The newest live entry by the hash of what it is found by. Others of that
	// hash follow by way of it.
	archives, names, jobs map[uint64]uint32
}

// An entry is a record in the state, or was one.
type entry struct {
	at position // or dead
	// The last entries before this one in whose map its archive and its name have
	// the same hash; none where there is none.
	sameArchive, sameName uint32
}

const (
	none = math.MaxUint32 // no entry
	dead = math.MaxUint64 // the place of a record that was taken out
)

// errFull is beyond any journal that fits a memory of today.
var errFull = errors.New("more than 4,294,967,294 records")

// NewState gives the state of an empty journal.
func NewState() *State {
	return &State{
		seed:     maphash.MakeSeed(),
		archives: map[uint64]uint32{}, names: map[uint64]uint32{}, jobs: map[uint64]uint32{},
	}
}

// Load reads a journal and gives its state. Lines that can't be taken are told
// to warn, and left out, also if they have a record; so is an archive that is
// created again, and the deletion of one that isn't there. The error is what r
// failed with.
func Load(r io.Reader, warn func(*LineError)) (*State, error) {
	s := NewState()
	var failed error
	err := scan(r, func(rec *raw, bad *LineError) bool {
		if bad == nil {
			bad, failed = s.add(rec)
		}
		if bad != nil {
			warn(bad)
		}
		return failed == nil
	})
	if failed != nil {
		return nil, fmt.Errorf("read journal: %w", failed)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Add takes one more record, as if it were the next line. Errors: a *LineError
// with the reason Duplicate or Gone; the state is then as before.
func (s *State) Add(rec Record) error {
	bad, err := s.add(&raw{
		line: rec.Line, version: rec.Version, op: rec.Op, time: rec.Time,
		size: rec.Size, mtime: rec.MTime, hasMTime: rec.HasMTime,
		archive: []byte(rec.Archive), tree: []byte(rec.Tree), path: []byte(rec.Path), job: []byte(rec.Job),
	})
	if bad != nil {
		return bad
	}
	return err
}

func (s *State) add(rec *raw) (*LineError, error) {
	if len(s.entries) >= none {
		return nil, errFull
	}
	switch rec.op {
	case Created:
		if s.findArchive(rec.archive) != none {
			return refuse(rec, Duplicate), nil
		}
		s.create(rec)
	case Deleted:
		n := s.findArchive(rec.archive)
		if n == none {
			return refuse(rec, Gone), nil
		}
		s.delete(n)
	case RetrieveJob:
		s.request(rec)
	default:
		return nil, fmt.Errorf("a record cannot have the operation %q", rec.op)
	}
	return nil, nil
}

// refuse tells of a record that contradicts those before it.
func refuse(rec *raw, why Reason) *LineError {
	whole := rec.record()
	return &LineError{Line: rec.line, Reason: why, Text: string(rec.archive[:min(len(rec.archive), maxQuote)]), Record: &whole}
}

func (s *State) create(rec *raw) {
	archive, name := maphash.Bytes(s.seed, rec.archive), maphash.Bytes(s.seed, rec.path)
	n := uint32(len(s.entries))
	s.entries = append(s.entries, entry{at: s.packed.add(rec), sameArchive: head(s.archives, archive), sameName: head(s.names, name)})
	s.archives[archive], s.names[name] = n, n
	s.live++
}

func head(m map[uint64]uint32, key uint64) uint32 {
	if n, ok := m[key]; ok {
		return n
	}
	return none
}

// delete takes an entry out. Those of its name stay chained, and what leads to
// a chain always leads to a live entry, so that long histories cost no walks.
func (s *State) delete(n uint32) {
	archive, path := s.packed.keys(s.entries[n].at)
	byArchive, byName := maphash.Bytes(s.seed, archive), maphash.Bytes(s.seed, path)
	s.entries[n].at = dead
	s.live--
	s.drop(s.archives, byArchive, func(e entry) uint32 { return e.sameArchive })
	s.drop(s.names, byName, func(e entry) uint32 { return e.sameName })
}

// drop lets the dead entries at the head of a chain go.
func (s *State) drop(m map[uint64]uint32, key uint64, next func(entry) uint32) {
	n := m[key]
	for n != none && s.entries[n].at == dead {
		n = next(s.entries[n])
	}
	if n == none {
		delete(m, key)
		return
	}
	m[key] = n
}

// request keeps a job, if it is newer than the one that is kept.
func (s *State) request(rec *raw) {
	key := maphash.Bytes(s.seed, rec.archive)
	n := s.findJob(rec.archive)
	if n == none {
		s.entries = append(s.entries, entry{at: s.packed.add(rec), sameArchive: head(s.jobs, key), sameName: none})
		s.jobs[key] = uint32(len(s.entries) - 1)
		return
	}
	if kept := s.packed.record(s.entries[n].at); rec.time > kept.Time {
		s.entries[n].at = s.packed.add(rec)
	}
}

func (s *State) findArchive(archive []byte) uint32 { return s.find(s.archives, archive) }
func (s *State) findJob(archive []byte) uint32     { return s.find(s.jobs, archive) }

// find gives the live entry of an archive.
func (s *State) find(m map[uint64]uint32, archive []byte) uint32 {
	n := head(m, maphash.Bytes(s.seed, archive))
	for n != none && !s.isOf(n, archive) {
		n = s.entries[n].sameArchive
	}
	return n
}

func (s *State) isOf(n uint32, archive []byte) bool {
	at := s.entries[n].at
	if at == dead {
		return false
	}
	id, _ := s.packed.keys(at)
	return string(id) == string(archive)
}

// Len is the number of archives.
func (s *State) Len() int { return s.live }

// Archive gives the record that created an archive; false where there is none,
// or it was deleted.
func (s *State) Archive(id string) (Record, bool) {
	return s.at(s.findArchive([]byte(id)))
}

// Job gives the newest RetrieveJob of an archive by its time, the first of
// equal ones, whether the archive is there or not.
func (s *State) Job(archive string) (Record, bool) {
	return s.at(s.findJob([]byte(archive)))
}

func (s *State) at(n uint32) (Record, bool) {
	if n == none {
		return Record{}, false
	}
	return s.packed.record(s.entries[n].at), true
}

// All gives the archives in the order of their lines.
func (s *State) All() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for n := range s.created {
			if !yield(s.packed.record(s.entries[n].at)) {
				return
			}
		}
	}
}

// created gives the entries of archives that are there.
func (s *State) created(yield func(uint32) bool) {
	for n, e := range s.entries {
		if e.at != dead && s.packed.op(e.at) == Created && !yield(uint32(n)) {
			return
		}
	}
}

// Files gives the versions of each file, as Versions does, in the order of the
// lines that named a file last.
func (s *State) Files() iter.Seq[[]Record] {
	return func(yield func([]Record) bool) {
		for n := range s.created {
			_, path := s.packed.keys(s.entries[n].at)
			if s.newest(path) == n && !yield(s.versions(path)) {
				return
			}
		}
	}
}

// Versions gives the archives of one name, in mtglacier's order: the last is
// the one that it restores and compares with. None of a name that isn't there.
func (s *State) Versions(path string) []Record { return s.versions([]byte(path)) }

// Latest gives the last of Versions; false where there is none.
func (s *State) Latest(path string) (Record, bool) {
	v := s.Versions(path)
	if len(v) == 0 {
		return Record{}, false
	}
	return v[len(v)-1], true
}

func (s *State) versions(path []byte) []Record {
	var all []Record
	for n := range s.named(path) {
		all = append(all, s.packed.record(s.entries[n].at))
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, compareVersions)
	return all
}

// newest gives the entry of a name that was added last.
func (s *State) newest(path []byte) uint32 {
	for n := range s.named(path) {
		return n
	}
	return none
}

// named gives the live entries of a name, the last one first.
func (s *State) named(path []byte) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for n := head(s.names, maphash.Bytes(s.seed, path)); n != none; n = s.entries[n].sameName {
			at := s.entries[n].at
			if at == dead {
				continue
			}
			if _, name := s.packed.keys(at); string(name) == string(path) && !yield(n) {
				return
			}
		}
	}
}

// compareVersions orders the archives of a name. Where only one has an mtime,
// it is compared with the other's time. Source: lib/App/MtAws/FileVersions.pm.
func compareVersions(a, b Record) int {
	return cmp.Or(cmp.Compare(versionKey(a), versionKey(b)), cmp.Compare(a.Time, b.Time))
}

func versionKey(r Record) int64 {
	if r.HasMTime {
		return r.MTime
	}
	return r.Time
}
