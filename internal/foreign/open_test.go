package foreign_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
)

func TestReadInventory(t *testing.T) {
	want := []firn.Archive{{ID: "id", Description: "a", Created: time.Date(2013, 12, 19, 8, 33, 1, 0, time.UTC), Size: 1, Tree: hash(t, hashOfA)}}
	whole := firn.InventoryInfo{Subject: "arn:aws:glacier:us-east-1:012345678901:vaults/v", Date: time.Date(2013, 12, 20, 0, 0, 0, 0, time.UTC), Archives: 1}
	counted := firn.InventoryInfo{Archives: 1}
	for name, c := range map[string]struct {
		text string
		info firn.InventoryInfo
	}{
		"JSON":          {inJSON, whole},
		"JSON, printed": {chatter + inJSON + "\n", whole},
		"JSON, marked":  {"\xef\xbb\xbf" + inJSON, whole},
		"JSON, gzip":    {packed(t, inJSON, false), whole},
		"JSON, zstd":    {packed(t, inJSON, true), whole},
		"CSV":           {inCSV, counted},
		"CSV, printed":  {chatter + inCSV, counted},
		"CSV, marked":   {"\xef\xbb\xbf" + inCSV, counted},
		"CSV, gzip":     {packed(t, inCSV, false), counted},
	} {
		var got []firn.Archive
		info, err := foreign.ReadInventory(file(t, c.text), gather(&got), nil)
		if diff := cmp.Diff(want, got) + cmp.Diff(c.info, info); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// TestReadInventoryGoesOn: entries that are wrong are told with file and place.
func TestReadInventoryGoesOn(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"CSV":  {inCSV + "x\n" + inCSV, "file, line 3: it has 1 fields, and the header 5"},
		"JSON": {strings.Replace(inJSON, "[", `[{"ArchiveId":"x"},`, 1), "file, archive 1: archive x: it has no size"},
	} {
		path := file(t, c.text)
		var got []firn.Archive
		var bad []string
		if _, err := foreign.ReadInventory(path, gather(&got), faults(t, &bad)); err != nil || len(got) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{c.want}, bad); diff != "" {
			t.Error(diff)
		}
		if _, err := foreign.ReadInventory(path, gather(&got), nil); firn.KindOf(err) != firn.Corrupt || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		enough := errors.New("enough")
		for each, bad := range map[error]foreign.Bad{enough: faults(t, &bad), nil: func(error) error { return enough }} {
			if _, err := foreign.ReadInventory(path, func(firn.Archive) error { return each }, bad); err != enough {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestReadInventoryRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		kind firn.Kind
		want string
	}{
		"a journal":  {journal, firn.Usage, "it is a journal of mt-aws-glacier, not an inventory"},
		"text":       {"hello", firn.Usage, "begins with"},
		"torn":       {inJSON[:200], firn.Corrupt, "unexpected EOF"},
		"torn gzip":  {packed(t, inJSON, false)[:150], firn.Corrupt, "unexpected EOF"},
		"semicolons": {strings.ReplaceAll(inCSV, ",", ";"), firn.Corrupt, "not separated by commas"},
		"no hashes":  {"ArchiveId,Size\nid,1\n", firn.Corrupt, "it has no column"},
	} {
		path := file(t, c.text)
		_, err := foreign.ReadInventory(path, func(firn.Archive) error { return nil }, func(error) error { return nil })
		if firn.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v (%v)", name, err, firn.KindOf(err))
		}
	}
	if _, err := foreign.ReadInventory(t.TempDir(), nil, nil); firn.KindOf(err) != firn.Local {
		t.Errorf("a folder: %v", err)
	}
}

// TestOpenUnpacks: other readers get plain text too.
func TestOpenUnpacks(t *testing.T) {
	long := strings.Repeat(journal, 10_000)
	for name, data := range map[string]string{"plain": long, "gzip": packed(t, long, false), "zstd": packed(t, long, true), "empty": ""} {
		f, err := foreign.Open(file(t, data))
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil || string(got) != long && name != "empty" {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// inventory writes one of n archives, and gives its path and size.
func inventory(b *testing.B, n int, json bool) (path string, size int64) {
	path = filepath.Join(b.TempDir(), "inventory")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	begin, entry, end := "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash\n", "%0138d,mt2 eyJmaWxlbmFtZSI6ImZpbGUudHh0IiwibXRpbWUiOiIyMDEzMTIxOVQwODMzMDFaIn0,2013-12-19T08:33:01Z,1,%s\n", ""
	if json {
		begin, end = `{"VaultARN":"a","InventoryDate":"2013-12-20T00:00:00Z","ArchiveList":[{}`, "]}"
		entry = `,{"ArchiveId":"%0138d","ArchiveDescription":"mt2 eyJmaWxlbmFtZSI6ImZpbGUudHh0IiwibXRpbWUiOiIyMDEzMTIxOVQwODMzMDFaIn0","CreationDate":"2013-12-19T08:33:01Z","Size":1,"SHA256TreeHash":"%s"}`
	}
	w.WriteString(begin)
	for i := range n {
		fmt.Fprintf(w, entry, i, hashOfA)
	}
	w.WriteString(end)
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return path, info.Size()
}

// BenchmarkReadInventory is how fast a saved inventory is read.
func BenchmarkReadInventory(b *testing.B) {
	for name, json := range map[string]bool{"JSON": true, "CSV": false} {
		b.Run(name, func(b *testing.B) {
			const n = 100_000
			path, size := inventory(b, n, json)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				info, err := foreign.ReadInventory(path, func(firn.Archive) error { return nil }, func(error) error { return nil })
				if err != nil || info.Archives != n {
					b.Fatal(info, err)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "archives/s")
		})
	}
}
