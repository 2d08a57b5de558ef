package firn

import "context"

// A Deletable is what is known of an archive that is to be deleted, beside its id.
type Deletable struct {
	Archive       // Size and ID, and Created where that is known
	Token   Token // that its description has; zero: none, or nobody knows
	// Own: only if firn stored it. In a place that is shared with other programs,
	// what they keep there is listed as archives, too.
	Own bool
}

// A Discerner is a store whose ids are names, free again once their archives are
// gone: after a while an id may be that of another archive, which somebody else has
// stored since. The decorators of stores are Discerners, whatever is below them.
type Discerner interface {
	// DeleteOnly is DeleteArchive of this archive, and leaves another one that bears
	// its id by now. Errors: Conflict (there is such a one: what was to go is gone),
	// Invalid (it was to be firn's, and isn't).
	DeleteOnly(ctx context.Context, a Deletable) error
}

// DeleteOnly is that of a store that may be no Discerner: its ids are never used
// again.
func DeleteOnly(ctx context.Context, s Store, a Deletable) error {
	if d, ok := s.(Discerner); ok {
		return d.DeleteOnly(ctx, a)
	}
	return s.DeleteArchive(ctx, a.ID)
}
