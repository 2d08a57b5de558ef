package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/upkeep"
)

// The records of store refresh --json.
type (
	differenceRecord struct {
		Store       string         `json:"store"`
		Class       upkeep.Class   `json:"class"`
		Archive     firn.ArchiveID `json:"archive"`
		Size        int64          `json:"size"`
		Created     string         `json:"created,omitempty"` // RFC 3339
		Description string         `json:"description,omitempty"`
		Hash        string         `json:"hash,omitempty"`
		Recorded    int64          `json:"recorded_size,omitempty"`
		RecordedAs  string         `json:"recorded_hash,omitempty"`
		Host        string         `json:"host,omitempty"`
		Remains     bool           `json:"remains"`
	}
	refreshedRecord struct {
		Store    string       `json:"store"`
		Class    upkeep.Class `json:"class"`
		Archives int64        `json:"archives"`
		Bytes    int64        `json:"bytes"`
		Remain   int64        `json:"remain"`
	}
	refreshRecord struct {
		Store       string `json:"store"`
		Inventory   string `json:"inventory,omitempty"` // RFC 3339
		Asked       bool   `json:"asked"`
		Listed      int64  `json:"listed"`
		ListedBytes int64  `json:"listed_bytes"`
		Known       int64  `json:"known"`
		KnownBytes  int64  `json:"known_bytes"`
		Twice       int64  `json:"twice"`
		Nameless    int64  `json:"nameless"`
		Remain      int64  `json:"remain"`
		Fix         bool   `json:"fix"`
		Pending     bool   `json:"pending"`
		Ready       string `json:"ready,omitempty"` // RFC 3339
	}
)

// classWords say what a class is, behind the number of its archives.
var classWords = map[upkeep.Class]string{
	upkeep.Vanished:  "recorded as stored, and not there",
	upkeep.Mismatch:  "not as stored: another size or hash",
	upkeep.Reworded:  "under another description",
	upkeep.Returned:  "recorded as lost, and there",
	upkeep.Undeleted: "deleted long before, and there still",
	upkeep.Orphan:    "stored from here, without a record of it",
	upkeep.Elsewhere: "stored from other machines",
	upkeep.Unsettled: "of uploads that are under way or in doubt",
	upkeep.Strange:   "of other programs",
	upkeep.Departed:  "of others, or let go of, and gone",
	upkeep.Lagging:   "deleted lately, and listed still",
	upkeep.TooNew:    "too new for this inventory",
}

// A refreshView shows a refresh.
type refreshView struct {
	*session
	options *refreshOptions
}

func newRefreshView(s *session, o *refreshOptions) *refreshView { return &refreshView{s, o} }

// each tells of one archive.
func (v *refreshView) each(f upkeep.Found) {
	if v.ui.IsJSON() {
		v.ui.Record("difference", v.record(f))
	} else if v.options.app.global.Verbose {
		v.ui.Print(v.line(f))
	}
}

func (v *refreshView) record(f upkeep.Found) differenceRecord {
	r := differenceRecord{Store: v.loc.String(), Class: f.Class, Archive: f.Archive.ID, Size: f.Archive.Size, Description: f.Archive.Description, Host: f.Whose, Remains: f.Remains}
	if year := f.Archive.Created.Year(); year > 1 {
		r.Created = timeText(f.Archive.Created)
	}
	if !f.Archive.Tree.IsZero() {
		r.Hash = f.Archive.Tree.String()
	}
	if f.Class == upkeep.Mismatch {
		r.Recorded = f.Size
		if !f.Tree.IsZero() {
			r.RecordedAs = f.Tree.String()
		}
	}
	return r
}

// line names one archive.
func (v *refreshView) line(f upkeep.Found) string {
	parts := []string{string(f.Class) + ":", string(f.Archive.ID) + ",", ui.Bytes(f.Archive.Size)}
	if f.Class == upkeep.Mismatch {
		parts = append(parts, fmt.Sprintf("recorded with %d B and the hash %s, listed with %d B and %s", f.Size, f.Tree, f.Archive.Size, f.Archive.Tree))
	}
	if f.Whose != "" {
		parts = append(parts, "of "+f.Whose)
	}
	if f.Archive.Description != "" {
		parts = append(parts, f.Archive.Description)
	}
	return strings.Join(parts, " ")
}

