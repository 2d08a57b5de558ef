package migrate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/testprog"
)

// hostile are names as stores, folders and options might have them.
var hostile = []string{
	"s3:b/p", "s3:b/a b", "s3:b/it's", "s3:b/$(touch pwned)", "s3:b/`touch pwned`", `s3:b/"x"`, `s3:b/a\b`, "s3:b/ä ö", "s3:b/a;touch pwned", "s3:b/a\ntouch pwned\n",
	"s3:b/!x", "s3:b/*", "s3:b/a&b|c<d>e", "s3:b/#x", "s3:b/~", "-n", "s3:b/%s%d", "s3:b/$'x'", "s3:b/\xff",
}

// record is a program that stands in for firn: it writes down its arguments, and where
// it is told to look.
const record = `#!/bin/sh
printf '<%s>' "$AWS_ENDPOINT_URL_S3" "$FIRN_HOME" "$@" >> calls
echo >> calls
`

// TestToGoScript: every sh hands on what stores are called as it is, and does nothing
// else that a name says.
func TestToGoScript(t *testing.T) {
	for _, shell := range []string{"sh", "dash", "bash"} {
		t.Run(shell, func(t *testing.T) {
			path := testprog.Find(t, shell, "it is a Debian package")
			for _, name := range hostile {
				runToGo(t, path, name)
			}
		})
	}
}

// runToGo runs the script of a migration in which all is called by one name.
func runToGo(t *testing.T, shell, name string) {
	t.Helper()
	g := migrate.ToGo{From: name, To: name + "2", Args: []string{"--tier", name}, Env: []string{"AWS_ENDPOINT_URL_S3=http://" + name}, Host: name}
	dir := t.TempDir()
	for file, text := range map[string]string{migrate.ToGoScript: g.Script(), migrate.ToGoProgram: record} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), shell, filepath.Join(dir, migrate.ToGoScript), "--max-cost", "5 0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", name, err, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, args := range [][]string{
		{"catalog", "import", migrate.ToGoCatalog},
		{"migrate", name, name + "2", "--tier", name, "--wait", "--max-cost", "5 0"},
		{"migrate", name, name + "2", "--to-go-result", migrate.ToGoResult},
	} {
		for _, arg := range slices.Concat([]string{"http://" + name, filepath.Join(dir, "home")}, args) {
			want.WriteString("<" + arg + ">")
		}
		want.WriteByte('\n')
	}
	if string(got) != want.String() {
		t.Errorf("%q: called\n%s\nwant\n%s", name, got, want.String())
	}
	if _, err := os.Lstat(filepath.Join(dir, "pwned")); err == nil {
		t.Errorf("%q was done", name)
	}
}

// TestToGoScriptIsClean: shellcheck has nothing to say about the script.
func TestToGoScriptIsClean(t *testing.T) {
	path := testprog.Find(t, "shellcheck", "it is a Debian package")
	g := migrate.ToGo{From: "glacier:v", To: "s3:b/it's", Args: []string{"--class", "DEEP_ARCHIVE"}, Env: []string{"AWS_REGION=eu-west-1"}}
	cmd := exec.CommandContext(t.Context(), path, "--shell=dash", "-")
	cmd.Stdin = strings.NewReader(g.Script())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestToGoReadme: a name ends no line of it.
func TestToGoReadme(t *testing.T) {
	for _, name := range hostile {
		text := migrate.ToGo{From: name, To: name, Host: name}.Readme()
		if plain := (migrate.ToGo{From: "x", To: "y", Host: "z"}).Readme(); strings.Count(text, "\n") != strings.Count(plain, "\n") {
			t.Errorf("%q: %s", name, text)
		}
	}
}
