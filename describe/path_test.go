package describe

import (
	"io/fs"
	"strings"
	"testing"
	"unicode"
)

func TestSafePath(t *testing.T) {
	for p, want := range map[string]string{
		"": "", "/": "", "//": "",
		"a": "a", "a/b/c": "a/b/c", "a/b/": "a/b", "/a": "a", "/a/": "a", "///a": "_/_/a", "a//": "a/_", "a//b": "a/_/b",
		".": "__", "..": "___", "./a": "__/a", "a/.": "a/__", "../../etc/passwd": "___/___/etc/passwd", "/../x": "___/x", "a/../../b": "a/___/___/b",
		"...": "...", "..a": "..a", " ..": " ..", "~": "~", "_": "_", "-rf": "-rf", "C:": "C:", `a\b`: `a\b`, `..\..`: `..\..`, "a:b": "a:b", "%2F": "%2F", "100%": "100%",
		"a\nb": "a%0Ab", "a\x00b": "a%00b", "\t\r\x7f": "%09%0D%7F", "a\u0085": "a%C2%85", "\x1b[2J": "%1B[2J", "\xff/é": "%FF/é", "\xc3": "%C3", "\ufffd": "\ufffd",
		"..\x00/a":               "..%00/a",
		strings.Repeat("x", 255): strings.Repeat("x", 255),
		"语言/日本語/ä ö.txt":         "语言/日本語/ä ö.txt",
	} {
		got, changed := SafePath(p)
		checkSafe(t, p, got, changed)
		if got != want {
			t.Errorf("%q became %q, want %q", p, got, want)
		}
	}
}

// checkSafe holds a path to what SafePath promises.
func checkSafe(t *testing.T, from, safe string, changed bool) {
	t.Helper()
	if changed != (safe != from) {
		t.Errorf("%q became %q, changed: %t", from, safe, changed)
	}
	if safe != "" && (!fs.ValidPath(safe) || safe == "." || strings.ContainsFunc(safe, unicode.IsControl)) {
		t.Errorf("%q became %q, which isn't safe", from, safe)
	}
	for name := range strings.SplitSeq(safe, "/") {
		if len(name) > maxName {
			t.Errorf("%q became %q, with a name of %d bytes", from, safe, len(name))
		}
	}
	if again, changed := SafePath(safe); again != safe || changed {
		t.Errorf("%q became %q, and that %q", from, safe, again)
	}
}

// TestLongNames: a name that is cut keeps its extension, and stays apart from
// others that begin like it.
func TestLongNames(t *testing.T) {
	const want = "~aac810c56ac98bc46aab0b983b777f93"
	if got, _ := SafePath("a/" + strings.Repeat("x", 300) + ".jpg/b"); got != "a/"+strings.Repeat("x", 255-len(want)-len(".jpg"))+want+".jpg/b" {
		t.Errorf("a long name is cut to %q", got)
	}
	seen := map[string]string{}
	for _, letter := range []string{"x", "語", "\n", "é"} {
		for _, end := range []string{"", "1", "2", ".jpg", ".tar.gz", "." + strings.Repeat("y", 20)} {
			name := strings.Repeat(letter, 255) + end
			safe, changed := SafePath("dir/" + name)
			checkSafe(t, "dir/"+name, safe, changed)
			if other, ok := seen[safe]; ok && other != name {
				t.Errorf("%q and %q both become %q", name, other, safe)
			}
			seen[safe] = name
			if len(end) < 16 && strings.HasPrefix(end, ".") && !strings.HasSuffix(safe, end[strings.LastIndexByte(end, '.'):]) {
				t.Errorf("%q has lost its extension: %q", name, safe)
			}
			if len(name) > maxName && len(safe) < len("dir/")+maxName-4 {
				t.Errorf("%q is cut to %d bytes: %q", name, len(safe), safe)
			}
		}
	}
}

