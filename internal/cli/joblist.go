package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/ui"
)

type jobListOptions struct {
	app                 *app
	Store               string
	All, Running, Ready bool
	Common              storeOptions
}

func newJobListCmd(a *app, run func(context.Context, *jobListOptions) error) *cobra.Command {
	o := &jobListOptions{app: a}
	cmd := &cobra.Command{
		Use:   "list STORE",
		Short: "list the jobs of a store",
		Long: `List the jobs that STORE has, whoever started them, the oldest first: those that
run, and those whose output can be fetched. A job and its output stay for a day
or so after it is done. Those that failed are shown with --all.

S3 has no jobs: those of a store there are its archives that are on their way, or can be
read for a while. When they were asked for, and by which tier, it doesn't say: of what
this machine waits for the catalog does.`,
		Example: `  firn job list glacier:photos
  firn job list glacier:photos --ready --json`,
		Args:              takes("STORE"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.Running, "running", false, "only those that run")
	f.BoolVar(&o.Ready, "ready", false, "only those whose output can be fetched")
	f.BoolVarP(&o.All, "all", "a", false, "those that failed, too")
	cmd.MarkFlagsMutuallyExclusive("running", "ready", "all")
	o.Common.addFlags(f, false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// wants reports whether a job is to be listed.
func (o *jobListOptions) wants(j *firn.Job) bool {
	switch {
	case j.Instant: // nobody has started it
		return false
	case o.Running:
		return j.State == firn.JobRunning
	case o.Ready:
		return j.State == firn.JobReady
	}
	return o.All || j.State != firn.JobFailed
}

func runJobList(ctx context.Context, o *jobListOptions) error {
	s, err := o.app.lookAt(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	list := ui.NewList(s.ui, "job",
		ui.Column[jobRecord]{Head: "job", Cell: func(r jobRecord) string { return string(r.Job) }},
		ui.Column[jobRecord]{Head: "kind", Cell: func(r jobRecord) string { return string(r.Kind) }},
		ui.Column[jobRecord]{Head: "tier", Cell: func(r jobRecord) string { return string(r.Tier) }},
		ui.Column[jobRecord]{Head: "state", Cell: func(r jobRecord) string { return r.progress(localTime) }, Plain: func(r jobRecord) string { return r.progress(timeText) }},
		ui.Column[jobRecord]{Head: "for", Cell: func(r jobRecord) string { return r.purpose() }},
		ui.Column[jobRecord]{Head: "brings", Cell: func(r jobRecord) string { return r.brings() }},
	)
	defer list.Close()
	asked, err := s.askedFor(ctx)
	if err != nil {
		return err
	}
	for job, err := range s.store.Jobs(ctx) {
		if err != nil {
			return err
		}
		if o.wants(&job) {
			list.Add(asked.record(s.loc.String(), s.jobPace(ctx, &job), job))
		}
	}
	return nil
}

// askedFor are the requests of this machine that it waits for, by the jobs' ids, in a
// store that doesn't say when, and by which tier, its jobs were asked for.
type askedFor map[firn.JobID]catalog.JobKey

// askedFor gives those of a store that thaws; of others none.
func (s *session) askedFor(ctx context.Context) (askedFor, error) {
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound || err == nil && !s.store.Traits().ThawsWhole {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	asked := askedFor{}
	for k, err := range s.catalog.OpenJobKeys(ctx, row.ID, 0) {
		if err != nil {
			return nil, err
		}
		if k.Kind == firn.RetrievalJob && k.Remote != "" {
			asked[k.Remote] = k
		}
	}
	return asked, nil
}

// record is newJobRecord, with what this machine knows of a job and its store doesn't.
func (a askedFor) record(store string, p firn.Pace, j firn.Job) jobRecord {
	k, ours := a[j.ID]
	if !ours || !j.Created.IsZero() {
		return newJobRecord(store, p, j)
	}
	j.Tier = k.Tier
	r := newJobRecord(store, p, j)
	if j.State == firn.JobRunning {
		j.Created = k.Asked // by the clock of this machine, which the store's record doesn't have
		r.ready = retrieval.ExpectedAt(p, j)
		r.Ready = timeText(r.ready)
	}
	return r
}

// localTime is a time for people of this place.
func localTime(t time.Time) string { return t.Local().Format(time.DateTime) }
