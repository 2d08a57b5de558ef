package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/ui"
)

// A Status is an exit status of the process.
type Status int

// The exit statuses. Status 2 belongs to the Go runtime, which ends a program
// that panics with it.
const (
	Done        Status = 0
	Failed      Status = 1
	Partial     Status = 3
	WrongUsage  Status = 64 // EX_USAGE of sysexits.h
	NotYet      Status = 75 // EX_TEMPFAIL of sysexits.h
	Interrupted Status = 130
)

type exitRow struct {
	Status  Status
	Meaning string
}

// exitTable is what each status means, for the help and the manual. Where a run
// comes to several of them, the first in this order is its status.
var exitTable = []exitRow{
	{Interrupted, "interrupted; what was done is saved, run it again to go on"},
	{WrongUsage, "wrong usage; nothing was done"},
	{Failed, "failed"},
	{Partial, "done in part, and the output names what is missing; verify: there are differences"},
	{NotYet, "not yet: something is pending, such as a job or the network; run it again later"},
	{Done, "done: all that was asked for is true now"},
}

// ErrPartial and ErrNotYet end a command whose output has said all there is to
// say already: with the status, and without another word. errNoCommand does so
// after the help.
var (
	ErrPartial   = errors.New("done in part")
	ErrNotYet    = errors.New("not yet done")
	errNoCommand = errors.New("no command")
)

// errInterrupted is what the user reads after an interrupt, whatever it broke
// off.
var errInterrupted = errors.New("interrupted; what was done is saved, run the same command again to go on")

// A told stands for a status whose reasons were told where it came up.
type told Status

// toldError gives an error that stands for a status, and is told already; nil for
// Done.
func toldError(s Status) error {
	if s == Done {
		return nil
	}
	return told(s)
}

func (t told) Error() string { return fmt.Sprintf("it ended with status %d", int(t)) }

// silent reports whether err needs no more words.
func silent(err error) bool {
	if joined := ui.Joined(err); joined != nil {
		return !slices.ContainsFunc(joined, func(e error) bool { return !silent(e) })
	}
	_, isTold := err.(told)
	return isTold || err == ErrPartial || err == ErrNotYet || err == errNoCommand
}

// StatusOf gives the status for the error that a command ended with: the worst
// of those that are joined in it.
func StatusOf(ctx context.Context, err error) Status {
	if err == nil {
		return Done
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return Interrupted
	}
	status := Done
	for _, e := range ui.Joined(err) {
		status = worse(status, StatusOf(ctx, e))
	}
	if status != Done {
		return status
	}
	return statusOfOne(err)
}

// isPending reports whether anything in err is not done yet, whatever else went
// wrong: of something that failed and something that is pending the status tells
// only the first.
func isPending(ctx context.Context, err error) bool {
	if joined := ui.Joined(err); joined != nil {
		return slices.ContainsFunc(joined, func(e error) bool { return isPending(ctx, e) })
	}
	return StatusOf(ctx, err) == NotYet
}

func statusOfOne(err error) Status {
	var told told
	switch {
	case errors.As(err, &told):
		return Status(told)
	case errors.Is(err, errNoCommand):
		return WrongUsage
	case errors.Is(err, ErrPartial):
		return Partial
	case errors.Is(err, ErrNotYet):
		return NotYet
	}
	return statusOfKind(firn.KindOf(err))
}

// statusOfKind maps kinds to statuses: what may go well when it is run again,
// with nothing changed by the user, is not yet done.
func statusOfKind(kind firn.Kind) Status {
	switch kind {
	case firn.Usage:
		return WrongUsage
	case firn.NotReady, firn.InDoubt, firn.Network, firn.Lost, firn.Throttled, firn.Unavailable,
		firn.SlowBody, firn.Capacity, firn.Policy:
		return NotYet
	}
	return Failed
}

// worse gives the one of two statuses that wins.
func worse(a, b Status) Status {
	for _, row := range exitTable {
		if row.Status == a || row.Status == b {
			return row.Status
		}
	}
	return a
}

// exitHelp renders the table for the help, in order of the numbers.
func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit status:\n")
	for _, row := range sortedExits() {
		fmt.Fprintf(&b, "  %3d  %s\n", row.Status, row.Meaning)
	}
	return b.String()
}

// sortedExits is the table in order of the numbers.
func sortedExits() []exitRow {
	rows := slices.Clone(exitTable)
	slices.SortFunc(rows, func(a, b exitRow) int { return cmp.Compare(a.Status, b.Status) })
	return rows
}
