package plan_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
)

const gib = 1 << 30

// TestGap: worked by hand from the prices of us-east-1.
func TestGap(t *testing.T) {
	for name, c := range map[string]struct {
		tariff price.Tariff
		tier   firn.Tier
		want   int64
	}{
		"standard, a request for 0.00003 and a GiB for 0.01": {price.Vault("us-east-1"), firn.Standard, gib * 3 / 1000},
		"expedited, 0.01 and 0.03":                           {price.Vault("us-east-1"), firn.Expedited, gib / 3},
		"bulk, 0.000025 and 0.0025":                          {price.Vault("us-east-1"), firn.Bulk, gib / 100},
		"free":                                               {price.Local(), firn.Bulk, 8 * mib},
		"unknown":                                            {price.Tariff{}, firn.Standard, 8 * mib},
		"no such tier":                                       {price.Vault("us-east-1"), "soon", 8 * mib},
	} {
		if got := plan.Gap(c.tariff, c.tier); got < c.want-1 || got > c.want+1 {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestWaves(t *testing.T) {
	for name, c := range map[string]struct {
		rate  float64
		known bool
		want  int64
	}{
		"measured":        {10e6, true, 648e9},
		"unknown":         {10e6, false, 64800 * mib},
		"nothing":         {0, true, 64800 * mib},
		"no number":       {math.NaN(), true, 64800 * mib},
		"no end of it":    {math.Inf(1), true, 64800 << 40},
		"a byte a second": {1, true, 64800},
	} {
		if got := plan.WaveBytes(c.rate, c.known); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	for wave, want := range map[int64]int64{0: gib, 1: gib, 4 * gib: gib, 8*gib - 1: gib, 8 * gib: 2 * gib, 64800 * mib: 8 * gib, math.MaxInt64: 1 << 60} {
		if got := plan.MaxRange(wave); got != want {
			t.Errorf("of a wave of %d: %d, want %d", wave, got, want)
		}
		if err := (&plan.Ranges{}).Split(plan.MaxRange(wave)); err != nil {
			t.Error(err)
		}
	}
}

func TestSpan(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		j                plan.Journey
		earliest, latest time.Duration
	}{
		"one small file":            {plan.Journey{Tier: firn.Bulk, Waves: 1}, 5 * time.Hour, 12 * time.Hour},
		"expedited":                 {plan.Journey{Tier: firn.Expedited, Waves: 1}, time.Minute, 5 * time.Minute},
		"asked for before":          {plan.Journey{Tier: firn.Standard}, 0, 5 * time.Hour},
		"an hour of download":       {plan.Journey{Tier: firn.Standard, Waves: 1, Download: 3600e6, Rate: 1e6, RateKnown: true}, 4 * time.Hour, 6 * time.Hour},
		"the same, not measured":    {plan.Journey{Tier: firn.Standard, Waves: 1, Download: 3600 * mib}, 4 * time.Hour, 6 * time.Hour},
		"ten waves of 18 hours":     {plan.Journey{Tier: firn.Bulk, Waves: 10, Download: 648e9, Rate: 1e6, RateKnown: true}, 185 * time.Hour, (12 + 9*24 + 18) * time.Hour},
		"ten hours of asking":       {plan.Journey{Tier: firn.Bulk, Waves: 1, Retrieve: 11 * gib, HourlyBytes: gib}, 15 * time.Hour, 22 * time.Hour},
		"deep, one small file":      {plan.Journey{Supply: plan.Supply{Pace: firn.DeepPace, Thaws: true}, Tier: firn.Bulk, Waves: 1}, 24 * time.Hour, 48 * time.Hour},
		"deep, standard":            {plan.Journey{Supply: plan.Supply{Pace: firn.DeepPace, Thaws: true}, Tier: firn.Standard, Waves: 1}, 6 * time.Hour, 12 * time.Hour},
		"deep, four waves":          {plan.Journey{Supply: plan.Supply{Pace: firn.DeepPace, Thaws: true}, Tier: firn.Bulk, Waves: 4, Download: 4 * 237.6e9, Rate: 1e6, RateKnown: true}, (24 + 264) * time.Hour, (48 + 264 + 66) * time.Hour},
		"less than an hour's worth": {plan.Journey{Tier: firn.Bulk, Waves: 1, Retrieve: gib / 2, HourlyBytes: gib}, 5 * time.Hour, 12 * time.Hour},
	} {
		earliest, latest := c.j.Span(now)
		if got := earliest.Sub(now); got != c.earliest {
			t.Errorf("%s: at the earliest after %v, want %v", name, got, c.earliest)
		}
		if got := latest.Sub(now); got != c.latest {
			t.Errorf("%s: at the latest after %v, want %v", name, got, c.latest)
		}
	}
}

// TestSupplies: of stores that thaw more is under way, and stays for longer.
func TestSupplies(t *testing.T) {
	deep, cold, vault := plan.Supply{Pace: firn.DeepPace, Thaws: true}, plan.Supply{Thaws: true}, plan.Supply{}
	for name, c := range map[string]struct {
		supply  plan.Supply
		tier    firn.Tier
		largest int64
		rate    float64
		hours   int64 // of download that are under way
		days    int
	}{
		"a vault":                           {vault, firn.Bulk, 1e12, 1e6, 18, 0},
		"deep, bulk":                        {deep, firn.Bulk, 0, 1e6, 66, 5},
		"deep, standard":                    {deep, firn.Standard, 0, 1e6, 30, 4},
		"cold, bulk":                        {cold, firn.Bulk, 0, 1e6, 30, 4},
		"cold, expedited":                   {cold, firn.Expedited, 0, 1e6, 18, 3},
		"deep, an archive of twenty days":   {deep, firn.Bulk, 20 * 86400 * 1e6, 1e6, 66, 22},
		"deep, one that takes over a year":  {deep, firn.Bulk, 400 * 86400 * 1e6, 1e6, 66, 90},
		"a quick line doesn't make it less": {deep, firn.Bulk, 20 * 86400 * 1e6, 1e9, 66, 5},
	} {
		wave := c.supply.Wave(c.tier, c.rate, true)
		if want := int64(c.rate) * 3600 * c.hours; (wave-want)/int64(c.rate) != 0 && c.tier != firn.Expedited {
			t.Errorf("%s: a wave of %d, want %d", name, wave, want)
		}
		if got := c.supply.ThawDays(c.tier, c.largest, c.rate, true); got != c.days {
			t.Errorf("%s: copies stay for %d days, want %d", name, got, c.days)
		}
	}
	if got := deep.StayDays(36*3600*1e6, 1e6, true); got != 4 {
		t.Errorf("what takes a day and a half is to stay for %d", got)
	}
	if got := deep.Waves(firn.Bulk, 1<<50, 1e6, 1e6, true); got != 1 {
		t.Errorf("little out of much comes in %d waves", got)
	}
	if got := vault.Waves(firn.Bulk, 4*64.8e9, 1e6, 1e6, true); got != 4 {
		t.Errorf("four waves of a vault are %d", got)
	}
	if got := deep.Waves(firn.Bulk, 0, 0, 1e6, true); got != 0 {
		t.Errorf("nothing to be asked for comes in %d waves", got)
	}
}

// TestSpanIsOne: whatever the figures, the earliest comes first, and neither
// lies in the past.
func TestSpanIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64().Draw(t, "rate")
		known := rapid.Bool().Draw(t, "known")
		retrieve := rapid.Int64Min(0).Draw(t, "retrieve")
		j := plan.Journey{
			Supply: plan.Supply{Pace: rapid.SampledFrom([]firn.Pace{firn.VaultPace, firn.DeepPace, firn.InstantPace}).Draw(t, "pace"), Thaws: rapid.Bool().Draw(t, "thaws")},
			Tier:   rapid.SampledFrom([]firn.Tier{firn.Bulk, firn.Standard, firn.Expedited}).Draw(t, "tier"), Rate: rate, RateKnown: known,
			Retrieve: retrieve, Download: rapid.Int64Range(0, retrieve).Draw(t, "download"),
			HourlyBytes: rapid.Int64Min(0).Draw(t, "hourly"),
		}
		wave := plan.WaveBytes(rate, known)
		j.Waves = int(min((retrieve-1)/wave+1, math.MaxInt32))
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		if earliest, latest := j.Span(now); earliest.Before(now) || latest.Before(earliest) {
			t.Errorf("%+v: from %v to %v", j, earliest, latest)
		}
	})
}

