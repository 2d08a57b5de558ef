package guard

import (
	"context"
	"errors"
	"io"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// Companions pass through each decorator, though a firn.Store need not keep any.
var (
	_ firn.Companion = (*counting)(nil)
	_ firn.Companion = (*limiter)(nil)
	_ firn.Companion = (*retrier)(nil)
	_ firn.Companion = dryRun{}
)

// OpPutCompanion is the call that stores a file beside an archive.
const OpPutCompanion Op = "PutCompanion"

// beside is the Companion that a decorator stands before.
func beside(s firn.Store) firn.Companion {
	if c, ok := s.(firn.Companion); ok {
		return c
	}
	return lone{}
}

// lone stands for a store that keeps nothing beside archives.
type lone struct{}

func (lone) PutCompanion(context.Context, firn.ArchiveID, string, string, *io.SectionReader, treehash.Sums) error {
	return &firn.Error{Op: "put beside an archive", Subject: "of the store", Kind: firn.Invalid, Err: errors.New("it keeps archives only")}
}

func (lone) CompanionFolder(_ firn.ArchiveID, folder string) string { return folder }

func (lone) Place() (firn.Place, bool) { return firn.Place{}, false }

func (lone) Key(id firn.ArchiveID) string { return string(id) }

func (c *counting) PutCompanion(ctx context.Context, id firn.ArchiveID, folder, name string, body *io.SectionReader, sums treehash.Sums) error {
	return c.none(OpPutCompanion, beside(c.Store).PutCompanion(ctx, id, folder, name, c.watch(OpPutCompanion, body), sums))
}

func (c *counting) CompanionFolder(id firn.ArchiveID, folder string) string {
	return beside(c.Store).CompanionFolder(id, folder)
}

func (c *counting) Place() (firn.Place, bool) { return beside(c.Store).Place() }

func (c *counting) Key(id firn.ArchiveID) string { return beside(c.Store).Key(id) }

func (l *limiter) PutCompanion(ctx context.Context, id firn.ArchiveID, folder, name string, body *io.SectionReader, sums treehash.Sums) error {
	return beside(l.Store).PutCompanion(ctx, id, folder, name, l.hold(ctx, body), sums)
}

func (l *limiter) CompanionFolder(id firn.ArchiveID, folder string) string {
	return beside(l.Store).CompanionFolder(id, folder)
}

func (l *limiter) Place() (firn.Place, bool) { return beside(l.Store).Place() }

func (l *limiter) Key(id firn.ArchiveID) string { return beside(l.Store).Key(id) }

func (r *retrier) PutCompanion(ctx context.Context, id firn.ArchiveID, folder, name string, body *io.SectionReader, sums treehash.Sums) error {
	return r.do(ctx, repeatable, func() error { return beside(r.Store).PutCompanion(ctx, id, folder, name, body, sums) })
}

func (r *retrier) CompanionFolder(id firn.ArchiveID, folder string) string {
	return beside(r.Store).CompanionFolder(id, folder)
}

func (r *retrier) Place() (firn.Place, bool) { return beside(r.Store).Place() }

func (r *retrier) Key(id firn.ArchiveID) string { return beside(r.Store).Key(id) }

func (dryRun) PutCompanion(context.Context, firn.ArchiveID, string, string, *io.SectionReader, treehash.Sums) error {
	return refuse("put beside an archive")
}

func (d dryRun) CompanionFolder(id firn.ArchiveID, folder string) string {
	return beside(d.Store).CompanionFolder(id, folder)
}

func (d dryRun) Place() (firn.Place, bool) { return beside(d.Store).Place() }

func (d dryRun) Key(id firn.ArchiveID) string { return beside(d.Store).Key(id) }
