package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/ui"
)

// The record of a restore's plan.
type (
	planRecord struct {
		Store          string           `json:"store"`
		Trees          []string         `json:"trees"`
		To             ui.Path          `json:"to"`
		DryRun         bool             `json:"dry_run,omitempty"`
		Files          int64            `json:"files"`
		Bytes          int64            `json:"bytes"`
		Equal          int64            `json:"equal"`
		EqualBytes     int64            `json:"equal_bytes"`
		Skipped        int64            `json:"skipped"`
		Left           int64            `json:"left"`
		Archives       int64            `json:"archives"`
		Requests       int64            `json:"requests"`
		RetrieveBytes  int64            `json:"retrieve_bytes"`
		Hastened       int64            `json:"hastened,omitempty"`
		Taken          int64            `json:"taken"`
		AtOnce         int64            `json:"at_once,omitempty"`
		DownloadBytes  int64            `json:"download_bytes"`
		Waves          int              `json:"waves"`
		ThawDays       int              `json:"thaw_days,omitempty"` // that copies stay at the least
		BytesPerSecond int64            `json:"bytes_per_second,omitempty"`
		Tier           string           `json:"tier"`
		Cost           string           `json:"cost_usd,omitempty"`
		Items          []costItemRecord `json:"items"`
		Region         string           `json:"region,omitempty"`
		PricesRegion   string           `json:"prices_region,omitempty"`
		PricesAsOf     string           `json:"prices_as_of,omitempty"`
		Doubt          string           `json:"doubt,omitempty"`
		Earliest       string           `json:"earliest"`
		Latest         string           `json:"latest"`
		Tiers          []tierRecord     `json:"tiers"`
	}
	tierRecord struct {
		Tier     string `json:"tier"`
		Chosen   bool   `json:"chosen"`
		Cost     string `json:"cost_usd,omitempty"`
		Doubt    string `json:"doubt,omitempty"`
		Earliest string `json:"earliest"`
		Latest   string `json:"latest"`
	}
)

// A tierChoice is what a plan comes to with a tier.
type tierChoice struct {
	tier             firn.Tier
	cost             price.Sum
	earliest, latest time.Time
}

// tiers are those that the store has, the one that was asked for first, the others
// from the cheapest on.
func (b *restoreBill) tiers(p *restore.Plan) (all []tierChoice) {
	for _, tier := range p.Tiers() {
		by := p.By(tier, int64(b.RetrieveRate.byteSize))
		need := b.need
		need.Days = int64(by.ThawDays)
		all = append(all, tierChoice{tier: tier, cost: b.bill(tier, need).Total(), earliest: by.Earliest, latest: by.Latest})
	}
	return all
}

// tell shows a plan: as the result of a dry run, else as talk.
func (b *restoreBill) tell(r *restore.Options, p *restore.Plan) {
	u := b.s.ui
	if u.IsJSON() {
		u.Record("plan", b.record(r, p))
		return
	}
	if r.Store.Traits().InstantJobs {
		return // the files say it all
	}
	say := u.Notice
	if b.DryRun {
		say = u.Print
	}
	for _, line := range b.lines(p) {
		say(line)
	}
}

func (b *restoreBill) record(r *restore.Options, p *restore.Plan) planRecord {
	rec := planRecord{
		Store: b.s.loc.String(), To: ui.NewPath(r.To), DryRun: b.DryRun, Files: p.Files, Bytes: p.Bytes, Equal: p.Equal.Files, EqualBytes: p.Equal.Bytes,
		Skipped: p.Skipped.Files, Left: p.Left.Files, Archives: p.Archives, Requests: p.Requests, RetrieveBytes: p.RetrieveBytes,
		Hastened: p.Hastened, Taken: p.Taken, AtOnce: p.AtOnce, DownloadBytes: p.DownloadBytes, Waves: p.Waves, ThawDays: p.ThawDays, Tier: string(p.Tier),
		Items: itemRecords(b.items), Region: b.prices.For, PricesRegion: b.prices.Region, Doubt: doubts(b.items),
		Earliest: timeText(p.Earliest), Latest: timeText(p.Latest), Tiers: []tierRecord{},
	}
	for _, t := range r.Trees {
		rec.Trees = append(rec.Trees, t.Name)
	}
	if known, unknown := total(b.items); !unknown {
		rec.Cost = known.String()
	}
	if !b.prices.AsOf.IsZero() {
		rec.PricesAsOf = b.prices.AsOf.Format(time.DateOnly)
	}
	if p.RateKnown {
		rec.BytesPerSecond = int64(p.Rate)
	}
	if r.Store.Traits().InstantJobs {
		return rec
	}
	for _, c := range b.tiers(p) {
		t := tierRecord{Tier: string(c.tier), Chosen: c.tier == p.Tier, Doubt: c.cost.Doubt, Earliest: timeText(c.earliest), Latest: timeText(c.latest)}
		if c.cost.Known {
			t.Cost = c.cost.String()
		}
		rec.Tiers = append(rec.Tiers, t)
	}
	return rec
}

