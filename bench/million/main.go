// Command million archives a tree of a million files as a user would, changes
// it, archives it again, restores what it was at both times, and compares. Any
// difference is a failure. It prints what all of that took as a Markdown table
// for docs/performance.md:
//
//	go run ./bench/million -n 1000000 -size 100 > table.md
//
// firn runs as a process of its own for each step, with a local store; the tree
// is always the same one for the same flags.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/firn-archive/firn/bench/forest"
	"github.com/firn-archive/firn/bench/programs"
	"github.com/firn-archive/firn/bench/usage"
)

// options are the command's flags.
type options struct {
	plan      forest.Plan
	before    int // files of other trees that the catalog has already
	encrypted bool
	dir       string // folder to work in; empty for a temporary one
	firn      string // program; empty to build it
}

func main() {
	usage.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "million:", err)
		os.Exit(1)
	}
}

// filesPerFolder is how many files a folder has where -folders doesn't say.
const filesPerFolder = 100

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := options{}
	f := flag.NewFlagSet("million", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.plan.Files, "n", 1_000_000, "how many files")
	f.Int64Var(&o.plan.Size, "size", 100, "bytes of a file, more or less")
	f.IntVar(&o.plan.Folders, "folders", 0, "how many folders they are in (default: a 100th of the files)")
	f.Uint64Var(&o.plan.Seed, "seed", 1, "grow another tree of that kind")
	f.IntVar(&o.before, "before", 0, "archive so many files of other trees first")
	f.BoolVar(&o.encrypted, "encrypted", false, "encrypt what is archived")
	f.StringVar(&o.dir, "dir", "", "work below this folder (default a temporary folder)")
	f.StringVar(&o.firn, "firn", "", "measure this program (default: build it)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.plan.Folders == 0 {
		o.plan.Folders = max(o.plan.Files/filesPerFolder, forest.Branches)
	}
	if err := o.plan.Check(); err != nil {
		return err
	}
	if o.before < 0 || f.NArg() > 0 {
		return fmt.Errorf("give no arguments, and no number below 0")
	}
	return work(ctx, o, stdout, stderr)
}

// work does all of it in a folder that it removes at the end.
func work(ctx context.Context, o options, stdout, progress io.Writer) error {
	dir, err := os.MkdirTemp(o.dir, "firn-million-")
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
	err = b.measure(ctx)
	if writeErr := b.report.write(stdout); err == nil {
		err = writeErr
	}
	return err
}
