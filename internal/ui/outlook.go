package ui

import (
	"fmt"
	"time"

	"github.com/firn-archive/firn/internal/price"
)

// An Outlook is what it would come to, to send what a dry run found.
type Outlook struct {
	Store, Tree string
	Prices      price.Tariff
	Files       int64 // with content
	Unsure      int64 // of them: those that are sent only if they differ
	Choices     []price.Choice
}

// The objects that an outlook becomes.
type (
	jsonOutlook struct {
		Time         string       `json:"time"`
		Store        string       `json:"store"`
		Tree         string       `json:"tree"`
		Region       string       `json:"region,omitempty"`
		PricesRegion string       `json:"prices_region,omitempty"`
		PricesAsOf   string       `json:"prices_as_of,omitempty"`
		Files        int64        `json:"files"`
		Unsure       int64        `json:"unsure"`
		Choices      []jsonChoice `json:"choices"`
	}
	jsonChoice struct {
		BundleBelow int64  `json:"bundle_below"`
		Chosen      bool   `json:"chosen"`
		Archives    int64  `json:"archives"`
		Requests    int64  `json:"requests"`
		Bytes       int64  `json:"bytes"`
		Overhead    int64  `json:"overhead"`
		Upload      string `json:"upload,omitempty"`
		Month       string `json:"month,omitempty"`
	}
)

// Outlook shows what a dry run's findings come to: the answer to a question, as
// a table on stdout, or as an object. Quiet leaves it out.
func (u *UI) Outlook(o Outlook) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch view := u.view.(type) {
	case *jsonView:
		if !u.opts.Quiet {
			u.object("outlook", outlookObject(o, u.opts.Clock.Now()))
		}
	case *textView:
		if u.opts.Quiet {
			return
		}
		view.pause()
		for _, line := range outlookLines(o) {
			view.result(line)
		}
	}
}

func outlookObject(o Outlook, now time.Time) jsonOutlook {
	out := jsonOutlook{
		Time: Time(now), Store: o.Store, Tree: o.Tree, Region: o.Prices.For, PricesRegion: o.Prices.Region,
		Files: o.Files, Unsure: o.Unsure, Choices: []jsonChoice{},
	}
	if !o.Prices.AsOf.IsZero() {
		out.PricesAsOf = o.Prices.AsOf.Format(time.DateOnly)
	}
	for _, c := range o.Choices {
		out.Choices = append(out.Choices, jsonChoice{
			BundleBelow: c.Below, Chosen: c.Chosen, Archives: c.Archives, Requests: c.Requests,
			Bytes: c.Bytes, Overhead: c.Overhead, Upload: decimal(c.Upload), Month: decimal(c.Month),
		})
	}
	return out
}

// decimal is a sum in JSON; empty where it is unknown.
func decimal(s price.Sum) string {
	if !s.Known {
		return ""
	}
	return s.Amount.String()
}

// outlookLines are the table, and what there is to say of it. Where nothing is
// charged there is no money in it.
func outlookLines(o Outlook) []string {
	head := []string{"  bundle-below", "archives", "requests", "overhead", "upload", "a month"}
	right := []bool{false, true, true, true, true, true}
	rows := [][]string{head}
	for _, c := range o.Choices {
		rows = append(rows, []string{
			"  " + belowText(c), Count(c.Archives), Count(c.Requests), Bytes(c.Overhead), Dollars(c.Upload), Dollars(c.Month),
		})
	}
	if o.Prices.Free {
		for i, row := range rows {
			rows[i] = []string{row[0], row[1], row[3]}
		}
		right = right[:3]
	}
	lines := align(rows, right)
	if whose := pricesText(o.Prices); whose != "" {
		lines = append(lines, "  "+whose)
	}
	if o.Unsure > 0 {
		lines = append(lines, fmt.Sprintf("  %s of %s may be unchanged, which only reading shows: then it is less", Count(o.Unsure), Files(o.Files)))
	}
	return lines
}

// belowText names a threshold as the option takes it.
func belowText(c price.Choice) string {
	text := "no bundles"
	switch {
	case c.Below >= 1<<20 && c.Below%(1<<20) == 0:
		text = Count(c.Below>>20) + " MiB"
	case c.Below >= 1<<10 && c.Below%(1<<10) == 0:
		text = Count(c.Below>>10) + " KiB"
	case c.Below > 0:
		text = Count(c.Below) + " B"
	}
	if c.Chosen {
		text += " (chosen)"
	}
	return text
}

// pricesText says whose prices they are; empty where there are none to speak of.
func pricesText(t price.Tariff) string {
	switch {
	case t.Free:
		return ""
	case t.Region == "":
		return "what the store charges is not known"
	case !t.Exact():
		return fmt.Sprintf("the prices of %s are not known: these are those of %s, as of %s", Text(t.For), Text(t.Region), t.AsOf.Format(time.DateOnly))
	}
	return fmt.Sprintf("prices of %s as of %s, without taxes", Text(t.Region), t.AsOf.Format(time.DateOnly))
}

// Dollars writes a sum for people, to the cent: "$0.34", "<$0.01", "unknown".
func Dollars(s price.Sum) string {
	const cent = price.Dollar / 100
	switch {
	case !s.Known:
		return "unknown"
	case s.Amount > 0 && s.Amount < cent:
		return "<$0.01"
	}
	cents := int64(s.Amount / cent)
	if s.Amount%cent >= cent/2 {
		cents++
	}
	return fmt.Sprintf("$%s.%02d", Count(cents/100), cents%100)
}
