package describe

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// fromUTF7 reads UTF-7 (RFC 2152): a "+" begins UTF-16 in base64, which ends
// with the first character that is no base64; that is dropped if it is "-". "+-"
// is a plus. What isn't valid stays as it is: a length or bits left over that no
// writer makes, half a surrogate pair.
//
// .NET, by which CloudBerry wrote it, always ends base64 with "-", and has most
// of ASCII's punctuation in base64 too: a backslash is "+AFw-".
func fromUTF7(s string) string {
	plus := strings.IndexByte(s, '+')
	if plus < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for ; plus >= 0; plus = strings.IndexByte(s, '+') {
		out = append(out, s[:plus]...)
		s = s[plus:]
		n := 1
		for n < len(s) && isBase64(s[n]) {
			n++
		}
		units := s[1:n]
		if n < len(s) && s[n] == '-' {
			n++
		}
		switch text, ok := fromUTF16(units); {
		case s[:n] == "+-":
			out = append(out, '+')
		case ok:
			out = append(out, text...)
		default:
			out = append(out, s[:n]...)
		}
		s = s[n:]
	}
	return string(append(out, s...))
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

// fromUTF16 reads big-endian UTF-16 in base64 without padding.
func fromUTF16(s string) (text []byte, ok bool) {
	units, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil || len(units) == 0 || len(units)%2 != 0 {
		return nil, false
	}
	for i := 0; i < len(units); i += 2 {
		r := rune(units[i])<<8 | rune(units[i+1])
		if utf16.IsSurrogate(r) {
			if i += 2; i >= len(units) {
				return nil, false
			}
			if r = utf16.DecodeRune(r, rune(units[i])<<8|rune(units[i+1])); r == utf8.RuneError {
				return nil, false
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return text, true
}
