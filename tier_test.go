package firn_test

import (
	"testing"

	"github.com/firn-archive/firn"
)

// TestDearerTiersAreFaster: at the least, and at the most.
func TestDearerTiersAreFaster(t *testing.T) {
	before := firn.Expedited
	for _, tier := range []firn.Tier{firn.Expedited, firn.Standard, firn.Bulk} {
		least, most := tier.Delivery()
		if least <= 0 || most <= least {
			t.Errorf("%s takes from %v to %v", tier, least, most)
		}
		fast, slow := before.Delivery()
		if least < fast || most < slow {
			t.Errorf("%s is faster than %s", tier, before)
		}
		before = tier
	}
}
