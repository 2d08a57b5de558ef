package describe

import (
	"encoding/base64"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dated is the time in FastGlacier's own examples.
var dated = time.Date(2012, 8, 21, 17, 8, 24, 0, time.UTC)

// TestVectors holds a description of each format as it was published, by its
// program or by others who met it, or as the program wrote it.
func TestVectors(t *testing.T) {
	const dpx = "UkVOREVSRkFSTTUvQjovb25lL3R3by90aHJlZS9jaDAxX3NlcTAwNF9zaDAwMTAuMjA0NC5kcHg="
	tests := []struct {
		name, description string
		want              Archive
	}{
		{"FastGlacier 4", "<m>\n  <v>4</v>\n  <p>Z2xhY2llci1kZy5wZGY=</p>\n  <lm>20120821T170824Z</lm>\n  <ce>1:1:4340ebcf79712dc5e3ef7d50bab98ba5:54687</ce>\n</m>", Archive{
			Format: FastGlacier, Version: 4, Kind: File, Path: "glacier-dg.pdf", ModTime: dated, Compressed: true, Encrypted: true,
			MD5: "4340ebcf79712dc5e3ef7d50bab98ba5", PlainSize: 54687, HasPlainSize: true,
		}},
		{"FastGlacier 3", "<m><v>3</v><p>Z2xhY2llci1kZy5wZGY=</p><lm>20120821T170824Z</lm><ce>1:1:4340ebcf79712dc5e3ef7d50bab98ba5</ce></m>", Archive{
			Format: FastGlacier, Version: 3, Kind: File, Path: "glacier-dg.pdf", ModTime: dated, Compressed: true, Encrypted: true,
			MD5: "4340ebcf79712dc5e3ef7d50bab98ba5",
		}},
		{"FastGlacier 2", "<m><v>2</v><p>Z2xhY2llci1kZy5wZGY=</p><lm>20120821T170824Z</lm></m>", Archive{
			Format: FastGlacier, Version: 2, Kind: File, Path: "glacier-dg.pdf", ModTime: dated,
		}},
		{"FastGlacier 1", "<ArchiveMetadata>           <Path>       " + dpx + "   </Path></ArchiveMetadata>", Archive{
			Format: FastGlacier, Version: 1, Kind: File, Path: "RENDERFARM5/B:/one/two/three/ch01_seq004_sh0010.2044.dpx",
		}},
		{"FastGlacier 1, quoted", `"<ArchiveMetadata>           <Path>       ` + dpx + `   </Path></ArchiveMetadata>"`, Archive{
			Format: FastGlacier, Version: 1, Kind: File, Path: "RENDERFARM5/B:/one/two/three/ch01_seq004_sh0010.2044.dpx",
		}},
		{"FastGlacier, quoted and spaced out", `"       <m><v>4</v><p>RlgxNTAvQ0JCX2ZpZ3VyZS9lZTRjM2MxOS00OTBkLTQwN2UtOGJlNy04ODliZTQxYjQ4YmIuY2Ji </p><lm>20190121T085242Z       </lm>        </m>"`, Archive{
			Format: FastGlacier, Version: 4, Kind: File, Path: "FX150/CBB_figure/ee4c3c19-490d-407e-8be7-889be41b48bb.cbb", ModTime: time.Date(2019, 1, 21, 8, 52, 42, 0, time.UTC),
		}},
		{"Hybrid Backup Sync", "<m><v>4</v><p>L3NhbXBsZS8xMjM0LnBkZg==</p><lm>20190501T100059Z</lm></m>", Archive{
			Format: FastGlacier, Version: 4, Kind: File, Path: "/sample/1234.pdf", ModTime: time.Date(2019, 5, 1, 10, 0, 59, 0, time.UTC),
		}},
		{"CloudBerry", `{"Path":"dir1/file1","UTCDateModified":"20130322T120026Z"}`, Archive{
			Format: CloudBerry, Kind: File, Path: "dir1/file1", ModTime: time.Date(2013, 3, 22, 12, 0, 26, 0, time.UTC),
		}},
		{"CloudBerry, with escapes that are none", `{"Path":"CB+F8-M5/B:/c01/q004/s0010/c01+AF8-s00+A8-s0010+F8/h01.1094.dpx","UTCDateModified":"20100310T110623Z"}`, Archive{
			Format: CloudBerry, Kind: File, Path: "CB+F8-M5/B:/c01/q004/s0010/c01_s00+A8-s0010+F8/h01.1094.dpx", ModTime: time.Date(2010, 3, 10, 11, 6, 23, 0, time.UTC),
		}},
		{"glaciersync", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", Archive{Format: GlacierSync, SHA1: "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"}},
		{"its database", "glaciersync sqlite3 db 2026-11-21 20:52:45.774243", Archive{
			Format: GlacierSyncDB, Kind: Database, Stamp: "2026-11-21 20:52:45.774243",
		}},
		{"its database, at a full second", "glaciersync sqlite3 db 2013-05-01 00:00:00", Archive{
			Format: GlacierSyncDB, Kind: Database, Stamp: "2013-05-01 00:00:00",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, s := range []string{tt.description, " \t" + tt.description + "\n"} {
				if diff := cmp.Diff(tt.want, Decode(s)); diff != "" {
					t.Errorf("%q (-want +got):\n%s", s, diff)
				}
				if diff := cmp.Diff(tt.want, Guess(s)); diff != "" {
					t.Errorf("guessed %q (-want +got):\n%s", s, diff)
				}
				if tok, ok := TokenOf(s); ok {
					t.Errorf("%q has the token %v", s, tok)
				}
			}
		})
	}
}

// fastGlacier wraps elements, behind a path, as FastGlacier does.
func fastGlacier(path, elements string) string {
	return "<m><p>" + base64.StdEncoding.EncodeToString([]byte(path)) + "</p>" + elements + "</m>"
}

// TestFastGlacierLenient: only the path has to be there.
func TestFastGlacierLenient(t *testing.T) {
	file := Archive{Format: FastGlacier, Kind: File, Path: "a/é"}
	with := func(change func(*Archive)) Archive {
		a := file
		change(&a)
		return a
	}
	compressed := with(func(a *Archive) { a.Compressed = true })
	encrypted := with(func(a *Archive) { a.Encrypted = true })
	const sum = "0123456789abcdef0123456789abcdef"
	for elements, want := range map[string]Archive{
		"":                              file,
		"<x>1</x><lm/><v></v>":          file,
		"<ce/><x />":                    file,
		"<ce>0:0</ce>":                  file,
		"<ce>false:False</ce>":          file,
		"<ce> 1 : 0 </ce>":              compressed,
		"<ce>true:false:zz:-1</ce>":     compressed,
		"<ce>0:1:" + sum + "0:1x</ce>":  encrypted,
		"<ce>no:</ce>":                  compressed, // perhaps: nobody knows
		"<ce>1</ce><ce>0:1</ce>":        encrypted,
		"<lm>01010101T000000Z</lm>":     file, // a time that means that there is none
		"<v>four</v>":                   file,
		"<v>99999999999</v>":            with(func(a *Archive) { a.Version = 65535 }),
		"<lm>2012-08-21T17:08:24Z</lm>": with(func(a *Archive) { a.ModTime = dated }),
		"<v>9</v>":                      with(func(a *Archive) { a.Version = 9 }),
		"<ce>0:0:" + strings.ToUpper(sum) + ":7</ce>": with(func(a *Archive) { a.MD5, a.PlainSize, a.HasPlainSize = sum, 7, true }),
		"<ce>0:0::0</ce>": with(func(a *Archive) { a.HasPlainSize = true }),
	} {
		if diff := cmp.Diff(want, Decode(fastGlacier("a/é", elements))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", elements, diff)
		}
	}
	for _, path := range []string{"YS/DqQ==", "YS/DqQ", " YS/D\r\n qQ= "} {
		if got := Decode("<m><p>" + path + "</p></m>"); got != file {
			t.Errorf("%q: %+v", path, got)
		}
	}
}

// TestFolders: a path of Windows that ends with a slash or a backslash is a
// folder's.
func TestFolders(t *testing.T) {
	for s, want := range map[string]Kind{
		fastGlacier("dir/", ""):             Folder,
		fastGlacier(`dir\`, ""):             Folder,
		fastGlacier("dir/a", ""):            File,
		`{"Path":"c:+AFw-dir+AFw-"}`:        Folder,
		`{"Path":"c:+AFw-dir+AFw-a b.txt"}`: File,
	} {
		if got := Decode(s).Kind; got != want {
			t.Errorf("%s is a %s, want %s", s, got, want)
		}
	}
}

// TestCloudBerryLenient: only the path has to be there.
func TestCloudBerryLenient(t *testing.T) {
	for keys, packed := range map[string]string{
		``: "", `,"Flags":0`: "", `,"Flags":null`: "", `,"x":"y"`: "", `,"Flags":4`: "",
		`,"Flags":1`: "compressed", `,"Flags":2`: "encrypted", `,"Flags":3`: "compressed, encrypted",
		`,"Flags":"1"`: "compressed", `,"Flags":1,"Flags":2`: "encrypted", `,"Flags":-1`: "compressed, encrypted",
		`,"Flags":1.5`: "compressed, encrypted", `,"Flags":"yes"`: "compressed, encrypted",
		`,"UTCDateModified":"never"`: "", `,"UTCDateModified":5`: "",
	} {
		s := ` { "Path" : "a"` + keys + ` } `
		got := Decode(s)
		if got.Packed() != packed {
			t.Errorf("%s is %q, want %q", s, got.Packed(), packed)
		}
		got.Compressed, got.Encrypted = false, false
		if diff := cmp.Diff(Archive{Format: CloudBerry, Kind: File, Path: "a"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s, diff)
		}
	}
}

// TestCloudBerryPaths: UTF-7 within JSON.
func TestCloudBerryPaths(t *testing.T) {
	for s, want := range map[string]string{
		`{"Path":"c:+AFw-dir+AFxl5Wcs-"}`:       `c:\dir\日本`,
		`{"Path":"c:\\dir\\\u65e5本"}`:           `c:\dir\日本`,
		`{"Path":"+AFwAXA-nas+AFw-a+-b+ACY-c"}`: `\\nas\a+b&c`,
		`"{\"Path\":\"a/+AOQ-\"}"`:              "a/ä",
	} {
		if got := Decode(s); got.Path != want || got.Format != CloudBerry {
			t.Errorf("%s is %+v, want %s", s, got, want)
		}
	}
}

// TestDamaged: what is nearly of a format is of none, and is no name either.
func TestDamaged(t *testing.T) {
	for _, s := range []string{
		"", " ", "\t", `"`, `""`, `" "`,
		"<m></m>", "<m>", "<m><p></p></m>", "<m><p>YQ==</m>", "<m><p>!!</p></m>", "<m><p>Y</p></m>", "<m><p>YQ==</p>", "<m><p>YQ==</p></m> x",
		"<m>YQ==</m>", "<m><p>YQ==</p>x</m>", "<m><P>YQ==</P></m>", "<m><p>YQ==</p><lm></m>", "<m><q>YQ==</q></m>",
		"<ArchiveMetadata></ArchiveMetadata>", "<ArchiveMetadata><Path>*</Path></ArchiveMetadata>", `"<m></m>"`,
		`{"Path":""}`, `{"Path":null}`, `{"Path":{}}`, `{"path":"a"}`, `{"Path":"a"`, `{"Path":"a","x":[1]}`, `{"Path":"c:\dir"}`, `"{"Path":1"`,
		"glaciersync sqlite3 db", "glaciersync sqlite3 db ", "glaciersync sqlite3 db 2026-13-21 20:52:45", "glaciersync sqlite3 db x",
		"mt2 zzz", "mt1 x", "mt2 " + strings.Repeat("A", 2000), "mtijob1 eyJ0eXBlIjoiZnVsbCJ9", Job(token, "restore of a"), Job(token, ""),
	} {
		if got := Decode(s); got != (Archive{}) {
			t.Errorf("Decode(%q) = %+v", s, got)
		}
		if got := Guess(s); got != (Archive{}) {
			t.Errorf("Guess(%q) = %+v", s, got)
		}
	}
}

// TestGuess: what nothing else explains is a name, as it stands.
func TestGuess(t *testing.T) {
	for _, s := range []string{
		"a", "photos.tar.gz", "dir/a b", " a ", "../../etc/passwd", `c:\dir\f`, "%C3%BCn%C3%AF", "ü", "<stdin>", "<M>", "m", "mt2", "mt2zzz", "mt3 a",
		"{4D36E96E}.zip", "{}", `"quoted"`, "firn", "my glaciersync sqlite3 db",
		"2FD4E1C67A2D28FCED849EE1BB76E7391B93EB12", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb1", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb123", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb1g",
		"SHA256E-s3--084c799cd551dd1d8d5c5f9a5d593b2e931f5e36122ee5c793c1d08a19839cc0", "line\nbreak", "\xff",
	} {
		if got := Decode(s); got != (Archive{}) {
			t.Errorf("Decode(%q) = %+v", s, got)
		}
		want := Archive{Format: Plain, Kind: File, Path: s}
		if diff := cmp.Diff(want, Guess(s)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", s, diff)
		}
	}
	s, err := Encode(photo("a"))
	if err != nil {
		t.Fatal(err)
	}
	if got := Guess(s); got != Decode(s) || got.Format != Firn {
		t.Errorf("Guess of firn's own is %+v", got)
	}
}

func TestPacked(t *testing.T) {
	for want, a := range map[string]Archive{
		"":                      {},
		"compressed":            {Compressed: true},
		"encrypted":             {Encrypted: true},
		"compressed, encrypted": {Compressed: true, Encrypted: true},
	} {
		if got := a.Packed(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// boto writes a name as glacier-cli's library does on Python 3.
func boto(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(name) {
		if ' ' <= c && c < 0x7f {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	return b.String()
}

func TestUnescape(t *testing.T) {
	for s, want := range map[string]string{
		"%C3%BCn%C3%AF": "ünï", "a%09b": "a\tb", "%c3%bc": "ü", "100% %C3%BC": "100% ü", "%C3%BC%": "ü%", "%C3%BC%2": "ü%2", "%%C3%BC": "%ü",
		"%E6%97%A5/%E6%9C%AC": "日/本", "del%7F": "del\x7f", "%zz%0A": "%zz\n",
	} {
		if got, ok := Unescape(s); got != want || !ok {
			t.Errorf("Unescape(%q) = %q, %t", s, got, ok)
		}
	}
	for _, s := range []string{"", "a", "%", "%C", "100%", "ü", "%zz", "my%20file", "my%20file%C3%BC", "100%25", "%41%C3%BC", "%FF", "%C3", "a%00b", "%C3%zz%BC"} {
		if got, ok := Unescape(s); got != s || ok {
			t.Errorf("Unescape(%q) = %q, %t", s, got, ok)
		}
	}
}

// FuzzUnescape: what was escaped comes back, unless it looked escaped before.
func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "ünï", "a\tb", "100% ü", "%C3%BC", "\xff", "%20ü", "a\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		escaped := boto(name)
		got, ok := Unescape(escaped)
		if !ok && got != escaped {
			t.Errorf("%q became %q", escaped, got)
		}
		want := escaped != name && !strings.Contains(name, "\x00") && strings.ToValidUTF8(name, "") == name && !looksEscaped(name)
		if want && (!ok || got != name) {
			t.Errorf("%q was escaped, %q came back, %t", name, got, ok)
		}
	})
}

// looksEscaped tells whether there is a "%" with two hexadecimal digits behind.
func looksEscaped(s string) bool {
	for i := range s {
		if _, ok := unhex(s[i:]); ok {
			return true
		}
	}
	return false
}

// FuzzFastGlacier: whatever stands around it, the path is found.
func FuzzFastGlacier(f *testing.F) {
	f.Add("a/b", "20120821T170824Z", "1:1:4340ebcf79712dc5e3ef7d50bab98ba5:54687", "x")
	f.Add(`c:\dir\`, "", "::", "")
	f.Add("../é", "never", "0:0:0:9223372036854775808", "a b")
	f.Fuzz(func(t *testing.T, path, lm, ce, other string) {
		s := fastGlacier(path, "<lm>"+lm+"</lm><ce>"+ce+"</ce><o>"+other+"</o>")
		got := Decode(s)
		if path == "" || strings.ContainsAny(lm+ce+other, "<>") {
			return
		}
		if got.Format != FastGlacier || got.Path != path {
			t.Errorf("%s: %+v", s, got)
		}
	})
}

// FuzzForeign: whatever somebody wrote is read without a panic, and what comes
// out keeps to what Archive says of its fields.
func FuzzForeign(f *testing.F) {
	for _, s := range []string{
		"<m><v>4</v><p>Z2xhY2llci1kZy5wZGY=</p><lm>20120821T170824Z</lm><ce>1:1:4340ebcf79712dc5e3ef7d50bab98ba5:54687</ce></m>",
		"<ArchiveMetadata> <Path> YQ== </Path></ArchiveMetadata>", `"<m><p>Li4v</p></m>"`, "<m><p/><p>YQ</p>", "<<m>>", "<m><m></m></m>",
		`{"Path":"c:+AFw-dir+AFw-+AOQ-","UTCDateModified":"20130322T120026Z","Flags":3}`, `"{\"Path\":\"x\"}"`, `{"Path":"+","Flags":1e9}`,
		"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", "glaciersync sqlite3 db 2026-11-21 20:52:45.774243", "../%C3%BC", "mt2 zzz", `\\?\UNC\s\s`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, g := Decode(s), Guess(s)
		switch {
		case a.Format == Plain || a.Format == Unknown && a != (Archive{}):
			t.Errorf("Decode gives %+v", a)
		case a.Format != Unknown && g != a:
			t.Errorf("Decode gives %+v, Guess %+v", a, g)
		case a.Format == Unknown && g != (Archive{}) && g != (Archive{Format: Plain, Kind: File, Path: s}):
			t.Errorf("Guess gives %+v", g)
		case (a.Format == FastGlacier || a.Format == CloudBerry) && (a.Path == "" || a.Kind != File && a.Kind != Folder):
			t.Errorf("a file without a name: %+v", a)
		case len(a.MD5) != 0 && len(a.MD5) != 32, a.PlainSize < 0, !a.HasPlainSize && a.PlainSize != 0, a.Version < 0:
			t.Errorf("Decode gives %+v", a)
		}
		if safe, changed := g.SafePath(); safe != "" && !fs.ValidPath(safe) || changed != (safe != g.Path) {
			t.Errorf("the path %q becomes %q, %t", g.Path, safe, changed)
		}
	})
}

// BenchmarkDecodeForeign: an inventory has a description a line.
func BenchmarkDecodeForeign(b *testing.B) {
	for name, s := range map[string]string{
		"fastglacier": "<m><v>4</v><p>RlgxNTAvQ0JCX2ZpZ3VyZS9lZTRjM2MxOS00OTBkLTQwN2UtOGJlNy04ODliZTQxYjQ4YmIuY2Ji</p><lm>20190121T085242Z</lm><ce>0:0:4340ebcf79712dc5e3ef7d50bab98ba5:54687</ce></m>",
		"cloudberry":  `{"Path":"c:+AFw-dir+AFw-s+APY-me file.jpg","UTCDateModified":"20130322T120026Z","Flags":0}`,
		"glaciersync": "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		"plain":       "photos/2012/IMG_0001.jpg",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Guess(s)
			}
		})
	}
}
