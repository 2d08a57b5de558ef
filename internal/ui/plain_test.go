package ui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// testStart is when the manual clocks of these tests begin.
var testStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A recorder is a UI whose streams are buffers.
type recorder struct {
	*UI
	clock    *clock.Manual
	out, err strings.Builder
}

func record(change ...func(*Options)) *recorder {
	r := &recorder{clock: clock.NewManual(testStart)}
	o := Options{Stdout: &r.out, Stderr: &r.err, Clock: r.clock, Command: "sync"}
	for _, f := range change {
		f(&o)
	}
	r.UI = New(o)
	return r
}

// check compares what was written with what is wanted.
func (r *recorder) check(t *testing.T, out, err string) {
	t.Helper()
	if d := cmp.Diff(out, r.out.String()); d != "" {
		t.Errorf("stdout (-want +got):\n%s", d)
	}
	if d := cmp.Diff(err, r.err.String()); d != "" {
		t.Errorf("stderr (-want +got):\n%s", d)
	}
}

func quiet(o *Options)   { o.Quiet = true }
func verbose(o *Options) { o.Verbose = true }
func dryRun(o *Options)  { o.DryRun = true }
func asJSON(o *Options)  { o.JSON = true }

// oneOfEach tells of files in every way there is.
func oneOfEach(sink firn.Sink) {
	denied := &firn.Error{Op: "read", Subject: "secret", Kind: firn.Local, Err: errors.New("permission denied")}
	for _, e := range []firn.FileEvent{
		{Action: firn.Sent, Path: "photos/a.jpg", Size: 3 << 20},
		{Action: firn.Recorded, Path: ""},
		{Action: firn.Unchanged, Path: "b"},
		{Action: firn.Removed, Path: "evil\x1b[2J\nname"},
		{Action: firn.Skipped, Path: "run/sock", Size: 7, Reason: "a socket"},
		{Action: firn.Pending, Path: "c", Reason: "in doubt until the next inventory"},
		{Action: firn.Failed, Path: "secret", Err: denied},
		{Action: firn.Failed, Path: "d", Err: errors.New("short read")},
		{Action: firn.Failed, Path: "e"},
		{Action: firn.Differs, Path: "f\tg", Reason: "size 3, not 4"},
	} {
		sink(e)
	}
}

const (
	talkLines = "skipped run/sock: a socket\npending c: in doubt until the next inventory\n"
	failLines = "failed: read secret: permission denied\nfailed: d: short read\nfailed: e\n"
)

func TestFileLines(t *testing.T) {
	tests := []struct {
		name     string
		change   func(*Options)
		out, err string
	}{
		{"plain", func(*Options) {}, "differs\tf\\tg\tsize 3, not 4\n", talkLines + failLines},
		{"quiet", quiet, "differs\tf\\tg\tsize 3, not 4\n", failLines},
		{"verbose", verbose, "differs\tf\\tg\tsize 3, not 4\n",
			"sent photos/a.jpg (3.00 MiB)\nrecorded .\nunchanged b\nremoved evil\\x1b[2J\\nname\n" + talkLines + failLines},
		{"dry run", dryRun,
			"would send\tphotos/a.jpg\t\nwould record\t.\t\nwould mark removed\tevil\\x1b[2J\\nname\t\ndiffers\tf\\tg\tsize 3, not 4\n",
			talkLines + failLines},
		{"stdout is a terminal", func(o *Options) { o.StdoutTerminal = true }, "differs f\\tg: size 3, not 4\n", talkLines + failLines},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record(tt.change)
			oneOfEach(r.Sink())
			r.check(t, tt.out, tt.err)
		})
	}
}

func TestNoticesAndWaits(t *testing.T) {
	r := record()
	r.Notice("a store\nwas made")
	r.Warn("the clock is wrong")
	r.Sink()(firn.WaitEvent{What: "job \x07", Until: testStart.Add(3 * time.Hour)})
	r.Sink()(firn.WaitEvent{What: "the network", Until: testStart})
	r.check(t, "", `a store\nwas made
warning: the clock is wrong
waiting for job \a until 2026-01-02T06:04:05Z (3 h)
waiting for the network
`)
	r = record(quiet)
	r.Notice("a store was made")
	r.Warn("the clock is wrong")
	r.Sink()(firn.WaitEvent{What: "the network", Until: testStart})
	r.check(t, "", "warning: the clock is wrong\n")
}

func TestProgressLinesComeEverMoreRarely(t *testing.T) {
	r := record()
	sink := r.Sink()
	sink(firn.PlanEvent{Files: 3, Bytes: 1 << 40})
	var at []string
	for second := range 3600 {
		before := r.err.Len()
		sink(firn.TransferEvent{Path: "a", Bytes: 1 << 20})
		if r.err.Len() > before {
			at = append(at, fmt.Sprint(second))
		}
		r.clock.Advance(time.Second)
	}
	if got, want := strings.Join(at, " "), "10 30 70 150 310 630 1230 1830 2430 3030"; got != want {
		t.Errorf("a line after %s seconds, want %s", got, want)
	}
	first, _, _ := strings.Cut(r.err.String(), "\n")
	if want := "sync: 0 of 3 files, 11.0 MiB of 1.00 TiB, 1.00 MiB/s, 12 days 3 h left"; first != want {
		t.Errorf("the first line is %q, want %q", first, want)
	}
}

