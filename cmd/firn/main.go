// Command firn archives directory trees in cold storage, and brings them back.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/firn-archive/firn/internal/cli"
	"github.com/firn-archive/firn/internal/heap"
)

func main() {
	heap.Set()
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
