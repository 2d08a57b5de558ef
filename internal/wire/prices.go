package wire

import (
	"errors"
	"path/filepath"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/price"
)

// Prices is what the store charges for what is sent to it, as far as that is known:
// of a vault it goes by the region, also where another server than the service's
// answers. That of a store in S3 is of the storage class of new archives, as far as
// the store was seen.
func (s *Store) Prices() price.Tariff {
	return TariffOf(s.env.prices(), string(s.Location.Scheme), s.region, s.Class())
}

// HeldPrices is what the store charges for what it holds: to keep it, to bring it
// back, and to delete it early. In S3 that is of the class that the store was made
// with, whatever a profile says of new archives; what is recorded of another one is
// charged for as its Tariff.Of says.
func (s *Store) HeldPrices() price.Tariff {
	return TariffOf(s.env.prices(), string(s.Location.Scheme), s.region, s.ownClass())
}

// Class is the storage class of what is stored in S3, as far as the store was seen;
// empty elsewhere.
func (s *Store) Class() string {
	if s.class == nil {
		return ""
	}
	return string(s.class())
}

// ownClass is the storage class that archives of the store have, unless somebody
// said another; empty but in S3.
func (s *Store) ownClass() string {
	if s.own == nil {
		return ""
	}
	return string(s.own())
}

// otherClass is the storage class of what is stored, where it isn't that of the store.
func (s *Store) otherClass() string {
	if class := s.Class(); class != s.ownClass() {
		return class
	}
	return ""
}

// PaceOf is how long a store that the catalog knows takes for each tier.
func PaceOf(row catalog.Store) firn.Pace {
	if row.Kind == string(config.S3) {
		return firn.PaceOf(row.Class)
	}
	return firn.VaultPace
}

// TariffOf is what a store of some kind, in some region, charges, in S3 for what is
// of a storage class. Of S3 nothing is known without that.
func TariffOf(tables price.Tables, kind, region, class string) price.Tariff {
	if kind == string(config.Local) {
		return price.Local()
	}
	if kind == string(config.S3) {
		return tables.Bucket(class, region)
	}
	return tables.Vault(region)
}

// prices are the tables that were given, else those that firn comes with.
func (e Env) prices() price.Tables {
	if e.Prices == nil {
		return price.Shipped()
	}
	return e.Prices
}

// ReadPrices gives the prices that firn comes with, and over them those of a
// file; where none is named, of the one in the configuration's folder, if there
// is one. Errors: NotFound (a file that was named is not there), Usage, several of
// them joined; Local.
func ReadPrices(env Env, file string) (price.Tables, error) {
	tables := price.Shipped()
	named := file != ""
	if !named {
		dir, err := config.ConfigDir(env.Getenv)
		if err != nil {
			return tables, nil // nobody has a file there
		}
		file = filepath.Join(dir, config.PricesName)
	}
	lists, err := config.ReadPrices(file)
	if !named && firn.KindOf(err) == firn.NotFound {
		return tables, nil
	}
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, l := range lists {
		given, err := pricesOf(file, &l)
		errs = append(errs, err)
		tables = tables.With(l.Region, l.Class, l.AsOf, given)
	}
	return tables, errors.Join(errs...)
}

// pricesOf reads the prices of one region.
func pricesOf(file string, l *config.PriceList) (map[price.Item]price.Price, error) {
	source := file
	if l.Note != "" {
		source += ": " + l.Note
	}
	given := map[price.Item]price.Price{}
	var errs []error
	for _, p := range l.Prices {
		item, one, err := price.Given(p.Key, p.Dollars, source)
		if err != nil {
			errs = append(errs, config.PriceError(file, p.Line, err))
			continue
		}
		given[item] = one
	}
	return given, errors.Join(errs...)
}
