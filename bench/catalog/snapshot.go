package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

// maker makes snapshots and stores them in a vault in a folder, beside the
// catalog.
func (b *bench) maker(ctx context.Context) (m *snapshot.Maker, done func() error, err error) {
	dir := filepath.Dir(b.path)
	env := wire.Env{Getenv: os.Getenv, Dir: dir, Clock: b.clock, Events: firn.Discard}
	store, err := wire.Open(ctx, env, config.Location{Scheme: config.Local, Dir: filepath.Join(dir, "vault")}, wire.Options{})
	if err != nil {
		return nil, nil, err
	}
	if err := store.Create(ctx); err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	info, err := store.Look(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	up, err := transfer.NewUploader(store, store.Traits(), transfer.UploadOptions{Clock: b.clock})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return snapshot.NewMaker(snapshot.Options{
		Catalog: b.cat, Row: b.store, Info: info, Store: store, Uploader: up, Clock: b.clock, Events: firn.Discard,
		Spool: filepath.Join(dir, "spool"), Host: "bench",
		Alive: func(catalog.Run) bool { return false }, // none here ever ends
	}), store.Close, nil
}

// snapshot makes a snapshot: the first one is full, the others add to it the
// file that came since.
func (b *bench) snapshot(ctx context.Context, _ int) (func() (int, error), error) {
	run, err := b.begin(ctx, b.tree)
	if err != nil {
		return nil, err
	}
	did := b.made
	if b.saved {
		did = 1
	}
	b.saved = true
	if err := b.bundle(ctx, run, b.members(b.somewhere(), 1)); err != nil {
		return nil, err
	}
	m, done, err := b.maker(ctx)
	return func() (int, error) { return did, errors.Join(m.Make(ctx, run), done()) }, err
}
