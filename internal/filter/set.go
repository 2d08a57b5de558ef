package filter

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A set is a set of characters, as [a-z] has them.
type set struct {
	negate bool
	ranges []span
	named  []func(rune) bool
}

// A span is the characters from low to high, both in it.
type span struct{ low, high rune }

func (s *set) has(r rune) bool {
	for _, x := range s.ranges {
		if x.low <= r && r <= x.high {
			return !s.negate
		}
	}
	for _, in := range s.named {
		if in(r) {
			return !s.negate
		}
	}
	return s.negate
}

// errOpen is about a set without its end.
var errOpen = errors.New(`a [ is never closed; write \[ for the character itself`)

// parseSet reads a set at the beginning of p, and tells how many bytes it has.
// A ] that comes first stands for itself, as does a - that comes first or last.
func parseSet(p string) (*set, int, error) {
	s := &set{}
	at := 1
	if at < len(p) && (p[at] == '!' || p[at] == '^') {
		s.negate = true
		at++
	}
	for first := true; ; first = false {
		if at >= len(p) {
			return nil, 0, errOpen
		}
		if p[at] == ']' && !first {
			return s, at + 1, nil
		}
		if name, ok := className(p[at:]); ok {
			if err := s.addNamed(name); err != nil {
				return nil, 0, err
			}
			at += len("[:" + name + ":]")
			continue
		}
		low, n := character(p[at:])
		at += n
		high := low
		if rest := p[at:]; len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
			high, n = character(rest[1:])
			at += 1 + n
		}
		if low < 0 || high < 0 {
			return nil, 0, errOpen
		}
		s.ranges = append(s.ranges, span{low, high}) // of one turned round nothing is in it
	}
}

// character reads one character, which may have a backslash before it; -1
// where there is none.
func character(p string) (rune, int) {
	if p[0] != '\\' {
		return utf8.DecodeRuneInString(p)
	}
	if len(p) == 1 {
		return -1, 1
	}
	r, n := utf8.DecodeRuneInString(p[1:])
	return r, n + 1
}

// className reads the name of a class such as [:alpha:] at the beginning of p.
// As in git a [: whose next ] has no : before it is two characters of a set.
func className(p string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(p, "[:")
	if !ok {
		return "", false
	}
	name, _, closed := strings.Cut(rest, "]")
	if !closed {
		return "", false
	}
	return strings.CutSuffix(name, ":")
}

// addNamed adds a class. As in git the classes are those of ASCII.
func (s *set) addNamed(name string) error {
	in := namedClass(name)
	if in == nil {
		return fmt.Errorf("there is no class [:%s:]; there are alnum, alpha, blank, cntrl, digit, graph, lower, print, punct, space, upper, xdigit", name)
	}
	s.named = append(s.named, in)
	return nil
}

// namedClass gives the characters of a class; nil where there is none of that
// name.
func namedClass(name string) func(rune) bool {
	digit := func(r rune) bool { return '0' <= r && r <= '9' }
	upper := func(r rune) bool { return 'A' <= r && r <= 'Z' }
	lower := func(r rune) bool { return 'a' <= r && r <= 'z' }
	alnum := func(r rune) bool { return digit(r) || upper(r) || lower(r) }
	graph := func(r rune) bool { return '!' <= r && r <= '~' }
	switch name {
	case "alnum":
		return alnum
	case "alpha":
		return func(r rune) bool { return upper(r) || lower(r) }
	case "blank":
		return func(r rune) bool { return r == ' ' || r == '\t' }
	case "cntrl":
		return func(r rune) bool { return r < ' ' || r == 0x7f }
	case "digit":
		return digit
	case "graph":
		return graph
	case "lower":
		return lower
	case "print":
		return func(r rune) bool { return r == ' ' || graph(r) }
	case "punct":
		return func(r rune) bool { return graph(r) && !alnum(r) }
	case "space":
		return func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }
	case "upper":
		return upper
	case "xdigit":
		return func(r rune) bool { return digit(r) || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F' }
	}
	return nil
}
