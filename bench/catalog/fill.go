package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// A bench is a filled catalog.
type bench struct {
	options
	clock clock.Clock
	cat   *catalog.Catalog
	path  string
	store catalog.Store
	tree  catalog.Tree
	made  int  // versions, all different
	saved bool // there is a snapshot
}

// fill makes a catalog: a run for each version of the files.
func fill(ctx context.Context, o options, path string, progress io.Writer) (*bench, error) {
	b := &bench{options: o, clock: clock.System{}, path: path}
	var err error
	if b.cat, err = catalog.Open(ctx, path, b.clock); err != nil {
		return nil, err
	}
	b.store, err = b.cat.Register(ctx, catalog.StoreSpec{URL: "local:/bench", Kind: "local", Identity: "bench"})
	if err != nil {
		return nil, err
	}
	if b.tree, err = b.cat.Bind(ctx, b.store.ID, "bench", "bench", "/bench"); err != nil {
		return nil, err
	}
	start := b.clock.Now()
	for b.made < o.versions {
		run, err := b.begin(ctx, b.tree)
		if err != nil {
			return nil, err
		}
		for first := 0; first < o.files && b.made < o.versions; first += o.bundle {
			if err := b.bundle(ctx, run, b.members(first, min(o.bundle, o.files-first, o.versions-b.made))); err != nil {
				return nil, err
			}
			fmt.Fprintf(progress, "\r%d of %d versions", b.made, o.versions)
		}
	}
	took := b.clock.Now().Sub(start)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "\r%d versions of %d files in %v, %d bytes a version\n", b.made, o.files, took.Round(time.Second), info.Size()/int64(b.made))
	return b, nil
}

func (b *bench) begin(ctx context.Context, tree catalog.Tree) (catalog.Run, error) {
	return b.cat.BeginRun(ctx, b.store.ID, tree.ID, "sync")
}

// change makes another version of file i.
func (b *bench) change(i int) catalog.Change {
	b.made++
	size := int64(100 + i%1000)
	mtime := time.Unix(1_600_000_000+int64(b.made), int64(b.made%1000)*1e6)
	return catalog.Change{
		File: firn.File{
			Path: b.folder(i) + fmt.Sprintf("/img_%08d.jpg", i), Kind: firn.Regular,
			Stamp: firn.Stamp{Size: size, ModTime: mtime, Changed: mtime.Add(time.Hour), Inode: uint64(i + 1000)},
			Mode:  0o644, UID: 1000, GID: 1000, Links: 1,
		},
		Content: firn.Content{Size: size, Tree: hashOf(b.made)},
		Read:    mtime.Add(24 * time.Hour),
	}
}

// folder is that of file i: a thousand folders are in one.
func (b *bench) folder(i int) string {
	d := i / b.perFolder
	return fmt.Sprintf("photos/%04d/album-%06d", d/1000, d)
}

// hashOf spreads numbers as hashes are.
func hashOf(i int) (h treehash.Hash) {
	x := uint64(i) * 0x9e3779b97f4a7c15
	for at := 0; at < len(h); at += 8 {
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		binary.BigEndian.PutUint64(h[at:], x)
	}
	return h
}

// members makes versions of files into members of a bundle, with the folders
// that begin among them.
func (b *bench) members(first, n int) (members []catalog.Member) {
	for i := range n {
		if i == 0 || (first+i)%b.perFolder == 0 {
			members = append(members, catalog.Member{Number: -1, Change: catalog.Change{
				File: firn.File{Path: b.folder(first + i), Kind: firn.Directory, Stamp: firn.Stamp{ModTime: time.Unix(1_600_000_000, 0)}, Mode: 0o755},
			}})
		}
		members = append(members, catalog.Member{Change: b.change(first + i), Number: int64(i), Offset: int64(i) * 2048})
	}
	return members
}

// bundle takes a bundle from its intent to where it is stored.
func (b *bench) bundle(ctx context.Context, run catalog.Run, members []catalog.Member) error {
	in := catalog.Intent{Token: firn.NewToken(), Kind: catalog.BundleArchive, Description: "a bundle of the benchmark", Size: int64(len(members)) * 2048}
	if err := b.cat.IntendBundle(ctx, &in, run, members); err != nil {
		return err
	}
	return b.cat.Stored(ctx, in.ID, firn.Archive{ID: firn.ArchiveID(in.Token.String()), Size: in.Size}, run, nil)
}
