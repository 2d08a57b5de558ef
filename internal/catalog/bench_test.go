package catalog_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// benchRows is how many files the benchmarks' catalogs hold. FIRN_BENCH_FILES
// sets another number, such as 3000000.
func benchRows(tb testing.TB) int {
	n, err := strconv.Atoi(os.Getenv("FIRN_BENCH_FILES"))
	if err != nil {
		return 100_000
	}
	return n
}

// benchFile is file i of a tree with so many in each directory.
func benchFile(i, perDir int) catalog.Change {
	d := i / perDir
	var h treehash.Hash
	binary.BigEndian.PutUint64(h[:], uint64(i+1)*0x9e3779b97f4a7c15) // spread as hashes are
	mtime := time.Unix(1_600_000_000+int64(i), int64(i%1000)*1e6)
	return catalog.Change{
		File: firn.File{
			Path: fmt.Sprintf("photos/%04d/album-%05d/img_%07d.jpg", d/100, d, i), Kind: firn.Regular,
			Stamp: firn.Stamp{Size: int64(i%100_000) + 1, ModTime: mtime, Changed: mtime.Add(time.Hour), Inode: uint64(i + 1000)},
			Mode:  0o644, UID: 1000, GID: 1000, Links: 1,
		},
		Content: firn.Content{Size: int64(i%100_000) + 1, Tree: h},
		Read:    mtime.Add(24 * time.Hour),
	}
}

// perSecond reports how many things a second the benchmark did.
func perSecond(b *testing.B, n int, what string) {
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), what+"/s")
}

// BenchmarkCurrent reads a tree as a planner does.
func BenchmarkCurrent(b *testing.B) {
	for _, perDir := range []int{10, 100} {
		b.Run(fmt.Sprintf("perDir=%d", perDir), func(b *testing.B) {
			n := benchRows(b)
			f := filled(b, n, perDir)
			b.ReportAllocs()
			for b.Loop() {
				got := 0
				for d, err := range f.Current(b.Context(), f.tree.ID) {
					check(b, err)
					got += len(d.Files)
				}
				if got != n {
					b.Fatalf("%d files, want %d", got, n)
				}
			}
			perSecond(b, n, "files")
		})
	}
}

// BenchmarkFiles lists a tree, and one directory of it.
func BenchmarkFiles(b *testing.B) {
	n := benchRows(b)
	f := filled(b, n, 100)
	for name, q := range map[string]catalog.ListQuery{
		"tree":      {Tree: f.tree.ID},
		"all":       {Tree: f.tree.ID, All: true},
		"directory": {Tree: f.tree.ID, Path: "photos/0001/album-00107"},
		"shallow":   {Tree: f.tree.ID, Path: "photos/0001", Shallow: true},
	} {
		b.Run(name, func(b *testing.B) {
			got := 0
			for b.Loop() {
				got = 0
				for _, err := range f.Files(b.Context(), q) {
					check(b, err)
					got++
				}
			}
			if got == 0 {
				b.Fatal("nothing is listed")
			}
			perSecond(b, got, "entries")
		})
	}
}

// BenchmarkFindContent looks for content that is there, and that isn't.
func BenchmarkFindContent(b *testing.B) {
	n := benchRows(b)
	f := filled(b, n, 100)
	for name, first := range map[string]int{"there": 0, "absent": n} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i += 7919 // far apart, as hashes are
				_, ok, err := f.FindContent(b.Context(), f.store.ID, benchFile(first+i%n, 100).Content)
				if err != nil || ok != (first == 0) {
					b.Fatal(ok, err)
				}
			}
			perSecond(b, 1, "lookups")
		})
	}
}

// BenchmarkFindContents looks for many contents at once, as hashes come while
// files are bundled: none is there.
func BenchmarkFindContents(b *testing.B) {
	const many = 500
	n := benchRows(b)
	f := filled(b, n, 100)
	contents := make([]firn.Content, many)
	b.ReportAllocs()
	for b.Loop() {
		for i := range contents {
			contents[i].Size = 100
			binary.BigEndian.PutUint64(contents[i].Tree[:], rand.Uint64())
		}
		found, err := f.FindContents(b.Context(), f.store.ID, catalog.Recipients{}, contents)
		if err != nil || found[0].Archive != 0 {
			b.Fatal(found, err)
		}
	}
	perSecond(b, many, "lookups")
}

