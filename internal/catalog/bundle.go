package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/firn-archive/firn"
)

// A Member is an entry of a bundle.
type Member struct {
	Change // as it was read
	// Number is that of its content in the archive's order, from 0; members of
	// one content may share one. -1: it has none (a directory, a link, an empty
	// file).
	Number int64
	// Offset is that of its content in the archive, before that is sealed.
	Offset int64
}

// IntendBundle records, in one commit, an intent of kind BundleArchive and the
// entries that its archive will hold, and gives it its ID; its store, tree and
// run are the run's. Most is done at once where members come in walk order.
//
// Versions with content count once the archive is stored, which is said with
// Stored and a nil change: until then, and for ever if it is dropped, those
// before are what the store has, and Current gives the archive's state. A
// version that the store has already stays where it is. What has no content
// counts at once, as with Record, whose rules hold here too, but that a run
// doesn't replace what it recorded before by what may never be.
//
// Errors: Invalid (as Intend and Record; a member's number or offset doesn't
// fit; it isn't sealed for the run's recipients), Conflict (this run or a
// later one has recorded a path).
func (c *Catalog) IntendBundle(ctx context.Context, in *Intent, run Run, members []Member) error {
	return c.intendBundle(ctx, in, run, members, func(tx tx) error {
		r := newRecorder(tx, run)
		r.bundle = in.ID
		items := make([]item, len(members))
		for i := range members {
			items[i].Change = &members[i].Change
			if items[i].hasContent() {
				items[i].where = place{in.ID, members[i].Number}
			}
		}
		if err := r.recordAll(items); err != nil {
			return err
		}
		return r.finish()
	})
}

// intendBundle records an intent and the contents that its archive is to hold, and
// what record has to say of them.
func (c *Catalog) intendBundle(ctx context.Context, in *Intent, run Run, members []Member, record func(tx) error) error {
	in.Store, in.Tree, in.Run = run.Store, run.Tree, run.ID
	if err := checkIntent(in); err != nil {
		return err
	}
	contents, err := checkBundle(in, run, members)
	if err != nil {
		return err
	}
	if err := c.tidy(ctx); err != nil {
		return err
	}
	return c.write(ctx, "record bundle", in.Token.String(), func(tx tx) error {
		if err := intend(tx, in); err != nil {
			return err
		}
		if err := c.hold(tx, in.ID, contents); err != nil {
			return err
		}
		return record(tx)
	})
}

// checkBundle refuses what would not be found again in the archive, and gives
// the contents that it holds.
func checkBundle(in *Intent, run Run, members []Member) (all []held, err error) {
	refuse := func(subject, why string, args ...any) ([]held, error) {
		return nil, &firn.Error{Op: "record bundle", Subject: subject, Kind: firn.Invalid, Err: fmt.Errorf(why, args...)}
	}
	var sealed Recipients
	if in.Seal != nil {
		sealed = in.Seal.Recipients
	}
	switch {
	case in.Kind != BundleArchive:
		return refuse(in.Token.String(), "an archive of kind %q is no bundle", in.Kind)
	case sealed != run.Recipients:
		return refuse(in.Token.String(), "it isn't sealed for the recipients of the run")
	}
	for i := range members {
		m := &members[i]
		has := m.Kind == firn.Regular && m.Content.Size > 0
		switch {
		case has != (m.Number >= 0):
			return refuse(m.Path, "content number %d of %d bytes", m.Number, m.Content.Size)
		case has && (m.Offset < 0 || m.Offset > in.Size-m.Content.Size):
			return refuse(m.Path, "%d bytes of content at %d in an archive of %d", m.Content.Size, m.Offset, in.Size)
		case has:
			all = append(all, held{m.Number, m.Offset, m.Content})
		}
	}
	slices.SortStableFunc(all, func(a, b held) int { return cmp.Compare(a.number, b.number) })
	all = slices.Compact(all)
	for i := 1; i < len(all); i++ {
		if all[i].number == all[i-1].number {
			return refuse(in.Token.String(), "two contents have the number %d", all[i].number)
		}
	}
	return all, nil
}

// A held is a content and its place in an archive.
type held struct {
	number, offset int64
	firn.Content
}

var (
	insertLocations = newBulk("INSERT INTO location (archive, member, offset, size, tree) VALUES ", "(?, ?, ?, ?, ?)", "")
	insertTrees     = newBulk("INSERT INTO by_tree_new (h64, archive, member) VALUES ", "(?, ?, ?)", "")
)

// hold writes what an archive holds, and indexes it: see holdAll.
func (c *Catalog) hold(tx tx, archive int64, all []held) error {
	in := make([]heldIn, len(all))
	for i := range all {
		in[i] = heldIn{archive, all[i]}
	}
	return c.holdAll(tx, in)
}
