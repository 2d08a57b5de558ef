package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/firn-archive/firn/internal/config"
)

// linger is how long a command's output is waited for after it has ended or was
// killed: what it has started may hold on to it.
const linger = 5 * time.Second

// run runs a command with the message on standard input.
func (c *Caller) run(ctx context.Context, h config.Hook, event string, message []byte) error {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = config.DefaultHookTimeout
	}
	tooLong := fmt.Errorf("it was stopped after %v, which hook_timeout allows", timeout)
	// A command lives in real time, whatever the clock of the run says.
	inner, cancel := context.WithTimeoutCause(ctx, timeout, tooLong)
	defer cancel()
	cmd := command(inner, h)
	cmd.Dir = c.Dir
	cmd.Stdin = bytes.NewReader(message)
	out := &lines{tell: func(line string) { c.tell(event + ": " + line) }}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = linger
	killAll(cmd)
	err := cmd.Run()
	out.end()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case inner.Err() != nil:
		return context.Cause(inner)
	case out.last != "":
		return fmt.Errorf("%w: %s", err, out.last)
	}
	return err
}

// command gives the command of a hook.
func command(ctx context.Context, h config.Hook) *exec.Cmd {
	if len(h.Args) > 0 {
		return exec.CommandContext(ctx, h.Args[0], h.Args[1:]...)
	}
	return shell(ctx, h.Shell)
}

// The bounds of what is told of a command's output.
const (
	longestLine = 4 << 10 // bytes
	mostLines   = 1000
)

// lines is a writer that tells what is written line by line.
type lines struct {
	tell func(string)
	part []byte // of a line
	n    int    // of lines
	last string // that had anything in it
}

// Write never fails: a command must not die of what it says.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if fits := longestLine - len(l.part); len(line) >= fits {
			line, rest, whole = p[:fits], p[fits:], true
		}
		l.part = append(l.part, line...)
		if whole {
			l.end()
		}
		p = rest
	}
	return n, nil
}

// end ends the line.
func (l *lines) end() {
	line := strings.TrimRight(string(l.part), "\r\n\t ")
	l.part = l.part[:0]
	if line == "" {
		return
	}
	l.last = line
	switch l.n++; {
	case l.n <= mostLines:
		l.tell(line)
	case l.n == mostLines+1:
		l.tell("(what more it writes is not shown)")
	}
}
