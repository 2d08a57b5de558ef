package s3cold

import (
	"fmt"
	"strings"

	"github.com/firn-archive/firn"
)

// describeKey makes a description of the key of an object that firn didn't write.
// Descriptions are printable ASCII: other bytes are "%" and two hexadecimal digits, as
// describe.Unescape knows them of glacier-cli's names. A key that is too long so has
// none.
func describeKey(key string) string {
	var b strings.Builder
	for i := range len(key) {
		if c := key[i]; c < ' ' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	if b.Len() > maxDescription {
		return ""
	}
	return b.String()
}

// IsStrange reports whether an archive, as an inventory lists it, is an object that firn
// didn't store. It asks nobody; DeleteOnly asks the object itself.
func IsStrange(id firn.ArchiveID, description string, hashed bool) bool {
	key, ok := keyOfID(id)
	return !ok || !hashed && description == describeKey(key)
}
