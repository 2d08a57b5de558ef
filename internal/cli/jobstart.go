package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/treehash"
)

type jobStartOptions struct {
	app         *app
	Store       string
	Archive     string
	Range       byteRange
	Tier        string
	Inventory   bool
	Format      string
	After       instantValue
	Before      instantValue
	Limit       int64
	Marker      string
	Description string

	Common  storeOptions
	Consent consentOptions
}

func newJobStartCmd(a *app, run func(context.Context, *jobStartOptions) error) *cobra.Command {
	o := &jobStartOptions{app: a}
	cmd := &cobra.Command{
		Use:   "start STORE (--archive ID | --inventory)",
		Short: "ask for an archive, or for an inventory",
		Long: `Start one job, which brings an archive, a range of one, or a list of archives, and
write its id to stdout. firn job output fetches what it brings, once it is ready:
after minutes or hours, as the tier has it, and some four hours for a list.

It always asks for a new job, and each costs money: firn archive retrieve, which
takes up jobs that are there already, is better for all but unusual needs.

A range is given by its first and last byte, such as 0-1048575. It begins at a
whole MiB and ends before one, or with the archive.

An inventory lists what was there when the store last made one, up to a day or so
ago. One of some archives only, by the times at which they were made, or of so many
at most, is as old. Where --limit cut it short, its marker, which firn job show
gives once it is ready, lets another one go on.

Prices are told before anything is asked for.`,
		Example: `  firn job start glacier:photos --inventory --format csv
  firn job start glacier:photos --inventory --after 2026-01-01 --limit 100000
  firn job start glacier:photos --archive NkbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu87 --range 0-1048575 --tier expedited`,
		Args:              takes("STORE"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Archive, "archive", "", "ask for the archive with this `ID`")
	f.Var(&o.Range, "range", "only for its bytes `FIRST-LAST`")
	f.StringVar(&o.Tier, "tier", string(firn.Bulk), "how fast, and how dear: bulk, standard or expedited")
	f.BoolVar(&o.Inventory, "inventory", false, "ask for a list of all archives")
	f.StringVar(&o.Format, "format", string(firn.InventoryJSON), "of the list: json or csv")
	o.After.addFlag(f, a, "after", "list only archives that were made at `TIME` or later")
	o.Before.addFlag(f, a, "before", "list only archives that were made before `TIME`")
	f.Int64Var(&o.Limit, "limit", 0, "list at most `NUMBER` archives")
	f.StringVar(&o.Marker, "marker", "", "list those behind `MARKER`, where an earlier list ended")
	f.StringVar(&o.Description, "description", "", "describe the job as `TEXT`, at most 1,024 characters of ASCII (default: firn's own)")
	o.Consent.addFlags(f, a)
	o.Common.addFlags(f, false, false)
	cmd.MarkFlagsMutuallyExclusive("archive", "inventory")
	cmd.MarkFlagsOneRequired("archive", "inventory")
	for _, of := range []string{"format", "after", "before", "limit", "marker"} {
		cmd.MarkFlagsMutuallyExclusive("archive", of)
	}
	for _, of := range []string{"range", "tier"} {
		cmd.MarkFlagsMutuallyExclusive("inventory", of)
	}
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// A byteRange is a range of bytes as users write it, by its first and its last. It
// is a pflag.Value.
type byteRange struct{ at *firn.Range }

// Set reads a range.
func (r *byteRange) Set(s string) error {
	first, last, _ := strings.Cut(s, "-")
	from, err1 := strconv.ParseUint(first, 10, 62)
	to, err2 := strconv.ParseUint(last, 10, 62)
	if err1 != nil || err2 != nil || to < from {
		return fmt.Errorf("%q is no range of bytes; write its first and last, such as 0-1048575", s)
	}
	if from%treehash.LeafSize != 0 {
		return fmt.Errorf("%q begins inside a MiB; the one before begins at %d", s, from-from%treehash.LeafSize)
	}
	r.at = &firn.Range{Start: int64(from), End: int64(to) + 1}
	return nil
}

// String gives what was set.
func (r *byteRange) String() string {
	if r.at == nil {
		return ""
	}
	return fmt.Sprintf("%d-%d", r.at.Start, r.at.End-1)
}

// Type names the value in help.
func (r *byteRange) Type() string { return "range" }

// check finds what the store would refuse, of an archive with so many bytes; 0:
// nobody knows.
func (r *byteRange) check(op string, size int64) error {
	switch {
	case r.at == nil, size == 0: // its end may be that of the archive
		return nil
	case r.at.End > size:
		return wrongUsage(op, "the range %s is beyond the archive's end: it has %d bytes, the last of them is %d", r, size, size-1)
	case !treehash.LeafAligned(size, r.at.Start, r.at.End):
		end := (r.at.End/treehash.LeafSize + 1) * treehash.LeafSize
		return wrongUsage(op, "the range %s ends inside a MiB; give %d as its last byte", r, min(end, size)-1)
	}
	return nil
}

func runJobStart(ctx context.Context, o *jobStartOptions) error {
	tier, err := o.check()
	if err != nil {
		return err
	}
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return err
	}
	class, pace, err := s.paceOf(ctx, row.ID, firn.ArchiveID(o.Archive))
	if err != nil {
		return err
	}
	if err := pace.Offers(tier); err != nil {
		return err
	}
	if o.Archive != "" {
		if err := o.agree(ctx, s, row, class, tier); err != nil {
			return err
		}
	}
	run, err := s.catalog.BeginRun(ctx, row.ID, 0, "job start")
	if err != nil {
		return err
	}
	job, err := o.start(ctx, s, run, tier)
	if endErr := s.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil}); err == nil {
		err = endErr
	}
	if err != nil {
		return err
	}
	r := newJobRecord(s.loc.String(), pace, job)
	s.ui.Record("job", r)
	s.ui.Print(string(job.ID))
	s.ui.Notice(r.progress(localTime) + "; fetch what it brings with: firn job output " + o.Store + " " + dashed(string(job.ID)))
	return nil
}

