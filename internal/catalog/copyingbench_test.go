package catalog_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// BenchmarkCopies begins copies and records that they are there, as a migration does
// with 24 archives at a time.
func BenchmarkCopies(b *testing.B) {
	ctx, f := b.Context(), newFixture(b)
	source, err := f.Register(ctx, catalog.StoreSpec{URL: "glacier:old", Kind: "glacier", Identity: "old", Name: "old"})
	check(b, err)
	run, err := f.BeginRun(ctx, source.ID, 0, "adopt")
	check(b, err)
	finds := make([]catalog.Find, b.N)
	for i := range finds {
		ch := benchFile(i, 100)
		finds[i] = catalog.Find{Kind: catalog.ForeignArchive, Archive: firn.Archive{
			ID: firn.ArchiveID(fmt.Sprintf("%0138d", i)), Description: fmt.Sprint("archive ", i), Size: ch.Content.Size, Tree: ch.Content.Tree, Created: time.Unix(int64(i), 0),
		}}
	}
	_, err = f.TakeIn(ctx, run, finds)
	check(b, err)
	m, _, err := f.BeginMigration(ctx, catalog.Migration{Source: source.ID, Target: f.store.ID, Run: f.run.ID, Options: "{}"})
	check(b, err)
	_, err = f.PlanCopies(ctx, m, true)
	check(b, err)
	tasks, _, err := f.CopyPage(ctx, m.ID, catalog.CopyCursor{}, b.N)
	check(b, err)
	if len(tasks) != b.N {
		b.Fatalf("%d of %d copies", len(tasks), b.N)
	}
	b.ResetTimer()
	const workers = 24
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < b.N; i += workers {
				t := &tasks[i]
				plan := []catalog.CopyPlan{{Intent: catalog.Intent{Token: firn.NewToken(), Kind: t.Kind, Description: t.Description, File: t.File, Size: t.Size, TreeHash: t.TreeHash}, Sources: []int64{t.Archive}}}
				err := f.BeginCopies(ctx, m, plan)
				if err == nil {
					err = f.CopyStored(catalog.Patiently(ctx), m, plan[0].ID, firn.Archive{ID: firn.ArchiveID(fmt.Sprintf("n%0137d", i)), Size: t.Size, Tree: t.TreeHash})
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	perSecond(b, 1, "archives")
}
