package catalog_test

import (
	"context"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
)

// bundledFixture gives a catalog with n tiny files in bundles.
func bundledFixture(tb testing.TB, n, perDir int) *fixture {
	const size = 10_000
	f := newFixture(tb)
	for first := 0; first < n; first += size {
		f.stored(tb, f.run, f.intendBundle(tb, f.run, benchMembers(first, min(size, n-first), perDir)...))
	}
	check(tb, f.EndRun(tb.Context(), f.run, catalog.Outcome{Complete: true}))
	return f
}

// A countingSink takes rows and does nothing with them.
type countingSink struct{ rows int }

func (s *countingSink) Write(rows.Row) error {
	s.rows++
	return nil
}

// BenchmarkWriteRows writes the rows of files in bundles: to nobody, as lines
// that are compressed, and as what adds to rows that have them all.
func BenchmarkWriteRows(b *testing.B) {
	n := benchRows(b)
	f := bundledFixture(b, n, 100)
	write := func(b *testing.B, o catalog.RowsOptions, to catalog.RowSink) {
		b.Helper()
		done, err := f.WriteRows(context.Background(), f.store.ID, "nas", o, to)
		if check(b, err); done.Entries != int64(n) && o.Base == 0 || done.Through != f.run.ID {
			b.Fatalf("wrote %+v", done)
		}
	}
	b.Run("rows", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			write(b, catalog.RowsOptions{}, &countingSink{})
		}
		perSecond(b, n, "entries")
	})
	b.Run("zstd", func(b *testing.B) {
		var size countingWriter
		for b.Loop() {
			size = 0
			z, err := zstd.NewWriter(&size)
			check(b, err)
			w := rows.NewWriter(z)
			write(b, catalog.RowsOptions{}, w)
			check(b, w.Close())
			check(b, z.Close())
		}
		perSecond(b, n, "entries")
		b.ReportMetric(float64(size)/float64(n), "B/entry")
	})
	b.Run("nothing new", func(b *testing.B) {
		for b.Loop() {
			write(b, catalog.RowsOptions{Base: f.run.ID, Seq: 2, BaseSeq: 1}, &countingSink{})
		}
		perSecond(b, n, "entries")
	})
}

// A countingWriter counts bytes.
type countingWriter int64

func (w *countingWriter) Write(p []byte) (int, error) {
	*w += countingWriter(len(p))
	return len(p), nil
}

// BenchmarkUnsaved looks through a catalog in which a run changed nothing.
func BenchmarkUnsaved(b *testing.B) {
	n := benchRows(b)
	f := bundledFixture(b, n, 100)
	run := f.begin(b)
	for b.Loop() {
		if some, err := f.Unsaved(b.Context(), f.store.ID, run.ID-1); err != nil || some {
			b.Fatal(some, err)
		}
	}
	perSecond(b, n, "files")
}
