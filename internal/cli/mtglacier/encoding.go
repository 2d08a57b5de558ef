package mtglacier

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
)

// Encodings are those of names, wherever bytes come in or go out. What the
// service gets is always UTF-8.
type Encodings struct {
	Terminal  Encoding // of the command line, stdout and stderr
	Filenames Encoding // of names on the disk
	Journal   Encoding
}

// An Encoding turns bytes into text, which is UTF-8, and back. The zero value
// is that of UTF-8, strictly: what isn't valid is an error.
type Encoding struct {
	name  string
	table encoding.Encoding // nil: UTF-8
}

// IsUTF8 reports whether bytes are text as they are.
func (e Encoding) IsUTF8() bool { return e.table == nil }

// String is the encoding's name, as it was given.
func (e Encoding) String() string {
	if e.name == "" {
		return "UTF-8"
	}
	return e.name
}

// Decode gives the text of bytes.
func (e Encoding) Decode(s string) (string, error) {
	text, ok := s, utf8.ValidString(s)
	if e.table != nil {
		var err error
		text, err = e.table.NewDecoder().String(s)
		ok = err == nil && !strings.ContainsRune(text, utf8.RuneError)
	}
	if !ok {
		return "", fmt.Errorf("%q is not valid in the encoding %s", s, e)
	}
	return text, nil
}

// Encode gives the bytes of text.
func (e Encoding) Encode(text string) (string, error) {
	if e.table == nil {
		return text, nil
	}
	s, err := e.table.NewEncoder().String(text)
	if err != nil {
		return "", fmt.Errorf("%q has a character that the encoding %s has not", text, e)
	}
	return s, nil
}

// encodingNamed finds an encoding by a name that Perl's Encode has for it. There
// are only those in which the characters of ASCII are themselves: no program
// could keep a file's name or a journal's line in another.
func encodingNamed(name string) (Encoding, error) {
	official := officialName(name)
	if official == "utf-8" {
		return Encoding{name: name}, nil
	}
	if official == macCyrillic {
		return Encoding{name, charmap.MacintoshCyrillic}, nil
	}
	table, err := ianaindex.IANA.Encoding(official)
	if err != nil || table == nil {
		return Encoding{}, fmt.Errorf("no encoding %q is known", name)
	}
	const plain = "/a\tZ~\n"
	if s, err := table.NewEncoder().String(plain); err != nil || s != plain {
		return Encoding{}, fmt.Errorf("the encoding %q can't be that of names: it isn't based on ASCII", name)
	}
	return Encoding{name: name, table: table}, nil
}

// macCyrillic is an encoding that IANA has no name for.
const macCyrillic = "x-mac-cyrillic"

// officialName gives IANA's name for an encoding that Perl's Encode knows by
// another, or as well without its blanks, dashes and underscores. Source:
// Encode::Alias and Encode::Supported (perldoc).
func officialName(name string) string {
	short := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
	letters := strings.TrimRight(short, "0123456789")
	number := short[len(letters):]
	switch short {
	case "utf8", "utf8strict":
		return "utf-8"
	case "ascii", "646":
		return "us-ascii"
	case "iso88591", "latin1", "l1":
		return "iso-8859-1"
	case "shiftjis", "sjis", "cp932", "windows31j", "mskanji":
		return "shift_jis"
	case "eucjp", "ujis":
		return "euc-jp"
	case "euccn", "gb2312", "cp936", "gbk":
		return "gbk"
	case "euckr", "cp949", "uhc", "ksc5601":
		return "euc-kr"
	case "big5", "big5eten", "cp950":
		return "big5"
	case "maccyrillic", "macukrainian", "xmaccyrillic":
		return macCyrillic
	case "macroman":
		return "macintosh"
	case "koi8r":
		return "koi8-r"
	case "koi8u":
		return "koi8-u"
	}
	switch {
	case letters == "iso" && strings.HasPrefix(number, "8859"):
		return "iso-8859-" + number[len("8859"):]
	case (letters == "cp" || letters == "win" || letters == "windows") && (len(number) == 4 || number == "874"):
		return "windows-" + number
	case letters == "cp":
		return "ibm" + number
	}
	return name
}

// writer gives a writer of text that is encoded on its way to w. A character
// that the encoding has not is written as Perl writes it: \x{263a}.
func (e Encoding) writer(w io.Writer) io.Writer {
	if e.table == nil {
		return w
	}
	return &textWriter{e, w}
}

type textWriter struct {
	e Encoding
	w io.Writer
}

// Write expects whole characters, as who prints lines gives them.
func (t *textWriter) Write(text []byte) (int, error) {
	var out bytes.Buffer
	for _, r := range string(text) {
		s, err := t.e.Encode(string(r))
		if err != nil {
			s = fmt.Sprintf("\\x{%04x}", r)
		}
		out.WriteString(s)
	}
	if _, err := t.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}
