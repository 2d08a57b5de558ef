package filter

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/testprog"
)

func mustRead(t testing.TB, lines string) []Pattern {
	t.Helper()
	patterns, err := ReadPatterns(strings.NewReader(lines), "list")
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return patterns
}

// fileAt gives an entry of a tree; a path that ends with a slash is a
// directory's.
func fileAt(p string) *firn.File {
	if dir, ok := strings.CutSuffix(p, "/"); ok {
		return &firn.File{Path: dir, Kind: firn.Directory}
	}
	return &firn.File{Path: p, Kind: firn.Regular}
}

// TestPatterns has the rules and examples of gitignore(5), by its paragraphs.
func TestPatterns(t *testing.T) {
	tests := []struct{ name, lines, out, kept string }{
		{"no pattern", "\n  \n#a\n", "", "a #a"},
		{"hash and exclamation mark", "\\#a\n\\!b\n", "#a !b", "a b \\#a"},
		{"blanks at the end", "a  \nb\\ \n", "a b\u0020", "b"},
		{"negation", "*.o\n!keep.o\n", "a.o x/b.o", "keep.o x/keep.o"},
		{"negation below what is left out", "dir/\n!dir/keep\n", "dir/ dir/keep", ""},
		{"the last pattern decides", "!a\na\nb\n!b\n", "a", "b"},
		{"a slash anchors", "/a\nb/c\n", "a b/c", "x/a x/b/c"},
		{"a slash at the end doesn't", "a/\n", "a/ x/a/", "b/"},
		{"only directories", "a/\n", "a/ a/b", "b/a"},
		{"doc/frotz/", "doc/frotz/\n", "doc/frotz/", "a/doc/frotz/"},
		{"frotz/", "frotz/\n", "frotz/ a/frotz/", "a/b"},
		{"foo/*", "foo/*\n", "foo/test.json foo/bar/ foo/bar/hello.c", "foo/ x/foo/bar"},
		{"hello.*", "hello.*\n", "hello.txt a/hello.java", "hello hellox.c"},
		{"/hello.*", "/hello.*\n", "hello.txt hello.c", "a/hello.java"},
		{"asterisks and question marks", "a*c\nx?z\n", "ac abc abbc xyz xяz", "ab/c xz x/z xyyz"},
		{"ranges", "[a-c]x\n[!0-9]y\n[^0-9]z\n", "ax cx ay az", "dx 1y 1z /x"},
		{"odd sets", "[]]a\n[]-]b\n[a-]c\n[\\]x]d\n[[:digit:]x]e\n[!]]f\n", "]a ]b -b ac -c ]d xd 0e xe gf", "xa xb bc \\d ae ]f"},
		{"sets that only look like classes", "[[:]]a\n[[:x]b\n", ":]a []a xb :b [b", ":a xa cb"},
		{"classes", "[[:upper:]][[:space:]][[:xdigit:]]\n[[:punct:]][[:blank:]][[:cntrl:]]\n", "A\tf !\t\x01", "a\tf A\tg a\t\x01"},
		{"sets take no slash", "a[!x]b\n", "ayb", "a/b axb"},
		{"backslash", "\\*\na\\?\n\\\\b\n", "* a? \\b", "x ax b"},
		{"**/ leads", "**/foo\n**/bar/baz\n", "foo a/foo a/b/foo bar/baz x/bar/baz", "a/fo bar/x/baz"},
		{"/** ends", "abc/**\n", "abc/x abc/x/y", "abc/ abc x/abc/y"},
		{"/**/ between", "a/**/b\n", "a/b a/x/b a/x/y/b", "ab a/xb xa/b b"},
		{"/**/ twice", "a/**/**/b\n", "a/b a/x/b a/x/y/b", "ab"},
		{"other asterisks", "a**b\nc/d**e\n***/f\n", "ab axb x/axb c/de c/dxe f x/y/f", "a/b c/d/e"},
		{"** alone", "**\n", "a a/ a/b", ""},
		{"all but one folder", "/*\n!/foo\n/foo/*\n!/foo/bar\n", "a x/ foo/a foo/b/", "foo/ foo/bar/ foo/bar/x"},
		{"no UTF-8", "\xff*\n", "\xffa", "\xfea"},
		{"nothing", "/\n!\n!/\n", "", "a b/"},
		{"a file from Windows", "\ufeffa\r\nb\r\n", "a b", "a\r"},
		{"no newline at the end", "a\nb", "a b", "c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := New(Options{Patterns: mustRead(t, tt.lines)})
			for _, p := range splitPaths(tt.out) {
				if !f.Covers(fileAt(p)) {
					t.Errorf("%q is kept", p)
				}
			}
			for _, p := range splitPaths(tt.kept) {
				if f.Covers(fileAt(p)) {
					t.Errorf("%q is left out: %s", p, f.Judge(fileAt(p)).Reason)
				}
			}
		})
	}
}

// splitPaths splits at blanks, of which one at the end belongs to the last.
func splitPaths(s string) []string {
	last, more := strings.CutSuffix(s, " ")
	paths := strings.FieldsFunc(last, func(r rune) bool { return r == ' ' })
	if more {
		paths[len(paths)-1] += " "
	}
	return paths
}

