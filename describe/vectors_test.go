package describe

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// mt wraps JSON as mt2 does.
func mt(text string) string { return "mt2 " + base64.RawURLEncoding.EncodeToString([]byte(text)) }

// TestReadsMtAwsGlacier holds mt-aws-glacier's own test vectors
// (t/integration/metadata.t, t/unit/metadata.t, t/unit/glacier/inventory_csv.t)
// and descriptions that version 1.120 wrote.
func TestReadsMtAwsGlacier(t *testing.T) {
	tests := []struct {
		description string
		path        string
		mtime       int64
	}{
		{"mt2 eyJmaWxlbmFtZSI6ImZpbGUiLCJtdGltZSI6IjIwMTIxMTE0VDIwMTYxOFoifQ", "file", 1352924178},
		{"mt2 eyJmaWxlbmFtZSI6ImZpbGUvYSIsIm10aW1lIjoiMjAxMjExMDNUMDYyOTM4WiJ9", "file/a", 1351924178},
		{"mt2 eyJmaWxlbmFtZSI6ImZpbGUvYS9iL2MvZCIsIm10aW1lIjoiMjAxMjExMDVUMTQwMjU4WiJ9", "file/a/b/c/d", 1352124178},
		{"mt2 eyJmaWxlbmFtZSI6ItC00LjRgNC10LrRgtC-0YDQuNGPL2EvYi9jL2QiLCJtdGltZSI6IjIwMTIxMTA1VDE0MDI1OFoifQ", "директория/a/b/c/d", 1352124178},
		{"mt2 eyJmaWxlbmFtZSI6ItC00LjRgNC10LrRgtC-0YDQuNGPL9GE0LDQudC7IiwibXRpbWUiOiIyMDEyMTEwNVQxNDAyNThaIn0", "директория/файл", 1352124178},
		{"mt2 eyJmaWxlbmFtZSI6IsK1IiwibXRpbWUiOiIxOTcwMDEwMVQwMDIwMzRaIn0", "\u00b5", 1234},
		{"mt2 eyJmaWxlbmFtZSI6IsOfIiwibXRpbWUiOiIxOTcwMDEwMVQwMDIwMzRaIn0", "\u00df", 1234},
		{"mt1 eyJmaWxlbmFtZSI6IsOQwq9Bw5DCryIsIm10aW1lIjoiMTk3MDAxMDFUMDAwMjAzWiJ9", "ЯAЯ", 123},
		{"mt2 eyJmaWxlbmFtZSI6ImZpbGUudHh0IiwibXRpbWUiOiIyMDEzMTIxOVQwODMzMDFaIn0", "file.txt", 1387441981},
		{"mt2 eyJmaWxlbmFtZSI6ImFcImJcXGMiLCJtdGltZSI6IjE5NjkxMjMxVDIzNTk1OVoifQ", `a"b\c`, -1},
		{"mt2 eyJtdGltZSI6Ijk5OTkxMjMxVDIzNTk1OVoiLCJmaWxlbmFtZSI6InNsL2FzaCAmIDx4PiJ9", "sl/ash & <x>", 253402300799},
		{"mt2 eyJmaWxlbmFtZSI6Im1pbiIsIm10aW1lIjoiMTAwMDAxMDFUMDAwMDAwWiJ9", "min", -30610224000},
		{"mt2 eyJtdGltZSI6IjE5NzAwMTAxVDAwMDAwMVoiLCJmaWxlbmFtZSI6ImXMgSBuZmQifQ", "e\u0301 nfd", 1},
		{"mt2 eyJmaWxlbmFtZSI6IsOpIG5mYyIsIm10aW1lIjoiMTk3MDAxMDFUMDAwMDAxWiJ9", "\u00e9 nfc", 1},
		{"mt2 eyJmaWxlbmFtZSI6ImVtb2ppIPCfmIAiLCJtdGltZSI6IjIwMTIxMTE0VDIwMTYxOFoifQ", "emoji 😀", 1352924178},
		{"mt2 eyJmaWxlbmFtZSI6ImRlbH8iLCJtdGltZSI6IjE5NzAwMTAxVDAwMjAzNFoifQ", "del\x7f", 1234},
	}
	for _, tt := range tests {
		payload := tt.description[4:]
		marker := tt.description[:3]
		for _, s := range []string{
			tt.description,
			tt.description + "=", tt.description + "==",
			marker + "   " + payload, marker + "\t\t" + payload, " \t" + marker + "\t\t " + payload,
			tt.description + " more words", tt.description + "\n",
			marker + " " + strings.NewReplacer("-", "+", "_", "/").Replace(payload),
			marker + " " + payload[:7] + "!?.*" + payload[7:],
		} {
			want := Archive{Format: Format(marker), Kind: File, Path: tt.path, ModTime: time.Unix(tt.mtime, 0).UTC()}
			if got := Decode(s); got != want {
				t.Errorf("Decode(%q)\n got %+v\nwant %+v", s, got, want)
			}
		}
	}
}

