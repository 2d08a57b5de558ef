package recovery_test

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// put stores an archive that firn didn't write.
func put(b *worktest.Bench, description, data string) {
	b.T.Helper()
	sums := treehash.NewDouble()
	io.WriteString(sums, data)
	if _, err := b.Memory.UploadArchive(b.T.Context(), description, io.NewSectionReader(strings.NewReader(data), 0, int64(len(data))), sums.Sums()); err != nil {
		b.T.Fatal(err)
	}
}

// forge makes a bundle of files with these paths.
func forge(b *worktest.Bench, paths ...string) string {
	b.T.Helper()
	name := filepath.Join(b.T.TempDir(), "bundle")
	spool, err := os.Create(name)
	if err != nil {
		b.T.Fatal(err)
	}
	defer spool.Close()
	w := bundle.NewWriter(spool, bundle.Info{Tree: "tree", Host: "here", Made: b.Clock.Now()})
	for _, p := range paths {
		const data = "forged"
		f := firn.File{Path: p, Kind: firn.Regular, Mode: 0o644, Links: 1, Stamp: firn.Stamp{Size: int64(len(data)), ModTime: b.Clock.Now()}}
		if _, err := w.Append(f, []byte(data), treehash.Sum([]byte(data)), 0); err != nil {
			b.T.Fatal(err)
		}
	}
	if _, err := w.Seal(); err != nil {
		b.T.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		b.T.Fatal(err)
	}
	return string(data)
}

// TestForgedBundles has bundles in the store that were cut short, are called
// something else, or name a path twice. Each is told, and stops nothing else.
func TestForgedBundles(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 5000)
	fill(b)
	b.Sync()
	describes := func(a describe.Archive) string {
		t.Helper()
		a.Token, a.Tree, a.Made = firn.NewToken(), "tree", b.Clock.Now()
		text, err := describe.Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := forge(b, "forged/good")
	forged := []struct {
		kind     describe.Kind
		members  int64
		index    int64
		contents string
	}{
		{describe.Bundle, 2, 1 << 20, forge(b, "forged/twice", "forged/twice")},
		{describe.Bundle, 1, 1 << 40, good[:len(good)-512]},
		{describe.Bundle, 1 << 30, 512, good[:1024]},
		{describe.Bundle, 1, 1, "x"},
		{describe.Sealed, 0, 0, good},
		{describe.Sealed, 0, 0, "age-encryption.org/v1\n-> X25519 x\n"},
	}
	for _, f := range forged {
		put(b, describes(describe.Archive{Kind: f.kind, Members: f.members, Index: f.index}), f.contents)
	}
	put(b, describes(describe.Archive{Kind: describe.Bundle, Members: 1, Index: 1 << 20}), good)
	m := newMachine(b, nil)
	res, err := m.try(t.Context())
	m.must(err)
	if int(res.Failed) != len(forged) {
		t.Errorf("%d failed, of %d forged: %q", res.Failed, len(forged), m.warnings())
	}
	got := m.restored()
	if _, ok := got["forged/twice"]; ok || got["forged/good"] == "" || got["large"] == "" || got["many/file07"] == "" {
		t.Errorf("restored %v", slices.Sorted(maps.Keys(got)))
	}
}
