package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/lockfile"
	"github.com/firn-archive/firn/internal/wire"
)

// taskHome is testEnv with a place for a catalog, and variables.
func taskHome(t *testing.T, vars map[string]string) Env {
	env := testEnv(t)
	home := t.TempDir()
	env.LookupEnv = func(name string) (string, bool) {
		if name == "FIRN_HOME" {
			return home, true
		}
		v, set := vars[name]
		return v, set
	}
	return env
}

// TestTaskKeepsNoSecret: what is kept of the environment says where, and not who.
func TestTaskKeepsNoSecret(t *testing.T) {
	vars := map[string]string{
		"AWS_ACCESS_KEY_ID": "hunter2", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "hunter2",
		"AWS_ENDPOINT_URL": "https://me:hunter2@example.org", "AWS_ENDPOINT_URL_GLACIER": "http://127.0.0.1:1", "AWS_PROFILE": "backup", "AWS_REGION": "",
		"AWS_CONFIG_FILE": "aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/keys", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "hunter2", "FIRN_HOST": "nas",
	}
	a := &app{env: taskHome(t, vars)}
	want := []string{
		"AWS_PROFILE=backup", "FIRN_HOST=nas", "AWS_CONFIG_FILE=" + filepath.Join(a.env.Dir, "aws", "config"), "AWS_SHARED_CREDENTIALS_FILE=~/keys",
		"AWS_ENDPOINT_URL_GLACIER=http://127.0.0.1:1",
	}
	if diff := cmp.Diff(want, a.taskEnv()); diff != "" {
		t.Error(diff)
	}
}

// TestEnvOfTask: a task sees its own variables before those of the round, and the
// process has its old ones afterwards.
func TestEnvOfTask(t *testing.T) {
	process := map[string]string{"AWS_PROFILE": "cron", "HOME": "/h"}
	env := taskHome(t, process)
	env.Terminal.Stdin = true
	env.Setenv = func(name, value string, set bool) {
		if delete(process, name); set {
			process[name] = value
		}
	}
	inner, back := env.with(catalog.Task{Dir: "/there", Env: []string{"AWS_PROFILE=a=b", "AWS_REGION=eu-west-1"}})
	if inner.Getenv("AWS_PROFILE") != "a=b" || inner.Getenv("HOME") != "/h" || inner.Path("x") != filepath.Join("/there", "x") || inner.Terminal.Stdin {
		t.Errorf("it sees %q, %q, and is in %s", inner.Getenv("AWS_PROFILE"), inner.Getenv("HOME"), inner.Path("x"))
	}
	if diff := cmp.Diff(map[string]string{"AWS_PROFILE": "a=b", "AWS_REGION": "eu-west-1", "HOME": "/h"}, process); diff != "" {
		t.Error(diff)
	}
	back()
	if diff := cmp.Diff(map[string]string{"AWS_PROFILE": "cron", "HOME": "/h"}, process); diff != "" {
		t.Error(diff)
	}
}

// A tasker runs commands of a task's life against a real catalog.
type tasker struct {
	t   *testing.T
	env Env
}

// run is a command that records itself, ends with err, and may do something in
// between.
func (r tasker) run(err error, subject string, during func(a *app)) {
	r.t.Helper()
	a := &app{env: r.env}
	root := newRootCmd(a)
	cmd := failing(a, nil)
	cmd.RunE = a.runner(func(ctx context.Context, _ []string) error {
		s, openErr := a.openCatalog(ctx, "local:/v")
		if openErr != nil {
			r.t.Fatal(openErr)
		}
		defer s.close()
		a.begin(ctx, s, subject)
		a.begin(ctx, s, subject) // says nothing new
		if during != nil {
			during(a)
		}
		return err
	})
	root.AddCommand(cmd)
	a.execute(r.t.Context(), root, []string{"fail", "--dry-run=false"})
}

func (r tasker) tasks() []catalog.Task {
	r.t.Helper()
	env := wire.Env{Getenv: r.env.Getenv, Dir: r.env.Dir, Clock: r.env.Clock, Events: firn.Discard}
	c, err := wire.OpenCatalog(r.t.Context(), env)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	tasks, err := c.Tasks(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return tasks
}

func TestWhichTasksStay(t *testing.T) {
	failed := &firn.Error{Op: "x", Kind: firn.Local}
	for _, tt := range []struct {
		name string
		err  error
		stay bool
		exit Status
	}{
		{"done", nil, false, 0},
		{"failed", failed, false, 0},
		{"done in part", ErrPartial, false, 0},
		{"wrong usage", wrongUsage("x", "no"), false, 0},
		{"pending", ErrNotYet, true, NotYet},
		{"the network", &firn.Error{Op: "x", Kind: firn.Network}, true, NotYet},
		{"done in part, and the rest is pending", errors.Join(ErrPartial, ErrNotYet), true, Partial},
		{"failed, and another part is pending", errors.Join(failed, errors.Join(nil, ErrNotYet)), true, Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tasker{t, taskHome(t, nil)}
			r.run(tt.err, "one", func(*app) {
				if tasks := r.tasks(); len(tasks) != 1 || tasks[0].Exit != catalog.NoExit || !slices.Equal(tasks[0].Stores, []string{"local:/v"}) {
					t.Errorf("while it runs: %+v", tasks)
				}
			})
			tasks := r.tasks()
			if tt.stay != (len(tasks) == 1) || tt.stay && tasks[0].Exit != int(tt.exit) {
				t.Errorf("got %+v", tasks)
			}
		})
	}
}

