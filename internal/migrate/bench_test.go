package migrate_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// BenchmarkMigrate moves archives of 1 MiB, one by one, from one local vault to
// another, and tells how many a second.
func BenchmarkMigrate(b *testing.B) {
	const archives, size = 1000, 1 << 20
	env := wire.Env{Getenv: os.Getenv, Clock: clock.System{}, Events: firn.Discard}
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		cat, err := catalog.Open(b.Context(), filepath.Join(dir, "catalog.db"), clock.System{})
		check(b, err)
		from, to := openSide(b, env, cat, filepath.Join(dir, "from")), openSide(b, env, cat, filepath.Join(dir, "to"))
		strangers(b, cat, from, archives, size)
		b.StartTimer()
		res, err := migrate.Run(b.Context(), migrate.Options{Catalog: cat, From: from, To: to, Clock: clock.System{}, Concurrency: 8})
		check(b, err)
		b.StopTimer()
		if !res.Done || res.Copied.Files != archives {
			b.Fatalf("%+v", res)
		}
		check(b, cat.Close())
		b.StartTimer()
	}
	b.ReportMetric(archives*float64(b.N)/b.Elapsed().Seconds(), "archives/s")
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func openSide(b *testing.B, env wire.Env, cat *catalog.Catalog, dir string) migrate.Side {
	b.Helper()
	store, err := wire.Open(b.Context(), env, config.Location{Scheme: config.Local, Dir: dir}, wire.Options{})
	check(b, err)
	b.Cleanup(func() { store.Close() })
	row, err := store.CheckOrCreate(b.Context(), cat)
	check(b, err)
	return migrate.Side{Row: row, Store: store}
}

// strangers fills a store with archives of which nobody knows what they are.
func strangers(b *testing.B, cat *catalog.Catalog, side migrate.Side, n int, size int) {
	b.Helper()
	run, err := cat.BeginRun(b.Context(), side.Row.ID, 0, "adopt")
	check(b, err)
	finds := make([]catalog.Find, n)
	g, ctx := errgroup.WithContext(b.Context())
	g.SetLimit(8)
	for i := range n {
		g.Go(func() error {
			data := make([]byte, size)
			rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(data)
			d := treehash.NewDouble()
			d.Write(data)
			name := fmt.Sprint("archive ", i)
			id, err := side.Store.UploadArchive(ctx, name, io.NewSectionReader(bytes.NewReader(data), 0, int64(size)), d.Sums())
			finds[i] = catalog.Find{Kind: catalog.ForeignArchive, Archive: firn.Archive{ID: id, Description: name, Size: int64(size), Tree: d.Sums().Tree, Created: clock.System{}.Now()}}
			return err
		})
	}
	check(b, g.Wait())
	_, err = cat.TakeIn(b.Context(), run, finds)
	check(b, err)
}
