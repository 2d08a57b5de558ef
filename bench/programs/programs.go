// Package programs builds what a bench measures from the source around it, and waits
// for servers that others wrote.
package programs

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is the module of firn.
const module = "github.com/firn-archive/firn"

// A Program can be built.
type Program struct {
	Name string // of the file
	pkg  string
	dir  string // of the module that pins it, below firn's
}

// Firn is firn itself.
func Firn() Program { return Program{Name: "firn", pkg: module + "/cmd/firn"} }

// Versitygw is a server of S3 that checks each signature and each hash.
func Versitygw() Program {
	return Program{Name: "versitygw", pkg: "github.com/versity/versitygw/cmd/versitygw", dir: filepath.Join("tools", "s3")}
}

// Build makes a program in the folder dir, says so, and gives its path. It runs
// within the source of firn.
func (p Program) Build(ctx context.Context, dir string, say func(format string, args ...any)) (string, error) {
	say("building %s", p.Name)
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the source of firn: %w; run this in it", err)
	}
	path := filepath.Join(dir, p.Name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, p.pkg)
	cmd.Dir = filepath.Join(strings.TrimSpace(string(out)), p.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", p.Name, err, out)
	}
	return path, nil
}
