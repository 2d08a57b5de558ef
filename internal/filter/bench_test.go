package filter

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn/internal/scan"
)

// twentyRules are such as people write; none matches the files of benchmarks,
// so that all are tried.
func twentyRules() []Rule {
	var rules []Rule
	for _, p := range []string{
		"*.tmp", "*.bak", "*~", "*.swp", ".git/", ".svn/", "node_modules/", "__pycache__/", "/private/", "/var/cache/",
		"*.o", "*.pyc", "core", "~$*", "build-*/", "**/target/debug/**", "/home/*/.cache/", "doc/**/*.aux", "*.iso", "thumb?.png",
	} {
		rules = append(rules, Exclude(p))
	}
	return rules
}

// BenchmarkJudge is the time that one file takes.
func BenchmarkJudge(b *testing.B) {
	file := fileAt("pictures/2019/summer/IMG_0001.jpg")
	for _, bb := range []struct {
		name string
		o    Options
	}{{"default", Options{}}, {"20 rules", Options{Rules: twentyRules()}}} {
		f := New(bb.o)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Judge(file)
			}
		})
	}
}

// BenchmarkScan reports entries a second of a walk over 20,000 files, without
// filter and with 20 rules.
func BenchmarkScan(b *testing.B) {
	root := b.TempDir()
	for i := range 400 {
		dir := filepath.Join(root, fmt.Sprintf("pictures/%02d/%05d", i%20, i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 50 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("IMG_%04d.jpg", j)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	var none *Filter
	for _, bb := range []struct {
		name string
		f    *Filter
	}{{"no filter", none}, {"default list", New(Options{})}, {"20 rules", New(Options{Rules: twentyRules()})}} {
		b.Run(bb.name, func(b *testing.B) {
			entries := 0
			for b.Loop() {
				for d, err := range scan.Walk(b.Context(), root, bb.f.Scan()) {
					if err != nil {
						b.Fatal(err)
					}
					entries += 1 + len(d.Files)
				}
			}
			b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
