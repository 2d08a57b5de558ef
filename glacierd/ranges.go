package glacierd

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A span is a range of bytes, first to last, both included.
type span struct{ first, last int64 }

func (s span) length() int64 { return s.last - s.first + 1 }

// String gives the span as it stands in RangeInBytes and RetrievalByteRange.
func (s span) String() string { return fmt.Sprintf("%d-%d", s.first, s.last) }

// parseSpan reads "first-last": digits only, first not above last.
func parseSpan(text string) (span, bool) {
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		return span{}, false
	}
	a, okA := parseOffset(first)
	b, okB := parseOffset(last)
	return span{a, b}, okA && okB && a <= b
}

// parseOffset reads a number of bytes: digits only, and not so large that one
// more would not be a number any more.
func parseOffset(text string) (int64, bool) {
	if text == "" || len(text) > 18 {
		return 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// parseContentRange reads the header of a part, "bytes first-last/*".
func parseContentRange(text string) (span, error) {
	rest, ok := strings.CutPrefix(text, "bytes ")
	if rest, found := strings.CutSuffix(rest, "/*"); ok && found {
		if s, ok := parseSpan(strings.TrimSpace(rest)); ok {
			return s, nil
		}
	}
	return span{}, invalid("Invalid Content-Range: %s", text)
}

// parseRange reads a Range header for something of size bytes: one range, which
// may run over the end or be counted from there. An empty text is no range.
// The service's documents only have "bytes=first-last".
func parseRange(text string, size int64) (s span, given bool, err error) {
	whole := span{0, size - 1}
	if text == "" {
		return whole, false, nil
	}
	bad := invalid("Invalid Range: %s for an output of %d bytes", text, size)
	spec, ok := strings.CutPrefix(text, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return span{}, false, bad
	}
	switch {
	case first == "": // the last so many bytes
		n, ok := parseOffset(last)
		if !ok || n == 0 {
			return span{}, false, bad
		}
		s = span{max(0, size-n), size - 1}
	case last == "":
		n, ok := parseOffset(first)
		if !ok {
			return span{}, false, bad
		}
		s = span{n, size - 1}
	default:
		if s, ok = parseSpan(spec); !ok {
			return span{}, false, bad
		}
		s.last = min(s.last, size-1)
	}
	if s.first >= size {
		return span{}, false, bad
	}
	return s, true, nil
}

// errWindow says that a window is full.
var errWindow = errors.New("all that was asked for is written")

// A window lets through left bytes after the first skip.
type window struct {
	to         io.Writer
	skip, left int64
}

func (w *window) Write(p []byte) (int, error) {
	n := len(p)
	k := min(w.skip, int64(n))
	w.skip -= k
	p = p[k:min(int64(n), k+w.left)]
	if len(p) > 0 {
		if _, err := w.to.Write(p); err != nil {
			return 0, err
		}
		w.left -= int64(len(p))
	}
	if w.left == 0 {
		return n, errWindow
	}
	return n, nil
}
