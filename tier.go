package firn

import (
	"fmt"
	"slices"
	"time"
)

// A Pace is how long a store takes for what it is asked for, tier by tier. The zero
// Pace is that of vaults.
type Pace uint8

// The paces.
const (
	VaultPace   Pace = iota // vaults, and S3's GLACIER
	DeepPace                // S3's DEEP_ARCHIVE
	InstantPace             // what can be read at any time
)

// PaceOf is the pace of a storage class of S3; of an unknown one, that of GLACIER.
func PaceOf(class string) Pace {
	switch class {
	case "DEEP_ARCHIVE":
		return DeepPace
	case "GLACIER_IR", "STANDARD", "STANDARD_IA", "ONEZONE_IA":
		return InstantPace
	}
	return VaultPace
}

// Of is the pace of archives of a storage class in a store of pace p; of those of no
// class that is known, it is the store's.
func (p Pace) Of(class string) Pace {
	if class == "" {
		return p
	}
	return PaceOf(class)
}

// Delivery is how long a store takes for what is asked for with a tier, from the
// least to the most. Expedited holds for archives below some 250 MB. Offered: the
// store has such a tier; where it hasn't, the answer is that of the next slower one.
//
// Of DEEP_ARCHIVE only the most is known: half of it is when to look first. Sources:
// Amazon Glacier developer guide, "Archive retrieval options"; Amazon S3 user guide,
// "Understanding archive retrieval options".
func (p Pace) Delivery(t Tier) (least, most time.Duration, offered bool) {
	switch {
	case p == InstantPace:
		return 0, 0, true
	case p == DeepPace && t == Bulk:
		return 24 * time.Hour, 48 * time.Hour, true
	case p == DeepPace:
		return 6 * time.Hour, 12 * time.Hour, t != Expedited
	case t == Expedited:
		return time.Minute, 5 * time.Minute, true
	case t == Bulk:
		return 5 * time.Hour, 12 * time.Hour, true
	}
	return 3 * time.Hour, 5 * time.Hour, true
}

// Slower is the pace that takes longer.
func (p Pace) Slower(o Pace) Pace {
	_, most, _ := p.Delivery(Bulk)
	if _, other, _ := o.Delivery(Bulk); other > most {
		return o
	}
	return p
}

// First gives the first of some tiers that a store of this pace has.
func (p Pace) First(tiers []Tier) (tier Tier, ok bool) {
	for _, tier := range tiers {
		if _, _, offered := p.Delivery(tier); offered {
			return tier, true
		}
	}
	return "", false
}

// Offers finds, before anything is asked for, whether a store of this pace has a
// tier. Errors: Usage.
func (p Pace) Offers(t Tier) error {
	if _, _, ok := p.Delivery(t); ok {
		return nil
	}
	return &Error{Op: "retrieve", Kind: Usage, Err: fmt.Errorf("the storage class DEEP_ARCHIVE has no %s retrievals", t),
		Hint: "give --tier standard, which takes up to 12 hours, or --tier bulk, up to 48; nothing was asked for"}
}

// Faster reports whether t brings archives sooner than another tier does.
func (t Tier) Faster(than Tier) bool { return slices.Index(tiers, t) > slices.Index(tiers, than) }

// Delivery is how long vaults take for what is asked for with a tier. See
// Pace.Delivery.
func (t Tier) Delivery() (least, most time.Duration) {
	least, most, _ = VaultPace.Delivery(t)
	return least, most
}
