package bundle

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// The lines of the index are put together by hand, so that a bundle which is
// made again by another version of firn, to go on with an upload, has the same
// bytes. encoding/json reads them.

// lineRoom is the most that a line takes beside its names.
const lineRoom = 512

// maxLine is the longest line: each byte of a path and a target may have
// become six.
const maxLine = 2*6*MaxName + lineRoom

// lineBound is the most that the line of f may take.
func lineBound(f *firn.File) int { return textLen(f.Path) + textLen(f.Target) + lineRoom }

// appendInfo adds the first line.
func appendInfo(dst []byte, info Info) []byte {
	dst = strconv.AppendInt(append(dst, `{"v":`...), Version, 10)
	dst = appendText(dst, "tree", info.Tree)
	dst = appendText(dst, "host", info.Host)
	dst = appendTime(dst, "made", info.Made)
	if !info.Catalog.IsZero() {
		dst = appendText(dst, "catalog", info.Catalog.String())
	}
	return append(dst, "}\n"...)
}

// appendMember adds the line of a member.
func appendMember(dst []byte, m *Member) []byte {
	f := &m.File
	begin := len(dst)
	dst = appendText(dst, "path", f.Path)
	dst[begin] = '{' // in place of the comma
	if f.Kind != firn.Regular {
		dst = append(append(append(dst, `,"type":"`...), f.Kind...), '"')
	}
	if f.Kind == firn.Regular {
		dst = strconv.AppendInt(append(dst, `,"size":`...), m.Content.Size, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"mode":"`...), int64(firn.PosixMode(f.Mode)), 8)
	dst = appendTime(append(dst, '"'), "mtime", f.Stamp.ModTime)
	if f.UID >= 0 {
		dst = strconv.AppendInt(append(dst, `,"uid":`...), int64(f.UID), 10)
	}
	if f.GID >= 0 {
		dst = strconv.AppendInt(append(dst, `,"gid":`...), int64(f.GID), 10)
	}
	if f.Kind == firn.Symlink {
		dst = appendText(dst, "target", f.Target)
	}
	if m.hasContent() {
		dst = strconv.AppendInt(append(dst, `,"offset":`...), m.Offset, 10)
		dst = hex.AppendEncode(append(dst, `,"hash":"`...), m.Content.Tree[:])
		dst = append(dst, '"')
	}
	if m.LinkGroup != 0 {
		dst = strconv.AppendInt(append(dst, `,"group":`...), m.LinkGroup, 10)
	}
	return append(dst, "}\n"...)
}

// appendText adds a comma, the key and s: as text, or as "key_b64" where s is
// not UTF-8.
func appendText(dst []byte, key, s string) []byte {
	dst = append(append(dst, `,"`...), key...)
	if !utf8.ValidString(s) {
		dst = base64.StdEncoding.AppendEncode(append(dst, `_b64":"`...), []byte(s))
		return append(dst, '"')
	}
	dst = append(dst, `":"`...)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// textLen is the most that appendText makes of s, without the key.
func textLen(s string) int {
	n := len(s) + len(s)/3 + 4 // as base64
	escaped := len(s)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			escaped += len(`\u0000`) - 1
		}
	}
	return max(n, escaped)
}

// appendTime adds a comma, the key and t, or "sec" and "ns" where RFC 3339 has
// no such year.
func appendTime(dst []byte, key string, t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		dst = strconv.AppendInt(append(dst, `,"sec":`...), t.Unix(), 10)
		return strconv.AppendInt(append(dst, `,"ns":`...), int64(t.Nanosecond()), 10)
	}
	dst = append(append(append(dst, `,"`...), key...), `":"`...)
	return append(t.AppendFormat(dst, time.RFC3339Nano), '"')
}

// moment is a time as lines have it.
type moment struct {
	Sec *int64 `json:"sec"`
	NS  int64  `json:"ns"`
}

// or gives the moment, or t where there is none.
func (m moment) or(t time.Time) (time.Time, error) {
	switch {
	case m.Sec == nil:
		return t.UTC(), nil
	case m.NS < 0 || m.NS >= 1e9:
		return t, fmt.Errorf("%d nanoseconds in a second", m.NS)
	}
	return time.Unix(*m.Sec, m.NS).UTC(), nil
}

