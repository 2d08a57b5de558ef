package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
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
or so after it is done. Those that failed are shown with --all.`,
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

// wants reports whether a job in that state is to be listed.
func (o *jobListOptions) wants(s firn.JobState) bool {
	switch {
	case o.Running:
		return s == firn.JobRunning
	case o.Ready:
		return s == firn.JobReady
	}
	return o.All || s != firn.JobFailed
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
	for job, err := range s.store.Jobs(ctx) {
		if err != nil {
			return err
		}
		if o.wants(job.State) {
			list.Add(newJobRecord(s.loc.String(), s.jobPace(ctx, &job), job))
		}
	}
	return nil
}

// localTime is a time for people of this place.
func localTime(t time.Time) string { return t.Local().Format(time.DateTime) }
