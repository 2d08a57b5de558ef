package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// maxCurrent is how many of the files in flight the live display names.
const maxCurrent = 4

// A live display is a few lines at the bottom of a terminal that are drawn
// again and again. mpb moves the cursor and the clock; what the lines say is
// frame's, a function of a reading.
type live struct {
	progress *mpb.Progress
	bar      *mpb.Bar
}

func startLive(u *UI) *live {
	l := &live{progress: mpb.New(
		mpb.WithOutput(u.opts.Stderr),
		mpb.WithAutoRefresh(),
		mpb.WithWidth(defaultWidth),
	)}
	var rest []string
	first := mpb.BarFillerFunc(func(w io.Writer, _ decor.Statistics) error {
		lines := frame(u.opts.Command, u.tally.read(u.opts.Clock.Now(), maxCurrent), u.opts.Width())
		rest = lines[1:]
		_, err := io.WriteString(w, lines[0])
		return err
	})
	others := mpb.BarFillerFunc(func(w io.Writer, _ decor.Statistics) error {
		for _, line := range rest {
			io.WriteString(w, line+"\n") // a buffer, which doesn't fail
		}
		return nil
	})
	l.bar = l.progress.MustAdd(0, first, mpb.BarFillerTrim(), mpb.BarExtender(others, false))
	return l
}

// say writes a line above the display. It reports false where the display is
// gone, as when the terminal was closed.
func (l *live) say(line string) bool {
	_, err := io.WriteString(l.progress, line+"\n")
	return err == nil
}

// stop takes the display away, and leaves what was said above it.
func (l *live) stop() {
	l.bar.Abort(true)
	l.progress.Wait()
}

// frame gives the lines of the display, each at most width-1 columns so that no
// terminal wraps it: how far the run is, what is being read, what is waited
// for, and the files in flight.
func frame(command string, r reading, width int) []string {
	width = max(width-1, 1)
	lines := []string{progressLine(command, r, width)}
	if r.scan.Files > 0 && !r.scan.Done {
		doing := "scanning"
		if r.scan.Packing {
			doing = "packing"
		}
		lines = append(lines, Fit(fmt.Sprintf("  %s: %s, %s", doing, things(r.scan.Files, r.scan.Archives), Bytes(r.scan.Bytes)), width))
	}
	if r.wait.Until.After(r.now) {
		lines = append(lines, Fit("  "+waitText(r.wait, r.now), width))
	}
	for _, f := range r.current {
		size := "  " + Bytes(max(0, f.bytes))
		room := width - 2 - len(size)
		if room < 8 {
			size, room = "", width-2
		}
		lines = append(lines, Fit("  "+Fit(pathText(f.path), room)+size, width))
	}
	return lines
}

// A segment is a piece of a line, which may be left out for want of room.
type segment struct {
	text string
	rank int // the highest goes first
}

// progressLine is the first line: as many of its segments as there is room for.
func progressLine(command string, r reading, width int) string {
	segments := []segment{{command, 0}}
	total := max(r.plan.Bytes, r.moved)
	if r.plan.Files > 0 {
		segments = append(segments, segment{fmt.Sprintf("%s/%s", Count(r.done), things(max(r.plan.Files, r.done), r.plan.Archives)), 3})
	}
	moved := max(0, r.moved)
	switch {
	case r.endless() && moved > 0:
		segments = append(segments, segment{Bytes(moved), 2})
	case r.endless():
	case total > 0:
		segments = append(segments,
			segment{Bytes(moved) + "/" + Bytes(total), 2},
			segment{bar(moved, total), 5},
			segment{fmt.Sprintf("%d%%", moved*100/total), 1})
	}
	if r.rate >= 1 {
		segments = append(segments, segment{Bytes(int64(r.rate)) + "/s", 4})
	}
	if r.left > 0 {
		segments = append(segments, segment{Duration(r.left) + " left", 2})
	}
	if len(segments) == 1 && r.told > 0 && r.scan.Files == 0 {
		segments = append(segments, segment{things(r.told, r.plan.Archives), 1})
	}
	if len(segments) == 1 {
		segments = append(segments, segment{Duration(r.elapsed), 1})
	}
	return Fit(squeeze(segments, width), width)
}

const barWidth = 20

// bar draws done of total.
func bar(done, total int64) string {
	n := int(float64(done) / float64(total) * barWidth)
	return "[" + strings.Repeat("=", n) + strings.Repeat(" ", barWidth-n) + "]"
}

// squeeze joins segments, leaving out those of the highest rank until the line
// fits, or only one is left.
func squeeze(segments []segment, width int) string {
	for {
		texts := make([]string, len(segments))
		worst := 0
		for i, s := range segments {
			texts[i] = s.text
			if s.rank > segments[worst].rank {
				worst = i
			}
		}
		line := strings.Join(texts, "  ")
		if len(segments) == 1 || runewidth.StringWidth(line) <= width {
			return line
		}
		segments = append(segments[:worst], segments[worst+1:]...)
	}
}
