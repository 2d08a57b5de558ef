package migrate_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/price"
)

// deep is a migration of a vault of 12 TB, a million archives, to DEEP_ARCHIVE.
func deep() (migrate.Outlook, migrate.Terms) {
	return migrate.Outlook{
			Archives: 1e6, Bytes: 12e12, Bundled: 900_000, BundledBytes: 1e12, Bundles: 4000, Singles: 50_000, Starts: 54_000, Parts: 200_000,
			Chunks: 1e6, Tier: firn.Bulk,
		}, migrate.Terms{
			From: price.Vault("us-east-1"), To: price.Bucket("DEEP_ARCHIVE", "us-east-1"),
			AtAmazon: true, TargetAtAmazon: true, SameRegion: true, LineRate: 2_500_000,
		}
}

// TestPrice: a vault of 12 TB, worked by hand.
func TestPrice(t *testing.T) {
	o, terms := deep()
	b := migrate.Price(o, terms)
	want := []struct {
		item price.Item
		cost string
	}{
		{price.RequestBulk, "25.00"},          // 0.025 for 1,000
		{price.RetrieveBulk, "27.939677239"},  // 11,175.87 GiB at 0.0025
		{price.Upload, "6.47"},                // 104,000 at 0.05 for 1,000, and 254,000 as STANDARD at 0.005
		{price.TransferOut, "1005.828380585"}, // 0.09 a GiB
	}
	if len(b.Charges) != len(want) {
		t.Fatalf("%+v", b.Charges)
	}
	for i, c := range b.Charges {
		if c.Item != want[i].item || c.Cost.String() != want[i].cost {
			t.Errorf("%s costs %s; want %s, %s", c.Item, c.Cost, want[i].item, want[i].cost)
		}
	}
	if got := b.Once.String(); got != "1065.238057824" {
		t.Errorf("%s in all", got)
	}
	// 11,175.87 GiB at 0.0036, and 32 KiB beside each archive; 104,000 archives after.
	if b.Before.String() != "40.342998505" || b.After.String() != "11.08550377" {
		t.Errorf("%s a month before, %s after", b.Before, b.After)
	}
	if b.Months != 37 || !b.Dear() || b.Early.String() != "0.00" {
		t.Errorf("pays after %d months, dear: %t, early: %s", b.Months, b.Dear(), b.Early)
	}
	if w := b.Ways; len(w) != 2 || w[0].Inside || !w[0].Chosen || !w[1].Inside || w[1].Transfer.String() != "0.00" ||
		w[0].Time.Round(time.Hour) != (1333+12)*time.Hour || w[1].Time.Round(time.Hour) != (99+12)*time.Hour {
		t.Errorf("%+v", w)
	}
}

// TestWays: what leaves a region is charged for, whoever carries it, and nothing else
// is.
func TestWays(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*migrate.Terms)
		cost   string // of this machine's way
		others int
		dear   bool
	}{
		"far away":             {func(*migrate.Terms) {}, "1005.828380585", 1, true},
		"in the region":        {func(t *migrate.Terms) { t.Here = true }, "0.00", 0, false},
		"to another region":    {func(t *migrate.Terms) { t.SameRegion = false }, "1005.828380585", 1, true},
		"likewise, from there": {func(t *migrate.Terms) { t.SameRegion, t.Here = false, true }, "unknown", 0, false},
		"to a folder":          {func(t *migrate.Terms) { t.TargetAtAmazon, t.SameRegion = false, false }, "1005.828380585", 0, true},
		"to one, from there":   {func(t *migrate.Terms) { t.TargetAtAmazon, t.Here = false, true }, "1005.828380585", 0, true},
		"another server":       {func(t *migrate.Terms) { t.AtAmazon = false }, "0.00", 0, false},
		"a folder":             {func(t *migrate.Terms) { t.AtAmazon, t.From = false, price.Local() }, "0.00", 0, false},
	} {
		o, terms := deep()
		c.change(&terms)
		b := migrate.Price(o, terms)
		if got := b.Ways[0].Transfer.String(); got != c.cost || len(b.Ways) != 1+c.others || b.Dear() != c.dear || !b.Ways[0].Chosen {
			t.Errorf("%s: %+v, dear: %t", name, b.Ways, b.Dear())
		}
		if c.cost == "unknown" && (b.Once.Known || b.Months != 0) {
			t.Errorf("%s: it costs %v, and pays after %d months", name, b.Once, b.Months)
		}
	}
}

// TestWhatIsYoung: what is left of the shortest time, for the bytes that are charged
// for beside an archive's own too.
func TestWhatIsYoung(t *testing.T) {
	o, terms := deep()
	// 1,000 archives of 1 GiB, 30 days before they are free.
	o.Young, o.YoungBytes = 1000, 1000<<30
	o.YoungByteSeconds = float64(o.YoungBytes) * price.Month.Seconds()
	if got := migrate.Price(o, terms).Early.String(); got != "3.600109864" {
		t.Errorf("%s", got)
	}
}

// TestReadAtOnce: what takes no time may cost all the same.
func TestReadAtOnce(t *testing.T) {
	o := migrate.Outlook{Archives: 10, Bytes: 100 << 30, Chunks: 1000, Singles: 10}
	terms := migrate.Terms{From: price.Bucket("GLACIER_IR", "us-east-1"), To: price.Local(), LineRate: 1 << 30}
	b := migrate.Price(o, terms)
	if b.Once.String() != "3.01" || b.Ways[0].Time != 100*time.Second {
		t.Errorf("%+v", b)
	}
	terms.From = price.Local()
	if b := migrate.Price(o, terms); b.Once.String() != "0.00" || b.Months != 0 {
		t.Errorf("from a folder to a folder: %+v", b)
	}
}

// TestThawed: copies that thaw are kept beside, for days.
func TestThawed(t *testing.T) {
	o, terms := deep()
	terms.From, terms.ThawDays = price.Bucket("DEEP_ARCHIVE", "us-east-1"), 5
	b := migrate.Price(o, terms)
	// A fifth of a month of 12 TB at 0.023 a GiB: five days, and the last one whole.
	if c := b.Charges[2]; c.Item != price.ThawedCopy || c.Cost.String() != "51.409006119" {
		t.Errorf("%+v", c)
	}
}

// TestRates: it takes as long as the slowest of line and requests.
func TestRates(t *testing.T) {
	o, terms := deep()
	o.Bytes, o.Rate = 100<<30, 1<<30
	if w := migrate.Price(o, terms).Ways; w[0].Time.Round(time.Hour) != 112*time.Hour || w[1].Time.Round(time.Hour) != 112*time.Hour {
		t.Errorf("%+v", w)
	}
	terms.LineRate = 0
	o.Rate = 0
	if w := migrate.Price(o, terms).Ways[0]; w.Time != 12*time.Hour {
		t.Errorf("without a line: %v", w.Time)
	}
}