// lines are a plan for people.
func (b *restoreBill) lines(p *restore.Plan) []string {
	head := "to bring back: " + ui.Files(p.Files) + ", " + ui.Bytes(p.Bytes)
	if p.Files == 0 {
		head = "nothing to bring back"
	}
	for _, more := range []struct {
		n    int64
		what string
	}{{p.Equal.Files, "in place already"}, {p.Skipped.Files, "can't be brought back"}, {p.Left.Files, "left by the limits"}} {
		if more.n > 0 {
			head += fmt.Sprintf("; %s %s", ui.Count(more.n), more.what)
		}
	}
	if p.Requests+p.Taken == 0 {
		return append([]string{head}, jobLines(p)...)
	}
	if p.ThawDays > 0 {
		return append([]string{head}, b.thawLines(p)...)
	}
	lines := []string{head, fmt.Sprintf("from %s: %s of %s; %s to download", counted(p.Archives, "archive"), counted(p.Requests, "retrieval"), ui.Bytes(p.RetrieveBytes), ui.Bytes(p.DownloadBytes))}
	lines = append(lines, jobLines(p)...)
	if p.Waves > 1 {
		lines = append(lines, fmt.Sprintf("in %d portions, each as much as can be downloaded before it is gone, %s", p.Waves, rateText(p)))
	}
	lines = append(lines, b.tierLines(p)...)
	return lines
}

// thawLines are what is asked for of a store whose archives thaw as a whole.
func (b *restoreBill) thawLines(p *restore.Plan) []string {
	thaws := int64(0)
	for _, s := range p.Shares {
		if s.Thaws() {
			thaws += s.RetrieveBytes
		}
	}
	lines := []string{fmt.Sprintf("from %s: %s thaw, as whole archives, and can be read for %s; %s to download",
		counted(p.Archives, "archive"), ui.Bytes(thaws), counted(int64(p.ThawDays), "day"), ui.Bytes(p.DownloadBytes))}
	lines = append(lines, jobLines(p)...)
	if p.Waves > 1 {
		lines = append(lines, fmt.Sprintf("in %d portions, each as much as is downloaded while the next one thaws, %s", p.Waves, rateText(p)))
	}
	return append(lines, b.tierLines(p)...)
}

// jobLines tell of what was asked for before, and need not be again, or is by a faster
// tier; and of what need not be at all.
func jobLines(p *restore.Plan) (lines []string) {
	if p.Hastened > 0 {
		lines = append(lines, fmt.Sprintf("%s of these %s for what is on its way by a slower tier already, which is charged for besides", ui.Count(p.Hastened), form(p.Hastened, "is", "are")))
	}
	if p.Taken > 0 {
		lines = append(lines, counted(p.Taken, "retrieval")+" more that "+form(p.Taken, "was asked for before, and costs", "were asked for before, and cost")+" nothing again")
	}
	if p.AtOnce > 0 {
		lines = append(lines, counted(p.AtOnce, "archive")+" can be read at once, by the server's word, whatever the storage class: nothing is asked for")
	}
	return lines
}

// rateText says how fast bytes are taken to come.
func rateText(p *restore.Plan) string {
	if p.RateKnown {
		return "at " + ui.Bytes(int64(p.Rate)) + "/s as measured"
	}
	return "taken to come at " + ui.Bytes(plan.AssumedRate) + "/s"
}

// tierLines are a table of what each tier costs, and takes.
func (b *restoreBill) tierLines(p *restore.Plan) []string {
	lines := []string{fmt.Sprintf("  %-20s %10s   %s", "tier", "cost", "ready in")}
	var doubts []string
	for _, c := range b.tiers(p) {
		name, cost := string(c.tier), ui.Dollars(c.cost)
		if c.tier == p.Tier {
			name += " (chosen)"
		}
		if b.prices.Free {
			cost = "nothing"
		}
		lines = append(lines, fmt.Sprintf("  %-20s %10s   %s to %s", name, cost, ui.Duration(c.earliest.Sub(p.Now)), ui.Duration(c.latest.Sub(p.Now))))
		if doubt := "  " + c.cost.Doubt; c.cost.Doubt != "" && !slices.Contains(doubts, doubt) {
			doubts = append(doubts, doubt)
		}
	}
	if b.prices.Free {
		return lines
	}
	whose := whosePrices(b.prices)
	if whose == "" {
		whose = "prices of " + b.prices.Region
	}
	if b.prices.Region == "" {
		return append(lines, "  "+whose)
	}
	whose = fmt.Sprintf("  %s, as of %s, with the transfer over the internet, without taxes", whose, b.prices.AsOf.Format(time.DateOnly))
	return append(append(lines, whose), doubts...)
}