func TestThrottle(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	for name, c := range map[string]struct {
		rate int64
		asks []plan.Ask
		now  int
		size int64
		next int // minutes; now where it is allowed
	}{
		"no rate":                        {0, []plan.Ask{{at(0), 1 << 60}}, 0, 1 << 60, 0},
		"nothing asked":                  {100, nil, 5, 100, 5},
		"fits":                           {100, []plan.Ask{{at(0), 60}}, 5, 40, 5},
		"doesn't fit":                    {100, []plan.Ask{{at(0), 60}}, 5, 41, 60},
		"when the hour is over":          {100, []plan.Ask{{at(0), 60}}, 60, 100, 60},
		"only the first has to go":       {100, []plan.Ask{{at(0), 30}, {at(10), 30}, {at(20), 30}}, 25, 40, 60},
		"the first two have to go":       {100, []plan.Ask{{at(0), 30}, {at(10), 30}, {at(20), 30}}, 25, 41, 70},
		"in any order":                   {100, []plan.Ask{{at(20), 30}, {at(0), 30}, {at(10), 30}}, 25, 41, 70},
		"too large, alone":               {100, nil, 0, 1000, 0},
		"too large, waits for the hour":  {100, []plan.Ask{{at(0), 1}, {at(30), 1}}, 40, 1000, 90},
		"holds off what comes after":     {100, []plan.Ask{{at(0), 250}}, 70, 1, 150},
		"and another such":               {100, []plan.Ask{{at(0), 250}}, 70, 250, 150},
		"but not for ever":               {100, []plan.Ask{{at(0), 250}}, 150, 250, 150},
		"exactly the rate is not larger": {100, []plan.Ask{{at(0), 100}}, 60, 100, 60},
		"a little in the future":         {100, []plan.Ask{{at(30), 100}}, 0, 1, 90},
		"from a clock that was wrong":    {100, []plan.Ask{{at(61), 100}, {at(1 << 20), 250}}, 0, 1, 0},
	} {
		ok, next := plan.NewThrottle(c.rate, c.asks).Allowed(at(c.now), c.size)
		if want := at(c.next); !next.Equal(want) || ok != (c.next == c.now) {
			t.Errorf("%s: %t, %v, want %v", name, ok, next.Sub(start), want.Sub(start))
		}
	}
	for size, want := range map[int64]time.Duration{0: time.Hour, 100: time.Hour, 250: 150 * time.Minute} {
		if got := plan.LookBack(100, size); got != want {
			t.Errorf("%d bytes count for %v, want %v", size, got, want)
		}
	}
	if got := plan.LookBack(1, math.MaxInt64); got <= 0 {
		t.Errorf("the most that can be asked for counts for %v", got)
	}
}

