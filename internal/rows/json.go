package rows

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// maxFields is how many keys an object may have: many more than any has, and
// few enough that an object of nothing but keys takes no memory to speak of.
const maxFields = 256

// An object is one JSON object, taken apart: open finds where values end,
// whoever asks for one looks at what is in it, and close at the others. So
// lines are read in place, and what encoding/json would refuse is refused. The
// first thing that is wrong stays in err. Of a key that is there twice the
// first counts.
type object struct {
	fields []field
	next   int // where the next key is looked for first: they mostly come in order
	err    error
}

// A field is a key, unquoted, and the text of its value.
type field struct {
	key, value []byte
	used       bool
}

var (
	errObject = errors.New("it is not a JSON object")
	errValue  = errors.New("it is not JSON")
)

// open takes text apart, which must be UTF-8. The object refers to it.
func (o *object) open(text []byte) {
	o.fields, o.next, o.err = o.fields[:0], 0, nil
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '{' {
		o.fail("", errObject)
		return
	}
	if i = skipSpace(text, i+1); i < len(text) && text[i] == '}' {
		i++
	} else {
		i = o.openFields(text, i)
	}
	if o.err == nil && skipSpace(text, i) != len(text) {
		o.fail("", errObject)
	}
}

// openFields takes what is between the braces, from i on, and gives where it
// is behind the closing one.
func (o *object) openFields(text []byte, i int) int {
	for o.err == nil {
		begin := i
		if i >= len(text) || text[i] != '"' {
			break
		}
		i = skipValue(text, i)
		key := text[begin:i]
		if i = skipSpace(text, i); i == len(text) || text[i] != ':' {
			break
		}
		begin = skipSpace(text, i+1)
		if i = skipValue(text, begin); i == begin {
			break
		}
		o.add(key, text[begin:i])
		if i = skipSpace(text, i); i == len(text) {
			break
		}
		switch text[i] {
		case '}':
			return i + 1
		case ',':
			i = skipSpace(text, i+1)
			continue
		}
		break
	}
	o.fail("", errObject)
	return i
}

// add takes one field.
func (o *object) add(key, value []byte) {
	if len(o.fields) == maxFields {
		o.fail("", fmt.Errorf("it has more than %d keys", maxFields))
		return
	}
	key, err := unquote(key)
	if err != nil {
		o.fail("", err)
		return
	}
	o.fields = append(o.fields, field{key: key, value: value})
}

// close checks what nobody asked for: a newer firn may have written more keys,
// but no other language. It gives the first thing that was wrong.
func (o *object) close() error {
	for _, f := range o.fields {
		if !f.used {
			o.valid(string(f.key), f.value)
		}
	}
	return o.err
}

// valid checks the text of a value that nobody reads.
func (o *object) valid(key string, v []byte) {
	if o.err == nil && !json.Valid(v) {
		o.fail(key, errValue)
	}
}

// fail keeps the first error.
func (o *object) fail(key string, err error) {
	if o.err != nil {
		return
	}
	if key != "" {
		err = fmt.Errorf("%s: %w", key, err)
	}
	o.err = err
}

// get gives the text of the value of a key that has the suffix; nil where
// there is none.
func (o *object) get(key, suffix string) []byte {
	i := o.next
	for range o.fields {
		if i == len(o.fields) {
			i = 0
		}
		f := &o.fields[i]
		i++
		if len(f.key) == len(key)+len(suffix) && string(f.key[:len(key)]) == key && string(f.key[len(key):]) == suffix {
			f.used, o.next = true, i
			return f.value
		}
	}
	return nil
}

// text reads a string, or the bytes that stand for one which is not UTF-8.
func (o *object) text(key string) string {
	if v := o.get(key, base64Suffix); v != nil {
		return string(o.base64(key, v))
	}
	return string(o.quoted(key, o.get(key, "")))
}

// quoted reads the text of a string; nil is one that isn't there.
func (o *object) quoted(key string, v []byte) []byte {
	if v == nil {
		return nil
	}
	s, err := unquote(v)
	if err != nil {
		o.fail(key, err)
	}
	return s
}

func (o *object) base64(key string, v []byte) []byte {
	s := o.quoted(key, v)
	if len(s) == 0 {
		return nil
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, s)
	if err != nil {
		o.fail(key, err)
	}
	return b
}

func (o *object) bytes(key string) []byte { return o.base64(key, o.get(key, "")) }

func (o *object) hex(key string) []byte {
	s := o.quoted(key, o.get(key, ""))
	if len(s) == 0 {
		return nil
	}
	b, err := hex.AppendDecode(nil, s)
	if err != nil {
		o.fail(key, err)
	}
	return b
}

