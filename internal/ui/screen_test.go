package ui

import (
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// A screen is a terminal: it understands what a live display sends, refuses to
// understand anything else, and knows what can be seen. Lines that don't fit
// wrap, as they do on a terminal.
type screen struct {
	mu      sync.Mutex
	width   int
	lines   [][]rune
	row     int
	frames  int      // how often the cursor was moved up
	pending string   // what only begins a sequence
	strays  []string // what should not have been sent
}

func newScreen(width int) *screen { return &screen{width: width, lines: [][]rune{nil}} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.pending + string(p)
	for rest != "" && !begun(rest) {
		switch {
		case strings.HasPrefix(rest, "\x1b["):
			rest = s.escape(rest)
		case strings.HasPrefix(rest, "\r\n"):
			rest = rest[1:] // a real terminal makes two of one
		case rest[0] == '\n':
			s.newline()
			rest = rest[1:]
		case rest[0] < ' ':
			s.strays = append(s.strays, rest[:1])
			rest = rest[1:]
		default:
			r, n := utf8.DecodeRuneInString(rest)
			s.put(r)
			rest = rest[n:]
		}
	}
	s.pending = rest
	return len(p), nil
}

// begun reports whether text is the beginning of something of which the rest is
// still to come.
func begun(text string) bool {
	if strings.HasPrefix(text, "\x1b") {
		return strings.IndexFunc(text[1:], func(r rune) bool { return r >= '@' && r != '[' }) < 0
	}
	return text == "\r" || !utf8.FullRuneInString(text)
}

// escape obeys "n lines up" and "erase to the end", the two that mpb sends.
func (s *screen) escape(text string) string {
	end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' }) + 2
	n, _ := strconv.Atoi(text[2:end])
	switch text[end] {
	case 'A':
		s.row = max(0, s.row-n)
		s.frames++
	case 'J':
		s.lines = s.lines[:s.row]
		s.lines = append(s.lines, nil)
	default:
		s.strays = append(s.strays, text[:end+1])
	}
	return text[end+1:]
}

func (s *screen) newline() {
	s.row++
	if s.row == len(s.lines) {
		s.lines = append(s.lines, nil)
	}
}

func (s *screen) put(r rune) {
	if len(s.lines[s.row]) == s.width {
		s.newline()
	}
	s.lines[s.row] = append(s.lines[s.row], r)
}

// text is what can be seen, without the empty line that the cursor is in.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.lines {
		b.WriteString(string(line) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
