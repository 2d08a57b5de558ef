package main

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/internal/cli"
	"github.com/firn-archive/firn/internal/testprog"
)

// programVar makes the test program be firn.
const programVar = "FIRN_TEST_PROGRAM"

func TestMain(m *testing.M) {
	usage.Main()
	leanMain()
	floorMain()
	if os.Getenv(programVar) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(cli.Main(ctx, os.Args, cli.System()))
	}
	os.Exit(m.Run())
}

// TestMeasure does all of it, on a small scale.
func TestMeasure(t *testing.T) {
	t.Run(toVault, func(t *testing.T) { measured(t, `[1-9]\d* CPU µs an archive at the source, [1-9]\d* at the target`) })
	t.Run(toS3, func(t *testing.T) {
		server := testprog.Built(t, "versitygw", "go -C tools/s3 build -o DIR github.com/versity/versitygw/cmd/versitygw")
		measured(t, `[1-9]\d* CPU µs an archive at the source, [1-9]\d* at the target`, "-to", toS3, "-server", server)
	})
	t.Run("lean", func(t *testing.T) {
		measured(t, `[1-9]\d* CPU µs an archive, source and target together \|(?s:.*)\| moving as plainly as can be, in the same run \| [1-9]\d* archives/s; [1-9]\d* CPU µs an archive, and [1-9]\d* of the servers`, "-lean")
	})
}

func measured(t *testing.T, servers string, more ...string) {
	args := append([]string{"-n", "40", "-size", "5000", "-concurrency", "4", "-dir", t.TempDir(), "-firn", os.Args[0]}, more...)
	t.Setenv(programVar, "firn")
	var out, progress bytes.Buffer
	if err := run(t.Context(), args, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, want := range []string{
		`40 archives of 5000 bytes .* 4 at a time\.\n`, `\| moving \| \d+ archives/s, `, `\| bytes \| \d+ MiB/s \|`,
		`\| processor \| \d+ CPU µs an archive, `, `\| of the servers \| ` + servers + ` \|`, `\| peak memory \| (\d+ MiB|unknown) \|`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no match for %s in\n%s", want, &out)
		}
	}
}

// TestCheck: an archive that the target lacks, or has not whole, is a failure.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		sizes []int
		want  string
	}{
		"all":      {[]int{10, 10}, ""},
		"one less": {[]int{10}, "1 of 2 archives"},
		"cut":      {[]int{10, 9}, "1 of 2 archives"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{options: options{archives: 2, size: 10}, dir: t.TempDir()}
			if err := os.MkdirAll(b.folder(target), 0o700); err != nil {
				t.Fatal(err)
			}
			for i, size := range c.sizes {
				if err := os.WriteFile(filepath.Join(b.folder(target), string(rune('a'+i))), make([]byte, size), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.check(t.Context()); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-n 0", "-size 1", "-concurrency 0", "-to tape", "-lean -to s3", "-lean -size 1048577", "extra", "-nope"} {
		var out, progress bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &out, &progress); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, and %q", args, err, &out)
		}
	}
}
