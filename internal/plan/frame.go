package plan

import (
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// Why something is Unseen.
const (
	noMount    = "no mount point any more"
	leftOut    = "left out"
	unreadable = "its folder could not be read"
	hidden     = "not looked at"
)

// A frame is an open directory, and what it hides.
type frame struct {
	path string
	// blind says why what is missing in it may exist; empty where it may not.
	blind string
	// unmounted: it is, or is below, a former mount point, so that what is
	// missing anywhere below may exist.
	unmounted bool
	// hidden are the paths in it that were not looked at, sorted.
	hidden []string

	// Where it was left out itself, until something below it is kept:
	left    bool
	waiting Decision
	mount   bool

	// Where it was not seen itself:
	gone bool
	self *Entry // what is known of it
	kept bool   // something below it may exist
}

// look takes in what a scanned piece of the directory says.
func (f *frame) look(d *scan.Dir) {
	if d.Err != nil {
		f.blind = unreadable
	}
	for _, s := range d.Skipped {
		if s.Unseen {
			f.hidden = append(f.hidden, s.Path)
		}
	}
}

// hiding says why something missing below f may exist; empty where it may not.
func (f *frame) hiding(path string) string {
	switch {
	case f.unmounted:
		return noMount
	case f.blind != "":
		return f.blind
	case len(f.hidden) == 0:
		return ""
	}
	if _, found := slices.BinarySearch(f.hidden, f.step(path)); found {
		return hidden
	}
	return ""
}

// step gives the path of the entry of f that path is, or leads through.
func (f *frame) step(path string) string {
	start := 0
	if f.path != "" {
		start = len(f.path) + 1
	}
	if i := strings.IndexByte(path[start:], '/'); i >= 0 {
		return path[:start+i]
	}
	return path
}

// holds tells whether path is below f.
func (f *frame) holds(path string) bool {
	return f.path == "" || len(path) > len(f.path) && path[len(f.path)] == '/' && strings.HasPrefix(path, f.path)
}

// isUnmounted tells whether the next directory is, or is below, a mount point
// of which the volume is missing.
func (m *merger) isUnmounted(isSeen, isKnown bool) bool {
	if n := len(m.above); n > 0 && m.above[n-1].unmounted {
		return true
	}
	return isKnown && m.k.Mount && !(isSeen && m.s.Mount) && !m.opts.Unmounted
}

// blindTo says why a directory that was not seen may exist all the same.
func (m *merger) blindTo(path string) string {
	if len(m.above) == 0 {
		return hidden // not even the root was seen
	}
	return m.above[len(m.above)-1].hiding(path)
}

// verdict decides about what was not seen.
func verdict(hiding string) (Action, string) {
	if hiding != "" {
		return Unseen, hiding
	}
	return Removed, "gone"
}

// leave closes the directories that path is not in; all of them where it is
// nil.
func (m *merger) leave(path *string) error {
	for n := len(m.above); n > 0; n = len(m.above) {
		f := m.above[n-1]
		if path != nil && f.holds(*path) {
			return nil
		}
		m.above = m.above[:n-1]
		if err := m.close(f); err != nil {
			return err
		}
	}
	return nil
}

// release tells of the directories that were left out themselves, the
// outermost first, now that something below them is kept.
func (m *merger) release() error {
	for i := range m.above {
		f := &m.above[i]
		if !f.left {
			continue
		}
		f.left = false
		if !m.yield(&Dir{Path: f.path, Self: f.waiting, Mount: f.mount}, nil) {
			return errStopped
		}
	}
	return nil
}

// absent decides about an entry of the innermost open directory that was not
// seen.
func (m *merger) absent(path string, k *firn.File) (Action, string) {
	f := &m.above[len(m.above)-1]
	why := f.hiding(path)
	if why == "" {
		why = m.leavesOut(k)
		f.kept = f.kept || why != ""
	}
	return verdict(why)
}

// leavesOut says of what isn't there that it would have been left out; empty
// where not.
func (m *merger) leavesOut(k *firn.File) string {
	if m.opts.LeftOut != nil && m.opts.LeftOut(k) {
		return leftOut
	}
	return ""
}

// close decides about a directory that was not seen, now that all below it is
// decided.
func (m *merger) close(f frame) error {
	if !f.gone {
		return nil
	}
	why := f.hiding(f.path)
	if why == "" && f.kept {
		why = hidden
	}
	if why == "" && f.self != nil {
		why = m.leavesOut(&f.self.File)
	}
	if n := len(m.above); why != "" && n > 0 {
		m.above[n-1].kept = true
	}
	if f.self == nil {
		return nil
	}
	m.out = Dir{Path: f.path, Self: Decision{Known: f.self}, Entries: m.out.Entries[:0]}
	m.out.Self.Action, m.out.Self.Why = verdict(why)
	return m.flush()
}
