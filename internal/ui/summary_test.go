package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
)

func TestSummary(t *testing.T) {
	type counts = map[firn.Action]firn.Count
	tests := []struct {
		name string
		e    firn.SummaryEvent
		want string
	}{
		{"first sync", firn.SummaryEvent{Counts: counts{firn.Sent: {Files: 1200, Bytes: 3 << 20}, firn.Recorded: {Files: 3}, firn.Skipped: {Files: 1}}},
			`sync docs local:v: done (1.5 s)
  sent      1,200 files  3.00 MiB at 2.00 MiB/s
  recorded      3 files
  skipped        1 file
`},
		{"nothing new", firn.SummaryEvent{Counts: counts{firn.Unchanged: {Files: 1200, Bytes: 3 << 20}}},
			`sync docs local:v: nothing to send, all is stored (1.5 s)
  unchanged  1,200 files  3.00 MiB
`},
		{"in part", firn.SummaryEvent{Counts: counts{firn.Sent: {Files: 1}, firn.Failed: {Files: 2}}},
			`sync docs local:v: done in part, 2 files failed (1.5 s)
  sent     1 file
  failed  2 files
`},
		{"pending", firn.SummaryEvent{Counts: counts{firn.Restored: {Files: 1}, firn.Pending: {Files: 2}}},
			`sync docs local:v: not yet done, 2 files pending; run it again (1.5 s)
  restored   1 file
  pending   2 files
`},
		{"left by a limit", firn.SummaryEvent{Counts: counts{firn.Sent: {Files: 1}, firn.Left: {Files: 2, Bytes: 2048}}},
			`sync docs local:v: not yet done, 2 files left by the limits; run it again (1.5 s)
  sent   1 file
  left  2 files  2.00 KiB
`},
		{"skipped alone", firn.SummaryEvent{Counts: counts{firn.Skipped: {Files: 2}}},
			`sync docs local:v: nothing to send, 2 files skipped (1.5 s)
  skipped  2 files
`},
		{"dry run", firn.SummaryEvent{DryRun: true, Counts: counts{firn.Sent: {Files: 1, Bytes: 1024}, firn.Removed: {Files: 2}}},
			`sync docs local:v: dry run, nothing was done
  would send           1 file  1.00 KiB
  would mark removed  2 files
`},
		{"differences", firn.SummaryEvent{Command: "verify", Counts: counts{firn.Verified: {Files: 9}, firn.Missing: {Files: 1}}},
			`verify docs local:v: 1 difference (1.5 s)
  ok       9 files
  missing   1 file
`},
		{"excluded", firn.SummaryEvent{Counts: counts{firn.Excluded: {Files: 1235}}, Excluded: map[string]int64{"rule -*\x1b": 1, "on a list": 1234}},
			`sync docs local:v: nothing to send, all is stored (1.5 s)
  excluded  1,235 files
    1,234  on a list
        1  rule -*\x1b
`},
		{"an action of tomorrow", firn.SummaryEvent{Command: "thaw", Counts: counts{"thawed\x1b": {Files: 1}}},
			`thaw docs local:v: nothing to do (1.5 s)
  thawed\x1b  1 file
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.e.Command == "" {
				tt.e.Command = "sync"
			}
			tt.e.Tree, tt.e.Store, tt.e.Elapsed = "docs", "local:v", 1500*time.Millisecond
			got := strings.Join(summary(tt.e), "\n") + "\n"
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// TestManyReasons: a summary stays short, whatever the patterns are.
func TestManyReasons(t *testing.T) {
	n := map[string]int64{}
	for i := range maxReasons + 2 {
		n[string(rune('a'+i))] = int64(i)
	}
	lines := excluded(n)
	if len(lines) != maxReasons+1 || lines[0] != "    11  l" || lines[maxReasons] != "    and 2 more reasons" {
		t.Errorf("%q", lines)
	}
}

func TestSummaryOfARunThatWasStopped(t *testing.T) {
	r := record()
	r.Sink()(firn.SummaryEvent{Command: "sync", Stopped: true, Counts: map[firn.Action]firn.Count{firn.Sent: {Files: 1}}})
	if !strings.Contains(r.out.String(), "sync: stopped before the end (0.0 s)\n") {
		t.Errorf("it says %q", r.out.String())
	}
}

func TestSummariesOfSeveralTrees(t *testing.T) {
	r := record()
	for _, tree := range []string{"a", "b"} {
		r.Sink()(firn.PlanEvent{Files: 2})
		r.Sink()(firn.FileEvent{Action: firn.Sent})
		r.Sink()(firn.SummaryEvent{Command: "sync", Tree: tree, Counts: map[firn.Action]firn.Count{firn.Sent: {Files: 1}, firn.Failed: {Files: 1}}})
	}
	if got := strings.Count(r.out.String(), "done in part, 1 file failed"); got != 2 {
		t.Errorf("it says\n%s", r.out.String())
	}
}
