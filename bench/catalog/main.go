// Command catalog measures what a catalog of many files costs, and prints a
// Markdown table:
//
//	go run ./bench/catalog -files 3000000 -versions 10000000
//
// It makes a catalog of that many file versions by the calls that a sync makes,
// in bundles, and then does what commands do with it: more bundles, entries
// whose content is stored, lookups of content, and listings. Each thing is done
// several times, and the median is shown.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

// options are the command's flags.
type options struct {
	files     int    // current ones
	versions  int    // of all files together
	perFolder int    // files of a folder
	bundle    int    // members of a bundle
	rounds    int    // how often each thing is measured
	dir       string // folder to work in; empty for a temporary one
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "catalog:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	f := flag.NewFlagSet("catalog", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.files, "files", 1_000_000, "number of files")
	f.IntVar(&o.versions, "versions", 0, "number of versions of all files together (default: one of each)")
	f.IntVar(&o.perFolder, "per-folder", 100, "files of a folder")
	f.IntVar(&o.bundle, "bundle", 10_000, "members of a bundle")
	f.IntVar(&o.rounds, "rounds", 11, "how often each thing is measured")
	f.StringVar(&o.dir, "dir", "", "work below this folder, on a real disk (default a temporary folder)")
	if err := f.Parse(args); err != nil {
		return err
	}
	o.versions = max(o.versions, o.files)
	if o.files < 1 || o.perFolder < 1 || o.bundle < 1 || o.rounds < 1 || f.NArg() > 0 {
		return fmt.Errorf("give numbers of 1 and more, and no arguments")
	}
	dir, err := os.MkdirTemp(o.dir, "firn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := fill(ctx, o, filepath.Join(dir, "catalog.db"), stderr)
	if err != nil {
		return err
	}
	defer b.cat.Close()
	return b.measure(ctx, stdout)
}
