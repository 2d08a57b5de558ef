package snapshot

import (
	"fmt"
	"net/url"
	"strings"
)

// MovedTag is the tag of a store whose archives were moved to another one: its value
// names that, as MovedValue writes it. Who would add to the store stops there.
const MovedTag = "firn-moved"

// maxTagValue is how many characters the value of a tag has at most. Source: Amazon
// Glacier developer guide, "Tagging Amazon Glacier vaults".
const maxTagValue = 255

// MovedValue is the name of a store as the value of a tag: what a tag can't hold is
// = and two hexadecimal digits. One that is too long is cut.
func MovedValue(store string) string {
	var b strings.Builder
	for _, c := range []byte(store) {
		piece := string(rune(c))
		if c >= 0x80 || c != '_' && c != '.' && c != '/' && c != '-' && c != '+' && c != '@' && !isAlphanumeric(c) {
			piece = fmt.Sprintf("=%02X", c)
		}
		if b.Len()+len(piece) > maxTagValue {
			break
		}
		b.WriteString(piece)
	}
	return b.String()
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// Moved gives the store that a store's archives were moved to, by its tags; empty
// where they weren't. A value that somebody else wrote is given as it is.
func Moved(tags map[string]string) string {
	value := tags[MovedTag]
	store, err := url.PathUnescape(strings.ReplaceAll(value, "=", "%"))
	if err != nil {
		return value
	}
	return store
}
