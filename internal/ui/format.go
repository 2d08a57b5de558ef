package ui

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Bytes writes a size in binary units with three digits: "0 B", "1.50 KiB",
// "64.0 MiB".
func Bytes(n int64) string {
	if n < 0 {
		return "-" + Bytes(-max(n, -math.MaxInt64)) // the least number has no opposite
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n), 0
	for units := "KMGTPE"; f >= 1023.5 && unit < len(units); unit++ {
		f /= 1024
	}
	digits := 2
	if f >= 9.995 {
		digits = 1
	}
	if f >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " " + "KMGTPE"[unit-1:unit] + "iB"
}

// Count writes a number with separators: "1,234,567".
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Files writes a number of files: "1 file", "1,200 files".
func Files(n int64) string {
	if n == 1 {
		return "1 file"
	}
	return Count(n) + " files"
}

// things writes a number of files, or of archives.
func things(n int64, archives bool) string {
	switch {
	case !archives:
		return Files(n)
	case n == 1:
		return "1 archive"
	}
	return Count(n) + " archives"
}

// Duration writes a span of time in its two largest units: "0.4 s", "12 s",
// "3 min 5 s", "4 h 2 min", "2 days 3 h".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-max(d, -math.MaxInt64))
	}
	if d < 9950*time.Millisecond {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return two(s/60, "min", s%60, "s")
	case s < 86400:
		return two(s/3600, "h", s%3600/60, "min")
	}
	unit := "days"
	if s < 2*86400 {
		unit = "day"
	}
	return two(s/86400, unit, s%86400/3600, "h")
}

func two(n int64, unit string, m int64, small string) string {
	if m == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, m, small)
}

// Rate writes a speed in bytes per second: "2.50 MiB/s". An empty string where
// no time has passed.
func Rate(bytes int64, d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return Bytes(int64(float64(bytes)/d.Seconds())) + "/s"
}

// Time writes a moment in UTC, to the second, as RFC 3339 has it; the zero time
// is "-".
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
