package rows

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

var (
	writer = firn.Token{1, 2, 3}
	other  = firn.Token{9}
	made   = time.Date(2026, 11, 22, 1, 2, 3, 400, time.UTC)
	abc    = treehash.Sum([]byte("abc"))
)

// sample has a row of each kind, and each field in one of them.
func sample() []Row {
	return []Row{
		&Header{
			Version: Version, Catalog: writer, Host: "nas", Seq: 7, Through: 3, Made: made,
			Store: Store{
				Identity: "arn:aws:glacier:eu-west-1:123456789012:vaults/photos 2012-12-25", Kind: "glacier",
				URL: "glacier:eu-west-1/photos", Name: "photos", Region: "eu-west-1", Address: "arn:aws:glacier:eu-west-1:123456789012:vaults/photos",
			},
			Includes: []Include{{Catalog: other, Seq: 4}},
			Profiles: []Profile{{Name: "home", Text: "store = \"glacier:photos\"\n"}},
		},
		&Catalog{ID: 1, Token: writer, Host: "nas"},
		&Catalog{ID: 2, Token: other, Host: "old\xff"},
		&Tree{ID: 5, Name: "photos", Host: "nas", Root: "/srv/ph\xf6tos", Recipients: bytes.Repeat([]byte{0xab}, 32), Keys: []string{"age1aaa", "age1bbb"}},
		&Run{ID: -6890000000, Catalog: 2, Command: "recover", Started: time.Unix(253402300800, 5)},
		&Run{
			ID: 3, Catalog: 2, Origin: 12, Tree: 5, Command: "sync", Started: made, Ended: made.Add(time.Minute), Complete: true,
			Counts: map[firn.Action]firn.Count{firn.Sent: {Files: 2, Bytes: 10}, firn.Removed: {Files: 1}},
		},
		&Run{ID: 4, Catalog: 1, Command: "prune", Started: made},
		&Snapshot{Catalog: 2, Seq: 4, Base: 3, Through: 12, Archive: 21, Made: made},
		&Archive{
			ID: 20, Kind: "bundle", State: 10, Run: 3, Settled: 4, Token: other, Remote: "x-y_z", Size: 4096, Tree: abc, Created: made,
			Header: []byte("age"), Recipients: bytes.Repeat([]byte{1}, 32),
			Contents: []Content{{Member: 0, Offset: 512, Size: 3, Tree: abc}, {Member: 1, Offset: 1536, Size: 7, Tree: abc}, {Member: 5, Offset: 2560, Size: 9}},
		},
		&Archive{ID: 21, Kind: "catalog", State: 22, Note: "thinned", Size: 1},
		&Archive{ID: 22, Kind: "foreign", State: 11, Remote: "q", Description: "<m><v>4</v></m>", Format: "fastglacier 4", Packed: "compressed"},
		&Dir{Tree: 5},
		&Entry{Since: 3, Mode: 0o40755, ModTime: time.Unix(1.3e9, 0), UID: 0, GID: -1},
		&Dir{Tree: 5, Path: "2012/x\xff"},
		&Entry{Name: "a \"\\\n", Since: 3, Until: 4, Mode: 0o100644, Size: 3, ModTime: time.Unix(-1, 999_999_999), UID: 1000, GID: 100, Archive: 20, LinkGroup: 2},
		&Entry{Name: "a \"\\\n", Since: 4, Mode: 0o100644, Size: 9, ModTime: time.Unix(math.MaxInt64, 0), UID: -1, GID: -1, Archive: 20, Member: 5, Attrs: []byte{0}},
		&Entry{Name: "l\xfe", Since: -6890000000, Mode: 0o120777, UID: -1, GID: -1, Target: "ü\xff"},
		&End{Archives: 3, Entries: 4},
	}
}

