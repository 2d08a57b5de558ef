package restore

import (
	"strings"
	"testing"
)

func TestCheckPath(t *testing.T) {
	for _, test := range []struct {
		path          string
		unix, windows bool // whether it is taken there
	}{
		{"a", true, true}, {"a/b", true, true}, {"..a", true, true}, {".a.b", true, true}, {"ü/日", true, true},
		{"console", true, true}, {"com", true, true}, {"com10", true, true}, {"lpt", true, true}, {"a.con", true, true}, {"null", true, true},

		{"", false, false}, {"/", false, false}, {"/a", false, false}, {"a/", false, false}, {"a//b", false, false}, {"//server/share", false, false},
		{".", false, false}, {"..", false, false}, {"../a", false, false}, {"a/../b", false, false}, {"a/..", false, false}, {"a/.", false, false}, {"./a", false, false},
		{"a\x00b", false, false}, {"a\x00/../b", false, false},

		{`a\b`, true, false}, {`..\a`, true, false}, {`a\..\..\b`, true, false}, {`\a`, true, false}, {`\\server\share`, true, false}, {`\\?\c:\a`, true, false},
		{"c:a", true, false}, {`c:\a`, true, false}, {"c:", true, false}, {"dir/c:/a", true, false}, {"a:stream", true, false}, {"a::$DATA", true, false},
		{"a.", true, false}, {"a ", true, false}, {"...", true, false}, {" ", true, false}, {"dir./a", true, false}, {".. /a", true, false},
		{"con", true, false}, {"CON", true, false}, {"dir/Nul.txt", true, false}, {"aux .tar.gz", true, false}, {"com1", true, false}, {"COM¹.log", true, false}, {"lpt9", true, false},
		{"conin$", true, false}, {"prn/a", true, false},
		{"a\nb", true, false}, {"\x1b[2J", true, false}, {"a?", true, false}, {"a*", true, false}, {"<a>", true, false}, {"a|b", true, false}, {`"a"`, true, false},
		{"\xff", true, true}, // escapeName sees to it
	} {
		for system, want := range map[string]bool{"linux": test.unix, "darwin": test.unix, "windows": test.windows} {
			err := checkPathOn(system, test.path)
			if (err == nil) != want {
				t.Errorf("%q on %s: %v", test.path, system, err)
			}
			if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q on %s: a control character in %q", test.path, system, err)
			}
		}
	}
}

// FuzzCheckPath: what is taken on Windows is taken elsewhere too, and has nothing
// in it that Windows would take for more than a name.
func FuzzCheckPath(f *testing.F) {
	for _, p := range []string{"a/b", `a\..\b`, "c:x", "con", "a.", "a:b", "../x", "\x00", "com¹"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if checkPathOn("windows", p) != nil {
			return
		}
		if err := checkPathOn("linux", p); err != nil {
			t.Errorf("%q is taken on Windows alone: %v", p, err)
		}
		for name := range strings.SplitSeq(p, "/") {
			if name == "" || strings.ContainsAny(name, `\:`) || strings.Trim(name, ". ") == "" || strings.TrimRight(name, ". ") != name {
				t.Errorf("%q is taken, with the name %q", p, name)
			}
		}
	})
}
