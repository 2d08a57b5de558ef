package price

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
)

func TestAmountsAsText(t *testing.T) {
	for text, want := range map[string]Amount{
		"0": 0, "5": 5 * Dollar, "0.0512": 51_200_000, "$1.50": 1_500_000_000, "0.000000001": 1, "9223372036.854775807": math.MaxInt64,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for a, want := range map[Amount]string{
		0: "0.00", 5 * Dollar: "5.00", 51_200_000: "0.0512", 1: "0.000000001", 1_500_000_000: "1.50",
		-Dollar / 4: "-0.25", math.MinInt64: "-9223372036.854775808",
	} {
		if got := a.String(); got != want {
			t.Errorf("%d: %s, want %s", int64(a), got, want)
		}
	}
	for _, bad := range []string{"", "$", ".", ".5", "5.", "-1", "+1", "1e3", "1,5", "0.0000000001", "9223372036.854775808", " 1", "1 USD", "\u0661"} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		} else if !strings.Contains(err.Error(), "dollars") {
			t.Errorf("%q: the error doesn't say what is wanted: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0", "$5", "0.0512", "9223372036.854775807", ".", "-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		if b, err := Parse(a.String()); a < 0 || err != nil || b != a {
			t.Errorf("%q is %d, and written again %v, %v", s, int64(a), b, err)
		}
	})
}

// TestCostsAreRoundedUp: a limit on money is never passed by rounding, and what
// costs anything never costs nothing.
func TestCostsAreRoundedUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Price{Amount: Amount(rapid.Int64Range(1, 100*int64(Dollar)).Draw(t, "amount")), Per: rapid.Int64Range(1, 1<<30).Draw(t, "per")}
		n := rapid.Int64Range(1, 80_000_000).Draw(t, "n")
		whole, rest := n/p.Per, n%p.Per
		want := Amount(whole)*p.Amount + (Amount(rest)*p.Amount+Amount(p.Per)-1)/Amount(p.Per)
		if got := p.Cost(n); got != want || got < 1 {
			t.Errorf("%d of %d for %d: %d, want %d", n, p.Per, p.Amount, got, want)
		}
	})
	large := Price{Amount: 100 * Dollar, Per: 1}
	if got := large.Cost(math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("a cost that is too large for an Amount is %v", got)
	}
	if got := (Price{Amount: math.MaxInt64, Per: math.MaxInt64}).Cost(math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("the largest cost is %v", got)
	}
	if got := large.Cost(-1); got != 0 {
		t.Errorf("less than nothing costs %v", got)
	}
}

