// Command s3 measures what firn takes to store files in S3, and prints a Markdown
// table for docs/performance.md:
//
//	go run ./bench/s3 > table.md
//
// It builds firn, and versitygw from tools/s3: an S3 server that checks each
// signature and each hash, and keeps objects as files. Both are processes of this
// machine. Files of 1 MiB are synced for what the processor has to do, and files of
// 10 KiB for how many go in a second, each as an object of its own. All rounds
// alternate, and the median of each is shown. With -rclone another program copies the
// same files in the same rounds: what it takes says how fast the machine is.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/firn-archive/firn/bench/programs"
	"github.com/firn-archive/firn/bench/usage"
)

// options are the command's flags.
type options struct {
	large, small int    // how many files of 1 MiB, and of 10 KiB
	concurrency  int    // files under way at a time
	rounds       int    // how often each thing is measured
	dir          string // folder to work in; empty for a temporary one
	firn, server string // programs; empty to build them
	rclone       string // program to compare with; empty for none
}

func main() {
	usage.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "s3:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := options{}
	f := flag.NewFlagSet("s3", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.large, "large", 1000, "how many files of 1 MiB")
	f.IntVar(&o.small, "small", 10_000, "how many files of 10 KiB")
	f.IntVar(&o.concurrency, "concurrency", 64, "how many files are under way at a time")
	f.IntVar(&o.rounds, "rounds", 3, "how often each thing is measured")
	f.StringVar(&o.dir, "dir", "", "work below this folder, on a disk with extended attributes (default a temporary folder)")
	f.StringVar(&o.firn, "firn", "", "measure this program (default: build it)")
	f.StringVar(&o.server, "server", "", "the program versitygw (default: build it, from tools/s3)")
	f.StringVar(&o.rclone, "rclone", "", "compare with this program, which is rclone")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.large < 1 || o.small < 1 || o.rounds < 1 || o.concurrency < 1 || f.NArg() > 0 {
		return fmt.Errorf("give no arguments, and no number below 1")
	}
	results, err := work(ctx, o, stderr)
	if err != nil {
		return err
	}
	return results.write(stdout)
}

// work does all of it in a folder that it removes at the end.
func work(ctx context.Context, o options, progress io.Writer) (*results, error) {
	dir, err := os.MkdirTemp(o.dir, "firn-s3-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, progress: progress}
	if b.firn == "" {
		if b.firn, err = programs.Firn().Build(ctx, dir, b.say); err != nil {
			return nil, err
		}
	}
	if b.server == "" {
		if b.server, err = programs.Versitygw().Build(ctx, dir, b.say); err != nil {
			return nil, err
		}
	}
	stop, err := b.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	return b.measure(ctx)
}
