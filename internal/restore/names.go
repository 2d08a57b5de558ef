package restore

import (
	"fmt"
	"runtime"
	"strings"
)

// checkPath refuses paths that would lead elsewhere than where they say, or
// stand for something else than a file. No sync of this system records them,
// but another system's might, and a damaged or hostile catalog hold them:
// escapeName makes names of theirs that aren't refused.
func checkPath(p string) error { return checkPathOn(runtime.GOOS, p) }

// checkPathOn is checkPath by the rules of a system, as GOOS names it.
func checkPathOn(system, p string) error {
	if p == "" || strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) {
		return fmt.Errorf("%q is not a relative path", p)
	}
	for name := range strings.SplitSeq(p, "/") {
		if name == "" || name == "." || name == ".." {
			return fmt.Errorf("%q is not a plain path", p)
		}
		if system != "windows" {
			continue
		}
		if why := notOnWindows(name); why != "" {
			return fmt.Errorf("%q can't be a name on Windows: %s", name, why)
		}
	}
	return nil
}

// notOnWindows says why a name can't be one on Windows; empty: it can. Source:
// learn.microsoft.com, "Naming Files, Paths, and Namespaces".
func notOnWindows(name string) string {
	for i := range len(name) {
		if hasMeaning(name[i]) {
			return fmt.Sprintf("%q has a meaning of its own there", name[i])
		}
	}
	switch last := name[len(name)-1]; {
	case last == '.' || last == ' ':
		return "it ends with a dot or a space, which get lost there"
	case isDevice(name):
		return "it stands for a device"
	}
	return ""
}

// hasMeaning reports whether Windows takes a byte for more than a part of a
// name. Source: as above.
func hasMeaning(c byte) bool { return c < ' ' || strings.IndexByte(`<>:"/\|?*`, c) >= 0 }

// isDevice reports whether Windows takes a name for that of a device, whatever
// its extension is. Source: as above; the superscript digits count as digits.
func isDevice(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, device := range []string{"COM", "LPT"} {
		if digit, ok := strings.CutPrefix(base, device); ok {
			return len(digit) > 0 && strings.Trim(digit, "0123456789¹²³") == "" && len([]rune(digit)) == 1
		}
	}
	return false
}
