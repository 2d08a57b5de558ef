// Package cli is firn's command line: it reads arguments, opens what they name,
// runs the works and gives the exit status. Each command has a file: the
// struct of its options, its constructor, and the function that runs it.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
)

// Env is the world that a command runs in. Tests replace any of it.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// LookupEnv reads an environment variable.
	LookupEnv func(name string) (value string, set bool)
	// Dir is the folder that relative paths start from.
	Dir      string
	Clock    clock.Clock
	Terminal Terminal
	// Hangups gives each request to read the configuration again, until stop is
	// called; nil where there are none.
	Hangups func() (asked <-chan struct{}, stop func())
	// Setenv sets a variable of the process, or takes it away, for libraries that
	// read them; nil where LookupEnv doesn't read those.
	Setenv func(name, value string, set bool)
	// KeepPipes lets a write to a pipe that nobody reads fail, where else it would
	// end the process by a signal; nil where there are no signals.
	KeepPipes func()
}

// Terminal says which streams are terminals.
type Terminal struct {
	Stdin, Stdout, Stderr bool
	// Width gives the columns; nil means 80.
	Width func() int
}

// Getenv reads an environment variable; one that isn't set is empty.
func (e Env) Getenv(name string) string {
	v, _ := e.LookupEnv(name)
	return v
}

// Path makes a path that was given by the user absolute.
func (e Env) Path(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(e.Dir, path)
}

// Main runs the command line args, the first of which is the program's name,
// and gives the exit status. When ctx ends, as by a signal, the command saves
// its state and the status is Interrupted.
func Main(ctx context.Context, args []string, env Env) int {
	if run, rest := dropIn(args); run != nil {
		return run(ctx, rest, env)
	}
	a := &app{env: env}
	return int(a.execute(ctx, newRootCmd(a), args[1:]))
}

// app is what the commands of one run share.
type app struct {
	env     Env
	global  globalOptions
	ui      *ui.UI
	log     *os.File
	started bool // a command runs: errors are no longer those of usage

	args    []string  // behind the program's name, as typed
	command string    // that runs, such as "archive upload"
	dryRun  bool      // nothing is to be done
	once    bool      // firn resume runs it: it does what can be done now, and never waits
	task    *heldTask // what is recorded for firn resume; nil for nothing
	opened  *session  // the store that was opened last; nil: none was
	reached string    // where --endpoint-url says that a store is, as a variable; empty: nowhere

	endpointOfS3 bool // --endpoint-url is that of the store in S3, of the two that the command is about
}

// globalOptions are those that all commands have.
type globalOptions struct {
	JSON, Quiet, Verbose bool
	Log                  string
}

// setState lets another folder be that of the catalog and of all that must last.
func (a *app) setState(dir string) error {
	if dir == "" {
		return errors.New("it names no folder")
	}
	if a.once {
		return nil // a task is in the catalog that it belongs to
	}
	dir, inner := a.env.Path(dir), a.env.LookupEnv
	a.env.LookupEnv = func(name string) (string, bool) {
		if name == config.HomeVar {
			return dir, true
		}
		return inner(name)
	}
	return nil
}

// execute runs the arguments behind the program's name.
func (a *app) execute(ctx context.Context, root *cobra.Command, args []string) Status {
	a.args = args
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return a.finish(ctx, a.asUsage(cmd, err))
}

// finish shows err, closes what the run has open, and gives its status.
func (a *app) finish(ctx context.Context, err error) Status {
	status := StatusOf(ctx, err)
	if a.ui == nil {
		a.global.Log = "" // nothing has run that could be logged
		a.openUI("firn", false)
	}
	if err != nil && !silent(err) {
		var told *interruptedError
		if status == Interrupted && !errors.As(err, &told) {
			err = errInterrupted
		}
		f := ui.Failure{Err: err, Exit: int(status)}
		var usage *usageError
		if errors.As(err, &usage) {
			f.Usage = usage.hint()
		}
		a.ui.Fail(f)
	}
	if err := a.ui.Close(); err != nil {
		status = worse(status, Failed)
		a.ui.Fail(ui.Failure{Err: err, Exit: int(status)})
	}
	if a.log != nil {
		a.log.Close()
	}
	return status
}

// openUI makes the UI of the run, as the global options want it. A command that
// firn resume runs has that of firn resume.
func (a *app) openUI(command string, dryRun bool) error {
	if a.once {
		return nil
	}
	t := a.env.Terminal
	o := ui.Options{
		Stdin: a.env.Stdin, Stdout: a.env.Stdout, Stderr: a.env.Stderr,
		StdinTerminal: t.Stdin, StdoutTerminal: t.Stdout, StderrTerminal: t.Stderr, Width: t.Width,
		JSON: a.global.JSON, Quiet: a.global.Quiet, Verbose: a.global.Verbose, DryRun: dryRun,
		Clock: a.env.Clock, Command: command,
	}
	var err error
	if a.global.Log != "" {
		a.log, err = os.OpenFile(a.env.Path(a.global.Log), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err == nil {
			o.Log = a.log
		}
	}
	a.ui = ui.New(o)
	return err
}
