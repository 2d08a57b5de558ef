package s3cold

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// listsFolder is where companions of archives lie: the lists by which people
// without firn find their files.
const listsFolder = ownFolder + "lists/"

var _ firn.Companion = (*Store)(nil)

// Place says where the store is, in the words of S3's tools.
func (s *Store) Place() (firn.Place, bool) {
	p := firn.Place{Bucket: s.cfg.Bucket, Prefix: s.base, Region: s.region, Companions: listsFolder}
	if s.home != amazon {
		p.Endpoint = s.home
	}
	return p, true
}

// Key is the whole key of an archive's object.
func (s *Store) Key(id firn.ArchiveID) string {
	key, ok := keyOfID(id)
	if !ok {
		return ""
	}
	return s.base + key
}

// CompanionFolder is a folder of an archive's companions.
func (s *Store) CompanionFolder(archive firn.ArchiveID, folder string) string {
	ending, _ := companionsOf(archive)
	return folder + ending
}

// PutCompanion stores a file in STANDARD, as .firn/lists/FOLDER.ARCHIVE/NAME.
func (s *Store) PutCompanion(ctx context.Context, archive firn.ArchiveID, folder, name string, body *io.SectionReader, sums treehash.Sums) error {
	const op = "put beside the catalog"
	if _, err := s.exists(ctx); err != nil {
		return err
	}
	of, ok := companionsOf(archive)
	key := listsFolder + folder + of + "/" + name
	if !ok || strings.Contains(folder+name, "/") || !validKey(key) {
		return s.fail(op, firn.Invalid, fmt.Errorf("%q is no name of a file beside an archive", key))
	}
	if size := body.Size(); size > MaxSingle {
		return s.fail(op, firn.Invalid, fmt.Errorf("%s has %d bytes: a single request carries %d at most", name, size, int64(MaxSingle)))
	}
	s.shelf.mu.Lock()
	s.shelf.keys = nil // to be listed anew
	s.shelf.mu.Unlock()
	x := s.begin(ctx, op, "to "+s.cfg.Label)
	_, err := s.send(x, object{key: key, body: body, sums: sums})
	return x.End(err)
}

// companionsOf is how the folders of an archive's companions end: with the last
// part of its own name, which is drawn at random. False of an archive that has
// none, as those have that bear the names of files.
func companionsOf(archive firn.ArchiveID) (ending string, ok bool) {
	key, ok := keyOfID(archive)
	if !ok || !strings.HasPrefix(key, snapshotsFolder) && !strings.HasPrefix(key, objectsFolder) {
		return "", false
	}
	token, _, _ := strings.Cut(path.Base(key), ".")
	return "." + token, true
}

// A shelf remembers which companions there are, for archives that are deleted by
// the thousand and mostly have none.
type shelf struct {
	mu   sync.Mutex
	keys map[string][]string // by the ending of their folder; nil: not listed yet
}

// companions lists what lies beside an archive.
func (s *Store) companions(ctx context.Context, archive firn.ArchiveID) ([]string, error) {
	ending, ok := companionsOf(archive)
	if !ok {
		return nil, nil
	}
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	// Of a snapshot another machine may have made some meanwhile.
	if s.shelf.keys == nil || strings.HasPrefix(string(archive), snapshotsFolder) {
		all, err := s.allCompanions(ctx)
		if err != nil {
			return nil, err
		}
		s.shelf.keys = all
	}
	return s.shelf.keys[ending], nil
}

// allCompanions lists all, by the ending of their folder.
func (s *Store) allCompanions(ctx context.Context) (map[string][]string, error) {
	all := map[string][]string{}
	for page, err := range s.objects(ctx, "list", listsFolder) {
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			key, ok := s.keyOf(page, o)
			if !ok {
				continue
			}
			if !strings.HasPrefix(key, listsFolder) {
				return all, nil // those behind it
			}
			folder := path.Dir(key)
			ending := folder[strings.LastIndexByte(folder, '.'):] // that of .firn, if there is no other
			all[ending] = append(all[ending], key)
		}
	}
	return all, nil
}

// removeCompanions deletes what lies beside an archive, which is to go: nothing
// is left that names what isn't there any more.
func (s *Store) removeCompanions(ctx context.Context, archive firn.ArchiveID) error {
	keys, err := s.companions(ctx, archive)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.removeAll(ctx, "delete archive", key); err != nil {
			return err
		}
	}
	return nil
}
