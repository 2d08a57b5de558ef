package wire_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/wire"
)

// TestPricesOfClasses: a store in S3 charges what its class does there, by the file
// of prices where that has it; a store that nobody saw is taken for DEEP_ARCHIVE.
func TestPricesOfClasses(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing")
	env := environment(t)
	file := filepath.Join(t.TempDir(), "prices.toml")
	if err := os.WriteFile(file, []byte("[s3.eu-west-1.GLACIER]\nas_of = 2026-11-01\nstorage = 0.005\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if env.Prices, err = wire.ReadPrices(env, file); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		region, class, storage string
		exact                  bool
		shortest               time.Duration
	}{
		{"us-east-1", "", "0.00099", true, 180},
		{"us-east-1", "GLACIER", "0.0036", true, 90},
		{"eu-west-1", "GLACIER", "0.005", true, 90},
		{"eu-west-1", "STANDARD", "0.023", false, 0},
	} {
		s, err := wire.Open(t.Context(), env, config.Location{Scheme: config.S3, Region: c.region, Bucket: "bucket"}, wire.Options{Class: c.class})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		p := s.Prices()
		if got := p.Cost(price.Storage, 1<<30).String(); got != c.storage || p.Exact() != c.exact || p.Shortest != c.shortest*24*time.Hour {
			t.Errorf("%s in %s: %s, %+v", c.class, c.region, got, p)
		}
		if same := wire.TariffOf(env.Prices, "s3", c.region, p.Class); same.AsOf != p.AsOf || same.Region != p.Region {
			t.Errorf("%+v, and of the catalog's row %+v", p, same)
		}
	}
	if wire.TariffOf(env.Prices, "s3", "us-east-1", "").Cost(price.Storage, 1).Known {
		t.Error("what nobody knows the class of has a price")
	}
	for class, want := range map[string]firn.Pace{"DEEP_ARCHIVE": firn.DeepPace, "GLACIER": firn.VaultPace, "GLACIER_IR": firn.InstantPace} {
		if got := wire.PaceOf(catalog.Store{StoreSpec: catalog.StoreSpec{Kind: "s3", Class: class}}); got != want {
			t.Errorf("%s: pace %d, want %d", class, got, want)
		}
	}
}
