package ui

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/firn-archive/firn"
)

// Interactive reports whether somebody is there to answer questions: stdin and
// stderr are terminals, and JSON isn't wanted.
func (u *UI) Interactive() bool {
	o := u.opts
	return o.Stdin != nil && o.StdinTerminal && o.StderrTerminal && !o.JSON
}

// Confirm asks a question that yes or no answers; anything but yes is no. Where
// nobody can be asked it fails with a usage error that names the option that says
// yes in advance: otherwise, such as "--yes".
func (u *UI) Confirm(ctx context.Context, question, otherwise string) (bool, error) {
	answer, err := u.ask(ctx, question+" [y/N] ", otherwise)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// ConfirmName asks to type name, for what can't be undone; anything else is no.
// Otherwise is as for Confirm.
func (u *UI) ConfirmName(ctx context.Context, warning, name, otherwise string) (bool, error) {
	answer, err := u.ask(ctx, warning+"\ntype "+name+" to go on: ", otherwise)
	return err == nil && answer == name, err
}

// ask shows a question, whose lines are made harmless one by one, and gives the
// line that is typed, without the space around it.
func (u *UI) ask(ctx context.Context, question, otherwise string) (string, error) {
	if !u.Interactive() {
		return "", &firn.Error{Op: "ask", Kind: firn.Usage, Err: errors.New("there is no terminal to ask on"), Hint: "to say yes in advance, give " + otherwise}
	}
	u.mu.Lock()
	u.view.pause()
	lines := strings.Split(question, "\n")
	for i, line := range lines {
		lines[i] = Text(line)
	}
	io.WriteString(u.opts.Stderr, strings.Join(lines, "\n"))
	u.mu.Unlock()
	return readLine(ctx, u.opts.Stdin)
}

// readLine reads up to the end of a line and not a byte further. An end of
// input is an empty answer. When ctx ends first, the read is left behind.
func readLine(ctx context.Context, r io.Reader) (string, error) {
	type answer struct {
		line string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		line, err := scanLine(r)
		typed <- answer{line, err}
	}()
	select {
	case a := <-typed:
		return strings.TrimSpace(a.line), a.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func scanLine(r io.Reader) (string, error) {
	var line []byte
	for one := make([]byte, 1); ; {
		n, err := r.Read(one)
		if n > 0 && one[0] == '\n' || err == io.EOF {
			return string(line), nil
		}
		if err != nil {
			return "", err
		}
		line = append(line, one[:n]...)
	}
}
