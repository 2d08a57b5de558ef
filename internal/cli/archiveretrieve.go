package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/fetch"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
)

type archiveRetrieveOptions struct {
	app       *app
	Store     string
	Archives  []string
	Output    string
	To        string
	Overwrite bool
	Range     byteRange
	Tier      string

	Common      storeOptions
	Consent     consentOptions
	Concurrency count
	Wait        bool
	Poll        time.Duration
}

func newArchiveRetrieveCmd(a *app, run func(context.Context, *archiveRetrieveOptions) error) *cobra.Command {
	o := &archiveRetrieveOptions{app: a, Concurrency: transfer.DefaultConcurrency}
	cmd := &cobra.Command{
		Use:   "retrieve STORE ID... (-o FILE | --to DIR)",
		Short: "bring archives back by their ids",
		Long: `Bring archives back from STORE as they are stored there, whoever wrote them, also
those that the catalog doesn't know: one to FILE, or to stdout, or several to DIR,
where each is called by its ID. Bundles are tar archives, and what firn encrypted is
age; files come back as themselves with firn restore.

A vault needs hours to get an archive ready. Without --wait the first call asks for it
and ends with status 75; the same command, called again later, fetches it. Nothing is
asked for twice: a job that is there already is used, whoever started it, and an
archive that lies in its place, whole, is left alone.

Every archive is verified by its tree hash before the file takes its name. Of a range,
given by its first and last byte, only that is retrieved; it begins at a whole MiB and
ends before one, or with the archive. It is verified where the store knows its hash.

Prices are told before anything is asked for. An ID that begins with - goes behind --.`,
		Example: `  firn archive retrieve glacier:photos NkbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu87 -o photos.tar --wait
  firn archive retrieve glacier:photos --to back -- -kbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu87 KkbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu88`,
		Args:              takes("STORE", "ID..."),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.Output, "output", "o", "", "write the one archive to `FILE`; - is stdout")
	f.StringVar(&o.To, "to", "", "write the archives into the directory `DIR`")
	f.BoolVar(&o.Overwrite, "overwrite", false, "replace files that are there and differ")
	f.Var(&o.Range, "range", "only bytes `FIRST-LAST` of the one archive")
	f.StringVar(&o.Tier, "tier", string(firn.Bulk), "how fast, and how dear: bulk, standard or expedited")
	f.Var(&o.Concurrency, "concurrency", "fetch so many pieces, and archives, at a time")
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until everything is there")
	addPoll(f, &o.Poll, "what is ready", "the tier's earliest time has passed")
	o.Consent.addFlags(f, a)
	o.Common.addFlags(f, false, true)
	cmd.MarkFlagsMutuallyExclusive("output", "to")
	cmd.MarkFlagsOneRequired("output", "to")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.Archives = args[0], args[1:]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// archiveRetrieve is what the command is called in the catalog and in summaries.
const archiveRetrieve = "archive retrieve"

// A fetchable is one archive that is to be brought, and how far that is.
type fetchable struct {
	retrieval.Want
	class  string    // storage class of S3; empty: the store's, or none
	pace   firn.Pace // of that class
	billed bool      // it was asked for, or was agreed to be read
	to     place
	known  bool // to the catalog, with size and hash
	fate   fate
	job    firn.Job
	ready  time.Time // pending: not before
	err    error     // failed
	result transfer.Downloaded
}

// A fate is what becomes of one archive.
type fate string

const (
	onItsWay   fate = "pending"
	inItsPlace fate = "done"
	givenUp    fate = "failed"
)

func runArchiveRetrieve(ctx context.Context, o *archiveRetrieveOptions) error {
	tier, err := o.check()
	if err != nil {
		return err
	}
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	if o.Output != "-" { // nobody reads it later
		o.app.begin(ctx, s, append([]string{s.loc.String(), o.app.env.Path(o.Output), o.app.env.Path(o.To), o.Range.String()}, o.Archives...)...)
	}
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return err
	}
	all, err := o.wants(ctx, s, row)
	if err != nil {
		return err
	}
	for _, f := range all {
		if err := f.pace.Offers(tier); err != nil {
			return fmt.Errorf("archive %s: %w", f.Remote, err)
		}
	}
	d, err := transfer.NewDownloader(s.store, transfer.DownloadOptions{Concurrency: int(o.Concurrency), Clock: s.env.Clock, Events: s.env.Events})
	if err != nil {
		return err
	}
	run, err := s.catalog.BeginRun(ctx, row.ID, 0, archiveRetrieve)
	if err == nil { // it may last for days, and changes nothing that a snapshot holds
		err = s.catalog.EndRun(ctx, run, catalog.Outcome{Complete: true})
	}
	if err != nil {
		return err
	}
	r := &archiveRetriever{options: o, session: s, row: row, tier: tier, downloader: d, all: all, bill: classBytes{}}
	waker, err := s.store.Waker(ctx, s.catalog, row)
	if err != nil {
		return err
	}
	r.asker = retrieval.New(retrieval.Options{
		Catalog: s.catalog, Row: row.ID, Store: s.store, Downloader: d, Clock: s.env.Clock, Events: s.env.Events, Tier: tier, Run: run, Poll: o.Poll, Waker: waker,
	})
	if err := r.retrieve(ctx); err != nil {
		r.report()
		return err
	}
	return r.report()
}

