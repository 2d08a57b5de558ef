package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/worktest"
)

// slowStore is a store that takes hours, and is asked for nothing.
type slowStore struct{ firn.Store }

func (slowStore) Traits() firn.Traits { return firn.Traits{} }

// newBill gives the bill of a command, and where it talks to.
func newBill(t *testing.T, prices price.Tariff, options ...string) (*restoreBill, *strings.Builder) {
	t.Helper()
	talk := &strings.Builder{}
	a := &app{env: testEnv(t), ui: ui.New(ui.Options{Stdout: talk, Stderr: talk})}
	var o *restoreOptions
	cmd := newRestoreCmd(a, func(_ context.Context, got *restoreOptions) error { o = got; return nil })
	if err := cmd.ParseFlags(options); err != nil {
		t.Fatal(err)
	}
	if err := cmd.RunE(cmd, []string{"local:x"}); err != nil {
		t.Fatal(err)
	}
	a.ui = ui.New(ui.Options{Stdout: talk, Stderr: talk})
	return &restoreBill{restoreOptions: o, s: &session{ui: a.ui}, prices: prices}, talk
}

// begin begins a restore that no catalog knows.
func begin(t *testing.T, b *restoreBill, r *restore.Options) {
	t.Helper()
	bench := worktest.New(t, storetest.MemoryOptions{})
	r.Catalog, r.Row = bench.Catalog, bench.Row
	if err := b.begin(t.Context(), r, "a key"); err != nil {
		t.Fatal(err)
	}
}

// somePlan is one of a terabyte in a thousand archives.
func somePlan() restore.Plan {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return restore.Plan{
		Files: 12345, Bytes: 1 << 40, Equal: firn.Count{Files: 20, Bytes: 5}, Skipped: firn.Count{Files: 2}, Left: firn.Count{Files: 1},
		Archives: 1000, Requests: 1024, RetrieveBytes: 1 << 40, Taken: 3, DownloadBytes: 1 << 39,
		Waves: 3, Rate: 5 << 20, RateKnown: true, Tier: firn.Bulk, Now: now, Earliest: now.Add(30 * time.Hour), Latest: now.Add(90 * time.Hour),
	}
}

