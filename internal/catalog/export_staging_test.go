package catalog

import "context"

// Exec changes rows behind the API, as chance may.
func (c *Catalog) Exec(ctx context.Context, statement string, args ...any) error {
	return c.write(ctx, "test", statement, func(tx tx) error { return tx.exec(statement, args...) })
}

// Remote64 is an archive id's key in indexes.
var Remote64 = remote64
