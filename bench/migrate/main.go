// Command migrate fills a vault of firn serve with archives, has firn migrate move
// all of them to a second server, and prints what that took as a Markdown table for
// docs/performance.md:
//
//	go run ./bench/migrate > table.md
//	go run ./bench/migrate -n 100000 -size 16384 > table.md
//	go run ./bench/migrate -to s3 > table.md
//	go run ./bench/migrate -lean -n 100000 -concurrency 16 > table.md
//
// Each archive has a name and a content of its own, is asked for by a job that is
// ready at once, and is stored one by one. Servers and firn are processes of this
// machine, and share its processors; what is measured is firn migrate alone, from
// its first request, the inventory, to its last, and beside it what the servers took
// of the processors meanwhile. Everything is stored twice, and both servers wait for
// the disk: where that writes less than the rate that is to be measured, -dir names a
// folder in memory. On a virtual machine whose host has taken back memory that was
// free, writing there costs several times as much as the next time.
//
// With -lean both vaults are those of a server of this program that does what a
// migration needs and no more: more archives than any disk here could hold are moved,
// and most of what is measured is firn. It makes each archive when it is asked for,
// compares what comes to the target with the hashes that came with it, and with those
// of the source, and keeps nothing but which archives came. After firn a loop moves
// as many that asks, reads, hashes and sends, and no more: what that takes no program
// can spare.
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
	"github.com/firn-archive/firn/treehash"
)

// Kinds of target.
const (
	toVault = "vault"
	toS3    = "s3"
)

// options are the command's flags.
type options struct {
	archives, size int    // how many, and of how many bytes
	concurrency    int    // archives under way at a time
	to             string // kind of target
	leanly         bool   // by the lean servers
	dir            string // folder to work in; empty for a temporary one
	firn, server   string // programs; empty to build them
}

func main() {
	usage.Main()
	leanMain()
	floorMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := options{}
	f := flag.NewFlagSet("migrate", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.archives, "n", 5000, "how many archives")
	f.IntVar(&o.size, "size", 1<<20, "bytes of each")
	f.IntVar(&o.concurrency, "concurrency", 8, "how many archives are under way at a time")
	f.StringVar(&o.to, "to", toVault, "the kind of target: a vault of firn serve, or s3, which is versitygw")
	f.BoolVar(&o.leanly, "lean", false, "between vaults that are made up and keep nothing, but check what comes")
	f.StringVar(&o.dir, "dir", "", "work below this folder (default a temporary folder)")
	f.StringVar(&o.firn, "firn", "", "measure this program (default: build it)")
	f.StringVar(&o.server, "server", "", "the program versitygw (default: build it, from tools/s3)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.archives < 1 || o.size < leastSize || o.concurrency < 1 || f.NArg() > 0 || o.to != toVault && o.to != toS3 {
		return fmt.Errorf("give no arguments, no number below 1, %d bytes at least, and vault or s3 as the target", leastSize)
	}
	if rest := o.size % treehash.LeafSize; o.leanly && (o.to != toVault || rest > 0 && rest < leastSize) {
		return fmt.Errorf("the lean servers are vaults, whose archives don't end in a leaf of less than %d bytes", leastSize)
	}
	return work(ctx, o, stdout, stderr)
}

// work does all of it in a folder that it removes at the end.
func work(ctx context.Context, o options, stdout, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.dir, "firn-migrate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, progress: progress}
	if err := b.build(ctx); err != nil {
		return err
	}
	took, err := b.measure(ctx)
	if err != nil {
		return err
	}
	var least taking
	if b.leanly {
		if least, err = b.floor(ctx); err != nil {
			return err
		}
	}
	return b.write(stdout, took, least)
}

// build builds the programs that weren't given.
func (b *bench) build(ctx context.Context) (err error) {
	if b.firn == "" {
		if b.firn, err = programs.Firn().Build(ctx, b.dir, b.say); err != nil {
			return err
		}
	}
	if b.server == "" && b.to == toS3 {
		b.server, err = programs.Versitygw().Build(ctx, b.dir, b.say)
	}
	return err
}
