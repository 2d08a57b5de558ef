package ui

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// openTerminal makes a pseudo-terminal of the kernel's: what is written to the
// second file can be read from the first.
func openTerminal(t *testing.T, columns uint16) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

// TestLiveOnARealTerminal reads what the display sends through the kernel's own
// terminal, until all of a frame is there, and again after the end.
func TestLiveOnARealTerminal(t *testing.T) {
	const columns = 50
	master, terminal := openTerminal(t, columns)
	s := newScreen(columns)
	wait := func(text string) {
		t.Helper()
		for p := make([]byte, 4096); !strings.Contains(s.text(), text); {
			n, err := master.Read(p)
			if err != nil {
				t.Fatalf("%v; the screen shows\n%s", err, s.text())
			}
			s.Write(p[:n])
		}
	}
	u := New(Options{
		Stdout: terminal, Stderr: terminal, StdoutTerminal: true, StderrTerminal: true,
		Width: func() int { return columns }, Clock: clock.System{}, Command: "sync",
	})
	u.Sink()(firn.PlanEvent{Files: 1, Bytes: 1 << 20})
	u.Sink()(firn.TransferEvent{Path: strings.Repeat("long/", 40), Bytes: 1 << 19})
	wait("sync  0/1 file  512 KiB/1.00 MiB  50%\n  long/")
	u.Sink()(firn.FileEvent{Action: firn.Failed, Path: "a\x1b[2J"})
	u.Sink()(firn.SummaryEvent{Command: "sync", Store: "local:v", Stopped: true})
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(terminal, "all is told")
	wait("all is told")
	want := "failed: a\\x1b[2J\nsync local:v: stopped before the end (0.0 s)\nall is told\n"
	if got := s.text(); got != want {
		t.Errorf("the screen shows\n%s\nwant\n%s", got, want)
	}
	if len(s.strays) > 0 || s.frames == 0 {
		t.Errorf("stray control characters: %q; %d frames", s.strays, s.frames)
	}
}
