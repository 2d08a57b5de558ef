package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// example is the inventory of the API reference, "Get Job Output".
const example = `{
 "VaultARN": "arn:aws:glacier:us-west-2:012345678901:vaults/examplevault",
 "InventoryDate": "2011-12-12T14:19:01Z",
 "ArchiveList": [
  {"ArchiveId": "DMTmICA2n5Tdqq5BV2z7og-A20xnpAPKt3UXwWxdWsn_D6auTUrW6kwy5Qyj9xd1MCE1mBYvMQ63LWaT8yTMzMaCxB_9VBWrW4Jw4zsvg5kehAPDVKcppUD1X7b24JukOr4mMAq-oA",
   "ArchiveDescription": "my archive1",
   "CreationDate": "2012-05-15T17:19:46.700Z",
   "Size": 2140123,
   "SHA256TreeHash": "6b9d4cf8697bd3af6aa1b590a0b27b337da5b18988dbcc619a3e608a554a1e62"}
 ]}`

// A read is what a reader handed out.
type read struct {
	info     firn.InventoryInfo
	archives []firn.Archive
	bad      []string
	err      error
}

// reader is ReadJSON or ReadCSV.
type reader func(io.Reader, func(firn.Archive) error, func(error) error) (firn.InventoryInfo, error)

// strictly reads until the first entry that is wrong.
func strictly(from reader, text string) (r read) {
	r.info, r.err = from(strings.NewReader(text), func(a firn.Archive) error {
		r.archives = append(r.archives, a)
		return nil
	}, nil)
	return r
}

// leniently reads on past entries that are wrong.
func leniently(from reader, text string) (r read) {
	r.info, r.err = from(strings.NewReader(text), func(a firn.Archive) error {
		r.archives = append(r.archives, a)
		return nil
	}, func(err error) error {
		r.bad = append(r.bad, err.Error())
		return nil
	})
	return r
}

func TestReadJSON(t *testing.T) {
	got := strictly(ReadJSON, example)
	if got.err != nil {
		t.Fatal(got.err)
	}
	tree, _ := treehash.Parse("6b9d4cf8697bd3af6aa1b590a0b27b337da5b18988dbcc619a3e608a554a1e62")
	want := []firn.Archive{{
		ID:          "DMTmICA2n5Tdqq5BV2z7og-A20xnpAPKt3UXwWxdWsn_D6auTUrW6kwy5Qyj9xd1MCE1mBYvMQ63LWaT8yTMzMaCxB_9VBWrW4Jw4zsvg5kehAPDVKcppUD1X7b24JukOr4mMAq-oA",
		Description: "my archive1",
		Created:     time.Date(2012, 5, 15, 17, 19, 46, 700e6, time.UTC),
		Size:        2140123,
		Tree:        tree,
	}}
	if diff := cmp.Diff(want, got.archives); diff != "" {
		t.Error(diff)
	}
	wantInfo := firn.InventoryInfo{
		Subject: "arn:aws:glacier:us-west-2:012345678901:vaults/examplevault",
		Date:    time.Date(2011, 12, 12, 14, 19, 1, 0, time.UTC), Archives: 1,
	}
	if diff := cmp.Diff(wantInfo, got.info); diff != "" {
		t.Error(diff)
	}
}

// hex64 is a tree hash.
const hex64 = "6b9d4cf8697bd3af6aa1b590a0b27b337da5b18988dbcc619a3e608a554a1e62"