func TestPlanForPeople(t *testing.T) {
	b, talk := newBill(t, price.Vault("us-east-1"), "--to", "x", "--yes")
	r := restore.Options{Store: slowStore{}, Trees: []catalog.Tree{{Name: "photos"}}, To: "/x"}
	begin(t, b, &r)
	if err := r.Agree(t.Context(), somePlan()); err != nil {
		t.Fatal(err)
	}
	want := `to bring back: 12,345 files, 1.00 TiB; 20 in place already; 2 can't be brought back; 1 left by the limits
from 1,000 archives: 1,024 retrievals of 1.00 TiB; 512 GiB to download
3 retrievals more that were asked for before, and cost nothing again
in 3 portions, each as much as can be downloaded before it is gone, at 5.00 MiB/s as measured
  tier                       cost   ready in
  bulk (chosen)            $48.67   1 day 6 h to 3 days 18 h
  standard                 $56.35   1 day 8 h to 2 days 14 h
  expedited                $87.04   1 day 5 h to 2 days 9 h
  prices of us-east-1, as of 2026-11-21, with the transfer over the internet, without taxes
  the prices of bulk retrievals are those of an older list: the present one has none
  another list has 0.05 for 1,000 standard requests
`
	if diff := cmp.Diff(want, talk.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	talk.Reset()
	b.prices = price.Local()
	if err := b.agree(t.Context(), &r, somePlan()); err != nil || strings.Contains(talk.String(), "$") || !strings.Contains(talk.String(), "nothing") {
		t.Errorf("of a store that charges nothing: %v\n%s", err, talk)
	}
}

// TestPlanOfPortionsThatThaw: in S3 each portion is as much as is downloaded while the
// next one thaws.
func TestPlanOfPortionsThatThaw(t *testing.T) {
	b, talk := newBill(t, price.Bucket("DEEP_ARCHIVE", "us-east-1"), "--to", "x", "--yes")
	r := restore.Options{Store: slowStore{}, Trees: []catalog.Tree{{Name: "photos"}}, To: "/x"}
	begin(t, b, &r)
	p := somePlan()
	p.ThawDays, p.Shares = 5, []restore.Share{{Class: "DEEP_ARCHIVE", Requests: p.Requests, RetrieveBytes: p.RetrieveBytes, Download: p.DownloadBytes}}
	if err := r.Agree(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	// 1,024 GB by bulk are $2.56, 1,024 requests $0.0256, their copies for six days
	// $4.7104, and 512 GB over the internet $46.08.
	if got := b.bill(firn.Bulk, b.need).Total().Amount.String(); got != "53.376" {
		t.Errorf("$%s", got)
	}
	for _, want := range []string{
		"from 1,000 archives: 1.00 TiB thaw, as whole archives, and can be read for 5 days; 512 GiB to download\n",
		"in 3 portions, each as much as is downloaded while the next one thaws, at 5.00 MiB/s as measured\n",
	} {
		if !strings.Contains(talk.String(), want) {
			t.Errorf("it doesn't say %q:\n%s", want, talk)
		}
	}
}

// TestAgreeToRestores: where nobody can be asked.
func TestAgreeToRestores(t *testing.T) {
	cheap, dear := somePlan(), somePlan()
	cheap.Requests, cheap.RetrieveBytes, cheap.DownloadBytes = 100, 40<<30, 40<<30 // $3.7025
	taken := somePlan()
	taken.Requests, taken.RetrieveBytes, taken.DownloadBytes = 0, 0, 0
	expedited := cheap
	expedited.Tier = firn.Expedited
	few := expedited
	few.Archives = 100
	for name, c := range map[string]struct {
		plans   []restore.Plan
		prices  price.Tariff
		options []string
		want    string // of the last one's error; empty: none
	}{
		"cheap":                     {[]restore.Plan{cheap}, price.Vault("us-east-1"), nil, ""},
		"dear":                      {[]restore.Plan{dear}, price.Vault("us-east-1"), nil, "give --yes or --max-cost 48.6656"},
		"dear, and yes":             {[]restore.Plan{dear}, price.Vault("us-east-1"), []string{"--yes"}, ""},
		"within the limit":          {[]restore.Plan{dear}, price.Vault("us-east-1"), []string{"--max-cost", "49"}, ""},
		"beyond it":                 {[]restore.Plan{dear}, price.Vault("us-east-1"), []string{"--max-cost", "48"}, "more than --max-cost 48"},
		"two that are cheap alone":  {[]restore.Plan{cheap, cheap}, price.Vault("us-east-1"), nil, "$7.405: that needs a yes"},
		"free":                      {[]restore.Plan{expedited}, price.Local(), nil, ""},
		"unknown":                   {[]restore.Plan{cheap}, price.Tariff{}, nil, "a price that is not known"},
		"nothing to ask for":        {[]restore.Plan{taken}, price.Tariff{}, nil, ""},
		"a dry run":                 {[]restore.Plan{dear}, price.Vault("us-east-1"), []string{"--dry-run"}, ""},
		"many, expedited":           {[]restore.Plan{expedited}, price.Vault("us-east-1"), []string{"--tier", "expedited", "--yes"}, "need --max-cost"},
		"many, perhaps expedited":   {[]restore.Plan{cheap}, price.Vault("us-east-1"), []string{"--tier", "bulk,expedited"}, "need --max-cost"},
		"many, within the limit":    {[]restore.Plan{expedited}, price.Vault("us-east-1"), []string{"--tier", "expedited", "--max-cost", "10"}, ""},
		"many, of an unknown price": {[]restore.Plan{expedited}, price.Tariff{}, []string{"--tier", "expedited", "--yes"}, "need --max-cost"},
		"few":                       {[]restore.Plan{few}, price.Vault("us-east-1"), []string{"--tier", "expedited", "--yes"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := newBill(t, c.prices, append(c.options, "--to", "x")...)
			for i, p := range c.plans {
				r := restore.Options{Store: slowStore{}}
				begin(t, b, &r)
				err := r.Agree(t.Context(), p)
				switch last := i == len(c.plans)-1; {
				case !last || c.want == "":
					if err != nil {
						t.Errorf("plan %d: %v", i, err)
					}
				case firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), c.want):
					t.Errorf("%v, want %s", err, c.want)
				}
			}
		})
	}
}

