package describe

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// raw holds the JSON values of the keys that are known; nil where absent.
// It is read several times faster than a map, and an inventory may
// hold ten million descriptions.
type raw struct {
	filename, mtime                           []byte
	firn, id, kind, mode, ns, tree, sec, path []byte
	n, ix, cat, seq, base                     []byte
	berryPath, berryTime, berryFlags          []byte // CloudBerry's
}

// field gives the place of a key's value; nil where the key is not known.
func (r *raw) field(key string) *[]byte {
	switch key {
	case "filename":
		return &r.filename
	case "mtime":
		return &r.mtime
	case "firn":
		return &r.firn
	case "id":
		return &r.id
	case "kind":
		return &r.kind
	case "mode":
		return &r.mode
	case "ns":
		return &r.ns
	case "tree":
		return &r.tree
	case "sec":
		return &r.sec
	case "path":
		return &r.path
	case "n":
		return &r.n
	case "ix":
		return &r.ix
	case "cat":
		return &r.cat
	case "seq":
		return &r.seq
	case "base":
		return &r.base
	case "Path":
		return &r.berryPath
	case "UTCDateModified":
		return &r.berryTime
	case "Flags":
		return &r.berryFlags
	}
	return nil
}

// blanks are what JSON allows between its tokens.
const blanks = " \t\r\n"

// flatObject reads a JSON object without objects or lists in it. Of equal keys
// the last one counts.
func flatObject(text []byte) (r raw, ok bool) {
	text = bytes.Trim(text, blanks)
	if len(text) == 0 || text[0] != '{' || !utf8.Valid(text) || !json.Valid(text) {
		return raw{}, false
	}
	for text = text[1:]; ; text = text[1:] { // valid, and after a { or ,
		text = bytes.TrimLeft(text, blanks)
		if text[0] == '}' {
			return r, true
		}
		key, rest := cutScalar(text)
		text = bytes.TrimLeft(bytes.TrimLeft(rest, blanks)[1:], blanks) // the colon
		if text[0] == '{' || text[0] == '[' {
			return raw{}, false
		}
		value, rest := cutScalar(text)
		name, _ := scalar(key)
		if field := r.field(name); field != nil {
			*field = value
		}
		if text = bytes.TrimLeft(rest, blanks); text[0] == '}' {
			return r, true
		}
	}
}

// cutScalar cuts the string, number or word off that valid JSON begins with.
func cutScalar(text []byte) (value, rest []byte) {
	if text[0] != '"' {
		n := bytes.IndexAny(text, blanks+",:}")
		return text[:n], text[n:]
	}
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i+1], text[i+1:]
		}
	}
}

// scalar gives a string, or the digits of a number, which Perl takes for one.
func scalar(v []byte) (string, bool) {
	if len(v) == 0 {
		return "", false // absent
	}
	switch c := v[0]; {
	case c == '-' || '0' <= c && c <= '9':
		return string(v), true
	case c != '"':
		return "", false // null, true, false
	case bytes.IndexByte(v, '\\') < 0:
		return string(v[1 : len(v)-1]), true
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err == nil
}

// number gives an integer.
func number(v []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}