// check finds what is wrong with the options before anything is opened.
func (o *archiveRetrieveOptions) check() (firn.Tier, error) {
	slices.Sort(o.Archives)
	o.Archives = slices.Compact(o.Archives)
	switch {
	case o.Archives[0] == "":
		return "", wrongUsage("retrieve", "an archive's id is empty")
	case o.Output != "" && len(o.Archives) > 1:
		return "", wrongUsage("retrieve", "%d archives don't go to one file; give --to DIR", len(o.Archives))
	case o.Range.at != nil && len(o.Archives) > 1:
		return "", wrongUsage("retrieve", "--range is of one archive")
	case o.Output == "" && o.To == "":
		return "", wrongUsage("retrieve", "the name of the file, or of the directory, is empty")
	}
	return firn.ParseTier(o.Tier)
}

// wants finds out what is known of the archives, and where each goes.
func (o *archiveRetrieveOptions) wants(ctx context.Context, s *session, row catalog.Store) ([]*fetchable, error) {
	if o.To != "" {
		if err := os.MkdirAll(o.app.env.Path(o.To), 0o777); err != nil {
			return nil, &firn.Error{Op: "make the directory", Subject: o.To, Kind: firn.Local, Err: cause(err)}
		}
	}
	all := make([]*fetchable, len(o.Archives))
	for i, id := range o.Archives {
		name := o.Output
		if o.To != "" {
			name = filepath.Join(o.To, o.fileName(id))
		}
		to, err := o.app.placeOf("retrieve", name, o.Overwrite)
		if err != nil {
			return nil, err
		}
		loc, known, err := s.catalog.ArchiveByRemote(ctx, row.ID, firn.ArchiveID(id))
		if err != nil {
			return nil, err
		}
		w := retrieval.Want{Remote: firn.ArchiveID(id), Label: "archive " + id, Range: o.Range.at}
		if known {
			w.Size, w.Tree = loc.Size, loc.Tree
		}
		if err := o.Range.check("retrieve", w.Size); err != nil {
			return nil, err
		}
		class, pace, err := s.paceOf(ctx, row.ID, w.Remote)
		if err != nil {
			return nil, err
		}
		all[i] = &fetchable{Want: w, class: class, pace: pace, to: to, known: known && !w.Tree.IsZero(), fate: onItsWay}
		if known && loc.State == catalog.Deleted {
			s.ui.Notice(fmt.Sprintf("archive %s was deleted from here; what a job got ready before can still be fetched", id))
		}
	}
	return all, nil
}

