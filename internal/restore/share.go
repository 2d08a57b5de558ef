package restore

import (
	"context"
	"fmt"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// A Share is what of a restore is in archives of one storage class.
type Share struct {
	Class                   string // of S3; empty elsewhere
	Requests                int64
	RetrieveBytes, Download int64
}

// share counts a range that is to be asked for.
func (p *Plan) share(rg *catalog.RestoreRange) {
	i := slices.IndexFunc(p.Shares, func(s Share) bool { return s.Class == rg.Class })
	if i < 0 {
		i = len(p.Shares)
		p.Shares = append(p.Shares, Share{Class: rg.Class})
	}
	s := &p.Shares[i]
	s.Requests++
	s.RetrieveBytes += rg.Range.Len()
	s.Download += downloadOf(rg)
}

// Thaws reports whether archives of the share, in a store that thaws, do so; others are
// read at once.
func (s Share) Thaws() bool { return firn.VaultPace.Of(s.Class) != firn.InstantPace }

// Tier is the one of some tiers that archives of the share are asked for with: the
// first that their class has; without any, the first.
func (s Share) Tier(tiers []firn.Tier) firn.Tier {
	if tier, ok := firn.VaultPace.Of(s.Class).First(tiers); ok {
		return tier
	}
	return tiers[0]
}

// hastens reports whether an archive of a pace that a job is to bring is asked for once
// more: it thaws by a tier that is slower than all of the restore's own. How fast
// comes what somebody else asked for nobody knows.
func (r *restorer) hastens(p firn.Pace, job *firn.Job) bool {
	if !r.supply.Thaws || p == firn.InstantPace || job.State != firn.JobRunning || job.Tier == "" || job.ID == "" {
		return false
	}
	any := false
	for _, tier := range r.Tiers {
		if p.Offers(tier) != nil {
			continue
		}
		if any = true; !tier.Faster(job.Tier) {
			return false
		}
	}
	return any
}

// offers finds, before anything is asked for, whether the archives of a plan can be
// asked for with one of the tiers, and each tier is one that some of them have.
// Errors: Usage.
func (p *Plan) offers(r *restorer) error {
	for _, tier := range r.Tiers {
		has := func(s Share) bool { return r.supply.Pace.Of(s.Class).Offers(tier) == nil }
		if len(p.Shares) > 0 && !slices.ContainsFunc(p.Shares, has) {
			return r.supply.Pace.Of(p.Shares[0].Class).Offers(tier)
		}
	}
	for _, s := range p.Shares {
		if _, ok := r.supply.Pace.Of(s.Class).First(r.Tiers); !ok {
			return &firn.Error{
				Op: "restore", Kind: firn.Usage, Err: fmt.Errorf("%d of the archives can't be asked for: the storage class %s has no %s retrievals", s.Requests, s.Class, r.Tiers[0]),
				Hint: fmt.Sprintf("give --tier standard, or --tier %s,standard, by which only these are asked for with the next tier; nothing was asked for", r.Tiers[0]),
			}
		}
	}
	return nil
}

// SharesOf gives the shares of all that a restore asks for.
func SharesOf(ctx context.Context, cat *catalog.Catalog, id int64) ([]Share, error) {
	var p Plan
	for rg, err := range cat.RestoreRanges(ctx, id) {
		if err != nil {
			return nil, err
		}
		p.share(&rg)
	}
	return p.Shares, nil
}
