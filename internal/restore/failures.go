package restore

import (
	"context"
	"slices"
	"sync"

	"github.com/firn-archive/firn/internal/catalog"
)

// failures are files that can't be brought back, on their way to the catalog.
type failures struct {
	mu    sync.Mutex
	fresh []catalog.FailedFile
	seen  map[failedPath]struct{}
}

type failedPath struct {
	tree int64
	path string
}

func (f *failures) add(it *item, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = map[failedPath]struct{}{}
	}
	f.seen[failedPath{it.treeID, it.from}] = struct{}{}
	f.fresh = append(f.fresh, failure(it, err))
}

// told reports whether this process told of an item's failure.
func (f *failures) told(it *item) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.seen[failedPath{it.treeID, it.from}]
	return ok
}

// flush records them.
func (f *failures) flush(ctx context.Context, c *catalog.Catalog, restore int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for batch := range slices.Chunk(f.fresh, changesAtOnce) {
		if err := c.FailFile(ctx, restore, batch); err != nil {
			return err
		}
	}
	f.fresh = nil
	return nil
}
