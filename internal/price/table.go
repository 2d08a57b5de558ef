package price

import "time"

// An Item is something that a store charges for.
type Item string

// The items. A unit is one request, one byte, or one byte for a month.
const (
	Storage            Item = "storage"              // bytes for a month
	Upload             Item = "upload"               // requests: an archive in one, or each of those of a multipart upload
	EarlyDelete        Item = "early delete"         // bytes for what is left of the shortest time, as months
	RetrieveStandard   Item = "retrieve standard"    // bytes
	RequestStandard    Item = "request standard"     // requests to retrieve
	RetrieveExpedited  Item = "retrieve expedited"   // bytes
	RequestExpedited   Item = "request expedited"    // requests to retrieve
	RetrieveBulk       Item = "retrieve bulk"        // bytes
	RequestBulk        Item = "request bulk"         // requests to retrieve
	TransferOut        Item = "transfer out"         // bytes to the internet, as the first of a month are charged
	ProvisionedPerUnit Item = "provisioned capacity" // units for a month
	// ThawedCopy is for the copies of archives of S3 that can be read, beside the
	// archives themselves: bytes for a day, at the price of STANDARD.
	ThawedCopy Item = "thawed copy"
)

// The sizes that prices are for, and the month. A GB of the service is 2^30
// bytes, and early deletion is charged by days, of which three months are 90.
const (
	gb    = 1 << 30
	kib   = 1 << 10
	day   = 24 * time.Hour
	Month = 30 * day
)

// vaultOverhead is what each archive of a vault is charged for beside its own
// bytes, at the price of those. Source: Amazon S3 developer guide, "Object
// archival", storage overhead charges: Glacier adds 32 KB of index and metadata
// for each archive, at its own rate. The 8 KB at the rate of S3 that the same
// place names are those of objects in a bucket, and not of a vault's archives.
const vaultOverhead = 32 * kib

// VaultShortest is the time that each archive of a vault is charged for, also
// where it is deleted before. Source: Amazon Glacier pricing, "How am I charged
// for deleting data from Amazon Glacier that is less than 90 days old?"
const VaultShortest = 90 * 24 * time.Hour

// Where the prices come from.
const (
	priceList = "AWS price list, Amazon Glacier, as copied by a public cost calculator after 2021"
	oldList   = "AWS price list, Amazon Glacier, before 2021"
	outList   = "AWS price list, data transfer"
)

// What is doubtful about prices of which the sources differ.
const (
	bulkDoubt     = "the prices of bulk retrievals are those of an older list: the present one has none"
	standardDoubt = "another list has 0.05 for 1,000 standard requests"
)

// A Table is what a kind of store charges in one region, as of some day. Items
// that are not in it have an unknown price.
type Table struct {
	Region   string
	Class    string        // the storage class of S3 that it is of; empty: it is of vaults
	AsOf     time.Time     // the day on which the prices were gathered, in UTC
	Overhead int64         // bytes that each archive is charged for beside its own
	Shortest time.Duration // that each archive is charged for, also where it is deleted before
	Least    int64         // bytes that each archive is charged for, also where it has fewer
	Thaws    bool          // what is retrieved is a copy that is charged for while it is there
	Prices   map[Item]Price
}

// vaultTables are the prices of vaults. A region is here where there is data of
// it; the regions differ, so that one says nothing about another.
//
// Bulk retrievals have the prices of an older list, since the present one says
// nothing of them. They may be free by now: who is told of them is told that.
func vaultTables() Tables {
	thousand := func(a Amount, c Confidence) Price {
		return Price{Amount: a, Per: 1000, Confidence: c, Source: priceList}
	}
	perGB := func(a Amount, c Confidence) Price {
		return Price{Amount: a, Per: gb, Confidence: c, Source: priceList}
	}
	const tenthOfCent = Dollar / 1000
	return Tables{{
		Region:   "us-east-1",
		AsOf:     time.Date(2026, time.November, 21, 0, 0, 0, 0, time.UTC),
		Overhead: vaultOverhead,
		Shortest: VaultShortest,
		Prices: map[Item]Price{
			Storage:           perGB(36*tenthOfCent/10, Confirmed),
			EarlyDelete:       perGB(36*tenthOfCent/10, Confirmed),
			Upload:            thousand(30*tenthOfCent, Confirmed),
			RetrieveStandard:  perGB(10*tenthOfCent, Confirmed),
			RetrieveExpedited: perGB(30*tenthOfCent, Confirmed),
			RequestExpedited:  thousand(10*Dollar, Confirmed),
			// A page of the vendor has 0.05, for the class of the same name in S3.
			RequestStandard:    {Amount: 30 * tenthOfCent, Per: 1000, Confidence: Disputed, Source: priceList, Doubt: standardDoubt},
			RetrieveBulk:       {Amount: 25 * tenthOfCent / 10, Per: gb, Confidence: Disputed, Source: oldList, Doubt: bulkDoubt},
			RequestBulk:        {Amount: 25 * tenthOfCent, Per: 1000, Confidence: Disputed, Source: oldList, Doubt: bulkDoubt},
			ProvisionedPerUnit: {Amount: 100 * Dollar, Per: 1, Confidence: OneSource, Source: priceList},
			TransferOut:        {Amount: 90 * tenthOfCent, Per: gb, Confidence: Confirmed, Source: outList},
		},
	}}
}

