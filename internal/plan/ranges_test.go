package plan_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/treehash"
)

const mib = 1 << 20

// A wanted is one call of Add.
type wanted struct {
	archive, size int64
	at            firn.Range
	bytes         int64
}

func ranges(t rapid.TB, files ...wanted) *plan.Ranges {
	t.Helper()
	r := &plan.Ranges{}
	for _, w := range files {
		if err := r.Add(w.archive, w.size, w.at, w.bytes); err != nil {
			t.Fatalf("%+v: %v", w, err)
		}
	}
	return r
}

func TestRanges(t *testing.T) {
	bundle := func(start, end int64) wanted {
		return wanted{archive: 7, size: 64*mib + 100, at: firn.Range{Start: start, End: end}, bytes: end - start}
	}
	piece := func(from, to, files, bytes, download int64) plan.Piece {
		return plan.Piece{Archive: 7, At: firn.Range{Start: from, End: to}, Files: files, Bytes: bytes, Download: download}
	}
	for name, c := range map[string]struct {
		files     []wanted
		gap, most int64
		want      []plan.Piece
	}{
		"nothing":                 {},
		"10 KiB out of 64 MiB":    {files: []wanted{bundle(5*mib+1, 5*mib+10241)}, want: []plan.Piece{piece(5*mib, 6*mib, 1, 10240, mib)}},
		"across a border":         {files: []wanted{bundle(6*mib-1, 6*mib+1)}, want: []plan.Piece{piece(5*mib, 7*mib, 1, 2, 2*mib)}},
		"the end of the archive":  {files: []wanted{bundle(64*mib+1, 64*mib+2)}, want: []plan.Piece{piece(64*mib, 64*mib+100, 1, 1, 100)}},
		"side by side":            {files: []wanted{bundle(0, 10), bundle(mib, mib+10)}, want: []plan.Piece{piece(0, 2*mib, 2, 20, 2*mib)}},
		"the other way round":     {files: []wanted{bundle(mib, mib+10), bundle(0, 10)}, want: []plan.Piece{piece(0, 2*mib, 2, 20, 2*mib)}},
		"one content, two files":  {files: []wanted{bundle(0, 10), bundle(0, 10)}, want: []plan.Piece{piece(0, mib, 2, 20, mib)}},
		"apart":                   {files: []wanted{bundle(0, 10), bundle(3*mib, 3*mib+10)}, gap: 2*mib - 1, want: []plan.Piece{piece(0, mib, 1, 10, mib), piece(3*mib, 4*mib, 1, 10, mib)}},
		"joined over a gap":       {files: []wanted{bundle(0, 10), bundle(3*mib, 3*mib+10)}, gap: 2 * mib, want: []plan.Piece{piece(0, 4*mib, 2, 20, 2*mib)}},
		"all but the middle":      {files: []wanted{bundle(0, 30*mib), bundle(32*mib, 64*mib+100)}, gap: 2 * mib, want: []plan.Piece{piece(0, 64*mib+100, 2, 62*mib+100, 62*mib+100)}},
		"a large file, in pieces": {files: []wanted{bundle(mib, 20*mib)}, most: 8 * mib, want: []plan.Piece{piece(mib, 8*mib, 0, 7*mib, 7*mib), piece(8*mib, 16*mib, 0, 8*mib, 8*mib), piece(16*mib, 20*mib, 1, 4*mib, 4*mib)}},
		"as long as a piece may be, where it stands": {files: []wanted{bundle(4*mib, 12*mib)}, most: 8 * mib, want: []plan.Piece{piece(4*mib, 12*mib, 1, 8*mib, 8*mib)}},
		"an archive without a byte":                  {files: []wanted{{archive: 7}}, want: []plan.Piece{{Archive: 7, Files: 1}}},
		"by archive": {
			files: []wanted{bundle(0, 1), {archive: -1, size: 3, at: firn.Range{End: 3}, bytes: 9}, bundle(0, 1)}, gap: math.MaxInt64,
			want: []plan.Piece{{Archive: -1, At: firn.Range{End: 3}, Files: 1, Bytes: 9, Download: 3}, piece(0, mib, 2, 2, mib)},
		},
	} {
		r := ranges(t, c.files...)
		r.Coalesce(c.gap)
		if err := r.Split(c.most); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, slices.Collect(r.All())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestImpossibleRanges: what a damaged catalog may say of a file stops nothing
// but that file.
func TestImpossibleRanges(t *testing.T) {
	r := &plan.Ranges{}
	for _, w := range []wanted{
		{size: 10, at: firn.Range{Start: -1, End: 5}},
		{size: 10, at: firn.Range{Start: 5, End: 11}},
		{size: 10, at: firn.Range{Start: 5, End: 5}},
		{size: 10, at: firn.Range{Start: 6, End: 5}},
		{size: 10, at: firn.Range{End: 5}, bytes: -1},
		{size: 0, at: firn.Range{End: 1}},
		{size: -1, at: firn.Range{End: -1}},
		{size: math.MaxInt64, at: firn.Range{Start: math.MaxInt64 - 1, End: math.MaxInt64}},
		{size: mib<<32 + 1, at: firn.Range{End: 1}},
	} {
		if err := r.Add(1, w.size, w.at, w.bytes); firn.KindOf(err) != firn.Corrupt {
			t.Errorf("%+v: %v", w, err)
		}
	}
	for _, most := range []int64{-mib, 1, 3 * mib, mib + 1} {
		if r.Split(most) == nil {
			t.Errorf("pieces of %d bytes are no nodes, and are taken", most)
		}
	}
	if got := r.Totals(); got != (plan.Totals{}) {
		t.Errorf("something was taken: %+v", got)
	}
	huge := wanted{archive: 1, size: 40 << 40, at: firn.Range{End: 40 << 40}, bytes: math.MaxInt64}
	if got := ranges(t, huge, huge).Totals(); got.Bytes != math.MaxInt64 || got.Retrieve != 40<<40 || got.Files != 2 {
		t.Errorf("two that are as large as can be: %+v", got)
	}
}

// drawFiles draws files of a few archives, most of them small and in order.
func drawFiles(t *rapid.T) []wanted {
	sizes := rapid.SliceOfN(rapid.Int64Range(1, 40*mib), 1, 4).Draw(t, "sizes")
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) wanted {
		n := rapid.IntRange(0, len(sizes)-1).Draw(t, "archive")
		start := rapid.Int64Range(0, sizes[n]-1).Draw(t, "start")
		end := min(sizes[n], start+rapid.OneOf(rapid.Int64Range(1, 100), rapid.Int64Range(1, 20*mib)).Draw(t, "length"))
		return wanted{int64(n), sizes[n], firn.Range{Start: start, End: end}, rapid.Int64Range(0, 1000).Draw(t, "bytes")}
	}), 0, 60).Draw(t, "files")
}

