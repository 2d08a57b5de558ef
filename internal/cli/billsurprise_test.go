package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dear makes a request, and a GB of a month that is left, cost a dollar, and gives a
// directory with so many files.
func (w *jobWorld) dear(files int, profiles string) (tree string) {
	w.Helper()
	config := filepath.Join(w.env.Getenv("HOME"), ".config", "firn")
	tree = filepath.Join(w.env.Dir, "tree")
	for _, dir := range []string{config, tree} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			w.Fatal(err)
		}
	}
	written := map[string]string{
		filepath.Join(config, "prices.toml"): "[vault.us-east-1]\nas_of = 2026-12-01\nupload = 1000.00\nearly_delete = 100000.00\n",
		filepath.Join(config, "config.toml"): strings.ReplaceAll(profiles, "TREE", tree),
	}
	for i := range files {
		written[filepath.Join(tree, fmt.Sprint("f", i))] = fmt.Sprint("content ", i)
	}
	for name, text := range written {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			w.Fatal(err)
		}
	}
	return tree
}

// TestBudgetIsNoYes: what a month may cost is not what a single sync may cost
// without a question.
func TestBudgetIsNoYes(t *testing.T) {
	w := newJobWorld(t)
	w.dear(9, `[profile.wide]
store = "glacier:v"
monthly_budget = 100.00
no_bundle = true
[[profile.wide.tree]]
path = "TREE"
`)
	out, said := w.firn(WrongUsage, "sync", "wide")
	if !strings.Contains(said, "the requests of this sync cost more than $5.00") || !strings.Contains(said, "--yes or --max-cost") || !strings.Contains(out, " 5 files") {
		t.Errorf("%s%s", out, said)
	}
	if out, _ := w.firn(Done, "sync", "wide", "--yes"); !strings.Contains(out, " 4 files") {
		t.Error(out)
	}
}

// TestEarlyDeletionsOfASyncAsk: --pay is no yes to any price.
func TestEarlyDeletionsOfASyncAsk(t *testing.T) {
	w := newJobWorld(t)
	tree := w.dear(3, "")
	w.firn(Done, "sync", tree, "glacier:v", "--no-bundle")
	for i := range 2 {
		if err := os.Remove(filepath.Join(tree, fmt.Sprint("f", i))); err != nil {
			t.Fatal(err)
		}
	}
	mirror := []string{"sync", tree, "glacier:v", "--delete-removed", "--pay"}
	_, said := w.firn(WrongUsage, mirror...)
	if !strings.Contains(said, "what this sync deletes early costs $1") {
		t.Error(said)
	}
	if _, said = w.firn(WrongUsage, append(mirror, "--max-cost", "6")...); !strings.Contains(said, "what this sync deletes early costs $1") {
		t.Error(said)
	}
	if out, _ := w.firn(Done, "archive", "list", "glacier:v"); strings.Count(out, "\n") != 4 {
		t.Errorf("deleted before it was agreed to:\n%s", out)
	}
	w.firn(Done, append(mirror, "--max-cost", "100")...)
	if out, _ := w.firn(Done, "archive", "list", "glacier:v"); strings.Contains(out, ": f0\n") {
		t.Errorf("not deleted:\n%s", out)
	}
}
