// Command cpu measures what firn costs the processor, side by side with what
// can't be saved, and prints a Markdown table for docs/performance.md:
//
//	go run ./bench/cpu > table.md
//
// It builds firn, starts "firn serve" as a process of its own, whose storage is
// as durable as ever, and syncs one large file to it with "firn sync", as
// another process. The CPU time of that process stands beside the bare cost of
// hashing the same number of bytes twice, as the protocol demands: the tree
// hash's leaves and the linear hash. Then it syncs the source of Go to a local
// store, twice, and counts files per second. All rounds alternate, and the
// median of each is shown.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/firn-archive/firn/bench/programs"
	"github.com/firn-archive/firn/bench/usage"
)

// options are the command's flags.
type options struct {
	size   int64  // bytes of the large file
	rounds int    // how often each thing is measured
	dir    string // folder to work in; empty for a temporary one
	firn   string // program; empty to build it
	tree   string // directory of many files
}

func main() {
	usage.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "cpu:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 2 && args[0] == hashCommand {
		return hashTwice(args[1])
	}
	o := options{}
	f := flag.NewFlagSet("cpu", flag.ContinueOnError)
	f.SetOutput(stderr)
	mib := f.Int64("mib", 2048, "size of the large file in MiB")
	f.IntVar(&o.rounds, "rounds", 3, "how often each thing is measured")
	f.StringVar(&o.dir, "dir", "", "work below this folder, on a real disk (default a temporary folder)")
	f.StringVar(&o.firn, "firn", "", "measure this program (default: build it)")
	f.StringVar(&o.tree, "tree", "", "directory of many files (default: the source of Go)")
	if err := f.Parse(args); err != nil {
		return err
	}
	o.size = *mib << 20
	if o.size <= 0 || o.rounds < 1 || f.NArg() > 0 {
		return fmt.Errorf("give at least 1 MiB, at least 1 round, and no arguments")
	}
	results, err := measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	return results.write(stdout)
}

// measure does all the work in a folder that it removes at the end.
func measure(ctx context.Context, o options, progress io.Writer) (*results, error) {
	dir, err := os.MkdirTemp(o.dir, "firn-bench-")
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
	if b.tree == "" {
		root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return nil, fmt.Errorf("find the source of Go: %w; give a directory with -tree", err)
		}
		b.tree = filepath.Join(strings.TrimSpace(string(root)), "src")
	}
	r := &results{size: o.size, machine: usage.Machine(), tree: filepath.Base(b.tree)}
	if err := b.largeFile(ctx, r); err != nil {
		return nil, err
	}
	return r, b.manyFiles(ctx, r)
}

// command is a program whose errors are seen.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	return cmd
}
