package rows

import (
	"io"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

// TestReadRefuses what breaks a rule: each is one change of the sample.
func TestReadRefuses(t *testing.T) {
	const (
		archive20 = `{"archive":{"id":20,`
		root      = `{"dir":{"tree":5}}`
		sub       = `"path_b64":"MjAxMi94/w=="`
		second    = `"since":4,"mode":"100644"`
		prune     = `{"run":{"id":4,`
	)
	tests := []struct {
		name, old, new string
		line           string
		why            string
	}{
		{"no JSON", archive20, `archive 20`, "line 9", "not a JSON object"},
		{"empty line", root, "", "line 12", "not a JSON object"},
		{"two kinds", root, `{"dir":{"tree":5},"entry":{}}`, "line 12", "2 keys"},
		{"no kind", root, `{}`, "line 12", "0 keys"},
		{"an unknown kind", root, `{"fork":{}}`, "line 12", `kind "fork"`},
		{"a kind that isn't an object", root, `{"dir":5}`, "line 12", "not a JSON object"},
		{"more behind it", root, root + "1", "line 12", "not a JSON object"},
		{"not UTF-8", `"thinned"`, "\"\xff\"", "line 10", "UTF-8"},
		{"broken JSON in an unknown key", root, `{"dir":{"tree":5,"new":[1,}}}`, "line 12", "new: it is not JSON"},
		{"a control character", `"thinned"`, "\"\x01\"", "line 10", "note"},
		{"a text that is a number", `"thinned"`, `5`, "line 10", "note: \"5\" is not a string"},
		{"a number that is a text", `"tree":5,"path`, `"tree":"5","path`, "line 14", "not an integer"},
		{"a fraction", `"size":4096`, `"size":4096.5`, "line 9", "not an integer"},
		{"an exponent", `"size":4096`, `"size":4e3`, "line 9", "not an integer"},
		{"a zero before", `"size":4096`, `"size":04096`, "line 9", "not an integer"},
		{"65 bits", `"size":4096`, `"size":9223372036854775808`, "line 9", "64 bits"},
		{"null", `"size":4096`, `"size":null`, "line 9", "not an integer"},
		{"no base64", `"path_b64":"MjAxMi94/w=="`, `"path_b64":"MjAxMi94/w"`, "line 14", "path"},
		{"a short hash", `"hash":"ba78`, `"hash":"ba`, "line 9", "62 characters are no hash"},
		{"no hexadecimal", `"hash":"ba78`, `"hash":"xa78`, "line 9", "hash"},
		{"a long token", `"token":"CQAA`, `"token":"CQAAA`, "line 3", "token"},
		{"no time", `"made":"2026`, `"made":"26`, "line 1", "made"},
		{"many nanoseconds", `[253402300800,5]`, `[253402300800,1000000000]`, "line 5", "nanoseconds"},
		{"negative nanoseconds", `[-1,999999999]`, `[-1,-1]`, "line 15", "nanoseconds"},
		{"three numbers", `[2,10]`, `[2,10,5]`, "line 6", "counts: sent"},
		{"no numbers", `[2,10]`, `[]`, "line 6", "counts: sent"},
		{"neither true nor false", `"complete":true`, `"complete":1`, "line 6", "complete"},
		{"no octal mode", `"mode":"40755"`, `"mode":"8"`, "line 13", "octal"},
		{"no mode", `"mode":"40755",`, ``, "line 13", "octal"},
		{"contents that are none", `"contents":[[`, `"contents":[5,[`, "line 9", "contents"},
		{"contents without hash", `[2560,9,"",5]`, `[2560,9]`, "line 9", "contents"},
		{"contents that don't end", `[2560,9,"",5]]`, `[2560,9,"",5],]`, "line 9", "contents"},

		{"no header", `{"header"`, `{"end":{}}` + "\n" + `{"header"`, "line 1", "no rows"},
		{"two headers", root, `{"header":{"version":1,"catalog":"AQIDAAAAAAAAAAAAAAAAAA"}}`, "line 12", "one already"},
		{"no format", `"version":1`, `"version":0`, "line 1", "no format 0"},
		{"no catalog", `"catalog":"AQIDAAAAAAAAAAAAAAAAAA"`, `"x":0`, "line 1", "whose rows"},
		{"a base that is newer", `"seq":7`, `"seq":7,"base":7`, "line 1", "can't add"},
		{"a negative number of a snapshot", `"seq":7`, `"seq":-7`, "line 1", "-7"},
		{"an include without number", `"seq":4}]`, `"seq":0}]`, "line 1", "includes"},
		{"a catalog without token", `"token":"AQIDAAAAAAAAAAAAAAAAAA",`, ``, "line 2", "no token"},
		{"the first catalog another", `"token":"AQIDAAAAAAAAAAAAAAAAAA",`, `"token":"AQIDBAAAAAAAAAAAAAAAAA",`, "line 2", "header names"},
		{"a catalog twice", `"id":2`, `"id":1`, "line 3", "header names"},
		{"a catalog without number", `"id":2,`, ``, "line 3", "0 is not its number"},
		{"a tree twice", prune, `{"tree":{"id":5}}` + "\n" + prune, "line 7", "behind lines"},
		{"the same tree twice", `{"run":{"id":-6890000000`, `{"tree":{"id":5}}` + "\n" + `{"run":{"id":-6890000000`, "line 5", "there twice"},
		{"short recipients", `"recipients":"abab`, `"recipients":"ab`, "line 4", "31 bytes"},
		{"a run of no catalog", `{"run":{"id":4,"catalog":1`, `{"run":{"id":4,"catalog":3`, "line 7", "no catalog 3"},
		{"a run of no tree", `"tree":5,"command"`, `"tree":6,"command"`, "line 6", "no tree 6"},
		{"a run without number", `{"run":{"id":4,`, `{"run":{`, "line 7", "no number"},
		{"a run twice", `{"run":{"id":4,`, `{"run":{"id":3,`, "line 7", "there twice"},
		{"a snapshot of no catalog", `{"snapshot":{"catalog":2`, `{"snapshot":{"catalog":0`, "line 8", "no catalog 0"},
		{"a snapshot that adds to itself", `"base":3`, `"base":4`, "line 8", "can't add"},
		{"a snapshot without archive", `"archive":21,`, ``, "line 8", "no archive"},
		{"a snapshot in an archive that never comes", `"archive":21,`, `"archive":23,`, "line 12", "no archive 23"},
		{"an archive of an unknown kind", `"kind":"bundle"`, `"kind":"box"`, "line 9", `"box"`},
		{"an archive that is only intended", `"state":10`, `"state":1`, "line 9", "state 1"},
		{"a large state", `"state":10`, `"state":266`, "line 9", "266"},
		{"an archive of no run", `"run":3`, `"run":9`, "line 9", "run 9"},
		{"an archive settled in no run", `"settled":4`, `"settled":9`, "line 9", "run 9"},
		{"a negative size", `"size":4096`, `"size":-1`, "line 9", "-1 bytes"},
		{"an archive twice", `"id":21`, `"id":20`, "line 10", "there twice"},
		{"a negative archive", `"id":21`, `"id":-21`, "line 10", "-21"},
		{"a header without recipients", `,"recipients":"0101010101010101010101010101010101010101010101010101010101010101"`, ``, "line 9", "recipients"},
		{"contents at a negative byte", `[512,3`, `[-512,3`, "line 9", "byte -512"},
		{"contents of negative size", `[512,3`, `[512,-3`, "line 9", "-3 bytes"},
		{"contents behind the last byte", `[512,3`, `[9223372036854775807,3`, "line 9", "byte 9223372036854775807"},
		{"contents out of order", `"",5]`, `"",1]`, "line 9", "content 1"},
		{"a negative content", `"],[1536`, `",-1],[1536`, "line 9", "content -1"},
		{"a directory of no tree", root, `{"dir":{"tree":6}}`, "line 12", "no tree 6"},
		{"a path from the root", sub, `"path":"/a"`, "line 14", "not a path"},
		{"a path with two slashes", sub, `"path":"a//b"`, "line 14", "not a path"},
		{"a path that ends in a slash", sub, `"path":"a/"`, "line 14", "not a path"},
		{"a path that stays", sub, `"path":"a/./b"`, "line 14", "not a path"},
		{"a path upwards", sub, `"path":"../a"`, "line 14", "not a path"},
		{"a path with NUL", sub, `"path":"a\u0000"`, "line 14", "not a path"},
		{"an entry without directory", root, `{"entry":{"since":3,"mode":"40755"}}`, "line 12", "first directory"},
		{"an archive behind directories", `{"dir":{"tree":5,`, archive20[:12] + `"id":30,"kind":"file","state":10}}` + "\n" + `{"dir":{"tree":5,`, "line 14", "behind lines"},
		{"a name with a slash", `"name_b64":"bP4="`, `"name":"l/m"`, "line 17", "not a name"},
		{"a name with NUL", `"name_b64":"bP4="`, `"name":"l\u0000"`, "line 17", "not a name"},
		{"a name upwards", `"name":"a \"\\\u000a","since":3`, `"name":"..","since":3`, "line 15", "not a name"},
		{"a file without a name", `"name_b64":"bP4=",`, ``, "line 17", "behind"},
		{"a first file without a name", `"name":"a \"\\\u000a","since":3`, `"since":3`, "line 15", "have no name"},
		{"a directory with a name", `"mode":"120777","target_b64":"w7z/"`, `"mode":"40755"`, "line 17", "have no name"},
		{"a device", `"mode":"120777"`, `"mode":"20666"`, "line 17", "mode"},
		{"a mode of many bits", `"mode":"120777"`, `"mode":"1120777"`, "line 17", "mode"},
		{"a negative file", `"size":9,`, `"size":-9,`, "line 16", "-9 bytes"},
		{"a negative owner", `"uid":1000`, `"uid":-1`, "line 15", "negative"},
		{"a target of a file", second, second + `,"target":"x"`, "line 16", "not a link"},
		{"a link with content", `"target_b64"`, `"content":[20],"target_b64"`, "line 17", "not a file"},
		{"content of no archive", `[20,5]`, `[23,5]`, "line 16", "no archive 23"},
		{"content of archive 0", `[20,5]`, `[0,5]`, "line 16", "archive 0"},
		{"a negative member", `[20,5]`, `[20,-5]`, "line 16", "-5"},
		{"a version of no run", second, `"since":5,"mode":"100644"`, "line 16", "no run 5"},
		{"a version without run", second, `"mode":"100644"`, "line 16", "no run 0"},
		{"a version until no run", `"until":4`, `"until":5`, "line 15", "no run 5"},
		{"a version that ends as it begins", `"until":4`, `"until":3`, "line 15", "from run 3 to run 3"},
		{"versions out of order", second, `"since":3,"mode":"100644"`, "line 16", "run 3"},
		{"a current version before the last", `"until":4,`, ``, "line 16", "behind that of run 3"},
		{"names out of order", `"name":"a \"\\\u000a","since":4`, `"name":"A","since":4`, "line 16", "behind"},
		{"archives that don't come", `"archives":3`, `"archives":4`, "line 18", "4 archives"},
		{"entries that don't come", `"entries":4`, `"entries":5`, "line 18", "5 entries"},
		{"more behind the end", `{"end":{"archives":3,"entries":4}}`, `{"end":{"archives":3,"entries":4}}` + "\n" + root, "line 19", "behind the end"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(sampleText, test.old) {
				t.Fatalf("%s isn't in the sample", test.old)
			}
			all, err := read(strings.NewReader(strings.Replace(sampleText, test.old, test.new, 1)))
			if firn.KindOf(err) != firn.Corrupt || !strings.Contains(err.Error(), test.line+": ") || !strings.Contains(err.Error(), test.why) {
				t.Errorf("%v\nshould say %q and %q", err, test.line, test.why)
			}
			if len(all) >= len(sample()) {
				t.Error("the end was handed out")
			}
		})
	}
}