// report tells what a refresh came to.
func (v *refreshView) report(ctx context.Context, row catalog.Store, res upkeep.RefreshResult) error {
	v.ui.Record("refresh", refreshRecord{
		Store: v.loc.String(), Inventory: dateText(res.Dated), Asked: !res.Young, Listed: res.Listed.Files, ListedBytes: res.Listed.Bytes,
		Known: res.Same.Files, KnownBytes: res.Same.Bytes, Twice: res.Twice, Nameless: res.Nameless, Remain: res.Remains(),
		Fix: v.options.Fix, Pending: res.Pending, Ready: timeText(res.Ready),
	})
	switch {
	case res.Pending:
		v.ui.Print(inventoryText(res.Ready, v.env.Clock.Now()))
		return ErrNotYet
	case res.Young:
		v.ui.Print(fmt.Sprintf("the inventory of %s agreed already; --new asks for another one", res.Dated.Local().Format(time.DateTime)))
		return nil
	}
	v.ui.Print(fmt.Sprintf("the inventory of %s lists %s in %s; of %s all is as recorded",
		res.Dated.Local().Format(time.DateTime), ui.Bytes(res.Listed.Bytes), counted(res.Listed.Files, "archive"), ui.Count(res.Same.Files)))
	v.classes(&res)
	if err := v.files(ctx, &res); err != nil {
		return err
	}
	v.advise(&res)
	if res.Mass {
		return refreshError(row, &res)
	}
	if res.Remains() > 0 {
		return ErrPartial
	}
	return nil
}

// dateText is a time that may not be known.
func dateText(t time.Time) string {
	if t.Year() <= 1 {
		return ""
	}
	return timeText(t)
}

// classes tells of each class how much there is of it, with some examples.
func (v *refreshView) classes(res *upkeep.RefreshResult) {
	for _, class := range upkeep.Classes() {
		t := res.Of(class)
		if t.Files == 0 {
			continue
		}
		v.ui.Record("refreshed", refreshedRecord{v.loc.String(), class, t.Files, t.Bytes, t.Remains})
		text := fmt.Sprintf("  %s (%s): %s", counted(t.Files, "archive"), ui.Bytes(t.Bytes), classWords[class])
		if v.options.Fix && t.Remains < t.Files && fixable(class) {
			text += "; put right"
			if t.Remains > 0 {
				text += " but for " + ui.Count(t.Remains)
			}
		}
		if class == upkeep.Mismatch && t.Remains > 0 {
			v.ui.Warn(strings.TrimSpace(text))
		} else {
			v.ui.Print(text)
		}
		if !v.options.app.global.Verbose && alarming(class) {
			for _, f := range t.Examples {
				v.ui.Print("    " + v.line(f))
			}
			if more := t.Files - int64(len(t.Examples)); more > 0 {
				v.ui.Print(fmt.Sprintf("    and %s more; see all with --verbose", ui.Count(more)))
			}
		}
	}
	if n := res.Twice + res.Nameless; n > 0 {
		v.ui.Notice(fmt.Sprintf("the inventory lists %s twice, and %d without an id", counted(res.Twice, "archive"), res.Nameless))
	}
}

// fixable reports whether --fix does something about a class.
func fixable(c upkeep.Class) bool {
	switch c {
	case upkeep.Vanished, upkeep.Mismatch, upkeep.Reworded, upkeep.Returned, upkeep.Undeleted, upkeep.Orphan:
		return true
	}
	return false
}

// alarming reports whether archives of a class are worth being named.
func alarming(c upkeep.Class) bool { return fixable(c) || c == upkeep.Unsettled }

// maxUsers is how many files are named that were in archives which are gone.
const maxUsers = 10

// files names some files whose content isn't in the store as it should be.
func (v *refreshView) files(ctx context.Context, res *upkeep.RefreshResult) error {
	var rows []int64
	for _, class := range []upkeep.Class{upkeep.Vanished, upkeep.Mismatch} {
		t := res.Of(class)
		for _, f := range t.Examples {
			rows = append(rows, f.Row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	var names []string
	for ref, err := range v.catalog.References(ctx, rows) {
		if err != nil {
			return err
		}
		if len(names) == maxUsers {
			names = append(names, "and others")
			break
		}
		names = append(names, ui.Text(ref.Tree+": "+ref.Path))
	}
	if len(names) > 0 {
		v.ui.Warn("they held, or hold, " + strings.Join(names, ", "))
	}
	return nil
}

// advise says what can be done.
func (v *refreshView) advise(res *upkeep.RefreshResult) {
	say := func(class upkeep.Class, format string, args ...any) {
		if t := res.Of(class); t.Files > 0 {
			v.ui.Notice(fmt.Sprintf(format, args...))
		}
	}
	var byRecover int64
	for _, t := range res.Found {
		byRecover += t.Recover
	}
	if byRecover > 0 {
		v.ui.Notice(fmt.Sprintf("%s come into this catalog with: firn recover %s", counted(byRecover, "archive"), v.loc))
	}
	say(upkeep.Strange, "what other programs stored is listed by firn archive list, and gets its names with: firn adopt %s", v.loc)
	if v.options.Fix {
		if res.Of(upkeep.Vanished).Remains == 0 {
			say(upkeep.Vanished, "the next firn sync sends again what was in them, as far as it is on disk")
		}
		say(upkeep.Undeleted, "they are in the queue of deletions again; firn resume and firn prune work on that")
	} else if res.Remains() > res.Of(upkeep.Orphan).Recover {
		v.ui.Notice("make the catalog say what the store says with: firn store refresh " + v.loc.String() + " --fix")
	}
}
