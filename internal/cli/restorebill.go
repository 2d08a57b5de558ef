package cli

import (
	"context"
	"fmt"
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
}

// begin makes a restore, of this key, ask here what it may spend.
func (b *restoreBill) begin(ctx context.Context, r *restore.Options, key string) (err error) {
	b.earlier, b.items = append(b.earlier, b.items...), nil
	if b.need, err = b.agreed(ctx, r, key); b.need != (price.Need{}) {
		// It was agreed to before, and counts for those that come after it.
		b.items = billItems(b.prices.Bill(b.Tiers[0], b.need))
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
		n.Transfer, err = restore.ToDownload(ctx, r.Catalog, open.ID)
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
		b.need = need // else the plan is of the rest, by another tier
	}
	b.items = billItems(b.prices.Bill(p.Tier, need))
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
	spent := b.prices.Bill(tier, price.Need{Requests: all.Requests, Retrieve: all.Bytes, Transfer: b.need.Transfer, Days: b.need.Days}).Total()
	if all.Stays > 0 {
		spent = spent.Plus(b.prices.Cost(price.RequestStandard, all.Stays)).Plus(b.prices.Cost(price.ThawedCopy, all.Kept))
	}
	if !spent.Known {
		return nil // somebody said yes to that
	}
	most, what := b.Consent.MaxCost.amount, "--max-cost"
	if most == 0 {
		planned := b.prices.Bill(tier, b.need).Total()
		most, what = max(b.Consent.Budget.askAbove(), before+planned.Plus(planned).Amount), "twice what was planned"
	}
	if before+spent.Amount <= most {
		return nil
	}
	return &firn.Error{Op: "retrieve", Kind: firn.Usage,
		Err:  fmt.Errorf("one request more makes $%s in all, more than %s, $%s", before+spent.Amount, what, most),
		Hint: "what was asked for is fetched all the same; to go on, run the same command again with a --max-cost that is enough"}
}

// billItems are the lines of a bill, in words.
func billItems(bill price.Bill) []costItem {
	words := [...]func(int64) string{ // as price.Tariff.Bill has its lines
		func(n int64) string { return counted(n, "retrieval") },
		func(n int64) string { return "retrieval of " + ui.Bytes(n) },
		func(n int64) string { return "transfer of " + ui.Bytes(n) },
		func(n int64) string { return "copies while they can be read, " + ui.Bytes(n) + " for a day" },
	}
	items := make([]costItem, len(bill))
	for i, l := range bill {
		items[i] = costItem{words[i](l.Units), l.Cost}
	}
	return items
}
