package plan

import (
	"slices"

	"github.com/firn-archive/firn/internal/scan"
)

// A source is one side of the merge, with those that were looked at before
// their turn.
type source[T any] struct {
	next func() (T, error, bool)
	stop func()
	held []T
}

// take gives the next one; the zero T at the end.
func (s *source[T]) take() (v T, err error) {
	if len(s.held) > 0 {
		v, s.held = s.held[0], s.held[1:]
		return v, nil
	}
	v, err, _ = s.next()
	return v, err
}

// lookahead is how many directories are looked at to find a file.
const lookahead = 64

// any tells whether found holds for one of the next directories. It says yes
// where there are too many to know.
func (s *source[T]) any(found func(T) bool) (bool, error) {
	for range lookahead {
		v, err, ok := s.next()
		if err != nil || !ok {
			return false, err
		}
		s.held = append(s.held, v)
		if found(v) {
			return true, nil
		}
	}
	return true, nil
}

// guard refuses a tree without a file where files are known.
func (m *merger) guard() error {
	if m.opts.Empty {
		return nil
	}
	some, err := m.seen.any(holdsAnything)
	if some || err != nil {
		return err
	}
	files, err := m.known.any(func(k *Known) bool { return len(k.Entries) > 0 })
	if files {
		return ErrEmpty
	}
	return err
}

// holdsAnything tells whether there are files in a directory, or may be.
func holdsAnything(d *scan.Dir) bool {
	hides := func(s scan.Skip) bool { return s.Unseen && !s.Litter }
	return len(d.Files) > 0 || d.Err != nil || slices.ContainsFunc(d.Skipped, hides)
}