// dashed is an id as a command takes it.
func dashed(id string) string {
	if strings.HasPrefix(id, "-") {
		return "-- " + id
	}
	return id
}

// check finds what is wrong with the options before anything is opened.
func (o *jobStartOptions) check() (firn.Tier, error) {
	const op = "start job"
	if err := checkDescription(op, o.Description); err != nil {
		return "", err
	}
	switch firn.InventoryFormat(o.Format) {
	case firn.InventoryJSON, firn.InventoryCSV:
	default:
		return "", wrongUsage(op, "there is no format %q; there are json and csv", o.Format)
	}
	switch {
	case o.Archive == "" && !o.Inventory:
		return "", wrongUsage(op, "the archive's id is empty")
	case o.Inventory && o.Range.at != nil:
		return "", wrongUsage(op, "--range is of an archive")
	case o.Limit < 0:
		return "", wrongUsage(op, "--limit %d is less than nothing", o.Limit)
	case !o.After.at.IsZero() && !o.Before.at.IsZero() && !o.After.at.Before(o.Before.at):
		return "", wrongUsage(op, "nothing was made after %s and before %s", o.After.text, o.Before.text)
	}
	return firn.ParseTier(o.Tier)
}

// agree tells the price of an archive of a storage class.
func (o *jobStartOptions) agree(ctx context.Context, s *session, row catalog.Store, class string, tier firn.Tier) error {
	loc, known, err := s.catalog.ArchiveByRemote(ctx, row.ID, firn.ArchiveID(o.Archive))
	if err != nil {
		return err
	}
	need := bytesNeeded{requests: 1}
	if known {
		need.bytes = loc.Size
		if err := o.Range.check("start job", loc.Size); err != nil {
			return err
		}
	}
	prices := s.store.HeldPrices().Of(class)
	if o.Range.at != nil && !prices.Thaws {
		need.bytes, known = o.Range.at.Len(), true
	}
	if !known {
		need.unknown = 1
	}
	return o.Consent.agree(ctx, "the retrieval of "+o.Archive, prices, need.items(prices, tier))
}

// bytesNeeded is what is to be asked for: in so many requests so many bytes, and
// so many archives whose size nobody knows. Where copies are made they stay for so
// many days; 0: as price.Need has it.
type bytesNeeded struct{ requests, bytes, unknown, days int64 }

func (n bytesNeeded) items(prices price.Tariff, tier firn.Tier) []costItem {
	if n.requests == 0 {
		return nil
	}
	cost := prices.Bill(tier, price.Need{Requests: n.requests, Retrieve: n.bytes, Days: n.days}).Total()
	if n.unknown == 0 {
		return []costItem{
			{What: counted(n.requests, "retrieval") + " of " + ui.Bytes(n.bytes), Cost: cost},
			{What: "their transfer", Cost: prices.Cost(price.TransferOut, n.bytes)},
		}
	}
	return []costItem{
		{What: counted(n.requests, "request"), Cost: cost},
		{What: "the retrieval of " + counted(n.unknown, "archive") + " whose size isn't known"},
	}
}

