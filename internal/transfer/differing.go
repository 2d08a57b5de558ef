package transfer

import (
	"context"
	"io"
	"runtime"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
	"golang.org/x/sync/errgroup"
)

// Differing compares parts with the size bytes of r, as many at a time as there are
// processors, and tells for each whether r holds other bytes there, or ends before
// it does. Each is told the bytes of a part that was compared, from several
// goroutines at once. Errors: Local (r can't be read), the context's cause.
func Differing(ctx context.Context, r io.ReaderAt, size int64, parts []firn.Part, each func(bytes int64)) ([]bool, error) {
	var bufs buffers
	differ := make([]bool, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range parts {
		if p.Offset+p.Size > size {
			differ[i] = true
			continue
		}
		group.Go(func() error {
			tree := treehash.New()
			err := bufs.feed(ctx, tree, r, p.Offset, p.Size)
			if err == io.ErrUnexpectedEOF {
				differ[i] = true // it has become shorter
				return nil
			}
			if err != nil {
				return local("read", err)
			}
			differ[i] = tree.Sum() != p.Tree
			each(p.Size)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return differ, nil
}
