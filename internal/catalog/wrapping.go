package catalog

import (
	"context"
	"fmt"
)

// Wrapping tells how an archive's content is wrapped: sealed by firn, or packed by
// whoever else made it, in the words of the description's format; "" where the
// archive has it as it is.
func (c *Catalog) Wrapping(ctx context.Context, archive int64) (sealed bool, packed string, err error) {
	err = c.read(ctx, "look", fmt.Sprint("at archive ", archive), func(tx tx) error {
		return tx.row(`SELECT EXISTS (SELECT 1 FROM seal WHERE archive = ?1),
			coalesce((SELECT packed FROM description WHERE archive = ?1), '')`, archive).Scan(&sealed, &packed)
	})
	return sealed, packed, err
}
