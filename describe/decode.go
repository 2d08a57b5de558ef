package describe

import (
	"encoding/base64"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/firn-archive/firn"
)

// space is what may stand around descriptions and between their words.
const space = " \t\n\r\f\v"

// Decode reads the description of an archive, if it says itself what its
// format is: any but Plain, which Guess reads. What it can't read has the
// format Unknown, and nothing else is set.
func Decode(description string) Archive {
	s := strings.TrimLeft(description, space)
	if s == "" {
		return Archive{}
	}
	switch s[0] {
	case 'm':
		return decodeMT(s)
	case '<':
		return decodeFastGlacier(s)
	case '{':
		return decodeCloudBerry(s)
	case '"':
		return Decode(unquote(s))
	}
	return decodeGlacierSync(s)
}

// unquote takes off the quotes that some programs have left around XML and
// JSON, and gives nothing for other text. Source: the tests of Amazon's "Amazon
// S3 Glacier Re:Freezer" (filenameparser.test.js).
func unquote(s string) string {
	s = strings.TrimRight(s, space)
	if len(s) < 2 || s[len(s)-1] != '"' {
		return ""
	}
	s = strings.Trim(strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`), space)
	if s == "" || s[0] != '<' && s[0] != '{' {
		return ""
	}
	return s
}

// decodeMT reads what mt-aws-glacier and firn write.
func decodeMT(description string) Archive {
	marker, payload := firstWords(description)
	format := Format(marker)
	if format != MT1 && format != MT2 || payload == "" || len(payload) > MaxLen {
		return Archive{}
	}
	text := unbase64(payload)
	if format == MT1 {
		text = undouble(text)
	}
	keys, ok := flatObject(text)
	if !ok {
		return Archive{}
	}
	name, okName := scalar(keys.filename)
	stamp, okTime := scalar(keys.mtime)
	if !okName || !okTime {
		return Archive{}
	}
	mtime, ok := parseTime(stamp)
	if !ok {
		return Archive{}
	}
	if a, ok := ours(keys, name, mtime); ok && format == MT2 {
		return a
	}
	return Archive{Format: format, Kind: File, Path: name, ModTime: mtime}
}

// firstWords gives the first two words. What follows is ignored, as
// mt-aws-glacier does.
func firstWords(s string) (first, second string) {
	s = strings.TrimLeft(s, space)
	i := strings.IndexAny(s, space)
	if i < 0 {
		return s, ""
	}
	first, s = s[:i], strings.TrimLeft(s[i:], space)
	if i = strings.IndexAny(s, space); i >= 0 {
		s = s[:i]
	}
	return first, s
}

// unbase64 reads both alphabets, with or without padding, passes over what is
// in neither, and stops at the padding: Perl's MIME::Base64 does so.
func unbase64(s string) []byte {
	kept := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			kept = append(kept, c)
		case c == '+':
			kept = append(kept, '-')
		case c == '/':
			kept = append(kept, '_')
		}
		if c == '=' {
			break
		}
	}
	if len(kept)%4 == 1 {
		kept = kept[:len(kept)-1] // six bits make no byte
	}
	text := make([]byte, base64.RawURLEncoding.DecodedLen(len(kept)))
	n, _ := base64.RawURLEncoding.Decode(text, kept) // every character is of the alphabet
	return text[:n]
}

// undouble takes off the outer of two UTF-8 encodings: mt1 was encoded as if
// its bytes were Latin-1 characters. It gives nil for anything else.
func undouble(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r > 0xff {
			return nil // also for bytes that are not UTF-8
		}
		out = append(out, byte(r))
	}
	return out
}

// ours reads firn's keys, if they are there.
func ours(keys raw, name string, mtime time.Time) (Archive, bool) {
	version, _ := number(keys.firn)
	id, _ := scalar(keys.id)
	token, err := firn.ParseToken(id)
	if version < 1 || version > 1<<30 || err != nil || token.IsZero() {
		return Archive{}, false
	}
	a := Archive{Format: Firn, Version: int(version), Token: token, Kind: File}
	a.Tree, _ = scalar(keys.tree)
	a.Mode, a.HasMode = parseMode(keys.mode)
	if kind, ok := scalar(keys.kind); ok && kind != "" {
		a.Kind = Kind(kind)
	}
	if id, ok := scalar(keys.cat); ok {
		a.Catalog, _ = firn.ParseToken(id) // zero where it is none
	}
	ns, _ := number(keys.ns)
	if ns < 0 || ns > 999_999_999 {
		ns = 0
	}
	if a.Kind == File {
		a.Path, a.ModTime = name, mtime.Add(time.Duration(ns))
		return a, true
	}
	a.Made = mtime
	a.Members, a.Index = count(keys.n), count(keys.ix)
	a.Seq, a.Base = count(keys.seq), count(keys.base)
	a.Encrypted = a.Kind == Snapshot && strings.HasSuffix(name, ageExtension)
	if sec, ok := number(keys.sec); ok {
		a.ModTime = time.Unix(sec, ns).UTC()
	}
	if path, ok := scalar(keys.path); ok {
		a.Path = string(unbase64(path))
	}
	return a, true
}

// count reads a number of things; 0 where it is none.
func count(v []byte) int64 {
	n, _ := number(v)
	return max(0, n)
}

func parseMode(v []byte) (fs.FileMode, bool) {
	s, _ := scalar(v)
	b, err := strconv.ParseUint(s, 8, 12)
	if err != nil {
		return 0, false
	}
	return firn.FromPosixMode(uint32(b)), true
}

// lenientTime is what mt-aws-glacier reads as a time.
var lenientTime = regexp.MustCompile(`^[\s]*(\d{4})[-\s]*(\d{2})[-\s]*(\d{2})\s*[Tt]\s*(\d{2})[:\s]*(\d{2})[:\s]*(\d{2})[,.\d]{0,10}\s*[Zz]\s*$`)

// parseTime reads a time as mt-aws-glacier does: from the year 1000 on, with
// leap seconds, which run into the next minute.
func parseTime(s string) (time.Time, bool) {
	if t, err := time.Parse(mtTime, s); err == nil && len(s) == len(mtTime) {
		return t, validTime(t)
	}
	m := lenientTime.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, false
	}
	var n [7]int
	for i := 1; i < len(n); i++ {
		n[i], _ = strconv.Atoi(m[i]) // at most four digits
	}
	day := time.Date(n[1], time.Month(n[2]), n[3], 0, 0, 0, 0, time.UTC)
	if day.Day() != n[3] || int(day.Month()) != n[2] || n[4] > 23 || n[5] > 59 || n[6] > 61 {
		return time.Time{}, false
	}
	t := day.Add(time.Duration(n[4])*time.Hour + time.Duration(n[5])*time.Minute + time.Duration(n[6])*time.Second)
	return t, n[1] >= 1000
}
