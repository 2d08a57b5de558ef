package glacierd_test

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/treehash"
)

// vault is the name of the vault that all benchmarks use.
const vault = "v"

func benchClient(b *testing.B) client {
	_, c := open(b, glacierd.Config{Root: b.TempDir(), Timing: &glacierd.Timing{}})
	c.createVault(vault)
	return c
}

// BenchmarkSmallUploads is a durable archive of 10 KiB at a time.
func BenchmarkSmallUploads(b *testing.B) {
	for _, workers := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			c := benchClient(b)
			body := pattern(10 << 10)
			headers := uploadHeaders(body)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for i := w; i < b.N; i += workers {
						r, err := c.try("POST", "/-/vaults/"+vault+"/archives", headers, body)
						if err != nil || r.status != 201 {
							b.Errorf("%d %s %v", r.status, r.body, err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkLargeUpload is one body of 64 MiB, beside the cost of hashing it.
func BenchmarkLargeUpload(b *testing.B) {
	body := pattern(64 * mib)
	b.Run("upload", func(b *testing.B) {
		c := benchClient(b)
		headers := uploadHeaders(body)
		b.SetBytes(int64(len(body)))
		b.ResetTimer()
		for b.Loop() {
			r := c.requestWithHash("POST", "/-/vaults/"+vault+"/archives", headers, bytes.NewReader(body), int64(len(body)), headers[1])
			if resp, err := c.send(r); err != nil || resp.status != 201 {
				b.Fatalf("%d %s %v", resp.status, resp.body, err)
			}
		}
	})
	b.Run("hash", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			d := treehash.NewDouble()
			d.Write(body)
			d.Sums()
		}
	})
}

// BenchmarkDownload reads an archive of 64 MiB in pieces of 16 MiB.
func BenchmarkDownload(b *testing.B) {
	c := benchClient(b)
	id := c.upload(vault, pattern(64*mib), "")
	job := c.job(vault, "Type", "archive-retrieval", "ArchiveId", id)
	b.SetBytes(64 * mib)
	b.ResetTimer()
	for b.Loop() {
		for at := 0; at < 64*mib; at += 16 * mib {
			r := c.request("GET", "/-/vaults/"+vault+"/jobs/"+job+"/output", h{"Range", fmt.Sprintf("bytes=%d-%d", at, at+16*mib-1)}, nil)
			resp, err := c.http.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err != nil || n != 16*mib {
				b.Fatal(n, err)
			}
		}
	}
}

// BenchmarkInventory lists archives, per archive.
func BenchmarkInventory(b *testing.B) {
	c := benchClient(b)
	body := []byte("x")
	const archives = 2000
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range archives / 16 {
				c.upload(vault, body, "a description of the usual length, say forty to eighty characters")
			}
		})
	}
	wg.Wait()
	job := c.job(vault, "Type", "inventory-retrieval")
	b.ResetTimer()
	for b.Loop() {
		r := c.request("GET", "/-/vaults/"+vault+"/jobs/"+job+"/output", nil, nil)
		resp, err := c.http.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	b.ReportMetric(float64(archives)*float64(b.N)/b.Elapsed().Seconds(), "archives/s")
}
