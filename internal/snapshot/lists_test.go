package snapshot_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// A shelf keeps what is put beside archives, in memory.
type shelf struct {
	files map[string][]byte // by folder, archive and name
	fail  error             // what the next files meet
	nope  bool              // the store keeps nothing beside archives
}

func (s *shelf) PutCompanion(_ context.Context, id firn.ArchiveID, folder, name string, body *io.SectionReader, sums treehash.Sums) error {
	if s.fail != nil {
		return s.fail
	}
	data, err := io.ReadAll(body)
	if err != nil || treehash.Sum(data) != sums.Tree {
		return errors.Join(err, errors.New("the sums are those of other bytes"))
	}
	s.files[s.CompanionFolder(id, folder)+"/"+name] = data
	return nil
}

func (s *shelf) CompanionFolder(id firn.ArchiveID, folder string) string {
	return folder + "." + string(id[:8])
}

func (s *shelf) Place() (firn.Place, bool) {
	return firn.Place{Bucket: "bucket", Prefix: "photos/", Region: "r", Companions: ".firn/lists/"}, !s.nope
}

func (s *shelf) Key(id firn.ArchiveID) string { return "photos/" + string(id) }

// names gives what was put, sorted.
func (s *shelf) names() (names []string) {
	for name := range s.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// beside makes the snapshots of a bench with a shelf beside them.
func (b *bench) beside(s *shelf) (*snapshot.Maker, catalog.Run) {
	b.T.Helper()
	o := b.SnapshotOptions()
	o.Companion = s
	b.Maker = snapshot.NewMaker(o)
	return b.Maker, b.Sync().Run
}

// unpack reads a list.
func unpack(t *testing.T, data []byte) string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLists: beside each snapshot lies a list of what was current then.
func TestLists(t *testing.T) {
	b, s := newBench(t, storetest.MemoryOptions{}), &shelf{files: map[string][]byte{}}
	b.Write("a", "one")
	b.save(b.beside(s))
	b.Clock.Advance(day)
	b.Write("b", "two")
	if err := os.Remove(filepath.Join(b.Root, "a")); err != nil {
		t.Fatal(err)
	}
	b.save(b.beside(s))
	names := s.names()
	if len(names) != 4 || !strings.HasSuffix(names[0], "/RESTORE.txt") || !strings.HasSuffix(names[1], "/files.csv.gz") {
		t.Fatalf("there are %q", names)
	}
	for i, want := range []string{"tree,a,file,", "tree,b,file,"} {
		list := unpack(t, s.files[names[2*i+1]])
		if !strings.Contains(list, "\n"+want) || strings.Count(list, ",file,") != 1 {
			t.Errorf("list %d is %s", i, list)
		}
		if strings.Contains(list, ",photos/,") || !strings.Contains(list, ",photos/") {
			t.Errorf("list %d has no keys: %s", i, list)
		}
		text := string(s.files[names[2*i]])
		folder, _, _ := strings.Cut(names[2*i], "/")
		if !strings.Contains(text, "'s3://bucket/photos/.firn/lists/"+folder+"/'") || !strings.Contains(text, "the machine here knew them") {
			t.Errorf("the text is of another folder or machine: %.900s", text)
		}
	}
	if got := b.Notices(); len(got) > 0 {
		t.Errorf("said %q", got)
	}
}

// TestListsFail: a list that can't be stored keeps nothing else from being done,
// and the next command stores it, though nothing else is to be done.
func TestListsFail(t *testing.T) {
	b, s := newBench(t, storetest.MemoryOptions{}), &shelf{files: map[string][]byte{}}
	s.fail = &firn.Error{Op: "put", Kind: firn.Denied, Err: errors.New("not here")}
	b.Write("a", "one")
	b.save(b.beside(s))
	if said := b.Notices(); len(said) != 1 || !strings.Contains(said[0], "restored without firn") || !strings.Contains(said[0], "not here") {
		t.Errorf("said %q", said)
	}
	if got := b.chain(); got != "1" {
		t.Errorf("snapshots: %s", got)
	}
	s.fail = nil
	m, _ := b.beside(s)
	if err := m.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := s.names(); len(names) != 2 {
		t.Fatalf("there are %q", names)
	}
	if names, err := os.ReadDir(b.SnapshotOptions().Spool); err != nil || len(names) > 0 {
		t.Errorf("the spool has %v; %v", names, err)
	}
	clear(s.files)
	m, _ = b.beside(s)
	if err := m.Settle(t.Context()); err != nil || len(s.names()) > 0 {
		t.Errorf("what was there was made again: %q, %v", s.names(), err)
	}
}

// TestNoLists: a store that keeps nothing beside archives gets none, and leaves
// nothing to be done.
func TestNoLists(t *testing.T) {
	b, s := newBench(t, storetest.MemoryOptions{}), &shelf{files: map[string][]byte{}, nope: true}
	b.Write("a", "one")
	b.save(b.beside(s))
	if names, err := os.ReadDir(b.SnapshotOptions().Spool); err != nil || len(names) > 0 || len(s.files) > 0 {
		t.Errorf("the spool has %v; there are %q; %v", names, s.names(), err)
	}
}

// TestSealedLists: where a tree is encrypted, so is the list, and the text beside it
// tells no names.
func TestSealedLists(t *testing.T) {
	b, s := newBench(t, storetest.MemoryOptions{}), &shelf{files: map[string][]byte{}}
	b.Write("secret name", "one")
	ids := b.Seal()
	b.save(b.beside(s))
	names := s.names()
	if len(names) != 2 || !strings.HasSuffix(names[1], "/files.csv.gz.age") {
		t.Fatalf("there are %q", names)
	}
	for name, data := range s.files {
		for _, secret := range []string{"secret name", "tree,", "machine here"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s tells %q", name, secret)
			}
		}
	}
	sealed := s.files[names[1]]
	prefix, _, err := seal.ReadHeader(sealed)
	if err != nil {
		t.Fatal(err)
	}
	opener, err := ids.Open(prefix, int64(len(sealed)))
	if err != nil {
		t.Fatal(err)
	}
	all := firn.Range{Start: 0, End: opener.PlainSize()}
	at := opener.SealedRange(all)
	plain, err := io.ReadAll(opener.Reader(bytes.NewReader(sealed[at.Start:at.End]), all))
	if err != nil {
		t.Fatal(err)
	}
	if list := unpack(t, plain); !strings.Contains(list, "\ntree,secret name,file,") || !strings.Contains(list, ",age,") {
		t.Errorf("the list is %s", list)
	}
}
