package catalog_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

func TestPieces(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	archive, other := f.archive(t, 20, epoch), f.archive(t, 20, epoch)
	id, second := f.plan(t, "1"), f.plan(t, "2")
	want := func(restore, archive int64, pieces ...catalog.Piece) {
		t.Helper()
		got, err := f.Pieces(ctx, restore, archive)
		check(t, err)
		if diff := gocmp.Diff(pieces, got); diff != "" {
			t.Error(diff)
		}
	}
	want(id, archive)
	last := catalog.Piece{Offset: 19<<20 + 3, Size: 7, Tree: treehash.Sum([]byte("last"))}
	for _, p := range []catalog.Piece{piece(8), last, piece(1), piece(0)} {
		check(t, f.AddPiece(ctx, id, archive, p))
	}
	check(t, f.AddPiece(ctx, id, other, piece(2)))
	check(t, f.AddPiece(ctx, second, archive, piece(3)))
	want(id, archive, piece(0), piece(1), piece(8), last)
	longer := catalog.Piece{Offset: 0, Size: 1 << 20, Tree: treehash.Sum([]byte("other"))}
	check(t, f.AddPiece(ctx, id, archive, longer))
	want(id, archive, longer, piece(1), piece(8), last)
	check(t, f.DropPieces(ctx, id, archive))
	check(t, f.DropPieces(ctx, id, archive)) // again
	want(id, archive)
	want(id, other, piece(2))
	want(second, archive, piece(3))

	for name, p := range map[string]catalog.Piece{
		"empty":            {Offset: 0, Size: 0, Tree: longer.Tree},
		"less than empty":  {Offset: 0, Size: -1, Tree: longer.Tree},
		"before the start": {Offset: -1, Size: 1, Tree: longer.Tree},
		"not verified":     {Offset: 0, Size: 1},
	} {
		if err := f.AddPiece(ctx, id, archive, p); firn.KindOf(err) != firn.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	want(id, archive)
	checkInvariants(t, f.Catalog)
}
