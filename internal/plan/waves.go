package plan

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
)

// freeGap is the gap where requests and bytes cost nothing, or nobody knows
// what: a request takes about as long as so many bytes.
const freeGap = 8 << 20

// Gap is how many bytes cost as much to retrieve as one request does.
func Gap(t price.Tariff, tier firn.Tier) int64 {
	request, perGB := t.Retrieval(tier, 1, 0), t.Retrieval(tier, 0, 1<<30)
	if t.Free || !request.Known || !perGB.Known || perGB.Amount <= 0 {
		return freeGap
	}
	return int64(float64(request.Amount) / float64(perGB.Amount) * (1 << 30))
}

// AssumedRate is how fast a store is taken to bring bytes, in bytes a second,
// while nobody has measured it: a line of some ten Mbit/s does.
const AssumedRate = 1 << 20

// usable gives the rate to reckon with, in bytes a second.
func usable(rate float64, known bool) float64 {
	if !known || !(rate >= 1) { // NaN too
		return AssumedRate
	}
	return min(rate, 1<<40)
}

// waveTime is how long what is ready in a vault may take to be downloaded: three
// quarters of the day after which it is gone.
const waveTime = 18 * time.Hour

// WaveBytes is how many bytes of retrievals are to be under way at a time, where
// rate bytes a second are downloaded: three quarters of what a day brings, since
// what is ready is gone after a day.
func WaveBytes(rate float64, known bool) int64 { return brings(rate, known, waveTime) }

// brings is how many bytes come in some time.
func brings(rate float64, known bool, in time.Duration) int64 {
	return int64(usable(rate, known) * in.Seconds())
}

// A Supply says how a store hands out what it is asked for.
type Supply struct {
	Pace firn.Pace
	// Thaws: it hands out copies, which stay for as many days as they are asked for.
	Thaws bool
}

// SupplyOf is the supply of a store with these traits.
func SupplyOf(t firn.Traits) Supply {
	return Supply{Pace: t.Pace, Thaws: t.ThawsWhole && !t.InstantJobs}
}

// Wave is how many bytes are to be under way at a time, asked for with a tier, where
// rate bytes a second are downloaded. Of a vault, WaveBytes. A store that thaws takes
// up to days, for which the line shall not be idle; its copies stay as long as that
// takes.
func (s Supply) Wave(tier firn.Tier, rate float64, known bool) int64 {
	return brings(rate, known, s.waveTime(tier))
}

func (s Supply) waveTime(tier firn.Tier) time.Duration {
	if !s.Thaws {
		return waveTime
	}
	_, most, _ := s.Pace.Delivery(tier)
	return waveTime + most
}

// spareDays are added to the days that a copy is needed for.
const spareDays = 2

// maxThawDays is the most that a copy is asked to stay: what takes longer is asked
// to stay on.
const maxThawDays = 90

// ThawDays is for how many days copies are to stay that are asked for with a tier,
// where the largest has so many bytes to download: the time that the wave takes, and
// two days more. 0: the store has none.
func (s Supply) ThawDays(tier firn.Tier, largest int64, rate float64, known bool) int {
	if !s.Thaws {
		return 0
	}
	seconds := max(s.waveTime(tier).Seconds(), float64(largest)/usable(rate, known))
	return min(int(math.Ceil(seconds/(24*time.Hour).Seconds()))+spareDays, maxThawDays)
}

// maxRangeMin is the least that MaxRange gives: each piece is a request, which
// costs something.
const maxRangeMin int64 = 1 << 30

// MaxRange is the longest range that should be retrieved at once within a wave
// of so many bytes, a power of two: a quarter of it at most, but 1 GiB at least.
func MaxRange(wave int64) int64 {
	return max(maxRangeMin, int64(1)<<(bits.Len64(uint64(max(wave/4, 1)))-1))
}

// StayDays is for how many days copies are to stay on of which so many bytes are to
// be downloaded.
func (s Supply) StayDays(left int64, rate float64, known bool) int {
	days := math.Ceil(float64(left) / usable(rate, known) / (24 * time.Hour).Seconds())
	return int(min(days+spareDays, maxThawDays))
}

// Waves is in how many waves it is asked for, of what so many bytes are retrieved and
// so many downloaded: of a store that thaws the latter have to come in time.
func (s Supply) Waves(tier firn.Tier, retrieve, download int64, rate float64, known bool) int {
	if s.Thaws && retrieve > 0 {
		retrieve = max(download, 1)
	}
	wave := s.Wave(tier, rate, known)
	return int((retrieve + wave - 1) / wave)
}

// A Journey is how a retrieval is going to go.
type Journey struct {
	Supply   Supply
	Tier     firn.Tier
	Waves    int   // that it is asked for in; 0: all of it was asked for
	Retrieve int64 // bytes
	Download int64 // bytes that cross the network
	// Rate is how fast these come, in bytes a second, where it is known.
	Rate      float64
	RateKnown bool
	// HourlyBytes are the most that may be asked for in an hour; 0: any.
	HourlyBytes int64
}

