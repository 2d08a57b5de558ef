package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/testprog"
	"github.com/firn-archive/firn/treehash"
)

const (
	docsDir     = "../../docs"
	fromPages   = docsDir + "/from-*.md"
	fromScripts = "testdata/from/*.txtar"
)

// A pageBlock is what a page has its readers type into a shell.
type pageBlock struct {
	part string // of the page, which is typed in one shell: what follows "part=" in the fence
	text string
}

var (
	fence     = regexp.MustCompile("(?ms)^```(\\w*) ?(.*?)\n(.*?)^```$")
	inlineRun = regexp.MustCompile("`(firn [a-z][^`]*)`")
)

// pageBlocks gives the blocks of a page.
func pageBlocks(page string) (blocks []pageBlock) {
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		if m[1] == "bash" || m[1] == "sh" {
			part, _ := strings.CutPrefix(m[2], "part=")
			blocks = append(blocks, pageBlock{part, m[3]})
		}
	}
	return blocks
}

// TestFromPages types what the pages for users of older programs tell them to type,
// as it stands, where these programs have left what they leave: each script makes that,
// and looks at what has come of it. Beside the commands of TestScripts there is
//
//	page PAGE PART    types that part of docs/PAGE into one shell, which must not fail
//	begun VAULT DESCRIPTION FILE N...    opens an upload of the file, and sends the
//	                  parts N of it, each of 1 MiB, as a program does that is killed then
func TestFromPages(t *testing.T) {
	if testing.Short() {
		t.Skip("one program after the other")
	}
	testprog.Need(t, "bash")
	testprog.Need(t, "sqlite3")
	files, err := filepath.Glob(fromScripts)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts match %s: %v", fromScripts, err)
	}
	runScripts(t, files, map[string]func(*testscript.TestScript, bool, []string){"page": typePage, "begun": beginUpload})
}

func beginUpload(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: begun VAULT DESCRIPTION FILE N...")
	}
	ctx := context.Background()
	v, err := glacier.Open(ctx, glacier.Config{
		Vault: args[0], Region: ts.Getenv("AWS_REGION"), Endpoint: ts.Getenv("ENDPOINT"),
		Credentials: glacier.StaticCredentials(ts.Getenv("AWS_ACCESS_KEY_ID"), ts.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	})
	ts.Check(err)
	defer v.Close()
	id, err := v.StartUpload(ctx, args[1], partMiB)
	ts.Check(err)
	data := []byte(ts.ReadFile(args[2]))
	for _, arg := range args[3:] {
		n, err := strconv.Atoi(arg)
		ts.Check(err)
		piece := data[n*partMiB : min(len(data), (n+1)*partMiB)]
		sums := treehash.NewDouble()
		sums.Write(piece)
		ts.Check(v.UploadPart(ctx, id, int64(n)*partMiB, io.NewSectionReader(bytes.NewReader(piece), 0, int64(len(piece))), sums.Sums()))
	}
}

func typePage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: page PAGE PART")
	}
	page, err := os.ReadFile(filepath.Join(docsDir, args[0]))
	ts.Check(err)
	var script strings.Builder
	for _, b := range pageBlocks(string(page)) {
		if b.part == args[1] {
			script.WriteString(b.text)
		}
	}
	if script.Len() == 0 {
		ts.Fatalf("%s has no part %s", args[0], args[1])
	}
	ts.Check(ts.Exec("bash", "-e", "-o", "pipefail", "-x", "-c", script.String()))
}

// TestFromPagesAreTyped: no block of these pages is left out, and what firn's commands
// are called in their tables and texts is typed in one of their blocks, too, with all
// its options.
func TestFromPagesAreTyped(t *testing.T) {
	scripts, err := filepath.Glob(fromScripts)
	if err != nil {
		t.Fatal(err)
	}
	var typed strings.Builder
	for _, name := range scripts {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		typed.Write(data)
	}
	pages, err := filepath.Glob(fromPages)
	if err != nil || len(pages) < 4 {
		t.Fatalf("the pages are %v, %v", pages, err)
	}
	for _, name := range pages {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		checkTyped(t, filepath.Base(name), string(data), typed.String())
	}
}

func checkTyped(t *testing.T, page, text, scripts string) {
	t.Helper()
	var calls []firnCall
	blocks := pageBlocks(text)
	if len(blocks) == 0 {
		t.Errorf("%s has nothing to type", page)
	}
	for _, b := range blocks {
		if b.part == "" || !strings.Contains(scripts, "\npage "+page+" "+b.part+"\n") {
			t.Errorf("%s: no script types the part %q:\n%s", page, b.part, b.text)
		}
		calls = append(calls, callsIn(t, b.text)...)
	}
	for _, m := range inlineRun.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		for _, want := range callsIn(t, m[1]) {
			if !slices.ContainsFunc(calls, want.isIn) {
				t.Errorf("%s: `%s` is in no block", page, m[1])
			}
		}
	}
}

// A firnCall is a command of firn's, and the options that it is given.
type firnCall struct {
	command string
	options []string
}

// isIn reports whether another call is of the same command, or one below it, and has
// these options.
func (c firnCall) isIn(other firnCall) bool {
	return strings.HasPrefix(other.command+" ", c.command+" ") && !slices.ContainsFunc(c.options, func(o string) bool { return !slices.Contains(other.options, o) })
}

var (
	called   = regexp.MustCompile(`\bfirn( [^|;&)#\n]*)`)
	isOption = regexp.MustCompile(`^(--?[a-z][a-z-]*)`)
)

// callsIn finds the commands of firn's in a text for a shell. Those of the older programs
// are theirs.
func callsIn(t *testing.T, text string) (calls []firnCall) {
	t.Helper()
	root := newRootCmd(&app{env: testEnv(t)})
	for _, m := range called.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
		words := strings.Fields(m[1])
		cmd, _, err := root.Find(words)
		if err != nil || cmd == root {
			t.Errorf("%q: there is no such command: %v", m[0], err)
			continue
		}
		call := firnCall{command: cmd.CommandPath()}
		for _, word := range words {
			if o := isOption.FindString(word); o != "" && !cmd.DisableFlagParsing {
				call.options = append(call.options, longOption(t, cmd, o))
			}
		}
		calls = append(calls, call)
	}
	return calls
}

// longOption gives the whole name of an option, which the command must have.
func longOption(t *testing.T, cmd *cobra.Command, option string) string {
	t.Helper()
	flag := cmd.Flag(strings.TrimLeft(option, "-"))
	if !strings.HasPrefix(option, "--") {
		flag = cmd.Flags().ShorthandLookup(option[1:])
	}
	if flag == nil {
		t.Errorf("%s has no option %s", cmd.CommandPath(), option)
		return option
	}
	return flag.Name
}
