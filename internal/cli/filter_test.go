package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/filter"
)

// readFilter parses options and gives the filter, or what is wrong.
func readFilter(t *testing.T, args ...string) (*filter.Filter, error) {
	t.Helper()
	a := &app{env: testEnv(t)}
	a.env.Clock = clock.NewManual(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	if err := a.openUI("sync", false); err != nil {
		t.Fatal(err)
	}
	var o filterOptions
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.addFlags(f, a)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	options, err := o.read(a)
	return a.filterOf(options, a.env.Dir), err
}

// TestFilterOptions: each option does what it says, and the order of rules is
// that of the command line.
func TestFilterOptions(t *testing.T) {
	day := func(year, month, day, hour int) time.Time {
		return time.Date(year, time.Month(month), day, hour, 0, 0, 0, time.UTC)
	}
	file := firn.File{Path: "d/a.jpg", Kind: firn.Regular, Stamp: firn.Stamp{Size: 2048, ModTime: day(2026, 11, 19, 12)}}
	for _, tt := range []struct {
		args string
		kept bool
	}{
		{"", true},
		{"--filter +*.jpg --exclude d/", true},
		{"--exclude d/ --filter +*.jpg", false},
		{"--exclude *.txt --include *.jpg --filter -", true},
		{"--exclude *.jpg --include *.jpg", false},
		{"--exclude-regexp a[.]jpg$", false},
		{"--min-size 2K", true}, {"--min-size 2049", false},
		{"--max-size 2K", true}, {"--max-size 2047", false},
		{"--older-than 1d", true}, {"--older-than 49h", false}, {"--older-than 2w", false},
		{"--newer-than 1d", false}, {"--newer-than 49h", true}, {"--newer-than 1y", true},
		{"--older-than 2026-11-20", true}, {"--older-than 2026-11-19", false},
		{"--newer-than 2026-11-20", false}, {"--newer-than 2026-11-19", true},
		{"--newer-than 3d --older-than 1d", true},
	} {
		f, err := readFilter(t, strings.Fields(tt.args)...)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
		} else if v := f.Judge(&file); v.Leave == tt.kept {
			t.Errorf("%s: left out %t: %s", tt.args, v.Leave, v.Reason)
		}
	}
}

func TestFilterOptionErrors(t *testing.T) {
	for args, want := range map[string]string{
		"--newer-than 0":                   `"0" is no age`,
		"--newer-than 1":                   `"1" is no age`,
		"--older-than 2026-13-01":          `"2026-13-01" is no age`,
		"--older-than 99999y":              `"99999y" is no age`,
		"--older-than 1d --newer-than 1d":  "no file is both --older-than 1d and --newer-than 1d",
		"--min-size -1":                    `"-1" is no number of bytes`,
		"--min-size 0":                     `"0" is no limit`,
		"--min-size 3 --max-size 2":        "no file is both of --min-size 3 and of --max-size 2",
		"--exclude-regexp [":               "missing closing ]",
		"--exclude-regexp .*":              "would leave out all",
		"--filter *":                       "begins with neither + nor -",
		"--exclude-from testdata":          "read patterns testdata: ",
		"--exclude-from no/such/file/here": "read patterns no/such/file/here: no such file",
	} {
		if _, err := readFilter(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
