package price

import (
	"strings"
	"testing"
	"time"
)

var aDay = time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)

func given(t *testing.T, key, dollars string) map[Item]Price {
	t.Helper()
	item, p, err := Given(key, dollars, "a bill")
	if err != nil {
		t.Fatal(err)
	}
	return map[Item]Price{item: p}
}

// TestGivenPrices: they take the place of those that firn has, and nothing else
// does; the tables they are put into stay what they were.
func TestGivenPrices(t *testing.T) {
	own := Shipped().With("us-east-1", "", aDay, given(t, "upload", "0.05")).With("eu-west-1", "", aDay, given(t, "storage", "0.00405"))
	v := own.Vault("us-east-1")
	if got := v.Cost(Upload, 1000).String(); got != "0.05" || !v.AsOf.Equal(aDay) {
		t.Errorf("a thousand requests: %s as of %v", got, v.AsOf)
	}
	if got := v.Cost(Storage, gb).String(); got != "0.0036" {
		t.Errorf("what wasn't given: %s", got)
	}
	eu := own.Vault("eu-west-1")
	if got := eu.Stored(32768, 0).String(); got != "0.00405" || !eu.Exact() {
		t.Errorf("the overhead of another region: %s", got)
	}
	if got := eu.EarlyDeletion(32768, 0, 60*24*time.Hour).String(); got != "0.0081" {
		t.Errorf("early deletion goes by storage: %s", got)
	}
	if got := eu.Cost(Upload, 1); got.Known {
		t.Errorf("a price that nobody gave: %v", got)
	}
	if got := Shipped().Vault("us-east-1").Cost(Upload, 1000).String(); got != "0.03" {
		t.Errorf("firn's own table has changed: %s", got)
	}
}

func TestWrongPrices(t *testing.T) {
	for key, dollars := range map[string]string{"storage": "much", "shipping": "1.00", "early delete": "1.00", "": "1.00", "upload": "-1"} {
		if _, p, err := Given(key, dollars, ""); err == nil {
			t.Errorf("%s = %s is %+v", key, dollars, p)
		}
	}
	for _, key := range Keys() {
		if _, p, err := Given(key, "1.00", ""); err != nil || strings.Contains(key, " ") || p.Per < 1 {
			t.Errorf("%s: %+v, %v", key, p, err)
		}
	}
	for item := range Shipped()[0].Prices {
		if units()[item] != Shipped()[0].Prices[item].Per {
			t.Errorf("%s can't be given as the table has it", item)
		}
	}
}

// TestHours: what is there all month long costs what a month costs, however long
// that is; and what is left of 90 days, by months of 30.
func TestHours(t *testing.T) {
	v := Vault("us-east-1")
	for _, days := range []float64{28, 30, 31} {
		month := time.Duration(days) * 24 * time.Hour
		if got := v.Kept(32768*month.Hours(), 0, month); got != v.Stored(32768, 0) {
			t.Errorf("%v days: %v", days, got)
		}
		if got := v.Kept(0, month.Hours()*gb/2, month).String(); got != "0.0018" {
			t.Errorf("half a GiB for %v days: %v", days, got)
		}
	}
	left := 10 * 24 * time.Hour
	if got := v.EarlyHours(32768*left.Hours(), 0); got != v.EarlyDeletion(32768, 0, left) {
		t.Errorf("early deletion: %v", got)
	}
	if got := v.EarlyHours(0, 0); !got.Known || got.Amount != 0 {
		t.Errorf("nothing left: %v", got)
	}
	if got := v.Kept(1e300, 1e300, Month); got.Amount <= 0 {
		t.Errorf("more than there is: %v", got)
	}
}