// plainID is an id that can be the name of a file on any system, as those of the
// service are.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// fileName is what an archive is called in a directory.
func (o *archiveRetrieveOptions) fileName(id string) string {
	if len(id) <= 200 && plainID.MatchString(id) {
		return id
	}
	return fmt.Sprintf("archive-%x", sha256.Sum256([]byte(id)))
}

// An archiveRetriever brings archives.
type archiveRetriever struct {
	*session
	options    *archiveRetrieveOptions
	row        catalog.Store
	tier       firn.Tier
	downloader *transfer.Downloader
	asker      *retrieval.Asker
	all        []*fetchable
	bill       classBytes // of the whole command
}

// asked gives what the store is getting ready.
func (r *archiveRetriever) asked() (left []*fetchable) {
	for _, f := range r.pending() {
		if f.job.State == firn.JobRunning {
			left = append(left, f)
		}
	}
	return left
}

// pending gives what isn't there yet.
func (r *archiveRetriever) pending() (left []*fetchable) {
	for _, f := range r.all {
		if f.fate == onItsWay {
			left = append(left, f)
		}
	}
	return left
}

// retrieve goes on until nothing is pending, or, unless it is to wait, until the
// store is to be waited for.
func (r *archiveRetriever) retrieve(ctx context.Context) error {
	for _, f := range r.all {
		if err := r.lookInPlace(ctx, f); err != nil {
			return err
		}
	}
	for {
		left := r.pending()
		if len(left) == 0 {
			return nil
		}
		if err := r.asker.Look(ctx); err != nil {
			return err
		}
		if err := r.askFor(ctx, left); err != nil {
			return err
		}
		again, err := r.fetchReady(ctx, left)
		if err != nil {
			return err
		}
		left = r.pending()
		if again || len(left) == 0 {
			continue
		}
		if !r.options.Wait || r.options.app.once {
			r.options.app.expect(firstOf(left))
			return nil
		}
		if err := r.asker.Sleep(ctx, counted(int64(len(left)), "archive"), firstOf(left)); err != nil {
			return err
		}
	}
}

// firstOf is when the first of some may be ready.
func firstOf(left []*fetchable) (first time.Time) {
	for _, f := range left {
		if first.IsZero() || f.ready.Before(first) {
			first = f.ready
		}
	}
	return first
}

// lookInPlace finds an archive that lies where it is to go.
func (r *archiveRetriever) lookInPlace(ctx context.Context, f *fetchable) error {
	content := firn.Content{Size: f.Size, Tree: f.Tree}
	if !f.known {
		var err error
		if content, _, err = r.catalog.LastBrought(ctx, r.row.ID, f.Remote); err != nil {
			return err
		}
	}
	if f.Range != nil {
		content = firn.Content{Size: f.Range.Len()} // nobody knows its hash
	}
	there, err := f.to.has(content)
	if err != nil {
		f.fail(err)
	} else if there {
		f.fate, f.Size, f.Tree, f.result.Proven = inItsPlace, content.Size, content.Tree, true
	}
	return nil
}

func (f *fetchable) fail(err error) { f.fate, f.err = givenUp, err }

// askFor asks for what no job brings, once the user agrees to the price.
func (r *archiveRetriever) askFor(ctx context.Context, left []*fetchable) error {
	var ask []*fetchable
	prices, more := r.store.HeldPrices(), false
	for _, f := range left {
		job, ok := r.asker.Find(f.Want)
		if ok {
			f.expect(job)
			if f.billed || f.class == "" || f.pace != firn.InstantPace {
				continue
			}
			f.billed = true // what is read at once needs no job, and is charged for as it is read
		} else if err := r.asker.Try(f.Want); err != nil {
			f.fail(err)
			continue
		} else {
			ask = append(ask, f)
		}
		more = true
		r.bill.add(f, prices)
	}
	if !more {
		return nil
	}
	days, err := r.asker.Days(ctx, r.bill.total().bytes)
	if err != nil {
		return err
	}
	if err := r.options.Consent.agree(ctx, "the retrieval of "+counted(r.bill.total().requests, "archive"), prices, r.bill.items(prices, r.tier, int64(days))); err != nil {
		return err
	}
	for _, f := range ask {
		job, err := r.asker.AskFor(ctx, f.Want, r.tier, days)
		if err != nil {
			if !isOfOne(ctx, err) {
				return err
			}
			f.fail(err)
			continue
		}
		f.billed = true
		f.expect(job)
	}
	return nil
}

