package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/testprog"
)

const (
	resumeDoc = "../../docs/resume.md"
	unitsDir  = "../../contrib/systemd"
)

// units are the systemd units that firn comes with.
func units(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(unitsDir, "firn-resume.*"))
	if err != nil || len(found) != 2 {
		t.Fatalf("the units are %v, %v", found, err)
	}
	return found
}

// TestUnitsAreDocumented: the page shows the units as they are.
func TestUnitsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(resumeDoc)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range units(t) {
		unit, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```ini\n"+string(unit)+"```") {
			t.Errorf("%s does not show %s", resumeDoc, file)
		}
	}
}

// TestUnitsAreValid asks systemd what it thinks of the units, with a program that
// is there in place of one that is not.
func TestUnitsAreValid(t *testing.T) {
	analyze := testprog.Need(t, "systemd-analyze")
	dir := t.TempDir()
	args := []string{"verify"}
	for _, file := range units(t) {
		unit, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(unit), "%h/go/bin/firn", "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	verify := exec.Command(analyze, args...)
	verify.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	if out, err := verify.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestTimersCallWhatThereIs: the commands of the page's timers can be read.
func TestTimersCallWhatThereIs(t *testing.T) {
	page, err := os.ReadFile(resumeDoc)
	if err != nil {
		t.Fatal(err)
	}
	calls := regexp.MustCompile(`(?m)firn(?:\.exe\\"|")? (resume(?: --?[a-z]+)*)`).FindAllStringSubmatch(string(page), -1)
	if len(calls) < 4 {
		t.Errorf("found only %v", calls)
	}
	for _, call := range calls {
		args := strings.Fields(call[1])
		if args[len(args)-1] == "--log" {
			args = append(args, filepath.Join(t.TempDir(), "log"))
		}
		env := testEnv(t)
		home := t.TempDir()
		env.LookupEnv = func(name string) (string, bool) { return home, name == "FIRN_HOME" }
		if status, _, stderr := try(env, args...); status != Done || strings.Contains(stderr, "usage") {
			t.Errorf("%v: status %d, %s", args, status, stderr)
		}
	}
}
