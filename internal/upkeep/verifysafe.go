package upkeep

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/scan"
)

// A SafeFile is a file on disk of which the store has the content.
type SafeFile struct {
	Path    string // in the tree
	Size    int64
	Archive firn.ArchiveID
	Read    time.Time // when the file was
}

// A SafeResult says how many files the store has, and why it is not said of the
// others.
type SafeResult struct {
	Safe firn.Count
	Not  map[string]firn.Count // regular files, for each reason
	// Stopped: time was up before all was looked at.
	Stopped bool
}

// Reasons why a file is not called safe.
const (
	notKnown     = "not in the store, or not under this name"
	notReadable  = "can't be read, or looked at"
	notRead      = "not read lately, or changed since"
	notEqual     = "not what the store has"
	notHashed    = "nobody recorded a hash to compare it with"
	notEmpty     = "empty: no archive holds it"
	notConfirmed = "its archive is not in the store's inventory as recorded, or is newer than that"
	notStaying   = "its archive is about to be deleted"
	notSettled   = "its archive is in doubt"
)

// SafeToDelete calls each for the regular files on disk that Verify has read,
// since Believe, and found equal, whose archive the inventory of the result has as
// recorded, and that is not about to be deleted, nor in doubt. It reads no file.
func SafeToDelete(ctx context.Context, o VerifyOptions, store *StoreResult, each func(SafeFile) error) (SafeResult, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	s := &safeList{
		verifier: &verifier{VerifyOptions: o, began: o.Clock.Now()}, store: store, each: each, res: SafeResult{Not: map[string]firn.Count{}},
	}
	// Now, not before: whoever is about to delete an archive says so first.
	var err error
	if _, s.emptied, err = o.Catalog.EmptyingOf(ctx, o.Tree.Store); err != nil {
		return s.res, err
	}
	err = o.Catalog.Unsure(ctx, o.Tree.Store, func(archive int64, leaving bool) {
		if leaving {
			s.leaving.add(archive)
		} else {
			s.doubted.add(archive)
		}
	})
	if err == nil {
		err = s.walk(ctx, s)
	}
	s.res.Stopped = s.stopped.Load()
	return s.res, err
}

// A safeList is the visitor that finds what is safe to delete.
type safeList struct {
	*verifier
	store            *StoreResult
	leaving, doubted rowSet
	emptied          bool // all of the store is about to be deleted
	each             func(SafeFile) error
	res              SafeResult
}

func (s *safeList) not(why string, size int64) {
	n := s.res.Not[why]
	s.res.Not[why] = firn.Count{Files: n.Files + 1, Bytes: n.Bytes + size}
}

func (s *safeList) missing(catalog.Entry)                 {}
func (s *safeList) excluded(scan.Skip)                    {}
func (s *safeList) failed(string, string, error)          { s.not(notReadable, 0) }
func (s *safeList) aside(*catalog.Entry, *catalog.Hashed) {}

func (s *safeList) extra(f firn.File) {
	if f.Kind == firn.Regular {
		s.not(notKnown, f.Stamp.Size)
	}
}

func (s *safeList) both(_ context.Context, f firn.File, known *catalog.Entry, kept *catalog.Hashed) error {
	if f.Kind != firn.Regular {
		return nil
	}
	if why := s.doubt(&f, known, kept); why != "" {
		s.not(why, f.Stamp.Size)
		return nil
	}
	s.res.Safe.Files++
	s.res.Safe.Bytes += f.Stamp.Size
	return s.each(SafeFile{Path: f.Path, Size: f.Stamp.Size, Archive: known.Location.Remote, Read: kept.Read})
}

// doubt says why a file can't be called safe; empty where it can.
func (s *safeList) doubt(f *firn.File, known *catalog.Entry, kept *catalog.Hashed) string {
	loc := &known.Location
	switch {
	case known.Kind != firn.Regular || f.Stamp.Size != known.Content.Size:
		return notEqual
	case f.Stamp.Size == 0:
		return notEmpty
	case loc.State != catalog.Stored:
		return notKnown
	case known.Content.Tree.IsZero():
		return notHashed
	case !s.believes(f, kept):
		return notRead
	case kept.Tree != known.Content.Tree:
		return notEqual
	case s.emptied, s.leaving.has(loc.Archive):
		return notStaying
	case s.doubted.has(loc.Archive):
		return notSettled
	case !s.store.Confirmed(loc):
		return notConfirmed
	}
	return ""
}
