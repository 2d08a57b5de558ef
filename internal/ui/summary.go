package ui

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
)

// order is how a summary lists actions: first what was done.
var order = []firn.Action{
	firn.Sent, firn.Restored, firn.Recorded, firn.Removed, firn.Deleted, firn.Verified, firn.Unchanged, firn.Equal,
	firn.Missing, firn.Differs, firn.Extra, firn.Skipped, firn.Excluded, firn.Left, firn.Pending, firn.Failed,
}

// summary gives the closing lines of a run: what it came to, then a row for
// each action that touched a file.
func summary(e firn.SummaryEvent) []string {
	lines := []string{headline(e)}
	actions := slices.Clone(order)
	for _, a := range slices.Sorted(maps.Keys(e.Counts)) {
		if !slices.Contains(actions, a) {
			actions = append(actions, a)
		}
	}
	var rows [][]string
	for _, a := range actions {
		c := e.Counts[a]
		if c.Files == 0 {
			continue
		}
		row := []string{"  " + verb(a, e.DryRun), Files(c.Files), ""}
		if c.Bytes > 0 {
			row[2] = Bytes(c.Bytes)
		}
		if moves(a) && !e.DryRun && float64(c.Bytes) > e.Elapsed.Seconds() && e.Elapsed > 0 {
			row[2] += " at " + Rate(c.Bytes, e.Elapsed)
		}
		rows = append(rows, row)
	}
	lines = append(lines, align(rows, []bool{false, true, false})...)
	return append(lines, excluded(e.Excluded)...)
}

// maxReasons is how many reasons for leaving files out a summary lists.
const maxReasons = 10

// excluded gives a line for each reason for which files were left out, the most
// frequent first.
func excluded(n map[string]int64) []string {
	reasons := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), strings.Compare(a, b))
	})
	rest := len(reasons) - maxReasons
	var rows [][]string
	for _, r := range reasons[:min(len(reasons), maxReasons)] {
		rows = append(rows, []string{"    " + Count(n[r]), Text(r)})
	}
	lines := align(rows, []bool{true, false})
	if rest > 0 {
		lines = append(lines, fmt.Sprintf("    and %s more %s", Count(int64(rest)), plural(int64(rest), "reason", "reasons")))
	}
	return lines
}

// moves reports whether an action transfers bytes.
func moves(a firn.Action) bool { return a == firn.Sent || a == firn.Restored }

// headline says in one line what a run came to.
func headline(e firn.SummaryEvent) string {
	subject := strings.Join(nonEmpty(e.Command, e.Tree, e.Store), " ")
	text := Text(subject) + ": " + outcome(e)
	if !e.DryRun {
		text += " (" + Duration(e.Elapsed) + ")"
	}
	return text
}

// outcome is the gist of a summary.
func outcome(e firn.SummaryEvent) string {
	n := func(a firn.Action) int64 { return e.Counts[a].Files }
	changed := n(firn.Sent) + n(firn.Recorded) + n(firn.Removed) + n(firn.Deleted) + n(firn.Restored)
	wrong := n(firn.Missing) + n(firn.Differs) + n(firn.Extra)
	switch {
	case e.Stopped:
		return "stopped before the end"
	case e.DryRun:
		return "dry run, nothing was done"
	case n(firn.Failed) > 0:
		return fmt.Sprintf("done in part, %s failed", Files(n(firn.Failed)))
	case wrong > 0:
		return Count(wrong) + " " + plural(wrong, "difference", "differences")
	case n(firn.Pending) > 0:
		return fmt.Sprintf("not yet done, %s pending; run it again", Files(n(firn.Pending)))
	case n(firn.Left) > 0:
		return fmt.Sprintf("not yet done, %s left by the limits; run it again", Files(n(firn.Left)))
	case changed > 0 || n(firn.Verified) > 0:
		return "done"
	case e.Command == "sync" && n(firn.Skipped) > 0:
		return "nothing to send, " + Files(n(firn.Skipped)) + " skipped"
	}
	return nothing(e.Command)
}

// nothing says that a command found nothing to do.
func nothing(command string) string {
	switch command {
	case "sync":
		return "nothing to send, all is stored"
	case "restore":
		return "nothing to restore, all is in place"
	}
	return "nothing to do"
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func nonEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}