// sampleText is that, written out: a change of this is a change of the format,
// and needs another Version.
const sampleText = `{"header":{"version":1,"catalog":"AQIDAAAAAAAAAAAAAAAAAA","host":"nas","seq":7,"through":3,"made":"2026-11-22T01:02:03.0000004Z","store":{"identity":"arn:aws:glacier:eu-west-1:123456789012:vaults/photos 2012-12-25","kind":"glacier","url":"glacier:eu-west-1/photos","name":"photos","region":"eu-west-1","address":"arn:aws:glacier:eu-west-1:123456789012:vaults/photos"},"includes":[{"catalog":"CQAAAAAAAAAAAAAAAAAAAA","seq":4}],"profiles":[{"name":"home","text":"store = \"glacier:photos\"\u000a"}]}}
{"catalog":{"id":1,"token":"AQIDAAAAAAAAAAAAAAAAAA","host":"nas"}}
{"catalog":{"id":2,"token":"CQAAAAAAAAAAAAAAAAAAAA","host_b64":"b2xk/w=="}}
{"tree":{"id":5,"name":"photos","host":"nas","root_b64":"L3Nydi9waPZ0b3M=","recipients":"abababababababababababababababababababababababababababababababab","keys":["age1aaa","age1bbb"]}}
{"run":{"id":-6890000000,"catalog":2,"command":"recover","started":[253402300800,5]}}
{"run":{"id":3,"catalog":2,"origin":12,"tree":5,"command":"sync","started":"2026-11-22T01:02:03.0000004Z","ended":"2026-11-22T01:03:03.0000004Z","complete":true,"counts":{"removed":[1],"sent":[2,10]}}}
{"run":{"id":4,"catalog":1,"command":"prune","started":"2026-11-22T01:02:03.0000004Z"}}
{"snapshot":{"catalog":2,"seq":4,"base":3,"through":12,"archive":21,"made":"2026-11-22T01:02:03.0000004Z"}}
{"archive":{"id":20,"kind":"bundle","state":10,"run":3,"settled":4,"token":"CQAAAAAAAAAAAAAAAAAAAA","remote":"x-y_z","size":4096,"hash":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","created":"2026-11-22T01:02:03.0000004Z","header":"YWdl","recipients":"0101010101010101010101010101010101010101010101010101010101010101","contents":[[512,3,"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],[1536,7,"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],[2560,9,"",5]]}}
{"archive":{"id":21,"kind":"catalog","state":22,"size":1,"note":"thinned"}}
{"archive":{"id":22,"kind":"foreign","state":11,"remote":"q","description":"<m><v>4</v></m>","format":"fastglacier 4","packed":"compressed"}}
{"dir":{"tree":5}}
{"entry":{"since":3,"mode":"40755","mtime":[1300000000],"uid":0}}
{"dir":{"tree":5,"path_b64":"MjAxMi94/w=="}}
{"entry":{"name":"a \"\\\u000a","since":3,"until":4,"mode":"100644","size":3,"mtime":[-1,999999999],"uid":1000,"gid":100,"content":[20],"group":2}}
{"entry":{"name":"a \"\\\u000a","since":4,"mode":"100644","size":9,"mtime":[9223372036854775807],"content":[20,5],"attrs":"AA=="}}
{"entry":{"name_b64":"bP4=","since":-6890000000,"mode":"120777","target_b64":"w7z/"}}
{"end":{"archives":3,"entries":4}}
`

// sameRows compares rows by what they say.
var sameRows = cmp.Options{cmpopts.EquateEmpty()}

