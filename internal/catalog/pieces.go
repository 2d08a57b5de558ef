package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A Piece is a part of an archive that was downloaded for a restore and verified.
type Piece struct {
	Offset, Size int64         // in the archive as stored, bytes
	Tree         treehash.Hash // of these bytes
}

// Pieces lists what is there of an archive, by offset.
func (c *Catalog) Pieces(ctx context.Context, restore, archive int64) (all []Piece, err error) {
	err = c.read(ctx, "list pieces", pieceSubject(restore, archive), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var p Piece
			var tree []byte
			err := rows.Scan(&p.Offset, &p.Size, &tree)
			copy(p.Tree[:], tree)
			all = append(all, p)
			return err
		}, "SELECT offset, size, tree FROM piece WHERE restore = ? AND archive = ? ORDER BY offset", restore, archive)
	})
	return all, err
}

// AddPiece records that a piece of an archive is there, in place of one at the
// same offset. Errors: NotFound, Conflict (the restore has ended), Invalid (no
// piece).
func (c *Catalog) AddPiece(ctx context.Context, restore, archive int64, p Piece) error {
	subject := pieceSubject(restore, archive)
	if p.Offset < 0 || p.Size <= 0 {
		return &firn.Error{Op: "record piece", Subject: subject, Kind: firn.Invalid, Err: fmt.Errorf("%d bytes at %d can't be", p.Size, p.Offset)}
	}
	if p.Tree.IsZero() {
		return &firn.Error{Op: "record piece", Subject: subject, Kind: firn.Invalid, Err: errors.New("it has no tree hash")}
	}
	return c.write(ctx, "record piece", subject, func(tx tx) error {
		if err := mustBeOpen(tx, "record piece", restore); err != nil {
			return err
		}
		return tx.exec("INSERT INTO piece (restore, archive, offset, size, tree) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size, tree = excluded.tree",
			restore, archive, p.Offset, p.Size, p.Tree[:])
	})
}

// DropPieces forgets the pieces of an archive.
func (c *Catalog) DropPieces(ctx context.Context, restore, archive int64) error {
	return c.write(ctx, "drop pieces", pieceSubject(restore, archive), func(tx tx) error {
		return tx.exec("DELETE FROM piece WHERE restore = ? AND archive = ?", restore, archive)
	})
}

func pieceSubject(restore, archive int64) string {
	return fmt.Sprintf("restore %d, archive %d", restore, archive)
}
