package scan

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNamesAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l names
		var want []string
		for range rapid.IntRange(0, 50).Draw(t, "names") {
			n := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(0, maxName)).Draw(t, "length")
			name := strings.Repeat(rapid.SampledFrom([]string{"a", "b", "\xff"}).Draw(t, "letter"), n)
			l.add(name)
			want = append(want, name)
		}
		l.sort()
		slices.Sort(want)
		if l.len() != len(want) {
			t.Fatalf("%d names, want %d", l.len(), len(want))
		}
		for i, name := range want {
			if string(l.get(i)) != name {
				t.Errorf("name %d has %d bytes, want %d, or another letter", i, len(l.get(i)), len(name))
			}
		}
	})
}