// classBytes is what is to be asked for of archives of each storage class.
type classBytes map[string]bytesNeeded

// add takes in an archive.
func (c classBytes) add(f *fetchable, prices price.Tariff) {
	n := c[f.class]
	n.requests++
	switch {
	case f.Range != nil && !prices.Of(f.class).Thaws:
		n.bytes += f.Range.Len()
	case f.Size > 0:
		n.bytes += f.Size
	default:
		n.unknown++
	}
	c[f.class] = n
}

func (c classBytes) total() (all bytesNeeded) {
	for _, n := range c {
		all.requests += n.requests
		all.bytes += n.bytes
	}
	return all
}

// items are the lines of what they cost; copies of those that thaw stay for some days.
func (c classBytes) items(prices price.Tariff, tier firn.Tier, days int64) (items []costItem) {
	for _, class := range slices.Sorted(maps.Keys(c)) {
		n := c[class]
		n.days = days
		for _, item := range n.items(prices.Of(class), tier) {
			if len(c) > 1 && class != "" {
				item.What += ", in " + class
			}
			items = append(items, item)
		}
	}
	return items
}

// expect notes the job that brings an archive.
func (f *fetchable) expect(job firn.Job) {
	f.job, f.ready = job, retrieval.ExpectedAt(f.pace, job)
}

// paceOf gives the storage class of an archive of the store, as far as the catalog knows
// one, and how long it takes: as the store, where it doesn't.
func (s *session) paceOf(ctx context.Context, row int64, archive firn.ArchiveID) (class string, pace firn.Pace, err error) {
	class, err = s.catalog.ClassOf(ctx, row, archive)
	return class, s.store.Traits().Pace.Of(class), err
}

// isOfOne reports whether an error is of one archive, and says nothing about the
// others.
func isOfOne(ctx context.Context, err error) bool {
	switch firn.KindOf(err) {
	case firn.NotFound, firn.Corrupt, firn.Invalid, firn.Local, firn.Conflict, firn.Capacity, firn.Policy:
		return ctx.Err() == nil
	}
	return false
}

// fetchReady fetches what is ready. It reports whether something expired
// meanwhile, so that it is worth asking again at once.
func (r *archiveRetriever) fetchReady(ctx context.Context, left []*fetchable) (again bool, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(int(r.options.Concurrency))
	var mu sync.Mutex // over again, and fetched
	var wants []retrieval.Want
	fetched := map[firn.ArchiveID]bool{}
	waiting := func(yield func(retrieval.Want, error) bool) {
		for _, w := range wants {
			mu.Lock()
			done := fetched[w.Remote]
			mu.Unlock()
			if !done && !yield(w, nil) {
				return
			}
		}
	}
	for _, f := range left {
		if f.fate == onItsWay && f.job.State == firn.JobReady {
			wants = append(wants, f.Want)
		}
	}
	for _, f := range left {
		if f.fate != onItsWay || f.job.State != firn.JobReady {
			continue
		}
		g.Go(func() error {
			expired, err := r.fetch(gctx, f, func(ctx context.Context) { r.asker.Stay(ctx, waiting) })
			mu.Lock()
			again, fetched[f.Remote] = again || expired, true
			mu.Unlock()
			return err
		})
	}
	return again, g.Wait()
}

