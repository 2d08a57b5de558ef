package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/internal/cli"
	"github.com/firn-archive/firn/internal/testprog"
)

// programVar makes the test program be firn.
const programVar = "FIRN_TEST_PROGRAM"

func TestMain(m *testing.M) {
	usage.Main()
	if os.Getenv(programVar) != "" {
		os.Exit(cli.Main(context.Background(), os.Args, cli.System()))
	}
	os.Exit(m.Run())
}

// TestMeasure does all of it, on a small scale.
func TestMeasure(t *testing.T) {
	server := testprog.Built(t, "versitygw", "go -C tools/s3 build -o DIR github.com/versity/versitygw/cmd/versitygw")
	t.Setenv(programVar, "firn")
	var out, progress bytes.Buffer
	args := []string{"-large", "3", "-small", "205", "-rounds", "1", "-dir", t.TempDir(), "-firn", os.Args[0], "-server", server}
	if err := run(t.Context(), args, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, want := range []string{`\| 3 files of 1 MiB \| \d+\.\d\d CPU s/GiB \|`, `\| 205 files of 10 KiB, no bundles \| \d+ objects/s \|`} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("no match for %s in\n%s", want, out.String())
		}
	}
}

// TestFailures: what firn says is told, and that there is no server.
func TestFailures(t *testing.T) {
	for what, args := range map[string][]string{
		"does not answer": {"-firn", "firn", "-server", os.Args[0]}, // which ends at once
		"no such file":    {"-firn", "firn", "-server", "/nowhere/versitygw"},
		"give no":         {"-rounds", "0"},
		"give no ":        {"extra"},
		"not defined":     {"-nope"},
	} {
		var out, progress bytes.Buffer
		err := run(t.Context(), append([]string{"-dir", t.TempDir()}, args...), &out, &progress)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v: %v; want %q", args, err, what)
		}
	}
}

// TestCompare: what rclone takes is shown beside, and it must have copied all.
func TestCompare(t *testing.T) {
	server := testprog.Built(t, "versitygw", "go -C tools/s3 build -o DIR github.com/versity/versitygw/cmd/versitygw")
	rclone := testprog.Need(t, "rclone")
	t.Setenv(programVar, "firn")
	var out, progress bytes.Buffer
	args := []string{"-large", "2", "-small", "105", "-rounds", "1", "-dir", t.TempDir(), "-firn", os.Args[0], "-server", server, "-rclone", rclone}
	if err := run(t.Context(), args, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, want := range []string{`\| the large files by rclone \| \d+\.\d\d CPU s/GiB, `, `\| the small files by rclone \| \d+ objects/s, `} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("no match for %s in\n%s", want, out.String())
		}
	}
}

func TestReport(t *testing.T) {
	r := &results{
		machine: "a machine", options: options{large: 1024, small: 1000, concurrency: 8},
		large: []usage.Usage{{CPU: 3 * time.Second, Wall: 4 * time.Second, Memory: 50 << 20}},
		small: []usage.Usage{{CPU: time.Second / 2, Wall: time.Second / 2}},
	}
	var out strings.Builder
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	want := "On a machine; `firn sync --no-bundle` to versitygw, 8 files at a time; medians of 1 rounds.\n\n" + `| what | measured |
|---|---|
| 1024 files of 1 MiB | 3.00 CPU s/GiB |
| elapsed | 4.0 s, 256 MiB/s |
| peak memory | 50 MiB |
| 1000 files of 10 KiB, no bundles | 2000 objects/s |
| processor | 500 CPU µs an object |
| peak memory | unknown |
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
