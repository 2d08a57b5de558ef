package ui

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/firn-archive/firn"
)

// A weight says who wants to hear of an event.
type weight int

const (
	detail weight = iota // with --verbose
	talk                 // unless --quiet
	alarm                // always
	result               // always, on stdout
)

// weigh says who wants to hear that action was taken, in a dry run or not.
func weigh(action firn.Action, dry bool) weight {
	switch action {
	case firn.Failed:
		return alarm
	case firn.Missing, firn.Extra, firn.Differs:
		return result
	case firn.Skipped, firn.Pending:
		return talk
	case firn.Sent, firn.Recorded, firn.Removed, firn.Restored, firn.Excluded, firn.Left:
		if dry {
			return result
		}
	}
	return detail
}

// boring reports whether an action says that all is as it was, or as it was
// wanted. There may be millions of them.
func boring(action firn.Action, dry bool) bool {
	switch action {
	case firn.Unchanged, firn.Equal, firn.Verified:
		return true
	case firn.Excluded, firn.Left:
		return !dry // then it is what people ask for
	}
	return false
}

// fileText tells of one file: "sent photos/a.jpg (3.20 MiB)". It is harmless.
func fileText(e firn.FileEvent, dry bool) string {
	if e.Action == firn.Failed {
		return failedText(e)
	}
	text := verb(e.Action, dry) + " " + pathText(e.Path)
	if e.Size > 0 && e.Action != firn.Skipped {
		text += " (" + Bytes(e.Size) + ")"
	}
	if e.Reason != "" {
		text += ": " + Text(e.Reason)
	}
	return text
}

// failedText tells of a file that failed, with its path once.
func failedText(e firn.FileEvent) string {
	switch {
	case e.Err == nil && e.Reason == "":
		return "failed: " + pathText(e.Path)
	case e.Err == nil:
		return "failed: " + pathText(e.Path) + ": " + Text(e.Reason)
	case names(e.Err, e.Path):
		return "failed: " + Text(e.Err.Error())
	}
	return "failed: " + pathText(e.Path) + ": " + Text(e.Err.Error())
}

// names reports whether an error says which path it is about.
func names(err error, path string) bool {
	var f *firn.Error
	var p *fs.PathError
	return errors.As(err, &f) && strings.HasSuffix(f.Subject, path) ||
		errors.As(err, &p) && strings.HasSuffix(p.Path, path)
}

// pathText writes a path; a tree's root is ".".
func pathText(path string) string {
	if path == "" {
		return "."
	}
	return Text(path)
}

// verb is what was done, or would be.
func verb(action firn.Action, dry bool) string {
	if !dry {
		return Text(string(action))
	}
	switch action {
	case firn.Sent:
		return "would send"
	case firn.Recorded:
		return "would record"
	case firn.Removed:
		return "would mark removed"
	case firn.Deleted:
		return "would delete"
	case firn.Restored:
		return "would restore"
	}
	return Text(string(action))
}

// waitText says what is waited for, and how long still:
// "waiting for job x until 2026-01-02T15:04:05Z (3 h)".
func waitText(e firn.WaitEvent, now time.Time) string {
	left := e.Until.Sub(now)
	if left <= 0 {
		return "waiting for " + Text(e.What)
	}
	return fmt.Sprintf("waiting for %s until %s (%s)", Text(e.What), Time(e.Until), Duration(left))
}

// snapshotText tells of a snapshot: "saved the catalog in local:/mnt/vault:
// snapshot 3, which adds to 1 (12.0 KiB)".
func snapshotText(e firn.SnapshotEvent) string {
	text := fmt.Sprintf("saved the catalog in %s: snapshot %d", Text(e.Store), e.Seq)
	if e.Base != 0 {
		text += fmt.Sprintf(", which adds to %d", e.Base)
	}
	return text + " (" + Bytes(e.Size) + ")"
}

// compareText tells how much is to be compared: "4.2 TiB in 12,345 files are to be
// read once, to compare them with what the store has; ...".
func compareText(e firn.CompareEvent, dry bool) string {
	read, send := "are to be read once", "are sent again"
	if dry {
		read, send = "would be read once", "would be sent again"
	}
	var parts []string
	if n := e.Read; n.Files > 0 {
		parts = append(parts, fmt.Sprintf("%s in %s %s, to compare them with what the store has", Bytes(n.Bytes), Files(n.Files), read))
	}
	if n := e.Hashless; n.Files > 0 {
		parts = append(parts, fmt.Sprintf("%s in %s %s, since nobody recorded the hash of what the store has", Bytes(n.Bytes), Files(n.Files), send))
	}
	if !e.Trusting {
		parts = append(parts, "--trust-times takes size and time for it")
	}
	return strings.Join(parts, "; ")
}

// progressText is how far a run is, in one line for pipes and logs.
func progressText(command string, r reading) string {
	parts := []string{}
	switch {
	case r.scan.Packing:
		parts = append(parts, fmt.Sprintf("packed %s, %s", Files(r.scan.Files), Bytes(r.scan.Bytes)))
	case r.scan.Files > 0 && !r.scan.Done:
		parts = append(parts, "scanned "+things(r.scan.Files, r.scan.Archives))
	}
	switch {
	case r.plan.Archives:
		parts = append(parts, fmt.Sprintf("%s of %s", Count(r.done), things(max(r.plan.Files, r.done), true)))
	case r.endless():
		parts = append(parts, Bytes(max(0, r.moved)))
	case r.plan.Files > 0 || r.moved > 0:
		parts = append(parts, fmt.Sprintf("%s of %s", Count(r.done), Files(max(r.plan.Files, r.done))))
		parts = append(parts, fmt.Sprintf("%s of %s", Bytes(max(0, r.moved)), Bytes(max(r.plan.Bytes, r.moved))))
	}
	if r.rate >= 1 {
		parts = append(parts, Bytes(int64(r.rate))+"/s")
	}
	if r.left > 0 {
		parts = append(parts, Duration(r.left)+" left")
	}
	if len(parts) == 0 && r.told > 0 {
		parts = append(parts, Files(r.told))
	}
	if len(parts) == 0 {
		parts = append(parts, "running for "+Duration(r.elapsed))
	}
	return command + ": " + strings.Join(parts, ", ")
}

// errorLines gives the lines that tell of an error, harmless: one for each of
// those that were joined in it.
func errorLines(err error) []string {
	joined := Joined(err)
	if joined == nil {
		return []string{Text(err.Error())}
	}
	var lines []string
	for _, e := range joined {
		lines = append(lines, errorLines(e)...)
	}
	return lines
}

// Joined gives the errors that errors.Join made err of, or nil. An error that
// wraps several in a sentence of its own isn't joined.
func Joined(err error) []error {
	e, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	if whole := errors.Join(e.Unwrap()...); whole == nil || whole.Error() != err.Error() {
		return nil
	}
	return e.Unwrap()
}
