package cli

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/firn-archive/firn/internal/clock"
)

// System is the real world: the process's streams, environment, folder and
// clock.
func System() Env {
	dir, err := os.Getwd()
	if err != nil {
		dir = "." // it was removed; absolute paths still work
	}
	// A dumb terminal can't move its cursor: it gets what a pipe gets.
	able := os.Getenv("TERM") != "dumb"
	return Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		LookupEnv: os.LookupEnv,
		Dir:       dir,
		Clock:     clock.System{},
		Hangups:   hangups,
		Setenv:    setenv,
		KeepPipes: func() { signal.Ignore(syscall.SIGPIPE) },
		Terminal: Terminal{
			Stdin:  term.IsTerminal(int(os.Stdin.Fd())),
			Stdout: able && term.IsTerminal(int(os.Stdout.Fd())),
			Stderr: able && term.IsTerminal(int(os.Stderr.Fd())),
			Width:  func() int { return width(os.Stderr) },
		},
	}
}

// setenv sets a variable of this process, or takes it away.
func setenv(name, value string, set bool) {
	if set {
		os.Setenv(name, value) // fails for names that no variable can have
		return
	}
	os.Unsetenv(name)
}

// width gives the columns of a terminal; 80 where it doesn't say.
func width(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil || w <= 0 {
		return 80
	}
	return w
}
