package ui

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Text makes a string harmless to print: control characters, invisible and
// direction-changing ones are written as Go writes them in a string (\n, \x1b,
// \u202e), bytes that are no UTF-8 as \xNN. All else, backslashes too, is left
// as it is: the result is for eyes, and exact only where nothing was escaped.
// JSON has the exact bytes.
func Text(s string) string {
	clean := 0
	for clean < len(s) && s[clean] >= ' ' && s[clean] < 0x7f {
		clean++
	}
	if clean == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:clean])
	for rest := s[clean:]; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		writeRune(&b, r, rest[:n])
		rest = rest[n:]
	}
	return b.String()
}

// writeRune writes the character r, whose bytes are raw.
func writeRune(b *strings.Builder, r rune, raw string) {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		fmt.Fprintf(b, `\x%02x`, raw[0])
	case strconv.IsGraphic(r):
		b.WriteString(raw)
	default:
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
}

// ellipsis stands for what was cut out. East Asian terminals show it two
// columns wide.
const ellipsis = "…"

// Fit gives text of at most width columns, with … in the middle where some was
// cut: the start and the end of a path say most. The text must be harmless.
func Fit(text string, width int) string {
	all := runewidth.StringWidth(text)
	if all <= width {
		return text
	}
	room := width - runewidth.StringWidth(ellipsis)
	if room < 0 {
		return ""
	}
	end := runewidth.TruncateLeft(text, all-room/2, "")
	return runewidth.Truncate(text, room-runewidth.StringWidth(end), "") + ellipsis + end
}
