package ui

import (
	"testing"

	"github.com/firn-archive/firn/internal/price"
)

func outlookOf(p price.Tariff) Outlook {
	o := Outlook{Store: "glacier:v", Tree: "docs", Prices: p, Files: 11428, Unsure: 2}
	for _, c := range []price.Choice{
		{Archives: 11428, Requests: 11428, Bytes: 6 << 20},
		{Below: 1000, Archives: 190, Requests: 190, Bytes: 7 << 20},
		{Below: 64 << 10, Archives: 12, Requests: 12, Bytes: 8 << 20},
		{Below: 1 << 20, Archives: 1, Requests: 10_000_000, Bytes: 8 << 20, Chosen: true},
	} {
		o.Choices = append(o.Choices, p.Priced(c, 6<<20))
	}
	return o
}

func TestOutlook(t *testing.T) {
	const unsure = "  2 of 11,428 files may be unchanged, which only reading shows: then it is less\n"
	for _, tt := range []struct {
		name   string
		prices price.Tariff
		change []func(*Options)
		want   string
	}{
		{"prices of the region", price.Vault("us-east-1"), nil, `  bundle-below    archives    requests  overhead   upload  a month
  no bundles        11,428      11,428   357 MiB    $0.34   <$0.01
  1,000 B              190         190  6.94 MiB   <$0.01   <$0.01
  64 KiB                12          12  2.38 MiB   <$0.01   <$0.01
  1 MiB (chosen)         1  10,000,000  2.03 MiB  $300.00   <$0.01
  prices of us-east-1 as of 2026-11-21, without taxes
` + unsure},
		{"prices of another region", price.Vault("eu-west-1"), []func(*Options){verbose}, `  bundle-below    archives    requests  overhead   upload  a month
  no bundles        11,428      11,428   357 MiB    $0.34   <$0.01
  1,000 B              190         190  6.94 MiB   <$0.01   <$0.01
  64 KiB                12          12  2.38 MiB   <$0.01   <$0.01
  1 MiB (chosen)         1  10,000,000  2.03 MiB  $300.00   <$0.01
  the prices of eu-west-1 are not known: these are those of us-east-1, as of 2026-11-21
` + unsure},
		{"unknown", price.Tariff{}, nil, `  bundle-below    archives    requests  overhead   upload  a month
  no bundles        11,428      11,428       0 B  unknown  unknown
  1,000 B              190         190  1.00 MiB  unknown  unknown
  64 KiB                12          12  2.00 MiB  unknown  unknown
  1 MiB (chosen)         1  10,000,000  2.00 MiB  unknown  unknown
  what the store charges is not known
` + unsure},
		{"a folder", price.Local(), nil, `  bundle-below    archives  overhead
  no bundles        11,428       0 B
  1,000 B              190  1.00 MiB
  64 KiB                12  2.00 MiB
  1 MiB (chosen)         1  2.00 MiB
` + unsure},
		{"quiet", price.Local(), []func(*Options){quiet}, ""},
		{"quiet, json", price.Local(), []func(*Options){quiet, asJSON}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := record(tt.change...)
			r.Outlook(outlookOf(tt.prices))
			r.check(t, tt.want, "")
		})
	}
}

func TestOutlookAsJSON(t *testing.T) {
	o := outlookOf(price.Vault("us-east-1"))
	o.Choices = o.Choices[3:]
	r := record(asJSON)
	r.Outlook(o)
	o.Prices, o.Choices = price.Tariff{}, []price.Choice{{Archives: 1, Requests: 1, Bytes: 5}}
	r.Outlook(o)
	r.check(t, `{"v":1,"type":"outlook","time":"2026-01-02T03:04:05Z","store":"glacier:v","tree":"docs","region":"us-east-1","prices_region":"us-east-1","prices_as_of":"2026-11-21","files":11428,"unsure":2,"choices":[{"bundle_below":1048576,"chosen":true,"archives":1,"requests":10000000,"bytes":8388608,"overhead":2129920,"upload":"300.00","month":"0.000028235"}]}
{"v":1,"type":"outlook","time":"2026-01-02T03:04:05Z","store":"glacier:v","tree":"docs","files":11428,"unsure":2,"choices":[{"bundle_below":0,"chosen":false,"archives":1,"requests":1,"bytes":5,"overhead":0}]}
`, "")
}

func TestDollars(t *testing.T) {
	for a, want := range map[price.Amount]string{
		0: "$0.00", 1: "<$0.01", price.Dollar / 100: "$0.01", 14_999_999: "$0.01", 15_000_000: "$0.02",
		999_999_999: "$1.00", 1234 * price.Dollar: "$1,234.00",
	} {
		if got := Dollars(price.Sum{Amount: a, Known: true}); got != want {
			t.Errorf("%d: %s, want %s", int64(a), got, want)
		}
	}
	if got := Dollars(price.Sum{Amount: 5}); got != "unknown" {
		t.Errorf("an unknown sum is %s", got)
	}
}
