package describe

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// decodeFastGlacier reads FastGlacier's XML, which other programs write too:
//
//	<m><v>4</v><p>PATH</p><lm>TIME</lm><ce>COMPRESSED:ENCRYPTED:MD5:SIZE</ce></m>
//
// PATH is base64 of UTF-8, TIME is as in mt2. Version 3 has no SIZE, version 2
// no ce, and version 1 is an element ArchiveMetadata with nothing but a Path.
// Elements may come in any order, unknown ones are passed over, and only the
// path has to be there. Sources: https://fastglacier.com, "FastGlacier File
// Metadata Format", for 3 and 4; for 1, the tests of Amazon's "Amazon S3
// Glacier Re:Freezer" (filenameparser.test.js).
func decodeFastGlacier(s string) Archive {
	outer, body, rest, ok := cutElement(s)
	if !ok || outer != "m" && outer != "ArchiveMetadata" || strings.Trim(rest, space) != "" {
		return Archive{}
	}
	a := Archive{Format: FastGlacier}
	if outer == "ArchiveMetadata" {
		a.Version = 1
	}
	for body = strings.Trim(body, space); body != ""; body = strings.TrimLeft(body, space) {
		var name, text string
		if name, text, body, ok = cutElement(body); !ok {
			return Archive{}
		}
		text = strings.Trim(text, space)
		switch name {
		case "v":
			version, _ := strconv.ParseUint(text, 10, 16)
			a.Version = int(version)
		case "p", "Path":
			a.Path = fromBase64(text)
		case "lm":
			if t, ok := parseTime(text); ok {
				a.ModTime = t
			}
		case "ce":
			a.packing(text)
		}
	}
	if a.Path == "" {
		return Archive{}
	}
	a.Kind = kindOf(a.Path)
	return a
}

// kindOf tells by a path's last character what a program for Windows kept. It
// has no names with slashes; to such a one folders are archives too.
func kindOf(path string) Kind {
	if strings.HasSuffix(path, "/") || strings.HasSuffix(path, `\`) {
		return Folder
	}
	return File
}

// cutElement cuts off the XML element that s begins with. It knows of no
// attributes and no entities, and of an element within one of its own name
// nothing either: descriptions have none of them.
func cutElement(s string) (name, text, rest string, ok bool) {
	s, ok = strings.CutPrefix(strings.TrimLeft(s, space), "<")
	if !ok {
		return "", "", "", false
	}
	if name, rest, ok = strings.Cut(s, ">"); !ok {
		return "", "", "", false
	}
	name, empty := strings.CutSuffix(name, "/")
	name = strings.TrimRight(name, space)
	if name == "" || strings.ContainsAny(name, "</"+space) {
		return "", "", "", false
	}
	if empty {
		return name, "", rest, true
	}
	text, rest, ok = strings.Cut(rest, "</"+name+">")
	return name, text, rest, ok
}

// fromBase64 reads the standard alphabet, with or without padding, and with
// blanks anywhere; empty if it isn't that.
func fromBase64(s string) string {
	if strings.ContainsAny(s, space) {
		s = strings.Join(strings.Fields(s), "")
	}
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return ""
	}
	return string(text)
}

// packing reads what ce says. What is there and can't be read counts as a flag
// that is set: whoever restores it can't be sure of the content.
func (a *Archive) packing(ce string) {
	compressed, rest, _ := strings.Cut(ce, ":")
	encrypted, rest, _ := strings.Cut(rest, ":")
	sum, size, _ := strings.Cut(rest, ":")
	a.Compressed, a.Encrypted = isSet(compressed), isSet(encrypted)
	a.MD5 = ""
	if sum = strings.ToLower(strings.Trim(sum, space)); len(sum) == 32 {
		if _, err := hex.DecodeString(sum); err == nil {
			a.MD5 = sum
		}
	}
	n, err := strconv.ParseInt(strings.Trim(size, space), 10, 64)
	a.HasPlainSize = err == nil && n >= 0
	a.PlainSize = 0
	if a.HasPlainSize {
		a.PlainSize = n
	}
}

func isSet(flag string) bool {
	flag = strings.Trim(flag, space)
	return flag != "" && flag != "0" && !strings.EqualFold(flag, "false")
}
