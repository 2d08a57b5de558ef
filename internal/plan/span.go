package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Span is a length of time by the calendar: a month has as many days as it has.
type Span struct{ Years, Months, Days, Hours int }

// maxSpan is the most of each unit: more than there are archives.
const maxSpan = 10_000

// ParseSpan reads a length of time: 90d, 12h, 2w, 6m (months), 1y, or several of
// these together, as in 1y6m.
func ParseSpan(s string) (Span, error) {
	var span Span
	bad := fmt.Errorf("%q is no length of time: write for example 90d, 12h, 2w, 6m (months), 1y, or 1y6m", s)
	if s == "" {
		return span, bad
	}
	for rest := s; rest != ""; {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil || n > maxSpan || len(digits) == len(rest) {
			return Span{}, bad
		}
		switch rest[len(digits)] {
		case 'h':
			span.Hours += n
		case 'd':
			span.Days += n
		case 'w':
			span.Days += 7 * n
		case 'm':
			span.Months += n
		case 'y':
			span.Years += n
		default:
			return Span{}, bad
		}
		rest = rest[len(digits)+1:]
	}
	return span, nil
}

// String is the span as ParseSpan reads it.
func (s Span) String() string {
	text := ""
	for _, part := range []struct {
		n    int
		unit string
	}{{s.Years, "y"}, {s.Months, "m"}, {s.Days, "d"}, {s.Hours, "h"}} {
		if part.n != 0 {
			text += strconv.Itoa(part.n) + part.unit
		}
	}
	if text == "" {
		return "0d"
	}
	return text
}

// Before is the moment so long before t, in the zone of t: a month before March
// 31 is the last day of February, not a day of March.
func (s Span) Before(t time.Time) time.Time {
	year, month, day := t.Date()
	first := time.Date(year-s.Years, month-time.Month(s.Months), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	hour, minute, second := t.Clock()
	then := time.Date(first.Year(), first.Month(), min(day, last)-s.Days, hour, minute, second, t.Nanosecond(), t.Location())
	return then.Add(-time.Duration(s.Hours) * time.Hour)
}
