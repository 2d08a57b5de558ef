package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// wayOptions say which way the data of a migration goes.
type wayOptions struct {
	InRegion bool
	Through  bool
}

func (o *wayOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.InRegion, "in-region", false, "this machine is in the region of the store (default: as a machine of Amazon's says itself)")
	f.BoolVar(&o.Through, "through-this-machine", false, "let the data leave the region and come through this machine, also where that costs more than $20")
}

// A migrationPrice is what a migration costs, on whose terms.
type migrationPrice struct {
	migrate.Bill
	look     migrate.Outlook
	from, to *wire.Store
}

// The record of what a migration costs.
type (
	migrationPriceRecord struct {
		From     string           `json:"from"`
		To       string           `json:"to"`
		Archives int64            `json:"archives"`
		Bytes    int64            `json:"bytes"`
		Bundled  int64            `json:"bundled"`
		Bundles  int64            `json:"bundles"`
		Tier     string           `json:"tier,omitempty"`
		Items    []costItemRecord `json:"items"`
		Cost     string           `json:"cost,omitempty"` // absent where any of it is unknown, and so below
		Before   string           `json:"before,omitempty"`
		After    string           `json:"after,omitempty"`
		Months   int64            `json:"months,omitempty"`
		Early    string           `json:"early,omitempty"`
		Young    int64            `json:"young"`
		Ways     []wayRecord      `json:"ways"`
		Region   string           `json:"region,omitempty"`
		Prices   string           `json:"prices_region,omitempty"`
		Doubt    string           `json:"doubt,omitempty"`
	}
	wayRecord struct {
		Inside   bool   `json:"inside"`
		Chosen   bool   `json:"chosen"`
		Transfer string `json:"transfer,omitempty"`
		Seconds  int64  `json:"seconds"`
	}
)

// quote finds out what a migration costs between two stores, which were looked at.
func (o *wayOptions) quote(ctx context.Context, c *catalog.Catalog, row catalog.Store, from, to *wire.Store, look migrate.Outlook) (migrationPrice, error) {
	rate, known, err := c.DownloadRate(ctx, row.ID)
	if err != nil {
		return migrationPrice{}, err
	}
	if !known {
		rate = plan.AssumedRate
	}
	t := migrate.Terms{
		From: from.HeldPrices(), To: to.Prices(), AtAmazon: from.AtAmazon(), TargetAtAmazon: to.AtAmazon(),
		SameRegion: from.Region() == to.Region(), LineRate: rate,
		Here: from.AtAmazon() && (o.InRegion || from.IsHere(ctx)),
	}
	return migrationPrice{migrate.Price(look, t), look, from, to}, nil
}

// agree tells what a migration costs, and has it agreed to. A dry run is only told.
// Errors: Usage (nobody agreed, or the way is too dear: nothing may be done).
func (o *wayOptions) agree(ctx context.Context, consent *consentOptions, p migrationPrice, dryRun bool) error {
	p.tell(consent.app.ui, dryRun)
	if dryRun {
		return nil
	}
	if err := o.check(p); err != nil {
		return err
	}
	if p.from.HeldPrices().Free && p.to.Prices().Free {
		return nil
	}
	return consent.decide(ctx, "the migration of "+archives(p.look.Archives, p.look.Bytes), p.items())
}

// check refuses a way that is dear, and wasn't chosen.
func (o *wayOptions) check(p migrationPrice) error {
	if !p.Dear() || o.Through {
		return nil
	}
	var ways []string
	for _, w := range p.Ways {
		ways = append(ways, wayText(w))
	}
	hint := "to let it come through here, give --through-this-machine; nothing was done"
	if len(p.Ways) > 1 {
		hint = "firn migrate --to-go makes a folder for a machine in the region; " + hint
	}
	return &firn.Error{Op: "migrate", Subject: p.from.Location.String(), Kind: firn.Usage,
		Err: errors.New("the data would leave the region over the internet: " + strings.Join(ways, "; ")), Hint: hint}
}

// wayText is a way with its price and its time.
func wayText(w migrate.Way) string {
	name := "through this machine"
	if w.Inside {
		name = "by a machine in the region"
	}
	return fmt.Sprintf("%s %s of transfer, about %s", name, ui.Dollars(w.Transfer), ui.Duration(w.Time))
}

