package price_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/price"
)

func TestRepack(t *testing.T) {
	const mib = 1 << 20
	day := 24 * time.Hour
	vault := price.Vault("us-east-1")
	for _, tt := range []struct {
		name   string
		tariff price.Tariff
		sparse price.Sparse
		pays   bool
	}{
		{"nothing is dead", vault, price.Sparse{Size: 64 * mib, Live: 64 * mib, Requests: 1}, false},
		{"nothing is dead, and nothing costs anything", price.Local(), price.Sparse{}, false},
		// A year of 1 MiB costs 0.0036 * 12 / 1024 = 0.0000422 dollars, and a request 0.00003.
		{"a MiB is dearer in a year than a request", vault, price.Sparse{Size: 64 * mib, Live: 63 * mib, Dead: mib, Requests: 1}, true},
		{"half of one isn't", vault, price.Sparse{Size: 64 * mib, Live: 63 * mib, Dead: mib / 2, Requests: 1}, false},
		{"nor is one, where it takes two requests", vault, price.Sparse{Size: 64 * mib, Live: 63 * mib, Dead: mib, Requests: 2}, false},
		// 90 days of the whole against a year of the part: a quarter.
		{"young, a third is dead", vault, price.Sparse{Size: 60 * mib, Live: 40 * mib, Dead: 20 * mib, Requests: 1, Left: 90 * day}, true},
		{"young, a fifth is dead", vault, price.Sparse{Size: 60 * mib, Live: 48 * mib, Dead: 12 * mib, Requests: 1, Left: 90 * day}, false},
		{"a fifth, and the first month is over", vault, price.Sparse{Size: 60 * mib, Live: 48 * mib, Dead: 12 * mib, Requests: 1, Left: 60 * day}, true},
		{"free, half is dead", price.Local(), price.Sparse{Size: 100, Live: 40, Dead: 40}, true},
		{"free, less than half", price.Local(), price.Sparse{Size: 100, Live: 41, Dead: 40}, false},
		{"unknown, half is dead", price.Tariff{}, price.Sparse{Size: 100, Live: 40, Dead: 40, Requests: 1}, true},
		{"unknown, less than half", price.Tariff{}, price.Sparse{Size: 100, Live: 41, Dead: 40, Requests: 1}, false},
	} {
		if r := tt.tariff.Repack(tt.sparse); r.Pays != tt.pays {
			t.Errorf("%s: pays %v: %+v", tt.name, r.Pays, r)
		}
	}
	r := vault.Repack(price.Sparse{Size: 1 << 30, Live: 1 << 29, Dead: 1 << 29, Requests: 1000, Left: 30 * day})
	// 32 KiB of overhead are charged for with the archive that goes.
	if r.Upload.String() != "0.03" || r.Month.String() != "0.0018" || r.Early.String() != "0.00360011" {
		t.Errorf("%+v", r)
	}
}
