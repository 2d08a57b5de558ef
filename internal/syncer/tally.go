package syncer

import (
	"maps"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// emptyTree is the tree hash of no bytes.
var emptyTree = treehash.Combine(nil)

// A tally counts what was done to how many files.
type tally struct {
	mu sync.Mutex
	n  map[firn.Action]firn.Count
	// why counts what was excluded, for each reason: there are no more of them
	// than options and lines of patterns.
	why map[string]int64
}

func newTally() *tally { return &tally{n: map[firn.Action]firn.Count{}, why: map[string]int64{}} }

func (t *tally) exclude(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.why[why]++
}

func (t *tally) excluded() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.why)
}

func (t *tally) add(a firn.Action, size int64) { t.addAll(a, firn.Count{Files: 1, Bytes: size}) }

func (t *tally) addAll(a firn.Action, n firn.Count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.n[a]
	c.Files += n.Files
	c.Bytes += n.Bytes
	t.n[a] = c
}

func (t *tally) has(a firn.Action) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n[a].Files > 0
}

func (t *tally) counts() map[firn.Action]firn.Count {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.n)
}

// contentSize is the number of bytes that a file holds: 0 of what is no regular
// file.
func contentSize(f *firn.File) int64 {
	if f.Kind != firn.Regular {
		return 0
	}
	return f.Stamp.Size
}

// fileEvent counts and tells what was done about a file.
func (s *syncer) fileEvent(a firn.Action, f firn.File, e firn.FileEvent) {
	size := contentSize(&f)
	s.tally.add(a, size)
	switch a {
	case firn.Sent:
		s.noteStored(size)
	case firn.Recorded:
		s.noteStored(0)
	}
	e.Action, e.Tree, e.Path, e.Size = a, s.Tree, f.Path, size
	s.Events(e)
}
