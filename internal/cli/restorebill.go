package cli

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/ui"
)

// expeditedMost is how many archives may be asked for by the dearest tier without
// a limit on what it costs.
const expeditedMost = 100

// A restoreBill tells what the restores of a command cost, has it agreed to, and
// sees to it that it doesn't become more.
type restoreBill struct {
	*restoreOptions
	s      *session
	prices price.Tariff

	earlier []costItem // of the restores before this one
	items   []costItem // of this one; nil where its plan was not told
	// need is what this one takes, if nothing is asked for twice; zero while it has
	// no plan that was agreed to.
	need price.Need
	// shares say of which storage classes that is.
	shares []restore.Share
}

// bill is what a need costs, of which each class has its share.
func (b *restoreBill) bill(tier firn.Tier, n price.Need) price.Bill {
	return b.billOf(tier, n, b.shares)
}

// billOf is what a need costs, of which each class has its share. One that has no such
// tier is asked for with the next that was given.
func (b *restoreBill) billOf(tier firn.Tier, n price.Need, shares []restore.Share) price.Bill {
	if len(shares) == 0 {
		return b.prices.Bill(tier, n)
	}
	tiers := []firn.Tier{tier}
	if i := slices.Index(b.Tiers, tier); i >= 0 {
		tiers = b.Tiers[i:]
	}
	var all restore.Share
	for _, s := range shares {
		all.Requests += s.Requests
		all.RetrieveBytes += s.RetrieveBytes
		all.Download += s.Download
	}
	var bill price.Bill
	rest := n
	for i, s := range shares {
		one := price.Need{Requests: part(n.Requests, s.Requests, all.Requests), Retrieve: part(n.Retrieve, s.RetrieveBytes, all.RetrieveBytes), Transfer: part(n.Transfer, s.Download, all.Download), Days: n.Days}
		if i == len(shares)-1 {
			one = rest
		}
		rest.Requests, rest.Retrieve, rest.Transfer = rest.Requests-one.Requests, rest.Retrieve-one.Retrieve, rest.Transfer-one.Transfer
		bill = bill.Plus(b.prices.Of(s.Class).Bill(s.Tier(tiers), one))
	}
	return bill
}

// part is as much of n as some is of all.
func part(n, some, all int64) int64 {
	if all == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(n), uint64(some))
	share, _ := bits.Div64(hi, lo, uint64(all)) // some is no more than all
	return int64(share)
}

// begin makes a restore, of this key, ask here what it may spend.
func (b *restoreBill) begin(ctx context.Context, r *restore.Options, key string) (err error) {
	b.earlier, b.items, b.shares = append(b.earlier, b.items...), nil, nil
	if b.need, err = b.agreed(ctx, r, key); b.need != (price.Need{}) {
		// It was agreed to before, and counts for those that come after it.
		b.items = billItems(b.bill(b.Tiers[0], b.need))
	}
	r.Agree = func(ctx context.Context, p restore.Plan) error { return b.agree(ctx, r, p) }
	if !b.prices.Free {
		r.Afford = b.afford
	}
	return err
}

// agreed gives what a restore that is open takes in all: its plan was agreed to
// when it began, and it goes on without a question.
func (b *restoreBill) agreed(ctx context.Context, r *restore.Options, key string) (n price.Need, err error) {
	open, found, err := r.Catalog.OpenRestore(ctx, r.Row.ID, key)
	if err != nil || !found || open.State != catalog.RestoreGoing {
		return n, err
	}
	totals, err := r.Catalog.RangeTotals(ctx, open.ID)
	for _, t := range totals {
		n.Requests += t.Ranges
		n.Retrieve += t.Retrieve
	}
	if err == nil {
		b.shares, err = restore.SharesOf(ctx, r.Catalog, open.ID)
	}
	for _, s := range b.shares {
		n.Transfer += s.Download
	}
	if err != nil {
		return n, err
	}
	rate, known, err := r.Catalog.DownloadRate(ctx, r.Row.ID)
	n.Days = int64(plan.SupplyOf(r.Store.Traits()).ThawDays(b.Tiers[0], 0, rate, known))
	return n, err
}

