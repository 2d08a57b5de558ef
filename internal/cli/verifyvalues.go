package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A partOf is which of so many parts is meant. It is a pflag.Value.
type partOf struct{ part, of int }

// maxParts is more nights than anybody waits.
const maxParts = 10_000

// Set reads a part, such as 3/30.
func (p *partOf) Set(s string) error {
	part, of, ok := strings.Cut(s, "/")
	i, err := strconv.Atoi(part)
	n, err2 := strconv.Atoi(of)
	if !ok || err != nil || err2 != nil || i < 1 || n < i || n > maxParts {
		return fmt.Errorf("%q is no part: write for example 3/30 for the third of thirty, at most %d", s, maxParts)
	}
	*p = partOf{i, n}
	return nil
}

// String gives the part; nothing for all.
func (p *partOf) String() string {
	if p.of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", p.part, p.of)
}

// Type names the value in help.
func (p *partOf) Type() string { return "part" }

// A timeSpan is a duration above zero, in days, weeks and years too; 0 where it
// was not set. It is a pflag.Value.
type timeSpan struct {
	time.Duration
	text string // as it was given
}

// Set reads a duration.
func (t *timeSpan) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil && s != "" {
		units := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour}
		var n uint64
		n, err = strconv.ParseUint(s[:len(s)-1], 10, 16)
		if unit := units[s[len(s)-1]]; err == nil && int64(n) <= int64(100*365*24*time.Hour)/max(1, int64(unit)) {
			d = time.Duration(n) * unit
		}
	}
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no duration; write for example 90m, 2h, 30d or 1y", s)
	}
	t.Duration, t.text = d, s
	return nil
}

// String gives what was set.
func (t *timeSpan) String() string { return t.text }

// Type names the value in help.
func (t *timeSpan) Type() string { return "duration" }
