package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// TestUnknownClass: of a class that nobody knows the prices of, nothing is priced, and
// it is said what to do.
func TestUnknownClass(t *testing.T) {
	unknown := price.Bucket("FROZEN", "us-east-1")
	b, talk := newBill(t, unknown, "--to", "x", "--dry-run")
	r := restore.Options{Store: slowStore{}, Trees: []catalog.Tree{{Name: "photos"}}, To: "/x"}
	begin(t, b, &r)
	if err := r.Agree(t.Context(), somePlan()); err != nil {
		t.Fatal(err)
	}
	bill := &billing{costOptions: &costOptions{}, s: &session{ui: ui.New(ui.Options{Stdout: talk, Stderr: talk})}, tariff: unknown}
	if err := bill.show(billRecord{}, []billItem{{Span: spanMonth, Item: "storage"}}); err != nil {
		t.Fatal(err)
	}
	if said := talk.String(); strings.Count(said, "no prices of it are known; docs/costs.md says") != 2 || strings.Contains(said, "0001") || !strings.Contains(said, "unknown") {
		t.Errorf("it says\n%s", said)
	}
}

// TestBundlingGoesByClass: what the user gave counts, the rest is the class's.
func TestBundlingGoesByClass(t *testing.T) {
	env := wire.Env{Getenv: func(string) string { return t.TempDir() }}
	for _, c := range []struct {
		class, args string
		want        syncer.Bundling
		wrong       bool
	}{
		{class: "", want: syncer.Bundling{Below: 1 << 20, Size: 64 << 20}},
		{class: "GLACIER", want: syncer.Bundling{Below: 1 << 20, Size: 64 << 20}},
		{class: "DEEP_ARCHIVE", want: syncer.Bundling{Below: 8 << 20, Size: 256 << 20}},
		{class: "DEEP_ARCHIVE", args: "--bundle-below 1M", want: syncer.Bundling{Below: 1 << 20, Size: 256 << 20}},
		{class: "DEEP_ARCHIVE", args: "--bundle-below 100M", want: syncer.Bundling{Below: 100 << 20, Size: 256 << 20}},
		{class: "DEEP_ARCHIVE", args: "--bundle-size 4M", want: syncer.Bundling{Below: 4 << 20, Size: 4 << 20}},
		{class: "DEEP_ARCHIVE", args: "--bundle-size 64M --bundle-below 2M", want: syncer.Bundling{Below: 2 << 20, Size: 64 << 20}},
		{class: "DEEP_ARCHIVE", args: "--no-bundle", want: syncer.Bundling{}},
		{class: "", args: "--bundle-below 100M", wrong: true},
		{class: "DEEP_ARCHIVE", args: "--bundle-below 300M", wrong: true},
	} {
		var o bundleOptions
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.addFlags(flags)
		if err := flags.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		if err := o.check(); err != nil {
			t.Errorf("%s: %v before the class is known", c.args, err)
		}
		got, err := o.bundling(env, c.class)
		got.Spool = ""
		if c.wrong != (firn.KindOf(err) == firn.Usage) || !c.wrong && (err != nil || got != c.want) {
			t.Errorf("%s %s: %+v, %v; want %+v", c.class, c.args, got, err, c.want)
		}
	}
}

// TestOddClassInBill: archives of a class that firn has no prices of, in a store of one
// that it has, cost nobody knows what, and not what those of the store do.
func TestOddClassInBill(t *testing.T) {
	cat, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	bill := &billing{costOptions: &costOptions{}, s: &session{catalog: cat}, tariff: price.Bucket("DEEP_ARCHIVE", "us-east-1")}
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for class, known := range map[string]bool{"DEEP_ARCHIVE": true, "GLACIER_IR": true, "STANDARD_IA": false} {
		kept := []catalog.Keeping{{Kind: catalog.FileArchive, Class: class, Archives: 1, Charged: 1 << 30, ArchiveHours: 24, ByteHours: 24 << 30, EarlyArchives: 1, EarlyBytes: 1 << 30, EarlyHours: 24, EarlyByteHours: 24 << 30}}
		month, err := bill.month(t.Context(), kept, from, from.AddDate(0, 1, 0))
		if err != nil {
			t.Fatal(err)
		}
		today, err := bill.today(t.Context(), kept)
		if err != nil {
			t.Fatal(err)
		}
		if stored, early := month[0].sum, today[len(today)-1].sum; stored.Known != known || early.Known != known {
			t.Errorf("%s: a month costs %v, to delete it %v", class, stored, early)
		}
	}
}
