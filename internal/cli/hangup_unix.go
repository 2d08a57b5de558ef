//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// hangups gives each SIGHUP that asks for the configuration to be read again,
// until stop is called. Where the terminal is gone that firn was started from,
// the signal means what it always did, and ends it.
func hangups() (asked <-chan struct{}, stop func()) {
	stderr := int(os.Stderr.Fd())
	attended := term.IsTerminal(stderr)
	signals, out, done := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-signals:
			case <-done:
				return
			}
			if attended && !term.IsTerminal(stderr) {
				signal.Reset(syscall.SIGHUP)
				syscall.Kill(os.Getpid(), syscall.SIGHUP)
			}
			select {
			case out <- struct{}{}:
			case <-done:
				return
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		close(done)
	}
}
