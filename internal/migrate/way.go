package migrate

import (
	"math"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
)

// Terms are on what a migration is done: what both stores charge, where they are,
// and how fast bytes come and go here.
type Terms struct {
	From, To price.Tariff
	// AtAmazon: the source is Amazon's own, not another server's that speaks like it.
	// What leaves its regions is charged for.
	AtAmazon bool
	// TargetAtAmazon is likewise of the target, and SameRegion: both are in one.
	TargetAtAmazon, SameRegion bool
	// Here: this machine is in the source's region.
	Here bool
	// LineRate is how many bytes a second come in here and go out again.
	LineRate float64
	// ThawDays is for how many days copies are asked for, where the source thaws any;
	// 0: as many as it does by itself.
	ThawDays int64
}

// insideRate is what a small machine inside a region is taken to move for days on
// end, in bytes a second: what it may send at times is several times that.
const insideRate = 32 << 20

// MostTransfer is what the transfer out of a region may cost before somebody has to
// say that it shall go through this machine all the same.
const MostTransfer = 20 * price.Dollar

// A Way is one that the data can go.
type Way struct {
	Inside   bool // by a machine in the source's region
	Chosen   bool // it is the one of this machine
	Transfer price.Sum
	Time     time.Duration // from the first request to the last byte, at the most likely
}

// A Charge is a line of what a migration costs once.
type Charge struct {
	Item  price.Item
	Units int64 // requests or bytes
	Cost  price.Sum
	Read  bool // it is of what is read at once, without asking for it
}

// A Bill is what a migration costs, and saves.
type Bill struct {
	Charges []Charge // what is done once, by the way of this machine
	Once    price.Sum
	// Before and After are a month of storage of what is moved, in the source and in
	// the target.
	Before, After price.Sum
	// Early is what the source charges if everything is deleted there as soon as it
	// was copied; --finish waits instead.
	Early price.Sum
	// Months is after how many months less storage has paid for the migration; 0
	// where it never does, or a price is unknown.
	Months int64
	// Ways are those of the data: this machine's first.
	Ways []Way
}

// Price gives what a migration costs. It asks nobody.
func Price(o Outlook, t Terms) Bill {
	b := Bill{Charges: bringing(o, t)}
	b.Charges = append(b.Charges, sending(o.Singles+o.Starts, o.Starts+o.Parts, t.To))
	b.Ways = ways(o, t)
	if transfer := b.Ways[0].Transfer; !transfer.Known || transfer.Amount > 0 {
		b.Charges = append(b.Charges, Charge{Item: price.TransferOut, Units: o.Bytes, Cost: transfer})
	}
	b.Once.Known = true
	for _, c := range b.Charges {
		b.Once = b.Once.Plus(c.Cost)
	}
	b.Before.Known = true
	for _, h := range o.held() {
		b.Before = b.Before.Plus(t.From.Of(h.Class).Stored(h.Archives, h.Charged))
	}
	b.After = t.To.Stored(o.Archives-o.Bundled+o.Bundles, max(o.Bytes, o.Kept+o.BundledBytes))
	b.Early = early(o, t.From)
	b.Months = monthsUntil(b.Once, b.Before, b.After)
	return b
}

// Dear reports whether the data would leave the region for more than anybody should
// pay without a word.
func (b *Bill) Dear() bool {
	t := b.Ways[0].Transfer
	return t.Known && t.Amount > MostTransfer
}

// sending is the line of requests to upload: as price.Tariff.Sending.
func sending(store, parts int64, t price.Tariff) Charge {
	c := Charge{Item: price.Upload, Units: store + parts, Cost: price.Sum{Known: true}}
	if c.Units > 0 {
		c.Cost = t.Sending(store, parts)
	}
	return c
}

// bringing is what the source charges for bringing everything once, with the copies
// that stay readable for some days where it makes any. What can be read at once is no
// retrieval: each of its pieces is a request.
func bringing(o Outlook, t Terms) (lines []Charge) {
	var asked, read price.Bill
	for _, h := range o.held() {
		from, need := t.From.Of(h.Class), price.Need{Requests: h.Archives, Retrieve: h.Bytes, Days: t.ThawDays}
		switch {
		case o.Tier != "" && o.From.Pace.Of(h.Class) != firn.InstantPace:
			asked = asked.Plus(from.Bill(tierFor(o.From.Pace.Of(h.Class), o.tiers()), need))
		case !from.Free:
			need.Requests = h.Chunks
			read = read.Plus(from.Bill(firn.Bulk, need)) // charged for by any tier alike
		}
	}
	for i, bill := range []price.Bill{asked, read} {
		for _, l := range bill {
			atOnce := i == 1
			free := atOnce && l.Cost.Known && l.Cost.Amount == 0
			if l.Item != price.TransferOut && !free { // that depends on the way
				lines = append(lines, Charge{l.Item, l.Units, l.Cost, atOnce})
			}
		}
	}
	return lines
}

// early is the fee for what is young in the source. Each archive is charged for more
// bytes than its own: these are spread over all as its own are.
func early(o Outlook, from price.Tariff) price.Sum {
	sum := price.Sum{Known: true}
	for _, h := range o.held() {
		if h.Young == 0 || h.YoungBytes == 0 {
			continue
		}
		byteHours := h.YoungByteSeconds / time.Hour.Seconds()
		sum = sum.Plus(from.Of(h.Class).EarlyHours(byteHours*float64(h.Young)/float64(h.YoungBytes), byteHours))
	}
	return sum
}

// monthsUntil is after how many months a saving has paid for a price.
func monthsUntil(once, before, after price.Sum) int64 {
	saved := before.Amount - after.Amount
	if !once.Known || !before.Known || !after.Known || saved <= 0 {
		return 0
	}
	return int64((once.Amount + saved - 1) / saved)
}

// ways prices those that the data can go: the one of this machine first, and beside it
// that inside the region, where this machine isn't there and that would help.
func ways(o Outlook, t Terms) []Way {
	nothing := price.Sum{Known: true}
	inside := Way{Inside: true, Transfer: nothing, Time: o.lasts(insideRate)}
	switch {
	case !t.AtAmazon:
		return []Way{{Chosen: true, Transfer: nothing, Time: o.lasts(t.LineRate)}}
	case !t.TargetAtAmazon: // it leaves the region whoever carries it
		return []Way{{Chosen: true, Inside: t.Here, Transfer: t.From.Cost(price.TransferOut, o.Bytes), Time: o.lasts(t.LineRate)}}
	case !t.SameRegion:
		inside.Transfer = price.Sum{} // between two regions: no list at hand says
	}
	if t.Here {
		inside.Chosen = true
		return []Way{inside}
	}
	return []Way{{Chosen: true, Transfer: t.From.Cost(price.TransferOut, o.Bytes), Time: o.lasts(t.LineRate)}, inside}
}

// lasts is how long it takes at so many bytes a second, by the rate at which the
// source is asked and the time that it takes for what comes first.
func (o *Outlook) lasts(rate float64) time.Duration {
	var wait time.Duration
	if o.Tier != "" {
		wait = o.waits()
	}
	seconds := 0.0
	if rate > 0 {
		seconds = float64(o.Bytes) / rate
	}
	if o.Rate > 0 && o.Tier != "" {
		seconds = max(seconds, float64(o.Bytes)/float64(o.Rate)*time.Hour.Seconds())
	}
	return wait + time.Duration(atMost(seconds*float64(time.Second)))
}

// atMost is a number as an integer that holds it.
func atMost(x float64) int64 { return int64(min(math.Ceil(x), 1<<62)) }
