// Package ui shows people and programs what firn does: it renders the events
// of a run, the lists that commands give, and the questions they ask, as a live
// display on a terminal, as plain lines in a pipe, or as JSON lines.
//
// Rules of voice, for everything that firn says:
//
//   - Lower case, no full stop at the end of a line, no exclamation marks.
//   - Say what is, with what, and what to do next; a command to run is given
//     whole, so that it can be copied.
//   - Results go to stdout. All else, which a script may throw away, to stderr.
//   - Nothing that came from a file name or from a service reaches a terminal
//     before [Text] has seen it.
//   - Sizes are binary (KiB, MiB) with three digits; counts have separators.
package ui

import (
	"io"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// Options say where and how a UI shows things.
type Options struct {
	Stdin          io.Reader // answers to questions; nil where nobody is there
	Stdout, Stderr io.Writer
	// Which of the three is a terminal. Questions need stdin and stderr, the
	// live display stderr, aligned tables stdout. Two terminals are taken to be
	// the same one.
	StdinTerminal, StdoutTerminal, StderrTerminal bool
	// Width is the terminal's width in columns, asked again for each frame; nil
	// means 80.
	Width func() int

	JSON    bool // one JSON object a line, on stdout, instead of text
	Quiet   bool // only results, warnings and errors
	Verbose bool // also what is unchanged, file by file
	DryRun  bool // nothing is done: files are told of as what would happen

	// Log gets a line with a time for each event, whatever else is shown; nil
	// for none.
	Log   io.Writer
	Clock clock.Clock
	// Command is the command that runs, such as "sync".
	Command string
}

// A UI shows one run of one command. Its methods are safe for concurrent use.
type UI struct {
	opts Options

	tally *tally

	mu   sync.Mutex // guards all below, and the order of lines
	view view
	err  error // the first error of writing to stdout
}

// A view is one rendering of a run. It is used under the UI's lock.
type view interface {
	// event shows e, which the tally has counted already, or doesn't.
	event(e firn.Event, now time.Time)
	// failure shows the error that a command ended with.
	failure(f Failure)
	// pause takes away what moves, until the next event.
	pause()
	// close does so for good.
	close()
}

// New gives a UI. It writes nothing by itself, and starts nothing before the
// first event.
func New(opts Options) *UI {
	if opts.Clock == nil {
		opts.Clock = clock.System{}
	}
	if opts.Width == nil {
		opts.Width = func() int { return defaultWidth }
	}
	u := &UI{opts: opts, tally: newTally(opts.Clock.Now())}
	if opts.JSON {
		u.view = newJSONView(u)
	} else {
		u.view = newTextView(u)
	}
	return u
}

const defaultWidth = 80 // columns, where the terminal doesn't say

// Sink gives the sink that shows events.
func (u *UI) Sink() firn.Sink { return u.handle }

func (u *UI) handle(e firn.Event) {
	now := u.opts.Clock.Now()
	u.tally.add(e, now)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.log(e, now)
	u.view.event(e, now)
	if _, closed := e.(firn.SummaryEvent); closed {
		u.tally.restart(now)
	}
}

// Notice says one sentence: talk, on stderr.
func (u *UI) Notice(text string) { u.handle(firn.NoticeEvent{Text: text}) }

// Warn says one sentence that is shown even when the user wants quiet.
func (u *UI) Warn(text string) { u.handle(firn.NoticeEvent{Text: text, Warn: true}) }

// A Failure is the error that a command ended with.
type Failure struct {
	Err   error
	Exit  int    // status of the process
	Usage string // how the command is called, after wrong usage; else empty
}

// Fail shows why the command failed, on stderr, and with JSON as an object too.
func (u *UI) Fail(f Failure) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, line := range errorLines(f.Err) {
		u.logLine(u.opts.Clock.Now(), "error: "+line)
	}
	u.view.failure(f)
}

// Print writes one line of result to stdout, made harmless. It is for commands
// whose result is a line or two of text; with JSON it shows nothing: give such
// a command's result as a record too, with [UI.Record].
func (u *UI) Print(line string) {
	if u.opts.JSON {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.view.(*textView).result(Text(line))
}

// Raw writes bytes to stdout as they are, for what is a file rather than talk,
// such as a completion script.
func (u *UI) Raw(p []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.write(p)
}

// IsJSON reports whether JSON lines are wanted.
func (u *UI) IsJSON() bool { return u.opts.JSON }

// Close takes the live display away, and gives the first error that writing to
// stdout met: a result that was not written is no success. The UI can still be
// used, without live display.
func (u *UI) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.view.close()
	err := u.err
	u.err = nil
	if err != nil {
		return &firn.Error{Op: "write", Subject: "the result to stdout", Kind: firn.Local, Err: err}
	}
	return nil
}

// write writes to stdout.
func (u *UI) write(p []byte) {
	if u.err != nil {
		return
	}
	n, err := u.opts.Stdout.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	u.err = err
}
