package glacier

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
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

// decode gives all that decodeInventory hands out.
func decode(r io.Reader) (info firn.InventoryInfo, archives []firn.Archive, err error) {
	info, err = decodeInventory(r, func(a firn.Archive) error {
		archives = append(archives, a)
		return nil
	})
	return info, archives, err
}

func TestDecodeInventory(t *testing.T) {
	info, archives, err := decode(strings.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	tree, _ := treehash.Parse("6b9d4cf8697bd3af6aa1b590a0b27b337da5b18988dbcc619a3e608a554a1e62")
	want := []firn.Archive{{
		ID:          "DMTmICA2n5Tdqq5BV2z7og-A20xnpAPKt3UXwWxdWsn_D6auTUrW6kwy5Qyj9xd1MCE1mBYvMQ63LWaT8yTMzMaCxB_9VBWrW4Jw4zsvg5kehAPDVKcppUD1X7b24JukOr4mMAq-oA",
		Description: "my archive1",
		Created:     time.Date(2012, 5, 15, 17, 19, 46, 700e6, time.UTC),
		Size:        2140123,
		Tree:        tree,
	}}
	if diff := cmp.Diff(want, archives); diff != "" {
		t.Error(diff)
	}
	wantInfo := firn.InventoryInfo{
		Subject: "arn:aws:glacier:us-west-2:012345678901:vaults/examplevault",
		Date:    time.Date(2011, 12, 12, 14, 19, 1, 0, time.UTC), Archives: 1,
	}
	if diff := cmp.Diff(wantInfo, info); diff != "" {
		t.Error(diff)
	}
}

// hex64 is a tree hash.
const hex64 = "6b9d4cf8697bd3af6aa1b590a0b27b337da5b18988dbcc619a3e608a554a1e62"

// TestDecodeTolerates: keys in any order, unknown ones, nulls.
func TestDecodeTolerates(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		n    int
	}{
		"empty":        {`{"ArchiveList":[]}`, 0},
		"null list":    {`{"ArchiveList":null,"InventoryDate":null,"VaultARN":null}`, 0},
		"list first":   {`{"ArchiveList":[{"SHA256TreeHash":"` + hex64 + `","ArchiveId":"a"}],"VaultARN":"x"}`, 1},
		"unknown keys": {`{"New":{"a":[1,{"b":[]}],"ArchiveList":[1]},"ArchiveList":[{"ArchiveId":"a","New":[{}],"SHA256TreeHash":"` + hex64 + `"}],"Flag":true}`, 1},
		"null values":  {`{"ArchiveList":[{"ArchiveId":"a","ArchiveDescription":null,"CreationDate":null,"SHA256TreeHash":"` + hex64 + `"}]}` + "\n\n", 1},
	} {
		_, archives, err := decode(strings.NewReader(c.json))
		if err != nil || len(archives) != c.n {
			t.Errorf("%s: %d archives, %v", name, len(archives), err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "",
		"bytes":         "\x00\x01\x02",
		"another value": `[]`,
		"a string":      `"x"`,
		"no list":       `{"VaultARN":"x"}`,
		"two lists":     `{"ArchiveList":[],"ArchiveList":[]}`,
		"list of text":  `{"ArchiveList":"x"}`,
		"list of lists": `{"ArchiveList":[[]]}`,
		"no id":         `{"ArchiveList":[{"SHA256TreeHash":"` + hex64 + `"}]}`,
		"no hash":       `{"ArchiveList":[{"ArchiveId":"a"}]}`,
		"negative size": `{"ArchiveList":[{"ArchiveId":"a","Size":-1,"SHA256TreeHash":"` + hex64 + `"}]}`,
		"fraction":      `{"ArchiveList":[{"ArchiveId":"a","Size":1.5,"SHA256TreeHash":"` + hex64 + `"}]}`,
		"no date":       `{"ArchiveList":[],"InventoryDate":"today"}`,
		"no creation":   `{"ArchiveList":[{"ArchiveId":"a","CreationDate":"x","SHA256TreeHash":"` + hex64 + `"}]}`,
		"more":          `{"ArchiveList":[]} {}`,
	} {
		if _, _, err := decode(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for n := range len(example) - 1 {
		if _, _, err := decode(strings.NewReader(example[:n])); err == nil {
			t.Errorf("cut after %d bytes: no error", n)
		}
	}
}

func TestDecodeStopsWithEach(t *testing.T) {
	enough := errors.New("enough")
	_, err := decodeInventory(strings.NewReader(example), func(firn.Archive) error { return enough })
	if err != enough {
		t.Errorf("%v", err)
	}
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

// TestDecodeHoldsLittle: what is held doesn't grow with the inventory.
func TestDecodeHoldsLittle(t *testing.T) {
	const n = 20_000 // 7 MB
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	seen, early, late := 0, int64(0), int64(0)
	info, err := decodeInventory(&endless{n: n}, func(a firn.Archive) error {
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
	})
	if err != nil || info.Archives != n || seen != n {
		t.Fatalf("%d of %d, %v", seen, info.Archives, err)
	}
	if late-early > 1<<20 {
		t.Errorf("%d bytes more are held at the end", late-early)
	}
}

func FuzzDecodeInventory(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(`{"ArchiveList":null}`))
	f.Add([]byte(`{"x":[[{}]],"ArchiveList":[{"ArchiveId":"a","SHA256TreeHash":"` + hex64 + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, archives, err := decode(bytes.NewReader(data))
		if int(info.Archives) != len(archives) {
			t.Errorf("%d archives, %d said", len(archives), info.Archives)
		}
		for _, a := range archives {
			if a.ID == "" || a.Size < 0 {
				t.Errorf("%+v", a)
			}
		}
		if err == nil && !bytes.Contains(data, []byte("{")) {
			t.Error("accepted what is no object")
		}
	})
}

func FuzzParseRefusal(f *testing.F) {
	f.Add("", []byte(`{"code":"ResourceNotFoundException","message":"The job ID was not found: x","type":"Client"}`))
	f.Add("ThrottlingException:http://x/", []byte(`<html>`))
	f.Add("", []byte(`{"__type":"a#B","message":null}`))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		code, message := parseRefusal(header, body)
		if strings.ContainsAny(code, ":") {
			t.Errorf("code %q", code)
		}
		if text := (&refusal{status: 400, code: code, message: message}).Error(); text == "" {
			t.Error("an error without words")
		}
	})
}

func TestParseRange(t *testing.T) {
	if r, err := parseRange("0-1048575"); err != nil || r != (firn.Range{End: 1 << 20}) {
		t.Errorf("%v, %v", r, err)
	}
	if s := formatRange(firn.Range{Start: 5, End: 7}); s != "5-6" {
		t.Error(s)
	}
	for _, s := range []string{"", "5", "-", "1-", "-1", "2-1", "a-b", "-1-5", "0-9223372036854775807", "0-99999999999999999999"} {
		if r, err := parseRange(s); err == nil {
			t.Errorf("%q is %v", s, r)
		}
	}
}

// BenchmarkDecodeInventory is how fast a large inventory is read.
func BenchmarkDecodeInventory(b *testing.B) {
	const n = 1000
	text, err := io.ReadAll(&endless{n: n})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeInventory(bytes.NewReader(text), func(firn.Archive) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "archives/s")
}
