package upkeep_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/upkeep"
)

// BenchmarkVerifyBelieved verifies a tree of which every hash is believed. The
// files are empty, and FIRN_BENCH_FILES says how many there are, in folders of 100.
func BenchmarkVerifyBelieved(b *testing.B) {
	files := 20_000
	if s := os.Getenv("FIRN_BENCH_FILES"); s != "" {
		var err error
		if files, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	c, err := catalog.Open(b.Context(), filepath.Join(b.TempDir(), "catalog.db"), clock.System{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	row, err := c.Register(b.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	if err != nil {
		b.Fatal(err)
	}
	root := b.TempDir()
	tree, err := c.Bind(b.Context(), row.ID, "tree", "here", root)
	if err != nil {
		b.Fatal(err)
	}
	makeTree(b, c, tree, files)
	options := func() upkeep.VerifyOptions {
		round, err := c.BeginRound(b.Context(), tree.ID, root, 1, 1)
		if err != nil {
			b.Fatal(err)
		}
		return upkeep.VerifyOptions{Catalog: c, Tree: tree, Root: root, Events: firn.Discard, Concurrency: 2, Round: round, Believe: round.Began}
	}
	verified := func() upkeep.VerifyResult {
		res, err := upkeep.Verify(b.Context(), options())
		if err != nil || res.Counts[firn.Verified].Files != int64(files) {
			b.Fatalf("%v: %+v", err, res)
		}
		return res
	}
	first := verified()
	for b.Loop() {
		if res := verified(); res.Hashes.Believed != first.Hashes.Read {
			b.Fatalf("%+v", res.Hashes)
		}
	}
	b.ReportMetric(float64(files)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

// makeTree makes files, and records them.
func makeTree(b *testing.B, c *catalog.Catalog, tree catalog.Tree, files int) {
	b.Helper()
	run, err := c.BeginRun(b.Context(), tree.Store, tree.ID, "test")
	if err != nil {
		b.Fatal(err)
	}
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	var changes []catalog.Change
	for i := range files {
		path := fmt.Sprintf("d%05d/f%02d", i/100, i%100)
		name := filepath.Join(tree.Root, path)
		if i%100 == 0 {
			if err := os.Mkdir(filepath.Dir(name), 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			b.Fatal(err)
		}
		changes = append(changes, catalog.Change{File: firn.File{Path: path, Kind: firn.Regular, Mode: 0o644, Stamp: firn.Stamp{ModTime: old}, UID: -1, GID: -1, Links: 1}})
		if len(changes) == 10_000 || i == files-1 {
			if _, err := c.Record(b.Context(), run, changes); err != nil {
				b.Fatal(err)
			}
			changes = changes[:0]
		}
	}
}