// fetch fetches one archive. Arrived is called with each piece that has come.
func (r *archiveRetriever) fetch(ctx context.Context, f *fetchable, arrived func(context.Context)) (expired bool, err error) {
	out, err := r.asker.Output(f.Want, f.job)
	if err == nil {
		l := fetch.Load{Label: f.Label, Job: f.job.ID, Want: firn.Content{Size: out.Size(), Tree: out.Tree()}, Arrived: arrived}
		if f.Range != nil {
			l.Want = firn.Content{Size: f.Range.Len()}
			if l.From = f.Range.Start - out.Brings().Start; *f.Range == out.Brings() {
				l.Want.Tree = out.Job.RangeTree
			}
		}
		r.env.Events(firn.PlanEvent{Files: 1, Bytes: l.Want.Size})
		f.result, err = r.bring(ctx, r.downloader, l, f.to, r.options.app.env.Stdout)
		f.Size, f.Tree = out.Size(), l.Want.Tree
	}
	switch {
	case err == nil:
		f.fate = inItsPlace
		r.env.Events(firn.FileEvent{Action: firn.Restored, Path: f.to.name, Size: f.Size, Archive: f.Remote})
		return false, r.remember(ctx, f)
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case firn.KindOf(err) == firn.NotFound && (!f.to.inOrder || f.result.Fetched == 0):
		return true, r.asker.Gone(ctx, f.Want, f.job, "its output expired")
	case isOfOne(ctx, err):
		f.fail(err)
		return false, nil
	}
	return false, err
}

// remember records that nothing waits for the job any more, and of an archive that
// the catalog doesn't know, what the job said of it.
func (r *archiveRetriever) remember(ctx context.Context, f *fetchable) error {
	ctx = context.WithoutCancel(ctx)
	if err := r.asker.Fetched(ctx, f.Want, f.job); err != nil || f.known {
		return err
	}
	return r.jobFetched(ctx, f.job)
}

// A retrievedRecord is what became of one archive.
type retrievedRecord struct {
	Store    string         `json:"store"`
	Archive  firn.ArchiveID `json:"archive"`
	State    fate           `json:"state"`
	Job      firn.JobID     `json:"job,omitempty"`
	Ready    string         `json:"ready,omitempty"` // pending: not before
	File     *ui.Path       `json:"file,omitempty"`
	Size     int64          `json:"size,omitempty"`
	Hash     string         `json:"tree_hash,omitempty"`
	Verified bool           `json:"verified,omitempty"`
	Fetched  int64          `json:"fetched,omitempty"`
	Error    string         `json:"error,omitempty"`
}

// report tells what became of each archive, and gives the status for that.
func (r *archiveRetriever) report() error {
	var status []error
	for _, f := range r.all {
		r.ui.Record("retrieval", r.record(f))
		switch f.fate {
		case inItsPlace:
			r.ui.Notice(broughtText(f.to, r.sizeOf(f), f.result))
		case givenUp:
			if len(r.all) == 1 {
				return f.err
			}
			r.ui.Warn(f.err.Error())
			status = append(status, ErrPartial)
		case onItsWay:
			status = append(status, ErrNotYet)
		}
	}
	if left := r.asked(); len(left) > 0 {
		text := "the store is getting " + counted(int64(len(left)), "archive") + " ready"
		if ready := firstOf(left); ready.After(r.env.Clock.Now()) {
			text += ", not before " + localTime(ready)
		}
		r.ui.Notice(text + "; run the same command again then, or with --wait")
	}
	return errors.Join(status...)
}

// sizeOf is how many bytes went to the file.
func (r *archiveRetriever) sizeOf(f *fetchable) int64 {
	if f.Range != nil {
		return f.Range.Len()
	}
	return f.Size
}

func (r *archiveRetriever) record(f *fetchable) retrievedRecord {
	rec := retrievedRecord{Store: r.loc.String(), Archive: f.Remote, State: f.fate, Job: f.job.ID}
	switch f.fate {
	case onItsWay:
		rec.Ready = timeText(f.ready)
	case givenUp:
		rec.Error = f.err.Error()
	case inItsPlace:
		rec.Size, rec.Fetched = r.sizeOf(f), f.result.Fetched
		rec.Verified = f.result.Proven
		if !f.Tree.IsZero() {
			rec.Hash = f.Tree.String()
		}
		if f.to.path != "" {
			file := ui.NewPath(f.to.path)
			rec.File = &file
		}
	}
	return rec
}
