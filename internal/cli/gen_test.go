package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

//go:generate go test -run TestGenerated -update .

// The reference and the manual pages are made from the commands themselves:
//
//	go generate ./internal/cli
const (
	referenceDir = "../../docs/reference"
	manualDir    = "../../docs/man"
)

var update = flag.Bool("update", false, "write the generated files anew")

// TestGenerated fails where a generated file is stale, missing or superfluous.
func TestGenerated(t *testing.T) {
	want := map[string][]byte{}
	for cmd := range everyCommand(newRootCmd(&app{env: testEnv(t)})) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		want[filepath.Join(manualDir, name+".1")] = manualPage(t, cmd)
		name = strings.ReplaceAll(cmd.CommandPath(), " ", "_")
		want[filepath.Join(referenceDir, name+".md")] = referencePage(t, cmd)
	}
	if *update {
		write(t, want)
	}
	for file, text := range want {
		got, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v; run: go generate ./internal/cli", err)
		} else if diff := cmp.Diff(string(text), string(got)); diff != "" {
			t.Errorf("%s is stale; run: go generate ./internal/cli\n%s", file, diff)
		}
	}
	for _, dir := range []string{referenceDir, manualDir} {
		for _, file := range filesIn(t, dir) {
			if want[file] == nil {
				t.Errorf("%s belongs to no command; run: go generate ./internal/cli", file)
			}
		}
	}
}

