package inventory

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// header is the first line of what the service sends.
const header = "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash\n"

// rest is what follows a description.
const rest = ",2013-12-19T08:33:01Z,5," + hex64

func TestReadCSV(t *testing.T) {
	tree, err := treehash.Parse(hex64)
	if err != nil {
		t.Fatal(err)
	}
	want := read{
		info: firn.InventoryInfo{Archives: 2},
		archives: []firn.Archive{{
			ID: "first_-", Description: "my archive", Size: 2140123, Tree: tree,
			Created: time.Date(2012, 5, 15, 17, 19, 46, 700e6, time.UTC),
		}, {ID: "second", Tree: tree}},
	}
	first := "first_-,my archive,2012-05-15T17:19:46.700Z,2140123," + hex64
	for name, text := range map[string]string{
		"as the service":      header + first + "\nsecond,,,0," + hex64 + "\n",
		"no last newline":     header + first + "\nsecond,,,0," + hex64,
		"CR LF":               strings.ReplaceAll(header+first+"\nsecond,,,0,"+hex64+"\n", "\n", "\r\n"),
		"a mark":              "\xef\xbb\xbf" + header + first + "\nsecond,,,0," + hex64 + "\n",
		"all quoted":          `"` + strings.ReplaceAll(strings.ReplaceAll(header+first+"\nsecond,,,0,"+hex64, ",", `","`), "\n", "\"\n\"") + `"`,
		"joined":              header + first + "\n" + header + "second,,,0," + hex64 + "\n",
		"empty lines":         header + "\n" + first + "\n\nsecond,,,0," + hex64 + "\n\n",
		"other order, others": "New,Size,sha256treehash,CreationDate,ArchiveDescription, ArchiveId ,More\n,2140123," + hex64 + ",2012-05-15T17:19:46.700Z,my archive,first_-,\n\"a,b\",0," + hex64 + ",,,second,x\n",
	} {
		got := strictly(ReadCSV, text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(read{})); diff != "" || got.err != nil {
			t.Errorf("%s: %v\n%s", name, got.err, diff)
		}
	}
}

// TestCSVQuotes: the service's way of quoting, with the values that
// mt-aws-glacier's author saw, and the way of all others.
func TestCSVQuotes(t *testing.T) {
	for raw, want := range map[string]string{
		"":    "",
		`a b`: `a b`,
		`mt2 eyJmaWxlbmFtZSI6ImZpbGUudHh0IiwibXRpbWUiOiIyMDEzMTIxOVQwODMzMDFaIn0`: `mt2 eyJmaWxlbmFtZSI6ImZpbGUudHh0IiwibXRpbWUiOiIyMDEzMTIxOVQwODMzMDFaIn0`,
		`"{\"Path\":\"dir1/file1\",\"UTCDateModified\":\"20130322T120026Z\"}"`:    `{"Path":"dir1/file1","UTCDateModified":"20130322T120026Z"}`,
		`""`:                   ``,
		`","`:                  `,`,
		`"\""`:                 `"`,
		`"a\b"`:                `a\b`,
		`"x\"x"`:               `x"x`,
		`"x\\"x"`:              `x\"x`, // the value is x, a backslash, a quote, x
		`c:\dir\file`:          `c:\dir\file`,
		`"a,b\"`:               `a,b\`,
		`"{""Path"":""x,y""}"`: `{"Path":"x,y"}`,
		`"a\""b"`:              `a\"b`,
		`""""`:                 `"`,
	} {
		got := strictly(ReadCSV, header+"id,"+raw+rest+"\n")
		if got.err != nil || len(got.archives) != 1 || got.archives[0].Description != want {
			t.Errorf("%s: %+v, %v; want %s", raw, got.archives, got.err, want)
		}
	}
}

// TestCSVRefuses: what is no inventory says why, at once.
func TestCSVRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "not an inventory: there is nothing",
		"hello, world\n":                      "which names none of the columns",
		"\"hello\nworld\"":                    "its first line is",
		"PK\x03\x04":                          `"PK\x03\x04"`,
		"ArchiveId,Size\n":                    "it has no column ArchiveDescription, CreationDate, SHA256TreeHash",
		"ArchiveId,Size,ArchiveId\n":          "two columns are called ArchiveId",
		strings.ReplaceAll(header, ",", ";"):  "not separated by commas",
		strings.ReplaceAll(header, ",", "\t"): "not separated by commas",
	} {
		got := leniently(ReadCSV, text)
		var e *Error
		if !errors.As(got.err, &e) || !strings.Contains(got.err.Error(), want) {
			t.Errorf("%q: %v; want %s", text, got.err, want)
		}
	}
}