// TestWriteRefuses what Read would, so that no snapshot is made that can't be
// read: a row behind the end, a wrong one, and none.
func TestWriteRefuses(t *testing.T) {
	for i := range sample() {
		w := NewWriter(io.Discard)
		for _, row := range sample() {
			if err := w.Write(row); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Write(sample()[i]); firn.KindOf(err) != firn.Invalid || !strings.Contains(err.Error(), "line 19: ") {
			t.Errorf("row %d again: %v", i, err)
		}
	}
	w := NewWriter(io.Discard)
	for _, row := range sample()[:13] {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(&Entry{Name: "../x", Since: 3, Mode: 0o100644}); firn.KindOf(err) != firn.Invalid {
		t.Error(err)
	}
	if err := NewWriter(io.Discard).Write(nil); firn.KindOf(err) != firn.Invalid {
		t.Error(err)
	}
}

// TestDelta: one that adds to another may refer to what that has.
func TestDelta(t *testing.T) {
	text := strings.Replace(sampleText, `"seq":7`, `"seq":7,"base":3`, 1)
	text = strings.Replace(text, `[20,5]`, `[7,5]`, 1)
	text = strings.Replace(text, `"archive":21`, `"archive":8`, 1)
	all, err := read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(write(t, all)); got != text {
		t.Errorf("written again:\n%s", got)
	}
}
