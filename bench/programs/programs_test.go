package programs

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuild: what comes is firn; where there is no such package, it is said.
func TestBuild(t *testing.T) {
	dir := t.TempDir()
	var said string
	say := func(format string, args ...any) { said = fmt.Sprintf(format, args...) }
	path, err := Firn().Build(t.Context(), dir, say)
	if err != nil || path != filepath.Join(dir, "firn") || said != "building firn" {
		t.Fatalf("%q, %v, said %q", path, err, said)
	}
	if out, err := exec.Command(path, "--version").Output(); err != nil || !strings.HasPrefix(string(out), "firn ") {
		t.Errorf("%q, %v", out, err)
	}
	none := Program{Name: "none", pkg: module + "/cmd/none"}
	if path, err := none.Build(t.Context(), dir, say); err == nil || path != "" || !strings.Contains(err.Error(), "build none") {
		t.Errorf("%q, %v", path, err)
	}
}
