package treehash_test

import (
	"crypto/sha256"
	"testing"

	"github.com/firn-archive/firn/treehash"
	"pgregory.net/rapid"
)

// TestSpansOfAnyPartsJoin: whatever number of leaves the parts have, together they
// give the tree hash of the whole, and each its own two hashes.
func TestSpansOfAnyPartsJoin(t *testing.T) {
	payload := mod256(11*mib + 77)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, len(payload)), rapid.Map(rapid.IntRange(0, 11), func(n int) int { return n * mib })).Draw(t, "size")
		part := rapid.IntRange(1, 7).Draw(t, "part") * mib
		var spans []treehash.Span
		for off := 0; off < size; off += part {
			bytes := payload[off:min(off+part, size)]
			d := treehash.NewDoubleAt(int64(off))
			d.Write(payload[:rapid.IntRange(0, 3*mib).Draw(t, "before")])
			d.Reset()
			for rest := bytes; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "write")
				d.Write(rest[:n])
				d.Span() // asking for it in between disturbs nothing
				rest = rest[n:]
			}
			own := treehash.Sums{Tree: reference(bytes), Linear: sha256.Sum256(bytes)}
			if got := d.Sums(); got != own {
				t.Fatalf("part at %d: %v, want %v", off, got, own)
			}
			if power := part&(part-1) == 0; power && rapid.Bool().Draw(t, "known") {
				spans = append(spans, treehash.NodeSpan(int64(off), int64(part), own.Tree))
				continue
			}
			spans = append(spans, d.Span())
		}
		if got, want := treehash.JoinSpans(spans), reference(payload[:size]); got != want {
			t.Fatalf("%d bytes in parts of %d MiB: %s, want %s", size, part/mib, got, want)
		}
	})
}

// TestSpanOfNothing is empty, and that of something isn't.
func TestSpanOfNothing(t *testing.T) {
	d := treehash.NewDoubleAt(5 * mib)
	if !d.Span().IsZero() {
		t.Error("there is something in it")
	}
	d.Write([]byte("x"))
	if d.Span().IsZero() {
		t.Error("there is nothing in it")
	}
}
