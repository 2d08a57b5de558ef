// Package migrate moves what is in one store to another: it asks the source for
// its archives at a rate that somebody chose, streams what is ready into the
// target, verified by tree hash, and says what all that costs before.
package migrate

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// An Outlook is what a migration has to do, or what of it is left.
type Outlook struct {
	Archives int64 // of the source, to be copied
	Bytes    int64 // in those
	// Bundled of the archives, with BundledBytes, are put into Bundles of the
	// target; all others are copied one by one.
	Bundled, BundledBytes, Bundles int64
	// Requests are the uploads' requests to the target: archives of one request,
	// and starts, parts and completions of multipart uploads.
	Singles, Starts, Parts int64
	// Chunks is how often the source's output is read: each may be a request.
	Chunks int64
	// Young of the archives, with YoungBytes, are charged for until Free if they
	// are deleted as soon as all is copied; weighed by what is left of the
	// shortest time, in byte-seconds, as of the source's clock.
	Young, YoungBytes int64
	YoungByteSeconds  float64
	// Held says of which storage classes the archives are in the source: one, as a
	// rule. None: of that of the source.
	Held []Held
	// Kept is how many bytes the target charges for of what is copied one by one; 0: as
	// many as they have.
	Kept int64
	// Tier that the source is asked with; empty where it takes no time. Tiers are those
	// of which what has no such tier is asked for with the next.
	Tier  firn.Tier
	Tiers []firn.Tier
	// Rate at which the source is asked, bytes an hour; 0: as fast as it gives.
	Rate int64
	// From and To are what the stores are like.
	From, To firn.Traits
	// Source is all that is stored in the source now, Target all in the target.
	SourceArchives, SourceBytes int64
	TargetArchives, TargetBytes int64
	// Grown of the archives came since the price was agreed to; none: it wasn't yet, or
	// they are few.
	Grown firn.Count
	// Made is when this was found out, by the source's clock.
	Made time.Time
}

// outlook sums up what is to be copied still.
func (m *mover) outlook(ctx context.Context) (o Outlook, err error) {
	info, err := m.From.Store.Describe(ctx)
	if err != nil {
		return o, err
	}
	o = Outlook{From: m.From.Store.Traits(), To: m.traits, Rate: m.RetrieveRate, Made: info.Now}
	if m.slow {
		o.Tier, o.Tiers = m.Tiers[0], m.Tiers
	}
	sums, err := m.Catalog.SumToCopy(ctx, m.m, catalog.CopyRule{Below: m.Bundling.Below, Body: bodySize, Parts: int64(m.traits.MaxParts), Now: info.Now, MinAge: o.From.MinDuration, Least: m.LeastCharged})
	if err != nil {
		return o, err
	}
	for i := range sums {
		o.add(&sums[i])
	}
	if o.Bundled > 0 {
		o.Bundles = max(1, (o.BundledBytes+o.Bundled*entryRoom)/max(1, m.Bundling.Size-m.Bundling.Size/indexPart))
	}
	if m.Bundling.Size > bodySize {
		o.Starts, o.Parts = o.Starts+o.Bundles, o.Parts+o.Bundles*((m.Bundling.Size+bodySize-1)/bodySize)
	} else {
		o.Singles += o.Bundles
	}
	for _, s := range []struct {
		id              int64
		archives, bytes *int64
	}{{m.From.Row.ID, &o.SourceArchives, &o.SourceBytes}, {m.To.Row.ID, &o.TargetArchives, &o.TargetBytes}} {
		stores, err := m.Catalog.Stores(ctx)
		if err != nil {
			return o, err
		}
		for _, row := range stores {
			if row.ID == s.id {
				*s.archives, *s.bytes = row.Archives, row.Bytes
			}
		}
	}
	return o, m.offers(&o)
}

// offers finds, before anything is asked for, whether all classes can be asked with
// one of the tiers. What came to a migration that somebody began by that tier doesn't
// end it: archives of a class that has none are asked for by the next slower one.
// Errors: Usage.
func (m *mover) offers(o *Outlook) error {
	goesOn := m.isOn() && agreedOf(m.m).Tier == m.Tiers[0]
	for _, h := range o.held() {
		if o.Tier == "" || h.Archives == 0 {
			continue
		}
		p := o.From.Pace.Of(h.Class)
		switch _, ok := p.First(o.tiers()); {
		case ok:
		case goesOn:
			m.tellTier(h.Class, tierFor(p, o.tiers()))
		default:
			return p.Offers(o.Tier)
		}
	}
	return nil
}

// tiers are those that the source is asked with, in order of preference.
func (o *Outlook) tiers() []firn.Tier {
	if len(o.Tiers) == 0 {
		return []firn.Tier{o.Tier}
	}
	return o.Tiers
}

// Held is what of a migration is of one storage class in the source.
type Held struct {
	Class           string // of S3; empty elsewhere
	Archives, Bytes int64
	Charged         int64 // bytes that the source charges for
	Chunks          int64 // as in Outlook
	// Young of them, by the bytes that are charged for: as in Outlook.
	Young, YoungBytes int64
	YoungByteSeconds  float64
}

// add takes in what is of one class.
func (o *Outlook) add(s *catalog.CopySums) {
	h := Held{
		Class: s.Class, Archives: s.All.Files, Bytes: s.All.Bytes, Charged: s.Charged, Chunks: s.All.Files - s.Multi + s.Parts,
		Young: s.Young.Files, YoungBytes: s.Young.Bytes, YoungByteSeconds: s.YoungByteSeconds,
	}
	o.Held = append(o.Held, h)
	o.Archives, o.Bytes, o.Chunks = o.Archives+h.Archives, o.Bytes+h.Bytes, o.Chunks+h.Chunks
	o.Bundled, o.BundledBytes, o.Kept = o.Bundled+s.Small.Files, o.BundledBytes+s.Small.Bytes, o.Kept+s.Kept
	o.Singles, o.Starts, o.Parts = o.Singles+s.Singles, o.Starts+s.Multi, o.Parts+s.Parts
	o.Young, o.YoungBytes, o.YoungByteSeconds = o.Young+h.Young, o.YoungBytes+h.YoungBytes, o.YoungByteSeconds+h.YoungByteSeconds
}

// held gives what is of which class, at least one.
func (o *Outlook) held() []Held {
	if len(o.Held) > 0 {
		return o.Held
	}
	return []Held{{Archives: o.Archives, Bytes: o.Bytes, Charged: o.Bytes, Chunks: o.Chunks, Young: o.Young, YoungBytes: o.YoungBytes, YoungByteSeconds: o.YoungByteSeconds}}
}

// waits is how long the slowest of the classes takes, at the most.
func (o *Outlook) waits() (most time.Duration) {
	for _, h := range o.held() {
		_, wait, _ := o.From.Pace.Of(h.Class).Delivery(tierFor(o.From.Pace.Of(h.Class), o.tiers()))
		most = max(most, wait)
	}
	return most
}
