package restore_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

// archived syncs a folder to a vault in another one, bundled as it is by default,
// and gives the options of restores of it.
func archived(b *testing.B, root string) restore.Options {
	b.Helper()
	ctx := b.Context()
	ok := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	cat, err := catalog.Open(ctx, filepath.Join(b.TempDir(), "catalog.db"), clock.System{})
	ok(err)
	b.Cleanup(func() { cat.Close() })
	store, err := wire.Open(ctx, wire.Env{Getenv: func(string) string { return "" }, Clock: clock.System{}, Events: firn.Discard},
		config.Location{Scheme: config.Local, Dir: filepath.Join(b.TempDir(), "vault")}, wire.Options{})
	ok(err)
	b.Cleanup(func() { store.Close() })
	ok(store.Store.Create(ctx))
	row, err := cat.Register(ctx, catalog.StoreSpec{URL: "local:bench", Kind: "local", Identity: "bench", Name: "bench"})
	ok(err)
	up, err := transfer.NewUploader(store.Store, store.Traits(), transfer.UploadOptions{TokenOf: describe.TokenOf})
	ok(err)
	_, err = syncer.Run(ctx, syncer.Options{
		Catalog: cat, Row: row, Store: store.Store, Uploader: up, Clock: clock.System{}, Events: firn.Discard, Root: root, Tree: "tree", Host: "here",
		Concurrency: 4, Bundling: syncer.Bundling{Below: 1 << 20, Size: 64 << 20, Spool: b.TempDir()},
	})
	ok(err)
	tree, err := cat.Tree(ctx, row.ID, "tree")
	ok(err)
	down, err := transfer.NewDownloader(store.Store, transfer.DownloadOptions{})
	ok(err)
	return restore.Options{
		Catalog: cat, Row: row, Store: store.Store, Downloader: down, Clock: clock.System{}, Events: firn.Discard, Trees: []catalog.Tree{tree},
		Concurrency: transfer.DefaultConcurrency,
	}
}

// BenchmarkGoTree restores Go's own tree from a vault in a folder, synced to disk.
func BenchmarkGoTree(b *testing.B) {
	said, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skip("there is no Go: ", err)
	}
	root, files := strings.TrimSpace(string(said)), 0
	err = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files++
		}
		return err
	})
	if err != nil || files == 0 {
		b.Skip("there is no Go tree: ", err)
	}
	o := archived(b, root)
	for i := 0; b.Loop(); i++ {
		o.To = filepath.Join(b.TempDir(), fmt.Sprint("out", i))
		res, err := restore.Run(b.Context(), o)
		if err != nil || res.Counts[firn.Restored].Files < int64(files) {
			b.Fatal(res, err)
		}
	}
	b.ReportMetric(float64(files*b.N)/b.Elapsed().Seconds(), "files/s")
}

// BenchmarkLargeFile restores one large file from a vault in a folder, synced to
// disk, and hashes it once beside that. The budget is half the speed of hashing.
func BenchmarkLargeFile(b *testing.B) {
	const size = 1 << 30
	root := b.TempDir()
	name := filepath.Join(root, "large")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for i := range size / len(block) {
		for j := range block {
			block[j] = byte(i*j + i>>3)
		}
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	o := archived(b, root)
	var hashing, restoring time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		if _, err := f.Seek(0, 0); err != nil {
			b.Fatal(err)
		}
		if _, err := scan.Hash(b.Context(), f); err != nil {
			b.Fatal(err)
		}
		hashing += time.Since(start)
		o.To = filepath.Join(root, "..", fmt.Sprint("out", i))
		start = time.Now()
		if res, err := restore.Run(b.Context(), o); err != nil || res.Counts[firn.Restored].Files != 1 {
			b.Fatal(res, err)
		}
		restoring += time.Since(start)
		os.RemoveAll(o.To)
	}
	b.ReportMetric(size*float64(b.N)/(1<<20)/hashing.Seconds(), "hashed-MiB/s")
	b.ReportMetric(size*float64(b.N)/(1<<20)/restoring.Seconds(), "restored-MiB/s")
	b.ReportMetric(hashing.Seconds()/restoring.Seconds(), "of-hashing")
}