// write makes the two folders hold exactly the wanted files.
func write(t *testing.T, want map[string][]byte) {
	for _, dir := range []string{referenceDir, manualDir} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range want {
		if err := os.WriteFile(file, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func filesIn(t *testing.T, dir string) (files []string) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		files = append(files, filepath.Join(dir, e.Name()))
	}
	return files
}

// everyCommand gives cmd and all below it that a user may call.
func everyCommand(cmd *cobra.Command) func(func(*cobra.Command) bool) {
	return func(yield func(*cobra.Command) bool) {
		if !yield(cmd) {
			return
		}
		for _, c := range cmd.Commands() {
			if !c.IsAvailableCommand() {
				continue
			}
			for below := range everyCommand(c) {
				if !yield(below) {
					return
				}
			}
		}
	}
}

// undated stands for the date in a generated page, which should not change when
// nothing else does.
var undated = time.Unix(0, 0).UTC()

// manualPage gives a manual page of section 1, without a date, with options as
// manual pages have them, and with the exit statuses.
func manualPage(t *testing.T, cmd *cobra.Command) []byte {
	cmd.DisableAutoGenTag = true
	var page bytes.Buffer
	if err := doc.GenMan(cmd, &doc.GenManHeader{Date: &undated, Source: "firn", Manual: "firn manual"}, &page); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(page.String(), `"Jan 1970"`, `""`, 1)
	if strings.Contains(text, "1970") {
		t.Errorf("the page of %s has a date", cmd.CommandPath())
	}
	text = cutSections(text, "OPTIONS")
	var more strings.Builder
	if !cmd.DisableFlagParsing { // an older program has its own
		manualOptions(&more, "OPTIONS", cmd.NonInheritedFlags())
		manualOptions(&more, "OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
		more.WriteString(".SH EXIT STATUS\n")
		for _, row := range sortedExits() {
			fmt.Fprintf(&more, ".TP\n\\fB%d\\fP\n%s\n", row.Status, row.Meaning)
		}
	}
	if strings.Contains(text, "\n.SH EXAMPLE\n") {
		return insert(text, more.String()+"\n", ".SH EXAMPLE\n")
	}
	return insert(text, more.String()+"\n", ".SH SEE ALSO\n")
}

// cutSections takes the sections whose names begin so out of a manual page.
func cutSections(page, name string) string {
	sections := strings.Split(page, "\n.SH ")
	sections = slices.DeleteFunc(sections, func(s string) bool { return strings.HasPrefix(s, name) })
	return strings.Join(sections, "\n.SH ")
}

// manualOptions writes a section that lists options.
func manualOptions(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	roff := strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n.", "\n\\&.")
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "\\fB" + roff.Replace("--"+f.Name) + "\\fP"
		if f.Shorthand != "" {
			name = "\\fB\\-" + f.Shorthand + "\\fP, " + name
		}
		value, usage := pflag.UnquoteUsage(f)
		if value != "" {
			name += " \\fI" + roff.Replace(value) + "\\fP"
		}
		switch f.DefValue {
		case "", "0", "0s", "[]", "false":
		default:
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(b, ".TP\n%s\n%s\n", name, roff.Replace(usage))
	})
}

// referencePage gives a page of the reference, with the exit statuses.
func referencePage(t *testing.T, cmd *cobra.Command) []byte {
	cmd.DisableAutoGenTag = true
	var page bytes.Buffer
	if err := doc.GenMarkdown(cmd, &page); err != nil {
		t.Fatal(err)
	}
	if cmd.DisableFlagParsing { // an older program has its own
		head, tail, _ := strings.Cut(page.String(), "### Options inherited")
		_, tail, _ = strings.Cut(tail, "### SEE ALSO")
		return []byte(head + "### SEE ALSO" + tail)
	}
	var exits strings.Builder
	exits.WriteString("### Exit status\n\n| status | meaning |\n|---|---|\n")
	for _, row := range sortedExits() {
		fmt.Fprintf(&exits, "| %d | %s |\n", row.Status, row.Meaning)
	}
	return insert(page.String(), exits.String()+"\n", "### SEE ALSO")
}

// insert puts a section before another one, or at the end where that is not.
func insert(page, section, before string) []byte {
	head, tail, found := strings.Cut(page, before)
	if found {
		tail = before + tail
	}
	return []byte(strings.TrimRight(head, "\n") + "\n\n" + section + tail)
}

// TestEveryCommandIsDescribed holds the help to a few rules.
func TestEveryCommandIsDescribed(t *testing.T) {
	for cmd := range everyCommand(newRootCmd(&app{env: testEnv(t)})) {
		name := cmd.CommandPath()
		if cmd.Short == "" || cmd.Short[0] < 'a' || cmd.Short[0] > 'z' || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the short description %q is not a phrase in lower case", name, cmd.Short)
		}
		if cmd.Args == nil {
			t.Errorf("%s: it takes any arguments", name)
		}
		for line := range strings.Lines(cmd.Long) {
			if len(strings.TrimRight(line, "\n")) > helpWidth {
				t.Errorf("%s: the line %q is longer than %d characters", name, line, helpWidth)
			}
		}
	}
}

func TestFill(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"one two three four", "one two\nthree four"},
		{"one\ntwo\n\nthree", "one two\n\nthree"},
		{"averyverylongword x", "averyverylongword\nx"},
		{"a list:\n  one two three four\n\n  five six seven eight", "a list:\n  one two three four\n\n  five six seven eight"},
	}
	for _, tt := range tests {
		if got := fill(tt.in, 10); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestHelpShowsTheExitStatuses pins that the table in the code is what the help
// has.
func TestHelpShowsTheExitStatuses(t *testing.T) {
	var out bytes.Buffer
	env := testEnv(t)
	env.Stdout = &out
	if status := Main(context.Background(), []string{"firn", "--help"}, env); status != int(Done) {
		t.Fatalf("status %d", status)
	}
	for _, row := range exitTable {
		if line := fmt.Sprintf("  %3d  %s\n", row.Status, row.Meaning); !strings.Contains(out.String(), line) {
			t.Errorf("the help lacks %q", line)
		}
	}
	if !slices.IsSortedFunc(sortedExits(), func(a, b exitRow) int { return int(a.Status - b.Status) }) {
		t.Error("the statuses are not in order")
	}
}
