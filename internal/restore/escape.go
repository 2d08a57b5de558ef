package restore

import (
	"crypto/sha256"
	"fmt"
	"path"
	"runtime"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/firn-archive/firn/internal/filter"
)

// Names that the system can't hold are escaped: what it refuses is written as %
// and two hex digits a byte, and so is each % of a name in which anything is. A
// name that is too long is cut, and ends with ~ and a part of its hash. It is
// the same each time, so that the next run finds the file in its place.
//
// Where names escaped and names as they are meet, which takes a name that looks
// escaped already, apartName tells them apart.

// longestName is how long a name may be: of ext4, XFS, Btrfs and APFS in bytes
// of UTF-8, of NTFS in units of UTF-16.
const longestName = 255

// escapeName gives the name by which the system can hold what has a name, and
// whether it is another one. It stands for a name in the same folder, whatever
// the name is.
func escapeName(name string) (safe string, changed bool) { return escapeNameOn(runtime.GOOS, name) }

// escapeNameOn is escapeName by the rules of a system, as GOOS names it.
func escapeNameOn(system, name string) (safe string, changed bool) {
	if name == "" {
		return "%", true // which no other name is escaped to
	}
	safe = escapeBytes(name, refusedIn(system, name))
	if nameLength(system, safe) > longestName {
		return hashName(system, safe, name), true
	}
	return safe, safe != name
}

// escapeBytes writes the bytes at which refused is true as %XX, and if there
// are any, each % too.
func escapeBytes(name string, refused func(i int) bool) string {
	any := false
	for i := range len(name) {
		any = any || refused(i)
	}
	if !any {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if name[i] == '%' || refused(i) {
			fmt.Fprintf(&b, "%%%02X", name[i])
		} else {
			b.WriteByte(name[i])
		}
	}
	return b.String()
}

// refusedIn tells which bytes of a name keep a system from holding it, or from
// taking it for what it is.
func refusedIn(system, name string) func(i int) bool {
	valid := func(int) bool { return true }
	switch {
	case name == "." || name == "..":
		return func(int) bool { return true }
	case filter.IsUnfinished([]byte(name)): // it would be taken for a leftover
		return func(i int) bool { return i == 0 }
	case system == "darwin":
		// APFS holds UTF-8 only. Source: developer.apple.com, "About Apple File
		// System", "How does APFS handle filenames?"
		valid = validIn(name, false)
	case system == "windows":
		valid = validIn(name, true)
		device := isDevice(name)
		return func(i int) bool {
			last := i == len(name)-1 && (name[i] == '.' || name[i] == ' ')
			return last || i == 0 && device || hasMeaning(name[i]) || !valid(i)
		}
	}
	return func(i int) bool { return name[i] == 0 || name[i] == '/' || !valid(i) }
}

// validIn tells which bytes of a name belong to a character of UTF-8. Windows
// has halves of surrogate pairs in its names too; Go writes them as three bytes
// each, and a pair as one character.
func validIn(name string, halves bool) func(i int) bool {
	if utf8.ValidString(name) {
		return func(int) bool { return true }
	}
	bad := make([]bool, len(name))
	for i, afterHigh := 0, false; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		half := halves && isHalf(name[i:])
		low := half && name[i+1] >= 0xb0
		switch {
		case half && !(low && afterHigh):
			n = 3
		case r == utf8.RuneError && n == 1:
			bad[i] = true
		}
		afterHigh = half && !low
		i += n
	}
	return func(i int) bool { return !bad[i] }
}

// isHalf reports whether a name begins with half a surrogate pair, U+D800 to
// U+DFFF.
func isHalf(s string) bool {
	return len(s) >= 3 && s[0] == 0xed && s[1] >= 0xa0 && s[1] <= 0xbf && s[2] >= 0x80 && s[2] <= 0xbf
}

// nameLength is how long a system finds a name.
func nameLength(system, name string) int {
	if system != "windows" {
		return len(name)
	}
	n := 0
	for _, r := range name {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// hashName ends a name with ~ and 8 hex digits of the SHA-256 of what it stands
// for, and cuts it at the border of a character where that is too long.
func hashName(system, name, of string) string {
	sum := sha256.Sum256([]byte(of))
	mark := fmt.Sprintf("~%x", sum[:4])
	for n := nameLength(system, name) + len(mark); n > longestName; {
		last := lastCharacter(name)
		n -= nameLength(system, name[last:])
		name = name[:last]
	}
	return name + mark
}

// lastCharacter is where the last character of a name begins, or the escape
// that it ends with.
func lastCharacter(name string) int {
	if n := len(name); n >= 3 && name[n-3] == '%' {
		return n - 3
	}
	_, n := utf8.DecodeLastRuneInString(name)
	return len(name) - n
}

// apartName gives the name that an escaped one gets where another entry of the
// folder has that as its own; name is what was escaped.
func apartName(safe, name string) string { return hashName(runtime.GOOS, safe, name) }

// besideName gives the path that a file gets where a folder has its own.
func besideName(p string) string {
	dir, name := path.Split(p)
	return dir + hashName(runtime.GOOS, name, p)
}
