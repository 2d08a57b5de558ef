package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/fetch"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
)

type jobOutputOptions struct {
	app        *app
	Store, Job string
	Output     string
	Overwrite  bool

	Common storeOptions
	Wait   bool
	Poll   time.Duration
}

func newJobOutputCmd(a *app, run func(context.Context, *jobOutputOptions) error) *cobra.Command {
	o := &jobOutputOptions{app: a}
	cmd := &cobra.Command{
		Use:   "output STORE JOB [-o FILE]",
		Short: "fetch what a job brings",
		Long: `Fetch the output of a job, whoever started it: the bytes of an archive, or of a
range of one, or a list of archives as the store writes it, in JSON or CSV. They go
to FILE, or to stdout.

A whole archive is verified by its tree hash before FILE takes its name; a range,
where the store knows its hash, which it does of those that are a node of the hash
tree: one MiB, or two, four, eight and so on from a multiple of as many. Lists have
no hash. What couldn't be verified is told.

While the job runs the status is 75; with --wait it waits. A download that was
interrupted goes on where it ended: until then what is there lies beside FILE under
a name of its own. A file that is there is left as it is, and what is there already
isn't fetched again.`,
		Example: `  firn job output glacier:photos HkF9p6o7yjhFx-K3CGl6fuSm6VzW9T7esGQfco8nUXVYwS0jlb5gq1JZ55yHgt5vP54ZShjoQzQVVh7vEXAMPLEjobID -o inventory.csv
  firn job output glacier:photos HkF9p6o7yjhFx-K3CGl6fuSm6VzW9T7esGQfco8nUXVYwS0jlb5gq1JZ55yHgt5vP54ZShjoQzQVVh7vEXAMPLEjobID --wait | tar x`,
		Args:              takes("STORE", "JOB"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.Output, "output", "o", "", "write to `FILE`; - is stdout, as is none, unless that is a terminal")
	f.BoolVar(&o.Overwrite, "overwrite", false, "replace FILE, once all is there")
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until the job is done")
	addPoll(f, &o.Poll, "whether it is", "its earliest time has passed")
	o.Common.addFlags(f, false, true)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.Job = args[0], args[1]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// An outputRecord is what was fetched.
type outputRecord struct {
	Store    string         `json:"store"`
	Job      firn.JobID     `json:"job"`
	Kind     firn.JobKind   `json:"kind"`
	Archive  firn.ArchiveID `json:"archive,omitempty"`
	File     *ui.Path       `json:"file,omitempty"`
	Size     int64          `json:"size"`
	Hash     string         `json:"tree_hash,omitempty"`
	Verified bool           `json:"verified"`
	Fetched  int64          `json:"fetched"` // bytes over the network, this time
}

func runJobOutput(ctx context.Context, o *jobOutputOptions) error {
	to, err := o.app.placeOf("fetch", o.Output, o.Overwrite)
	if err != nil {
		return err
	}
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	if o.Output != "" && o.Output != "-" { // nobody reads it later
		o.app.begin(ctx, s, s.loc.String(), o.Job, o.app.env.Path(o.Output))
	}
	if _, err := s.store.Look(ctx); err != nil {
		return err
	}
	job, err := o.await(ctx, s)
	if err != nil {
		return err
	}
	l, err := s.loadOf(ctx, job)
	if err != nil {
		return err
	}
	if there, err := to.has(l.Want); err != nil {
		return err
	} else if there {
		o.report(s, job, l, to, transfer.Downloaded{Proven: true})
		return nil
	}
	d, err := transfer.NewDownloader(s.store, transfer.DownloadOptions{Clock: s.env.Clock, Events: s.env.Events})
	if err != nil {
		return err
	}
	s.env.Events(firn.PlanEvent{Files: 1, Bytes: l.Want.Size})
	res, err := s.bring(ctx, d, l, to, o.app.env.Stdout)
	if err != nil {
		return err
	}
	s.env.Events(firn.FileEvent{Action: firn.Restored, Path: l.Label, Size: l.Want.Size, Archive: job.Archive})
	o.report(s, job, l, to, res)
	return s.jobFetched(context.WithoutCancel(ctx), job)
}

// jobFetched records that nothing waits for a job any more, and what it told of
// its archive.
func (s *session) jobFetched(ctx context.Context, job firn.Job) error {
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound || job.Kind != firn.RetrievalJob {
		return nil
	}
	if err != nil {
		return err
	}
	token, _ := describe.JobToken(job.Description)
	id, err := s.catalog.JobSeen(ctx, row.ID, token, job)
	if err != nil {
		return err
	}
	return s.catalog.JobGone(ctx, id, "fetched")
}

// await gives the job once it is done, if it is to wait for that.
func (o *jobOutputOptions) await(ctx context.Context, s *session) (firn.Job, error) {
	options := retrieval.Options{Catalog: s.catalog, Store: s.store, Clock: s.env.Clock, Events: s.env.Events, Poll: o.Poll}
	if row, err := s.catalog.StoreByURL(ctx, s.loc.String()); err == nil { // a queue is of a store that is known
		if options.Waker, err = s.store.Waker(ctx, s.catalog, row); err != nil {
			return firn.Job{}, err
		}
	}
	asker := retrieval.New(options)
	for {
		job, err := s.job(ctx, firn.JobID(o.Job))
		if err != nil {
			return job, err
		}
		switch job.State {
		case firn.JobReady:
			return job, nil
		case firn.JobFailed:
			return job, &firn.Error{Op: "fetch", Subject: o.Job, Kind: firn.Invalid, Err: fmt.Errorf("the job failed: %s", job.Message), Hint: "start another one with: firn job start"}
		}
		pace := s.jobPace(ctx, &job)
		ready := retrieval.ExpectedAt(pace, job)
		if !o.Wait || o.app.once {
			o.app.expect(ready)
			s.ui.Record("job", newJobRecord(s.loc.String(), pace, job))
			text := "the job runs, and isn't done before " + localTime(ready) + "; run the same command again then, or with --wait"
			if ready.IsZero() {
				text = "the job runs, and the store doesn't say since when; run the same command again later, or with --wait"
			}
			s.ui.Notice(text)
			return job, ErrNotYet
		}
		if err := asker.Sleep(ctx, "a job", ready); err != nil {
			return job, err
		}
	}
}

// loadOf says what the output of a job is that is ready. What this machine knows
// of an archive counts more than what the store says.
func (s *session) loadOf(ctx context.Context, j firn.Job) (fetch.Load, error) {
	l := fetch.Load{Label: "the output of job " + string(j.ID), Job: j.ID, Want: firn.Content{Size: outputSize(j)}}
	switch j.Kind {
	case firn.RetrievalJob:
		l.Want.Tree = j.RangeTree
		if isRanged(j) {
			break
		}
		l.Label = "archive " + string(j.Archive)
		if l.Want.Tree.IsZero() {
			l.Want.Tree = j.ArchiveTree
		}
		known, err := s.knownContent(ctx, j.Archive)
		if err != nil {
			return l, err
		}
		if !known.Tree.IsZero() && (known != l.Want) {
			return l, &firn.Error{Op: "verify", Subject: string(j.Archive), Kind: firn.Corrupt,
				Err: fmt.Errorf("the store has an archive of %d bytes with the tree hash %s, and it should have one of %d bytes with %s", l.Want.Size, l.Want.Tree, known.Size, known.Tree)}
		}
	case firn.InventoryJob:
		l.Label = "the inventory"
	default:
		return l, &firn.Error{Op: "fetch", Subject: string(j.ID), Kind: firn.Invalid, Err: fmt.Errorf("it is a job of the kind %s, whose output firn can't fetch", j.Kind)}
	}
	if l.Want.Size < 1 {
		return l, &firn.Error{Op: "fetch", Subject: string(j.ID), Kind: firn.Invalid, Err: errors.New("the store doesn't say how many bytes it brings")}
	}
	return l, nil
}

// knownContent is what the catalog knows of an archive that is stored; zero:
// nothing.
func (s *session) knownContent(ctx context.Context, id firn.ArchiveID) (firn.Content, error) {
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound {
		return firn.Content{}, nil
	}
	if err != nil {
		return firn.Content{}, err
	}
	loc, _, err := s.catalog.ArchiveByRemote(ctx, row.ID, id)
	return firn.Content{Size: loc.Size, Tree: loc.Tree}, err
}

func (o *jobOutputOptions) report(s *session, j firn.Job, l fetch.Load, to place, res transfer.Downloaded) {
	r := outputRecord{
		Store: s.loc.String(), Job: j.ID, Kind: j.Kind, Archive: j.Archive, Size: l.Want.Size, Verified: res.Proven, Fetched: res.Fetched,
	}
	if !l.Want.Tree.IsZero() {
		r.Hash = l.Want.Tree.String()
	}
	if to.path != "" {
		file := ui.NewPath(to.path)
		r.File = &file
	}
	s.ui.Record("output", r)
	s.ui.Notice(broughtText(to, l.Want.Size, res))
}

// broughtText says what a download came to.
func broughtText(to place, size int64, res transfer.Downloaded) string {
	var b strings.Builder
	if res.Fetched == 0 && res.Resumed == 0 && !to.inOrder {
		fmt.Fprintf(&b, "%s is there already: %s", to.name, ui.Bytes(size))
	} else {
		fmt.Fprintf(&b, "wrote %s to %s", ui.Bytes(size), to.name)
	}
	if res.Resumed > 0 {
		fmt.Fprintf(&b, ", of which %s were there already", ui.Bytes(res.Resumed))
	}
	if res.Proven {
		return b.String() + ", verified"
	}
	return b.String() + "; the store gave no hash of it to verify it with"
}
