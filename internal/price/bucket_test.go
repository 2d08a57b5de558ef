package price_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
)

// TestBucket: what a TiB of archives of 64 MiB costs in each class. To retrieve it is
// the requests, the bytes, and of the cold ones a copy that is there for four days:
// three, and until midnight.
func TestBucket(t *testing.T) {
	const archives, bytes = 16384, 1 << 40
	for _, c := range []struct{ class, month, upload, bulk string }{
		{"DEEP_ARCHIVE", "1.017129998", "0.8192", "6.109866667"},
		{"GLACIER", "3.691074958", "0.49152", "3.140266667"},
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

// TestThawing: the lines of a bill, worked by hand from the prices of us-east-1.
func TestThawing(t *testing.T) {
	const tib = 1 << 40
	need := price.Need{Requests: 4096, Retrieve: tib, Transfer: 1 << 30, Days: 5}
	for _, c := range []struct {
		class string
		tier  firn.Tier
		want  []string // requests, bytes, transfer, copies for six days
	}{
		{"DEEP_ARCHIVE", firn.Bulk, []string{"0.1024", "2.56", "0.09", "4.7104"}},
		{"DEEP_ARCHIVE", firn.Standard, []string{"0.4096", "20.48", "0.09", "4.7104"}},
		{"DEEP_ARCHIVE", firn.Expedited, []string{"unknown", "unknown", "0.09", "4.7104"}},
		{"GLACIER", firn.Bulk, []string{"0.00", "0.00", "0.09", "4.7104"}},
		{"GLACIER", firn.Expedited, []string{"40.96", "30.72", "0.09", "4.7104"}},
		{"GLACIER_IR", firn.Bulk, []string{"0.04096", "30.72", "0.09"}},
		{"STANDARD", firn.Bulk, []string{"0.0016384", "0.00", "0.09"}},
	} {
		bill := price.Bucket(c.class, "us-east-1").Bill(c.tier, need)
		var got []string
		for _, l := range bill {
			got = append(got, l.Cost.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: %v, want %v", c.class, c.tier, got, c.want)
		}
	}
	if got := price.CopyDays(math.MaxInt64/2, 5); got != math.MaxInt64 {
		t.Errorf("more than can be counted: %d", got)
	}
	if got := price.Vault("us-east-1").Bill(firn.Bulk, need); len(got) != 3 {
		t.Errorf("a vault makes copies: %+v", got)
	}
}

// TestShortest: each class has its own time, and what is in none has none.
func TestShortest(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		kind, class string
		want        time.Duration
	}{
		{"glacier", "", 90 * day}, {"s3", "DEEP_ARCHIVE", 180 * day}, {"s3", "GLACIER", 90 * day}, {"s3", "GLACIER_IR", 90 * day},
		{"s3", "STANDARD", 0}, {"s3", "FROZEN", 0}, {"s3", "", 0}, {"local", "", 0},
	} {
		if got := price.Shortest(c.kind, c.class); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.kind, c.class, got, c.want)
		}
	}
	left := 30 * day
	for class, want := range map[string]string{"DEEP_ARCHIVE": "0.00099", "GLACIER_IR": "0.004", "STANDARD": "0.00"} {
		if got := price.Bucket(class, "us-east-1").EarlyDeletion(0, 1<<30, left).String(); got != want {
			t.Errorf("%s: %s for a month that is left, want %s", class, got, want)
		}
	}
}

// TestLeastCharged: small archives of the warm classes are charged for as if they had
// 128 KiB, others by what they have; and the tariff of a store gives those of its other
// classes.
func TestLeastCharged(t *testing.T) {
	const kib = 1 << 10
	deep := price.Bucket("DEEP_ARCHIVE", "us-east-1")
	for _, c := range []struct {
		class       string
		size, least int64
		month       string // of 8,192 archives of that size
	}{
		{"GLACIER_IR", 10 * kib, 128 * kib, "0.004"},
		{"GLACIER_IR", 128 * kib, 128 * kib, "0.004"},
		{"GLACIER_IR", 256 * kib, 128 * kib, "0.008"},
		{"STANDARD", 10 * kib, 0, "0.001796875"},
		{"DEEP_ARCHIVE", 0, 0, "0.001684999"}, // 32 KiB by its rate, and 8 KiB by that of STANDARD
		{"STANDARD_IA", 10 * kib, 128 * kib, "unknown"},
		{"FROZEN", 10 * kib, 0, "unknown"},
	} {
		tariff := deep.Of(c.class)
		if got := price.Least(c.class); got != c.least || tariff.Class == c.class && tariff.Charged(c.size) != max(c.size, c.least) {
			t.Errorf("%s: %d at the least, %d of %d", c.class, got, tariff.Charged(c.size), c.size)
		}
		if got := tariff.Stored(8192, 8192*c.size).String(); got != c.month {
			t.Errorf("%s, %d bytes: %s a month, want %s", c.class, c.size, got, c.month)
		}
	}
	if got := deep.Of("GLACIER_IR").EarlyDeletion(8192, 8192, 30*24*time.Hour).String(); got != "0.004" {
		t.Errorf("to delete small ones a month early: %s", got)
	}
	if vault := price.Vault("us-east-1"); vault.Of("GLACIER_IR").Class != "" || deep.Of("").Class != "DEEP_ARCHIVE" {
		t.Error("a tariff without classes, or of none, is another one")
	}
	if got := price.ShortestOf("STANDARD", time.Hour) + price.ShortestOf("FROZEN", time.Hour) + price.ShortestOf("", time.Hour); got != 2*time.Hour {
		t.Errorf("shortest times of what is known and what isn't: %v", got)
	}
}

