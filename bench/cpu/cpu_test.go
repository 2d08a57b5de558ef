package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/internal/cli"
)

// programVar makes the test program be firn, or this command itself.
const programVar = "FIRN_TEST_PROGRAM"

func TestMain(m *testing.M) {
	usage.Main()
	switch {
	case len(os.Args) > 1 && os.Args[1] == hashCommand:
		main()
		os.Exit(0)
	case os.Getenv(programVar) != "":
		os.Exit(cli.Main(context.Background(), os.Args, cli.System()))
	}
	os.Exit(m.Run())
}

// TestMeasure does all of it, on a small scale.
func TestMeasure(t *testing.T) {
	tree := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(programVar, "firn")
	var out, progress bytes.Buffer
	args := []string{"-mib", "3", "-rounds", "2", "-dir", t.TempDir(), "-tree", tree, "-firn", os.Args[0]}
	if err := run(t.Context(), args, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, want := range []string{
		`medians of 2 rounds\.`,
		`\| hashing twice, bare \| \d+\.\d\d CPU s/GiB \|`,
		`\| .firn sync. to a server in another process \| \d+\.\d\d CPU s/GiB \|`,
		`, 3 files, to .local:. \| \d+ files/s, `,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("no match for %s in\n%s", want, out.String())
		}
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-mib 0", "-rounds 0", "extra", "-nope"} {
		var out, progress bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &out, &progress); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}

func TestReport(t *testing.T) {
	r := &results{
		machine: "a machine", size: 2 << 30, tree: "src", files: 12000,
		hash:  []usage.Usage{{CPU: 2 * time.Second}, {CPU: 1 * time.Second}, {CPU: 9 * time.Second}},
		sync:  []usage.Usage{{CPU: 3 * time.Second, Wall: 4 * time.Second, Memory: 50 << 20}},
		first: []usage.Usage{{CPU: time.Second, Wall: 6 * time.Second}},
		again: []usage.Usage{{CPU: time.Second / 10, Wall: time.Second / 8}},
	}
	var out strings.Builder
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	want := "On a machine; medians of 1 rounds.\n\n" + `| what | measured |
|---|---|
| hashing twice, bare | 1.00 CPU s/GiB |
| ` + "`firn sync`" + ` to a server in another process | 1.50 CPU s/GiB |
| that is | 1.50 × hashing twice |
| elapsed, for one file of 2048 MiB | 4.0 s, 512 MiB/s |
| peak memory | 50 MiB |
| first sync of ` + "`src`" + `, 12000 files, to ` + "`local:`" + ` | 2000 files/s, 6.00 s, 1.00 CPU s |
| peak memory | unknown |
| second sync, nothing changed | 96000 files/s, 0.12 s, 0.10 CPU s |
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
