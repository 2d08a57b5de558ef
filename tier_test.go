package firn_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
)

// TestDearerTiersAreFaster: at the least, and at the most.
func TestDearerTiersAreFaster(t *testing.T) {
	for _, pace := range []firn.Pace{firn.VaultPace, firn.DeepPace} {
		before := firn.Expedited
		for _, tier := range []firn.Tier{firn.Expedited, firn.Standard, firn.Bulk} {
			least, most, _ := pace.Delivery(tier)
			if least <= 0 || most <= least {
				t.Errorf("%s takes from %v to %v", tier, least, most)
			}
			fast, slow, _ := pace.Delivery(before)
			if least < fast || most < slow {
				t.Errorf("%s is faster than %s", tier, before)
			}
			before = tier
		}
	}
}

// TestPaces: how long each class takes at the most, and which has no such tier.
func TestPaces(t *testing.T) {
	for _, c := range []struct {
		class                     string
		bulk, standard, expedited time.Duration // 0: it isn't offered
	}{
		{"", 12 * time.Hour, 5 * time.Hour, 5 * time.Minute},
		{"GLACIER", 12 * time.Hour, 5 * time.Hour, 5 * time.Minute},
		{"DEEP_ARCHIVE", 48 * time.Hour, 12 * time.Hour, 0},
	} {
		pace := firn.PaceOf(c.class)
		for tier, want := range map[firn.Tier]time.Duration{firn.Bulk: c.bulk, firn.Standard: c.standard, firn.Expedited: c.expedited} {
			_, most, offered := pace.Delivery(tier)
			err := pace.Offers(tier)
			if offered != (want > 0) || offered && most != want || offered != (err == nil) {
				t.Errorf("%s of %s: %v, %t, %v; want %v", tier, c.class, most, offered, err, want)
			}
			if err != nil && (firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), "no expedited retrievals")) {
				t.Errorf("%s of %s: %v", tier, c.class, err)
			}
		}
	}
	for _, class := range []string{"GLACIER_IR", "STANDARD"} {
		if least, most, ok := firn.PaceOf(class).Delivery(firn.Expedited); least != 0 || most != 0 || !ok {
			t.Errorf("%s takes from %v to %v", class, least, most)
		}
	}
}
