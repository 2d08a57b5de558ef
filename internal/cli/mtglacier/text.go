package mtglacier

import (
	"fmt"
	"strings"
	"unicode"
)

// clean makes a line of a format and its arguments, in which nothing that came
// from names or from the service moves the cursor of a terminal.
func clean(format string, args []any) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\t' {
			return unicode.ReplacementChar
		}
		return c
	}, fmt.Sprintf(format, args...))
}
