package firn

import "time"

// Delivery is how long vaults take for what is asked for with a tier, from the
// least to the most. Expedited holds for archives below some 250 MB. Source:
// Amazon Glacier developer guide, "Archive retrieval options".
func (t Tier) Delivery() (least, most time.Duration) {
	switch t {
	case Expedited:
		return time.Minute, 5 * time.Minute
	case Bulk:
		return 5 * time.Hour, 12 * time.Hour
	}
	return 3 * time.Hour, 5 * time.Hour
}
