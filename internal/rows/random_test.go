package rows

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// TestRoundTrip: whatever a catalog may hold comes back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := randomRows(t)
		var buf bytes.Buffer
		w := NewWriter(&buf)
		for _, row := range want {
			if err := w.Write(row); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := read(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got[:len(got)-1], sameRows); diff != "" {
			t.Error(diff)
		}
	})
}

// randomRows gives a stream without its end.
func randomRows(t *rapid.T) (all []Row) {
	h := &Header{
		Version: Version, Catalog: writer, Host: text(t), Seq: 2, Base: rapid.Int64Range(0, 1).Draw(t, "base"),
		Through: number(t), Made: moment(t), Store: Store{text(t), text(t), text(t), text(t), text(t), text(t)},
	}
	for range few(t) {
		h.Includes = append(h.Includes, Include{other, 1 + rapid.Int64Range(0, 9).Draw(t, "seq")})
		h.Profiles = append(h.Profiles, Profile{text(t), text(t)})
	}
	all = append(all, h, &Catalog{ID: 1, Token: writer, Host: text(t)})
	trees := identities(t)
	for _, id := range trees {
		all = append(all, &Tree{ID: id, Name: text(t), Host: text(t), Root: text(t), Recipients: recipients(t), Keys: []string{"age1"}})
	}
	runs := append(identities(t), -5)
	for _, id := range runs {
		all = append(all, &Run{
			ID: id, Catalog: 1, Origin: number(t), Tree: rapid.SampledFrom(trees).Draw(t, "tree"), Command: text(t),
			Started: moment(t), Ended: moment(t), Complete: rapid.Bool().Draw(t, "complete"),
			Counts: map[firn.Action]firn.Count{"sent": {Files: number(t), Bytes: number(t)}, "\"ü\n": {}},
		})
	}
	archives := identities(t)
	for _, id := range archives {
		all = append(all, randomArchive(t, id, rapid.SampledFrom(runs).Draw(t, "run")))
	}
	for range few(t) {
		all = append(all, randomDir(t, trees, runs, archives)...)
	}
	return all
}

func randomArchive(t *rapid.T, id, run int64) *Archive {
	a := &Archive{
		ID: id, Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), State: rapid.SampledFrom(states).Draw(t, "state"), Run: run, Settled: run,
		Token: firn.Token{byte(id)}, Remote: firn.ArchiveID(text(t)), Size: size(t), Tree: hash(t), Created: moment(t), Leaves: moment(t),
		Note: text(t), Description: text(t), Format: text(t), Packed: text(t), Recipients: recipients(t),
	}
	if a.Recipients != nil {
		a.Header = []byte{0, 1, 2, 3}
	}
	for _, member := range slices.Sorted(slices.Values(identities(t))) {
		a.Contents = append(a.Contents, Content{Member: member - 1, Offset: size(t), Size: size(t), Tree: hash(t)})
	}
	return a
}

// randomDir gives a directory and its entries, of which some have versions.
func randomDir(t *rapid.T, trees, runs, archives []int64) []Row {
	path := rapid.SampledFrom([]string{"", "a", "a/b", "\xff/ü", "a b/...", "\n"}).Draw(t, "path")
	all := []Row{&Dir{Tree: rapid.SampledFrom(trees).Draw(t, "tree"), Path: path}}
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab"\\ü\n]{1,3}`), 1, 4, rapid.ID).Draw(t, "names")
	names = append(names, "\xff\xfe", "")
	slices.Sort(names)
	runs = slices.Sorted(slices.Values(runs))
	for _, name := range names {
		since := rapid.SliceOfNDistinct(rapid.SampledFrom(runs), 1, len(runs), rapid.ID).Draw(t, "since")
		slices.Sort(since)
		for i, run := range since {
			e := &Entry{
				Name: name, Since: run, Mode: 0o100644, Size: size(t), ModTime: moment(t), UID: owner(t), GID: owner(t),
				LinkGroup: number(t), Attrs: rapid.SliceOf(rapid.Byte()).Draw(t, "attrs"),
			}
			if i+1 < len(since) {
				e.Until = since[i+1]
			}
			switch kind := rapid.IntRange(0, 2).Draw(t, "kind"); {
			case name == "":
				e.Mode = 0o41777
			case kind == 0:
				e.Mode, e.Target = 0o120777, text(t)
			case kind == 1:
				e.Archive, e.Member = rapid.SampledFrom(archives).Draw(t, "archive"), size(t)
			}
			all = append(all, e)
		}
	}
	return all
}

func few(t *rapid.T) int { return rapid.IntRange(0, 2).Draw(t, "few") }

func identities(t *rapid.T) []int64 {
	return rapid.SliceOfNDistinct(rapid.Int64Range(1, 1<<62), 1, 4, rapid.ID).Draw(t, "ids")
}

func number(t *rapid.T) int64 { return rapid.Int64().Draw(t, "number") }
func size(t *rapid.T) int64   { return rapid.Int64Range(0, 1<<61).Draw(t, "size") }
func owner(t *rapid.T) int64  { return rapid.Int64Range(-1, 1<<32).Draw(t, "owner") }

