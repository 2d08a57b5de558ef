package syncer

import (
	"errors"
	"sync"

	"github.com/firn-archive/firn"
)

// Limits bound what is sent. What is over them is left for the next time, and
// nothing is concluded about it. Files that need not be sent don't count.
type Limits struct {
	Files int64 // 0: any number
	Bytes int64 // 0: any number
}

// errOverLimit tells that a file is not sent since a limit is reached.
var errOverLimit = errors.New("a limit of this run is reached")

// A Budget is what is left of limits. Several runs may share it, one after the
// other. A nil Budget has no end.
type Budget struct {
	limits Limits

	mu    sync.Mutex
	used  firn.Count
	doubt map[string]bool // paths that are in used already, and may be sent again
}

// NewBudget gives a budget of which nothing is used; nil where there are no
// limits.
func NewBudget(l Limits) *Budget {
	if l == (Limits{}) {
		return nil
	}
	return &Budget{limits: l, doubt: map[string]bool{}}
}

// over says why a file of so many bytes can't be sent any more; empty where it
// can.
func (b *Budget) over(path string, size int64) string {
	if b == nil {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doubt[path] {
		return ""
	}
	return b.reached(size)
}

func (b *Budget) reached(size int64) string {
	switch {
	case b.limits.Files > 0 && b.used.Files >= b.limits.Files:
		return "--max-files is reached"
	case b.limits.Bytes > 0 && size > b.limits.Bytes:
		return "it is larger than --max-bytes"
	case b.limits.Bytes > 0 && b.used.Bytes+size > b.limits.Bytes:
		return "--max-bytes is reached"
	}
	return ""
}

// take counts a file that is about to be sent, or gives errOverLimit.
func (b *Budget) take(path string, size int64) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doubt[path] {
		delete(b.doubt, path)
		return nil
	}
	if b.reached(size) != "" {
		return errOverLimit
	}
	b.used.Files++
	b.used.Bytes += size
	return nil
}

// giveBack takes back a take: nothing was sent.
func (b *Budget) giveBack(size int64) {
	if b == nil || size == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used.Files--
	b.used.Bytes -= size
}

// remember keeps a take for a file that may be sent again: nobody knows whether
// it arrived.
func (b *Budget) remember(path string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doubt[path] = true
}

// leave leaves a file for the next run.
func (s *syncer) leave(file firn.File, why string) {
	s.used.add(file.Path) // its upload, where one is open, goes on then
	s.fileEvent(firn.Left, file, firn.FileEvent{Reason: why})
}

// ofLimit reports whether a file was not sent because of a limit, and leaves it.
func (s *syncer) ofLimit(u upload, err error) bool {
	if !errors.Is(err, errOverLimit) {
		return false
	}
	why := s.Budget.over(u.file.Path, u.file.Stamp.Size)
	if why == "" { // what had filled it was given back since
		why = errOverLimit.Error()
	}
	s.leave(u.file, why)
	s.Events(firn.PlanEvent{Files: -1, Bytes: -u.file.Stamp.Size})
	return true
}
