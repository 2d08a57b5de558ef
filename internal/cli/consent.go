package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
)

// consentOptions are those by which a user agrees to what a command costs.
type consentOptions struct {
	app     *app
	Yes     bool
	MaxCost costLimit
	Budget  budgetOptions
}

func (o *consentOptions) addFlags(f *pflag.FlagSet, a *app) {
	o.app = a
	f.Var(&o.MaxCost, "max-cost", "agree to a price of at most `USD`, such as 7.50, and do nothing where it is more")
	notOfProfile(f, "max-cost")
	f.BoolVar(&o.Yes, "yes", false, "agree to any price, also one that is not known")
	o.Budget.addFlags(f)
}

// A costItem is a part of what a command costs.
type costItem struct {
	What string // "12 requests"
	Cost price.Sum
}

// A priceRecord is what a command is going to cost.
type priceRecord struct {
	What         string           `json:"what"`
	Cost         string           `json:"cost,omitempty"` // absent where any of it is unknown
	Items        []costItemRecord `json:"items"`
	Region       string           `json:"region,omitempty"`
	PricesRegion string           `json:"prices_region,omitempty"`
	Doubt        string           `json:"doubt,omitempty"`
	AtMost       bool             `json:"at_most,omitempty"` // it may be less
}

type costItemRecord struct {
	What string `json:"what"`
	Cost string `json:"cost,omitempty"`
}

// agree tells what the work is going to cost, and asks for a yes where that is
// more than a few dollars, or unknown. What is what the work does, as in "the
// retrieval of 12 snapshots". It gives nil where the user agrees. A store that
// charges nothing is never asked about.
//
// Errors: Usage (nobody agreed: nothing may be done).
func (o *consentOptions) agree(ctx context.Context, what string, tariff price.Tariff, items []costItem) error {
	return o.agreeMore(ctx, what, tariff, nil, items)
}

// agreeMore is agree for a further part of a work of which some was asked for already:
// see decideMore.
func (o *consentOptions) agreeMore(ctx context.Context, what string, tariff price.Tariff, paid, items []costItem) error {
	if tariff.Free || len(items) == 0 {
		return nil
	}
	o.show(what, tariff, items)
	return o.decideMore(ctx, what, paid, items)
}

// tell is agree for a dry run: it tells the price, and asks nobody.
func (o *consentOptions) tell(_ context.Context, what string, tariff price.Tariff, items []costItem) error {
	if !tariff.Free && len(items) > 0 {
		o.show(what, tariff, items)
	}
	return nil
}

// decide is agree, where the price was told.
func (o *consentOptions) decide(ctx context.Context, what string, items []costItem) error {
	return o.decideMore(ctx, what, nil, items)
}

// decideMore is decide for a part of a work of which some is paid for. --max-cost is for
// both together, and so is what goes without a question; but where what is paid was more
// than that, somebody has said yes to it, and is not asked about it again.
func (o *consentOptions) decideMore(ctx context.Context, what string, paid, items []costItem) error {
	more, _ := total(items)
	before, _ := total(paid)
	known, unknown := total(slices.Concat(paid, items))
	text := priceText(known, unknown)
	if before > 0 {
		text += ", of which $" + before.String() + " is for what was asked for before"
	}
	refuse := func(why, hint string) error {
		return &firn.Error{Op: "agree to the price of " + what, Kind: firn.Usage, Err: fmt.Errorf("%s: %s", text, why), Hint: hint}
	}
	nothing := "nothing was done"
	if before > 0 {
		nothing = "nothing more was asked for"
	}
	if o.MaxCost.amount > 0 && known > o.MaxCost.amount {
		return refuse("that is more than --max-cost "+o.MaxCost.String(), nothing)
	}
	if o.Yes || !unknown && o.MaxCost.amount > 0 {
		return nil
	}
	over, err := o.Budget.over(ctx, o.app, more) // the rest is in what the month came to
	if err != nil {
		return err
	}
	above := o.Budget.askAbove()
	switch {
	case !unknown && over == "" && (known <= above || before > above && more <= above):
		return nil
	case !o.app.ui.Interactive():
		hint := "to agree, give --yes"
		if !unknown {
			hint += " or --max-cost " + known.String()
		}
		why := "that needs a yes, and there is no terminal to ask on"
		if over != "" {
			why = over + "; " + why
		}
		return refuse(why, hint+"; "+nothing)
	}
	yes, err := o.app.ui.Confirm(ctx, what+" costs "+text+notEmpty("; ", over)+"; go on?", "--yes")
	if err == nil && !yes {
		err = refuse("that was not agreed to", nothing)
	}
	return err
}

// total sums up what is known, and says whether anything is not.
func total(items []costItem) (known price.Amount, unknown bool) {
	for _, i := range items {
		if known += i.Cost.Amount; known < 0 {
			known = 1<<63 - 1 // more than fits
		}
		unknown = unknown || !i.Cost.Known
	}
	return known, unknown
}

// priceText is a price in words.
func priceText(known price.Amount, unknown bool) string {
	switch {
	case unknown && known == 0:
		return "a price that is not known"
	case unknown:
		return "$" + known.String() + " and what is not known"
	}
	return "$" + known.String()
}

// show tells the price before anybody is asked, with what it is made of.
func (o *consentOptions) show(what string, tariff price.Tariff, items []costItem) {
	o.app.showPrice(what, tariff, items, false)
}

// showPrice tells what something costs, or what at most.
func (a *app) showPrice(what string, tariff price.Tariff, items []costItem, atMost bool) {
	known, unknown := total(items)
	r := priceRecord{What: what, Items: itemRecords(items), Region: tariff.For, PricesRegion: tariff.Region, Doubt: doubts(items), AtMost: atMost}
	costs := " costs "
	if atMost {
		costs = " costs at most "
	}
	if !unknown {
		r.Cost = known.String()
	}
	u := a.ui
	if u.IsJSON() {
		u.Record("price", r)
		return
	}
	var parts []string
	for _, i := range items {
		parts = append(parts, i.What+" "+priceText(i.Cost.Amount, !i.Cost.Known))
	}
	text := what + costs + priceText(known, unknown) + ": " + strings.Join(parts, ", ")
	for _, more := range []string{whosePrices(tariff), doubts(items)} {
		if more != "" {
			text += "; " + more
		}
	}
	u.Notice(text)
}

// itemRecords are the items for --json.
func itemRecords(items []costItem) []costItemRecord {
	records := []costItemRecord{}
	for _, i := range items {
		one := costItemRecord{What: i.What}
		if i.Cost.Known {
			one.Cost = i.Cost.String()
		}
		records = append(records, one)
	}
	return records
}

// doubts says about which prices of items the sources differ; empty where they
// don't.
func doubts(items []costItem) string {
	sum := price.Sum{Known: true}
	for _, i := range items {
		sum = sum.Plus(price.Sum{Known: true, Doubt: i.Cost.Doubt})
	}
	return sum.Doubt
}

// whosePrices says that the prices are not those of the store's region; empty
// where they are.
func whosePrices(t price.Tariff) string {
	if t.Exact() {
		return ""
	}
	if t.Region == "" {
		return "no prices of it are known; docs/costs.md says where to write them down"
	}
	return fmt.Sprintf("the prices of %s are not known: these are those of %s", t.For, t.Region)
}
