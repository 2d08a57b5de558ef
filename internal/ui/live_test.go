package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// onTerminal gives a UI whose stdout and stderr are s. It must run in a bubble
// of synctest, in which the display's ticker is quick.
func onTerminal(s *screen, change ...func(*Options)) *UI {
	o := Options{
		Stdout: s, Stderr: s, StdoutTerminal: true, StderrTerminal: true,
		Width: func() int { return s.width }, Clock: clock.System{}, Command: "sync",
	}
	for _, f := range change {
		f(&o)
	}
	return New(o)
}

// uploadSome is a run in the middle: a scan that goes on, and a file half sent.
func uploadSome(u *UI) {
	sink := u.Sink()
	sink(firn.ScanEvent{Files: 1200, Bytes: 5 << 30})
	sink(firn.PlanEvent{Files: 30, Bytes: 4 << 30})
	for range 5 {
		sink(firn.TransferEvent{Path: "photos/a.jpg", Bytes: 20 << 20})
		u.opts.Clock.Sleep(context.Background(), time.Second) // the bubble's second
	}
}

func TestLiveShowsWhatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScreen(100)
		u := onTerminal(s)
		uploadSome(u)
		u.Sink()(firn.FileEvent{Action: firn.Failed, Path: "b", Err: &firn.Error{Op: "read", Subject: "b", Err: errors.New("permission denied")}})
		time.Sleep(990 * time.Millisecond) // not when a frame is due: every 150 ms
		want := `failed: read b: permission denied
sync  0/30 files  100 MiB/4.00 GiB  [                    ]  2%  13.7 MiB/s
  scanning: 1,200 files, 5.00 GiB
  photos/a.jpg  100 MiB
`
		if got := s.text(); got != want {
			t.Errorf("the screen shows\n%swant\n%s", got, want)
		}
		u.Close()
	})
}

// TestLiveOfAPack: nobody knows how large it gets.
func TestLiveOfAPack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScreen(100)
		u := onTerminal(s)
		sink := u.Sink()
		sink(firn.PlanEvent{Files: 1})
		sink(firn.ScanEvent{Files: 3, Bytes: 90 << 20, Packing: true})
		for range 5 {
			sink(firn.TransferEvent{Path: "pack.tar.xz", Bytes: 4 << 20})
			time.Sleep(time.Second)
		}
		want := `sync  0/1 file  20.0 MiB  3.23 MiB/s
  packing: 3 files, 90.0 MiB
  pack.tar.xz  20.0 MiB
`
		if got := s.text(); got != want {
			t.Errorf("the screen shows\n%swant\n%s", got, want)
		}
		u.Close()
	})
}

func TestLiveLeavesNothing(t *testing.T) {
	endings := map[string]func(*UI){
		"close":   func(u *UI) { u.Close() },
		"failure": func(u *UI) { u.Fail(Failure{Err: errors.New("boom"), Exit: 1}); u.Close() },
		"summary": func(u *UI) { u.Sink()(firn.SummaryEvent{Command: "sync", Store: "local:v", Stopped: true}); u.Close() },
		"twice":   func(u *UI) { u.Close(); uploadSome(u); u.Close() },
	}
	want := map[string]string{"failure": "firn: boom\n", "summary": "sync local:v: stopped before the end (0.0 s)\n"}
	for name, end := range endings {
		for _, width := range []int{1, 10, 40, 200} {
			t.Run(fmt.Sprint(name, width), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScreen(width)
					u := onTerminal(s)
					uploadSome(u)
					end(u)
					if got := strings.ReplaceAll(s.text(), "\n", ""); got != strings.ReplaceAll(want[name], "\n", "") {
						t.Errorf("left on the screen: %q", got)
					}
					if len(s.strays) > 0 {
						t.Errorf("stray control characters: %q", s.strays)
					}
					if s.frames < 10 {
						t.Errorf("only %d frames in 5 s: there was no display to leave anything", s.frames)
					}
				})
			})
		}
	}
}

func TestLiveTakesResultsOfTheSameTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScreen(80)
		u := onTerminal(s)
		uploadSome(u)
		u.Sink()(firn.FileEvent{Action: firn.Missing, Path: "gone"})
		u.Print("a result")
		uploadSome(u)
		if err := u.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := s.text(), "missing gone\na result\n"; got != want {
			t.Errorf("the screen shows %q, want %q", got, want)
		}
	})
}

func TestLiveSurvivesALostTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScreen(80)
		u := onTerminal(s, func(o *Options) { o.Stderr, o.StdoutTerminal = broken{}, false })
		uploadSome(u)
		u.Sink()(firn.FileEvent{Action: firn.Failed, Path: "x"})
		u.Print("result")
		if err := u.Close(); err != nil {
			t.Error(err)
		}
		if got := s.text(); got != "result\n" {
			t.Errorf("stdout has %q", got)
		}
	})
}

// broken is a stream that nothing can be written to.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("input/output error") }

func TestNoLiveDisplay(t *testing.T) {
	tests := map[string]func(*Options){
		"quiet": func(o *Options) { o.Quiet = true },
		"pipe":  func(o *Options) { o.StderrTerminal = false },
		"json":  func(o *Options) { o.JSON = true },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScreen(80)
				u := onTerminal(s, change)
				uploadSome(u)
				if s.frames != 0 {
					t.Error("there is a live display")
				}
				u.Close()
			})
		})
	}
	t.Run("talk alone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScreen(80)
			u := onTerminal(s)
			u.Notice("hello")
			time.Sleep(time.Minute)
			if got := s.text(); got != "hello\n" || s.frames != 0 {
				t.Errorf("a notice alone brought up %q", got)
			}
			u.Close()
		})
	})
}

func TestFrameFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.Int64Range(-1<<40, 1<<60)
		r := reading{
			now:     time.Unix(1e9, 0),
			elapsed: time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "elapsed")),
			scan:    firn.ScanEvent{Files: bytes.Draw(t, "scanned"), Bytes: bytes.Draw(t, "scanned"), Done: rapid.Bool().Draw(t, "done")},
			plan:    firn.PlanEvent{Files: bytes.Draw(t, "planned"), Bytes: bytes.Draw(t, "planned")},
			moved:   bytes.Draw(t, "moved"),
			rate:    rapid.Float64Range(0, 1e12).Draw(t, "rate"),
			wait:    firn.WaitEvent{What: rapid.String().Draw(t, "what"), Until: time.Unix(1e9+3600, 0)},
			current: []inFlight{{rapid.String().Draw(t, "path"), bytes.Draw(t, "file")}},
		}
		r.left = r.remaining()
		width := rapid.IntRange(0, 200).Draw(t, "width")
		for _, line := range frame("sync", r, width) {
			if got := runewidth.StringWidth(line); got > max(width-1, 1) {
				t.Fatalf("%q has %d columns of %d", line, got, width)
			}
			if Text(line) != line {
				t.Fatalf("%q could harm a terminal", line)
			}
		}
	})
}

func TestFrameNarrows(t *testing.T) {
	r := reading{
		plan: firn.PlanEvent{Files: 3120, Bytes: 4 << 30}, scan: firn.ScanEvent{Files: 9000, Done: true},
		moved: 1 << 30, done: 412, rate: 12.5 * (1 << 20), left: 5 * time.Minute,
		current: []inFlight{{"photos/2019/holiday/IMG_20190712_180000.jpg", 12 << 20}},
	}
	tests := []struct {
		width int
		want  string
	}{
		{120, "sync  412/3,120 files  1.00 GiB/4.00 GiB  [=====               ]  25%  12.5 MiB/s  5 min left"},
		{80, "sync  412/3,120 files  1.00 GiB/4.00 GiB  25%  12.5 MiB/s  5 min left"},
		{60, "sync  412/3,120 files  1.00 GiB/4.00 GiB  25%  5 min left"},
		{46, "sync  1.00 GiB/4.00 GiB  25%  5 min left"},
		{30, "sync  25%  5 min left"},
		{12, "sync  25%"},
		{6, "sync"},
		{4, "s…c"},
	}
	for _, tt := range tests {
		if got := frame("sync", r, tt.width)[0]; got != tt.want {
			t.Errorf("%d columns: %q, want %q", tt.width, got, tt.want)
		}
	}
	if got, want := frame("sync", r, 40)[1], "  photos/2019/h…12_180000.jpg  12.0 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFrameOfArchives: what works on archives doesn't call them files.
func TestFrameOfArchives(t *testing.T) {
	r := reading{scan: firn.ScanEvent{Files: 1, Archives: true}, plan: firn.PlanEvent{Files: 11269, Archives: true}, done: 1536}
	if got, want := strings.Join(frame("store empty", r, 80), "|"), "store empty  1,536/11,269 archives|  scanning: 1 archive, 0 B"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := progressText("store empty", r), "store empty: scanned 1 archive, 1,536 of 11,269 archives"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
