//go:build !linux

package restore

import (
	"os"

	"golang.org/x/sync/errgroup"
)

// A flusher makes files and names durable, each for itself.
type flusher struct{}

// syncsAtOnce is how many files are made durable side by side: systems serve
// many with one write of their journal.
const syncsAtOnce = 64

// files makes files durable.
func (*flusher) files(files []finished) error {
	var g errgroup.Group
	g.SetLimit(syncsAtOnce)
	for _, one := range files {
		g.Go(one.f.Sync)
	}
	return g.Wait()
}

// folder makes the names in a folder durable.
func (*flusher) folder(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return syncAndClose(d)
}

// names has nothing left to do.
func (*flusher) names() error { return nil }

func (*flusher) close() {}
