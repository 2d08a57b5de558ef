package describe

import (
	"strings"
	"unicode/utf8"
)

// notNames begin descriptions that Decode would have read were they whole, and
// those of jobs. Nobody calls a file so.
var notNames = []string{"mt1 ", "mt2 ", "mtijob", jobMarker, "<m>", "<ArchiveMetadata>", `{"`, strings.TrimRight(glacierSyncDB, " ")}

// Guess is Decode that takes for a file's name, as it stands, what is no
// description of a program that is known here: glacier-cli and many others
// write nothing but names. Its format is Plain then, and it may be anything
// that a person wrote. Unknown stays what is empty, of a job, or a known
// program's and damaged.
func Guess(description string) Archive {
	if a := Decode(description); a.Format != Unknown {
		return a
	}
	bare := strings.TrimLeft(description, space+`"`)
	if bare == "" {
		return Archive{}
	}
	for _, begin := range notNames {
		if strings.HasPrefix(bare, begin) {
			return Archive{}
		}
	}
	return Archive{Format: Plain, Kind: File, Path: description}
}

// Unescape undoes what glacier-cli's library does to names: boto on Python 3
// writes each byte that is a control character or not ASCII as "%" and two
// hexadecimal digits, and leaves "%" itself as it is. It gives s and false where
// nothing was escaped, where the bytes are not UTF-8, and where there are
// escapes of other characters, since it was not boto then that wrote them, or
// they belong to the name.
func Unescape(s string) (name string, ok bool) {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s, false
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		c, escape := unhex(s[i:])
		if !escape {
			out = append(out, s[i])
			continue
		}
		if c == 0 || ' ' <= c && c < 0x7f {
			return s, false
		}
		out, ok = append(out, c), true
		i += 2
	}
	if !ok || !utf8.Valid(out) {
		return s, false
	}
	return string(out), true
}

// unhex reads "%" and two hexadecimal digits at the beginning of s.
func unhex(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	const digits = "0123456789abcdef0123456789ABCDEF"
	high, low := strings.IndexByte(digits, s[1]), strings.IndexByte(digits, s[2])
	return byte(high%16<<4 | low%16), high >= 0 && low >= 0
}