// agree tells a plan and asks for a yes where that is needed.
func (b *restoreBill) agree(ctx context.Context, r *restore.Options, p restore.Plan) error {
	need := price.Need{Requests: p.Requests, Retrieve: p.RetrieveBytes, Transfer: p.DownloadBytes, Days: int64(p.ThawDays)}
	if b.need == (price.Need{}) {
		b.need, b.shares = need, p.Shares // else the plan is of the rest, by another tier
	}
	b.items = billItems(b.billOf(p.Tier, need, p.Shares))
	b.tell(r, &p)
	if b.DryRun || b.prices.Free || p.Requests == 0 && p.DownloadBytes == 0 {
		return nil
	}
	what := "the restore of " + ui.Files(p.Files)
	all := append(slices.Clone(b.earlier), b.items...)
	if p.Requests > 0 && p.Archives > expeditedMost && slices.Contains(b.Tiers, firn.Expedited) && b.Consent.MaxCost.amount == 0 {
		known, unknown := total(all)
		e := &firn.Error{Op: "agree to the price of " + what, Kind: firn.Usage,
			Err: fmt.Errorf("%s: expedited retrievals of more than %d archives need --max-cost", priceText(known, unknown), expeditedMost)}
		if !unknown {
			e.Hint = "to agree, give --max-cost " + known.String() + "; nothing was done"
		}
		return e
	}
	return b.Consent.decide(ctx, what, all)
}

// afford reports whether all that a restore ever asked for is within what was agreed
// to: the limit that was given, and without one twice what the plan came to, since
// what is not fetched in time is asked for again, or asked to stay. Below what needs
// no yes nothing is refused.
func (b *restoreBill) afford(tier firn.Tier, all restore.Spent) error {
	if b.Consent.Yes && b.Consent.MaxCost.amount == 0 {
		return nil
	}
	before, _ := total(b.earlier)
	spent := b.bill(tier, price.Need{Requests: all.Requests, Retrieve: all.Bytes, Transfer: b.need.Transfer, Days: b.need.Days}).Total()
	for _, slow := range all.Slower {
		spent = spent.Plus(b.bill(slow.Tier, price.Need{Requests: slow.Requests, Retrieve: slow.Bytes}).Total())
		if b.need.Days > 0 {
			spent = spent.Plus(b.prices.Cost(price.ThawedCopy, price.CopyDays(slow.Bytes-slow.Again, b.need.Days)))
		}
	}
	if all.Stays > 0 {
		spent = spent.Plus(b.prices.Cost(price.RequestStandard, all.Stays)).Plus(b.prices.Cost(price.ThawedCopy, all.Kept))
	}
	if !spent.Known {
		return nil // somebody said yes to that
	}
	most, what := b.Consent.MaxCost.amount, "--max-cost"
	if most == 0 {
		planned := b.bill(tier, b.need).Total()
		most, what = max(b.Consent.Budget.askAbove(), before+planned.Plus(planned).Amount), "twice what was planned"
	}
	if before+spent.Amount <= most {
		return nil
	}
	return &firn.Error{Op: "retrieve", Kind: firn.Usage,
		Err:  fmt.Errorf("one request more makes $%s in all, more than %s, $%s", before+spent.Amount, what, most),
		Hint: "what was asked for is fetched all the same; to go on, run the same command again with a --max-cost that is enough"}
}

// billItems are the lines of a bill, in words: with the tier where there are several.
func billItems(bill price.Bill) []costItem {
	tiers := 0
	for _, l := range bill {
		if isRequest(l.Item) {
			tiers++
		}
	}
	items := make([]costItem, len(bill))
	for i, l := range bill {
		what := billText(l)
		if tier := tierOf(l.Item); tiers > 1 && tier != "" {
			what += ", " + string(tier)
		}
		items[i] = costItem{what, l.Cost}
	}
	return items
}

// billText is a line of a bill in words.
func billText(l price.Line) string {
	switch {
	case isRequest(l.Item):
		return counted(l.Units, "retrieval")
	case tierOf(l.Item) != "":
		return "retrieval of " + ui.Bytes(l.Units)
	case l.Item == price.TransferOut:
		return "transfer of " + ui.Bytes(l.Units)
	}
	return "copies while they can be read, " + ui.Bytes(l.Units) + " for a day"
}

// isRequest reports whether an item is of the requests of a retrieval.
func isRequest(i price.Item) bool {
	return i == price.RequestBulk || i == price.RequestStandard || i == price.RequestExpedited
}

// tierOf is the tier of an item of retrievals; empty of others.
func tierOf(i price.Item) firn.Tier {
	switch i {
	case price.RequestBulk, price.RetrieveBulk:
		return firn.Bulk
	case price.RequestStandard, price.RetrieveStandard:
		return firn.Standard
	case price.RequestExpedited, price.RetrieveExpedited:
		return firn.Expedited
	}
	return ""
}
