package cli

import (
	"strings"
	"testing"
	"time"
)

// momentNow is when the tests of moments are read: in summer, two hours east.
var momentNow = time.Date(2026, 7, 15, 10, 20, 30, 400, time.FixedZone("", 2*60*60))

func TestParseMoment(t *testing.T) {
	for in, want := range map[string]string{
		"2026-07-14":                     "2026-07-14T23:59:59.999999999+02:00",
		"2024-02-29":                     "2024-02-29T23:59:59.999999999+02:00",
		"2026-07-14 09:05":               "2026-07-14T09:05:59.999999999+02:00",
		"2026-07-14T09:05":               "2026-07-14T09:05:59.999999999+02:00",
		"2026-07-14 09:05:06":            "2026-07-14T09:05:06.999999999+02:00",
		"2026-07-14T09:05:06":            "2026-07-14T09:05:06.999999999+02:00",
		"2026-07-14T09:05:06Z":           "2026-07-14T09:05:06.999999999Z",
		"2026-07-14T09:05:06-07:00":      "2026-07-14T09:05:06.999999999-07:00",
		"2026-07-14T09:05:06.000Z":       "2026-07-14T09:05:06Z",
		"2026-07-14T09:05:06.123456789Z": "2026-07-14T09:05:06.123456789Z",
		"2026-07-14 09:05:06.5":          "2026-07-14T09:05:06.5+02:00",
		"12h":                            "2026-07-14T22:20:30.999999999+02:00",
		"0d":                             "2026-07-15T10:20:30.999999999+02:00",
		"3d":                             "2026-07-12T10:20:30.999999999+02:00",
		"2w":                             "2026-07-01T10:20:30.999999999+02:00",
		"1y":                             "2025-07-15T10:20:30.999999999+02:00",
	} {
		m, err := parseMoment(in, momentNow)
		if got := m.time.Format(time.RFC3339Nano); err != nil || got != want || m.run != 0 || m.isNow() {
			t.Errorf("%q: %s, %v, want %s", in, got, err, want)
		}
	}
	if m, err := parseMoment("run:17", momentNow); err != nil || m.run != 17 || !m.time.IsZero() || m.isNow() {
		t.Errorf("run:17: %+v, %v", m, err)
	}
}

func TestParseMomentRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "yesterday", "2026", "2026-13-01", "2026-02-30", "21.11.2026", "2026-07-14 25:00", "09:05",
		"3", "d", "-3d", "+3d", "3.5d", "3m", "3 d", "3days", "99999d", "9999y", "2026-07-14T09:05:06+99",
	} {
		m, err := parseMoment(in, momentNow)
		if err == nil || !strings.Contains(err.Error(), "is no time; write for example") {
			t.Errorf("%q: %+v, %v", in, m, err)
		}
	}
	for _, in := range []string{"run:", "run:0", "run:-1", "run:+1", "run:x", "run:9223372036854775808", "run: 1"} {
		if m, err := parseMoment(in, momentNow); err == nil || !strings.Contains(err.Error(), "is no run") {
			t.Errorf("%q: %+v, %v", in, m, err)
		}
	}
}

// TestDaysAreCalendarDays: a day may have 23 hours, or 25.
func TestDaysAreCalendarDays(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	now := time.Date(2026, 3, 30, 12, 0, 0, 0, zone) // clocks went forward on 29 March
	for in, want := range map[string]string{
		"2d":         "2026-03-28T12:00:00+01:00",
		"48h":        "2026-03-28T11:00:00+01:00",
		"2026-03-29": "2026-03-29T23:59:59+02:00",
		"2026-03-28": "2026-03-28T23:59:59+01:00",
	} {
		if m, err := parseMoment(in, now); err != nil || m.time.Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v, want %s", in, m.time, err, want)
		}
	}
}

// FuzzParseMoment: whatever is read is a run or a time, and what is said of it
// to the user means the same.
func FuzzParseMoment(f *testing.F) {
	for _, seed := range []string{"2026-07-14", "2026-07-14 09:05", "2026-07-14T09:05:06.5-07:00", "3d", "65535y", "run:17", "", "0000-01-01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMoment(s, momentNow)
		if err != nil {
			return
		}
		if m.isNow() || (m.run > 0) == !m.time.IsZero() {
			t.Fatalf("%q: %+v", s, m)
		}
		if m.run > 0 {
			return
		}
		exact, err := parseMoment(m.time.Format("2006-01-02T15:04:05.000000000Z07:00"), momentNow)
		if err != nil || !exact.time.Equal(m.time) {
			t.Errorf("%q is %v, and read again %v, %v", s, m.time, exact.time, err)
		}
	})
}