// text is a string, of UTF-8 or not.
func text(t *rapid.T) string {
	return rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("a\"\\\n\x00\x1f\x7f\ufffd\u2028")))).Draw(t, "text") +
		rapid.SampledFrom([]string{"", "", "\xff"}).Draw(t, "tail")
}

func hash(t *rapid.T) treehash.Hash {
	return rapid.SampledFrom([]treehash.Hash{{}, abc, {31: 1}}).Draw(t, "hash")
}

func recipients(t *rapid.T) []byte {
	return rapid.SampledFrom([][]byte{nil, abc[:]}).Draw(t, "recipients")
}

// moment is any time, those at the edges of RFC 3339 rather often.
func moment(t *rapid.T) time.Time {
	sec := cmp.Or(rapid.SampledFrom([]int64{0, year0, year0 - 1, year10000, year10000 - 1, -62135596800, 1.7e9}).Draw(t, "edge"), number(t))
	return time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
}

// FuzzRead: what is read can be written, and reads the same then; what isn't
// is Corrupt, and no end is handed out.
func FuzzRead(f *testing.F) {
	f.Add([]byte(sampleText))
	f.Add([]byte(strings.ReplaceAll(sampleText, ":", " : ")))
	f.Add([]byte(strings.Replace(sampleText, `"seq":7`, `"seq":7,"base":6`, 1)))
	f.Add([]byte(`{"header":{"version":9,"catalog":"AQIDAAAAAAAAAAAAAAAAAA"}}` + "\n" + `{"end":{}}`))
	f.Add([]byte(`{"header":{"version":1,"catalog":"AQIDAAAAAAAAAAAAAAAAAA","made":[-9223372036854775808],"store":{}}}` + "\n" + `{"end":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := read(bytes.NewReader(data))
		ended := len(first) > 0 && isEnd(first[len(first)-1])
		if (err == nil) != ended || err != nil && firn.KindOf(err) != firn.Corrupt {
			t.Fatalf("%d rows, %v", len(first), err)
		}
		if err != nil {
			return
		}
		first[0].(*Header).Version = Version
		second, err := read(bytes.NewReader(write(t, first)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(first, second, sameRows); diff != "" {
			t.Error(diff)
		}
	})
}

func isEnd(row Row) bool {
	_, ok := row.(*End)
	return ok
}

// FuzzObject: an object is taken apart as encoding/json does, which also says
// what is none.
func FuzzObject(f *testing.F) {
	for _, seed := range append(strings.Split(sampleText, "\n"), `{}`, ` { "a" : [ ] , "b":{"c":"\"}"},"a":1e5}`, `{"a":}`, `{"a":[}`, `{"a":1,}`, `{"\u0061":"`, `{"":[1 2]}`, `{"a"1}`) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") {
			return // the decoder has looked at the one, open has at the other
		}
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal([]byte(text), &want)
		var o object
		o.open([]byte(text))
		got := map[string]string{}
		for _, f := range slices.Backward(o.fields) { // of two, the first counts
			got[string(f.key)] = string(f.value)
		}
		many := len(o.fields) == maxFields
		if err := o.close(); (err == nil) != (wantErr == nil) && !many {
			t.Fatalf("got %v, encoding/json says %v", err, wantErr)
		}
		if wantErr != nil || len(want) != len(o.fields) {
			return // encoding/json takes the last of two
		}
		for key, value := range want {
			if got[key] != string(value) {
				t.Errorf("%q: got %s, want %s", key, got[key], value)
			}
		}
	})
}

// FuzzValues: strings, numbers and arrays read as encoding/json reads them.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{`"a\u00e9\ud83d\ude00"`, `"\ud800"`, `-12`, `-0`, `1.0`, `[1,[2],"]"]`, `[ ]`, `[1,]`, `[1}`, `""`, `9223372036854775808`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.TrimSpace(text) != text || text == "" {
			return // values are without space around them
		}
		v := []byte(text)
		var s string
		if err := json.Unmarshal(v, &s); text != "null" {
			if got, gotErr := unquote(v); (err == nil) != (gotErr == nil) || string(got) != s && err == nil {
				t.Errorf("string %q, %v; want %q, %v", got, gotErr, s, err)
			}
		}
		var n int64
		if err := json.Unmarshal(v, &n); text != "null" && text != "-0" {
			if got, gotErr := parseNumber(v); (err == nil) != (gotErr == nil) || got != n && err == nil {
				t.Errorf("number %d, %v; want %d, %v", got, gotErr, n, err)
			}
		}
		var list []json.RawMessage
		if err := json.Unmarshal(v, &list); text != "null" {
			var o object
			var got []string
			for e := range o.elements("", v) {
				got = append(got, string(e))
				o.valid("", e)
			}
			if (err == nil) != (o.err == nil) {
				t.Errorf("array: %v; want %v", o.err, err)
			}
			for i := range list {
				if err == nil && got[i] != string(list[i]) {
					t.Errorf("element %d: %s; want %s", i, got[i], list[i])
				}
			}
		}
	})
}