// TestCSVGoesOn: a line that isn't an archive's is told with its number, and
// stops only itself.
func TestCSVGoesOn(t *testing.T) {
	const good = "good,," + "2013-12-19T08:33:01Z,5," + hex64
	for line, want := range map[string]string{
		"id":                        "line 2: it has 1 fields, and the header 5",
		good + ",":                  "line 2: it has 6 fields, and the header 5",
		`id,"open` + rest:           "line 2: its quotes don't match",
		`id,a"b` + rest:             "line 2: its quotes don't match",
		`id,"a"b` + rest:            "line 2: its quotes don't match",
		rest:                        "line 2: it has 4 fields, and the header 5",
		"," + rest:                  "line 2: an archive without id",
		"i d," + rest:               `line 2: "i d" is not the id of an archive`,
		"id,,today,5," + hex64:      `line 2: archive id: "today" is not a time as 2012-05-15T17:19:46.700Z`,
		"id,,,2.14E+06," + hex64:    `line 2: "2.14E+06" is not a size in bytes`,
		"id,,,-5," + hex64:          "line 2: archive id: a size of -5 bytes",
		"id,,,5,6b9d":               `line 2: archive id: "6b9d": a tree hash is 64 hexadecimal digits`,
		strings.Repeat("x", 100000): "line 2: a line of more than 64 KiB",
	} {
		got := leniently(ReadCSV, header+line+"\n"+good+"\n")
		if diff := cmp.Diff([]string{want}, got.bad); diff != "" || got.err != nil || len(got.archives) != 1 {
			t.Errorf("%.50q: %d archives, %v\n%s", line, len(got.archives), got.err, diff)
		}
		if alone := strictly(ReadCSV, header+line+"\n"+good+"\n"); alone.err == nil || alone.err.Error() != want {
			t.Errorf("%.50q: %v", line, alone.err)
		}
	}
}

// asService writes a field as the service does.
func asService(s string) string {
	if !strings.ContainsAny(s, `,"`) {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
}

// TestCSVBothWays: every description comes back, from what the service writes
// and from what other programs made of it.
func TestCSVBothWays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The service doesn't escape backslashes, so that one at the end can't
		// always be told from an escape.
		want := rapid.StringMatching(`([ -~]{0,20}[ -\[\]-~])?`).Draw(t, "description")
		var saved bytes.Buffer
		w := csv.NewWriter(&saved)
		if err := w.Write(append([]string{"id", want}, strings.Split(rest[1:], ",")...)); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		for name, line := range map[string]string{"service": "id," + asService(want) + rest, "saved": saved.String()} {
			got := strictly(ReadCSV, header+line)
			if got.err != nil || len(got.archives) != 1 || got.archives[0].Description != want {
				t.Fatalf("%s: %s gives %+v, %v", name, line, got.archives, got.err)
			}
		}
	})
}

func FuzzInventoryCSV(f *testing.F) {
	f.Add([]byte(header + "id,\"a\\\"b\"" + rest + "\r\n"))
	f.Add([]byte("\xef\xbb\xbfSize,ArchiveId,SHA256TreeHash,ArchiveDescription,CreationDate\n1,a," + hex64 + ",\"\"\"\",\n"))
	f.Add([]byte(header + "\"\n\",\"\n" + header))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := leniently(ReadCSV, string(data))
		got.check(t)
		if got.err != nil && len(got.archives) > 0 {
			t.Errorf("%v ended a file that has lines", got.err)
		}
	})
}

// BenchmarkReadCSV is how fast a large inventory is read.
func BenchmarkReadCSV(b *testing.B) {
	const n = 1000
	var text bytes.Buffer
	text.WriteString(header)
	for i := range n {
		fmt.Fprintf(&text, "%0138d,%s,2012-05-15T17:19:46.700Z,2140123,%s\n", i, asService(`{"Path":"path/to/file","UTCDateModified":"20130322T120026Z"}`), hex64)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadCSV(bytes.NewReader(text.Bytes()), func(firn.Archive) error { return nil }, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "archives/s")
}
