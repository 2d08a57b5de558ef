package catalog

import (
	"context"
	"fmt"
)

// A Sealing is what is needed to make an encrypted archive's bytes again, and
// to open them. FileKey and Nonce are secrets, and forgotten with the intent.
type Sealing struct {
	Header     []byte     // the archive's first bytes; kept as long as the archive is there
	Recipients Recipients // kept as long, too
	FileKey    [16]byte
	Nonce      [16]byte
}

// Recipients stand for all who can open a sealed archive: a SHA-256 over them,
// sorted. Zero stands for archives that are not sealed. Content is shared only
// among archives of the same recipients.
type Recipients [32]byte

// column is how a row of seal, or that there is none, says it.
func (r *Recipients) column() []byte {
	if *r == (Recipients{}) {
		return nil
	}
	return r[:]
}

// Header gives the header of a sealed archive, with which any chunk of it can
// be opened, and whom it is sealed for; nil where it isn't sealed.
func (c *Catalog) Header(ctx context.Context, archive int64) (header []byte, sealed Recipients, err error) {
	err = c.read(ctx, "read header", fmt.Sprint("of archive ", archive), func(tx tx) error {
		var recipients []byte
		err := tx.row("SELECT header, recipients FROM seal WHERE archive = ?", archive).Scan(&header, &recipients)
		copy(sealed[:], recipients)
		if isNoRows(err) {
			return nil
		}
		return err
	})
	return header, sealed, err
}
