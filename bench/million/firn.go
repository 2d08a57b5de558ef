package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/firn-archive/firn/bench/usage"
)

// A summary is what firn says of a run: see docs/json.md.
type summary struct {
	Counts map[string]struct{ Files, Bytes int64 }
}

// command is firn on a machine of its own.
func (b *bench) command(ctx context.Context, args ...string) *exec.Cmd {
	home := filepath.Join(b.dir, "home")
	cmd := exec.CommandContext(ctx, b.firn, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "FIRN_HOME="+filepath.Join(home, "data"), "FIRN_CONFIG_DIR="+filepath.Join(home, "config"))
	return cmd
}

// firn runs firn, which must end with status 0, and gives what it took, and its
// summary, if there is one.
func (b *bench) runFirn(ctx context.Context, args ...string) (u usage.Usage, s summary, err error) {
	cmd := b.command(ctx, append(args, "--json", "--quiet")...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	u, status, err := usage.Timed(cmd)
	if err != nil {
		return u, s, err
	}
	if status != 0 {
		return u, s, fmt.Errorf("firn %s: status %d\n%s%s", strings.Join(args, " "), status, firstLines(out.String()), talk.String())
	}
	return u, s, find(out.Bytes(), "summary", &s)
}

// find reads the object of a type out of firn's output.
func find(out []byte, kind string, into any) error {
	for line := range bytes.Lines(out) {
		var said struct{ Type string }
		if err := json.Unmarshal(line, &said); err != nil {
			return fmt.Errorf("firn said %q, which is no JSON: %w", line, err)
		}
		if said.Type == kind {
			return json.Unmarshal(line, into)
		}
	}
	return nil
}

// shown bounds how many lines of a kind are shown.
const shown = 20

// firstLines shortens what goes on and on.
func firstLines(text string) string {
	lines := strings.SplitAfterN(text, "\n", shown+1)
	if len(lines) > shown {
		lines[shown] = "...\n"
	}
	return strings.Join(lines, "")
}

// A stock is what the store holds, as the catalog says.
type stock struct{ Archives, Bytes int64 }

func (b *bench) takeStock(ctx context.Context) (s stock, err error) {
	out, err := b.command(ctx, "status", b.store(), "--json").Output()
	if err != nil {
		return s, fmt.Errorf("firn status: %w", err)
	}
	return s, find(out, "store", &s)
}

// newKey makes a key, and gives its recipient.
func (b *bench) newKey(ctx context.Context) (string, error) {
	out, err := b.command(ctx, "key", "new", b.identity(), "--quiet").Output()
	if err != nil {
		return "", fmt.Errorf("firn key new: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
