// Command firn archives directory trees in cold storage, and brings them back.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/firn-archive/firn/internal/cli"
)

// The heap grows by gcPercent of what is in use and of ballast bytes, which nobody
// touches and which therefore take no memory, until it is collected: firn runs beside
// other programs, on small machines. Where 32 MiB are in use that is half as much
// again, and where little is, it is eight MiB at least. Else a run that sends many small
// files, of which little is in use at a time, would collect a hundred times a second.
const (
	gcPercent = 25
	ballast   = 32 << 20
)

func main() {
	debug.SetGCPercent(gcPercent)
	untouched := make([]byte, ballast)
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel() // commands save their state and return
		<-signals
		os.Exit(int(cli.Interrupted)) // the user won't wait; what is recorded is safe
	}()
	status := cli.Main(ctx, os.Args, cli.System())
	runtime.KeepAlive(untouched)
	os.Exit(status)
}