// start asks for the job. The intent is recorded before that, and its outcome
// after.
func (o *jobStartOptions) start(ctx context.Context, s *session, run catalog.Run, tier firn.Tier) (firn.Job, error) {
	token := firn.NewToken()
	asked := firn.Job{Kind: firn.InventoryJob, Description: o.Description}
	if asked.Description == "" {
		asked.Description = describe.Job(token, run.Command)
	}
	if o.Archive != "" {
		asked.Kind, asked.Archive, asked.Tier = firn.RetrievalJob, firn.ArchiveID(o.Archive), tier
		if o.Range.at != nil {
			asked.Range = *o.Range.at
		}
	}
	row, err := s.catalog.JobIntent(ctx, catalog.Job{Store: run.Store, Run: run.ID, Token: token, Remote: asked})
	if err != nil {
		return firn.Job{}, err
	}
	id, err := o.ask(ctx, s, asked)
	record := context.WithoutCancel(ctx)
	if firn.KindOf(err) == firn.Lost && ctx.Err() == nil {
		id, err = s.lostJob(ctx, asked, err)
	}
	if err != nil {
		if firn.KindOf(err) == firn.Lost {
			return firn.Job{}, err // the next list of jobs shows it, or it is gone
		}
		return firn.Job{}, errors.Join(err, s.catalog.JobGone(record, row, err.Error()))
	}
	if err := s.catalog.JobStarted(record, row, id); err != nil {
		return firn.Job{}, err
	}
	job, err := s.store.Job(ctx, id)
	if err == nil && asked.Kind == firn.RetrievalJob && plan.SupplyOf(s.store.Traits()).Thaws {
		err = s.catalog.JobThawed(record, row, id, job.ArchiveSize, price.ThawDays)
	}
	if err != nil {
		return firn.Job{}, fmt.Errorf("the job %s was started; %w", id, err)
	}
	_, err = s.catalog.JobSeen(record, run.Store, token, job)
	return job, err
}

func (o *jobStartOptions) ask(ctx context.Context, s *session, j firn.Job) (id firn.JobID, err error) {
	if j.Kind == firn.RetrievalJob {
		id, err = s.store.StartRetrieval(ctx, firn.RetrievalSpec{Archive: j.Archive, Range: o.Range.at, Tier: j.Tier, Description: j.Description})
	} else {
		id, err = s.store.StartInventory(ctx, firn.InventorySpec{
			Description: j.Description, Format: firn.InventoryFormat(o.Format),
			Listing: firn.Listing{After: o.After.at, Before: o.Before.at, Limit: o.Limit, Marker: o.Marker},
		})
	}
	if err == nil && id == "" {
		err = &firn.Error{Op: "start job", Kind: firn.Lost, Err: errors.New("the store's answer names no job")}
	}
	return id, err
}

// lostJob looks for a job whose request had no answer: by its description, among
// those that were made since.
func (s *session) lostJob(ctx context.Context, asked firn.Job, lost error) (firn.JobID, error) {
	for job, err := range s.store.Jobs(ctx) {
		if err != nil {
			return "", errors.Join(lost, err)
		}
		if job.Description == asked.Description && job.Kind == asked.Kind && job.Archive == asked.Archive && !job.Created.Before(s.store.Info.Now) {
			return job.ID, nil
		}
	}
	return "", &firn.Error{Op: "start job", Subject: s.loc.String(), Kind: firn.Lost, Err: lost,
		Hint: "whether it runs all the same shows in a minute with: firn job list " + s.loc.String()}
}

// An instantValue is an option that names a time: its first instant, where it is a
// day, a minute or a second. It is a pflag.Value.
type instantValue struct {
	text string
	at   time.Time
	app  *app
}

func (v *instantValue) addFlag(f *pflag.FlagSet, a *app, name, usage string) {
	v.app = a
	f.Var(v, name, usage)
}

// Set reads a time.
func (v *instantValue) Set(s string) error {
	now := v.app.env.Clock.Now()
	if t, ok := timeAgo(s, now); ok {
		v.text, v.at = s, t.Truncate(time.Second)
		return nil
	}
	for _, form := range momentForms {
		if t, err := time.ParseInLocation(form.layout, s, now.Location()); err == nil {
			v.text, v.at = s, t
			return nil
		}
	}
	return fmt.Errorf("%q is no time; write for example 2026-11-21, \"2026-11-21 14:00\", 2026-11-21T14:00:00Z, or 3d (ago)", s)
}

// String gives what was set.
func (v *instantValue) String() string { return v.text }

// Type names the value in help.
func (v *instantValue) Type() string { return "time" }
