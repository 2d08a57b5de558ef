package syncer_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// counted counts the requests that a store charges for.
type counted struct {
	firn.Store
	n atomic.Int64
}

func (c *counted) UploadArchive(ctx context.Context, d string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	c.n.Add(1)
	return c.Store.UploadArchive(ctx, d, body, sums)
}

func (c *counted) StartUpload(ctx context.Context, d string, partSize int64) (firn.UploadID, error) {
	c.n.Add(1)
	return c.Store.StartUpload(ctx, d, partSize)
}

func (c *counted) UploadPart(ctx context.Context, id firn.UploadID, off int64, body *io.SectionReader, sums treehash.Sums) error {
	c.n.Add(1)
	return c.Store.UploadPart(ctx, id, off, body, sums)
}

func (c *counted) CompleteUpload(ctx context.Context, id firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	c.n.Add(1)
	return c.Store.CompleteUpload(ctx, id, size, tree)
}

// foresee gives the outlook of a dry run.
func foresee(b *worktest.Bench) *syncer.Outlook {
	b.T.Helper()
	o := b.Options()
	o.DryRun, o.Prices = true, price.Vault("us-east-1")
	return run(b, o).Outlook
}

func chosen(b *worktest.Bench, o *syncer.Outlook) (c price.Choice) {
	b.T.Helper()
	n := 0
	for _, choice := range o.Choices {
		if choice.Chosen {
			c, n = choice, n+1
		}
	}
	if n != 1 {
		b.T.Fatalf("%d of the choices are chosen: %+v", n, o.Choices)
	}
	return c
}

// forests are trees of every sort that bundling knows.
func forests() map[string]func(b *worktest.Bench) {
	sized := func(n int, c byte) string { return strings.Repeat(string(rune(c)), n) }
	return map[string]func(b *worktest.Bench){
		"many tiny": func(b *worktest.Bench) {
			for i := range 250 {
				b.Write(fmt.Sprintf("d%d/f%d", i%7, i), fmt.Sprint("content ", i))
			}
		},
		"around the sizes": func(b *worktest.Bench) {
			for i := range 40 {
				b.Write(fmt.Sprintf("f%02d", i), fmt.Sprint(i, sized(i*3001, 'x')))
			}
		},
		"names that take room": func(b *worktest.Bench) {
			for i := range 60 {
				b.Write(fmt.Sprintf("%s/größe %d\xff%s", sized(90, 'd'), i, sized(i*2, 'n')), fmt.Sprint(i, sized(900, 'x')))
			}
		},
		"without content": func(b *worktest.Bench) {
			b.Write("empty", "")
			b.Write("dir/also empty", "")
			if err := os.Symlink("empty", filepath.Join(b.Root, "dir/link")); err != nil {
				b.T.Fatal(err)
			}
		},
		"large ones between": func(b *worktest.Bench) {
			for i := range 6 {
				b.Write(fmt.Sprintf("s%d", i), fmt.Sprint("small ", i))
			}
			b.WriteLarge("large", "L")
			b.Write("s4a", sized(200_000, 'm'))
		},
	}
}

// TestOutlookIsWhatASyncDoes: as many archives and requests, of nearly as many
// bytes, for trees of every sort, with each way to bundle, sealed or not.
func TestOutlookIsWhatASyncDoes(t *testing.T) {
	for name, plant := range forests() {
		for _, way := range []struct{ below, size int64 }{{0, 0}, {1000, 64 << 10}, {50_000, 100_000}, {1 << 20, 64 << 20}} {
			for _, sealed := range []bool{false, true} {
				if testing.Short() && sealed != (way.below == 1000) {
					continue
				}
				t.Run(fmt.Sprintf("%s, below %d into %d, sealed %t", name, way.below, way.size, sealed), func(t *testing.T) {
					b := worktest.New(t, storetest.MemoryOptions{})
					if way.below > 0 {
						b.Bundle(way.below, way.size)
					}
					if sealed {
						b.Seal()
					}
					plant(b)
					compareOutlook(b)
				})
			}
		}
	}
}

