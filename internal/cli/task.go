package cli

import (
	"context"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/wire"
)

// A heldTask is what the command that runs is in the catalog, so that firn resume
// goes on with it where it is not done.
type heldTask struct {
	catalog.Task
	lock *wire.TaskLock
}

// begin records that the command goes on, from now until it is done, with a store:
// call it once all is checked that can be checked before the work, and for each
// further store again. Subject is what the command is about, such as its store and
// its folder: another command with the same one takes its place. A command that
// can't be recorded is told of, and goes on. Of one that another process runs
// already, and of dry runs, nothing is recorded.
func (a *app) begin(ctx context.Context, s *session, subject ...string) {
	if a.dryRun {
		return
	}
	var err error
	switch store := s.loc.String(); {
	case a.task == nil:
		a.task, err = a.takeTask(ctx, s.catalog, catalog.Task{
			Subject: taskSubject(append([]string{a.command}, subject...)), Command: a.command,
			Stores: []string{store}, Args: a.args, Dir: a.env.Dir, Env: a.taskEnv(),
		})
	case !slices.Contains(a.task.Stores, store):
		a.task.Stores = append(a.task.Stores, store)
		err = s.catalog.AddTaskStore(ctx, a.task.ID, store)
	}
	if err != nil && ctx.Err() == nil {
		a.ui.Warn("firn resume won't know of this command: " + err.Error())
	}
}

// taskSubject makes one text of the parts of a subject, the first of which is the
// command.
func taskSubject(parts []string) string { return strings.Join(parts, "\x00") }

// taskTries bounds how often a task that was done just now is looked up anew.
const taskTries = 3

// takeTask records a task and takes its lock; nil where another process has it.
func (a *app) takeTask(ctx context.Context, c *catalog.Catalog, t catalog.Task) (*heldTask, error) {
	for tries := 1; ; tries++ {
		id, fresh, err := c.FindTask(ctx, t)
		if err != nil {
			return nil, err
		}
		t.ID = id
		lock, err := wire.LockTask(a.wireEnv(), t.ID, a.command)
		if wire.IsHeld(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if !fresh {
			err = c.TakeTask(ctx, t)
		}
		if err == nil {
			return &heldTask{t, lock}, nil
		}
		if firn.KindOf(err) != firn.NotFound || tries == taskTries {
			lock.Unlock()
			return nil, err
		}
		lock.Remove() // it was done between the two
	}
}

// agreed notes that somebody on a terminal said yes to what the command costs:
// firn resume goes on with it without a question.
func (a *app) agreed(ctx context.Context) {
	if a.task == nil {
		return
	}
	a.task.Args = append([]string{"--yes=true"}, a.task.Args...) // in front: -- may be among them
	if err := a.opened.catalog.AgreeTask(ctx, a.task.Task); err != nil {
		a.ui.Warn("firn resume won't know that this was agreed to: " + err.Error())
	}
}

// expect notes when it is worth going on with the command, for firn status.
func (a *app) expect(next time.Time) {
	if a.task != nil {
		a.task.Next = next
	}
}

// end records how the command ended: what is pending or was interrupted stays for
// firn resume. One that firn resume runs is its business.
func (a *app) end(ctx context.Context, err error) {
	t := a.task
	if t == nil || a.once {
		return
	}
	a.task = nil
	t.State, t.Exit, t.Said = catalog.TaskOpen, int(StatusOf(ctx, err)), spoken(err)
	done := !isPending(ctx, err) && StatusOf(ctx, err) != Interrupted && !mayPass(err)
	if err := a.settleTask(context.WithoutCancel(ctx), t, done); err != nil {
		a.ui.Warn("what has become of this command can't be recorded for firn resume: " + err.Error())
	}
}

// mayPass reports whether an error ended a command on account of what people put
// right elsewhere, such as keys that expired on the third day of a restore.
func mayPass(err error) bool {
	kind := firn.KindOf(err)
	return kind == firn.Denied || kind == firn.Full
}

// settleTask records what has become of a task, and gives its lock back.
func (a *app) settleTask(ctx context.Context, t *heldTask, done bool) error {
	c, err := wire.OpenCatalog(ctx, a.wireEnv())
	if err != nil {
		t.lock.Unlock()
		return err
	}
	defer c.Close()
	if done {
		err = c.EndTask(ctx, t.ID)
	} else {
		err = c.LeaveTask(ctx, t.Task)
	}
	if done && err == nil {
		t.lock.Remove()
	} else {
		t.lock.Unlock()
	}
	return err
}

// Variables that say where a command works: what is called by a timer has an
// environment of its own. Secrets are not among them.
var (
	taskVars = []string{
		"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "FIRN_HOST",
	}
	taskFileVars     = []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "FIRN_CONFIG_DIR", "XDG_CONFIG_HOME"}
	taskEndpointVars = []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_GLACIER", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SNS", "AWS_ENDPOINT_URL_SQS"}
)

// taskEnv gives what a task keeps of the environment, as NAME=value; what
// --endpoint-url says is kept as if it were there. An address with a password in it
// is not kept.
func (a *app) taskEnv() (vars []string) {
	keep := func(names []string, value func(string) string) {
		for _, name := range names {
			if v := a.env.Getenv(name); v != "" {
				if v = value(v); v != "" {
					vars = append(vars, name+"="+v)
				}
			}
		}
	}
	keep(taskVars, func(v string) string { return v })
	keep(taskFileVars, func(v string) string {
		if strings.HasPrefix(v, "~") {
			return v // the SDK knows what that is
		}
		return a.env.Path(filepath.FromSlash(v))
	})
	keep(taskEndpointVars, func(v string) string {
		if u, err := url.Parse(v); err != nil || u.User != nil {
			return ""
		}
		return v
	})
	if name, _, said := strings.Cut(a.reached, "="); said {
		vars = append(slices.DeleteFunc(vars, func(v string) bool { return strings.HasPrefix(v, name+"=") }), a.reached)
	}
	return vars
}

// with gives the environment in which a task began, in its folder, without anybody
// who could be asked. Until back is called libraries see its variables too.
func (e Env) with(t catalog.Task) (env Env, back func()) {
	vars := map[string]string{}
	var undo []func()
	for _, one := range t.Env {
		name, value, _ := strings.Cut(one, "=")
		vars[name] = value
		if e.Setenv != nil {
			old, set := e.LookupEnv(name)
			e.Setenv(name, value, true)
			undo = append(undo, func() { e.Setenv(name, old, set) })
		}
	}
	env = e
	env.Dir, env.Stdin, env.Terminal.Stdin = t.Dir, strings.NewReader(""), false
	env.LookupEnv = func(name string) (string, bool) {
		if v, ok := vars[name]; ok {
			return v, true
		}
		return e.LookupEnv(name)
	}
	return env, func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
}

// commandLine is a command as a shell reads it.
func commandLine(args []string) string {
	line := "firn"
	for _, arg := range args {
		line += " " + shellWord(arg)
	}
	return line
}
