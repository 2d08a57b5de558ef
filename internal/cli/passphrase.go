package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/ui"
)

// passphraseFlag is the option that stands in for the terminal.
const passphraseFlag = "passphrase-file"

// maxPassphrase is how long a passphrase in a file may be, in bytes: who names
// the wrong file is told so.
const maxPassphrase = 4 << 10

// passphraseOptions say where the passphrase of an identity file comes from: a
// file, or a terminal. There is no option that has it as its value, which other
// users of the machine, and the shell's history, could read.
type passphraseOptions struct {
	app  *app
	File string // empty: the terminal
}

func (o *passphraseOptions) addFlags(f *pflag.FlagSet, usage string) {
	f.StringVar(&o.File, passphraseFlag, "", usage)
}

// known gets the passphrase of an identity file that has one.
func (o *passphraseOptions) known(ctx context.Context, identity string) (string, error) {
	if o.File != "" {
		return o.read()
	}
	return o.app.secret(ctx, "passphrase of "+identity)
}

// chosen gets a new passphrase, on a terminal twice.
func (o *passphraseOptions) chosen(ctx context.Context) (string, error) {
	if o.File != "" {
		return o.read()
	}
	first, err := o.app.secret(ctx, "new passphrase")
	if err != nil {
		return "", err
	}
	if first == "" {
		return "", wrongUsage("choose a passphrase", "it is empty")
	}
	again, err := o.app.secret(ctx, "the same again")
	if err == nil && first != again {
		err = wrongUsage("choose a passphrase", "the two that were typed differ")
	}
	return first, err
}

// read gets the passphrase from the first line of a file.
func (o *passphraseOptions) read() (string, error) {
	f, err := os.Open(o.app.env.Path(o.File))
	if err != nil {
		return "", &firn.Error{Op: "read the passphrase", Subject: o.File, Kind: firn.Local, Err: cause(err)}
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxPassphrase+1)).ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	switch {
	case err != nil && err != io.EOF:
		return "", &firn.Error{Op: "read the passphrase", Subject: o.File, Kind: firn.Local, Err: cause(err)}
	case line == "":
		return "", wrongUsage("read the passphrase", "the first line of %s is empty", o.File)
	case len(line) > maxPassphrase:
		return "", wrongUsage("read the passphrase", "the first line of %s is longer than %d bytes", o.File, maxPassphrase)
	}
	return line, nil
}

// secret asks on the terminal for a line that it doesn't show. When ctx ends
// first, the terminal shows again what is typed.
func (a *app) secret(ctx context.Context, question string) (string, error) {
	in, ok := a.env.Stdin.(interface{ Fd() uintptr })
	if !ok || !a.ui.Interactive() {
		return "", &firn.Error{Op: "ask for the " + question, Kind: firn.Usage, Err: errors.New("there is no terminal to ask on"), Hint: "give a file that holds it with --" + passphraseFlag}
	}
	fd := int(in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", &firn.Error{Op: "ask for the " + question, Kind: firn.Local, Err: err}
	}
	io.WriteString(a.env.Stderr, ui.Text(question)+": ")
	defer io.WriteString(a.env.Stderr, "\n") // that of the user isn't shown either
	type answer struct {
		line []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		typed <- answer{line, err}
	}()
	select {
	case got := <-typed:
		if got.err != nil {
			return "", &firn.Error{Op: "ask for the " + question, Kind: firn.Local, Err: got.err}
		}
		return string(got.line), nil
	case <-ctx.Done():
		term.Restore(fd, state)
		return "", context.Cause(ctx)
	}
}