// TestJSONTolerates: keys in any order, unknown ones, nulls.
func TestJSONTolerates(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		n    int
	}{
		"empty":               {`{"ArchiveList":[]}`, 0},
		"null list":           {`{"ArchiveList":null,"InventoryDate":null,"VaultARN":null}`, 0},
		"list first":          {`{"ArchiveList":[{"SHA256TreeHash":"` + hex64 + `","Size":1,"ArchiveId":"a"}],"VaultARN":"x"}`, 1},
		"unknown keys":        {`{"New":{"a":[1,{"b":[]}],"ArchiveList":[1]},"ArchiveList":[{"ArchiveId":"a","New":[{}],"Size":1,"SHA256TreeHash":"` + hex64 + `"}],"Flag":true}`, 1},
		"as saved by editors": {"\xef\xbb\xbf" + strings.ReplaceAll(example, "\n", "\r\n"), 1},
		"null values":         {`{"ArchiveList":[{"ArchiveId":"a","ArchiveDescription":null,"CreationDate":null,"Size":1,"SHA256TreeHash":"` + hex64 + `"}]}` + "\n\n", 1},
	} {
		if got := strictly(ReadJSON, c.json); got.err != nil || len(got.archives) != c.n {
			t.Errorf("%s: %d archives, %v", name, len(got.archives), got.err)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "",
		"bytes":         "\x00\x01\x02",
		"another value": `[]`,
		"a string":      `"x"`,
		"no list":       `{"VaultARN":"x"}`,
		"two lists":     `{"ArchiveList":[],"ArchiveList":[]}`,
		"list of text":  `{"ArchiveList":"x"}`,
		"list of lists": `{"ArchiveList":[[]]}`,
		"no id":         `{"ArchiveList":[{"Size":1,"SHA256TreeHash":"` + hex64 + `"}]}`,
		"id with blank": `{"ArchiveList":[{"ArchiveId":"a b","Size":1,"SHA256TreeHash":"` + hex64 + `"}]}`,
		"long id":       `{"ArchiveList":[{"ArchiveId":"` + strings.Repeat("a", maxID+1) + `","Size":1,"SHA256TreeHash":"` + hex64 + `"}]}`,
		"no size":       `{"ArchiveList":[{"ArchiveId":"a","SHA256TreeHash":"` + hex64 + `"}]}`,
		"no hash":       `{"ArchiveList":[{"ArchiveId":"a","Size":1}]}`,
		"negative size": `{"ArchiveList":[{"ArchiveId":"a","Size":-1,"SHA256TreeHash":"` + hex64 + `"}]}`,
		"fraction":      `{"ArchiveList":[{"ArchiveId":"a","Size":1.5,"SHA256TreeHash":"` + hex64 + `"}]}`,
		"no date":       `{"ArchiveList":[],"InventoryDate":"today"}`,
		"no creation":   `{"ArchiveList":[{"ArchiveId":"a","CreationDate":"x","Size":1,"SHA256TreeHash":"` + hex64 + `"}]}`,
		"more":          `{"ArchiveList":[]} {}`,
	} {
		if got := strictly(ReadJSON, text); got.err == nil {
			t.Errorf("%s: no error", name)
		} else if _, ok := got.err.(*Error); !ok {
			t.Errorf("%s: %v is no *Error", name, got.err)
		}
	}
	for n := range len(example) - 1 {
		if got := leniently(ReadJSON, example[:n]); got.err == nil {
			t.Errorf("cut after %d bytes: no error", n)
		}
	}
}

// TestJSONGoesOn: what isn't an archive is told, and stops only itself.
func TestJSONGoesOn(t *testing.T) {
	good := `{"ArchiveId":"good","Size":1,"SHA256TreeHash":"` + hex64 + `"}`
	got := leniently(ReadJSON, `{"ArchiveList":[{"ArchiveId":"x","Size":-1},"text",`+good+`,{"ArchiveId":7,"Size":{}},null,`+good+`]}`)
	want := []string{
		"archive 1: archive x: a size of -1 bytes",
		"archive 2: json: cannot unmarshal string into Go value of type inventory.entry",
		"archive 4: json: cannot unmarshal number into Go struct field entry.ArchiveId of type string",
		"archive 5: an archive without id",
	}
	if diff := cmp.Diff(want, got.bad); diff != "" || got.err != nil || len(got.archives) != 2 || got.info.Archives != 2 {
		t.Errorf("%d archives, %v\n%s", len(got.archives), got.err, diff)
	}
	torn := leniently(ReadJSON, `{"ArchiveList":[`+good+`,`+good+`,{"Arch`)
	if torn.err == nil || torn.err.Error() != "after archive 2: unexpected EOF" || len(torn.archives) != 2 {
		t.Errorf("%d archives, %v", len(torn.archives), torn.err)
	}
}

