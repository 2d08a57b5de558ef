package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/config"
)

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "1": 1, "500K": 500 << 10, "2M": 2 << 20, "2MiB": 2 << 20, "2mb": 2 << 20, "1.5G": 3 << 29, " 1T ": 1 << 40,
	} {
		if got, err := config.ParseBytes(in); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "K", "x", "-1", "1P", "NaN", "inf", "1e30", "9999999999T"} {
		if got, err := config.ParseBytes(in); err == nil {
			t.Errorf("%q: %d", in, got)
		}
	}
}

// berlin has summer time: in 2026 from March 29 to October 25.
func berlin(t *testing.T) *time.Location {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("this machine knows no time zones: %v", err)
	}
	return loc
}

func TestTimetableAt(t *testing.T) {
	const office = "08:00,500K 23:00,off"
	const week = "Mon-08:00,1K; Friday-18:30,off;sun-00:00,2K"
	for _, c := range []struct{ table, now, until string }{
		{"off", "2026-11-23 12:00", ""},
		{"500K", "2026-11-23 12:00", ""},
		{"08:00,500K", "2026-11-23 12:00", "2026-11-24 08:00"},
		{office, "2026-11-23 07:59", "2026-11-23 08:00"}, // a Monday
		{office, "2026-11-23 08:00", "2026-11-23 23:00"},
		{office, "2026-11-23 22:59", "2026-11-23 23:00"},
		{office, "2026-11-23 23:00", "2026-11-24 08:00"},
		{office, "2026-11-28 23:30", "2026-11-29 08:00"}, // Saturday: the week ends
		{office, "2026-12-31 23:30", "2027-01-01 08:00"},
		{week, "2026-11-22 00:00", "2026-11-23 08:00"}, // Sunday
		{week, "2026-11-23 08:00", "2026-11-27 18:30"},
		{week, "2026-11-27 18:30", "2026-11-29 00:00"},
		{"Mon-08:00,1K Fri-18:30,off", "2026-11-22 12:00", "2026-11-23 08:00"}, // before the first of the week
		{"01:00,1K 03:30,off", "2026-03-29 01:30", "2026-03-29 03:30"},         // the night has an hour less
		{"01:00,1K 04:00,off", "2026-10-25 01:30", "2026-10-25 04:00"},         // and one more
	} {
		table, err := config.ParseTimetable(c.table)
		if err != nil {
			t.Errorf("%q: %v", c.table, err)
			continue
		}
		loc := berlin(t)
		now, err := time.ParseInLocation("2006-01-02 15:04", c.now, loc)
		if err != nil {
			t.Fatal(err)
		}
		_, until := table.At(now)
		got := ""
		if !until.IsZero() {
			got = until.In(loc).Format("2006-01-02 15:04")
		}
		if got != c.until {
			t.Errorf("%q at %s: until %q, want %q", c.table, c.now, got, c.until)
		}
	}
}

// TestTimetableFollowed asks for the rate of each minute of a week, and finds
// the one that a plain reading of the table gives.
func TestTimetableFollowed(t *testing.T) {
	table, err := config.ParseTimetable("08:00,500 12:00,off 13:00,500 Sat-00:00,700 Sat-08:01,off Mon-06:00,9")
	if err != nil {
		t.Fatal(err)
	}
	want := int64(500)
	// From Sunday noon on, one week.
	for now := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC); now.Before(time.Date(2026, 11, 29, 13, 0, 0, 0, time.UTC)); now = now.Add(time.Minute) {
		switch now.Format("15:04") {
		case "08:00", "13:00":
			want = 500
		case "12:00":
			want = 0
		}
		switch now.Format("Mon 15:04") {
		case "Sat 00:00":
			want = 700
		case "Sat 08:01":
			want = 0
		case "Mon 06:00":
			want = 9
		}
		rate, until := table.At(now.Add(59 * time.Second))
		if rate != want || !until.After(now) {
			t.Fatalf("at %s: %d until %s, want %d", now.Format("Mon 15:04"), rate, until, want)
		}
	}
	if table.Slowest() != 9 {
		t.Errorf("the slowest is %d", table.Slowest())
	}
}

func TestParseTimetableRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "no rate",
		" ;":                      "no rate",
		"fast":                    "no rate",
		"08:00":                   "no rate",
		"500K 08:00,1M":           "no entry",
		"08:00,fast":              `"fast" is no rate`,
		"8 Uhr,1M":                "no entry",
		"25:00,1M":                `"25:00" is no time of day`,
		"Mo-08:00,1M":             `"Mo" is no day of the week`,
		"08:00,1M 08:00,2M":       "two rates for one time",
		"Mon-08:00,1M 08:00,2M":   "two rates for one time",
		"08:00,1M:2M":             "no rate",
		"Mon-Fri-08:00,1M":        "no time of day",
		"08:00,1M\x00":            "no rate",
		"08:00,1M,2M":             "no rate",
		strings.Repeat(",", 1000): "no rate",
	} {
		if got, err := config.ParseTimetable(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", in, got, err, want)
		}
	}
}

func TestRate(t *testing.T) {
	var r config.Rate
	if n, until := r.At(time.Unix(0, 0)); n != 0 || !until.IsZero() {
		t.Errorf("a new one: %d until %v", n, until)
	}
	r.Set(config.Steady(7))
	if n, until := r.At(time.Unix(0, 0)); n != 7 || !until.IsZero() || r.Get().String() != "7" {
		t.Errorf("set: %d until %v", n, until)
	}
	r.Set(config.Steady(0))
	if n, _ := r.At(time.Unix(0, 0)); n != 0 || r.Get().Slowest() != 0 || r.Get().String() != "" {
		t.Errorf("off again: %d", n)
	}
}

func FuzzParseTimetable(f *testing.F) {
	for _, s := range []string{"", "off", "500K", "08:00,500K 23:00,off", "Mon-00:00,512;Fri-23:59,10M", "1e3", "00:00,1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		table, err := config.ParseTimetable(s)
		if err != nil {
			return
		}
		now := time.Date(2026, 11, 22, 23, 59, 30, 0, time.UTC)
		rate, until := table.At(now)
		if rate < 0 || !until.IsZero() && !until.After(now) || table.Slowest() < 0 {
			t.Errorf("%q: %d until %v", s, rate, until)
		}
		if again, err := config.ParseTimetable(table.String()); table.String() != "" && (err != nil || again.String() != table.String()) {
			t.Errorf("%q read again as %q: %v", table, again, err)
		}
	})
}
