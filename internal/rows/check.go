package rows

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

func (s *rules) header(h *Header) error {
	s.version, s.catalog, s.delta = h.Version, h.Catalog, h.Base != 0
	switch {
	case s.stage != atStart:
		return errors.New("there is one already")
	case h.Catalog.IsZero():
		return errors.New("it doesn't say whose rows they are")
	case h.Seq < 0 || h.Base < 0 || h.Base != 0 && h.Base >= h.Seq:
		return fmt.Errorf("snapshot %d can't add to snapshot %d", h.Seq, h.Base)
	}
	for _, in := range h.Includes {
		if in.Catalog.IsZero() || in.Seq <= 0 {
			return fmt.Errorf("includes: snapshot %d of catalog %s can't be", in.Seq, in.Catalog)
		}
	}
	s.stage = atHeader
	return nil
}

func (s *rules) checkCatalog(c *Catalog) error {
	switch {
	case c.Token.IsZero():
		return fmt.Errorf("number %d has no token", c.ID)
	case c.ID == 1 && c.Token != s.catalog:
		return errors.New("number 1 is not the one that the header names")
	}
	return s.catalogs.add(c.ID)
}

func (s *rules) checkTree(t *Tree) error {
	if err := checkRecipients(t.Recipients); err != nil {
		return err
	}
	for _, k := range t.Keys {
		if !utf8.ValidString(k) {
			return fmt.Errorf("%q is not a public key", k)
		}
	}
	return s.trees.add(t.ID)
}

func (s *rules) checkRun(r *Run) error {
	for action := range r.Counts {
		if !utf8.ValidString(string(action)) {
			return fmt.Errorf("%q is not an action", action)
		}
	}
	switch {
	case r.ID == 0:
		return errors.New("it has no number")
	case !s.catalogs.has(r.Catalog):
		return fmt.Errorf("there is no catalog %d", r.Catalog)
	case r.Tree != 0 && !s.trees.has(r.Tree):
		return fmt.Errorf("there is no tree %d", r.Tree)
	}
	if !s.runs.insert(r.ID) {
		return fmt.Errorf("number %d is there twice", r.ID)
	}
	return nil
}

func (s *rules) checkSnapshot(n *Snapshot) error {
	switch {
	case !s.catalogs.has(n.Catalog):
		return fmt.Errorf("there is no catalog %d", n.Catalog)
	case n.Seq <= 0 || n.Base < 0 || n.Base >= n.Seq:
		return fmt.Errorf("number %d can't add to number %d", n.Seq, n.Base)
	case n.Archive <= 0:
		return fmt.Errorf("number %d has no archive", n.Seq)
	}
	s.awaited = append(s.awaited, n.Archive)
	return nil
}

// checkAwaited looks for the archives of snapshots, once all are there.
func (s *rules) checkAwaited() error {
	for _, id := range s.awaited {
		if !s.delta && !s.archives.has(id) {
			return fmt.Errorf("before it there is no archive %d, which a snapshot is in", id)
		}
	}
	s.awaited = nil
	return nil
}

// kinds and states are those that an archive can have: what is only intended
// is in no stream. See table archive of internal/catalog/schema.sql.
var (
	kinds  = []string{"file", "bundle", "catalog", "loose", "foreign"}
	states = []uint8{10, 11, 21, 22}
)

func (s *rules) checkArchive(a *Archive) error {
	s.counts.Archives++
	switch {
	case !slices.Contains(kinds, a.Kind):
		return fmt.Errorf("number %d is of the kind %q; there are %q", a.ID, a.Kind, kinds)
	case !slices.Contains(states, a.State):
		return fmt.Errorf("number %d has the state %d; there are %d", a.ID, a.State, states)
	case a.Size < 0:
		return fmt.Errorf("number %d has %d bytes", a.ID, a.Size)
	case a.Run != 0 && !s.hasRun(a.Run):
		return fmt.Errorf("number %d is of run %d, which isn't there", a.ID, a.Run)
	case a.Settled != 0 && !s.hasRun(a.Settled):
		return fmt.Errorf("number %d got its state in run %d, which isn't there", a.ID, a.Settled)
	case (len(a.Header) == 0) != (len(a.Recipients) == 0):
		return fmt.Errorf("number %d has a header or recipients, and not both", a.ID)
	}
	if err := checkRecipients(a.Recipients); err != nil {
		return fmt.Errorf("number %d: %w", a.ID, err)
	}
	if err := checkContents(a.Contents); err != nil {
		return fmt.Errorf("number %d: %w", a.ID, err)
	}
	return s.archives.add(a.ID)
}

// recipientsSize is the length of what stands for recipients: a SHA-256.
const recipientsSize = 32

func checkRecipients(b []byte) error {
	if len(b) != 0 && len(b) != recipientsSize {
		return fmt.Errorf("%d bytes don't stand for recipients, %d do", len(b), recipientsSize)
	}
	return nil
}

func checkContents(all []Content) error {
	if len(all) > maxContents {
		return fmt.Errorf("it has %d contents, of at most %d", len(all), maxContents)
	}
	last := int64(-1)
	for i := range all {
		c := &all[i]
		switch {
		case c.Member <= last || c.Member == math.MaxInt64:
			return fmt.Errorf("content %d comes behind content %d", c.Member, last)
		case c.Offset < 0 || c.Size < 0 || c.Offset > math.MaxInt64-c.Size:
			return fmt.Errorf("content %d can't have %d bytes at byte %d", c.Member, c.Size, c.Offset)
		}
		last = c.Member
	}
	return nil
}

