package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/ui"
)

// changeOptions say what a sync takes for a change, what it does about it, and
// how much of it.
type changeOptions struct {
	Detect        detection
	TrustTimes    bool
	Modes         syncer.Modes
	Pay           bool
	MaxFiles      fileLimit
	MaxBytes      sizeLimit
	Spend         spendOptions
	ExpectChanges bool

	budget *syncer.Budget // over all trees
}

func (o *changeOptions) addFlags(f *pflag.FlagSet, a *app) {
	f.Var(&o.Detect, "detect", "take files for changed by `WHAT`: mtime, hash, mtime-and-hash, mtime-or-hash, size or always")
	f.BoolVar(&o.TrustTimes, "trust-times", false, "take a file that firn adopt or firn recover found in the store for stored, unread, where size and time agree")
	f.BoolVar(&o.Modes.New, "new", false, "do only this, and what of the next two is given: send what is new")
	f.BoolVar(&o.Modes.ReplaceModified, "replace-modified", false, "send what was modified, and delete the version before from the store")
	f.BoolVar(&o.Modes.DeleteRemoved, "delete-removed", false, "delete from the store what is gone from disk, with all its versions")
	f.BoolVar(&o.Pay, "pay", false, "delete also what the store charges for until it is older")
	f.Var(&o.MaxFiles, "max-files", "send at most `N` files, and leave the rest for the next run")
	f.Var(&o.MaxBytes, "max-bytes", "send at most `BYTES`, such as 500M or 2G, and leave the rest for the next run")
	o.Spend.addFlags(f, a)
	f.BoolVar(&o.ExpectChanges, "expect-changes", false, "go on even if a directory is empty that had files, or more than a quarter of them, and 1,000, have changed or are gone")
}

// check finds options that make no sense together.
func (o *changeOptions) check() error {
	if o.Pay && !o.Modes.ReplaceModified && !o.Modes.DeleteRemoved {
		return wrongUsage("sync", "--pay says how to delete, but nothing is deleted without --replace-modified or --delete-removed")
	}
	switch way := plan.Detect(o.Detect); {
	case !o.TrustTimes:
	case way == plan.Always:
		return wrongUsage("sync", "--trust-times takes files for stored, and --detect always sends all of them; give one of the two")
	case way == plan.ByHash || way == plan.ByTimeOrHash:
		return wrongUsage("sync", "--trust-times takes files for stored without reading them, and --detect %v reads all of them; give one of the two", way)
	}
	return nil
}

// begin makes the budget of a run over all its trees, in a store with these
// prices. Errors: Usage (a limit that can't be kept), those of the catalog.
func (o *changeOptions) begin(ctx context.Context, prices price.Tariff, dryRun bool) error {
	l := syncer.Limits{Files: int64(o.MaxFiles), Bytes: int64(o.MaxBytes.byteSize), Prices: prices}
	if err := o.Spend.limit(ctx, &l, dryRun); err != nil {
		return err
	}
	o.budget = syncer.NewBudget(l)
	return l.Check()
}

// outcome is how a run ended that came to err: where its price was not agreed to,
// with that, which is why files were left.
func (o *changeOptions) outcome(err error) error {
	refused := o.budget.Refused()
	if refused == nil || !silent(err) && err != nil {
		return errors.Join(err, refused)
	}
	return refused
}

// fill puts the options into those of a sync.
func (o *changeOptions) fill(s *syncer.Options) {
	s.Detect, s.Modes, s.PayEarly, s.ExpectChanges = plan.Detect(o.Detect), o.Modes, o.Pay, o.ExpectChanges
	s.TrustTimes = o.TrustTimes
	s.Budget = o.budget
}

// tellLetGo tells what became of archives that nothing needs any more.
func tellLetGo(u *ui.UI, l syncer.LetGo) {
	if l.Deleted.Files > 0 {
		u.Notice("deleted " + archives(l.Deleted.Files, l.Deleted.Bytes) + " from the store")
	}
	switch {
	case l.Waiting.Files == 0:
	case l.Unsaved:
		u.Notice(archives(l.Waiting.Files, l.Waiting.Bytes) + " in the store " + form(l.Waiting.Files, "is not needed any more, and stays", "are not needed any more, and stay") + " until a sync can save the catalog there: that is what a lost machine is recovered from")
	case l.Kept:
		u.Notice(archives(l.Waiting.Files, l.Waiting.Bytes) + " in the store " + form(l.Waiting.Files, "is not needed any more, and stays", "are not needed any more, and stay") + " until a sync can store all files: one that was only moved may be in " + form(l.Waiting.Files, "it", "them"))
	default:
		u.Notice(fmt.Sprintf("%s in the store %s not needed any more, and charged for until %s at the latest: firn resume, or a later sync with these options, deletes %s then, and --pay at once",
			archives(l.Waiting.Files, l.Waiting.Bytes), form(l.Waiting.Files, "is", "are"), l.Until.UTC().Format(time.DateOnly), form(l.Waiting.Files, "it", "them")))
	}
}