// TestPiecesHoldWhatIsWanted: compared with a list of the MiB that are wanted.
func TestPiecesHoldWhatIsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		r := &plan.Ranges{}
		leaves, sizes := map[[2]int64]bool{}, map[int64]int64{}
		var want plan.Totals
		for _, w := range files {
			if err := r.Add(w.archive, w.size, w.at, w.bytes); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "look") {
				r.Totals() // what was added so far is put in order
			}
			want.Files++
			want.Bytes += w.bytes
			sizes[w.archive] = w.size
			for n := w.at.Start / mib; n*mib < w.at.End; n++ {
				if at := [2]int64{w.archive, n}; !leaves[at] {
					leaves[at] = true
					want.Download += min(w.size-n*mib, mib)
				}
			}
		}
		gap := rapid.Int64Range(0, 8*mib).Draw(t, "gap")
		r.Coalesce(gap)
		check := func(p, before plan.Piece) {
			if !treehash.LeafAligned(sizes[p.Archive], p.At.Start, p.At.End) {
				t.Errorf("%+v is no range to be asked for", p)
			}
			if before.Archive > p.Archive || before.Archive == p.Archive && before.At.End > p.At.Start {
				t.Errorf("%+v comes behind %+v", p, before)
			}
			want.Requests++
			want.Retrieve += p.At.Len()
		}
		before := plan.Piece{Archive: -1}
		for p := range r.All() {
			check(p, before)
			if before.Archive == p.Archive && p.At.Start-before.At.End <= gap {
				t.Errorf("%+v and %+v are two", before, p)
			}
			if !leaves[[2]int64{p.Archive, p.At.Start / mib}] || !leaves[[2]int64{p.Archive, (p.At.End - 1) / mib}] {
				t.Errorf("%+v is longer than need be", p)
			}
			for n := p.At.Start / mib; n*mib < p.At.End; n++ {
				delete(leaves, [2]int64{p.Archive, n})
			}
			before = p
		}
		if len(leaves) > 0 {
			t.Errorf("left out: %v", leaves)
		}
		want.Archives = int64(len(sizes))
		if got := r.Totals(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

// TestSplitPiecesAreNodes: cut ranges hold what they held, and what is cut on
// both sides is a node of the tree.
func TestSplitPiecesAreNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		r := ranges(t, files...)
		r.Coalesce(rapid.Int64Range(0, 8*mib).Draw(t, "gap"))
		before, covered := r.Totals(), map[int64]int64{}
		most := int64(mib) << rapid.IntRange(0, 4).Draw(t, "most")
		if err := r.Split(most); err != nil {
			t.Fatal(err)
		}
		sizes := map[int64]int64{}
		for _, w := range files {
			sizes[w.archive] = w.size
		}
		var last plan.Piece
		for p := range r.All() {
			if p.At.Len() > most || !treehash.LeafAligned(sizes[p.Archive], p.At.Start, p.At.End) || min(p.Files, p.Bytes, p.Download) < 0 {
				t.Errorf("%+v of pieces of at most %d", p, most)
			}
			if whole := p.At.Len() == most && p.At.Start%most == 0; whole && !treehash.NodeAligned(sizes[p.Archive], p.At.Start, p.At.End) {
				t.Errorf("%+v is no node", p)
			}
			if p.Archive == last.Archive && p.At.Start < last.At.End {
				t.Errorf("%+v and %+v overlap", last, p)
			}
			covered[p.Archive] += p.At.Len()
			last = p
		}
		after := r.Totals()
		after.Requests = before.Requests
		if after != before {
			t.Errorf("%+v, before it was cut %+v", after, before)
		}
		if err := r.Split(0); err != nil {
			t.Fatal(err)
		}
		for p := range r.All() {
			covered[p.Archive] -= p.At.Len()
		}
		for archive, n := range covered {
			if n != 0 {
				t.Errorf("of archive %d %d bytes more or less", archive, n)
			}
		}
	})
}

