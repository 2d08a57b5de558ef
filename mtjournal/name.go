package mtjournal

import (
	"errors"
	"strings"
)

// ValidName reports whether mtglacier takes a name for a path below the root of
// the tree: it is not empty, has no tab, CR or LF, no component that is "." or
// "..", no two slashes in a row and none at its beginning. One at its end is
// good. Source: is_relative_filename in lib/App/MtAws/Utils.pm.
func ValidName(name string) bool { return nameFault(name) == nil }

// nameFault says which rule of ValidName a name breaks.
func nameFault(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case strings.ContainsAny(name, "\t\r\n"):
		return errors.New("the name has a tab, CR or LF in it")
	case name[0] == '/':
		return errors.New("the name begins with a slash")
	case strings.Contains(name, "//"):
		return errors.New("the name has two slashes in a row")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." {
			return errors.New("the name has . or .. as a component")
		}
	}
	return nil
}