// Span tells when all may be there, of what is begun now: at the earliest, where
// the line is never idle, and at the latest that is to be expected: where every
// wave after the first takes a day, and from a store that thaws, where the line is
// idle for a quarter of the time.
func (j Journey) Span(now time.Time) (earliest, latest time.Time) {
	line := float64(max(j.Download, 0)) / usable(j.Rate, j.RateKnown)
	asking := 0.0 // until the last may be asked for
	if j.HourlyBytes > 0 {
		asking = max(0, float64(j.Retrieve)/float64(j.HourlyBytes)-1) * time.Hour.Seconds()
	}
	waves := max(j.Waves, 1)
	least, most, _ := j.Supply.Pace.Delivery(j.Tier)
	if j.Waves == 0 {
		least = 0 // it may be ready
	}
	further, last := float64(waves-1)*(24*time.Hour).Seconds(), line/float64(waves)
	if j.Supply.Thaws {
		further = line * 4 / 3 * float64(waves-1) / float64(waves)
	}
	return later(now, least.Seconds()+max(line, asking)), later(now, most.Seconds()+max(further, asking)+last)
}

// century bounds what is said of the future.
const century = 100 * 365 * 24 * time.Hour

func later(now time.Time, seconds float64) time.Time {
	return now.Add(time.Duration(min(seconds, century.Seconds()) * float64(time.Second)))
}

// An Ask is something that was asked for.
type Ask struct {
	At    time.Time
	Bytes int64
}

// A Throttle keeps what is asked for below a rate: in no hour more than that
// many bytes. What is larger than the rate goes alone, after an hour in which
// nothing was asked for, and nothing follows it for as many hours as it has
// rates.
type Throttle struct {
	rate  int64
	asks  []Ask // of the last hour, oldest first
	hour  int64 // bytes of these
	large []Ask // larger than the rate, that count still
}

// NewThrottle gives a throttle of rate bytes an hour, 0 for none, that knows what
// was asked for before, in any order. See LookBack.
func NewThrottle(rate int64, asks []Ask) *Throttle {
	t := &Throttle{rate: rate}
	for _, a := range slices.SortedStableFunc(slices.Values(asks), func(a, b Ask) int { return a.At.Compare(b.At) }) {
		t.Asked(a.At, a.Bytes)
	}
	return t
}

// LookBack is how far back a throttle of so many bytes an hour has to know what
// was asked for, where that has at most largest bytes each.
func LookBack(rate, largest int64) time.Duration {
	if largest <= rate || rate <= 0 {
		return time.Hour
	}
	hours := float64(largest) / float64(rate)
	return time.Duration(min(hours, century.Hours()) * float64(time.Hour))
}

// Asked notes that so many bytes were asked for, after all that was noted before.
func (t *Throttle) Asked(at time.Time, size int64) {
	switch {
	case t.rate <= 0:
	case size > t.rate:
		t.large = append(t.large, Ask{at, size})
	default:
		t.asks, t.hour = append(t.asks, Ask{at, size}), plus(t.hour, size)
	}
}

// until is when an ask counts no more.
func (t *Throttle) until(a Ask) time.Time { return a.At.Add(LookBack(t.rate, a.Bytes)) }

// over reports whether an ask counts no more. One of a time more than an hour
// from now, which a wrong clock dated, doesn't count either.
func (t *Throttle) over(a Ask, now time.Time) bool {
	return !t.until(a).After(now) || a.At.After(now.Add(time.Hour))
}

// Allowed reports whether size bytes may be asked for now, and, where not, when
// they may if nothing else is asked for before.
func (t *Throttle) Allowed(now time.Time, size int64) (ok bool, next time.Time) {
	t.forget(now)
	next = now
	for _, a := range t.large {
		next = latest(next, t.until(a))
	}
	left := t.hour
	for i := 0; i < len(t.asks) && left > t.rate-size; i++ {
		next = latest(next, t.until(t.asks[i]))
		left -= t.asks[i].Bytes
	}
	return !next.After(now), next
}

// forget drops what counts no more.
func (t *Throttle) forget(now time.Time) {
	t.large = slices.DeleteFunc(t.large, func(a Ask) bool { return t.over(a, now) })
	for len(t.asks) > 0 && t.over(t.asks[0], now) {
		t.hour -= t.asks[0].Bytes
		t.asks = t.asks[1:]
	}
	for len(t.asks) > 0 && t.over(t.asks[len(t.asks)-1], now) {
		t.hour -= t.asks[len(t.asks)-1].Bytes
		t.asks = t.asks[:len(t.asks)-1]
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
