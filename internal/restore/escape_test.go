package restore

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// systems have rules of their own; others have those of Linux.
var systems = []string{"linux", "darwin", "windows"}

func TestEscapeName(t *testing.T) {
	const same = "="
	for _, test := range []struct{ name, linux, darwin, windows string }{
		{"a", same, same, same}, {"ü 日", same, same, same}, {"..a", same, same, same}, {".hidden", same, same, same}, {"100%", same, same, same},
		{"my%20file", same, same, same}, {"a%3Ab", same, same, same}, {"%", same, same, same}, {"console", same, same, same}, {"a.con", same, same, same},
		{"-rf", same, same, same}, {"~", same, same, same}, {"\u202egnp.exe", same, same, same}, {"\x7f", same, same, same},

		{"", "%", "%", "%"}, {".", "%2E", "%2E", "%2E"}, {"..", "%2E%2E", "%2E%2E", "%2E%2E"},
		{"a\x00b", "a%00b", "a%00b", "a%00b"}, {"a/b", "a%2Fb", "a%2Fb", "a%2Fb"}, {"/", "%2F", "%2F", "%2F"}, {"50%\x00", "50%25%00", "50%25%00", "50%25%00"},

		{"...", same, same, "..%2E"}, {"a.", same, same, "a%2E"}, {"a ", same, same, "a%20"}, {"a. .", same, same, "a. %2E"}, {" ", same, same, "%20"}, {".. ", same, same, "..%20"},
		{"a:b", same, same, "a%3Ab"}, {`a\b`, same, same, "a%5Cb"}, {`..\x`, same, same, "..%5Cx"}, {`<>:"|?*`, same, same, "%3C%3E%3A%22%7C%3F%2A"},
		{"new\nline", same, same, "new%0Aline"}, {"100%:", same, same, "100%25%3A"}, {"c:", same, same, "c%3A"},
		{"con", same, same, "%63on"}, {"NUL.txt", same, same, "%4EUL.txt"}, {"aux .tar.gz", same, same, "%61ux .tar.gz"}, {"COM¹", same, same, "%43OM¹"}, {"conin$", same, same, "%63onin$"},

		{"\xff", same, "%FF", "%FF"}, {"caf\xe9", same, "caf%E9", "caf%E9"}, {"100% caf\xe9", same, "100%25 caf%E9", "100%25 caf%E9"},
		// Halves of pairs, which Windows has in names; and a pair that is none.
		{"\xed\xa0\x80", same, "%ED%A0%80", same}, {"a\xed\xb0\x80b", same, "a%ED%B0%80b", same}, {"\xed\xa0\x80\xed\xb0\x80", same, "%ED%A0%80%ED%B0%80", "\xed\xa0\x80%ED%B0%80"},

		{".firn-restore.part", "%2Efirn-restore.part", "%2Efirn-restore.part", "%2Efirn-restore.part"},
		{tempName("x"), "%2E" + tempName("x")[1:], "%2E" + tempName("x")[1:], "%2E" + tempName("x")[1:]},
		{".firn-notes.part", same, same, same},
	} {
		for i, want := range []string{test.linux, test.darwin, test.windows} {
			if want == same {
				want = test.name
			}
			got, changed := escapeNameOn(systems[i], test.name)
			if got != want || changed != (got != test.name) {
				t.Errorf("%q on %s: %q, %v, want %q", test.name, systems[i], got, changed, want)
			}
		}
	}
}