// TestForeign: what is none of ours is known to be so. The first lines are
// mt-aws-glacier's (t/integration/metadata.t).
func TestForeign(t *testing.T) {
	for _, s := range []string{
		"zzz", "mt2 zzz", "mt2 !!!!", "mt2 z+z",
		mt(`{"filename":"a","mtime":"20081515T222324Z"}`),
		mt(`ff`), mt(`{"a":1,"x":2}`), mt(`{"filename":"f","x":2}`), mt(`{"x":1,"mtime":2}`),
		mt(`{"filename":"a","mtime":"zzz"}`),
		mt(`{"filename":"` + strings.Repeat("x", 1024) + `","mtime":"20121225T100000Z"}`),
		"", " ", "\t \n", "mt1", "mt2 ", "mt2",

		"MT2 " + mt(`{"filename":"a","mtime":"20121225T100000Z"}`)[4:],
		"mt3 " + mt(`{"filename":"a","mtime":"20121225T100000Z"}`)[4:],
		mt(`{"filename":"a","mtime":"20121225T100000Z","more":{"x":1}}`),
		mt(`{"filename":"a","mtime":"20121225T100000Z","more":[]}`),
		mt(`{"filename":null,"mtime":"20121225T100000Z"}`),
		mt(`{"filename":true,"mtime":"20121225T100000Z"}`),
		mt(`{"Filename":"a","mtime":"20121225T100000Z"}`),
		mt(`{"filename":"a","mtime":"20121225T100000Z"`),
		mt(`{"filename":"a","mtime":"20121225T100000Z"} x`),
		mt(`[{"filename":"a","mtime":"20121225T100000Z"}]`),
		mt("{\"filename\":\"\xff\",\"mtime\":\"20121225T100000Z\"}"),
		mt(`null`),
		"mt1 " + mt(`{"filename":"Я","mtime":"20121225T100000Z"}`)[4:], // encoded once only
		"mt1 " + base64.RawURLEncoding.EncodeToString([]byte("{\"filename\":\"\xff\",\"mtime\":\"20121225T100000Z\"}")),
		"a file's plain name",
	} {
		if got := Decode(s); got != (Archive{}) {
			t.Errorf("Decode(%q) = %+v", s, got)
		}
	}
}

// TestLenientKeys: what mt-aws-glacier tolerates beside its own two keys.
func TestLenientKeys(t *testing.T) {
	want := Archive{Format: MT2, Kind: File, Path: "a", ModTime: time.Unix(1356429600, 0).UTC()}
	for _, text := range []string{
		`{"filename":"a","mtime":"20121225T100000Z","mode":"0644","n":1,"x":null,"y":true}`,
		`{"filename":"b","filename":"a","mtime":"20121225T100000Z"}`,
		` { "mtime" : "20121225T100000Z" , "filename" : "\u0061" } `,
	} {
		if got := Decode(mt(text)); got != want {
			t.Errorf("Decode of %s = %+v", text, got)
		}
	}
	want.Path = "2012"
	if got := Decode(mt(`{"filename":2012,"mtime":"20121225T100000Z"}`)); got != want {
		t.Errorf("Decode of a number as name = %+v", got)
	}
}

// TestTimes holds mt-aws-glacier's own test vectors (t/integration/datetime.t).
func TestTimes(t *testing.T) {
	for s, want := range map[string]int64{
		"20121225T100000Z": 1356429600, "20120229T000000Z": 1330473600, "20120630T235959Z": 1341100799,
		"19070809T082454Z": -1969112106, "19700101T000000Z": 0, "16800101T000000Z": -9151488000,
		"22600101T000000Z": 9151488000, "40000201T000000Z": 64063267200, "20380101T000000Z": 2145916800,
		"19011231T235959Z": -2145916801, "2009 01-01T 00:00 00,1234 z": 1230768000, "1998-12-31T23:59:60Z": 915148800,

		"1998-12-31t23:59:61.5z ": 915148801, "10000101T000000Z": -30610224000, "99991231T235959Z": 253402300799,
		"20121225T100000.999Z": 1356429600,
	} {
		if got, ok := parseTime(s); !ok || got.Unix() != want || got.Nanosecond() != 0 {
			t.Errorf("parseTime(%q) = %v (%d), %t; want %d", s, got, got.Unix(), ok, want)
		}
	}
	for _, s := range []string{
		"20141301T000000Z", "20140132T000000Z", "20140101T240000Z", "20140101T006000Z", "20140101T000063Z",
		"09990101T000000Z", "1234",

		"", "20140001T000000Z", "20140100T000000Z", "20130229T000000Z", "20140101T000062Z", "20140101T000000", "20140101 000000Z",
		"20140101T000000ZZ", "20140101T000000.12345678901Z", "0999-01-01T00:00:00Z", "-2014-01-01T00:00:00Z",
	} {
		if got, ok := parseTime(s); ok {
			t.Errorf("parseTime(%q) = %v", s, got)
		}
	}
}

// TestValidName holds mt-aws-glacier's own test vectors
// (t/unit/journal_sanity.t).
func TestValidName(t *testing.T) {
	for _, name := range []string{
		"a", "a/b/c", " a/ b /c", "0", "0/0", " 0", "тест/test", "ф..b", "a..", "..a", " ..", ".. ", ". ", " .", "...",
		`\\`, `\\..\a`, "a/", "a\x01", "a\x7f", ".firn/opaque/x",
	} {
		if !ValidName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{
		"", "/", "//", ".", "/.", "./", "a/./b/./", "a/./b/.", "/a", "/ф/ф", "/a ", "../etc/password", "/../x", "..", "../",
		"a\nb", "a\rb", "a\tb", "//a", "a//b", "a//", "a/..", "\xff",
	} {
		if ValidName(name) {
			t.Errorf("%q is taken", name)
		}
	}
}
