package describe

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/firn-archive/firn"
)

// fields are the JSON object of an mt2 description, in the order in which they
// are written.
type fields struct {
	Filename string `json:"filename"`
	MTime    string `json:"mtime"`
	Firn     int    `json:"firn"`
	ID       string `json:"id"`
	Kind     Kind   `json:"kind,omitempty"`
	Mode     string `json:"mode,omitempty"`
	NS       int    `json:"ns,omitempty"`
	Tree     string `json:"tree,omitempty"`
	Sec      *int64 `json:"sec,omitempty"`
	Path     string `json:"path,omitempty"`
	Members  int64  `json:"n,omitempty"`
	Index    int64  `json:"ix,omitempty"`
	Catalog  string `json:"cat,omitempty"`
	Seq      int64  `json:"seq,omitempty"`
	Base     int64  `json:"base,omitempty"`
}

// mtTime is how mt-aws-glacier writes times, in UTC.
const mtTime = "20060102T150405Z"

// Encode writes the description of an archive: printable ASCII, MaxLen bytes
// at most. A file whose name or time mt2 can't hold becomes Opaque, and needs
// Made. Format and Version of a are not looked at.
//
// Errors, all of them the caller's: no token; a tree's name that CheckTree
// refuses; a kind other than lower-case letters; no Made, or one outside the
// years 1000 to 9999, where it is needed.
func Encode(a Archive) (string, error) {
	if err := check(a); err != nil {
		return "", err
	}
	f := fields{Firn: Version, ID: a.Token.String(), Tree: a.Tree, Members: a.Members, Index: a.Index, Seq: a.Seq, Base: a.Base}
	if !a.Catalog.IsZero() {
		f.Catalog = a.Catalog.String()
	}
	if a.HasMode {
		f.Mode = strconv.FormatUint(uint64(firn.PosixMode(a.Mode)), 8)
	}
	if a.Kind == File && ValidName(a.Path) && validTime(a.ModTime) {
		f.Filename, f.MTime, f.NS = a.Path, a.ModTime.UTC().Format(mtTime), a.ModTime.Nanosecond()
		if s := f.encode(); len(s) <= MaxLen {
			return s, nil
		}
		short := f
		short.Catalog = "" // the name counts for more
		if s := short.encode(); len(s) <= MaxLen {
			return s, nil
		}
	}
	return opaque(a, f)
}

// Fits tells whether a description can hold a file under its own name, if need
// be without its Catalog: else it becomes Opaque.
func Fits(tree, path string, modTime time.Time) bool {
	if !ValidName(path) || !validTime(modTime) {
		return false
	}
	f := fields{
		Filename: path, MTime: modTime.UTC().Format(mtTime), Firn: Version, ID: firn.Token{}.String(),
		Mode: "7777", NS: modTime.Nanosecond(), Tree: tree,
	}
	return len(f.encode()) <= MaxLen
}

// extensions tell people, and programs that go by names, what to do with what
// isn't a file.
var extensions = map[Kind]string{Bundle: ".tar", Sealed: ".tar.age", Snapshot: ".jsonl.zst"}

// ageExtension follows that of a snapshot which is encrypted.
const ageExtension = ".age"

// Name is what an archive is called that doesn't bear the name of its file.
// encrypted tells of snapshots only.
func Name(kind Kind, token firn.Token, encrypted bool) string {
	name := ".firn/" + string(kind) + "/" + token.String() + extensions[kind]
	if kind == Snapshot && encrypted {
		name += ageExtension
	}
	return name
}

// opaque describes what can't bear its own name.
func opaque(a Archive, f fields) (string, error) {
	if !validTime(a.Made) {
		return "", fmt.Errorf("describe: an archive of kind %q needs the time when it was made, in the years 1000 to 9999, not %v", a.Kind, a.Made)
	}
	f.Kind, f.NS = a.Kind, 0
	if a.Kind == File {
		f.Kind = Opaque
	}
	f.Filename = Name(f.Kind, a.Token, a.Encrypted)
	f.MTime = a.Made.UTC().Format(mtTime)
	if f.Kind != Opaque {
		return f.encode(), nil
	}
	if !a.ModTime.IsZero() {
		sec := a.ModTime.Unix()
		f.Sec, f.NS = &sec, a.ModTime.Nanosecond()
	}
	short := f.encode()
	f.Path = base64.RawURLEncoding.EncodeToString([]byte(a.Path))
	if s := f.encode(); len(s) <= MaxLen {
		return s, nil
	}
	f.Catalog = ""
	if s := f.encode(); len(s) <= MaxLen {
		return s, nil
	}
	return short, nil
}

func (f fields) encode() string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // shorter
	if err := e.Encode(f); err != nil {
		panic(err) // strings and numbers: there is nothing that could fail
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return "mt2 " + base64.RawURLEncoding.EncodeToString(text)
}

func check(a Archive) error {
	switch {
	case a.Token.IsZero():
		return errors.New("describe: an archive without a token could never be found again")
	case a.Kind == "" || len(a.Kind) > 16 || strings.Trim(string(a.Kind), "abcdefghijklmnopqrstuvwxyz") != "":
		return fmt.Errorf("describe: %q is no kind: it takes 1 to 16 letters from a to z", a.Kind)
	case a.Tree != "":
		return CheckTree(a.Tree)
	}
	return nil
}

// MaxTree is the longest name of a tree, in bytes: it takes space from the
// paths in descriptions.
const MaxTree = 100

// CheckTree tells whether a tree may have this name: 1 to MaxTree bytes of
// UTF-8 that can be the name of a folder and of part of a key, without control
// characters, and neither ".", ".." nor ".firn". The error is a firn.Error of
// kind Usage.
func CheckTree(name string) error {
	var why string
	switch {
	case name == "":
		why = "it is empty"
	case len(name) > MaxTree:
		why = fmt.Sprintf("it is longer than %d bytes", MaxTree)
	case !utf8.ValidString(name):
		why = "it is not UTF-8"
	case strings.ContainsAny(name, `/\`):
		why = "it has a slash or a backslash"
	case strings.ContainsFunc(name, unicode.IsControl):
		why = "it has a control character"
	case name == "." || name == ".." || name == ".firn":
		why = "it has a meaning of its own"
	default:
		return nil
	}
	return &firn.Error{Op: "name the tree", Subject: strconv.Quote(name), Kind: firn.Usage, Err: errors.New(why), Hint: "choose another one with --tree NAME"}
}

// ValidName tells whether mt-aws-glacier takes a name: relative, of UTF-8, with
// no CR, LF or TAB, no empty component before another, and none that is "." or
// "..". It stops at a vault with a single archive whose name breaks this.
func ValidName(name string) bool {
	if name == "" || !utf8.ValidString(name) || strings.ContainsAny(name, "\r\n\t") {
		return false
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// validTime tells whether mt2 can hold a time: its years have four digits, the
// first of which is not 0.
func validTime(t time.Time) bool {
	year := t.UTC().Year()
	return 1000 <= year && year <= 9999
}
