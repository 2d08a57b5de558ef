package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSpans(t *testing.T) {
	at := time.Date(2026, 3, 31, 12, 0, 0, 5, time.UTC)
	for text, want := range map[string]string{
		"90d": "2025-12-31 12:00", "2w": "2026-03-17 12:00", "12h": "2026-03-31 00:00", "1m": "2026-02-28 12:00",
		"13m": "2025-02-28 12:00", "1y": "2025-03-31 12:00", "1y1m1d1h": "2025-02-27 11:00", "0d": "2026-03-31 12:00", "1m1m": "2026-01-31 12:00",
	} {
		s, err := ParseSpan(text)
		if got := s.Before(at); err != nil || got.Format("2006-01-02 15:04") != want || got.Nanosecond() != 5 {
			t.Errorf("%s before: %v, %v; want %s", text, got, err, want)
		}
		if again, err := ParseSpan(s.String()); err != nil || again != s {
			t.Errorf("%s is written as %s", text, s)
		}
	}
	leap := time.Date(2028, 2, 29, 1, 0, 0, 0, time.UTC)
	if got := (Span{Years: 1}).Before(leap); got.Format(time.DateOnly) != "2027-02-28" {
		t.Errorf("a year before February 29: %v", got)
	}
	for _, bad := range []string{"", "d", "90", "-1d", "1.5d", "1d ", "90s", "10001d", "99999999999999999999d", "1d2", "\u0661d"} {
		if s, err := ParseSpan(bad); err == nil || !strings.Contains(err.Error(), "90d") {
			t.Errorf("%q is read as %v, %v", bad, s, err)
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	for _, seed := range []string{"90d", "1y6m2w3d4h", "0h", "d", "1"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpan(text)
		if err != nil {
			return
		}
		if again, err := ParseSpan(s.String()); s.Hours <= maxSpan && s.Days <= maxSpan && s.Months <= maxSpan && s.Years <= maxSpan && (err != nil || again != s) {
			t.Errorf("%q is %v, and again %v, %v", text, s, again, err)
		}
		if s.Before(now).After(now) {
			t.Errorf("%q before is after", text)
		}
	})
}

// noon is that of a day of 2026.
func noon(month time.Month, d int) time.Time { return time.Date(2026, month, d, 12, 0, 0, 0, time.UTC) }

// lives makes versions of the moments at which each began; the last one ends at
// the end, if that isn't zero.
func lives(end time.Time, from ...time.Time) (path []Life) {
	for i, t := range from {
		l := Life{From: t, Until: end}
		if i+1 < len(from) {
			l.Until = from[i+1]
		}
		path = append(path, l)
	}
	return path
}

// TestKeep tells each rule on its own, with the names of what stays.
func TestKeep(t *testing.T) {
	span := func(s string) *Span {
		parsed, err := ParseSpan(s)
		if err != nil {
			t.Fatal(err)
		}
		return &parsed
	}
	now := noon(11, 22) // a Sunday
	// a May 1, b Oct 31, c Nov 1, d Nov 20, e Nov 22 an hour ago, at present
	there := lives(time.Time{}, noon(5, 1), noon(10, 31), noon(11, 1), noon(11, 20), now.Add(-time.Hour))
	// a and b gone on Oct 31
	gone := lives(noon(10, 31), noon(5, 1), noon(9, 1))
	for _, tt := range []struct {
		name        string
		keep        Keep
		there, gone string
	}{
		{"no rule", Keep{}, "abcde", "ab"},
		{"last 1", Keep{Last: 1}, "e", "b"},
		{"last 3", Keep{Last: 3}, "cde", "ab"},
		{"daily 1: the end of the 21st", Keep{Daily: 1}, "de", "b"},
		{"daily 3: the ends of the 21st, 20th and 19th", Keep{Daily: 3}, "cde", "b"},
		{"weekly 1: the end of Sunday, the 15th", Keep{Weekly: 1}, "ce", "b"},
		{"monthly 1: the end of October", Keep{Monthly: 1}, "be", "b"},
		{"monthly 2: and of September", Keep{Monthly: 2}, "abe", "b"},
		{"monthly 4: and of August, July", Keep{Monthly: 4}, "abe", "ab"},
		{"yearly 1: before all", Keep{Yearly: 1}, "e", "b"},
		{"within 2d: from noon of the 20th", Keep{Within: span("2d")}, "de", "b"},
		{"within 2d1h: an hour more, when c was there", Keep{Within: span("2d1h")}, "cde", "b"},
		{"older than 2d", Keep{OlderThan: span("2d")}, "de", "b"},
		{"older than 30d", Keep{OlderThan: span("30d")}, "abcde", "b"},
		{"removed 20d ago", Keep{RemovedOlderThan: span("20d")}, "abcde", ""},
		{"removed 30d ago", Keep{RemovedOlderThan: span("30d")}, "abcde", "ab"},
		{"last doesn't hold what is gone", Keep{Last: 3, RemovedOlderThan: span("20d")}, "cde", ""},
		{"but not before its time", Keep{Last: 1, RemovedOlderThan: span("30d")}, "e", "b"},
		{"a period does", Keep{Monthly: 3, RemovedOlderThan: span("20d")}, "abe", "ab"},
		{"they add up", Keep{Last: 2, Monthly: 2, Within: span("2d1h")}, "abcde", "ab"},
	} {
		rules := tt.keep.At(now)
		for _, path := range []struct {
			what  string
			lives []Life
			want  string
		}{{"there", there, tt.there}, {"gone", gone, tt.gone}} {
			if got := kept(rules, path.lives); got != path.want {
				t.Errorf("%s: of what is %s stays %q, want %q", tt.name, path.what, got, path.want)
			}
		}
	}
}

// kept names what stays: a is the oldest.
func kept(rules *Keeper, path []Life) (names string) {
	for i, keep := range rules.Keeps(path, nil) {
		if keep {
			names += string(rune('a' + i))
		}
	}
	return names
}

// TestLostVersionsCountForNothing: what can't be brought back takes no place of
// what can.
func TestLostVersionsCountForNothing(t *testing.T) {
	now := noon(11, 22)
	path := lives(time.Time{}, noon(1, 1), noon(2, 1), noon(3, 1), noon(4, 1))
	path[2].Lost = true
	if got := kept(Keep{Last: 2}.At(now), path); got != "bd" {
		t.Errorf("of a path with a lost version stays %q", got)
	}
	path[3].Lost = true
	if got := kept(Keep{Last: 1}.At(now), path); got != "abcd" {
		t.Errorf("where the current one is lost stays %q", got)
	}
	path[3].Until = noon(5, 1)
	if got := kept(Keep{Yearly: 1}.At(now), path); got != "b" {
		t.Errorf("of a path that is gone with its newest lost stays %q", got)
	}
}

// TestKeepModel compares the rules with what they promise, told naively: what
// was there at each moment that is kept is there still.
func TestKeepModel(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(1_700_000_000, 1_800_000_000).Draw(t, "now"), 0).In(zone)
		path := drawPath(t, now)
		keep := drawKeep(t)
		got := keep.At(now).Keeps(path, nil)
		for i := range path {
			if want := naive(keep, now, path, i); got[i] != want {
				t.Fatalf("%s at %v: version %d of %v stays: %t, want %t", describeKeep(keep), now, i, path, got[i], want)
			}
		}
	})
}

