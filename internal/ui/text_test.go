package ui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"photos/a.jpg", "photos/a.jpg"},
		{"Grüße/日本\u3000語/😀", "Grüße/日本\u3000語/😀"},
		{"two\nlines\tand\rmore", `two\nlines\tand\rmore`},
		{"\x1b[2J\x1b]0;title\x07", `\x1b[2J\x1b]0;title\a`},
		{"\x00\x7f", `\x00\x7f`},
		{"c1 \u0085\u009b", `c1 \u0085\u009b`},
		{"exe\u202egpj.a", `exe\u202egpj.a`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"line\u2028para\u2029", `line\u2028para\u2029`},
		{"\U000e0041tag", `\U000e0041tag`},
		{"latin1 \xe9t\xe9", `latin1 \xe9t\xe9`},
		{"cut \xf0\x9f\x98", `cut \xf0\x9f\x98`},
		{"real \ufffd", "real \ufffd"},
		{`a\nb`, `a\nb`},
	}
	for _, tt := range tests {
		if got := Text(tt.in); got != tt.want {
			t.Errorf("Text(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"a/b", "\x1b[31m", "\u202e\u2066", "\xff\xfe", "e\u0301", "\u009b2J", "日本語", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Text(%q) = %q is no UTF-8", s, got)
		}
		for _, r := range got {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) {
				t.Fatalf("Text(%q) = %q holds %U", s, got, r)
			}
		}
		if again := Text(got); again != got {
			t.Fatalf("Text(%q) = %q, and again %q", s, got, again)
		}
	})
}

func TestTextLeavesPlainTextWhereItIs(t *testing.T) {
	name := strings.Repeat("photos/2024/holiday ", 10)
	if n := testing.AllocsPerRun(10, func() { Text(name) }); n != 0 {
		t.Errorf("%v allocations for a name that needs no change", n)
	}
}

func TestFit(t *testing.T) {
	tests := []struct {
		in    string
		width int
		want  string
	}{
		{"photos/a.jpg", 12, "photos/a.jpg"},
		{"photos/a.jpg", 11, "photo…a.jpg"},
		{"photos/a.jpg", 2, "p…"},
		{"photos/a.jpg", 1, "…"},
		{"photos/a.jpg", 0, ""},
		{"photos/a.jpg", -3, ""},
		{"日本語日本語", 7, "日… 語"},
	}
	for _, tt := range tests {
		if got := Fit(tt.in, tt.width); got != tt.want {
			t.Errorf("Fit(%q, %d) = %q, want %q", tt.in, tt.width, got, tt.want)
		}
	}
}

func TestFitNeverExceeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := Text(rapid.String().Draw(t, "text"))
		width := rapid.IntRange(-2, 60).Draw(t, "width")
		if got := runewidth.StringWidth(Fit(text, width)); got > max(width, 0) {
			t.Fatalf("Fit(%q, %d) has %d columns", text, width, got)
		}
	})
}
