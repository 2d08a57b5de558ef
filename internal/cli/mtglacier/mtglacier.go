// Package mtglacier is the program mtglacier of mt-aws-glacier 1.120, as
// scripts call it: its arguments, its config file, its lines and its exit
// status, over firn's plan, engine and store.
package mtglacier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/firn-archive/firn/internal/clock"
)

// Env is the world that the program runs in.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv reads an environment variable; one that isn't set is empty.
	Getenv func(name string) string
	// Dir is the folder that relative paths start from.
	Dir   string
	Clock clock.Clock
}

// The exit statuses: there are no others.
const (
	statusDone   = 0
	statusFailed = 1
)

// banner is the first line of every run. Scripts look for its beginning and its
// end; what is between names who wrote what runs.
const banner = "MT-AWS-Glacier, Copyright the authors of firn, which runs in the place of Version 1.120"

// Main runs the arguments behind the program's name, and gives the exit status:
// 0 where the last line on stdout is OK DONE, else 1.
func Main(ctx context.Context, args []string, env Env) int {
	fmt.Fprintf(env.Stdout, "%s\n\n", banner)
	o, notes, err := parse(args, env)
	terminal := o.Encodings.Terminal
	env.Stdout, env.Stderr = terminal.writer(env.Stdout), terminal.writer(env.Stderr)
	for _, note := range notes {
		fmt.Fprintln(env.Stderr, note)
	}
	if err != nil {
		return fail(env, err)
	}
	status := statusDone
	switch o.Command {
	case Help:
		printHelp(env.Stdout)
	case Version:
		printVersion(env.Stdout)
	default:
		status = o.run(ctx, env)
	}
	if status == statusDone {
		fmt.Fprintln(env.Stdout, "OK DONE")
	}
	return status
}

// fail says what went wrong, each of several problems with a line of its own, and
// gives the status for it. Of a longer message the other lines are set in.
func fail(env Env, err error) int {
	for _, p := range each(err) {
		before := "ERROR: "
		for line := range strings.SplitSeq(p.Error(), "\n") {
			if line != "" {
				fmt.Fprintln(env.Stderr, before+clean("%s", []any{line}))
				before = "  "
			}
		}
	}
	return statusFailed
}

// problems are several things that are wrong with one command line.
type problems []error

// Error gives each in a line of its own.
func (p problems) Error() string { return errors.Join(p...).Error() }

// each takes an error apart that may be several.
func each(err error) problems {
	if several, ok := err.(problems); ok {
		return several
	}
	return problems{err}
}

// A problem is a message in the words of mtglacier, whose sentences begin with a
// capital.
type problem string

// Error is the message.
func (p problem) Error() string { return string(p) }

func problemf(format string, args ...any) error { return problem(fmt.Sprintf(format, args...)) }
