package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

type resumeOptions struct {
	app   *app
	Store string // empty: all
	Now   bool
}

func newResumeCmd(a *app, run func(context.Context, *resumeOptions) error) *cobra.Command {
	o := &resumeOptions{app: a}
	cmd := &cobra.Command{
		Use:   "resume [STORE]",
		Short: "go on with everything that is pending",
		Long: `Go on with every command that is not done: a sync, restore, recovery or adoption
that was interrupted or killed, or that waits for its store. Each is run once more
as it was called, in its folder and without a question; it fetches what is ready,
asks for what comes next, and ends. Then the archives are deleted that firn prune
left, since the store charged for them, and that are free by now. With STORE only what
concerns that store.

This is the one line for cron, or for a timer (docs/resume.md). The status is 75
while anything is left, and 0 when nothing is. Commands that another process is
at are left to that. Prices that were agreed to stay so; what needs a new answer
ends with 64, and is for you to call.

One that fails is tried again after an hour, then after two, four, and so on up to a
day, and given up at the tenth time; firn status lists those too.`,
		Example: `  firn resume
  firn resume glacier:photos
  */30 * * * * firn resume --quiet --log "$HOME/firn.log"`,
		Args:              takes("[STORE]"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.Now, "now", false, "try at once also what failed a short time ago, or was given up")
	round := a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Store = args[0]
		}
		return run(ctx, o)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.env.Terminal.Stdin = false // nobody is asked anything, on a terminal neither
		return round(cmd, args)
	}
	return cmd
}

// What is done about tasks that fail.
const (
	firstRetry  = time.Hour
	lastRetry   = 24 * time.Hour
	giveUpAfter = 10 // failures in a row; with the pauses between them, six days
)

// outageOnce is how long a round waits for a network or a service that is down:
// the next one comes soon.
const outageOnce = time.Minute

