package bundle

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// sizes are those of the files of the budgets.
var sizes = []int{200, 1 << 10, 10 << 10}

// benchFiles are as many files as a bundle takes.
func benchFiles(size int) []firn.File {
	files := make([]firn.File, MaxMembers)
	for i := range files {
		files[i] = file(fmt.Sprintf("photos/2026/week %d/IMG_%08d.jpg", i/200, i), int64(size))
	}
	return files
}

// benchSpool is a file to write to.
func benchSpool(b *testing.B) *os.File {
	f, err := os.Create(b.TempDir() + "/spool")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

// fill bundles b.N files, bundle after bundle.
func fill(b *testing.B, size int, add func(w *Writer, f firn.File) error) {
	spool, files := benchSpool(b), benchFiles(size)
	w := NewWriter(spool, info)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if w.Len() == MaxMembers || w.Size() > 64<<20 {
			if _, err := w.Seal(); err != nil {
				b.Fatal(err)
			}
			w = NewWriter(spool, info)
		}
		if err := add(w, files[w.Len()]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend is a file whose content is at hand and hashed, its share of
// sealing a bundle included.
func BenchmarkAppend(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data := bytes.Repeat([]byte("x"), size)
			sum := treehash.Sum(data)
			fill(b, size, func(w *Writer, f firn.File) error {
				_, err := w.Append(f, data, sum, 0)
				return err
			})
		})
	}
}

// BenchmarkAppendFrom is a file that is read and hashed on the way.
func BenchmarkAppendFrom(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data := bytes.Repeat([]byte("x"), size)
			r := bytes.NewReader(nil)
			fill(b, size, func(w *Writer, f firn.File) error {
				r.Reset(data)
				_, err := w.AppendFrom(b.Context(), f, r, 0)
				return err
			})
		})
	}
}

// BenchmarkStandardLibrary is archive/tar alone, without hash, index or buffer,
// to compare with.
func BenchmarkStandardLibrary(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data, files := bytes.Repeat([]byte("x"), size), benchFiles(size)
			w := tar.NewWriter(io.Discard)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := w.WriteHeader(standard(files[i%MaxMembers])); err != nil {
					b.Fatal(err)
				}
				if _, err := w.Write(data); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// benchBundle is a bundle of 10,000 members, each with a content of its own.
func benchBundle(b *testing.B) *Writer {
	w := NewWriter(&memory{}, info)
	for i, f := range benchFiles(1) {
		data := fmt.Append(nil, i)
		f.Stamp.Size = int64(len(data))
		if _, err := w.Append(f, data, treehash.Sum(data), 0); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

// BenchmarkWriteIndex writes the index of a bundle of 10,000 members.
func BenchmarkWriteIndex(b *testing.B) {
	w := benchBundle(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := writeIndex(io.Discard, info, w.members)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(f.Size)/MaxMembers, "B/member")
	}
	b.ReportMetric(float64(b.N)*MaxMembers/b.Elapsed().Seconds(), "members/s")
}

// BenchmarkReadIndex reads the index of a bundle of 10,000 members.
func BenchmarkReadIndex(b *testing.B) {
	w := benchBundle(b)
	sealed, err := w.Seal()
	if err != nil {
		b.Fatal(err)
	}
	f := sealed.Footer
	stored := w.spool.(*memory).data[f.Offset:]
	b.ReportAllocs()
	for b.Loop() {
		_, seq, err := ReadIndex(bytes.NewReader(stored), f)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range seq {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != MaxMembers {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.N)*MaxMembers/b.Elapsed().Seconds(), "members/s")
}