// BenchmarkRecord records files whose content is stored: in a new tree, and
// again after they were touched.
func BenchmarkRecord(b *testing.B) {
	const batch = 1000
	n := benchRows(b)
	f := filled(b, n, 100)
	record := func(b *testing.B, run catalog.Run, shift int64) {
		var changes []catalog.Change
		for i := range n {
			ch := benchFile(i, 100)
			ch.Stamp.Inode += uint64(shift)
			if changes = append(changes, ch); len(changes) == batch || i == n-1 {
				_, err := f.Record(b.Context(), run, changes)
				check(b, err)
				changes = changes[:0]
			}
		}
	}
	var run catalog.Run
	b.Run("new", func(b *testing.B) {
		for i := range b.N {
			tree, err := f.Bind(b.Context(), f.store.ID, fmt.Sprintf("copy %d of %d", i, b.N), "h", "/")
			check(b, err)
			run, err = f.BeginRun(b.Context(), f.store.ID, tree.ID, "sync")
			check(b, err)
			record(b, run, 0)
		}
		perSecond(b, n, "files")
	})
	b.Run("touched", func(b *testing.B) {
		for i := range b.N {
			record(b, run, int64(i+1))
		}
		perSecond(b, n, "files")
	})
}

// benchMembers makes n tiny files of a folder into members of a bundle.
func benchMembers(first, n, perDir int) []catalog.Member {
	members := make([]catalog.Member, n)
	for i := range members {
		ch := benchFile(first+i, perDir)
		ch.Stamp.Size, ch.Content.Size = 100, 100
		members[i] = catalog.Member{Change: ch, Number: int64(i), Offset: int64(i) * 1024}
	}
	return members
}

// BenchmarkIntendBundle records bundles of 10,000 tiny files: in new folders,
// and in folders that have as many others.
func BenchmarkIntendBundle(b *testing.B) {
	const size, perDir = 10_000, 100
	f := filled(b, benchRows(b), perDir)
	for _, where := range []string{"new folders", "old folders"} {
		b.Run(where, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				run := f.run
				if where == "new folders" {
					b.StopTimer()
					tree, err := f.Bind(b.Context(), f.store.ID, fmt.Sprintf("%d of %d", i, b.N), "h", "/")
					check(b, err)
					run, err = f.BeginRun(b.Context(), f.store.ID, tree.ID, "sync")
					check(b, err)
					b.StartTimer()
				}
				members := benchMembers(0, size, perDir)
				for m := range members {
					if where == "old folders" {
						members[m].Path += fmt.Sprintf("~%d~%d", b.N, i)
					}
					binary.BigEndian.PutUint64(members[m].Content.Tree[:], rand.Uint64())
				}
				f.intendBundle(b, run, members...)
			}
			perSecond(b, size, "members")
		})
	}
}

// BenchmarkStored takes archives from intent to outcome, as uploads in
// parallel do: each is durable twice.
func BenchmarkStored(b *testing.B) {
	for _, workers := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			f := filled(b, benchRows(b), 100)
			b.ResetTimer()
			var all sync.WaitGroup
			for w := range workers {
				all.Go(func() {
					for i := w; i < b.N; i += workers {
						ch := benchFile(benchRows(b)+i, 100)
						in := f.intend(b, f.run, ch)
						id := firn.ArchiveID(in.Token.String())
						if err := f.Stored(b.Context(), in.ID, firn.Archive{ID: id, Size: in.Size, Tree: ch.Content.Tree}, f.run, &ch); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			perSecond(b, 1, "archives")
		})
	}
}

// filled gives a catalog with n files, each in an archive of its own.
func filled(tb testing.TB, n, perDir int) *fixture {
	tb.Helper()
	f := newFixture(tb)
	var changes []catalog.Change
	for i := range n {
		changes = append(changes, benchFile(i, perDir))
		if len(changes) == 1000 || i == n-1 {
			check(tb, f.StoreAll(tb.Context(), f.run, changes))
			changes = changes[:0]
		}
	}
	return f
}
