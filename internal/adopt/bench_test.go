package adopt_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/storetest"
)

func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// BenchmarkAdopt takes in a saved inventory of foreign archives, a million with
// FIRN_BENCH_FILES=1000000, from the file to the catalog on disk.
func BenchmarkAdopt(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("FIRN_BENCH_FILES"))
	if err != nil {
		n = 20_000
	}
	for _, how := range []struct {
		name  string
		write func(*bufio.Writer, int)
	}{{"mt2", writeMT2}, {"cloudberry", writeCloudBerry}} {
		b.Run(how.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "inventory.json")
			writeInventory(b, path, n, how.write)
			for b.Loop() {
				b.StopTimer()
				r := newRig(b, storetest.MemoryOptions{})
				o := r.options()
				o.Inventory, o.Events, o.Spool = path, firn.Discard, b.TempDir()
				b.StartTimer()
				res, err := adopt.Run(b.Context(), o)
				if err != nil || res.Files.Files != int64(n) {
					b.Fatalf("%+v, %v", res, err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "archives/s")
			if peak := usage.PeakMemory(); peak > 0 {
				b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
			}
		})
	}
}

// writeInventory writes an inventory of n archives in the order in which they
// were stored, from a few bytes to 16 MiB, as files are.
func writeInventory(tb testing.TB, path string, n int, describe func(*bufio.Writer, int)) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriter(f)
	random := rand.New(rand.NewPCG(1, 2))
	fmt.Fprintf(w, `{"VaultARN":%q,"InventoryDate":"2014-01-02T03:04:05Z","ArchiveList":[`, vaultARN)
	for i := range n {
		if i > 0 {
			w.WriteByte(',')
		}
		fmt.Fprintf(w, `{"ArchiveId":"%0138x","ArchiveDescription":"`, random.Uint64())
		describe(w, i)
		fmt.Fprintf(w, `","CreationDate":"2013-%02d-%02dT%02d:00:00Z","Size":%d,"SHA256TreeHash":"%016x%016x%016x%016x"}`,
			i*12/n+1, i%28+1, i%24, 1+random.Uint64N(1<<(10+random.Uint64N(15))), random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64())
	}
	w.WriteString("]}")
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		tb.Fatal(err)
	}
}

func writeMT2(w *bufio.Writer, i int) {
	name := fmt.Sprintf(`{"filename":"photos/%04d/album-%05d/img_%07d.jpg","mtime":"20120515T172139Z"}`, i/10_000, i/100, i)
	w.WriteString("mt2 " + base64.RawURLEncoding.EncodeToString([]byte(name)))
}

func writeCloudBerry(w *bufio.Writer, i int) {
	fmt.Fprintf(w, `{\"Path\":\"c:+AFw-photos+AFw-%04d+AFw-album-%05d+AFw-img+AF8-%07d.jpg\",\"UTCDateModified\":\"20130322T120026Z\",\"Flags\":0}`, i/10_000, i/100, i)
}