// A Tariff is what one store charges, as far as that is known. The zero Tariff
// knows nothing.
type Tariff struct {
	Table
	For  string // the region of the store
	Free bool   // it charges nothing
	of   Tables // that it is from, of what is in S3; else nil
}

// Vault gives the tariff of vaults in a region. Of a region without data it is
// that of another one, which Exact tells.
func Vault(region string) Tariff {
	return Shipped().Vault(region)
}

// Local gives the tariff of a vault in a folder: it charges nothing.
func Local() Tariff { return Tariff{Free: true} }

// Exact reports whether the prices are those of the store, and not of another
// region, or unknown.
func (t Tariff) Exact() bool { return t.Free || t.Region != "" && t.Region == t.For }

// Cost is the price of n units of an item.
func (t Tariff) Cost(item Item, n int64) Sum {
	if t.Free {
		return Sum{Known: true}
	}
	p, ok := t.Prices[item]
	if !ok {
		return Sum{}
	}
	if n <= 0 {
		return Sum{Known: true}
	}
	return Sum{Amount: p.Cost(n), Known: true, Doubt: p.Doubt}
}

// Charged is how many bytes an archive of some size is charged for, without the
// overhead.
func (t Tariff) Charged(size int64) int64 { return max(size, t.Least) }

// kept is how many bytes archives are charged for that have so many together: at
// least as many as if each had the same.
func (t Tariff) kept(archives, bytes int64) int64 {
	return max(bytes, archives*t.Least) + archives*t.Overhead
}

// Stored is the price of keeping archives for a month that are Charged for so many
// bytes together.
func (t Tariff) Stored(archives, bytes int64) Sum {
	return t.Cost(Storage, t.kept(archives, bytes))
}

// EarlyDeletion is the fee for deleting archives before the shortest time that
// the store charges for is over, of which some is left.
func (t Tariff) EarlyDeletion(archives, bytes int64, left time.Duration) Sum {
	s := t.Cost(EarlyDelete, t.kept(archives, bytes))
	if left <= 0 {
		left = 0
	}
	s.Amount = Price{Amount: s.Amount, Per: int64(Month)}.Cost(int64(left))
	return s
}

// A Choice is what it comes to, to send files of which those below some size
// share archives.
type Choice struct {
	Below    int64 // bytes; 0: none do
	Chosen   bool  // it is what was asked for
	Archives int64
	Requests int64 // to send them, if none has to be repeated
	Parts    int64 // of Requests, those that begin an archive in parts, or send a part
	Bytes    int64 // of the archives
	Charged  int64 // bytes that these are charged for, each by itself; 0: Bytes
	// Overhead is what of it is no content: headers, indexes, encryption, and
	// what the store charges for beside the bytes of each archive.
	Overhead      int64
	Upload, Month Sum // the requests, and to keep the archives for a month
}

// Priced is the choice with its prices and its overhead, where the files hold
// content bytes.
func (t Tariff) Priced(c Choice, content int64) Choice {
	charged := max(c.Bytes, c.Charged)
	c.Overhead = t.kept(c.Archives, charged) - content
	c.Upload, c.Month = t.Sending(c.Requests-c.Parts, c.Parts), t.Stored(c.Archives, charged)
	return c
}
