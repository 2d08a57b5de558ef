package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// byteUnits are those of numbers of bytes: powers of 1,024.
var byteUnits = map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

// ParseBytes reads a number of bytes as users write it: 500K, 2M, 1.5G, with or
// without iB. Units are powers of 1,024.
func ParseBytes(s string) (int64, error) {
	text := strings.ToUpper(strings.TrimSpace(s))
	text = strings.TrimSuffix(strings.TrimSuffix(text, "B"), "I")
	number := strings.TrimRight(text, "KMGT")
	unit, ok := byteUnits[text[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(n >= 0 && n*unit <= 1<<62) {
		return 0, fmt.Errorf("%q is no number of bytes; write for example 500K or 2M", s)
	}
	return int64(n * unit), nil
}

// The minutes of a day, and of a week, which begins on Sunday at midnight.
const (
	dayMinutes  = 24 * 60
	weekMinutes = 7 * dayMinutes
)

// A Timetable is a rate in bytes a second that may change with the time of day
// and the day of the week, in the local time of the times it is asked about.
// Its zero value is no limit at any time.
type Timetable struct {
	text    string
	changes []change // in order of their minutes, each once; empty: no limit
}

// A change is what the rate is from a minute of the week on.
type change struct {
	minute int
	rate   int64 // bytes a second; 0: no limit
}

// Steady gives a timetable with one rate in bytes a second; 0 or less is no
// limit.
func Steady(rate int64) Timetable {
	if rate <= 0 {
		return Timetable{}
	}
	return Timetable{text: strconv.FormatInt(rate, 10), changes: []change{{0, rate}}}
}

// ParseTimetable reads one rate, such as 500K, or a timetable such as
// "08:00,500K 23:00,off", whose entries are parted by blanks or semicolons. Each
// says from when on which rate holds, on all days or on one:
// "Mon-08:00,500K Sat-00:00,off". "off" is no limit. The syntax is that of
// rclone's --bwlimit, but for bare numbers, which are bytes here.
func ParseTimetable(s string) (Timetable, error) {
	entries := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == ';' })
	switch {
	case len(entries) == 0:
		return Timetable{}, fmt.Errorf("%q is no rate; write for example 500K, off, or a timetable as in 08:00,500K 23:00,off", s)
	case len(entries) == 1 && !strings.Contains(s, ","):
		rate, err := parseRate(entries[0])
		t := Steady(rate)
		t.text = entries[0]
		return t, err
	}
	var changes []change
	for _, entry := range entries {
		more, err := parseEntry(entry)
		if err != nil {
			return Timetable{}, err
		}
		changes = append(changes, more...)
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.minute, b.minute) })
	for i := 1; i < len(changes); i++ {
		if changes[i].minute == changes[i-1].minute {
			return Timetable{}, fmt.Errorf("the timetable %q has two rates for one time", s)
		}
	}
	return Timetable{text: strings.Join(entries, " "), changes: changes}, nil
}

// parseEntry reads "08:00,500K" or "Mon-08:00,500K".
func parseEntry(entry string) ([]change, error) {
	when, text, ok := strings.Cut(entry, ",")
	if !ok {
		return nil, fmt.Errorf("%q is no entry of a timetable; write for example 08:00,500K", entry)
	}
	rate, err := parseRate(text)
	if err != nil {
		return nil, err
	}
	days := []int{0, 1, 2, 3, 4, 5, 6}
	if name, clock, ok := strings.Cut(when, "-"); ok {
		day, err := parseDay(name)
		if err != nil {
			return nil, err
		}
		days, when = []int{day}, clock
	}
	t, err := time.Parse("15:04", when)
	if err != nil {
		return nil, fmt.Errorf("%q is no time of day; write for example 08:00", when)
	}
	changes := make([]change, len(days))
	for i, day := range days {
		changes[i] = change{day*dayMinutes + t.Hour()*60 + t.Minute(), rate}
	}
	return changes, nil
}

func parseRate(s string) (int64, error) {
	if strings.EqualFold(s, "off") {
		return 0, nil
	}
	n, err := ParseBytes(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no rate; write a number of bytes a second such as 500K or 2M, or off", s)
	}
	return n, nil
}

// parseDay reads a day of the week by its English name or the first three
// letters of it.
func parseDay(s string) (int, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		name := day.String()
		if strings.EqualFold(s, name) || strings.EqualFold(s, name[:3]) {
			return int(day), nil
		}
	}
	return 0, fmt.Errorf("%q is no day of the week; write for example Mon-08:00", s)
}

// At gives the rate in bytes a second at a time, 0 for no limit, and until when
// it holds; zero for always.
func (t Timetable) At(now time.Time) (rate int64, until time.Time) {
	switch len(t.changes) {
	case 0:
		return 0, time.Time{}
	case 1:
		return t.changes[0].rate, time.Time{}
	}
	minute := int(now.Weekday())*dayMinutes + now.Hour()*60 + now.Minute()
	next, found := slices.BinarySearchFunc(t.changes, minute, func(c change, m int) int { return cmp.Compare(c.minute, m) })
	if found {
		next++
	}
	last := (next + len(t.changes) - 1) % len(t.changes) // before the first one, the last of the week before
	ahead := 0
	if next == len(t.changes) {
		next, ahead = 0, weekMinutes
	}
	return t.changes[last].rate, after(now, t.changes[next].minute+ahead)
}

// after gives the moment at which the clocks show a minute of now's week, or of
// the next. Where they are put forward or back it may be off; then the next
// question corrects it, a minute later at most.
func after(now time.Time, minute int) time.Time {
	days := minute/dayMinutes - int(now.Weekday())
	t := time.Date(now.Year(), now.Month(), now.Day()+days, 0, minute%dayMinutes, 0, 0, now.Location())
	if !t.After(now) {
		return now.Add(time.Minute)
	}
	return t
}

// Slowest gives the smallest of all rates in bytes a second; 0 where there is
// never a limit.
func (t Timetable) Slowest() int64 {
	slowest := int64(math.MaxInt64)
	for _, c := range t.changes {
		if c.rate > 0 {
			slowest = min(slowest, c.rate)
		}
	}
	if slowest == math.MaxInt64 {
		return 0
	}
	return slowest
}

// String gives the timetable as it was written; empty where it is no limit.
func (t Timetable) String() string {
	if len(t.changes) == 0 {
		return ""
	}
	return t.text
}

// A Rate is a timetable that may be replaced while it is followed. It is safe
// for concurrent use; its zero value is no limit.
type Rate struct{ now atomic.Pointer[Timetable] }

// Set replaces the timetable.
func (r *Rate) Set(t Timetable) { r.now.Store(&t) }

// Get gives the timetable.
func (r *Rate) Get() Timetable {
	if t := r.now.Load(); t != nil {
		return *t
	}
	return Timetable{}
}

// At is the timetable's.
func (r *Rate) At(now time.Time) (rate int64, until time.Time) { return r.Get().At(now) }
