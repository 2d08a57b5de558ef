package ui

import (
	"io"
	"time"

	"github.com/firn-archive/firn"
)

// log writes an event to the log as one line with its time in UTC. What is as
// it was is left out unless --verbose: it may be millions of files.
func (u *UI) log(e firn.Event, now time.Time) {
	if u.opts.Log == nil {
		return
	}
	switch e := e.(type) {
	case firn.FileEvent:
		if u.opts.Verbose || !boring(e.Action, u.opts.DryRun) {
			u.logLine(now, fileText(e, u.opts.DryRun))
		}
	case firn.NoticeEvent:
		if e.Detail && !u.opts.Verbose {
			return
		}
		text := Text(e.Text)
		if e.Warn {
			text = "warning: " + text
		}
		u.logLine(now, text)
	case firn.SnapshotEvent:
		u.logLine(now, snapshotText(e))
	case firn.CompareEvent:
		u.logLine(now, compareText(e, u.opts.DryRun))
	case firn.WaitEvent:
		u.logLine(now, waitText(e, now))
	case firn.ScanEvent:
		if e.Done {
			u.logLine(now, "scanned "+things(e.Files, e.Archives)+", "+Bytes(e.Bytes))
		}
	case firn.SummaryEvent:
		for _, line := range summary(e) {
			u.logLine(now, line)
		}
	}
}

// logLine writes one line; a log that can't be written stops nothing.
func (u *UI) logLine(now time.Time, text string) {
	if u.opts.Log != nil {
		io.WriteString(u.opts.Log, Time(now)+" "+text+"\n")
	}
}