// TestStopsWithCaller: an error of the caller's comes back as it is.
func TestStopsWithCaller(t *testing.T) {
	enough := errors.New("enough")
	for name, c := range map[string]struct {
		from reader
		text string
	}{
		"JSON, each": {ReadJSON, example},
		"JSON, bad":  {ReadJSON, `{"ArchiveList":[{}]}`},
		"CSV, each":  {ReadCSV, header + "a,,,1," + hex64},
		"CSV, bad":   {ReadCSV, header + "a"},
	} {
		_, err := c.from(strings.NewReader(c.text), func(firn.Archive) error { return enough }, func(error) error { return enough })
		if err != enough {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReaderFails: what the source of the bytes said is in the chain.
func TestReaderFails(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		from reader
		text string
	}{"JSON": {ReadJSON, example[:300]}, "CSV": {ReadCSV, header + "a,,,1," + hex64 + "\n"}} {
		r := io.MultiReader(strings.NewReader(c.text), iotest.ErrReader(broken))
		_, err := c.from(r, func(firn.Archive) error { return nil }, func(error) error { return nil })
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// repeated is n times the same text.
type repeated struct {
	text string
	n, i int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text[r.i:])
	if r.i += n; r.i == len(r.text) {
		r.i, r.n = 0, r.n-1
	}
	return n, nil
}

// TestNothingWithoutEnd: values, blanks and lines that never end are not held.
func TestNothingWithoutEnd(t *testing.T) {
	const block, blocks = 64 << 10, 1 << 10 // 64 MiB
	for name, c := range map[string]struct {
		from       reader
		head, fill string
	}{
		"an id":         {ReadJSON, `{"ArchiveList":[{"ArchiveId":"`, "a"},
		"an ARN":        {ReadJSON, `{"VaultARN":"`, "a"},
		"a key":         {ReadJSON, `{"`, "a"},
		"unknown text":  {ReadJSON, `{"x":"`, "a"},
		"blanks":        {ReadJSON, ` `, " "},
		"inner blanks":  {ReadJSON, `{"ArchiveList":[`, " "},
		"unknown lists": {ReadJSON, `{"ArchiveList":[{"x":[`, "1,"},
		"a header":      {ReadCSV, ``, "a"},
		"a line":        {ReadCSV, header, "a"},
	} {
		before := allocated()
		r := io.MultiReader(strings.NewReader(c.head), &repeated{text: strings.Repeat(c.fill, block/len(c.fill)), n: blocks})
		bad := 0
		_, err := c.from(r, func(firn.Archive) error { return nil }, func(error) error { bad++; return nil })
		if err == nil && bad == 0 {
			t.Errorf("%s: no error", name)
		}
		if got := allocated() - before; got > 16<<20 {
			t.Errorf("%s: %d MiB were allocated", name, got>>20)
		}
	}
}

// allocated is how many bytes were allocated until now.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// endless is an inventory of n archives, made as it is read.
type endless struct {
	n, i int
	rest []byte
}

func (e *endless) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		switch {
		case e.i > e.n:
			return 0, io.EOF
		case e.i == 0:
			e.rest = []byte(`{"VaultARN":"arn","InventoryDate":"2011-12-12T14:19:01Z","ArchiveList":[`)
		}
		if e.i < e.n {
			if e.i > 0 {
				e.rest = append(e.rest, ',')
			}
			e.rest = fmt.Appendf(e.rest, `{"ArchiveId":"%0138d","ArchiveDescription":"mt2 eyJmaWxlbmFtZSI6InBhdGgvdG8vZmlsZSIsIm10aW1lIjoiMjAxMjA1MTVUMTcxOTQ2WiJ9","CreationDate":"2012-05-15T17:19:46.700Z","Size":2140123,"SHA256TreeHash":"%s"}`, e.i, hex64)
		} else {
			e.rest = append(e.rest, "]}"...)
		}
		e.i++
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// TestJSONHoldsLittle: what is held doesn't grow with the inventory.
func TestJSONHoldsLittle(t *testing.T) {
	const n = 20_000 // 7 MB
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	seen, early, late := 0, int64(0), int64(0)
	info, err := ReadJSON(&endless{n: n}, func(a firn.Archive) error {
		if want := fmt.Sprintf("%0138d", seen); string(a.ID) != want {
			t.Fatalf("archive %d is %s", seen, a.ID)
		}
		switch seen++; seen {
		case 100:
			early = held()
		case n:
			late = held()
		}
		return nil
	}, nil)
	if err != nil || info.Archives != n || seen != n {
		t.Fatalf("%d of %d, %v", seen, info.Archives, err)
	}
	if late-early > 1<<20 {
		t.Errorf("%d bytes more are held at the end", late-early)
	}
}

func FuzzInventoryJSON(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(`{"ArchiveList":null}`))
	for _, e := range entries() {
		f.Add([]byte(`{"ArchiveList":[` + plainEntry + `,` + e + `]}`))
	}
	f.Add([]byte(`{"x":[[{}]],"ArchiveList":[{"ArchiveId":"a","Size":1,"SHA256TreeHash":"` + hex64 + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := leniently(ReadJSON, string(data))
		got.check(t)
		sameAsSlowly(t, string(data))
		if got.err == nil && !bytes.Contains(data, []byte("{")) {
			t.Error("accepted what is no object")
		}
	})
}

// check holds what was read to what is always true of it.
func (r *read) check(t *testing.T) {
	if int(r.info.Archives) != len(r.archives) {
		t.Errorf("%d archives, %d said", len(r.archives), r.info.Archives)
	}
	for _, a := range r.archives {
		if CheckID(string(a.ID)) != nil || a.Size < 0 {
			t.Errorf("%+v", a)
		}
	}
	if _, ok := r.err.(*Error); r.err != nil && !ok {
		t.Errorf("%v is no *Error", r.err)
	}
}

// BenchmarkReadJSON is how fast a large inventory is read.
func BenchmarkReadJSON(b *testing.B) {
	const n = 1000
	text, err := io.ReadAll(&endless{n: n})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadJSON(bytes.NewReader(text), func(firn.Archive) error { return nil }, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "archives/s")
}
