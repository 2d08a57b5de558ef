package price

import (
	"slices"
	"time"
)

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
	archive                      bool  // objects are charged for the overhead of archives
	least                        int64 // bytes that an object is charged for at the least
}

// none is the price of what a class doesn't offer.
const none = -1

// millionth is a millionth of a dollar.
const millionth = Dollar / 1_000_000

// classes are the prices of us-east-1. What is read of the warm classes is read
// with requests that the tier says nothing about.
func classes() []class {
	return []class{
		{"DEEP_ARCHIVE", 990, 50_000, none, 20_000, 2_500, none, 100_000, 25_000, "", 180 * day, true, 0},
		{"GLACIER", 3_600, 30_000, 30_000, 10_000, 0, 10_000_000, 50_000, 0, "", 90 * day, true, 0},
		{"GLACIER_IR", 4_000, 20_000, 30_000, 30_000, 30_000, 10_000, 10_000, 10_000, restDoubt, 90 * day, false, warmLeast},
		{"STANDARD", standardStorage, 5_000, 0, 0, 0, 400, 400, 400, restDoubt, 0, false, 0},
	}
}

// warmLeast is what an object of a warm class is charged for at the least, in bytes:
// smaller ones as if they had so many. Source: Amazon S3 user guide, "Understanding and
// managing Amazon S3 storage classes": "minimum billable object size", 128 KB.
const warmLeast = 128 * kib

// A rule is what holds in a class that firn stores nothing in, of which it has no
// prices: somebody, or a rule of the bucket, may have moved objects there.
type rule struct {
	name     string
	shortest time.Duration
	least    int64
}

// rules are those of the classes for what is read seldom. Source: as of warmLeast.
func rules() []rule {
	return []rule{{"STANDARD_IA", 30 * day, warmLeast}, {"ONEZONE_IA", 30 * day, warmLeast}}
}

// Classes lists the storage classes of which firn knows for how long, and for how many
// bytes, an object is charged for at the least.
func Classes() (names []string) {
	for _, c := range classes() {
		names = append(names, c.name)
	}
	for _, r := range rules() {
		names = append(names, r.name)
	}
	return names
}

// SnapshotClass is the storage class of snapshots of the catalog in S3, whatever that
// of the store is: they have to be read at once.
const SnapshotClass = "STANDARD"

// PartsClass is the storage class of S3 as whose requests those are charged for that
// begin an upload in parts, or send a part, of what is to be stored in a class; of no
// class it is none. Source: Amazon S3 user guide, "Uploading and copying objects using
// multipart upload", on pricing: for S3 Glacier Flexible Retrieval and Deep Archive both
// are billed at the rates of S3 Standard, and CompleteMultipartUpload alone at those of
// the class. Of Glacier Instant Retrieval it says nothing.
func PartsClass(name string) string {
	if ofClass(name, "").Thaws {
		return SnapshotClass
	}
	return name
}

// Sending is the price of requests to upload: of those that store an archive, which in
// parts is the last one, and of those before that, which begin it and send its parts.
// Where those have no price of their own that is known, they have that of the others,
// which is more.
func (t Tariff) Sending(store, parts int64) Sum {
	sum := t.Cost(Upload, store)
	if parts == 0 {
		return sum // of small files, for each of which this is asked
	}
	by, ok := t.ofParts()
	if !ok {
		by = t
	}
	return sum.Plus(by.Cost(Upload, parts))
}

// Staged is the price of keeping for a month what was sent of uploads in parts that are
// not complete: to a class that thaws it is that of STANDARD. Source: as of PartsClass.
func (t Tariff) Staged(bytes int64) Sum {
	by, ok := t.ofParts()
	if !ok {
		return Sum{}
	}
	return by.Cost(Storage, bytes)
}