// compareOutlook compares what a dry run says with what a sync then does.
func compareOutlook(b *worktest.Bench) {
	b.T.Helper()
	out := foresee(b)
	store := &counted{Store: b.Store}
	b.Store = store
	before := len(b.Memory.Archives())
	res := b.Sync()
	made := b.Memory.Archives()[before:]
	if out == nil {
		if len(made) > 0 {
			b.T.Errorf("%d archives where a dry run saw none", len(made))
		}
		return
	}
	var bytes int64
	for _, a := range made {
		bytes += a.Size
	}
	c := chosen(b, out)
	if int(c.Archives) != len(made) || c.Requests != store.n.Load() {
		b.T.Errorf("foreseen %d archives in %d requests; there are %d in %d", c.Archives, c.Requests, len(made), store.n.Load())
	}
	if diff := c.Bytes - bytes; diff > bytes/20+4096*int64(len(made)) || -diff > bytes/20+4096*int64(len(made)) {
		b.T.Errorf("foreseen %d bytes, and there are %d", c.Bytes, bytes)
	}
	if want := (res.Counts[firn.Sent]); out.Files != want {
		b.T.Errorf("foreseen %+v, sent %+v", out.Files, want)
	}
}

// TestOutlookOfChanges: of a tree that is stored but for a few files.
func TestOutlookOfChanges(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1<<20, 1<<20)
	for i := range 50 {
		b.Write(fmt.Sprintf("d%d/f%d", i%5, i), fmt.Sprint("content ", i))
	}
	b.Sync()
	if out := foresee(b); out != nil {
		t.Errorf("an outlook on nothing: %+v", out)
	}
	b.Write("d1/f1", "changed by now")
	b.Write("d9/new", "new")
	compareOutlook(b)
	touch(b, "d2/f2", later)
	out := foresee(b)
	if out.Unsure != 1 || out.Files.Files != 1 {
		t.Errorf("a file that may be unchanged: %+v", out)
	}
}

// TestOutlookOfOtherThresholds: what the table has beside the chosen one is
// what these would do.
func TestOutlookOfOtherThresholds(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1<<20, 64<<20)
	for i := range 20 {
		b.Write(fmt.Sprintf("tiny%d", i), fmt.Sprint("content ", i))
		b.Write(fmt.Sprintf("small%d", i), fmt.Sprint(i, strings.Repeat("s", 100<<10)))
	}
	b.Write("medium", strings.Repeat("m", 2<<20))
	b.Write("empty", "")
	out := foresee(b)
	want := []price.Choice{
		{Below: 0, Archives: 41, Requests: 41}, {Below: 64 << 10, Archives: 22, Requests: 22},
		{Below: 1 << 20, Archives: 2, Requests: 2, Chosen: true}, {Below: 8 << 20, Archives: 1, Requests: 1},
	}
	if len(out.Choices) != len(want) {
		t.Fatalf("%+v", out.Choices)
	}
	for i, w := range want {
		c := out.Choices[i]
		if c.Below != w.Below || c.Chosen != w.Chosen || c.Archives != w.Archives || c.Requests != w.Requests {
			t.Errorf("%+v, want %+v", c, w)
		}
		if w := out.Prices.Cost(price.Upload, w.Requests); c.Upload != w || !c.Month.Known || c.Month.Amount <= 0 {
			t.Errorf("%+v costs %v", c, w)
		}
	}
	b.Bundle(128<<10, 64<<20)
	if got := foresee(b); len(got.Choices) != 5 || chosen(b, got).Archives != 2 {
		t.Errorf("with a threshold of its own: %+v", got.Choices)
	}
	b.Bundling = syncer.Bundling{}
	if got := foresee(b); chosen(b, got).Archives != 41 || got.Choices[2].Archives != 2 {
		t.Errorf("without bundles: %+v", got.Choices)
	}
}

// TestOutlookOfSmallOnes: each small archive is charged for as the least that its class
// charges for, however large the others are.
func TestOutlookOfSmallOnes(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("large", strings.Repeat("l", 4<<20))
	b.Write("small", strings.Repeat("s", 1<<10))
	o := b.Options()
	o.DryRun, o.Prices = true, price.Bucket("GLACIER_IR", "us-east-1")
	// 4 MiB and 128 KiB are 33/8192 of a GB, at 0.004.
	if got := chosen(b, run(b, o).Outlook); got.Overhead != 127<<10 || got.Month.String() != "0.000016114" {
		t.Errorf("%+v", got)
	}
}
