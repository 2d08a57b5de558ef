package cli

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
)

// A usageError is a command line that can't be read.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string {
	// cobra's messages go over several lines where it makes suggestions.
	lines := strings.FieldsFunc(e.err.Error(), func(r rune) bool { return r == '\n' || r == '\t' })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, " ")
}

func (e *usageError) Unwrap() error { return e.err }

// As lets a message of cobra's count as an error of kind Usage.
func (e *usageError) As(target any) bool {
	t, ok := target.(**firn.Error)
	if ok && !errors.As(e.err, t) {
		*t = &firn.Error{Kind: firn.Usage, Err: e.err}
	}
	return ok
}

// hint says how the command is called, where the error itself doesn't say what
// to do.
func (e *usageError) hint() string {
	var said *firn.Error
	if errors.As(e.err, &said) && said.Hint != "" {
		return "" // the error says what to do
	}
	return fmt.Sprintf("usage: %s; for more: %s --help", e.cmd.UseLine(), e.cmd.CommandPath())
}

// wrongUsage gives an error for options or arguments that a command finds to be
// wrong once it runs.
func wrongUsage(op, format string, args ...any) error {
	return &firn.Error{Op: op, Kind: firn.Usage, Err: fmt.Errorf(format, args...)}
}

// takes checks that a command gets the arguments that are named: NAME stands for
// one, NAME... for one or more, [NAME] for one at most, [NAME...] for any number.
func takes(names ...string) cobra.PositionalArgs {
	var needed []string
	most := len(names)
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			needed = append(needed, strings.TrimSuffix(name, "..."))
		}
		if strings.Contains(name, "...") {
			most = math.MaxInt
		}
	}
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(needed):
			return fmt.Errorf("%s is missing", needed[len(args)])
		case len(args) > most:
			return fmt.Errorf("%q is one argument too many", args[most])
		}
		return nil
	}
}
