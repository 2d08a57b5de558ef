// Package testprog finds the programs that tests run beside firn: clients that
// others wrote, tracers, terminals. A test whose program isn't there is
// skipped; where RequireVar is set, as in CI, it fails, so that a test which
// never ran is never taken for one that passed.
package testprog

import (
	_ "embed"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// RequireVar names the environment variable that turns skips into failures
// when it holds anything.
const RequireVar = "FIRN_REQUIRE_PROGRAMS"

// systemFolder is looked into before PATH: what the system's packages bring is
// what the tests were written against, and language managers tend to put other
// versions of it in front.
const systemFolder = "/usr/bin"

// python is the prefix of names in programs.txt that are modules of Python.
const python = "python3:"

//go:embed programs.txt
var list string

// Need gives the path of the program called name, which must be listed in
// programs.txt.
func Need(t testing.TB, name string) string {
	t.Helper()
	return need(t, name, folders())
}

// Built gives the path of a program that Debian doesn't bring, and .ci/run builds
// with a command from a module in tools. Where it is not on PATH the test is skipped,
// or fails where RequireVar is set, and says how to get it.
func Built(t testing.TB, name, how string) string {
	t.Helper()
	for path := range candidates(name, folders()) {
		return path
	}
	if os.Getenv(RequireVar) != "" {
		t.Fatalf("%s isn't on PATH, and %s is set; build it with: %s", name, RequireVar, how)
	}
	t.Skipf("%s isn't on PATH; build it with: %s", name, how)
	return ""
}

// Find gives the path of a program that neither Debian nor .ci/run brings. Where it
// is not on PATH the test is skipped, in CI too, and says how to get it.
func Find(t testing.TB, name, how string) string {
	t.Helper()
	for path := range candidates(name, folders()) {
		return path
	}
	t.Skipf("%s isn't on PATH; get it with: %s", name, how)
	return ""
}

func need(t testing.TB, name string, folders []string) string {
	t.Helper()
	pkg := packageOf(t, name)
	for path := range candidates(name, folders) {
		return path
	}
	missing(t, name, pkg)
	return ""
}

// Python gives the path of a Python 3 that can import all of modules, which
// must be listed in programs.txt.
func Python(t testing.TB, modules ...string) string {
	t.Helper()
	var pkgs []string
	for _, m := range modules {
		pkgs = append(pkgs, packageOf(t, python+m))
	}
	imports := "import " + strings.Join(append(modules, "sys"), ", ")
	for path := range candidates("python3", folders()) {
		if exec.Command(path, "-c", imports).Run() == nil {
			return path
		}
	}
	missing(t, "python3 with "+strings.Join(modules, ", "), strings.Join(pkgs, " "))
	return ""
}

// folders lists where programs lie, in the order of preference.
func folders() []string {
	return append([]string{systemFolder}, filepath.SplitList(os.Getenv("PATH"))...)
}

// candidates gives each program of that name in folders.
func candidates(name string, folders []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, dir := range folders {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && !yield(path) {
				return
			}
		}
	}
}

// packageOf gives the Debian package of a program or module.
func packageOf(t testing.TB, name string) string {
	t.Helper()
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			return f[1]
		}
	}
	t.Fatalf("%s isn't listed in internal/testprog/programs.txt: add it there with its Debian package, so that CI installs it", name)
	return ""
}

func missing(t testing.TB, what, pkg string) {
	t.Helper()
	if os.Getenv(RequireVar) != "" {
		t.Fatalf("%s isn't installed, and %s is set: install the Debian package %s", what, RequireVar, pkg)
	}
	t.Skipf("%s isn't installed (Debian package %s)", what, pkg)
}