// TestRangesOfMillions: more than fit a page, in any order, and in little memory.
func TestRangesOfMillions(t *testing.T) {
	const archives = 300_000
	order := rand.New(rand.NewPCG(5, 5)).Perm(archives)
	r := &plan.Ranges{}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, n := range order {
		if err := r.Whole(int64(n), 3*mib+7, 5); err != nil {
			t.Fatal(err)
		}
	}
	for n := range archives * 10 { // members of a few bundles
		at := firn.Range{Start: int64(n) * 1000, End: int64(n)*1000 + 900}
		if err := r.Add(archives, 40<<30, at, 900); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > archives*48 {
		t.Errorf("%d bytes an archive", used/archives)
	}
	next := int64(0)
	for p := range r.All() {
		if p.Archive != next || next < archives && p.At != (firn.Range{End: 3*mib + 7}) {
			t.Fatalf("%+v, want archive %d", p, next)
		}
		next++
	}
	want := plan.Totals{
		Archives: archives + 1, Requests: archives + 1, Files: 11 * archives,
		Bytes: archives*5 + archives*10*900, Retrieve: archives*(3*mib+7) + 2862*mib,
	}
	want.Download = want.Retrieve
	if got := r.Totals(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func BenchmarkRanges(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		r := &plan.Ranges{}
		for n := range int64(1_000_000) {
			if err := r.Whole(n*7919%1_000_003, 3*mib, 3*mib); err != nil {
				b.Fatal(err)
			}
		}
		if r.Totals().Requests != 1_000_000 {
			b.Fatal("some are missing")
		}
	}
}
