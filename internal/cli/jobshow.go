package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/ui"
)

type jobShowOptions struct {
	app        *app
	Store, Job string
	Common     storeOptions
}

func newJobShowCmd(a *app, run func(context.Context, *jobShowOptions) error) *cobra.Command {
	o := &jobShowOptions{app: a}
	cmd := &cobra.Command{
		Use:   "show STORE JOB",
		Short: "show all that a store says of a job",
		Long: `Ask STORE about one of its jobs, which JOB names by the id that firn job list shows.
An id that begins with - goes behind --.`,
		Example: `  firn job show glacier:photos HkF9p6o7yjhFx-K3CGl6fuSm6VzW9T7esGQfco8nUXVYwS0jlb5gq1JZ55yHgt5vP54ZShjoQzQVVh7vEXAMPLEjobID
  firn job show glacier:photos --json -- -p6o7yjhFx-K3CGl6fuSm6VzW9T7esGQfco8nUXVYwS0jlb5gq1JZ55yHgt5vP54ZShjoQzQVVh7vEXAMPLEjobID`,
		Args:              takes("STORE", "JOB"),
		ValidArgsFunction: a.completeOneStore,
	}
	o.Common.addFlags(cmd.Flags(), false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.Job = args[0], args[1]
		if err := a.useProfile(cmd.Flags(), o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func runJobShow(ctx context.Context, o *jobShowOptions) error {
	s, err := o.app.lookAt(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	job, err := s.job(ctx, firn.JobID(o.Job))
	if err != nil {
		return err
	}
	showJob(s, newJobRecord(s.loc.String(), s.jobPace(ctx, &job), job))
	return nil
}

// job asks for one job, and says what to do where there is none.
func (s *session) job(ctx context.Context, id firn.JobID) (firn.Job, error) {
	if id == "" {
		return firn.Job{}, wrongUsage("show job", "its id is empty; see the ids with: firn job list %s", s.loc)
	}
	job, err := s.store.Job(ctx, id)
	if firn.KindOf(err) == firn.NotFound {
		return job, &firn.Error{Op: "show job", Subject: string(id), Kind: firn.NotFound, Err: fmt.Errorf("%s has no such job; jobs stay for a day or so after they are done", s.loc),
			Hint: "see those that there are with: firn job list " + s.loc.String()}
	}
	return job, err
}

// showJob shows all of a job, a line each.
func showJob(s *session, r jobRecord) {
	s.ui.Record("job", r)
	line := func(what, value string) {
		if value != "" {
			s.ui.Print(fmt.Sprintf("%-12s %s", what, value))
		}
	}
	line("job", string(r.Job))
	line("kind", string(r.Kind))
	line("state", r.progress(localTime))
	line("description", r.Description)
	if !r.job.Created.IsZero() {
		line("created", localTime(r.job.Created))
	}
	if !r.job.Completed.IsZero() {
		line("completed", localTime(r.job.Completed))
	}
	line("tier", string(r.Tier))
	line("archive", string(r.Archive))
	if r.ArchiveSize > 0 {
		line("of", fmt.Sprintf("%s (%d bytes)", ui.Bytes(r.ArchiveSize), r.ArchiveSize))
	}
	line("tree hash", r.ArchiveHash)
	if r.From != nil {
		line("range", fmt.Sprintf("%d-%d", *r.From, *r.To-1))
		line("its hash", r.Hash)
	}
	line("format", string(r.Format))
	line("made from", r.After)
	line("made before", r.Before)
	if r.Limit > 0 {
		line("at most", counted(r.Limit, "archive"))
	}
	line("marker", r.Marker)
	if r.Size > 0 {
		line("output", fmt.Sprintf("%s (%d bytes)", ui.Bytes(r.Size), r.Size))
	}
}
