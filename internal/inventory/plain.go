package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A plainReader reads the entries of an ArchiveList as the service writes them,
// three times as fast as encoding/json, which looks at each byte three times. What
// it doesn't expect it leaves to that, an entry or all that is left.
type plainReader struct {
	r    io.Reader
	err  error  // that r ended with
	buf  []byte // read ahead
	next int    // of buf, the first byte that wasn't taken

	// The entry that was read last, and what its pointers point to.
	entry                entry
	description, created string
	size                 int64
	unescaped            []byte
}

// An outcome says how far an entry was read.
type outcome uint8

const (
	isRead  outcome = iota
	isCut           // the buffer ends before it does
	isOther         // it isn't plain
)

// plainArchives hands out the entries of the list that j is in for as long as they
// are sound JSON. The rest, and be it the end of the list, is j's again.
func (j *jsonReader) plainArchives() error {
	p := &plainReader{r: io.MultiReader(j.dec.Buffered(), j.ration.r)}
	begin, tokens := `{"":[`, 3
	for {
		ok, err := p.read(tokens > 3)
		if !ok {
			break
		}
		begin, tokens = `{"":[0`, 4
		if err := j.take(&p.entry, err); err != nil {
			return err
		}
	}
	j.ration = &ration{r: io.MultiReader(strings.NewReader(begin), p.rest())}
	j.dec = json.NewDecoder(j.ration)
	for range tokens {
		if _, err := j.token(); err != nil {
			return err
		}
	}
	return nil
}

// read reads the next entry, which stands behind a comma where it follows another.
// The error is of an entry that has a value of another type than expected.
func (p *plainReader) read(follows bool) (ok bool, err error) {
	for {
		s := scanner{b: p.buf, at: p.next}
		if follows {
			s.take(',')
		}
		p.fields(&s)
		switch s.outcome {
		case isRead:
			p.next = s.at
			return true, nil
		case isOther:
			return p.other(follows)
		}
		if !p.fill() {
			return false, nil
		}
	}
}

// other is read of an object that isn't plain.
func (p *plainReader) other(follows bool) (ok bool, err error) {
	for {
		s := scanner{b: p.buf, at: p.next}
		if follows {
			s.take(',')
		}
		object := s.object()
		if s.outcome == isCut && p.fill() {
			continue
		}
		if s.outcome != isRead {
			return false, nil
		}
		p.entry = entry{}
		err = json.Unmarshal(object, &p.entry)
		if err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
			return false, nil
		}
		p.next = s.at
		return true, err
	}
}

// fill reads on; false: there is nothing, or an entry without an end. It reads as
// much again as there is, so that what comes in crumbs isn't looked at too often.
func (p *plainReader) fill() bool {
	left := len(p.buf) - p.next
	if p.err != nil || left >= maxEntry {
		return false
	}
	const least = 64 << 10
	if cap(p.buf) < max(least, 2*left) {
		p.buf = append(make([]byte, 0, max(least, 4*left)), p.buf[p.next:]...)
	} else {
		p.buf = p.buf[:copy(p.buf, p.buf[p.next:])]
	}
	p.next = 0
	var n int
	n, p.err = io.ReadAtLeast(p.r, p.buf[left:cap(p.buf)], left+1)
	if p.err == io.ErrUnexpectedEOF {
		p.err = io.EOF
	}
	p.buf = p.buf[:left+n]
	return n > 0
}

// rest is what was not taken.
func (p *plainReader) rest() io.Reader {
	behind := p.r
	if p.err != nil {
		behind = failing{p.err}
	}
	return io.MultiReader(bytes.NewReader(p.buf[p.next:]), behind)
}

// failing is a reader that gives an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// fields reads an entry.
func (p *plainReader) fields(s *scanner) {
	p.entry = entry{}
	s.take('{')
	for first := true; s.outcome == isRead; first = false {
		if !first && s.has('}') {
			s.at++
			return
		}
		if !first {
			s.take(',')
		}
		key, escaped := s.text()
		s.take(':')
		if s.outcome != isRead || escaped {
			s.fail(isOther)
			return
		}
		p.field(s, key)
	}
}

// field reads the value at a key.
func (p *plainReader) field(s *scanner, key []byte) {
	switch string(key) {
	case "ArchiveId":
		p.entry.ArchiveID = p.value(s)
	case "ArchiveDescription":
		p.description, p.entry.ArchiveDescription = p.value(s), &p.description
	case "CreationDate":
		p.created, p.entry.CreationDate = p.value(s), &p.created
	case "SHA256TreeHash":
		p.entry.SHA256TreeHash = p.value(s)
	case "Size":
		p.size, p.entry.Size = s.number(), &p.size
	default:
		s.fail(isOther)
	}
}

// value reads a text.
func (p *plainReader) value(s *scanner) string {
	text, escaped := s.text()
	if !escaped || s.outcome != isRead {
		return string(text)
	}
	p.unescaped = p.unescaped[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' {
			i++
			at := strings.IndexByte(`"\/bfnrt`, text[i])
			if at < 0 {
				s.fail(isOther)
				return ""
			}
			c = "\"\\/\b\f\n\r\t"[at]
		}
		p.unescaped = append(p.unescaped, c)
	}
	return string(p.unescaped)
}

// A scanner is on its way through some JSON, until its outcome is another than
// isRead.
type scanner struct {
	b       []byte
	at      int
	outcome outcome
}

// fail ends it, unless it has ended.
func (s *scanner) fail(why outcome) {
	if s.outcome == isRead {
		s.outcome = why
	}
}

// has reports whether a byte is next, behind blanks.
func (s *scanner) has(want byte) bool {
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == want
		}
	}
	s.fail(isCut)
	return false
}

// take takes a byte that must be next.
func (s *scanner) take(want byte) {
	if s.outcome != isRead {
		return
	}
	if s.has(want) {
		s.at++
	} else {
		s.fail(isOther)
	}
}

// text reads a string, without its quotes. What the decoder would change must be
// valid UTF-8.
func (s *scanner) text() (text []byte, escaped bool) {
	s.take('"')
	if s.outcome != isRead {
		return nil, false
	}
	ascii := true
	for i := s.at; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			text = s.b[s.at:i]
			s.at = i + 1
			if !ascii && !utf8.Valid(text) {
				s.fail(isOther)
			}
			return text, escaped
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			s.fail(isOther)
			return nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.fail(isCut)
	return nil, false
}

// number reads a natural number.
func (s *scanner) number() int64 {
	const mostDigits = 18 // of which every number fits
	s.has('0')            // and passes over blanks
	begin := s.at
	for s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		s.at++
	}
	if s.at == len(s.b) {
		s.fail(isCut)
	}
	digits := s.b[begin:s.at]
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || len(digits) > mostDigits || len(digits) > 1 && digits[0] == '0' || !s.has(',') && !s.has('}') {
		s.fail(isOther)
	}
	return n
}

// object finds the end of an object, sound or not, and gives it all.
func (s *scanner) object() []byte {
	if s.outcome != isRead || !s.has('{') {
		s.fail(isOther)
		return nil
	}
	begin, depth := s.at, 0
	for ; s.at < len(s.b); s.at++ {
		switch s.b[s.at] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				s.at++
				return s.b[begin:s.at]
			}
		case '"':
			for s.at++; s.at < len(s.b) && s.b[s.at] != '"'; s.at++ {
				if s.b[s.at] == '\\' {
					s.at++
				}
			}
		}
	}
	s.fail(isCut)
	return nil
}
