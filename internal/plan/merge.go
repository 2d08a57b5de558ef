package plan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// errStopped tells that the consumer wants no more.
var errStopped = errors.New("stopped")

// A merger goes through both sides.
type merger struct {
	opts  Options
	yield func(*Dir, error) bool
	seen  source[*scan.Dir]
	known source[*Known]
	s     *scan.Dir // the next to be decided; nil at the end
	k     *Known
	above []frame // the directories that stand open, the root first
	out   Dir     // not handed over yet
}

func (m *merger) run() error {
	if err := m.guard(); err != nil {
		return err
	}
	last := ""
	for isSeen, isKnown := true, true; ; {
		if err := m.advance(isSeen, isKnown); err != nil {
			return err
		}
		if m.s == nil && m.k == nil {
			return m.leave(nil)
		}
		var path string
		if path, isSeen, isKnown = m.first(); path != "" && scan.Compare(path, last) <= 0 {
			return disorder(path, last)
		}
		last = path
		if err := m.leave(&path); err != nil {
			return err
		}
		if err := m.directory(path, isSeen, isKnown); err != nil {
			return err
		}
	}
}

// disorder tells that a side isn't sorted. To go on would be to take for
// removed what was just not found in its place.
func disorder(path, last string) error {
	return fmt.Errorf("plan: %q comes after %q: the catalog or the scan is out of order", path, last)
}

// advance takes the next directory, or piece of one, of either side.
func (m *merger) advance(seen, known bool) (err error) {
	if seen {
		if m.s, err = m.seen.take(); err != nil {
			return err
		}
	}
	if known {
		m.k, err = m.known.take()
	}
	return err
}

// first gives the path that comes next, and who has it.
func (m *merger) first() (path string, isSeen, isKnown bool) {
	switch {
	case m.k == nil:
		return m.s.File.Path, true, false
	case m.s == nil:
		return m.k.Path, false, true
	case m.s.File.Path == m.k.Path:
		return m.k.Path, true, true
	case scan.Compare(m.s.File.Path, m.k.Path) < 0:
		return m.s.File.Path, true, false
	}
	return m.k.Path, false, true
}

// directory decides about one directory, with all its pieces.
func (m *merger) directory(path string, isSeen, isKnown bool) error {
	m.out = Dir{Path: path, Entries: m.out.Entries[:0]}
	f := frame{path: path, unmounted: m.isUnmounted(isSeen, isKnown)}
	switch {
	case !isSeen:
		f.gone, f.self, f.blind = true, m.k.Self, m.blindTo(path)
	case m.s.Left:
		m.self(isKnown, f.unmounted)
		f.left, f.waiting, f.mount = true, m.out.Self, m.out.Mount
		m.out.Self, m.out.Mount = Decision{}, false
	default:
		if err := m.release(); err != nil {
			return err
		}
		m.self(isKnown, f.unmounted)
	}
	m.above = append(m.above, f)
	if err := m.entries(isSeen, isKnown); err != nil {
		return err
	}
	return m.flush()
}

// self decides about a directory that was seen.
func (m *merger) self(isKnown, unmounted bool) {
	d := Decision{File: &m.s.File}
	wasMount := false
	if isKnown {
		d.Known, wasMount = m.k.Self, m.k.Mount
	}
	d.Action, d.Why = m.opts.Judge(d.File, d.Known)
	switch {
	case wasMount == m.s.Mount:
	case wasMount && unmounted:
		d.Action, d.Why = Unseen, noMount // to record it would forget that it was one
	case d.Action == Unchanged:
		d.Action, d.Why = Record, "mount point"
	}
	m.out.Self, m.out.Mount = d, m.s.Mount
}

// entries goes through the entries of one directory, on both sides.
func (m *merger) entries(isSeen, isKnown bool) error {
	var last string
	i, j := 0, 0 // the next in m.s.Files, in m.k.Entries
	if isSeen {
		m.open()
	}
	for {
		for isSeen && i == len(m.s.Files) {
			if isSeen = m.s.More; isSeen {
				i = 0
				if err := m.nextPiece(); err != nil {
					return err
				}
			}
		}
		for isKnown && j == len(m.k.Entries) {
			if isKnown = m.k.More; isKnown {
				j = 0
				if err := m.advance(false, true); err != nil {
					return err
				}
			}
		}
		var f *firn.File
		var k *Entry
		if isSeen {
			f = &m.s.Files[i]
		}
		if isKnown {
			k = &m.k.Entries[j]
		}
		if f == nil && k == nil {
			return nil
		}
		path, f, k := foremost(f, k)
		if path <= last {
			return disorder(path, last)
		}
		last = path
		if f != nil {
			i++
		}
		if k != nil {
			j++
		}
		if err := m.decide(path, f, k); err != nil {
			return err
		}
	}
}

// foremost gives the one that comes first, or both, and its path.
func foremost(f *firn.File, k *Entry) (string, *firn.File, *Entry) {
	switch {
	case k == nil:
		return f.Path, f, nil
	case f == nil:
		return k.File.Path, nil, k
	}
	switch strings.Compare(f.Path, k.File.Path) {
	case -1:
		return f.Path, f, nil
	case 1:
		return k.File.Path, nil, k
	}
	return f.Path, f, k
}

// nextPiece goes on to the next piece of a scanned directory.
func (m *merger) nextPiece() error {
	path := m.s.File.Path
	if err := m.flush(); err != nil {
		return err
	}
	if err := m.advance(true, false); err != nil {
		return err
	}
	if m.s == nil || m.s.File.Path != path {
		return fmt.Errorf("plan: the scan of %q broke off", path)
	}
	m.open()
	return nil
}

// open begins a scanned piece.
func (m *merger) open() {
	m.out.Skipped, m.out.Err = m.s.Skipped, m.s.Err
	m.above[len(m.above)-1].look(m.s)
}

// most is how many decisions are handed over at a time.
const most = 4096

// decide is about one entry that was seen, or known, or both.
func (m *merger) decide(path string, f *firn.File, k *Entry) error {
	if len(m.out.Entries) == most {
		if err := m.flush(); err != nil {
			return err
		}
	}
	if f != nil {
		if err := m.release(); err != nil {
			return err
		}
	}
	d := Decision{File: f, Known: k}
	if f != nil {
		d.Action, d.Why = m.opts.Judge(f, k)
	} else {
		d.Action, d.Why = m.absent(path, &k.File)
	}
	m.out.Entries = append(m.out.Entries, d)
	return nil
}

// flush hands over what was decided so far.
func (m *merger) flush() error {
	d := &m.out
	if len(d.Entries) == 0 && d.Self == (Decision{}) && len(d.Skipped) == 0 && d.Err == nil {
		return nil
	}
	if !m.yield(d, nil) {
		return errStopped
	}
	m.out = Dir{Path: d.Path, Mount: d.Mount, Entries: d.Entries[:0]}
	return nil
}