// TestPatternErrors: what git takes in silence as matching nothing is refused,
// with its place.
func TestPatternErrors(t *testing.T) {
	for lines, want := range map[string]string{
		"a\n\n[b\n":                            "line 3 of list: a [ is never closed",
		"[":                                    "line 1 of list: a [ is never closed",
		"[]":                                   "line 1 of list: a [ is never closed",
		"[a-":                                  "line 1 of list: a [ is never closed",
		"[a\\":                                 "line 1 of list: nothing follows the \\",
		"[[:alpha":                             "line 1 of list: a [ is never closed",
		"[[:letter:]]":                         "line 1 of list: there is no class [:letter:]",
		"[[::]]":                               "line 1 of list: there is no class [::]",
		"a\\":                                  "line 1 of list: nothing follows the \\",
		"a\\\\\\":                              "line 1 of list: nothing follows the \\",
		"x/[a/b":                               "line 1 of list: a [ is never closed",
		"\x7fELF\x00\n":                        "list is no list of patterns",
		strings.Repeat("a\n", maxPatterns/2+1): "list is no list of patterns",
	} {
		if _, err := ReadPatterns(strings.NewReader(lines), "list"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", lines, err, want)
		}
	}
}

// TestPatternsLikeGit: git itself leaves out the same files of a tree.
func TestPatternsLikeGit(t *testing.T) {
	git := testprog.Need(t, "git")
	paths := growForGit(t)
	root := paths.root
	component := rapid.OneOf(
		// Not a** before a slash: there git compares the a by itself, takes what
		// is left for a ** between slashes, and so for more than its manual says.
		rapid.StringMatching(`[ab*?]{0,2}[ab?]|[ab?]?\*`),
		rapid.SampledFrom([]string{"**", "***", "a", "b", "*a", "a*", "[ab]", "[!a]", "[^b]?", `\a`, `\*`, "[a-b]*", "[]a]", "a**b"}),
	)
	line := rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(component, 1, 3).Draw(t, "components"), "/")
		return rapid.SampledFrom([]string{"", "", "!", "/", "!/"}).Draw(t, "before") + s + rapid.SampledFrom([]string{"", "", "/", " "}).Draw(t, "after")
	})
	rapid.Check(t, func(t *rapid.T) {
		lines := strings.Join(rapid.SliceOfN(line, 1, 4).Draw(t, "lines"), "\n")
		if err := os.WriteFile(filepath.Join(root, ".git/info/exclude"), []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		patterns, err := ReadPatterns(strings.NewReader(lines), "list")
		if err != nil {
			t.Fatal(err)
		}
		f := New(Options{Patterns: patterns})
		var got []string
		for _, p := range paths.all {
			if f.Covers(fileAt(p)) {
				got = append(got, strings.TrimSuffix(p, "/"))
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(paths.ignoredBy(t, git), got); diff != "" {
			t.Errorf("%q leaves out (-git +firn):\n%s", lines, diff)
		}
	})
}

// A gitTree is a repository with files that git knows nothing of.
type gitTree struct {
	root string
	all  []string // directories end with a slash
}

// growForGit makes every path of up to three components of a few names.
func growForGit(t *testing.T) gitTree {
	tree := gitTree{root: t.TempDir()}
	names := []string{"a", "b", "ab", "ba"}
	var grow func(dir string, depth int)
	grow = func(dir string, depth int) {
		for _, name := range names {
			file, sub := path.Join(dir, name+"f"), path.Join(dir, name)
			tree.all = append(tree.all, file, sub+"/")
			if err := os.MkdirAll(filepath.Join(tree.root, sub), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(tree.root, file), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if depth > 1 {
				grow(sub, depth-1)
			}
		}
	}
	grow("", 3)
	for _, dir := range []string{"objects", "refs", "info"} {
		if err := os.MkdirAll(filepath.Join(tree.root, ".git", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tree.root, ".git/HEAD"), []byte("ref: refs/heads/main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return tree
}

// ignoredBy asks git.
func (g gitTree) ignoredBy(t *rapid.T, git string) []string {
	cmd := exec.Command(git, "-c", "core.excludesFile=", "check-ignore", "--stdin", "-z", "--no-index")
	cmd.Dir = g.root
	cmd.Env = []string{"HOME=" + g.root, "GIT_CONFIG_NOSYSTEM=1"}
	var in strings.Builder
	for _, p := range g.all {
		in.WriteString(strings.TrimSuffix(p, "/") + "\x00")
	}
	cmd.Stdin = strings.NewReader(in.String())
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != 1 { // 1: nothing is ignored
		t.Fatalf("git check-ignore: %v\n%s", err, errors.String())
	}
	var ignored []string
	for p := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if p != "" {
			ignored = append(ignored, p)
		}
	}
	slices.Sort(ignored)
	return ignored
}

func FuzzReadPatterns(f *testing.F) {
	for _, s := range []string{"*.o\n!keep.o", "[[:]]\n[[:a]", "/a/**/b/\r\n", "[]-]x[!a-z[:digit:]]\\ ", "\\", "[", "***/\n**", "a\\/b", "#\n\\#"} {
		f.Add([]byte(s), "a/b/é\xff")
	}
	f.Fuzz(func(t *testing.T, lines []byte, p string) {
		patterns, err := ReadPatterns(bytes.NewReader(lines), "list")
		if err != nil {
			return
		}
		flt := New(Options{Patterns: patterns})
		for _, file := range []*firn.File{fileAt(strings.Trim(p, "/")), fileAt(strings.Trim(p, "/") + "/")} {
			if file.Path == "" {
				continue
			}
			// What is left out has a reason, and what is below it is left out too.
			v := flt.Judge(file)
			if v.Leave != (v.Reason != "") {
				t.Errorf("%q: %+v", file.Path, v)
			}
			if v.Leave && file.Kind == firn.Directory && !flt.Covers(fileAt(file.Path+"/below")) {
				t.Errorf("%q is left out, and what is below isn't", file.Path)
			}
		}
	})
}
