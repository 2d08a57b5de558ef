package main

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/cli"
)

// programVar makes the test program be firn.
const programVar = "FIRN_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		os.Exit(cli.Main(ctx, os.Args, cli.System()))
	}
	os.Exit(m.Run())
}

func TestMeasure(t *testing.T) {
	t.Setenv(programVar, "firn")
	var out, progress bytes.Buffer
	if err := run(t.Context(), []string{"-n", "300", "-kills", "1", "-dir", t.TempDir(), "-firn", os.Args[0]}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, want := range []string{
		`^300 archives, [01] kills, \d+ calls of firn, 32 deletions at a time\.\n`,
		`\| filling the vault \| \d+ archives/s, `, `\| emptying and deleting it \| \d+ archives/s, `, `\| memory of firn \| \d+ MiB \|`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no match for %s in\n%s", want, &out)
		}
	}
}

// TestCheck: what is asked for twice is a failure, unless an inventory was read
// between.
func TestCheck(t *testing.T) {
	const ask, list = `{"text":"t a DeleteArchive \"DELETE /-/vaults/bench/archives/ID\" r status=204"}`, `{"text":"t a GetJobOutput \"GET /-/vaults/bench/jobs/J/output\" r status=200"}`
	one, two := strings.Replace(ask, "ID", "one", 1), strings.Replace(ask, "ID", "two", 1)
	for name, c := range map[string]struct {
		lines []string
		again int
		want  string
	}{
		"once":          {[]string{list, one, two}, 0, ""},
		"after a list":  {[]string{list, one, two, list, two}, 1, ""},
		"twice":         {[]string{list, one, two, one}, 0, "archive one was asked for twice"},
		"not all":       {[]string{list, one}, 0, "1 archives, of 2"},
		"no line of it": {[]string{"rubbish"}, 0, "rubbish"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{options: options{archives: 2}, dir: t.TempDir()}
			if err := os.WriteFile(filepath.Join(b.dir, "requests"), []byte(strings.Join(c.lines, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			err := b.check()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || b.again != c.again {
				t.Errorf("%v, %d again", err, b.again)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-n 0", "-kills -1", "extra", "-nope"} {
		var out, progress bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &out, &progress); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, and %q", args, err, &out)
		}
	}
}
