package catalog

import "context"

// Suspect makes candidates for deletion of archives whose content is sent again
// by this run, for versions that stay: see QueueDeletions, which takes those off
// the list that are referred to all the same.
func (c *Catalog) Suspect(ctx context.Context, run Run, r Retirement, archives []int64) error {
	return c.write(ctx, "let archive go", "", func(tx tx) error {
		for _, id := range archives {
			if err := c.suspect(tx, run, r, id); err != nil {
				return err
			}
		}
		return nil
	})
}
