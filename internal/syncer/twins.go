package syncer

import (
	"context"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/transfer"
)

// twins keeps two files of one content from being sent side by side: the
// second waits until the first is stored, and finds it in the catalog then.
type twins struct {
	mu       sync.Mutex
	contents map[firn.Content]chan struct{} // being sent, hashed before
	sizes    map[int64]chan struct{}        // of large files, hashed while they are sent
}

func (t *twins) init() {
	t.contents, t.sizes = map[firn.Content]chan struct{}{}, map[int64]chan struct{}{}
}

// enter waits until no other large file of this size is under way, and gives
// the function that lets the next one in. Small files never wait here.
func (t *twins) enter(ctx context.Context, size int64) (leave func(), err error) {
	if size <= transfer.MaxSingle {
		return func() {}, nil
	}
	if err := claim(ctx, &t.mu, t.sizes, size); err != nil {
		return nil, err
	}
	return func() { release(&t.mu, t.sizes, size) }, nil
}

// claim waits until nobody else sends this content.
func (t *twins) claim(ctx context.Context, c firn.Content) error {
	return claim(ctx, &t.mu, t.contents, c)
}

// leave ends a claim.
func (t *twins) leave(c firn.Content) { release(&t.mu, t.contents, c) }

func claim[K comparable](ctx context.Context, mu *sync.Mutex, held map[K]chan struct{}, key K) error {
	for {
		mu.Lock()
		ended, taken := held[key]
		if !taken {
			held[key] = make(chan struct{})
			mu.Unlock()
			return nil
		}
		mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func release[K comparable](mu *sync.Mutex, held map[K]chan struct{}, key K) {
	mu.Lock()
	defer mu.Unlock()
	close(held[key])
	delete(held, key)
}
