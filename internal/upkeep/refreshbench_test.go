package upkeep_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/treehash"
)

// A listing is a store whose inventory is as long as one likes.
type listing struct {
	firn.Store
	archives int
	dated    time.Time
}

// archive makes the nth archive, of a file of firn's own.
func (l *listing) archive(n int) firn.Archive {
	said := describe.Archive{
		Kind: describe.File, Token: firn.Token{1, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, Tree: "photos", HasMode: true, Mode: 0o644,
		Path: fmt.Sprintf("photos/%04d/album-%05d/img_%07d.jpg", n/10_000, n/100, n), ModTime: time.Unix(1_300_000_000+int64(n), 5),
	}
	words, err := describe.Encode(said)
	if err != nil {
		panic(err)
	}
	return firn.Archive{
		ID:          firn.ArchiveID(fmt.Sprintf("%0138x", uint64(n)*0x9e3779b97f4a7c15)),
		Description: words, Created: l.dated.AddDate(0, 0, -100), Size: int64(1 + n%100_000), Tree: treehash.Hash{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), 1},
	}
}

// Inventory lists the archives in an order that is not that in which they were
// recorded.
func (l *listing) Inventory(_ context.Context, _ firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	for i := range l.archives {
		if err := each(l.archive(int(uint64(i) * 2_654_435_761 % uint64(l.archives)))); err != nil {
			return firn.InventoryInfo{}, err
		}
	}
	return firn.InventoryInfo{Archives: int64(l.archives), Date: l.dated}, nil
}

// BenchmarkRefresh compares an inventory with a catalog that has each of its
// archives, a million with FIRN_BENCH_FILES=1000000.
func BenchmarkRefresh(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("FIRN_BENCH_FILES"))
	if err != nil {
		n = 20_000
	}
	c := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	store := &listing{Store: storetest.NewMemory(storetest.MemoryOptions{Clock: c}), archives: n, dated: c.Now()}
	cat, err := catalog.Open(b.Context(), filepath.Join(b.TempDir(), "catalog.db"), c)
	if err != nil {
		b.Fatal(err)
	}
	defer cat.Close()
	row, err := cat.Register(b.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	if err != nil {
		b.Fatal(err)
	}
	recordAll(b, cat, row, store)
	for b.Loop() {
		run, err := cat.BeginRun(b.Context(), row.ID, 0, "refresh")
		if err != nil {
			b.Fatal(err)
		}
		res, err := upkeep.Refresh(b.Context(), upkeep.RefreshOptions{
			Catalog: cat, Row: row, Store: store, Run: run, Now: c.Now(), Events: firn.Discard,
			Asker: retrieval.New(retrieval.Options{Catalog: cat, Row: row.ID, Store: store, Clock: c, Events: firn.Discard, Run: run}),
		})
		if err != nil || res.Same.Files != int64(n) || len(res.Found) > 0 {
			b.Fatalf("%+v, %v", res, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "archives/s")
	if peak := usage.PeakMemory(); peak > 0 {
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	}
}

// recordAll records all archives of a listing, as a recovery does.
func recordAll(b *testing.B, cat *catalog.Catalog, row catalog.Store, l *listing) {
	b.Helper()
	run, err := cat.BeginRun(b.Context(), row.ID, 0, "recover")
	if err != nil {
		b.Fatal(err)
	}
	var finds []catalog.Find
	for i := range l.archives {
		a := l.archive(i)
		said := describe.Decode(a.Description)
		finds = append(finds, catalog.Find{Archive: a, Kind: catalog.FileArchive, Token: said.Token, Members: []catalog.FoundMember{{
			Tree: "photos", Content: firn.Content{Size: a.Size, Tree: a.Tree},
			File: firn.File{Path: said.Path, Kind: firn.Regular, Mode: said.Mode, UID: -1, GID: -1, Links: 1, Stamp: firn.Stamp{Size: a.Size, ModTime: said.ModTime}},
		}}})
		if len(finds) == 5000 || i == l.archives-1 {
			if _, err := cat.TakeIn(b.Context(), run, finds); err != nil {
				b.Fatal(err)
			}
			finds = finds[:0]
		}
	}
}