// TestLongNames are cut at the border of a character, and told apart by a hash of
// all of it.
func TestLongNames(t *testing.T) {
	hash := func(name string) string {
		sum := sha256.Sum256([]byte(name))
		return fmt.Sprintf("~%x", sum[:4])
	}
	a := strings.Repeat("a", 400)
	wide, wider, broken := strings.Repeat("日", 100), strings.Repeat("😀", 128), strings.Repeat("\xff", 300)
	colons := strings.Repeat(":", 100)
	for _, test := range []struct{ system, name, want string }{
		{"linux", a[:255], a[:255]}, {"linux", a[:256], a[:246] + hash(a[:256])}, {"linux", a, a[:246] + hash(a)},
		{"linux", wide, wide[:246] + hash(wide)}, {"linux", "x" + wide, ("x" + wide)[:244] + hash("x"+wide)},
		{"linux", broken, broken[:246] + hash(broken)},
		{"windows", wide, wide}, {"windows", strings.Repeat("日", 256), strings.Repeat("日", 246) + hash(strings.Repeat("日", 256))},
		{"windows", wider, wider[:4*123] + hash(wider)}, {"windows", wider[:4*127], wider[:4*127]},
		{"windows", colons, strings.Repeat("%3A", 82) + hash(colons)}, {"windows", "x" + colons, "x" + strings.Repeat("%3A", 81) + hash("x"+colons)},
		{"darwin", broken, strings.Repeat("%FF", 82) + hash(broken)},
	} {
		got, changed := escapeNameOn(test.system, test.name)
		if got != test.want || changed != (got != test.name) {
			t.Errorf("%d bytes on %s: %q, %v, want %q", len(test.name), test.system, got, changed, test.want)
		}
	}
	huge := strings.Repeat("日:", 1<<20)
	for _, system := range systems {
		if got, _ := escapeNameOn(system, huge); nameLength(system, got) > longestName {
			t.Errorf("%d on %s", nameLength(system, got), system)
		}
	}
}

func TestNamesApart(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, test := range []struct{ got, want string }{
		{apartName("a%3Ab", "a:b"), "a%3Ab~" + fmt.Sprintf("%x", sha256.Sum256([]byte("a:b")))[:8]},
		{besideName("both"), "both~" + fmt.Sprintf("%x", sha256.Sum256([]byte("both")))[:8]},
		{besideName("dir/both"), "dir/both~" + fmt.Sprintf("%x", sha256.Sum256([]byte("dir/both")))[:8]},
		{besideName("d/" + long), "d/" + long[:246] + "~" + fmt.Sprintf("%x", sha256.Sum256([]byte("d/"+long)))[:8]},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

// FuzzEscapeName: whatever the name is, what comes is one name that the system
// can hold, it stays what it is when it is escaped again, and it tells what the
// name was, unless it was cut. Two names become one only where one of them is as
// the other's escaped.
func FuzzEscapeName(f *testing.F) {
	for _, pair := range [][2]string{
		{"", "%"}, {"..", "%2E%2E"}, {"a\x00", "a%00"}, {"a:b", "a%3Ab"}, {"con", "%63on"}, {"a.", "a%2E"}, {"a%3Ab", "a%253Ab"}, {"a%:", "a%25%3A"},
		{"\xff", "%FF"}, {"\xed\xa0\x80", "\xed\xb0\x80"}, {"/etc/passwd", "../x"}, {".firn-restore.part", "%2Efirn-restore.part"}, {strings.Repeat("é:", 200), strings.Repeat("é:", 201)},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, system := range systems {
			safeA, changedA := escapeNameOn(system, a)
			safeB, changedB := escapeNameOn(system, b)
			checkEscaped(t, system, a, safeA, changedA)
			checkEscaped(t, system, b, safeB, changedB)
			cut := nameLength(system, a) > longestName/4
			if a != b && safeA == safeB && changedA == changedB && !cut {
				t.Errorf("%q and %q are both %q on %s", a, b, safeA, system)
			}
		}
	})
}

func checkEscaped(t *testing.T, system, name, safe string, changed bool) {
	t.Helper()
	if changed != (safe != name) {
		t.Errorf("%q is %q on %s: changed %v", name, safe, system, changed)
	}
	if err := checkPathOn(system, safe); err != nil || strings.Contains(safe, "/") || nameLength(system, safe) > longestName {
		t.Errorf("%q is %q on %s, of %d: %v", name, safe, system, nameLength(system, safe), err)
	}
	if system == "darwin" && !utf8.ValidString(safe) {
		t.Errorf("%q is %q on %s", name, safe, system)
	}
	if again, changed := escapeNameOn(system, safe); changed {
		t.Errorf("%q is %q on %s, and then %q", name, safe, system, again)
	}
	if cut := nameLength(system, name) > longestName/4; changed && !cut && unescaped(t, safe) != name {
		t.Errorf("%q is %q on %s, and back %q", name, safe, system, unescaped(t, safe))
	}
}

// unescaped gives the name that was escaped, if it wasn't cut.
func unescaped(t *testing.T, safe string) string {
	if safe == "%" {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(safe); i++ {
		if safe[i] != '%' {
			b.WriteByte(safe[i])
			continue
		}
		c, err := strconv.ParseUint(safe[i+1:i+3], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String()
}
