package price

import "time"

// Where the prices of S3 come from.
const (
	bucketList = "AWS price list, Amazon S3, as copied by a public cost calculator and by the help pages of vendors after 2021"
	restDoubt  = "one source only has it"
)

// A class is what a storage class of S3 charges, in millionths of a dollar: for
// storage for a GB and month, for the rest for a GB or for 1,000 requests. Below 0:
// it isn't offered.
type class struct {
	name                         string
	storage, upload              Amount
	expedited, standard, bulk    Amount // for a GB
	requestE, requestS, requestB Amount
	doubt                        string // of uploads and retrievals
	shortest                     time.Duration
	archive                      bool // objects are charged for the overhead of archives
}

// none is the price of what a class doesn't offer.
const none = -1

// millionth is a millionth of a dollar.
const millionth = Dollar / 1_000_000

// classes are the prices of us-east-1. What is read of the warm classes is read
// with requests that the tier says nothing about.
func classes() []class {
	const day = 24 * time.Hour
	return []class{
		{"DEEP_ARCHIVE", 990, 50_000, none, 20_000, 2_500, none, 100_000, 25_000, "", 180 * day, true},
		{"GLACIER", 3_600, 30_000, 30_000, 10_000, 0, 10_000_000, 50_000, 0, "", 90 * day, true},
		{"GLACIER_IR", 4_000, 20_000, 30_000, 30_000, 30_000, 10_000, 10_000, 10_000, restDoubt, 90 * day, false},
		{"STANDARD", standardStorage, 5_000, 0, 0, 0, 400, 400, 400, restDoubt, 0, false},
	}
}

// standardStorage is what STANDARD charges for a GB and month, in millionths of a
// dollar, for the first 50 TB.
const standardStorage = 23_000

// The overhead of an archived object. Source: Amazon S3 developer guide, "Object
// archival", storage overhead charges: 32 KB at the rate of its class, and 8 KB at
// that of STANDARD.
const (
	archiveOverhead = 32 * kib
	indexOverhead   = 8 * kib
)

// bucketRegion is the region that prices of S3 are known of, and bucketAsOf the day
// on which they were gathered.
const bucketRegion = "us-east-1"

func bucketAsOf() time.Time { return time.Date(2026, time.November, 21, 0, 0, 0, 0, time.UTC) }

// Bucket gives the tariff of a storage class of S3 in a region. Of a region without
// data it is that of another one, which Exact tells; that of an unknown class knows
// nothing. Copies that thaw are charged for beside it, as STANDARD, and aren't in it.
func Bucket(name, region string) Tariff {
	for _, c := range classes() {
		if c.name == name {
			return Tariff{Table: c.table(), For: region}
		}
	}
	return Tariff{For: region}
}

func (c class) table() Table {
	t := Table{Region: bucketRegion, AsOf: bucketAsOf(), Prices: map[Item]Price{
		TransferOut: {Amount: 90_000 * millionth, Per: gb, Confidence: Confirmed, Source: outList},
	}}
	if c.archive {
		// The part at the rate of STANDARD as bytes of the class, which are cheaper.
		t.Overhead = archiveOverhead + indexOverhead*standardStorage/int64(c.storage)
	}
	for item, amount := range map[Item]Amount{
		Storage: c.storage, EarlyDelete: c.storage, Upload: c.upload,
		RetrieveExpedited: c.expedited, RetrieveStandard: c.standard, RetrieveBulk: c.bulk,
		RequestExpedited: c.requestE, RequestStandard: c.requestS, RequestBulk: c.requestB,
	} {
		if amount == none {
			continue
		}
		p := Price{Amount: amount * millionth, Per: units()[item], Confidence: Confirmed, Source: bucketList}
		if c.doubt != "" && item != Storage && item != EarlyDelete {
			p.Confidence, p.Doubt = OneSource, c.doubt
		}
		t.Prices[item] = p
	}
	if c.shortest == 0 {
		t.Prices[EarlyDelete] = Price{Per: gb, Confidence: Confirmed, Source: bucketList}
	}
	return t
}