// write writes rows, and the end where they have none.
func write(t testing.TB, all []Row) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf)
	for _, row := range all {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// read reads all rows, and keeps those that the next one would write over.
func read(r io.Reader) (all []Row, err error) {
	for row, err := range Read(r) {
		switch r := row.(type) {
		case nil:
			return all, err
		case *Archive:
			keep := *r
			keep.Contents = slices.Clone(r.Contents)
			row = &keep
		case *Dir:
			keep := *r
			row = &keep
		case *Entry:
			keep := *r
			row = &keep
		}
		all = append(all, row)
	}
	return all, nil
}

// TestFormat holds the format to what was written before, and Read to it.
func TestFormat(t *testing.T) {
	if diff := cmp.Diff(sampleText, string(write(t, sample()))); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	got, err := read(strings.NewReader(sampleText))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got, sameRows); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

// TestOtherWriters: rows read the same, however JSON is laid out, and with keys
// of times to come.
func TestOtherWriters(t *testing.T) {
	text := sampleText
	for _, r := range [][2]string{
		{`{"dir":{"tree":5}}`, "\t{ \"dir\" : { \"new\" : [ { \"x\" : null } , 1.5e3 , \"]}\" ] , \"tree\" : 5 } } \r"},
		{`"name":"photos","host"`, `"n\u0061me":"ph\u006ftos","host"`},
		{`[512,3,"ba78`, `[ 512 , 3 , "BA78`},
		{`[2560,9,"",5]`, `[2560,9,"",5,{"new":true}]`},
		{`"mtime":[1300000000]`, `"mtime":"2011-03-13T08:06:40+01:00","mtime":[5]`},
		{`"ended":"2026-11-22T01:03:03.0000004Z"`, `"ended":[1795309383,400]`},
		{`"complete":true`, `"complete":true,"counted":false`},
	} {
		if !strings.Contains(text, r[0]) {
			t.Fatalf("%s isn't in the sample", r[0])
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	got, err := read(strings.NewReader(strings.TrimSuffix(text, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got, sameRows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNewerFormat: one that has nothing new is read, else it is said why it
// can't be.
func TestNewerFormat(t *testing.T) {
	newer := strings.Replace(sampleText, `"version":1`, `"version":2,"shape":"round"`, 1)
	all, err := read(strings.NewReader(newer))
	if err != nil || all[0].(*Header).Version != 2 {
		t.Errorf("got %v, %v", all[0], err)
	}
	_, err = read(strings.NewReader(strings.Replace(newer, `{"dir":`, `{"fork":`, 1)))
	for _, want := range []string{`line 12`, `kind "fork"`, "written by a newer firn", "format 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v doesn't say %q", err, want)
		}
	}
}

// TestCutShort: whatever is missing at the end is noticed.
func TestCutShort(t *testing.T) {
	whole := len(sampleText) - len("\n")
	for n := range whole {
		all, err := read(strings.NewReader(sampleText[:n]))
		if firn.KindOf(err) != firn.Corrupt {
			t.Fatalf("of %d bytes: %v", n, err)
		}
		for _, row := range all {
			if _, ok := row.(*End); ok {
				t.Fatalf("of %d bytes an end", n)
			}
		}
	}
	if _, err := read(strings.NewReader(sampleText[:whole])); err != nil {
		t.Error(err)
	}
}

// TestReaderFails: its error is told, and the end isn't handed out before the
// reader has come to its own, which may have a checksum behind it.
func TestReaderFails(t *testing.T) {
	broken := &firn.Error{Op: "download", Kind: firn.Network}
	for _, n := range []int{0, 1000, len(sampleText)} {
		all, err := read(io.MultiReader(strings.NewReader(sampleText[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) && firn.KindOf(err) != firn.Corrupt || n == len(sampleText) && !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
		if len(all) >= len(sample()) {
			t.Errorf("after %d bytes: %d rows", n, len(all))
		}
	}
}

// TestStop: whoever has enough gets no more.
func TestStop(t *testing.T) {
	n := 0
	for range Read(strings.NewReader(sampleText)) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d rows", n)
	}
}

// TestWriterFails: the first error stays, and nothing comes after it.
func TestWriterFails(t *testing.T) {
	full := errors.New("no space left")
	w := NewWriter(writerFunc(func([]byte) (int, error) { return 0, full }))
	for _, row := range sample() {
		if err := w.Write(row); err != nil {
			t.Fatal(err) // it is all in the buffer
		}
	}
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("close: %v", err)
	}
	if err := w.Write(sample()[0]); !errors.Is(err, full) {
		t.Errorf("write: %v", err)
	}

	w = NewWriter(io.Discard)
	if err := w.Write(&End{}); firn.KindOf(err) != firn.Invalid {
		t.Errorf("an end at the beginning: %v", err)
	}
	if err := w.Write(sample()[0]); firn.KindOf(err) != firn.Invalid {
		t.Errorf("after an error: %v", err)
	}
	if err := w.Close(); firn.KindOf(err) != firn.Invalid {
		t.Errorf("close after an error: %v", err)
	}
	if err := NewWriter(io.Discard).Close(); firn.KindOf(err) != firn.Invalid {
		t.Errorf("of nothing: %v", err)
	}
}

// TestClose ends a stream once.
func TestClose(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	all := sample()
	for _, row := range all[:len(all)-1] {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || buf.String() != sampleText {
		t.Errorf("%v: %s", err, buf.Bytes())
	}
	if w.Close() == nil || w.Write(all[0]) == nil {
		t.Error("it goes on behind its end")
	}
	if buf.String() != sampleText {
		t.Error("something was written behind the end")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestLongLines: what has no end is given up, a line as long as they come isn't.
func TestLongLines(t *testing.T) {
	head := sampleText[:strings.Index(sampleText, `{"snapshot"`)]
	line := func(n int) io.Reader {
		begin, end := `{"archive":{"id":1,"kind":"file","state":10,"remote":"`, `"}}`+"\n"
		return io.MultiReader(strings.NewReader(head+begin), io.LimitReader(letters{}, int64(n-len(begin)-len(end))), strings.NewReader(end+`{"end":{"archives":1}}`))
	}
	if _, err := read(line(maxLine)); err != nil {
		t.Error(err)
	}
	if _, err := read(line(maxLine + 2)); firn.KindOf(err) != firn.Corrupt || !strings.Contains(err.Error(), "line 8: it is longer") {
		t.Error(err)
	}
	w := NewWriter(io.Discard)
	all := sample()
	for _, row := range all[:7] {
		w.Write(row)
	}
	if err := w.Write(&Archive{ID: 1, Kind: "file", State: 10, Note: strings.Repeat("x", maxLine)}); firn.KindOf(err) != firn.Invalid || !strings.Contains(err.Error(), "line 8: it would have") {
		t.Error(err)
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// TestLimits: what takes more room in memory than in a line is counted.
func TestLimits(t *testing.T) {
	head := sampleText[:strings.Index(sampleText, `{"archive"`)]
	for _, line := range []string{
		`{"archive":{"contents":[` + strings.Repeat(`[0,0,""],`, maxContents) + `[0,0,""]]}}`,
		`{"archive":{` + strings.Repeat(`"":0,`, maxFields) + `"id":1}}`,
		`{"archive":{"new":` + strings.Repeat(`[`, 1<<20) + `}}`,
		`{"archive":` + strings.Repeat(`{"archive":`, 1<<20),
	} {
		if _, err := read(strings.NewReader(head + line)); firn.KindOf(err) != firn.Corrupt {
			t.Errorf("%.30s: %v", line, err)
		}
	}
}

// TestSet against a map.
func TestSet(t *testing.T) {
	var s set
	numbers := []int64{0, 1, 63, 64, 65, -1, -64, -65, math.MaxInt64, math.MinInt64}
	for i, n := range numbers {
		if s.has(n) || !s.insert(n) || s.insert(n) || !s.has(n) {
			t.Errorf("%d: %s", n, fmt.Sprint(s))
		}
		for _, later := range numbers[i+1:] {
			if s.has(later) {
				t.Errorf("%d is there with %d", later, n)
			}
		}
	}
}
