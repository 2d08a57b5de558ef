// Command firn archives directory trees in cold storage, and brings them back.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/firn-archive/firn/internal/cli"
)

// gcPercent keeps the heap at one and a half times of what is in use: firn runs
// beside other programs, on small machines, and the collector's part of its time
// stays small.
const gcPercent = 50

func main() {
	debug.SetGCPercent(gcPercent)
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel() // commands save their state and return
		<-signals
		os.Exit(int(cli.Interrupted)) // the user won't wait; what is recorded is safe
	}()
	os.Exit(cli.Main(ctx, os.Args, cli.System()))
}
