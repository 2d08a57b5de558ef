package price

import (
	"cmp"
	"math"
	"slices"

	"github.com/firn-archive/firn"
)

// A Need is what a retrieval takes.
type Need struct {
	Requests int64
	Retrieve int64 // bytes that these bring
	Transfer int64 // bytes that then cross the internet
	// Days is how long thawed copies are asked to stay, where the store makes any;
	// 0: three.
	Days int64
}

// A Line is one line of a bill.
type Line struct {
	Item  Item
	Units int64
	Cost  Sum
}

// A Bill is what something costs, line by line.
type Bill []Line

// Total is what all lines cost together, which is known where each is.
func (b Bill) Total() Sum {
	sum := Sum{Known: true}
	for _, l := range b {
		sum = sum.Plus(l.Cost)
	}
	return sum
}

// Plus is both bills together, line by line: what both have is one line.
func (b Bill) Plus(o Bill) Bill {
	b = slices.Clone(b)
	for _, l := range o {
		i := slices.IndexFunc(b, func(have Line) bool { return have.Item == l.Item })
		if i < 0 {
			b = append(b, l)
			continue
		}
		b[i].Units += l.Units
		b[i].Cost = b[i].Cost.Plus(l.Cost)
	}
	return b
}

// itemsOf are what asking costs with a tier: requests, and bytes.
func itemsOf(tier firn.Tier) (request, retrieve Item, ok bool) {
	switch tier {
	case firn.Expedited:
		return RequestExpedited, RetrieveExpedited, true
	case firn.Standard:
		return RequestStandard, RetrieveStandard, true
	case firn.Bulk:
		return RequestBulk, RetrieveBulk, true
	}
	return "", "", false
}

// Bill is what a retrieval costs with a tier: its requests, the bytes that are
// retrieved, and those that cross the internet. The lines are these three, also
// where there is nothing to be charged for, and of a store that thaws a fourth one,
// of the copies.
func (t Tariff) Bill(tier firn.Tier, n Need) Bill {
	request, retrieve, _ := itemsOf(tier) // no such item has no price
	bill := Bill{{Item: request, Units: n.Requests}, {Item: retrieve, Units: n.Retrieve}, {Item: TransferOut, Units: n.Transfer}}
	if t.Thaws {
		bill = append(bill, Line{Item: ThawedCopy, Units: CopyDays(n.Retrieve, n.Days)})
	}
	for i := range bill {
		if bill[i].Units <= 0 {
			bill[i].Cost = Sum{Known: true}
			continue
		}
		bill[i].Cost = t.Cost(bill[i].Item, bill[i].Units)
	}
	return bill
}

// CopyDays is for how many bytes and days copies of so many bytes are charged for
// that are asked to stay for some days (0: three), in units of ThawedCopy. A copy
// stays until the midnight after them, in UTC: up to a day longer, which counts in
// full. Source: Amazon S3 user guide, "Restoring an archived object".
func CopyDays(bytes, days int64) int64 {
	days = cmp.Or(days, ThawDays) + 1
	if bytes > math.MaxInt64/days {
		return math.MaxInt64
	}
	return bytes * days
}

// Request is Retrieval without what copies cost while they stay.
func (t Tariff) Request(tier firn.Tier, requests, bytes int64) Sum {
	if _, _, ok := itemsOf(tier); !ok && !t.Free {
		return Sum{}
	}
	return t.Bill(tier, Need{Requests: requests, Retrieve: bytes})[:3].Total()
}

// Retrieval is the price of asking for archives in so many requests, that bring
// so many bytes together; what crosses the internet after is TransferOut, which
// is charged beside it. Where what comes is a copy, the three days that it stays
// are in it. Of a part whose price is unknown there must be nothing for the sum to
// be known.
func (t Tariff) Retrieval(tier firn.Tier, requests, bytes int64) Sum {
	if _, _, ok := itemsOf(tier); !ok && !t.Free {
		return Sum{}
	}
	return t.Bill(tier, Need{Requests: requests, Retrieve: bytes}).Total()
}
