package fetch

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// A Load is what is to be downloaded: a range of a job's output.
type Load struct {
	Label string // for people
	Job   firn.JobID
	// Open, unless nil, gives bytes in place of the job's output.
	Open transfer.Opening
	From int64        // bytes into the output
	Want firn.Content // Tree is zero where nobody knows it
	// Arrived, unless nil, is called whenever a piece has come, perhaps by several
	// goroutines at once: for retrieval.Asker.Stay.
	Arrived func(ctx context.Context)
}

// identity tells the content of the load from others: by its hash, since another
// job may bring the same.
func (l *Load) identity() string {
	if l.Want.Tree.IsZero() {
		return fmt.Sprintf("%s %d %d", l.Job, l.From, l.Want.Size)
	}
	return fmt.Sprintf("%s %d", l.Want.Tree, l.Want.Size)
}

// ToFile downloads to the file at path, which gets its name when it is whole and
// verified; what a killed process left is gone on with. Without replace what has
// the name by then stays. Nobody else may download to the same path meanwhile: see
// wire.LockFile. What comes is proven, or said not to be. Errors: as of
// transfer.Downloader, and Local where something is in the way.
func (l *Load) ToFile(ctx context.Context, d *transfer.Downloader, path string, replace bool) (transfer.Downloaded, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return transfer.Downloaded{}, diskError(path, err)
	}
	defer root.Close()
	return l.Into(ctx, d, Place{Root: root, Name: filepath.Base(path), Replace: replace})
}

// A Place is a file that is to be made.
type Place struct {
	Root *os.Root // nothing is written outside of it, wherever links lead
	Name string   // below Root; its folder is there
	// Replace lets it take the place of what has its name by then.
	Replace bool
	ModTime time.Time // that it gets; zero: none
	// Arrived, unless nil, is told of each piece.
	Arrived func(transfer.Piece)
}

// Into is ToFile for a file of a tree.
func (l *Load) Into(ctx context.Context, d *transfer.Downloader, p Place) (transfer.Downloaded, error) {
	f, err := openPartial(p, l.identity(), l.Want.Size)
	if err != nil {
		return transfer.Downloaded{}, err
	}
	res, err := d.Download(ctx, transfer.Download{
		Path: l.Label, Job: l.Job, Open: l.Open, Offset: l.From, Size: l.Want.Size, Tree: l.Want.Tree, Unproven: l.Want.Tree.IsZero(),
		Dest: f, Done: f.done,
		Arrived: func(ctx context.Context, p transfer.Piece) error {
			l.arrived(ctx)
			return f.arrived(ctx, p)
		},
	})
	if err != nil {
		f.leave(firn.KindOf(err) == firn.Corrupt)
		return res, err
	}
	return res, f.commit()
}

func (l *Load) arrived(ctx context.Context) {
	if l.Arrived != nil {
		l.Arrived(ctx)
	}
}

// pourPiece is how many bytes are fetched in one request for what takes them in
// order, and pourAhead how many such requests run ahead of it.
const (
	pourPiece = 8 << 20
	pourAhead = 3
)

// Pour downloads to what takes bytes in their order. Each piece that the store
// has a hash of is verified before it goes out; whether all is right shows at the
// end. Beside an error it gives how many bytes went out.
func (l *Load) Pour(ctx context.Context, d *transfer.Downloader, w io.Writer, events firn.Sink) (res transfer.Downloaded, err error) {
	g, ctx := errgroup.WithContext(ctx)
	pieces := make(chan chan []byte, pourAhead)
	g.Go(func() error {
		defer close(pieces)
		for at := int64(0); at < l.Want.Size; at += pourPiece {
			piece := make(chan []byte, 1)
			select {
			case pieces <- piece:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			part := firn.Range{Start: l.From + at, End: l.From + min(at+pourPiece, l.Want.Size)}
			g.Go(func() error {
				data, err := d.Fetch(ctx, l.Job, l.Open, part)
				if err == nil {
					l.arrived(ctx)
					piece <- data
				}
				return err
			})
		}
		return nil
	})
	tree := treehash.New()
	g.Go(func() error {
		for piece := range pieces {
			select {
			case data := <-piece:
				if _, err := w.Write(data); err != nil {
					return &firn.Error{Op: "write", Subject: l.Label, Kind: LocalKind(err), Err: cause(err)}
				}
				tree.Write(data)
				res.Fetched += int64(len(data))
				events(firn.TransferEvent{Path: l.Label, Bytes: int64(len(data))})
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return res, err
	}
	if got := tree.Sum(); !l.Want.Tree.IsZero() && got != l.Want.Tree {
		return res, &firn.Error{Op: "verify", Subject: l.Label, Kind: firn.Corrupt, Err: fmt.Errorf("the tree hash is %s, and should be %s", got, l.Want.Tree),
			Hint: "nothing of what was written is to be trusted"}
	}
	res.Proven = !l.Want.Tree.IsZero()
	return res, nil
}