func (s *rules) checkDir(d *Dir) error {
	switch {
	case !s.trees.has(d.Tree):
		return fmt.Errorf("there is no tree %d", d.Tree)
	case d.Path == "":
		return nil
	}
	for name := range strings.SplitSeq(d.Path, "/") {
		if name == "" || !isName(name) {
			return fmt.Errorf("%q is not a path within a tree", d.Path)
		}
	}
	return nil
}

// isName reports whether a directory may hold an entry of that name; the empty
// name is the directory's own.
func isName(name string) bool {
	return name != "." && name != ".." && strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, 0) < 0
}

// The bits of st_mode: POSIX, <sys/stat.h>.
const (
	modeType = 0o170000
	modeFile = 0o100000
	modeDir  = 0o040000
	modeLink = 0o120000
)

func (s *rules) checkEntry(e *Entry) error {
	s.counts.Entries++
	if err := s.checkVersion(e); err != nil {
		return fmt.Errorf("%q: %w", e.Name, err)
	}
	kind := e.Mode & modeType
	switch {
	case !isName(e.Name):
		return fmt.Errorf("%q is not a name", e.Name)
	case e.Mode > modeType|0o7777 || kind != modeFile && kind != modeDir && kind != modeLink:
		return fmt.Errorf("%q: the mode %#o is not that of a file, a directory or a link", e.Name, e.Mode)
	case (kind == modeDir) != (e.Name == ""):
		return fmt.Errorf("%q: directories alone have no name, and no other entries of their own", e.Name)
	case e.Size < 0:
		return fmt.Errorf("%q has %d bytes", e.Name, e.Size)
	case e.UID < -1 || e.GID < -1:
		return fmt.Errorf("%q belongs to user %d and group %d", e.Name, e.UID, e.GID)
	case e.Target != "" && kind != modeLink:
		return fmt.Errorf("%q has a target and is not a link", e.Name)
	}
	if err := s.checkPlace(e); err != nil {
		return fmt.Errorf("%q: %w", e.Name, err)
	}
	return nil
}

// checkPlace checks where an entry's content is.
func (s *rules) checkPlace(e *Entry) error {
	switch {
	case e.Archive == 0 && e.Member == 0:
		return nil
	case e.Archive <= 0 || e.Member < 0:
		return fmt.Errorf("it can't be member %d of archive %d", e.Member, e.Archive)
	case e.Mode&modeType != modeFile:
		return fmt.Errorf("archive %d can't hold what is not a file", e.Archive)
	case s.delta || e.Archive == s.found.archive:
		return nil
	case !s.archives.has(e.Archive):
		return fmt.Errorf("there is no archive %d", e.Archive)
	}
	s.found.archive = e.Archive
	return nil
}

// checkVersion checks the runs of an entry, and that it may follow the one
// before: names ascend by their bytes, versions by their runs, and only the
// last one is current.
func (s *rules) checkVersion(e *Entry) error {
	last := &s.last
	switch {
	case !s.hasRun(e.Since):
		return fmt.Errorf("there is no run %d", e.Since)
	case e.Until != 0 && e.Until <= e.Since:
		return fmt.Errorf("it can't be there from run %d to run %d", e.Since, e.Until)
	case e.Until != 0 && !s.hasRun(e.Until):
		return fmt.Errorf("there is no run %d", e.Until)
	case !last.there || string(last.name) < e.Name:
		last.there = true
		last.name = append(last.name[:0], e.Name...)
	case string(last.name) > e.Name:
		return fmt.Errorf("it comes behind %q", last.name)
	case last.since >= e.Since || last.until == 0:
		return fmt.Errorf("its version of run %d comes behind that of run %d", e.Since, last.since)
	}
	last.since, last.until = e.Since, e.Until
	return nil
}

func (s *rules) checkEnd(e *End) error {
	if *e != s.counts {
		return fmt.Errorf("it counts %d archives and %d entries, and there are %d and %d", e.Archives, e.Entries, s.counts.Archives, s.counts.Entries)
	}
	return nil
}

// hasRun reports whether there is such a run. Most ask for that of the row
// before.
func (s *rules) hasRun(id int64) bool {
	if id == 0 || id != s.found.run && !s.runs.has(id) {
		return false
	}
	s.found.run = id
	return true
}

// A set holds numbers, at 64 neighbours in the room of two.
type set map[int64]uint64

func (s set) has(n int64) bool { return s[n>>6]&(1<<(n&63)) != 0 }

// insert reports whether n was not there yet.
func (s *set) insert(n int64) bool {
	if *s == nil {
		*s = set{}
	}
	was := (*s)[n>>6]
	(*s)[n>>6] = was | 1<<(n&63)
	return was&(1<<(n&63)) == 0
}

// add takes the number of a row, which is above 0 and its own.
func (s *set) add(n int64) error {
	switch {
	case n <= 0:
		return fmt.Errorf("%d is not its number", n)
	case !s.insert(n):
		return fmt.Errorf("number %d is there twice", n)
	}
	return nil
}
