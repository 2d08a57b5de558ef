package wire

import (
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/price"
)

// Prices is what the store charges, as far as that is known: of a vault it goes
// by the region, also where another server than the service's answers.
func (s *Store) Prices() price.Tariff {
	if s.Location.Scheme == config.Local {
		return price.Local()
	}
	return price.Vault(s.region)
}
