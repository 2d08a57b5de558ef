package cli

import (
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/ui"
)

// The spans that a bill is about.
const (
	spanMonth   = "month"         // a calendar month, or what is over of it
	spanFull    = "full month"    // of what the store holds now
	spanEmptied = "emptied today" // the fees for that
)

// The records of firn cost.
type (
	billRecord struct {
		Store        string `json:"store"`
		Free         bool   `json:"free"` // it charges nothing: there is no more to say
		Estimate     bool   `json:"estimate"`
		Month        string `json:"month,omitempty"` // 2026-11
		Until        string `json:"until,omitempty"` // of it, RFC 3339
		MonthCost    string `json:"month_cost,omitempty"`
		FullMonth    string `json:"full_month_cost,omitempty"`
		Emptied      string `json:"emptied_cost,omitempty"`
		Region       string `json:"region,omitempty"`
		PricesRegion string `json:"prices_region,omitempty"`
		PricesAsOf   string `json:"prices_as_of,omitempty"`
		Doubt        string `json:"doubt,omitempty"`
	}
	billItem struct {
		Store    string `json:"store"`
		Span     string `json:"span"`
		Item     string `json:"item"`
		Requests int64  `json:"requests,omitempty"`
		Archives int64  `json:"archives,omitempty"`
		Bytes    int64  `json:"bytes,omitempty"`
		Unsized  int64  `json:"unsized,omitempty"` // of Requests: whose bytes nobody knows yet
		Cost     string `json:"cost,omitempty"`    // absent where it is unknown

		sum price.Sum
	}
)

// show shows a bill: what it comes to, and what it is made of.
func (b *billing) show(r billRecord, items []billItem) error {
	sums := map[string]price.Sum{spanMonth: {Known: true}, spanFull: {Known: true}, spanEmptied: {Known: true}}
	all := price.Sum{Known: true}
	for i := range items {
		it := &items[i]
		it.Store = b.row.URL
		if it.sum.Known {
			it.Cost = it.sum.String()
			all = all.Plus(it.sum)
		}
		sums[it.Span] = sums[it.Span].Plus(it.sum)
	}
	r.Doubt = all.Doubt
	r.MonthCost = knownText(sums[spanMonth])
	text := b.row.URL + ": " + ui.Dollars(sums[spanMonth]) + " in " + r.Month
	if b.Month.begin.IsZero() {
		r.FullMonth, r.Emptied = knownText(sums[spanFull]), knownText(sums[spanEmptied])
		text = b.row.URL + ": " + ui.Dollars(sums[spanMonth]) + " this month until now, " + ui.Dollars(sums[spanFull]) + " a full month, " +
			ui.Dollars(sums[spanEmptied]) + " of fees if it were emptied today"
	}
	b.s.ui.Record("bill", r)
	b.s.ui.Print(text)
	b.list(items)
	if b.tariff.Region == "" {
		b.s.ui.Print("  " + whosePrices(b.tariff))
		return nil
	}
	b.s.ui.Print("  an estimate by the prices of " + b.tariff.Region + " as of " + r.PricesAsOf + ", without taxes" + notEmpty("; ", whosePrices(b.tariff)))
	if r.Doubt != "" {
		b.s.ui.Print("  in doubt: " + r.Doubt)
	}
	return nil
}

// notEmpty is text behind a prefix; empty where there is none.
func notEmpty(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// knownText is a sum for --json; empty where it is unknown.
func knownText(s price.Sum) string {
	if !s.Known {
		return ""
	}
	return s.String()
}

func (b *billing) list(items []billItem) {
	list := ui.NewList(b.s.ui, "bill_item",
		ui.Column[billItem]{Head: "  span", Cell: func(i billItem) string { return "  " + i.Span }, Plain: func(i billItem) string { return i.Span }},
		ui.Column[billItem]{Head: "item", Cell: func(i billItem) string { return i.Item }},
		ui.Column[billItem]{Head: "number", Right: true, Cell: func(i billItem) string { return i.number(ui.Count) }, Plain: func(i billItem) string { return i.number(exact) }},
		ui.Column[billItem]{Head: "size", Right: true, Cell: func(i billItem) string { return i.size(ui.Bytes) }, Plain: func(i billItem) string { return i.size(exact) }},
		ui.Column[billItem]{Head: "cost", Right: true, Cell: func(i billItem) string { return ui.Dollars(i.sum) }, Plain: func(i billItem) string { return i.sum.String() }},
	)
	defer list.Close()
	for _, i := range items {
		list.Add(i)
	}
}

// number is how many requests or archives an item is for.
func (i billItem) number(text func(int64) string) string {
	if n := i.Requests + i.Archives; n > 0 {
		return text(n)
	}
	return "-"
}

// size is how many bytes an item is for.
func (i billItem) size(text func(int64) string) string {
	switch {
	case i.Unsized > 0:
		return text(i.Bytes) + " and more"
	case i.Bytes > 0:
		return text(i.Bytes)
	}
	return "-"
}
