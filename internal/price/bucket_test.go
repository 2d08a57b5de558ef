package price_test

import (
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
)

// TestBucket: what a TiB of archives of 64 MiB costs in each class.
func TestBucket(t *testing.T) {
	const archives, bytes = 16384, 1 << 40
	for _, c := range []struct{ class, month, upload, bulk string }{
		{"DEEP_ARCHIVE", "1.017129998", "0.8192", "2.9696"},
		{"GLACIER", "3.691074958", "0.49152", "0.00"},
		{"GLACIER_IR", "4.096", "0.32768", "30.88384"},
		{"STANDARD", "23.552", "0.08192", "0.0065536"},
	} {
		t.Run(c.class, func(t *testing.T) {
			tariff := price.Bucket(c.class, "us-east-1")
			if !tariff.Exact() || price.Bucket(c.class, "eu-west-1").Exact() {
				t.Error("whose prices these are is told wrongly")
			}
			month, upload := tariff.Stored(archives, bytes), tariff.Cost(price.Upload, archives)
			bulk := tariff.Retrieval(firn.Bulk, archives, bytes)
			if month.Amount.String() != c.month || upload.Amount.String() != c.upload || bulk.Amount.String() != c.bulk {
				t.Errorf("%v a month, %v to upload, %v to retrieve; want %s, %s, %s", month.Amount, upload.Amount, bulk.Amount, c.month, c.upload, c.bulk)
			}
		})
	}
	if price.Bucket("DEEP_ARCHIVE", "us-east-1").Retrieval(firn.Expedited, 1, 1).Known {
		t.Error("deep archives are not brought in minutes")
	}
	if price.Bucket("FROZEN", "us-east-1").Cost(price.Storage, 1).Known {
		t.Error("an unknown class has a price")
	}
}
