package catalog

import "context"

// intakeFresh is how many times as many rows as else gather in the small half of
// an index during an intake: in large transactions its pages are written less
// often.
const intakeFresh = 3

// An Intake takes in many finds, as TakeIn does.
type Intake struct {
	c   *Catalog
	run Run
	// newest is the row of the archive that is the last one as far as the intake
	// knows, where all that comes are strangers; else noStrangers.
	newest int64
	// What transactions gather for the indexes, used again for each.
	remotes []hashed
	hashes  []heldHash
}

const noStrangers = -1

// Intake begins to take in many finds.
func (c *Catalog) Intake(run Run) *Intake { return &Intake{c: c, run: run, newest: noStrangers} }

// OnlyStrangers says that all finds from now on are what Strangers gives, called
// afterwards, each of them once. So they need not be looked for, unless somebody
// else records archives at the same time: that takes new rows, or uploads that are
// under way.
func (in *Intake) OnlyStrangers(ctx context.Context) error {
	return in.c.read(ctx, "take in", "strangers", func(tx tx) error {
		var open bool
		err := tx.row("SELECT (SELECT coalesce(max(id), 0) FROM archive), EXISTS (SELECT 1 FROM archive WHERE store = ? AND state < 10)", in.run.Store).Scan(&in.newest, &open)
		if open {
			in.newest = noStrangers
		}
		return err
	})
}

// Take takes in what next gives, all or none of it, until that gives none. Some
// ten thousand archives are best, of which next gives some thousands at a time: each
// transaction touches most pages of the indexes, however few archives it has. Next
// is called while nobody else can write: it must neither wait nor ask the catalog.
// Errors: as TakeIn.
func (in *Intake) Take(ctx context.Context, next func() []Find) (done TakenIn, err error) {
	if err := in.c.tidyFrom(ctx, intakeFresh*in.c.sizes.fresh, in.c.sizes.fresh); err != nil {
		return TakenIn{}, err
	}
	newest := in.newest
	err = in.c.write(ctx, "take in", "archives", func(tx tx) error {
		t := newTaker(in.c, tx, in.run)
		t.in.remotes, t.hashes = in.remotes[:0], in.hashes[:0]
		defer func() { in.remotes, in.hashes = t.in.remotes, t.hashes }()
		if err := tx.row("SELECT coalesce(max(id), 0) + 1 FROM archive").Scan(&t.next); err != nil {
			return err
		}
		t.strangers = newest == t.next-1
		for finds := next(); len(finds) > 0; finds = next() {
			if err := checkFinds(finds); err != nil {
				return err
			}
			if err := t.take(finds); err != nil {
				return err
			}
		}
		if newest = noStrangers; t.strangers {
			newest = t.next - 1
		}
		done, err = t.finish()
		return err
	})
	if err != nil {
		return TakenIn{}, err
	}
	in.newest = newest
	return done, nil
}