// hash reads a tree hash from the text of a string; an empty one, and nil, is
// that which nobody knows.
func (o *object) hash(key string, v []byte) (h treehash.Hash) {
	s := o.quoted(key, v)
	if len(s) == 0 {
		return h
	}
	if len(s) != hex.EncodedLen(len(h)) {
		o.fail(key, fmt.Errorf("%d characters are no hash", len(s)))
		return h
	}
	if _, err := hex.Decode(h[:], s); err != nil {
		o.fail(key, err)
	}
	return h
}

func (o *object) token(key string) (t firn.Token) {
	s := o.quoted(key, o.get(key, ""))
	if len(s) == 0 {
		return t
	}
	t, err := firn.ParseToken(string(s))
	if err != nil {
		o.fail(key, err)
	}
	return t
}

// number reads an integer; one that isn't there is 0.
func (o *object) number(key string) int64 {
	v := o.get(key, "")
	if v == nil {
		return 0
	}
	return o.integer(key, v)
}

func (o *object) integer(key string, v []byte) int64 {
	n, err := parseNumber(v)
	if err != nil {
		o.fail(key, err)
	}
	return n
}

func (o *object) bool(key string) bool {
	switch v := o.get(key, ""); string(v) {
	case "", "false":
	case "true":
		return true
	default:
		o.fail(key, fmt.Errorf("%.20q is neither true nor false", v))
	}
	return false
}

// moment reads a time; the zero time where there is none.
func (o *object) moment(key string) time.Time {
	v := o.get(key, "")
	switch {
	case v == nil:
		return time.Time{}
	case v[0] == '[':
		sec, ns := o.pair(key, v)
		if ns < 0 || ns >= int64(time.Second) {
			o.fail(key, fmt.Errorf("%d nanoseconds in a second", ns))
		}
		return time.Unix(sec, ns).UTC()
	}
	t, err := time.Parse(time.RFC3339Nano, string(o.quoted(key, v)))
	if err != nil {
		o.fail(key, err)
	}
	return t.UTC()
}

// pair reads an array of two numbers, of which the second may be left out.
func (o *object) pair(key string, v []byte) (a, b int64) {
	n := 0
	for e := range o.elements(key, v) {
		switch n++; n {
		case 1:
			a = o.integer(key, e)
		case 2:
			b = o.integer(key, e)
		default:
			o.fail(key, errors.New("it has more than two numbers"))
		}
	}
	if n == 0 {
		o.fail(key, errors.New("it has no numbers"))
	}
	return a, b
}

// elements gives the texts of the elements of an array; nil has none.
func (o *object) elements(key string, v []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if v == nil {
			return
		}
		i := skipSpace(v, 1)
		if v[0] != '[' || i == len(v) {
			o.fail(key, errors.New("it is not a JSON array"))
			return
		}
		if v[i] == ']' && i+1 == len(v) {
			return
		}
		for more := true; more; {
			end := skipValue(v, i)
			e := v[i:end]
			i = skipSpace(v, end)
			if len(e) == 0 || i == len(v) || v[i] != ',' && (v[i] != ']' || i+1 != len(v)) {
				o.fail(key, errors.New("it is not a JSON array"))
				return
			}
			more = v[i] == ','
			i = skipSpace(v, i+1)
			if !yield(e) {
				return
			}
		}
	}
}

// object reads an object within this one with take; nil is one that isn't
// there.
func (o *object) object(key string, v []byte, take func(*object)) {
	if v == nil {
		return
	}
	var in object
	in.open(v)
	take(&in)
	if err := in.close(); err != nil {
		o.fail(key, err)
	}
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// skipValue gives the end of the value that begins at i. It sees strings and
// the depth of brackets; that all is as it should be shows when it is read.
func skipValue(text []byte, i int) int {
	for depth := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			if i = skipString(text, i); depth == 0 {
				return i
			}
			i--
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ' ', '\t', '\r', '\n', ':':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// skipString gives the end of the string whose first quote is at i.
func skipString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// unquote gives what a string says: without escapes, a part of v itself.
func unquote(v []byte) ([]byte, error) {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return nil, fmt.Errorf("%.20q is not a string", v)
	}
	for _, c := range v[1 : len(v)-1] {
		if c < ' ' || c == '\\' || c == '"' {
			var s string
			if err := json.Unmarshal(v, &s); err != nil {
				return nil, err
			}
			return []byte(s), nil
		}
	}
	return v[1 : len(v)-1], nil
}

// parseNumber reads an integer.
func parseNumber(v []byte) (int64, error) {
	digits := bytes.TrimPrefix(v, []byte("-"))
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(v) > 1 {
		return 0, fmt.Errorf("%.20q is not an integer", v)
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.20q is not an integer of 64 bits", v)
	}
	return n, nil
}