// infoLine is the first line as it is read.
type infoLine struct {
	V       int       `json:"v"`
	Tree    string    `json:"tree"`
	TreeB64 []byte    `json:"tree_b64"`
	Host    string    `json:"host"`
	HostB64 []byte    `json:"host_b64"`
	Made    time.Time `json:"made"`
	Catalog string    `json:"catalog"`
	moment
}

func parseInfo(text []byte) (Info, error) {
	var l infoLine
	if err := unmarshal(text, &l); err != nil {
		return Info{}, err
	}
	if l.V != Version {
		return Info{}, fmt.Errorf("it is of version %d, not %d as the footer says", l.V, Version)
	}
	made, err := l.moment.or(l.Made)
	by, _ := firn.ParseToken(l.Catalog) // zero where it is none
	return Info{Tree: textOr(l.Tree, l.TreeB64), Host: textOr(l.Host, l.HostB64), Made: made, Catalog: by}, err
}

// textOr gives the bytes of a text that was not UTF-8, or else the text.
func textOr(text string, b64 []byte) string {
	if b64 != nil {
		return string(b64)
	}
	return text
}

// memberLine is the line of a member as it is read. Keys that it hasn't are
// ignored.
type memberLine struct {
	Path      *string   `json:"path"`
	PathB64   []byte    `json:"path_b64"`
	Type      string    `json:"type"`
	Size      int64     `json:"size"`
	Mode      string    `json:"mode"`
	ModTime   time.Time `json:"mtime"`
	UID       *int64    `json:"uid"`
	GID       *int64    `json:"gid"`
	Target    string    `json:"target"`
	TargetB64 []byte    `json:"target_b64"`
	Offset    int64     `json:"offset"`
	Hash      string    `json:"hash"`
	Group     int64     `json:"group"`
	moment
}

// parseMember reads a line; where the content lies is for the caller to check.
func parseMember(text []byte) (Member, error) {
	var l memberLine
	if err := unmarshal(text, &l); err != nil {
		return Member{}, err
	}
	if l.Path == nil && l.PathB64 == nil {
		return Member{}, errors.New("no path")
	}
	if l.Path == nil {
		l.Path = new(string)
	}
	m := Member{LinkGroup: l.Group, File: firn.File{
		Path: textOr(*l.Path, l.PathB64), Kind: firn.Regular, UID: parseID(l.UID), GID: parseID(l.GID), Links: 1,
	}}
	if l.Type != "" {
		m.File.Kind = kindNamed(l.Type)
	}
	if m.File.Kind == firn.Symlink {
		m.File.Target = textOr(l.Target, l.TargetB64)
	}
	mode, err := strconv.ParseUint(l.Mode, 8, 12)
	if err != nil {
		return Member{}, fmt.Errorf("%q: the mode %q is not four octal digits", m.File.Path, l.Mode)
	}
	m.File.Mode = firn.FromPosixMode(uint32(mode))
	if m.File.Stamp.ModTime, err = l.moment.or(l.ModTime); err != nil {
		return Member{}, fmt.Errorf("%q: %w", m.File.Path, err)
	}
	if m.File.Kind == firn.Regular {
		err = l.content(&m)
	}
	if err == nil {
		err = checkFile(&m.File)
	}
	if err != nil {
		return Member{}, fmt.Errorf("%q: %w", m.File.Path, err)
	}
	return m, nil
}

// content fills in what only regular files have.
func (l *memberLine) content(m *Member) (err error) {
	m.File.Stamp.Size = l.Size
	m.Content = emptyContent()
	if l.Size > 0 {
		m.Offset = l.Offset
		m.Content.Size = l.Size
		m.Content.Tree, err = treehash.Parse(l.Hash)
	}
	return err
}

// kindNamed gives the constant for what was read: its text, which is part of a
// line, would keep that in memory, and make a string for each member.
func kindNamed(s string) firn.FileKind {
	for _, k := range []firn.FileKind{firn.Regular, firn.Directory, firn.Symlink} {
		if s == string(k) {
			return k
		}
	}
	return firn.FileKind(s)
}

// parseID reads a number of an owner or group; -1 where there is none, or none
// that this machine can count to.
func parseID(n *int64) int {
	if n == nil || *n < 0 || *n > math.MaxInt {
		return -1
	}
	return int(*n)
}

// unmarshal reads a line of JSON. Of text that is not UTF-8 encoding/json would
// make something else in silence.
func unmarshal(text []byte, v any) error {
	if !utf8.Valid(text) {
		return errors.New("it is not UTF-8")
	}
	return json.Unmarshal(text, v)
}
