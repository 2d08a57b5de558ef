package describe

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest name of a file that common file systems take, in
// bytes (NAME_MAX of Linux and macOS; Windows has 255 units of UTF-16).
const maxName = 255

// SafePath makes of any path one that stays below the folder it is used in and
// can be shown: relative, with slashes, of UTF-8, without control characters.
// It passes fs.ValidPath, or is empty where nothing is left of it. changed
// tells whether it is another one.
//
// A slash at the beginning and one at the end go. The names "", "." and ".."
// become "_", "__" and "___". Control characters and what isn't UTF-8 become
// "%" and two hexadecimal digits a byte. A name of more than 255 bytes keeps
// its beginning and its extension, around "~" and half of its SHA-256.
//
// A safe path stays as it is, so two paths may become the same one: "a\n" and
// "a%0A", "/a" and "a". The caller has to look for that.
func SafePath(p string) (safe string, changed bool) {
	trimmed := strings.TrimSuffix(strings.TrimPrefix(p, "/"), "/")
	if trimmed == "" {
		return "", p != ""
	}
	var b strings.Builder
	for name := range strings.SplitSeq(trimmed, "/") {
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(safeName(name))
	}
	return b.String(), b.String() != p
}

// safeName does what SafePath says to one name.
func safeName(name string) string {
	switch name {
	case "", ".", "..":
		return strings.Repeat("_", len(name)+1)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		name = escape(name)
	}
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	end := "~" + hex.EncodeToString(sum[:16])
	if ext := path.Ext(name); len(ext) <= 16 {
		end += ext
	}
	n := maxName - len(end)
	for !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n] + end
}

// escape writes as %XX the bytes of control characters, and those that are not
// UTF-8.
func escape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) {
			for _, c := range []byte(s[:n]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// FromWindows gives a path of Windows as others write it: slashes for
// backslashes, and the letter of a drive, or a server and its share, as the
// first folder. "c:\dir\f" is "c/dir/f", "\\server\share\f" is
// "server/share/f". A drive may also stand behind the name of a machine or a
// bucket, as CloudBerry has it. It is no SafePath yet.
func FromWindows(p string) string {
	p = strings.ReplaceAll(p, `\`, "/")
	if rest, ok := strings.CutPrefix(p, "//"); ok {
		p = rest
		if device, name, ok := strings.Cut(rest, "/"); ok && (device == "?" || device == ".") {
			p = strings.TrimPrefix(name, "UNC/") // \\?\c:\dir, \\?\UNC\server\share
		}
	}
	if !strings.Contains(p, ":") {
		return p
	}
	names := strings.Split(p, "/")
	for i, name := range names {
		if len(name) == 2 && name[1] == ':' && isLetter(name[0]) {
			names[i] = name[:1]
		}
	}
	return strings.Join(names, "/")
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// SafePath is SafePath of the archive's path, after FromWindows where it comes
// from there: FastGlacier and CloudBerry run on Windows, and a plain name is of
// Windows if it begins as no other does, with a drive's letter, colon and
// backslash, or with two backslashes. Elsewhere a backslash is a character like
// others.
func (a Archive) SafePath() (safe string, changed bool) {
	p := a.Path
	switch a.Format {
	case FastGlacier, CloudBerry:
		p = FromWindows(p)
	case Plain:
		if strings.HasPrefix(p, `\\`) || len(p) > 2 && isLetter(p[0]) && p[1:3] == `:\` {
			p = FromWindows(p)
		}
	}
	safe, _ = SafePath(p)
	return safe, safe != a.Path
}