// ofParts is what the store charges for what comes in parts, before the last request;
// false where that is not known of its region.
func (t Tariff) ofParts() (by Tariff, ok bool) {
	class := PartsClass(t.Class)
	if class == t.Class {
		return t, true
	}
	by = t.Of(class)
	return by, by.Exact() == t.Exact()
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

// ThawDays is how many days a thawed copy is asked to stay where nobody says
// otherwise.
const ThawDays = 3

// bucketTables are the prices of storage classes of S3.
func bucketTables() Tables {
	var ts Tables
	for _, c := range classes() {
		ts = append(ts, c.table())
	}
	return ts
}

// Bucket gives the tariff of a storage class of S3 in a region, of the prices that
// firn comes with.
func Bucket(class, region string) Tariff { return Shipped().Bucket(class, region) }

// Bucket gives the tariff of a storage class of S3 in a region. Of a region without
// data it is that of another one, which Exact tells; that of an unknown class knows
// nothing.
func (ts Tables) Bucket(class, region string) Tariff {
	if class == "" {
		return Tariff{For: region, of: ts}
	}
	other := -1
	for i, t := range ts {
		switch {
		case t.Class != class:
		case t.Region == region:
			return Tariff{Table: t, For: region, of: ts}
		case other < 0:
			other = i
		}
	}
	if other < 0 {
		return Tariff{For: region, of: ts}
	}
	return Tariff{Table: ts[other], For: region, of: ts}
}

// Of is what the store charges for archives of a storage class: in S3 a store may hold
// several. Of none, and of what isn't in S3, it is the tariff itself.
func (t Tariff) Of(class string) Tariff {
	if t.of == nil || class == "" || class == t.Class {
		return t
	}
	return t.of.Bucket(class, t.For)
}

// Shortest is for how long a store of some kind ("glacier", "s3", "local"), and in
// S3 of a storage class, charges for an archive at the least; 0: as long as it is
// there.
func Shortest(kind, class string) time.Duration {
	switch kind {
	case "glacier":
		return VaultShortest
	case "s3":
		return ofClass(class, "").Shortest
	}
	return 0
}

// ShortestOf is for how long an archive of a storage class is charged for at the least;
// otherwise is that of no class, and of one that firn doesn't know.
func ShortestOf(class string, otherwise time.Duration) time.Duration {
	if !slices.Contains(Classes(), class) {
		return otherwise
	}
	return Shortest("s3", class)
}

// Least is how many bytes an archive of a storage class of S3 is charged for at the
// least.
func Least(class string) int64 { return ofClass(class, "").Least }

// ofClass is a table of a region that has all but the prices, as the class has it.
func ofClass(name, region string) Table {
	for _, c := range classes() {
		if c.name == name {
			t := c.table()
			t.Region, t.Prices = region, nil
			return t
		}
	}
	for _, r := range rules() {
		if r.name == name {
			return Table{Region: region, Class: name, Shortest: r.shortest, Least: r.least}
		}
	}
	return Table{Region: region, Class: name}
}

func (c class) table() Table {
	t := Table{Region: bucketRegion, Class: c.name, AsOf: bucketAsOf(), Shortest: c.shortest, Least: c.least, Thaws: c.archive, Prices: map[Item]Price{
		TransferOut: {Amount: 90_000 * millionth, Per: gb, Confidence: Confirmed, Source: outList},
	}}
	if c.archive {
		t.Prices[ThawedCopy] = Price{Amount: standardStorage * millionth, Per: units()[ThawedCopy], Confidence: Confirmed, Source: bucketList}
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
	t.Overhead = t.overhead()
	return t
}

// overhead is what each archive is charged for beside its own bytes, as bytes of the
// class: the part at the rate of STANDARD is some more of those, which are cheaper.
func (t *Table) overhead() int64 {
	switch {
	case t.Class == "":
		return vaultOverhead
	case !t.Thaws:
		return 0
	}
	storage, copies := t.Prices[Storage], t.Prices[ThawedCopy]
	if storage.Amount <= 0 || copies.Amount <= 0 {
		return archiveOverhead + indexOverhead
	}
	return archiveOverhead + indexOverhead*int64(copies.Amount)/int64(storage.Amount)
}
