package plan

import (
	"fmt"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// BenchmarkMerge compares a million unchanged files, made up before.
func BenchmarkMerge(b *testing.B) {
	const files = 1_000_000
	for _, each := range []int{100, 10} {
		b.Run(fmt.Sprintf("%d a folder", each), func(b *testing.B) {
			// One folder serves as all: only the paths of directories differ.
			root := &scan.Dir{File: firn.File{Kind: firn.Directory}, First: true}
			seen := &scan.Dir{First: true}
			known := &Known{Self: &Entry{}}
			for i := range each {
				f := file(fmt.Sprintf("photos/2012/12/25/IMG_%04d.jpg", i))
				seen.Files = append(seen.Files, f)
				known.Entries = append(known.Entries, entry(f))
			}
			var paths []string
			for i := range files / each {
				paths = append(paths, fmt.Sprintf("photos/%06d", i))
			}
			scanned := func(yield func(*scan.Dir, error) bool) {
				ok := yield(root, nil)
				for _, p := range paths {
					seen.File = firn.File{Path: p, Kind: firn.Directory}
					if ok = ok && yield(seen, nil); !ok {
						return
					}
				}
			}
			recorded := func(yield func(*Known, error) bool) {
				ok := yield(&Known{}, nil)
				for _, p := range paths {
					known.Path, known.Self.File = p, seen.File
					if ok = ok && yield(known, nil); !ok {
						return
					}
				}
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for d, err := range Merge(scanned, recorded, Options{}) {
					if err != nil {
						b.Fatal(err)
					}
					n += len(d.Entries)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "files/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