// TestThrottleHolds: whoever asks as soon as it is allowed keeps the rate in
// each hour, and gets all that he wants.
func TestThrottleHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rate = 1000
		sizes := rapid.SliceOfN(rapid.Int64Range(0, 2500), 1, 40).Draw(t, "sizes")
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		var asks []plan.Ask
		throttle := plan.NewThrottle(rate, nil)
		for i, size := range sizes {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
			if rapid.Bool().Draw(t, "new process") {
				throttle = plan.NewThrottle(rate, asks)
			}
			ok, next := throttle.Allowed(now, size)
			if !ok {
				if early, _ := throttle.Allowed(next.Add(-time.Nanosecond), size); early || !next.After(now) {
					t.Fatalf("it may be asked for before %v", next)
				}
				now = next
				if ok, again := throttle.Allowed(now, size); !ok {
					t.Fatalf("%v is put off to %v", now, again)
				}
			}
			throttle.Asked(now, size)
			asks = append(asks, plan.Ask{At: now, Bytes: size})
			hour := int64(0)
			for _, a := range asks[:i+1] {
				if now.Sub(a.At) < plan.LookBack(rate, a.Bytes) {
					hour += a.Bytes
				}
			}
			if hour > max(rate, size) {
				t.Fatalf("%d bytes within an hour", hour)
			}
		}
	})
}