// grown is what those of the archives cost that came since somebody agreed to a price:
// as much as their share in all that is left.
func (p *migrationPrice) grown() price.Sum {
	share := func(part, all int64) float64 { return min(1, float64(part)/float64(max(1, all))) }
	more := p.Once
	more.Amount = price.Amount(float64(more.Amount) * max(share(p.look.Grown.Files, p.look.Archives), share(p.look.Grown.Bytes, p.look.Bytes)))
	return more
}

// items are what is charged once, in words.
func (p *migrationPrice) items() (items []costItem) {
	for _, c := range p.Charges {
		items = append(items, costItem{chargeText(c), c.Cost})
	}
	return items
}

// chargeText says what is charged for.
func chargeText(c migrate.Charge) string {
	switch c.Item {
	case price.Upload:
		return counted(c.Units, "request") + " to store it"
	case price.RequestBulk, price.RequestStandard, price.RequestExpedited:
		if c.Read {
			return counted(c.Units, "request") + " to read it"
		}
		return counted(c.Units, "retrieval")
	case price.TransferOut:
		return "transfer of " + ui.Bytes(c.Units) + " out of the region"
	case price.ThawedCopy:
		return "copies that can be read for some days"
	}
	return "retrieval of " + ui.Bytes(c.Units)
}

// tell shows the price: as the result of a dry run, else as talk.
func (p *migrationPrice) tell(u *ui.UI, dryRun bool) {
	if u.IsJSON() {
		u.Record("migration_price", p.record())
		return
	}
	say := u.Notice
	if dryRun {
		say = u.Print
	}
	for _, line := range p.lines() {
		say(line)
	}
}

func (p *migrationPrice) record() migrationPriceRecord {
	known := func(s price.Sum) string {
		if !s.Known {
			return ""
		}
		return s.String()
	}
	prices := p.from.HeldPrices()
	r := migrationPriceRecord{
		From: p.from.Location.String(), To: p.to.Location.String(), Archives: p.look.Archives, Bytes: p.look.Bytes,
		Bundled: p.look.Bundled, Bundles: p.look.Bundles, Tier: string(p.look.Tier), Items: itemRecords(p.items()),
		Cost: known(p.Once), Before: known(p.Before), After: known(p.After), Months: p.Months, Early: known(p.Early), Young: p.look.Young,
		Ways: []wayRecord{}, Region: prices.For, Prices: prices.Region, Doubt: doubts(p.items()),
	}
	for _, w := range p.Ways {
		r.Ways = append(r.Ways, wayRecord{w.Inside, w.Chosen, known(w.Transfer), int64(w.Time / time.Second)})
	}
	return r
}

// lines are the price for people.
func (p *migrationPrice) lines() []string {
	head := "to be moved: " + archives(p.look.Archives, p.look.Bytes)
	if p.look.Bundled > 0 {
		head += fmt.Sprintf(", %s of these into %s", ui.Count(p.look.Bundled), counted(p.look.Bundles, "bundle"))
	}
	lines := []string{head}
	from, to := p.from.HeldPrices(), p.to.Prices()
	if from.Free && to.Free {
		return lines
	}
	row := func(what string, cost price.Sum) string { return fmt.Sprintf("  %-52s %12s", what, ui.Dollars(cost)) }
	for _, i := range p.items() {
		lines = append(lines, row(i.What, i.Cost))
	}
	lines = append(lines, row("once", p.Once), row("a month of storage, before", p.Before), row("a month of storage, after", p.After))
	if p.look.Young > 0 {
		lines = append(lines, row("to delete what is young at once (--finish waits)", p.Early))
	}
	switch {
	case p.Months > 0:
		lines = append(lines, "  it has paid for itself after "+counted(p.Months, "month"))
	case p.Once.Known && p.Before.Known && p.After.Known:
		lines = append(lines, "  it never pays for itself: storage costs no less there")
	}
	for i, w := range p.Ways {
		if len(p.Ways) > 1 || i > 0 || w.Transfer.Amount > 0 {
			lines = append(lines, "  "+wayText(w))
		}
	}
	for _, t := range []price.Tariff{from, to} {
		if whose := whosePrices(t); whose != "" && !t.Free {
			lines = append(lines, "  "+whose)
		}
	}
	if doubt := doubts(p.items()); doubt != "" {
		lines = append(lines, "  "+doubt)
	}
	return lines
}