// TestBillsTogether: what two classes are charged for is one bill, line by line.
func TestBillsTogether(t *testing.T) {
	need := price.Need{Requests: 1000, Retrieve: 1 << 30, Transfer: 1 << 30, Days: 3}
	warm, deep := price.Bucket("GLACIER_IR", "us-east-1"), price.Bucket("DEEP_ARCHIVE", "us-east-1")
	both := warm.Bill(firn.Bulk, need).Plus(deep.Bill(firn.Bulk, need))
	var got []string
	for _, l := range both {
		got = append(got, l.Cost.String())
	}
	if want := []string{"0.035", "0.0325", "0.18", "0.003066667"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if both[0].Units != 2000 || both[3].Units != 4<<30 {
		t.Errorf("%+v", both)
	}
}

// TestGivenClasses: prices of a class that somebody knows better take the place of
// firn's, and its overhead, of which a part is charged for at another rate, goes by
// them.
func TestGivenClasses(t *testing.T) {
	given := func(pairs ...string) map[price.Item]price.Price {
		prices := map[price.Item]price.Price{}
		for i := 0; i < len(pairs); i += 2 {
			item, p, err := price.Given(pairs[i], pairs[i+1], "a bill")
			if err != nil {
				t.Fatal(err)
			}
			prices[item] = p
		}
		return prices
	}
	day := time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)
	own := price.Shipped().
		With("eu-west-1", "DEEP_ARCHIVE", day, given("storage", "0.002", "thawed_copy", "0.024")).
		With("eu-west-1", "GLACIER_IR", day, given("retrieve_standard", "0.04")).
		With("fr-par", "COLD", day, given("storage", "0.003")).
		With("us-east-1", "STANDARD", day, given("storage", "0.03"))
	deep := own.Bucket("DEEP_ARCHIVE", "eu-west-1")
	if !deep.Exact() || deep.Overhead != 32<<10+12*8<<10 || deep.Shortest != 180*24*time.Hour || !deep.Thaws {
		t.Errorf("%+v", deep)
	}
	if got := deep.EarlyDeletion(0, 1<<30, 60*24*time.Hour).String(); got != "0.004" {
		t.Errorf("early deletion goes by storage: %s", got)
	}
	if deep.Cost(price.Upload, 1).Known || own.Vault("eu-west-1").Exact() {
		t.Error("a price that nobody gave")
	}
	if ir := own.Bucket("GLACIER_IR", "eu-west-1"); ir.Overhead != 0 || ir.Thaws {
		t.Errorf("%+v", ir)
	}
	if cold := own.Bucket("COLD", "fr-par"); !cold.Exact() || cold.Shortest != 0 || cold.Cost(price.Storage, 1<<30).String() != "0.003" {
		t.Errorf("%+v", cold)
	}
	if got := own.Bucket("STANDARD", "us-east-1").EarlyDeletion(1, 1<<30, time.Hour).String(); got != "0.00" {
		t.Errorf("STANDARD has a shortest time: %s", got)
	}
	if other := own.Bucket("DEEP_ARCHIVE", "ap-south-1"); other.Exact() || other.Region != "us-east-1" {
		t.Errorf("%s for %s", other.Region, other.For)
	}
}

// TestSending: of what comes in parts to a class that thaws only the last request is of
// the class; that of STANDARD in another region says nothing.
func TestSending(t *testing.T) {
	own := price.Shipped().With("eu-west-1", "DEEP_ARCHIVE", time.Unix(0, 0), map[price.Item]price.Price{price.Upload: {Amount: price.Dollar, Per: 1000}})
	for _, c := range []struct {
		name         string
		tariff       price.Tariff
		store, parts int64
		want         string
	}{
		{"one", price.Bucket("DEEP_ARCHIVE", "us-east-1"), 1, 0, "0.00005"},
		{"parts", price.Bucket("DEEP_ARCHIVE", "us-east-1"), 2, 1000, "0.0051"},
		{"GLACIER", price.Bucket("GLACIER", "us-east-1"), 1, 10, "0.00008"},
		{"GLACIER_IR", price.Bucket("GLACIER_IR", "us-east-1"), 1, 10, "0.00022"},
		{"STANDARD", price.Bucket("STANDARD", "us-east-1"), 1, 10, "0.000055"},
		{"another region", price.Bucket("DEEP_ARCHIVE", "eu-west-1"), 1, 10, "0.0001"},
		{"a price of one's own", own.Bucket("DEEP_ARCHIVE", "eu-west-1"), 1, 10, "0.011"},
		{"a vault", price.Vault("us-east-1"), 1, 10, "0.00033"},
		{"a folder", price.Local(), 1, 10, "0.00"},
	} {
		if got := c.tariff.Sending(c.store, c.parts); !got.Known || got.String() != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		tariff price.Tariff
		want   price.Sum
	}{
		{price.Bucket("DEEP_ARCHIVE", "us-east-1"), price.Sum{Amount: 23 * price.Dollar / 1000, Known: true}},
		{price.Bucket("GLACIER_IR", "us-east-1"), price.Sum{Amount: 4 * price.Dollar / 1000, Known: true}},
		{price.Vault("us-east-1"), price.Sum{Amount: 36 * price.Dollar / 10_000, Known: true}},
		{own.Bucket("DEEP_ARCHIVE", "eu-west-1"), price.Sum{}},
	} {
		if got := c.tariff.Staged(1 << 30); got != c.want {
			t.Errorf("%s: %v, want %v", c.tariff.Class, got, c.want)
		}
	}
	if price.PartsClass("") != "" || price.PartsClass("GLACIER") != "STANDARD" {
		t.Error("the class of parts")
	}
}
