package scan

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// shapes are trees of 100,000 files.
var shapes = []struct {
	name       string
	dirs, each int
}{
	{"100 a folder", 1_000, 100},
	{"10 a folder", 10_000, 10},
}

// grow makes a tree three levels deep.
func grow(b *testing.B, dirs, each int) string {
	root := b.TempDir()
	for i := range dirs {
		dir := filepath.Join(root, fmt.Sprintf("%03d/%02d/%05d", i/500, i/25%20, i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range each {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("IMG_%04d.jpg", j*7%each)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return root
}

// BenchmarkWalk reports entries a second, warm, beside what the standard
// library's walk takes for the same tree.
func BenchmarkWalk(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			root := grow(b, s.dirs, s.each)
			for _, workers := range []int{1, 2, 4} {
				b.Run(fmt.Sprintf("scan, workers=%d", workers), func(b *testing.B) {
					measure(b, func() (n int) {
						for d, err := range Walk(b.Context(), root, Options{Workers: workers}) {
							if err != nil {
								b.Fatal(err)
							}
							n += 1 + len(d.Files)
						}
						return n
					})
				})
			}
			b.Run("filepath.WalkDir and Info", func(b *testing.B) {
				measure(b, func() (n int) {
					err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
						if err == nil {
							n++
							_, err = d.Info()
						}
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
					return n
				})
			})
		})
	}
}

func measure(b *testing.B, walk func() int) {
	b.ReportAllocs()
	entries := 0
	for b.Loop() {
		entries += walk()
	}
	b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(0, "ns/op")
}
