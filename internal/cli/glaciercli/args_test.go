package glaciercli

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/testprog"
)

// describeGrammar gives the grammar in a form that grammar.py reads.
func describeGrammar(p *parser) map[string]any {
	var options []map[string]any
	for _, o := range p.options {
		if o.long != helpOption.long {
			options = append(options, map[string]any{"short": o.short, "long": o.long, "value": o.value, "int": o.isInt})
		}
	}
	var subs []map[string]any
	for _, s := range p.subs {
		subs = append(subs, describeGrammar(s))
	}
	return map[string]any{"name": p.own(), "options": options, "words": p.words, "subs": subs}
}

// TestParsesAsArgparse: Python's own parser, given the same grammar, takes the same
// command lines, and has the same words for what is wrong with the others.
func TestParsesAsArgparse(t *testing.T) {
	python := testprog.Need(t, "python3")
	if os.Getenv("COLUMNS") != "" {
		t.Setenv("COLUMNS", "")
	}
	var lines [][]string
	for _, line := range []string{
		"", "vault", "job", "--compatibility-test-git-annex", "--region=eu-west-1 --bogus=1 vault list", "vault list --region=x",
		"--region eu-west-1 vault list", "--reg=x vault list", "--region", "--region= job list", "bogus", "vault bogus", "vault list x y", "-h", "vault -h", "archive --help",
		"vault sync v", "vault sync --wait v --fix --max-age=5", "vault sync --max-age 5 v", "vault sync --max 7 v", "vault sync --max-age x v", "vault sync --max-age v", "vault sync",
		"vault sync --wait=1 v", "vault sync --w --f v", "vault sync --max-age=-5 v", "vault sync --max-age -5 v", "vault sync --max-age=1_0 v", "vault sync v --max-age", "vault create", "vault create a b",
		"vault reconcile --com v d", "archive list v --force", "archive list v --with --f", "archive list -x v", "archive list v --", "archive list -- -v", "archive list -5",
		"archive upload v", "archive upload --name n v f", "archive upload v f --name=-x", "archive upload v f --name -x", "archive upload v f --name", "archive upload --name=", "archive upload --part 4 v -", "archive upload v -- -f",
		"archive upload -h", "archive upload --name", "archive multi-upload v d --res", "archive multi-delete v a b c", "archive multi-delete v",
		"archive retrieve v n -o-", "archive retrieve v n -o -", "archive retrieve -o x v n m", "archive retrieve v -o x n", "archive retrieve v n -o x m", "archive retrieve v n --multi 5 --wait", "archive retrieve v n -ox",
		"archive retrieve v", "archive retrieve v -- -n", "archive retrieve v n -o", "archive retrieve v n -o --wait", "archive retrieve --m x v n", "archive retrieve v n -x -y z",
		"archive checkpresent v --quiet n", "archive checkpresent --q v n --w", "archive checkpresent v n m", "archive checkpresent --max-age=0 v n", "archive checkpresent", "archive checkpresent -h", "archive retrieve -h",
		"archive checkpresent v -n", "archive delete v", "archive delete v id:x", "archive delete v -x", "job list", "job list v", "job list --wait", "-- vault list", "vault -- list", "-x -y", "-5 vault list",
	} {
		lines = append(lines, strings.Fields(line))
	}
	lines = append(lines, []string{"archive", "list", "-a b"}, []string{"archive", "upload", "v", "f", "--name", ""}, []string{"archive", "list", ""}, []string{"vault", "it's"}, []string{"vault", "sync", "--max-age", "", "v"})
	in, err := json.Marshal(map[string]any{"grammar": describeGrammar(grammar()), "lines": lines})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/grammar.py")
	cmd.Stdin = strings.NewReader(string(in))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(out, &want); err != nil || len(want) != len(lines) {
		t.Fatalf("%d answers, %v", len(want), err)
	}
	for i, line := range lines {
		if got := parsed(line); got != want[i] {
			t.Errorf("%q:\n%s\nargparse:\n%s", line, got, want[i])
		}
	}
}

// parsed is what became of a command line, as grammar.py writes it.
func parsed(line []string) string {
	c, err := grammar().parse(line)
	switch err := err.(type) {
	case nil:
		b, _ := json.Marshal(map[string]any{"prog": c.parser.prog, "values": c.values, "words": append([]string{}, c.words...)})
		return string(b)
	case *usageError:
		return err.parser.usage() + err.parser.prog + ": error: " + err.text + "\n"
	case *helpWanted:
		return err.parser.help()
	default:
		return err.Error()
	}
}

// FuzzParse: whatever is typed, it is a call, or a usage error with a text.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"vault list", "archive retrieve v n -o-", "--region=x archive checkpresent v --quiet n", "archive upload -- - -", "vault sync --max-age=9 --", "-", "--=", "-o"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := grammar().parse(strings.Split(s, " "))
		if err == nil && c.parser.run != nil && len(c.words) < len(c.parser.words) {
			t.Errorf("%q has the words %q, and wants %q", s, c.words, c.parser.words)
		}
		if err != nil && err.Error() == "" {
			t.Errorf("%q: %#v", s, err)
		}
	})
}
