package price

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Tables are what vaults and the storage classes of S3 charge, region by region.
type Tables []Table

// Shipped gives the tables that firn comes with.
func Shipped() Tables { return append(vaultTables(), bucketTables()...) }

// Vault gives the tariff of vaults in a region. Of a region without data it is
// that of another one, which Exact tells.
func (ts Tables) Vault(region string) Tariff {
	for _, t := range ts {
		if t.Region == region && t.Class == "" {
			return Tariff{Table: t, For: region}
		}
	}
	return Tariff{Table: ts[0], For: region}
}

// With gives the tables with one region's prices in the place of those that they
// have, as of a day: those of vaults, or of a storage class of S3. What they have
// of that region beside these stays.
func (ts Tables) With(region, class string, asOf time.Time, prices map[Item]Price) Tables {
	ts = slices.Clone(ts)
	i := slices.IndexFunc(ts, func(t Table) bool { return t.Region == region && t.Class == class })
	if i < 0 {
		t := Table{Region: region, Shortest: VaultShortest}
		if class != "" {
			t = ofClass(class, region)
		}
		ts = append(ts, t)
		i = len(ts) - 1
	}
	t := &ts[i]
	all := maps.Clone(t.Prices)
	if all == nil {
		all = map[Item]Price{}
	}
	if storage, given := prices[Storage]; given {
		all[EarlyDelete] = storage // deleted or not, an archive costs its shortest time
	}
	maps.Copy(all, prices)
	if t.Shortest == 0 {
		all[EarlyDelete] = Price{Per: gb, Confidence: Confirmed, Source: bucketList}
	}
	t.AsOf, t.Prices = asOf, all
	t.Overhead = t.overhead()
	return ts
}

// units are how many units of an item its price is for, as the service lists it.
func units() map[Item]int64 {
	const requests = 1000
	return map[Item]int64{
		Storage: gb, EarlyDelete: gb, RetrieveStandard: gb, RetrieveExpedited: gb, RetrieveBulk: gb, TransferOut: gb,
		Upload: requests, RequestStandard: requests, RequestExpedited: requests, RequestBulk: requests,
		ProvisionedPerUnit: 1,
		ThawedCopy:         gb * int64(Month/day),
	}
}

// Key is what an item is called in a file of prices.
func (i Item) Key() string { return strings.ReplaceAll(string(i), " ", "_") }

// Keys lists what items are called in a file of prices.
func Keys() []string {
	var keys []string
	for item := range units() {
		keys = append(keys, item.Key())
	}
	slices.Sort(keys)
	return keys
}

// Given reads the price of an item that somebody wrote down: dollars for a GB of
// 2^30 bytes, for 1,000 requests, or for one unit of capacity. A source says
// where it comes from. Errors: those that a user reads.
func Given(key, dollars, source string) (Item, Price, error) {
	item := Item(strings.ReplaceAll(key, "_", " "))
	per, ok := units()[item]
	if !ok || key != item.Key() {
		return "", Price{}, fmt.Errorf("%q is nothing that a store charges for: those are %s", key, strings.Join(Keys(), ", "))
	}
	amount, err := Parse(dollars)
	if err != nil {
		return "", Price{}, err
	}
	return item, Price{Amount: amount, Per: per, Confidence: OneSource, Source: source}, nil
}

// Kept is the price of what was kept in a calendar month: each archive, and each
// of its bytes, by the hours of it. A month is as long as it is.
func (t Tariff) Kept(archiveHours, byteHours float64, month time.Duration) Sum {
	return t.Cost(Storage, t.charged(archiveHours, byteHours, month))
}

// EarlyHours is the fee for deleting archives before their shortest time, each of
// them, and each of its bytes, by the hours that are left.
func (t Tariff) EarlyHours(archiveHours, byteHours float64) Sum {
	return t.Cost(EarlyDelete, t.charged(archiveHours, byteHours, Month))
}

// charged is how many bytes for a whole month some are for some hours of it.
func (t Tariff) charged(archiveHours, byteHours float64, month time.Duration) int64 {
	n := (max(byteHours, archiveHours*float64(t.Least)) + archiveHours*float64(t.Overhead)) / month.Hours()
	return int64(min(n, 1<<62))
}