func TestProgressWords(t *testing.T) {
	tests := []struct {
		name   string
		events []firn.Event
		want   string
	}{
		{"nothing known", []firn.Event{firn.WaitEvent{What: "x"}}, "sync: running for 10 s"},
		{"files alone", []firn.Event{firn.FileEvent{Action: firn.Verified}, firn.FileEvent{Action: firn.Verified}}, "sync: 2 files"},
		{"plans add up", []firn.Event{
			firn.PlanEvent{Files: 2, Bytes: 4096}, firn.PlanEvent{Files: 1, Bytes: 1024}, firn.PlanEvent{Files: -1, Bytes: -4096},
		}, "sync: 0 of 2 files, 0 B of 1.00 KiB"},
		{"scan", []firn.Event{firn.ScanEvent{Files: 12345}}, "sync: scanned 12,345 files"},
		{"scan and upload", []firn.Event{
			firn.ScanEvent{Files: 12345}, firn.PlanEvent{Files: 10, Bytes: 4096},
			firn.FileEvent{Action: firn.Sent, Path: "a"}, firn.TransferEvent{Path: "b", Bytes: 1024},
		}, "sync: scanned 12,345 files, 1 of 10 files, 1.00 KiB of 4.00 KiB"},
		{"refused bytes", []firn.Event{
			firn.PlanEvent{Files: 1, Bytes: 4096}, firn.TransferEvent{Path: "b", Bytes: -1024},
		}, "sync: 0 of 1 file, 0 B of 4.00 KiB"},
		{"a stream", []firn.Event{firn.PlanEvent{Files: 1}, firn.TransferEvent{Path: "stdin", Bytes: 4096}}, "sync: 4.00 KiB"},
		{"a pack", []firn.Event{
			firn.PlanEvent{Files: 1}, firn.ScanEvent{Files: 12, Bytes: 1 << 20, Done: true, Packing: true}, firn.TransferEvent{Path: "pack.tar.xz", Bytes: 4096},
		}, "sync: packed 12 files, 1.00 MiB, 4.00 KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record()
			for _, e := range tt.events {
				r.tally.add(e, testStart)
			}
			if got := progressText("sync", r.tally.read(testStart.Add(10*time.Second), 0)); !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFail(t *testing.T) {
	e := &firn.Error{Op: "upload", Subject: "a\x1bb", Kind: firn.NotFound, Err: errors.New(`vault "x" does not exist`), Hint: "create it with: firn store create glacier:x"}
	r := record()
	r.Fail(Failure{Err: errors.Join(e, errors.New("second\nthing"), fmt.Errorf("%w, %w", errors.New("a"), errors.New("b"))), Exit: 1, Usage: "usage: firn sync"})
	r.check(t, "", `firn: upload a\x1bb: vault "x" does not exist; create it with: firn store create glacier:x
firn: second\nthing
firn: a, b
usage: firn sync
`)
}

func TestCloseTellsOfAResultThatWasNotWritten(t *testing.T) {
	r := record(func(o *Options) { o.Stdout = broken{} })
	r.Print("the result")
	err := r.Close()
	if firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("got %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("told again: %v", err)
	}
}

func TestLog(t *testing.T) {
	var log strings.Builder
	r := record(quiet, func(o *Options) { o.Log = &log })
	sink := r.Sink()
	sink(firn.ScanEvent{Files: 3, Bytes: 4096})
	sink(firn.ScanEvent{Files: 3, Bytes: 4096, Done: true})
	sink(firn.FileEvent{Action: firn.Sent, Path: "a\nb", Size: 12})
	sink(firn.FileEvent{Action: firn.Unchanged, Path: "c"})
	r.clock.Advance(time.Minute)
	sink(firn.NoticeEvent{Text: "slow", Warn: true})
	sink(firn.WaitEvent{What: "the network", Until: testStart})
	sink(firn.SummaryEvent{Command: "sync", Tree: "docs", Store: "local:v", Counts: map[firn.Action]firn.Count{firn.Sent: {Files: 1, Bytes: 12}}, Elapsed: time.Minute})
	r.Fail(Failure{Err: errors.New("boom")})
	want := `2026-01-02T03:04:05Z scanned 3 files, 4.00 KiB
2026-01-02T03:04:05Z sent a\nb (12 B)
2026-01-02T03:05:05Z warning: slow
2026-01-02T03:05:05Z waiting for the network
2026-01-02T03:05:05Z sync docs local:v: done (1 min)
2026-01-02T03:05:05Z   sent  1 file  12 B
2026-01-02T03:05:05Z error: boom
`
	if d := cmp.Diff(want, log.String()); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
}

func BenchmarkUnchanged(b *testing.B) {
	sink := record().Sink()
	b.ReportAllocs()
	for b.Loop() {
		sink(firn.FileEvent{Action: firn.Unchanged, Tree: "docs", Path: "photos/2024/a.jpg", Size: 1 << 20})
	}
}
