package cli

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
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
	bill := &billing{costOptions: &costOptions{}, s: &session{ui: ui.New(ui.Options{Stdout: talk, Stderr: talk})}, tariff: unknown, snapshots: unknown}
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