// drawPath draws the versions of a path in the last three years.
func drawPath(t *rapid.T, now time.Time) []Life {
	hours := rapid.SliceOfNDistinct(rapid.IntRange(1, 3*365*24), 1, 12, rapid.ID).Draw(t, "hours")
	slices.Sort(hours)
	slices.Reverse(hours)
	var from []time.Time
	for _, h := range hours {
		from = append(from, now.Add(-time.Duration(h)*time.Hour))
	}
	end := time.Time{}
	if rapid.Bool().Draw(t, "gone") && len(from) > 1 {
		end, from = from[len(from)-1], from[:len(from)-1]
	}
	path := lives(end, from...)
	for i := range path {
		path[i].Lost = rapid.IntRange(0, 9).Draw(t, "lost") == 0
	}
	return path
}

func drawKeep(t *rapid.T) (k Keep) {
	some := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5, 14})
	k.Last, k.Daily, k.Weekly, k.Monthly, k.Yearly = some.Draw(t, "last"), some.Draw(t, "daily"), some.Draw(t, "weekly"), some.Draw(t, "monthly"), some.Draw(t, "yearly")
	for _, to := range []**Span{&k.Within, &k.OlderThan, &k.RemovedOlderThan} {
		if rapid.IntRange(0, 2).Draw(t, "span") == 0 {
			*to = &Span{Months: rapid.IntRange(0, 20).Draw(t, "months"), Days: rapid.IntRange(0, 40).Draw(t, "days")}
		}
	}
	return k
}

// naive says whether a version stays, from the words of the documentation.
func naive(k Keep, now time.Time, path []Life, i int) bool {
	there := func(l Life, at time.Time) bool { return !l.From.After(at) && (l.Until.IsZero() || l.Until.After(at)) }
	v, last := path[i], path[len(path)-1]
	gone := !last.Until.IsZero()
	longGone := gone && k.RemovedOlderThan != nil && !last.Until.After(k.RemovedOlderThan.Before(now))
	if v.Until.IsZero() || !gone && last.Lost {
		return true
	}
	if !longGone && k.Last == 0 && k.Daily == 0 && k.Weekly == 0 && k.Monthly == 0 && k.Yearly == 0 && k.Within == nil && k.OlderThan == nil {
		return true
	}
	newer := 0
	for _, l := range path[i+1:] {
		if !l.Lost {
			newer++
		}
	}
	if !longGone && !v.Lost && (newer < k.Last || gone && newer == 0) {
		return true
	}
	for _, s := range []*Span{k.Within, k.OlderThan} {
		if s != nil && v.Until.After(s.Before(now)) {
			return true
		}
	}
	// Walk back day by day, and look at the last instant of each.
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	left := []int{k.Daily, k.Weekly, k.Monthly, k.Yearly}
	for d := 0; d < 15*366 && slices.Max(left) > 0; d++ {
		next := midnight.AddDate(0, 0, -d)
		ends := []bool{true, next.Weekday() == time.Monday, next.Day() == 1, next.YearDay() == 1}
		for n, isEnd := range ends {
			if !isEnd || left[n] == 0 {
				continue
			}
			left[n]--
			if there(v, next.Add(-1)) {
				return true
			}
		}
	}
	return false
}

func describeKeep(k Keep) string {
	text := fmt.Sprintf("last %d daily %d weekly %d monthly %d yearly %d", k.Last, k.Daily, k.Weekly, k.Monthly, k.Yearly)
	for name, s := range map[string]*Span{"within": k.Within, "older": k.OlderThan, "removed": k.RemovedOlderThan} {
		if s != nil {
			text += " " + name + " " + s.String()
		}
	}
	return text
}
