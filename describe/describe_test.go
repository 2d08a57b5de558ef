package describe

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/testprog"
)

var (
	token = firn.Token{0: 1, 5: 0xfb, 15: 0xff}
	made  = time.Date(2026, 11, 21, 20, 30, 1, 5, time.UTC)
	mtime = time.Date(2012, 12, 25, 10, 0, 0, 123456789, time.UTC)
)

// photo is a file like most.
func photo(path string) Archive {
	return Archive{Token: token, Kind: File, Tree: "home", Path: path, ModTime: mtime, Mode: 0o644, HasMode: true, Made: made}
}

// object gives the JSON in an mt2 description.
func object(t *testing.T, s string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, "mt2 "))
	if err != nil || !strings.HasPrefix(s, "mt2 ") || !json.Valid(text) {
		t.Fatalf("%q: not mt2: %v", s, err)
	}
	return string(text)
}

// TestWritten holds what firn writes, written out: a change of this is a
// change of the format, and must not happen.
func TestWritten(t *testing.T) {
	link := photo("näme <&> \"x\"/b")
	link.Mode = 0o755 | fs.ModeSetuid
	link.ModTime = time.Date(1960, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	bare := Archive{Token: token, Kind: File, Tree: "home", Path: "a", ModTime: mtime}
	newline := photo("a\nb")
	old := photo("old")
	old.ModTime = time.Unix(-62135596801, 7) // a second before the year 1
	long := photo(strings.Repeat("x", 2000))
	bundle := Archive{Token: token, Kind: Bundle, Tree: "home", Made: made, Members: 7, Index: 1024}
	sealed := Archive{Token: token, Kind: Sealed, Made: made}
	other := Archive{Token: token, Kind: "other", Made: made}
	theirs := photo("a")
	theirs.Catalog = firn.Token{7}
	crowded := photo(strings.Repeat("x", 642))
	crowded.Catalog = firn.Token{7}
	snapshot := Archive{Token: token, Kind: Snapshot, Made: made, Catalog: firn.Token{7}, Seq: 12, Base: 7}
	secret := snapshot
	secret.Encrypted = true
	tests := []struct {
		name string
		a    Archive
		want string
	}{
		{"of a catalog", theirs, `{"filename":"a","mtime":"20121225T100000Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","mode":"644","ns":123456789,"tree":"home","cat":"BwAAAAAAAAAAAAAAAAAAAA"}`},
		{"without room for that", crowded, `{"filename":"` + crowded.Path + `","mtime":"20121225T100000Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","mode":"644","ns":123456789,"tree":"home"}`},
		{"encrypted snapshot", secret, `{"filename":".firn/catalog/AQAAAAD7AAAAAAAAAAAA_w.jsonl.zst.age","mtime":"20261121T203001Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"catalog","cat":"BwAAAAAAAAAAAAAAAAAAAA","seq":12,"base":7}`},
		{"file", photo("photos/2012/IMG_0001.jpg"), `{"filename":"photos/2012/IMG_0001.jpg","mtime":"20121225T100000Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","mode":"644","ns":123456789,"tree":"home"}`},
		{"not so plain", link, `{"filename":"näme <&> \"x\"/b","mtime":"19600102T020405Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","mode":"4755","tree":"home"}`},
		{"no mode", bare, `{"filename":"a","mtime":"20121225T100000Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","ns":123456789,"tree":"home"}`},
		{"unfit name", newline, `{"filename":".firn/opaque/AQAAAAD7AAAAAAAAAAAA_w","mtime":"20261121T203001Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"opaque","mode":"644","ns":123456789,"tree":"home","sec":1356429600,"path":"YQpi"}`},
		{"unfit time", old, `{"filename":".firn/opaque/AQAAAAD7AAAAAAAAAAAA_w","mtime":"20261121T203001Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"opaque","mode":"644","ns":7,"tree":"home","sec":-62135596801,"path":"b2xk"}`},
		{"far too long", long, `{"filename":".firn/opaque/AQAAAAD7AAAAAAAAAAAA_w","mtime":"20261121T203001Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"opaque","mode":"644","ns":123456789,"tree":"home","sec":1356429600}`},
		{"snapshot", snapshot, `{"filename":".firn/catalog/AQAAAAD7AAAAAAAAAAAA_w.jsonl.zst","mtime":"20261121T203001Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"catalog","cat":"BwAAAAAAAAAAAAAAAAAAAA","seq":12,"base":7}`},
		{"no file", other, `{"filename":".firn/other/AQAAAAD7AAAAAAAAAAAA_w","mtime":"20261121T203001Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"other"}`},
		{"bundle", bundle, `{"filename":".firn/bundle/AQAAAAD7AAAAAAAAAAAA_w.tar","mtime":"20261121T203001Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"bundle","tree":"home","n":7,"ix":1024}`},
		{"sealed", sealed, `{"filename":".firn/sealed/AQAAAAD7AAAAAAAAAAAA_w.tar.age","mtime":"20261121T203001Z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"sealed"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Encode(tt.a)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, object(t, s)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := Decode(s); got.Encrypted != tt.a.Encrypted || !got.Catalog.IsZero() && got.Catalog != tt.a.Catalog {
				t.Errorf("read as %+v", got)
			}
		})
	}
}

// TestRoundTrip: what was written is read again, whatever the file is called.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawArchive(t)
		s, err := Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		if len(s) > MaxLen || strings.Trim(s, printable) != "" {
			t.Fatalf("%d characters, or not printable: %q", len(s), s)
		}
		got := Decode(s)
		want := a
		want.Format, want.Version = Firn, Version
		want.ModTime = a.ModTime.UTC()
		want.Made = time.Time{}
		if got.Kind == Opaque {
			want.Kind, want.Made = Opaque, made.Truncate(time.Second)
			if got.Path == "" && len(a.Path) > 300 {
				want.Path = "" // nowhere to put it
			}
		}
		if got.Catalog.IsZero() && len(s) > MaxLen-60 {
			want.Catalog = firn.Token{} // nowhere to put it
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-written +read):\n%s", diff)
		}
		if tok, ok := TokenOf(s); !ok || tok != a.Token {
			t.Errorf("TokenOf gives %v, %t", tok, ok)
		}
	})
}

// printable are the characters that descriptions may hold.
var printable = func() string {
	var b strings.Builder
	for c := ' '; c <= '~'; c++ {
		b.WriteRune(c)
	}
	return b.String()
}()

func drawArchive(t *rapid.T) Archive {
	path := rapid.OneOf(
		rapid.StringN(1, 400, 1500),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 1200), func(b []byte) string { return string(b) }),
		rapid.StringMatching(`[ -~]{1,40}(/[ -~]{1,40}){0,20}`),
	).Draw(t, "path")
	return Archive{
		Token:   firn.NewToken(),
		Kind:    File,
		Tree:    rapid.StringMatching(`[a-zé<&]{1,20}`).Draw(t, "tree"),
		Path:    path,
		ModTime: time.Unix(rapid.Int64Range(-1<<36, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")),
		Mode:    fs.FileMode(rapid.Uint32Range(0, 0o777).Draw(t, "mode")) | rapid.SampledFrom([]fs.FileMode{0, fs.ModeSetuid, fs.ModeSetgid | fs.ModeSticky}).Draw(t, "special"),
		HasMode: true,
		Made:    made,
		Catalog: firn.Token{0: rapid.Byte().Draw(t, "catalog")},
	}
}

// TestCapacity: how long a name may be before it becomes opaque, with a tree's
// name of four letters.
func TestCapacity(t *testing.T) {
	for letter, want := range map[string]int{"a": 642, "Я": 321, "語": 214, "😀": 160, `"`: 321} {
		n := 0
		for {
			s, err := Encode(photo(strings.Repeat(letter, n+1)))
			if err != nil {
				t.Fatal(err)
			}
			if Decode(s).Kind != File {
				break
			}
			n++
		}
		if n != want {
			t.Errorf("%d of %s fit, want %d", n, letter, want)
		}
	}
}

// TestFileOfNoTree: one that was uploaded alone keeps its name.
func TestFileOfNoTree(t *testing.T) {
	a := photo("dump.sql")
	a.Tree = ""
	s, err := Encode(a)
	if err != nil {
		t.Fatal(err)
	}
	if got := Decode(s); got.Tree != "" || got.Path != "dump.sql" || got.Token != a.Token || got.Kind != File {
		t.Errorf("%+v", got)
	}
}

// TestEncodeRefuses: mistakes of callers, each with its reason.
func TestEncodeRefuses(t *testing.T) {
	change := func(f func(*Archive)) Archive { a := photo("a"); f(&a); return a }
	tests := []struct {
		a    Archive
		says string
	}{
		{change(func(a *Archive) { a.Token = firn.Token{} }), "without a token"},
		{change(func(a *Archive) { a.Tree = "a/b" }), "slash"},
		{change(func(a *Archive) { a.Kind = "" }), "is no kind"},
		{change(func(a *Archive) { a.Kind = "a/b" }), "is no kind"},
		{change(func(a *Archive) { a.Kind = "abcdefghijklmnopq" }), "is no kind"},
		{change(func(a *Archive) { a.Path, a.Made = "\n", time.Time{} }), "needs the time when it was made"},
		{change(func(a *Archive) { a.Kind, a.Made = "bundle", made.AddDate(8000, 0, 0) }), "needs the time when it was made"},
	}
	for _, tt := range tests {
		if s, err := Encode(tt.a); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %q, %v; want an error with %q", tt.a, s, err, tt.says)
		}
	}
}

func TestCheckTree(t *testing.T) {
	for _, name := range []string{"home", "My photos", "a.b", "é", "..a", strings.Repeat("x", MaxTree), "a:b"} {
		if err := CheckTree(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, says := range map[string]string{
		"": "empty", strings.Repeat("x", MaxTree+1): "longer", "\xff": "UTF-8", "a/b": "slash", `a\b`: "slash", "/": "slash",
		"a\nb": "control", "a\u0085b": "control", ".": "meaning", "..": "meaning", ".firn": "meaning",
	} {
		err := CheckTree(name)
		if firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "--tree NAME") {
			t.Errorf("%q: %v; want an error of usage with %q", name, err, says)
		}
	}
}

// TestReadsFutureKeys: what is unknown in firn's own keys costs no more than
// itself.
func TestReadsFutureKeys(t *testing.T) {
	id := token.String()
	tests := []struct {
		text string
		want Archive
	}{
		{`{"filename":"a","mtime":"20121225T100000Z","firn":7,"id":"` + id + `","new":"x"}`,
			Archive{Format: Firn, Version: 7, Token: token, Kind: File, Path: "a", ModTime: time.Unix(1356429600, 0).UTC()}},
		{`{"filename":".firn/catalog/x.zst","mtime":"20121225T100000Z","firn":1,"id":"` + id + `","kind":"catalog","later":5}`,
			Archive{Format: Firn, Version: 1, Token: token, Kind: "catalog", Made: time.Unix(1356429600, 0).UTC()}},
		{`{"filename":"a","mtime":"20121225T100000Z","firn":1,"id":"` + id + `","mode":"999","ns":-1,"tree":null}`,
			Archive{Format: Firn, Version: 1, Token: token, Kind: File, Path: "a", ModTime: time.Unix(1356429600, 0).UTC()}},
		{`{"filename":"a","mtime":"20121225T100000Z","firn":1,"id":"short"}`,
			Archive{Format: MT2, Kind: File, Path: "a", ModTime: time.Unix(1356429600, 0).UTC()}},
		{`{"filename":"a","mtime":"20121225T100000Z","firn":"one","id":"` + id + `"}`,
			Archive{Format: MT2, Kind: File, Path: "a", ModTime: time.Unix(1356429600, 0).UTC()}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, Decode(mt(tt.text))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
}

// reader reads descriptions by mt-aws-glacier's rules and prints the names in
// hexadecimal, and the times.
const reader = `
import base64, json, re, sys
for line in sys.stdin:
    marker, payload = line.split()[:2]
    assert marker == "mt2" and len(payload) <= 1024
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    assert len(text) <= 1024
    keys = json.loads(text.decode("utf-8"))
    assert not any(isinstance(v, (dict, list)) for v in keys.values())
    name = keys["filename"]
    assert name and not re.search(r"[\r\n\t]|//|^/|(^|/)\.\.?(/|$)", name), name
    assert re.fullmatch(r"[1-9]\d{7}T\d{6}Z", keys["mtime"])
    print(name.encode("utf-8").hex(), keys["mtime"])
`

// TestOthersRead: a program that knows nothing of firn reads the names and
// times of files.
func TestOthersRead(t *testing.T) {
	var in, want strings.Builder
	for _, path := range []string{"a", "dir/ä \u2028 \"q\" \\ \x7f \x01", "日本/😀", "a\nb", "\xff", strings.Repeat("é/", 300)} {
		s, err := Encode(photo(path))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&in, s)
		name, when := path, "20121225T100000Z"
		if Decode(s).Kind == Opaque {
			name, when = ".firn/opaque/"+token.String(), "20261121T203001Z"
		}
		fmt.Fprintf(&want, "%x %s\n", name, when)
	}
	cmd := exec.Command(testprog.Python(t), "-c", reader)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.CombinedOutput()
	if diff := cmp.Diff(want.String(), string(out)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestJob(t *testing.T) {
	tests := []struct{ words, want string }{
		{"", "firn1 AQAAAAD7AAAAAAAAAAAA_w"},
		{"restore of photos/a.jpg", "firn1 AQAAAAD7AAAAAAAAAAAA_w restore of photos/a.jpg"},
		{"ä\n", "firn1 AQAAAAD7AAAAAAAAAAAA_w ??"},
		{strings.Repeat("é", 2000), "firn1 AQAAAAD7AAAAAAAAAAAA_w " + strings.Repeat("?", 1024-29)},
	}
	for _, tt := range tests {
		s := Job(token, tt.words)
		if s != tt.want || len(s) > MaxLen {
			t.Errorf("Job(%q) = %q", tt.words, s)
		}
		if got, ok := JobToken(s); !ok || got != token {
			t.Errorf("JobToken(%q) = %v, %t", s, got, ok)
		}
		if got, ok := TokenOf(s); !ok || got != token {
			t.Errorf("TokenOf(%q) = %v, %t", s, got, ok)
		}
	}
	for _, s := range []string{"", "firn1", "firn1 ", "firn1 short", "firn1  AQAAAAD7AAAAAAAAAAAA_w", "mtijob1 eyJ0eXBlIjoiZnVsbCJ9", "firn1 AAAAAAAAAAAAAAAAAAAAAA", "firn2 AQAAAAD7AAAAAAAAAAAA_w"} {
		if got, ok := JobToken(s); ok {
			t.Errorf("JobToken(%q) = %v", s, got)
		}
		if got, ok := TokenOf(s); ok {
			t.Errorf("TokenOf(%q) = %v", s, got)
		}
	}
}

// FuzzDecode: whatever somebody wrote is read without a panic, and what is
// read of a file can be written again and means the same.
func FuzzDecode(f *testing.F) {
	for _, path := range []string{"a", "b\nc", "é/d"} {
		s, err := Encode(photo(path))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s)
	}
	f.Add("mt1 eyJmaWxlbmFtZSI6IsOQwq9Bw5DCryIsIm10aW1lIjoiMTk3MDAxMDFUMDAwMjAzWiJ9")
	f.Add(mt(`{"filename":"../a","mtime":"2009 01-01T 00:00 00,1234 z","firn":1,"id":"AQAAAAD7AAAAAAAAAAAA_w","kind":"opaque","sec":9223372036854775807,"path":"Li4"}`))
	f.Add(mt(`{"filename":1e5,"mtime":"19981231T235961Z"}`))
	f.Add(Job(token, "words"))
	f.Fuzz(func(t *testing.T, s string) {
		a := Decode(s)
		tok, ok := TokenOf(s)
		if job, isJob := JobToken(s); !isJob && (ok != (a.Format == Firn) || tok != a.Token) || isJob && tok != job {
			t.Errorf("TokenOf gives %v, %t", tok, ok)
		}
		if a.Format == Unknown {
			if a != (Archive{}) {
				t.Errorf("of no format, but %+v", a)
			}
			return
		}
		if a.Kind != File || a.ModTime.IsZero() {
			return
		}
		a.Token, a.Tree, a.Made = token, "home", made
		again, err := Encode(a)
		if err != nil {
			t.Fatalf("%+v: %v", a, err)
		}
		b := Decode(again)
		if !b.ModTime.Equal(a.ModTime) || b.Path != a.Path && len(a.Path) < 200 || b.Mode != a.Mode {
			t.Errorf("read %+v\nagain %+v", a, b)
		}
	})
}

// FuzzFlatObject: objects are read as encoding/json reads them.
func FuzzFlatObject(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { "filename" : "a\"\\b" , "ns":-1,"x":null } `, `{"filename":{}}`, `{"x":[1]}`, `[]`, `{"a":1,"ns":2,"ns":3}`,
		`{"\u0070ath":"\ud83d","sec":1e5,"id":true}`, `{"path":"}","kind":"{,:"}`, `{"a":1,}`, "{\"path\":\"\xff\"}", `null`, `{"a"`, "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var keys map[string]json.RawMessage
		want := utf8.Valid(text) && json.Unmarshal(text, &keys) == nil && keys != nil
		for _, v := range keys {
			want = want && v[0] != '{' && v[0] != '['
		}
		r, ok := flatObject(text)
		if ok != want {
			t.Fatalf("%q is read: %t, want %t", text, ok, want)
		}
		for _, key := range []string{"filename", "mtime", "firn", "id", "kind", "mode", "ns", "tree", "sec", "path", "Path", "UTCDateModified", "Flags"} {
			if got := *r.field(key); ok && string(got) != string(keys[key]) {
				t.Errorf("%q: %s is %s, want %s", text, key, got, keys[key])
			}
		}
	})
}

// BenchmarkDecode: an inventory has a description a line.
func BenchmarkDecode(b *testing.B) {
	s, err := Encode(photo("photos/2012/IMG_0001.jpg"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Decode(s)
	}
}

func BenchmarkEncode(b *testing.B) {
	a := photo("photos/2012/IMG_0001.jpg")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(a); err != nil {
			b.Fatal(err)
		}
	}
}