// TestVaultBills: worked by hand, in the prices of us-east-1.
func TestVaultBills(t *testing.T) {
	v := Vault("us-east-1")
	for name, c := range map[string]struct {
		got  Sum
		want string
	}{
		"a thousand requests":            {v.Cost(Upload, 1000), "0.03"},
		"one request":                    {v.Cost(Upload, 1), "0.00003"},
		"a GiB, but for its overhead":    {v.Stored(1, 1<<30-32<<10), "0.0036"},
		"32,768 archives without a byte": {v.Stored(32768, 0), "0.0036"},
		"deleted at once":                {v.EarlyDeletion(32768, 0, 90*24*time.Hour), "0.0108"},
		"deleted after 80 days":          {v.EarlyDeletion(32768, 0, 10*24*time.Hour), "0.0012"},
		"deleted in time":                {v.EarlyDeletion(32768, 0, -time.Hour), "0.00"},
		"expedited requests":             {v.Cost(RequestExpedited, 100), "1.00"},
		"bulk":                           {v.Cost(RetrieveBulk, 1<<30), "0.0025"},
		"bulk requests":                  {v.Cost(RequestBulk, 1000), "0.025"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestRetrievals: requests and bytes of a tier together, and unknown as soon as
// one that is needed is.
func TestRetrievals(t *testing.T) {
	v := Vault("us-east-1")
	for name, c := range map[string]struct {
		got  Sum
		want string
	}{
		"a thousand GiB":                  {v.Retrieval(firn.Standard, 1000, 1000<<30), "10.03"},
		"one byte":                        {v.Retrieval(firn.Standard, 1, 1), "0.000030001"},
		"expedited":                       {v.Retrieval(firn.Expedited, 10, 10<<30), "0.40"},
		"bulk":                            {v.Retrieval(firn.Bulk, 1000, 10<<30), "0.05"},
		"nothing":                         {v.Retrieval(firn.Bulk, 0, 0), "0.00"},
		"a tier that isn't there":         {v.Retrieval("soon", 0, 0), "unknown"},
		"of a tariff that knows nothing":  {(Tariff{}).Retrieval(firn.Standard, 1, 1), "unknown"},
		"of a folder":                     {Local().Retrieval(firn.Bulk, 1, 1<<40), "0.00"},
		"more than there is money":        {Sum{Amount: math.MaxInt64 - 1, Known: true}.Plus(v.Retrieval(firn.Standard, 1, 0)), "9223372036.854775807"},
		"the way out, of what is brought": {v.Retrieval(firn.Standard, 0, 1<<30).Plus(v.Cost(TransferOut, 1<<30)), "0.10"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestBillOfARetrieval: by line, with what is doubtful about it.
func TestBillOfARetrieval(t *testing.T) {
	need := Need{Requests: 1000, Retrieve: 10 << 30, Transfer: 5 << 30}
	for name, c := range map[string]struct {
		bill  Bill
		lines [3]string
		total string
		doubt string
	}{
		"bulk":           {Vault("us-east-1").Bill(firn.Bulk, need), [3]string{"0.025", "0.025", "0.45"}, "0.50", "an older list"},
		"standard":       {Vault("us-east-1").Bill(firn.Standard, need), [3]string{"0.03", "0.10", "0.45"}, "0.58", "0.05 for 1,000"},
		"expedited":      {Vault("us-east-1").Bill(firn.Expedited, need), [3]string{"10.00", "0.30", "0.45"}, "10.75", ""},
		"of a folder":    {Local().Bill(firn.Bulk, need), [3]string{"0.00", "0.00", "0.00"}, "0.00", ""},
		"unknown":        {Tariff{}.Bill(firn.Bulk, need), [3]string{"unknown", "unknown", "unknown"}, "unknown", ""},
		"asked for":      {Vault("us-east-1").Bill(firn.Bulk, Need{Transfer: 1 << 30}), [3]string{"0.00", "0.00", "0.09"}, "0.09", ""},
		"another region": {Vault("eu-west-1").Bill(firn.Bulk, need), [3]string{"0.025", "0.025", "0.45"}, "0.50", "an older list"},
	} {
		for i, l := range c.bill {
			if got := l.Cost.String(); got != c.lines[i] {
				t.Errorf("%s, %s: %s, want %s", name, l.Item, got, c.lines[i])
			}
		}
		total := c.bill.Total()
		if total.String() != c.total || (c.doubt == "") != (total.Doubt == "") || !strings.Contains(total.Doubt, c.doubt) {
			t.Errorf("%s: %+v, want %s, %q", name, total, c.total, c.doubt)
		}
	}
	bulk, standard := Vault("us-east-1").Retrieval(firn.Bulk, 1, 1), Vault("us-east-1").Retrieval(firn.Standard, 1, 1)
	if got, want := bulk.Plus(standard).Plus(bulk).Doubt, bulk.Doubt+"; "+standard.Doubt; got != want {
		t.Errorf("both: %q, want %q", got, want)
	}
}

// TestUnknownIsNotFree: nothing is said of prices that nobody has told, and
// those of another region are known as such.
func TestUnknownIsNotFree(t *testing.T) {
	if s := (Tariff{}).Cost(Upload, 1); s.Known {
		t.Errorf("a tariff that knows nothing says %v", s)
	}
	if s := (Tariff{}).EarlyDeletion(1, 1, Month); s.Known || (Tariff{}).Exact() {
		t.Errorf("a tariff that knows nothing says %v", s)
	}
	if s := Local().Stored(1<<20, 1<<40); !s.Known || s.Amount != 0 || !Local().Exact() {
		t.Errorf("a folder charges %v", s)
	}
	other := Vault("eu-west-1")
	if other.Exact() || other.For != "eu-west-1" || other.Region != "us-east-1" || !Vault("us-east-1").Exact() {
		t.Errorf("prices of %s for %s, exact: %t", other.Region, other.For, other.Exact())
	}
	if !other.Cost(Upload, 1).Known {
		t.Error("the prices of another region are not even shown")
	}
}

// TestTablesSayWhereTheyAreFrom: each price has a source, and is for something.
func TestTablesSayWhereTheyAreFrom(t *testing.T) {
	seen := map[string]bool{}
	for _, table := range vaultTables() {
		if table.AsOf.IsZero() || table.Region == "" || seen[table.Region] || len(table.Prices) == 0 {
			t.Errorf("the table of %q has no day, no price, or is there twice", table.Region)
		}
		seen[table.Region] = true
		for item, p := range table.Prices {
			if p.Source == "" || p.Amount <= 0 || p.Per <= 0 || p.Confidence > Confirmed || (p.Doubt == "") == (p.Confidence == Disputed) {
				t.Errorf("%s, %s: %+v", table.Region, item, p)
			}
		}
	}
}

func TestPricedChoice(t *testing.T) {
	c := Vault("us-east-1").Priced(Choice{Archives: 2, Requests: 1000, Bytes: 5000}, 4000)
	if c.Overhead != 1000+64<<10 || c.Upload.String() != "0.03" || !c.Month.Known {
		t.Errorf("%+v", c)
	}
	if c := Local().Priced(Choice{Archives: 2, Requests: 2, Bytes: 5000}, 4000); c.Overhead != 1000 || c.Upload.Amount != 0 {
		t.Errorf("%+v", c)
	}
	for c, want := range map[Confidence]string{Confirmed: "confirmed", OneSource: "one source", Disputed: "disputed"} {
		if c.String() != want {
			t.Errorf("%d is named %s", c, c)
		}
	}
}