// TestTwoOfOneTask: while one process works on a task, another command about the
// same neither takes it over nor crosses it off.
func TestTwoOfOneTask(t *testing.T) {
	r := tasker{t, taskHome(t, nil)}
	r.run(ErrNotYet, "one", func(*app) {
		r.run(nil, "one", nil)
		if len(r.tasks()) != 1 {
			t.Error("the second one crossed it off")
		}
		r.run(ErrNotYet, "two", nil)
	})
	if tasks := r.tasks(); len(tasks) != 2 || tasks[0].Tries != 1 {
		t.Errorf("got %+v", tasks)
	}
	r.run(nil, "one", nil)
	if tasks := r.tasks(); len(tasks) != 1 || !strings.HasSuffix(tasks[0].Subject, "two") {
		t.Errorf("got %+v", tasks)
	}
}

// TestInterruptedTaskStays: also when a signal ends the command.
func TestInterruptedTaskStays(t *testing.T) {
	r := tasker{t, taskHome(t, nil)}
	a := &app{env: r.env}
	root := newRootCmd(a)
	cmd := failing(a, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cmd.RunE = a.runner(func(ctx context.Context, _ []string) error {
		s, err := a.openCatalog(ctx, "local:/v")
		if err != nil {
			return err
		}
		defer s.close()
		a.begin(ctx, s)
		cancel()
		return fmt.Errorf("upload: %w", context.Cause(ctx))
	})
	root.AddCommand(cmd)
	if status := a.execute(ctx, root, []string{"fail"}); status != Interrupted {
		t.Errorf("status %d", status)
	}
	if tasks := r.tasks(); len(tasks) != 1 || tasks[0].Exit != int(Interrupted) {
		t.Errorf("got %+v", tasks)
	}
}

// TestFailuresOfRounds: a task that fails has ever longer pauses, is given up in the
// end, and tried again when that is wanted.
func TestFailuresOfRounds(t *testing.T) {
	r := tasker{t, taskHome(t, nil)}
	clk := r.env.Clock.(*clock.Manual)
	r.run(ErrNotYet, "one", nil) // calls itself "fail", which real rounds don't know
	calls := 0
	round := func(now bool, err error) Status {
		a := &app{env: r.env}
		if uiErr := a.openUI("resume", false); uiErr != nil {
			t.Fatal(uiErr)
		}
		o := &resumeOptions{app: a, Now: now}
		tasks, tasksErr := o.tasks(t.Context())
		if tasksErr != nil {
			t.Fatal(tasksErr)
		}
		status := Done
		for _, task := range tasks {
			held, heldErr := o.take(t.Context(), task)
			if heldErr != nil {
				status = worse(status, StatusOf(t.Context(), heldErr))
				continue
			}
			calls++
			status = worse(status, StatusOf(t.Context(), o.settle(t.Context(), held, err)))
		}
		return status
	}
	failure := &firn.Error{Op: "open", Kind: firn.Local}
	for i := range giveUpAfter {
		if status := round(false, failure); status != Failed || calls != i+1 {
			t.Fatalf("round %d: status %d, %d calls", i, status, calls)
		}
		if i == giveUpAfter-1 {
			break
		}
		pause := min(time.Hour<<i, 24*time.Hour)
		clk.Advance(pause - time.Second)
		if status := round(false, failure); status != NotYet || calls != i+1 {
			t.Fatalf("too early after failure %d: status %d, %d calls", i+1, status, calls)
		}
		clk.Advance(time.Second)
	}
	clk.Advance(1000 * time.Hour)
	if status := round(false, nil); status != Done || calls != giveUpAfter {
		t.Errorf("given up: status %d, %d calls", status, calls)
	}
	if tasks := r.tasks(); len(tasks) != 1 || tasks[0].State != catalog.TaskGivenUp {
		t.Errorf("given up: %+v", tasks)
	}
	if status := round(true, ErrNotYet); status != NotYet {
		t.Errorf("wanted all the same: status %d", status)
	}
	if tasks := r.tasks(); len(tasks) != 1 || tasks[0].State != catalog.TaskOpen || tasks[0].Failures != 0 {
		t.Errorf("wanted all the same: %+v", tasks)
	}
	// What another process has locked counts as pending, not as a failure.
	held := &firn.Error{Op: "lock tree", Kind: firn.Conflict, Err: lockfile.ErrHeld}
	if status := round(false, errors.Join(nil, held)); status != NotYet {
		t.Errorf("locked: status %d", status)
	}
	if status := round(false, wrongUsage("agree", "no")); status != WrongUsage || len(r.tasks()) != 0 {
		t.Errorf("for a person: status %d, %+v", status, r.tasks())
	}
}

// TestRoundsAskNobody: not even on a terminal.
func TestRoundsAskNobody(t *testing.T) {
	env := taskHome(t, nil)
	env.Terminal = Terminal{Stdin: true, Stdout: true, Stderr: true}
	a := &app{env: env}
	if status := a.execute(t.Context(), newRootCmd(a), []string{"resume"}); status != Done || a.ui.Interactive() {
		t.Errorf("status %d, interactive: %v", status, a.ui.Interactive())
	}
	a = &app{env: env}
	if status := a.execute(t.Context(), newRootCmd(a), []string{"status"}); status != Done || !a.ui.Interactive() {
		t.Errorf("another command: status %d, interactive: %v", status, a.ui.Interactive())
	}
}

func TestToldStatus(t *testing.T) {
	err := errors.Join(toldError(Partial), toldError(Done), toldError(NotYet))
	if status := StatusOf(t.Context(), err); status != Partial || !silent(err) {
		t.Errorf("status %d, silent %v", status, silent(err))
	}
	if toldError(Done) != nil {
		t.Error("an error for Done")
	}
}
