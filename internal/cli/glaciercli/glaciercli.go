// Package glaciercli is the program glacier of glacier-cli, as scripts and
// git-annex call it: its arguments, its words and its exit codes, over firn's
// stores, engine and catalog. Its cache, which glacier-cli itself may go on to use,
// says which archives there are; firn's catalog keeps the state of uploads and jobs.
package glaciercli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// Env is the world that the program runs in.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal: stdout is one. Names are shown without control characters there; a
	// script gets them as they are.
	Terminal bool
	// Getenv reads an environment variable; one that isn't set is empty.
	Getenv func(name string) string
	// Dir is the folder that relative paths start from.
	Dir   string
	Clock clock.Clock
	// Parent gives the number of the process that started this one; nil where
	// nobody knows.
	Parent func() int
}

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRetry       = 75  // something is pending: EX_TEMPFAIL of sysexits.h
	exitInterrupted = 130 // as shells say of SIGINT
)

// A retryError says that something is pending.
type retryError struct{ text string }

func (e *retryError) Error() string { return e.text }

// A program is one run.
type program struct {
	Env
	region string
	cache  *foreign.Cache // nil until it is needed
	keys   *account       // likewise
	parent int            // number of the process that started this one; 0: not known
	// uploading is the archive of several that is on its way; empty: none is.
	uploading string
}

// defaultRegion is where vaults are without --region, whatever the environment says.
const defaultRegion = "us-east-1"

// Main runs the arguments behind the program's name, and gives the exit code.
func Main(ctx context.Context, args []string, env Env) int {
	c, err := grammar().parse(args)
	p := &program{Env: env, region: defaultRegion}
	if p.Parent != nil {
		p.parent = p.Parent() // at once: it may end at any time
	}
	if err != nil {
		return p.end(ctx, err)
	}
	if c.given("--region") {
		p.region = c.values["--region"]
	}
	if c.parser.run == nil {
		return p.end(ctx, fmt.Errorf("no command was given; %s has %s", c.parser.prog, c.parser.choices()))
	}
	err = c.parser.run(p, ctx, c)
	if p.cache != nil {
		err = errors.Join(err, p.cache.Close())
	}
	return p.end(ctx, err)
}

// end tells how the run ended, and gives the exit code for it.
func (p *program) end(ctx context.Context, err error) int {
	var retry *retryError
	var usage *usageError
	var help *helpWanted
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &help):
		_, err := io.WriteString(p.Stdout, help.parser.help())
		return p.end(ctx, err)
	case errors.As(err, &retry):
		say(p.Stderr, "glacier: ", retry.text)
		return exitRetry
	case errors.As(err, &usage):
		fmt.Fprintf(p.Stderr, "%s%s: error: %s\n", usage.parser.usage(), usage.parser.prog, usage.text)
		return exitUsage
	case ctx.Err() != nil:
		say(p.Stderr, "glacier: ", "interrupted")
		return exitInterrupted
	}
	say(p.Stderr, "glacier: ", err.Error())
	return exitFailed
}

func (p *program) info(format string, args ...any) {
	say(p.Stderr, "glacier: info: ", fmt.Sprintf(format, args...))
}

func (p *program) warn(format string, args ...any) {
	say(p.Stderr, "glacier: warning: ", fmt.Sprintf(format, args...))
}

// shown is a name as stdout gets it.
func (p *program) shown(name string) string {
	if p.Terminal {
		return ui.Text(name)
	}
	return name
}

// print writes a line of a result to stdout.
func (p *program) print(line string) error {
	if _, err := io.WriteString(p.Stdout, line+"\n"); err != nil {
		return fmt.Errorf("standard output can't be written: %w", err)
	}
	return nil
}

// path makes a path that was given absolute.
func (p *program) path(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.Dir, path)
}

// env is what the parts below work in: they talk of what goes wrong alone.
func (p *program) env() wire.Env {
	return wire.Env{Getenv: p.Getenv, Dir: p.Dir, Clock: p.Clock, Events: p.heed}
}

// heed tells what of an event users of glacier-cli, or of its fork, should know.
func (p *program) heed(e firn.Event) {
	switch e := e.(type) {
	case firn.NoticeEvent:
		if e.Warn {
			p.warn("%s", e.Text)
		}
	case firn.WaitEvent:
		if p.uploading != "" {
			p.warn("Upload failed - retrying for archive %s", p.uploading)
		}
	}
}

// openCache opens glacier-cli's cache, and makes it where there is none.
func (p *program) openCache(ctx context.Context) (*foreign.Cache, error) {
	if p.cache != nil {
		return p.cache, nil
	}
	dir := p.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home := p.Getenv("HOME")
		if home == "" {
			return nil, errors.New("cannot find user home directory: HOME is not set")
		}
		dir = filepath.Join(home, ".cache")
	}
	var err error
	p.cache, err = foreign.OpenCache(ctx, filepath.Join(dir, "glacier-cli", "db"))
	return p.cache, err
}
