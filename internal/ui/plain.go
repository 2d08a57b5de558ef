package ui

import (
	"io"
	"time"

	"github.com/firn-archive/firn"
)

// How often a pipe hears how far a run is: soon at first, and ever more rarely,
// since an upload may take weeks and its log is read by people.
const (
	firstProgress = 10 * time.Second
	lastProgress  = 10 * time.Minute
)

// A textView shows lines: results on stdout, talk on stderr, and on a terminal
// a live display below them.
type textView struct {
	u        *UI
	live     *live // nil where there is none now
	ended    bool  // there will be no live display any more
	next     time.Time
	interval time.Duration
}

func newTextView(u *UI) *textView {
	return &textView{u: u, interval: firstProgress, next: u.tally.start.Add(firstProgress)}
}

func (v *textView) event(e firn.Event, now time.Time) {
	switch e := e.(type) {
	case firn.NoticeEvent:
		v.notice(e)
		return // talk alone is no run that goes on
	case firn.SnapshotEvent:
		if v.u.opts.Verbose {
			v.say(snapshotText(e))
		}
		return
	case firn.CompareEvent:
		if !v.u.opts.Quiet {
			v.say(compareText(e, v.u.opts.DryRun))
		}
		return
	case firn.SummaryEvent:
		v.pause()
		v.summary(e, now)
		return
	case firn.FileEvent:
		v.file(e)
	case firn.WaitEvent:
		if !v.u.opts.Quiet && !v.showsLive() {
			v.say(waitText(e, now))
		}
	}
	v.progress(now)
}

func (v *textView) summary(e firn.SummaryEvent, now time.Time) {
	if v.u.opts.Quiet {
		return
	}
	for _, line := range summary(e) {
		v.result(line)
	}
}

func (v *textView) file(e firn.FileEvent) {
	o := v.u.opts
	w := weigh(e.Action, o.DryRun)
	switch {
	case w == result && o.StdoutTerminal:
		v.result(fileText(e, o.DryRun))
	case w == result:
		v.result(verb(e.Action, o.DryRun) + "\t" + pathText(e.Path) + "\t" + Text(e.Reason))
	case w == alarm:
		v.say(fileText(e, o.DryRun))
	case o.Verbose || w == talk && !o.Quiet:
		v.say(fileText(e, o.DryRun))
	}
}

func (v *textView) notice(e firn.NoticeEvent) {
	switch {
	case e.Detail && !v.u.opts.Verbose:
	case e.Warn:
		v.say("warning: " + Text(e.Text))
	case !v.u.opts.Quiet:
		v.say(Text(e.Text))
	}
}

// progress shows how far the run is: by the live display, or now and then a
// line.
func (v *textView) progress(now time.Time) {
	if v.u.opts.Quiet {
		return
	}
	if v.showsLive() {
		if v.live == nil && !v.ended {
			v.live = startLive(v.u)
		}
		return
	}
	if now.Before(v.next) {
		return
	}
	v.interval = min(2*v.interval, lastProgress)
	v.next = now.Add(v.interval)
	v.say(progressText(v.u.opts.Command, v.u.tally.read(now, 0)))
}

// showsLive reports whether there is a live display, or will be.
func (v *textView) showsLive() bool { return v.u.opts.StderrTerminal && !v.u.opts.Quiet }

// say writes one line of talk, above the live display.
func (v *textView) say(line string) {
	if v.live == nil || !v.live.say(line) {
		io.WriteString(v.u.opts.Stderr, line+"\n") // nobody to tell where stderr fails
	}
}

// result writes one line of result. On a terminal it goes the way of talk while
// the live display stands, so that the two don't overwrite each other.
func (v *textView) result(line string) {
	if v.live != nil && v.u.opts.StdoutTerminal && v.live.say(line) {
		return
	}
	v.u.write([]byte(line + "\n"))
}

func (v *textView) failure(f Failure) {
	v.pause()
	for _, line := range errorLines(f.Err) {
		v.say("firn: " + line)
	}
	if f.Usage != "" {
		v.say(f.Usage)
	}
}

// pause takes the live display away until the next event.
func (v *textView) pause() {
	if v.live != nil {
		v.live.stop()
		v.live = nil
	}
}

func (v *textView) close() {
	v.pause()
	v.ended = true
}