// TestSpendingIsBounded: what expires is asked for again, but not for ever.
func TestSpendingIsBounded(t *testing.T) {
	plan := somePlan() // $48.6656, of which $46.08 are the transfer
	for name, c := range map[string]struct {
		options  []string
		requests int64
		bytes    int64
		want     string // of the error; empty: none
	}{
		"as planned":               {nil, 1024, 1 << 40, ""},
		"each once more":           {nil, 2048, 2 << 40, ""},
		"many times":               {nil, 100 << 10, 20 << 40, "makes $99.84 in all, more than twice what was planned, $97.3312;"},
		"many times, after a yes":  {[]string{"--yes"}, 100 << 10, 20 << 40, ""},
		"as planned, at the limit": {[]string{"--max-cost", "48.6656"}, 1024, 1 << 40, ""},
		"beyond the limit":         {[]string{"--max-cost", "48.6656"}, 1025, 1 << 40, "makes $48.665625 in all, more than --max-cost, $48.6656;"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := newBill(t, price.Vault("us-east-1"), append(c.options, "--to", "x")...)
			r := restore.Options{Store: slowStore{}}
			begin(t, b, &r)
			_ = r.Agree(t.Context(), plan) // whatever it says
			err := r.Afford(firn.Bulk, restore.Spent{Requests: c.requests, Bytes: c.bytes})
			if c.want == "" && err != nil || c.want != "" && (firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	b, _ := newBill(t, price.Local(), "--to", "x")
	r := restore.Options{Store: slowStore{}}
	if begin(t, b, &r); r.Afford != nil {
		t.Error("a store that charges nothing has a limit")
	}
}

// TestALaterProcessIsBoundedToo: by what the restore takes that it goes on with.
func TestALaterProcessIsBoundedToo(t *testing.T) {
	bench := worktest.New(t, storetest.MemoryOptions{JobDelay: time.Hour})
	bench.Write("a", "one")
	bench.Write("b", "two")
	bench.Sync()
	downloader, err := transfer.NewDownloader(bench.Store, transfer.DownloadOptions{Clock: bench.Clock, Events: bench.Events})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := newBill(t, price.Vault("us-east-1"), "--to", "x")
	r := restore.Options{
		Catalog: bench.Catalog, Row: bench.Row, Store: bench.Store, Downloader: downloader, Clock: bench.Clock, Events: bench.Events,
		Trees: []catalog.Tree{bench.Tree()}, To: t.TempDir(),
	}
	key, err := restore.Key(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.begin(t.Context(), &r, key); err != nil {
		t.Fatal(err)
	}
	res, err := restore.Run(t.Context(), r)
	if err != nil || !res.Pending() {
		t.Fatal(res, err)
	}
	first := b.need
	later, _ := newBill(t, price.Vault("us-east-1"), "--to", "x")
	if err := later.begin(t.Context(), &r, key); err != nil {
		t.Fatal(err)
	}
	if later.need != first || first.Requests != 2 || first.Transfer != 6 {
		t.Errorf("it takes %+v, and was agreed to for %+v", later.need, first)
	}
	if err := r.Afford(firn.Expedited, restore.Spent{Requests: 499, Bytes: 6}); err != nil { // $4.99
		t.Errorf("what needs no yes is refused: %v", err)
	}
	if err := r.Afford(firn.Expedited, restore.Spent{Requests: 501, Bytes: 6}); firn.KindOf(err) != firn.Usage {
		t.Errorf("as often as it likes: %v", err)
	}
}

func TestValuesOfRestore(t *testing.T) {
	var l tierList
	for in, want := range map[string]string{"bulk": "bulk", "expedited,standard": "expedited,standard", "standard, bulk": "standard,bulk"} {
		if err := l.Set(in); err != nil || l.String() != want {
			t.Errorf("%q: %v, %v", in, l, err)
		}
	}
	for _, bad := range []string{"", ",", "bulk,", "Bulk", "bulk,standard,bulk"} {
		if err := l.Set(bad); err == nil {
			t.Errorf("%q is read as %v", bad, l)
		}
	}
	var r hourlyRate
	for in, want := range map[string]int64{"10G": 10 << 30, "10G/h": 10 << 30, "1": 1} {
		if err := r.Set(in); err != nil || int64(r.byteSize) != want {
			t.Errorf("%q: %d, %v", in, r.byteSize, err)
		}
	}
	for _, bad := range []string{"", "0", "/h", "10G/s", "-1"} {
		if err := r.Set(bad); err == nil {
			t.Errorf("%q is read as %d", bad, r.byteSize)
		}
	}
}
