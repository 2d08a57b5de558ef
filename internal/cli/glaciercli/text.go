package glaciercli

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firn-archive/firn/internal/ui"
)

// repr writes text as Python 3 shows it in quotes. Bytes that are no UTF-8 are what
// Python makes of them in arguments: lone surrogates.
func repr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\udc%02x`, s[0])
		case r == rune(quote), r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[n:]
	}
	b.WriteByte(quote)
	return b.String()
}

// say writes a text to w, with a prefix before each line. Control characters, which
// may come from names and from the service, are not let through.
func say(w io.Writer, prefix, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(w, "%s%s\n", prefix, ui.Text(line))
	}
}

// described is what a name is sent as: glacier-cli's library escapes all but
// printable ASCII, as in a URL. Source: boto 2.49, boto/connection.py.
func described(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// isDescribed reports whether a description is what a name is sent as. The service
// drops blanks at the ends.
func isDescribed(description, name string) bool {
	return description == name || description == described(name) || description == strings.TrimSpace(described(name))
}

// nameOf gives the name that was sent as a description, as far as that can be told:
// a % may be one that was there before.
func nameOf(description string) string {
	name, err := url.PathUnescape(description)
	if err != nil || !utf8.ValidString(name) || described(name) != description {
		return description
	}
	return name
}