func TestFromWindows(t *testing.T) {
	for p, want := range map[string]string{
		"": "", "a": "a", "a/b": "a/b", `a\b\c`: "a/b/c", `dir\`: "dir/",
		`c:\dir\f`: "c/dir/f", "C:/dir/f": "C/dir/f", "c:": "c", `c:\`: "c/", `\dir\f`: "/dir/f", "/dir/f": "/dir/f",
		`\\server\share\f`: "server/share/f", "//server/share/f": "server/share/f", `\\server`: "server", `\\`: "",
		`\\?\c:\dir\f`: "c/dir/f", `\\?\UNC\server\share\f`: "server/share/f", `\\.\c:\f`: "c/f",
		"CBB_HOST/C:/dir/f": "CBB_HOST/C/dir/f", "bucket/ab:/f": "bucket/ab:/f", "1:/f": "1:/f", "a:b/f": "a:b/f",
		`..\..\x`: "../../x",
	} {
		if got := FromWindows(p); got != want {
			t.Errorf("%q is %q, want %q", p, got, want)
		}
	}
}

// TestArchiveSafePath: whether a backslash separates names depends on who wrote
// them.
func TestArchiveSafePath(t *testing.T) {
	for _, tt := range []struct {
		a    Archive
		want string
	}{
		{Archive{Format: CloudBerry, Path: `c:\dir\f`}, "c/dir/f"},
		{Archive{Format: CloudBerry, Path: `\\nas\share\..\f`}, "nas/share/___/f"},
		{Archive{Format: FastGlacier, Path: `..\a`}, "___/a"},
		{Archive{Format: FastGlacier, Kind: Folder, Path: `dir\`}, "dir"},
		{Archive{Format: FastGlacier, Path: "/sample/1234.pdf"}, "sample/1234.pdf"},
		{Archive{Format: FastGlacier, Path: "RENDERFARM5/B:/one"}, "RENDERFARM5/B/one"},
		{Archive{Format: Plain, Path: `c:\dir\f`}, "c/dir/f"},
		{Archive{Format: Plain, Path: `\\nas\f`}, "nas/f"},
		{Archive{Format: Plain, Path: `a\b`}, `a\b`},
		{Archive{Format: Plain, Path: `\`}, `\`},
		{Archive{Format: Plain, Path: "c:/dir"}, "c:/dir"},
		{Archive{Format: MT2, Path: `\\..\a`}, `\\..\a`},
		{Archive{Format: MT2, Path: "../a"}, "___/a"},
		{Archive{Format: Firn, Path: "a/b"}, "a/b"},
		{Archive{Format: GlacierSync}, ""},
	} {
		if got, changed := tt.a.SafePath(); got != tt.want || changed != (got != tt.a.Path) {
			t.Errorf("%s %q is %q, %t; want %q", tt.a.Format, tt.a.Path, got, changed, tt.want)
		}
	}
}

// FuzzSafePath: nothing leads out of a folder, or to a terminal's control.
func FuzzSafePath(f *testing.F) {
	for _, p := range []string{"", "/", ".", "../a", "a//b", `c:\dir\..\f`, `\\?\UNC\..\..\f`, "a\x00\n\u0085\xff", strings.Repeat("é", 200) + ".txt", "a/.//../", "\\\\./.."} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		safe, changed := SafePath(p)
		checkSafe(t, p, safe, changed)
		for _, format := range []Format{MT2, FastGlacier, CloudBerry, Plain} {
			safe, changed := Archive{Format: format, Path: p}.SafePath()
			checkSafe(t, p, safe, changed)
		}
		if names := strings.Count(strings.Trim(p, "/"), "/"); names == strings.Count(p, "/") && strings.Count(safe, "/") != names {
			t.Errorf("%q became %q, with another number of names", p, safe)
		}
	})
}

func BenchmarkSafePath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		SafePath("photos/2012/IMG_0001.jpg")
	}
}
