package mtjournal

import (
	"regexp"
	"strings"
	"testing"
)

// The names of mt-aws-glacier's own test, t/unit/journal_sanity.t.
var (
	goodNames = []string{
		"a", "a/b/c", " a/ b /c", "0", "0/0", " 0", "тест/test", "ф..b", "a..", "..a", " ..", ".. ", ". ", " .", "...",
		`\\`, `\\..\a`, "a/",
	}
	badNames = []string{
		"", "/", "//", ".", "/.", "./", "a/./b/./", "a/./b/.", "/a", "/ф/ф", "/a ", "../etc/password", "/../x", "..", "../",
		"a\nb", "a\rb", "a\tb", "//a",
	}
)

func TestValidName(t *testing.T) {
	for _, name := range goodNames {
		if !ValidName(name) {
			t.Errorf("ValidName(%q) = false", name)
		}
	}
	for _, name := range badNames {
		if ValidName(name) {
			t.Errorf("ValidName(%q) = true", name)
		}
	}
}

// TestValidNamesJoined: names joined by a slash are valid if they all are, and
// characters that are forbidden spoil a name wherever they stand.
func TestValidNamesJoined(t *testing.T) {
	var checked int
	check := func(name string, want bool) {
		checked++
		if ValidName(name) != want {
			t.Errorf("ValidName(%q) = %v", name, !want)
		}
	}
	for _, a := range goodNames {
		for _, b := range goodNames {
			check(a+"/"+b, !strings.HasSuffix(a, "/"))
			check(a+"//"+b, false)
			check("/"+a+"/"+b, false)
			for _, part := range []string{".", ".."} {
				check(a+"/"+part+"/"+b, false)
				check(part+"/"+a, false)
				check(a+"/"+part, false)
				check(a+part+b, true)
			}
			for _, c := range []string{"\t", "\r", "\n"} {
				check(a+c+b, false)
				check(c+a, false)
				check(a+c, false)
			}
		}
	}
	if checked < 5000 {
		t.Errorf("only %d names were checked", checked)
	}
}

// badName is what is wrong with a name, said in another way than by ValidName.
var badName = regexp.MustCompile(`^$|[\r\n\t]|^/|//|(?:^|/)\.\.?(?:/|$)`)

func FuzzValidName(f *testing.F) {
	for _, name := range append(goodNames, badNames...) {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := ValidName(name), !badName.MatchString(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	})
}