// tellFarewell tells what would become of archives that nothing would need any more.
func (o *changeOptions) tellFarewell(ctx context.Context, j *syncJob) error {
	w, err := j.partings.Foresee(ctx, j.s.catalog, j.row, j.s.store, j.s.store.HeldPrices())
	if err != nil {
		return err
	}
	now, most := w.Now, ""
	if o.Pay || w.Kept {
		now = firn.Count{Files: w.Now.Files + w.Later.Files, Bytes: w.Now.Bytes + w.Later.Bytes}
	}
	if w.AtMost {
		most = "at most "
	}
	tell := j.s.ui.Notice
	switch all := archives(now.Files, now.Bytes); {
	case now.Files == 0:
	case w.Kept:
		tell(most + all + " in the store would not be needed any more, and " + form(now.Files, "stays", "stay") + " until a sync can store all files")
		return nil
	default:
		tell("would delete " + most + all + " from the store")
	}
	if w.Later.Files == 0 || w.Kept {
		return nil
	}
	what := "what this sync would delete early"
	if !o.Pay {
		what = "to delete at once what would wait"
		tell(fmt.Sprintf("%s%s in the store would not be needed any more, and %s charged for until %s at the latest: firn resume, or a later sync with these options, deletes %s then, and --pay at once",
			most, archives(w.Later.Files, w.Later.Bytes), form(w.Later.Files, "is", "are"), w.Until.UTC().Format(time.DateOnly), form(w.Later.Files, "it", "them")))
	}
	o.Spend.app.showPrice(what, j.s.store.HeldPrices(), []costItem{earlyItem(w.Later.Files, w.Fees)}, w.AtMost)
	return nil
}

// earlyItem is what it costs to delete archives that the store charges for still.
func earlyItem(n int64, fees price.Sum) costItem {
	return costItem{What: "what is left of the shortest time for " + counted(n, "archive"), Cost: fees}
}

// tellOutlook tells what it would come to, to send what a dry run found.
func tellOutlook(u *ui.UI, store, tree string, o *syncer.Outlook) {
	if o != nil {
		u.Outlook(ui.Outlook{Store: store, Tree: tree, Prices: o.Prices, Files: o.Files.Files, Unsure: o.Unsure, Choices: o.Choices})
	}
}

// archives is a number of them with their size.
func archives(n, bytes int64) string {
	noun := "archives"
	if n == 1 {
		noun = "archive"
	}
	return fmt.Sprintf("%s %s (%s)", ui.Count(n), noun, ui.Bytes(bytes))
}

// A detection is a way to detect changes. It is a pflag.Value.
type detection plan.Detect

// Set reads a name.
func (d *detection) Set(s string) error {
	way, err := plan.ParseDetect(s)
	*d = detection(way)
	return err
}

// String gives the name.
func (d *detection) String() string { return plan.Detect(*d).String() }

// Type names the value in help.
func (d *detection) Type() string { return "what" }

// A fileLimit is a number of files, at least 1. It is a pflag.Value.
type fileLimit int64

// Set reads a number.
func (l *fileLimit) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is no number of files: give at least 1", s)
	}
	*l = fileLimit(n)
	return nil
}

// String is empty for 0, so that help shows no default.
func (l *fileLimit) String() string {
	if *l == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*l), 10)
}

// Type names the value in help.
func (l *fileLimit) Type() string { return "number" }

// A costLimit is an amount of money, above nothing. It is a pflag.Value.
type costLimit struct {
	amount price.Amount
	text   string // as it was given
}

// Set reads an amount in US dollars.
func (l *costLimit) Set(s string) error {
	amount, err := price.Parse(s)
	if err != nil {
		return err
	}
	if amount == 0 {
		return fmt.Errorf("%q is no limit: give more than nothing", s)
	}
	l.amount, l.text = amount, s
	return nil
}

// String is empty for no limit, so that help shows no default.
func (l *costLimit) String() string { return l.text }

// Type names the value in help.
func (l *costLimit) Type() string { return "usd" }