// runResume does one round: the commands that were not done, then the deletions
// that are due by now.
func runResume(ctx context.Context, o *resumeOptions) error {
	tasks, err := o.tasks(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range tasks {
		errs = append(errs, o.goOn(ctx, t))
		if ctx.Err() != nil {
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
	}
	any, err := o.deletions(ctx)
	if len(tasks) == 0 && !any && err == nil {
		o.app.ui.Notice("nothing is pending")
	}
	return errors.Join(append(errs, err)...)
}

// tasks gives what is to be gone on with: first what a store has ready for a
// limited time, then what sends, each oldest first.
func (o *resumeOptions) tasks(ctx context.Context) ([]catalog.Task, error) {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return nil, err
	}
	defer s.close()
	tasks, err := s.tasks(ctx)
	if err != nil {
		return nil, err
	}
	tasks = slices.DeleteFunc(tasks, func(t catalog.Task) bool { return t.State == catalog.TaskGivenUp && !o.Now })
	sends := func(t catalog.Task) int {
		if t.Command == "sync" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(tasks, func(a, b catalog.Task) int { return cmp.Compare(sends(a), sends(b)) })
	return tasks, nil
}

// tasks gives the tasks of the session's store, or, where it has none, all.
func (s *session) tasks(ctx context.Context) ([]catalog.Task, error) {
	tasks, err := s.catalog.Tasks(ctx)
	if err != nil || s.loc == (config.Location{}) {
		return tasks, err
	}
	own, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if err != nil && firn.KindOf(err) != firn.NotFound {
		return nil, err
	}
	return slices.DeleteFunc(tasks, func(t catalog.Task) bool {
		return !slices.ContainsFunc(t.Stores, func(url string) bool {
			row, err := s.catalog.StoreByURL(ctx, url)
			return url == s.loc.String() || err == nil && row.ID == own.ID
		})
	}), nil
}

// goOn goes on with one task, and tells what becomes of it. Its error stands for
// a status, and was told already, but for trouble with the catalog.
func (o *resumeOptions) goOn(ctx context.Context, t catalog.Task) error {
	held, err := o.take(ctx, t)
	if held == nil || err != nil {
		return err
	}
	o.tell(newTaskRecord(held.Task, "begun"), fmt.Sprintf("going on with %s, of %s", commandLine(t.Args), localTime(t.Started)))
	return o.settle(ctx, held, o.app.runTask(ctx, held))
}

// take takes a task for this round; nil where it was done since the list was read.
// Errors: ErrNotYet, told already, where it is not to be gone on with now.
func (o *resumeOptions) take(ctx context.Context, t catalog.Task) (*heldTask, error) {
	env := o.app.wireEnv()
	if now := env.Clock.Now(); t.Failures > 0 && now.Before(t.Next) && !o.Now {
		o.passOver(t, "failed", "it failed, and is tried again from "+localTime(t.Next)+" on, or with --now")
		return nil, ErrNotYet
	}
	lock, err := wire.LockTask(env, t.ID, "resume")
	if wire.IsHeld(err) {
		o.passOver(t, "running", "another process is at it")
		return nil, ErrNotYet
	}
	if err != nil {
		return nil, err
	}
	c, err := wire.OpenCatalog(ctx, env)
	if err == nil {
		err = errors.Join(c.RetryTask(ctx, t.ID, t.Tries), c.Close())
	}
	if err == nil {
		t.Tries++
		return &heldTask{t, lock}, nil
	}
	lock.Unlock()
	switch firn.KindOf(err) {
	case firn.NotFound:
		return nil, nil
	case firn.Conflict:
		o.passOver(t, "waiting", "another process has just tried it")
		return nil, ErrNotYet
	}
	return nil, err
}

// runTask runs the command of a task, in this process, as if it were called anew.
func (a *app) runTask(ctx context.Context, t *heldTask) error {
	env, back := a.env.with(t.Task)
	defer back()
	child := &app{env: env, ui: a.ui, once: true, task: t}
	root := newRootCmd(child)
	root.SetArgs(t.Args)
	cmd, err := root.ExecuteContextC(ctx)
	return child.asUsage(cmd, err)
}

// settle records and tells what became of a task.
func (o *resumeOptions) settle(ctx context.Context, t *heldTask, err error) error {
	status := statusOfTask(ctx, err)
	pending := isPending(ctx, err) || status == NotYet || status == Interrupted
	t.State, t.Exit, t.Said = catalog.TaskOpen, int(status), spoken(err)
	state, done := "waiting", false
	switch {
	case status == Failed && !pending && errors.Is(err, errLacking):
		state, done = "ended", true // it takes other commands first
	case status == Failed && !pending:
		t.Failures++
		t.Next = o.app.env.Clock.Now().Add(min(firstRetry<<(t.Failures-1), lastRetry))
		if state = "failed"; t.Failures >= giveUpAfter {
			state, t.State = "given_up", catalog.TaskGivenUp
		}
	case !pending:
		state, done = "done", true
		if status == WrongUsage {
			state = "ended"
		}
	case status != Interrupted:
		t.Failures = 0
	}
	if err := o.app.settleTask(context.WithoutCancel(ctx), t, done); err != nil {
		o.app.ui.Warn(commandLine(t.Args) + ": what has become of it can't be recorded: " + err.Error())
		status = worse(status, Failed)
	}
	o.tellEnd(t.Task, state)
	return toldError(status)
}

// statusOfTask is StatusOf, but what another process is working on is not yet done.
func statusOfTask(ctx context.Context, err error) Status {
	if joined := ui.Joined(err); joined != nil && ctx.Err() == nil {
		status := Done
		for _, e := range joined {
			status = worse(status, statusOfTask(ctx, e))
		}
		return status
	}
	if wire.IsHeld(err) {
		return NotYet
	}
	return StatusOf(ctx, err)
}

// A taskRecord is a command that is not done, of status and resume.
type taskRecord struct {
	Task    int64    `json:"task"`
	State   string   `json:"state"`
	Command string   `json:"command"`
	Line    string   `json:"line"` // for a shell
	Args    []string `json:"args"`
	Stores  []string `json:"stores"`
	Dir     ui.Path  `json:"dir"`
	Started string   `json:"started"` // RFC 3339, as all times
	Tried   string   `json:"tried"`
	Tries   int      `json:"tries"`
	Exit    *int     `json:"exit,omitempty"` // absent while it runs, and after a kill
	Said    string   `json:"said,omitempty"`
	Next    string   `json:"next,omitempty"`
}

func newTaskRecord(t catalog.Task, state string) taskRecord {
	r := taskRecord{
		Task: t.ID, State: state, Command: t.Command, Line: commandLine(t.Args), Args: t.Args, Stores: t.Stores, Dir: ui.NewPath(t.Dir),
		Started: timeText(t.Started), Tried: timeText(t.Tried), Tries: t.Tries, Said: t.Said, Next: timeText(t.Next),
	}
	if t.Exit != catalog.NoExit && state != "begun" {
		r.Exit = &t.Exit
	}
	return r
}

// tell tells how a task stands: of the two a program gets the first, people the
// second.
func (o *resumeOptions) tell(r taskRecord, text string) {
	o.app.ui.Record("task", r)
	if !o.app.ui.IsJSON() {
		o.app.ui.Notice(text)
	}
}

// passOver tells why a task isn't gone on with in this round.
func (o *resumeOptions) passOver(t catalog.Task, state, why string) {
	o.tell(newTaskRecord(t, state), "not done yet: "+commandLine(t.Args)+": "+why)
}

// tellEnd tells how a try of a task ended. What needs a person is a warning.
func (o *resumeOptions) tellEnd(t catalog.Task, state string) {
	line := commandLine(t.Args)
	if t.Said != "" {
		line += ": " + t.Said
	}
	r := newTaskRecord(t, state)
	switch state {
	case "done":
		o.tell(r, "done: "+line)
		return
	case "waiting":
		o.tell(r, "not done yet: "+line)
		return
	}
	o.app.ui.Record("task", r)
	switch state {
	case "failed":
		o.app.ui.Warn(line + "; it is tried again from " + localTime(t.Next) + " on, or with firn resume --now")
	case "given_up":
		o.app.ui.Warn(line + fmt.Sprintf("; after %d failures it is given up: call it again, or firn resume --now", t.Failures))
	case "ended":
		o.app.ui.Warn(line + "; it is for you to call, and not gone on with any more")
	}
}

// asUsage gives the error of a command line that can't be read as such.
func (a *app) asUsage(cmd *cobra.Command, err error) error {
	var usage *usageError
	if err != nil && !a.started && !silent(err) && !errors.As(err, &usage) {
		return &usageError{cmd, err}
	}
	return err
}
