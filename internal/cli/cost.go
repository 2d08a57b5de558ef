package cli

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/wire"
)

type costOptions struct {
	app    *app
	Store  string // empty: all
	Month  billMonth
	Prices string
}

func newCostCmd(a *app, run func(context.Context, *costOptions) error) *cobra.Command {
	o := &costOptions{app: a}
	cmd := &cobra.Command{
		Use:   "cost [STORE]",
		Short: "estimate the bill: this month, a full month, and an empty vault",
		Long: `Show what STORE, or each store that this machine's catalog knows, comes to: this
month until now, a full month of what it holds today, and the fees if it were emptied
today. It asks no store, and answers by the catalog: archives by their dates, and the
requests that this machine made.

These are estimates. What other machines and programs did isn't in them, nor taxes,
nor what is free at first. A GB is 2^30 bytes, and a month is one of UTC.
docs/costs.md says how each line is made.

Prices that are known better than firn knows them are taken from prices.toml in the
folder of the configuration, or from --prices.`,
		Example: `  firn cost
  firn cost glacier:photos --month 2026-10
  firn cost --json photos`,
		Args: takes("[STORE]"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&o.Month, "month", "show what the month `YYYY-MM` came to, instead of this one and what is to come")
	f.StringVar(&o.Prices, "prices", "", "take prices from `FILE` instead of prices.toml")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Store = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

// A billMonth is a calendar month of UTC. It is a pflag.Value.
type billMonth struct{ begin time.Time } // zero: this one

// Set reads a month.
func (m *billMonth) Set(s string) (err error) {
	if m.begin, err = time.Parse(monthForm, s); err != nil {
		return errors.New("write a month for example as 2026-10")
	}
	return nil
}

const monthForm = "2006-01"

// String is empty for this month, so that help shows no default.
func (m *billMonth) String() string {
	if m.begin.IsZero() {
		return ""
	}
	return m.begin.Format(monthForm)
}

// Type names the value in help.
func (m *billMonth) Type() string { return "month" }

// monthOf is the beginning of the month of UTC that a time is in.
func monthOf(t time.Time) time.Time {
	year, month, _ := t.UTC().Date()
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
}

func runCost(ctx context.Context, o *costOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	if o.Prices != "" {
		o.Prices = o.app.env.Path(o.Prices)
	}
	tables, err := wire.ReadPrices(s.env, o.Prices)
	if err != nil {
		return err
	}
	now := s.env.Clock.Now()
	if o.Month.begin.After(now) {
		return wrongUsage("cost", "%s is still to come: without --month firn shows what a full month costs", o.Month.String())
	}
	stores, err := o.stores(ctx, s)
	if err != nil {
		return err
	}
	if len(stores) == 0 {
		s.ui.Print("no store yet; begin with: firn sync DIR local:/some/folder")
	}
	for _, row := range stores {
		b := &billing{costOptions: o, s: s, row: row, tariff: wire.TariffOf(tables, row.Kind, row.Region, row.Class)}
		if err := b.run(ctx, now); err != nil {
			return err
		}
	}
	return nil
}

func (o *costOptions) stores(ctx context.Context, s *session) ([]catalog.Store, error) {
	if o.Store == "" {
		return s.catalog.Stores(ctx)
	}
	row, err := s.row(ctx)
	return []catalog.Store{row}, err
}

// A billing makes the bill of one store.
type billing struct {
	*costOptions
	s      *session
	row    catalog.Store
	tariff price.Tariff // of the store; what it holds may be of another class
}

// run shows the bill.
func (b *billing) run(ctx context.Context, now time.Time) error {
	record := billRecord{Store: b.row.URL, Free: b.tariff.Free, Estimate: true, Region: b.tariff.For, PricesRegion: b.tariff.Region}
	if b.tariff.Free {
		b.s.ui.Record("bill", record)
		b.s.ui.Print(b.row.URL + " is a folder, and costs nothing")
		return nil
	}
	from := monthOf(now)
	if !b.Month.begin.IsZero() {
		from = b.Month.begin
	}
	to := from.AddDate(0, 1, 0)
	record.Month, record.Until = from.Format(monthForm), timeText(earlier(now, to))
	if !b.tariff.AsOf.IsZero() {
		record.PricesAsOf = b.tariff.AsOf.Format(time.DateOnly)
	}
	kept, err := b.s.catalog.Keepings(ctx, b.row.ID, from, to, b.tariff.Shortest)
	if err != nil {
		return err
	}
	items, err := b.month(ctx, kept, from, to)
	if err != nil {
		return err
	}
	if b.Month.begin.IsZero() {
		more, err := b.today(ctx, kept)
		if err != nil {
			return err
		}
		items = append(items, more...)
	}
	return b.show(record, items)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// spentIn is what the calls of a time are charged for, item by item: not what
// is stored.
func spentIn(ctx context.Context, cat *catalog.Catalog, store int64, tariff price.Tariff, from, to time.Time) ([]billItem, error) {
	ledger, err := cat.Ledger(ctx, store, from, to)
	if err != nil {
		return nil, err
	}
	uploads := billItem{Item: "upload", sum: price.Sum{Known: true}}
	transfer, early := billItem{Item: "transfer out", sum: price.Sum{Known: true}}, billItem{Item: "early deletion", sum: price.Sum{Known: true}}
	copies := billItem{Item: "thawed copies", sum: price.Sum{Known: true}}
	read := billItem{Item: "retrieval", sum: price.Sum{Known: true}} // of what is read at once
	var items []billItem
	hours := classHours{}
	for _, c := range ledger.Charges {
		tariff := tariff.Of(c.Class)
		switch c.Op {
		case catalog.UploadOp:
			uploads.Requests += c.Calls
			uploads.sum = uploads.sum.Plus(tariff.Cost(price.Upload, c.Calls))
		case catalog.DownloadOp:
			transfer.Bytes, transfer.sum = transfer.Bytes+c.Bytes, transfer.sum.Plus(tariff.Cost(price.TransferOut, c.Bytes))
			if tariff.Class != "" && !tariff.Thaws { // what is read at once is retrieved by that
				read.Requests, read.Bytes = read.Requests+c.Calls, read.Bytes+c.Bytes
				read.sum = read.sum.Plus(tariff.Retrieval(firn.Standard, c.Calls, c.Bytes))
			}
		case catalog.CopyOp, catalog.ExtendOp:
			copies.Bytes += c.Bytes
			copies.sum = copies.sum.Plus(tariff.Cost(price.ThawedCopy, price.CopyDays(c.Bytes, int64(c.Rest/(24*time.Hour)))))
			if c.Op == catalog.ExtendOp {
				copies.Requests += c.Calls
				copies.sum = copies.sum.Plus(tariff.Cost(price.RequestStandard, c.Calls))
			} else {
				copies.Archives += c.Calls
			}
		case catalog.EarlyOp:
			early.Archives += c.Calls
			early.Bytes += c.Bytes
			hours.add(c.Class, float64(c.Calls)*c.Rest.Hours(), float64(c.Bytes)*c.Rest.Hours())
		}
	}
	early.sum = hours.price(func(class string, archives, bytes float64) price.Sum {
		return tariff.Of(class).EarlyHours(archives, bytes)
	})
	items = append(items, uploads)
	if read.Requests > 0 || read.Bytes > 0 {
		items = append(items, read)
	}
	items = append(items, retrievedIn(ledger.Retrievals, tariff)...)
	if copies.Bytes > 0 {
		items = append(items, copies)
	}
	return append(items, transfer, early), nil
}

// retrievedIn is what the jobs are charged for by which archives were asked for, a line
// for each tier. What is read at once is in the downloads.
func retrievedIn(all []catalog.Retrievals, store price.Tariff) (items []billItem) {
	for _, r := range all {
		tariff := store.Of(r.Class)
		if tariff.Class != "" && !tariff.Thaws {
			continue
		}
		item := "retrieval, " + string(r.Tier)
		if len(items) == 0 || items[len(items)-1].Item != item {
			items = append(items, billItem{Item: item, sum: price.Sum{Known: true}})
		}
		one := &items[len(items)-1]
		one.Requests += r.Requests
		one.Bytes += r.Bytes
		one.Unsized += r.Unsized
		one.sum = one.sum.Plus(tariff.Request(r.Tier, r.Requests, r.Bytes))
	}
	return items
}

// month is what a month came to, as far as it is over.
func (b *billing) month(ctx context.Context, kept []catalog.Keeping, from, to time.Time) ([]billItem, error) {
	length := to.Sub(from)
	storage := billItem{Item: "storage", sum: price.Sum{Known: true}}
	hours := classHours{}
	var all float64
	for _, k := range kept {
		t := b.tariff.Of(k.Class)
		hours.add(k.Class, k.ArchiveHours, k.ByteHours)
		all += k.ByteHours + k.ArchiveHours*float64(t.Overhead)
	}
	storage.sum = hours.price(func(class string, archives, bytes float64) price.Sum {
		return b.tariff.Of(class).Kept(archives, bytes, length)
	})
	storage.Bytes = int64(all / length.Hours())
	spent, err := spentIn(ctx, b.s.catalog, b.row.ID, b.tariff, from, to)
	items := append([]billItem{storage}, spent...)
	for i := range items {
		items[i].Span = spanMonth
	}
	return items, err
}

// today is what a full month of what there is costs, and what it costs to empty
// the store.
func (b *billing) today(ctx context.Context, kept []catalog.Keeping) (items []billItem, err error) {
	overhead := billItem{Span: spanFull, Item: "overhead", sum: price.Sum{Known: true}}
	over, hours := map[string]int64{}, classHours{}
	early := billItem{Span: spanEmptied, Item: "early deletion", sum: price.Sum{Known: true}}
	for _, k := range kept {
		t := b.tariff.Of(k.Class)
		if k.Archives > 0 {
			items = append(items, billItem{Span: spanFull, Item: b.heldText(k), Archives: k.Archives, Bytes: k.Charged, sum: t.Cost(price.Storage, k.Charged)})
		}
		if bytes := k.Archives * t.Overhead; bytes > 0 {
			overhead.Archives += k.Archives
			overhead.Bytes += bytes
			over[k.Class] += bytes
		}
		if k.EarlyArchives > 0 {
			early.Archives += k.EarlyArchives
			early.Bytes += k.EarlyBytes
			hours.add(k.Class, k.EarlyHours, k.EarlyByteHours)
		}
	}
	early.sum = hours.price(func(class string, archives, bytes float64) price.Sum {
		return b.tariff.Of(class).EarlyHours(archives, bytes)
	})
	for _, class := range slices.Sorted(maps.Keys(over)) {
		overhead.sum = overhead.sum.Plus(b.tariff.Of(class).Cost(price.Storage, over[class]))
	}
	open, err := b.s.catalog.OpenParts(ctx, b.row.ID)
	if err != nil {
		return nil, err
	}
	if b.tariff.Overhead > 0 || overhead.Bytes > 0 {
		items = append(items, overhead)
	}
	if open.Files > 0 {
		items = append(items, billItem{Span: spanFull, Item: "open uploads", Archives: open.Files, Bytes: open.Bytes, sum: b.tariff.Staged(open.Bytes)})
	}
	return append(items, early), nil
}

// classHours are archives, and their bytes, each by hours, of storage classes: what they
// cost is rounded up once for each.
type classHours map[string]struct{ archives, bytes float64 }

func (h classHours) add(class string, archives, bytes float64) {
	one := h[class]
	one.archives += archives
	one.bytes += bytes
	h[class] = one
}

// price is what they cost together.
func (h classHours) price(of func(class string, archives, bytes float64) price.Sum) price.Sum {
	sum := price.Sum{Known: true}
	for _, class := range slices.Sorted(maps.Keys(h)) {
		sum = sum.Plus(of(class, h[class].archives, h[class].bytes))
	}
	return sum
}

// heldText is what archives of a kind are called, with their class where that isn't
// what goes without saying.
func (b *billing) heldText(k catalog.Keeping) string {
	usual := b.tariff.Class
	if k.Kind == catalog.CatalogArchive && k.Class != "" {
		usual = price.SnapshotClass
	}
	if k.Class == "" || k.Class == usual {
		return kindText(k.Kind)
	}
	return kindText(k.Kind) + " in " + k.Class
}

// kindText is what archives of a kind are called.
func kindText(k catalog.ArchiveKind) string {
	switch k {
	case catalog.FileArchive:
		return "files"
	case catalog.BundleArchive:
		return "bundles"
	case catalog.CatalogArchive:
		return "snapshots of the catalog"
	case catalog.ForeignArchive:
		return "written by others"
	}
	return "single archives"
}
