// Command empty fills a vault of firn serve with archives, and has firn empty and
// delete it, while it is killed again and again. That an archive is asked for twice
// without a later inventory that lists it is a failure. It prints what it took as a
// Markdown table for docs/performance.md:
//
//	go run ./bench/empty -n 1000000 -kills 20 > table.md
//
// Each archive has one byte and a file of its own. Server and firn are processes of
// this machine; filling the vault takes as long as emptying it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/firn-archive/firn/bench/programs"
)

// options are the command's flags.
type options struct {
	archives, kills, concurrency int
	dir                          string // folder to work in; empty for a temporary one
	firn                         string // program; empty to build it
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "empty:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := options{}
	f := flag.NewFlagSet("empty", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.archives, "n", 1_000_000, "how many archives")
	f.IntVar(&o.kills, "kills", 20, "how often firn is killed")
	f.IntVar(&o.concurrency, "concurrency", 32, "how many deletions are under way at a time")
	f.StringVar(&o.dir, "dir", "", "work below this folder (default a temporary folder)")
	f.StringVar(&o.firn, "firn", "", "measure this program (default: build it)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.archives < 1 || o.kills < 0 || f.NArg() > 0 {
		return fmt.Errorf("give no arguments, one archive at least, and no number below 0")
	}
	return work(ctx, o, stdout, stderr)
}

// work does all of it in a folder that it removes at the end.
func work(ctx context.Context, o options, stdout, progress io.Writer) error {
	dir, err := os.MkdirTemp(o.dir, "firn-empty-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, progress: progress}
	if b.firn == "" {
		if b.firn, err = programs.Firn().Build(ctx, dir, b.say); err != nil {
			return err
		}
	}
	stop, err := b.serve(ctx)
	if err != nil {
		return err
	}
	err = b.measure(ctx)
	if stopErr := stop(); err == nil {
		err = stopErr
	}
	if err == nil {
		err = b.check()
	}
	if err != nil {
		return err
	}
	return b.write(stdout)
}
