package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/bench/forest"
	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/internal/cli"
)

// programVar makes the test program be firn; one that spoils a file that it
// restores where it is "spoil", and one that does nothing where it is "fail".
const programVar = "FIRN_TEST_PROGRAM"

func TestMain(m *testing.M) {
	usage.Main()
	if mode := os.Getenv(programVar); mode != "" {
		if mode == "fail" {
			os.Exit(1)
		}
		status := cli.Main(context.Background(), os.Args, cli.System())
		if to := slices.Index(os.Args, "--to"); mode == "spoil" && to > 0 {
			spoil(os.Args[to+1])
		}
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// spoil changes one byte below dir, and no time.
func spoil(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		os.Chmod(path, 0o600)
		data, _ := os.ReadFile(path)
		data[0]++
		os.WriteFile(path, data, 0o600)
		os.Chmod(path, info.Mode())
		os.Chtimes(path, info.ModTime(), info.ModTime())
		return fs.SkipAll
	})
}

// runSmall does it all with a small tree.
func runSmall(t *testing.T, mode string, more ...string) (table, progress string, err error) {
	t.Setenv(programVar, mode)
	var out, talk bytes.Buffer
	args := append([]string{"-n", "800", "-folders", "20", "-dir", t.TempDir(), "-firn", os.Args[0]}, more...)
	err = run(t.Context(), args, &out, &talk)
	return out.String(), talk.String(), err
}

func TestMeasure(t *testing.T) {
	for name, args := range map[string][]string{"plain": {"-before", "900"}, "encrypted": {"-encrypted"}} {
		t.Run(name, func(t *testing.T) {
			out, progress, err := runSmall(t, "firn", args...)
			if err != nil {
				t.Fatalf("%v\n%s", err, progress)
			}
			for _, want := range []string{
				`^800 files with \d+ bytes in 20 folders, (900 others in the catalog|encrypted)\.\n`,
				`\| first sync \| \d+ files/s, `,
				`\| first sync, sent \| 7\d\d files with \d+ bytes, as [1-9]`,
				`\| sync, unchanged, sent \| 0 files with 0 bytes, as 0 archives with 0 \|`,
				`\| sync, changed, sent \| \d+ files with \d+ bytes, as 1 archives`,
				`\| restore of the first date \| `, `\| restore of the second date \| `,
			} {
				if !regexp.MustCompile(want).MatchString(out) {
					t.Errorf("no match for %s in\n%s", want, out)
				}
			}
		})
	}
}

func TestADifferenceIsAFailure(t *testing.T) {
	_, _, err := runSmall(t, "spoil")
	if err == nil || !strings.Contains(err.Error(), "1 differences") || !strings.Contains(err.Error(), "other content") {
		t.Errorf("one byte was spoilt, and it ended with: %v", err)
	}
}

func TestAFailureOfFirnIsTold(t *testing.T) {
	_, _, err := runSmall(t, "fail")
	if err == nil || !strings.Contains(err.Error(), "firn sync ") || !strings.Contains(err.Error(), "status 1") {
		t.Errorf("%v", err)
	}
}

func TestCheckSent(t *testing.T) {
	news := forest.News{Contents: 2, Bytes: 100, AllBytes: 150}
	for _, c := range []struct {
		sent, stored int64
		ok           bool
	}{{100, 3000, true}, {150, 3000, true}, {99, 3000, false}, {151, 3000, false}, {100, 2 << 20, false}} {
		if err := checkSent("sync", news, c.sent, c.stored); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-n 5", "-size 0", "-folders 3", "-before -1", "extra", "-nope"} {
		var out, progress bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &out, &progress); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %s", args, err, out.String())
		}
	}
}

func TestReport(t *testing.T) {
	r := report{options: options{plan: forest.Plan{Folders: 7}, before: 3, encrypted: true}, files: 5, bytes: 6}
	r.add("making", 10, usage.Usage{Wall: 2 * time.Second})
	r.add("sync", 10, usage.Usage{Wall: time.Second / 2, CPU: time.Second / 4, Memory: 3 << 20})
	r.sent("sync", 1, 2, stock{3, 4})
	var out strings.Builder
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	want := `5 files with 6 bytes in 7 folders, 3 others in the catalog, encrypted.

| what | measured |
|---|---|
| making | 5 files/s, 2.00 s |
| sync | 20 files/s, 0.50 s, 0.25 CPU s, 3 MiB |
| sync, sent | 1 files with 2 bytes, as 3 archives with 4 |
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
