package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
)

func pricesFile(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), PricesName)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestReadPrices(t *testing.T) {
	got, err := ReadPrices(pricesFile(t, `[vault.eu-west-1]
as_of = 2026-11-01
note = "a bill"
storage = 0.00405
upload = "0.033"

[vault.us-east-1]
as_of = "2026-11-02"
request_bulk = 0

[s3.eu-west-1.DEEP_ARCHIVE]
as_of = 2026-11-03
storage = 0.0018
thawed_copy = 0.024
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []PriceList{
		{Region: "eu-west-1", Line: 1, AsOf: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Note: "a bill",
			Prices: []GivenPrice{{"storage", "0.00405", 4}, {"upload", "0.033", 5}}},
		{Region: "us-east-1", Line: 7, AsOf: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), Prices: []GivenPrice{{"request_bulk", "0", 9}}},
		{Region: "eu-west-1", Class: "DEEP_ARCHIVE", Line: 11, AsOf: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC),
			Prices: []GivenPrice{{"storage", "0.0018", 13}, {"thawed_copy", "0.024", 14}}},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadPrices(filepath.Join(t.TempDir(), "none")); firn.KindOf(err) != firn.NotFound {
		t.Errorf("no file: %v", err)
	}
}

func TestWrongPriceFiles(t *testing.T) {
	for text, want := range map[string]string{
		"storage = 1":                                 `line 1: "storage" is not known here`,
		"vault = 1":                                   `line 1: "vault" is not known here`,
		"[vault]\nstorage = 1":                        `line 2: "storage" is no table of a region`,
		"[vault.Ohio]\nas_of = 2026-11-01":            `line 1: "Ohio" is no table of a region`,
		"[vault.us-east-1]\nstorage = 1":              "line 1: the prices of us-east-1 have no day",
		"[vault.us-east-1]\nas_of = 'soon'":           "line 2: as_of is no day",
		"[vault.us-east-1]\nas_of = 2026-11-01\na=[]": "line 3: a is no price",
		"[vault":                                 "line 1",
		"[s3.us-east-1]\nas_of = 2026-11-01":     `line 2: "as_of" is no table of a storage class: write for example [s3.us-east-1.DEEP_ARCHIVE]`,
		"[s3.us-east-1.deep]\nstorage = 1":       `line 1: "deep" is no table of a storage class`,
		"[s3.Ohio.GLACIER]\nas_of = 2026-11-01":  `line 1: "Ohio" is no table of a region: write for example [s3.eu-west-1.DEEP_ARCHIVE]`,
		"[s3.us-east-1.GLACIER]\nstorage = 0.01": "have no day",
	} {
		_, err := ReadPrices(pricesFile(t, text))
		if err == nil || firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// FuzzReadPrices: whatever is in the file, it is read or refused.
func FuzzReadPrices(f *testing.F) {
	for _, seed := range []string{"[vault.us-east-1]\nas_of = 2026-11-01\nstorage = 1.0\n", "[vault]\nx = {a = 1}", "[[vault.a]]", "[s3.a-b.COLD]\nas_of = 2026-11-01\n", "\ufeff", "a.b.c = 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lists, err := ReadPrices(pricesFile(t, text))
		for _, l := range lists {
			if err == nil && (l.Region == "" || l.AsOf.IsZero()) {
				t.Errorf("%q: %+v", text, l)
			}
		}
	})
}
