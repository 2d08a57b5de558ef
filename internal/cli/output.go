package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// A place is where a download goes: a file, which comes whole, or what takes
// bytes in their order: stdout, a pipe, a device.
type place struct {
	name    string // as it was given
	path    string // absolute; empty: stdout
	inOrder bool
	replace bool // a file that is there
}

// placeOf finds out what -o names; empty and - are stdout, where that is no
// terminal.
func (a *app) placeOf(op, name string, replace bool) (place, error) {
	if name == "" || name == "-" {
		switch {
		case a.env.Terminal.Stdout:
			return place{}, wrongUsage(op, "standard output is a terminal, and these bytes may be anything; name a file with -o FILE, or give a pipe")
		case a.global.JSON:
			return place{}, wrongUsage(op, "with --json standard output has JSON; name a file with -o FILE")
		}
		return place{name: "stdout", inOrder: true}, nil
	}
	p := place{name: name, path: a.env.Path(name), replace: replace}
	info, err := os.Stat(p.path)
	if err == nil && info.IsDir() {
		return place{}, wrongUsage(op, "%s is a directory; name a file", name)
	}
	p.inOrder = err == nil && !info.Mode().IsRegular()
	return p, nil
}

// has reports whether what is wanted is in place already; its Tree is zero where
// nobody knows it. Errors: Conflict (something else is), Local.
func (p *place) has(want firn.Content) (bool, error) {
	if p.inOrder {
		return false, nil
	}
	info, err := os.Lstat(p.path)
	if err != nil {
		return false, nil // what is wrong shows when it is written
	}
	other := func(why string) error {
		return &firn.Error{Op: "write", Subject: p.name, Kind: firn.Conflict, Err: errors.New(why), Hint: "name another file, or replace it with --overwrite"}
	}
	switch {
	case info.IsDir():
		return false, &firn.Error{Op: "write", Subject: p.name, Kind: firn.Conflict, Err: errors.New("there is a directory of this name")}
	case p.replace && want.Tree.IsZero():
		return false, nil
	case want.Tree.IsZero():
		return false, other("there is a file of this name, and nobody knows whether it is this one")
	}
	same := false
	if info.Mode().IsRegular() && info.Size() == want.Size {
		tree, err := treeOfFile(p.path)
		if err != nil {
			return false, &firn.Error{Op: "read", Subject: p.name, Kind: firn.Local, Err: cause(err)}
		}
		same = tree == want.Tree
	}
	if !same && !p.replace {
		return false, other("there is another file of this name")
	}
	return same, nil
}

func treeOfFile(path string) (treehash.Hash, error) {
	f, err := os.Open(path)
	if err != nil {
		return treehash.Hash{}, err
	}
	defer f.Close()
	h := treehash.New()
	_, err = io.Copy(h, f)
	return h.Sum(), err
}

// A load is what is to be downloaded: a range of a job's output.
type load struct {
	label string // for people
	job   firn.JobID
	from  int64        // bytes into the output
	want  firn.Content // Tree is zero where nobody knows it
}

// identity tells the content of the load from others: by its hash, since another
// job may bring the same.
func (l *load) identity() string {
	if l.want.Tree.IsZero() {
		return fmt.Sprintf("%s %d %d", l.job, l.from, l.want.Size)
	}
	return fmt.Sprintf("%s %d", l.want.Tree, l.want.Size)
}

// bring downloads a load to a place. What comes out is proven, or said not to be.
// Errors: as of transfer.Downloader, and Conflict.
func (s *session) bring(ctx context.Context, d *transfer.Downloader, l load, p place, stdout io.Writer) (transfer.Downloaded, error) {
	switch {
	case !p.inOrder:
		return s.bringFile(ctx, d, l, p)
	case p.path == "":
		return s.pour(ctx, d, l, stdout)
	}
	f, err := os.OpenFile(p.path, os.O_WRONLY, 0)
	if err != nil {
		return transfer.Downloaded{}, &firn.Error{Op: "write", Subject: p.name, Kind: firn.Local, Err: cause(err)}
	}
	res, err := s.pour(ctx, d, l, f)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = &firn.Error{Op: "write", Subject: p.name, Kind: firn.Local, Err: cause(cerr)}
	}
	return res, err
}

func (s *session) bringFile(ctx context.Context, d *transfer.Downloader, l load, p place) (transfer.Downloaded, error) {
	lock, err := wire.LockFile(s.env, p.path, "download")
	if err != nil {
		return transfer.Downloaded{}, err
	}
	defer lock.Unlock()
	f, err := openOutput(p.path, l.identity(), l.want.Size)
	if err != nil {
		return transfer.Downloaded{}, err
	}
	res, err := d.Download(ctx, transfer.Download{
		Path: l.label, Job: l.job, Offset: l.from, Size: l.want.Size, Tree: l.want.Tree, Unproven: l.want.Tree.IsZero(),
		Dest: f, Done: f.done, Arrived: f.arrived,
	})
	if err != nil {
		f.leave(firn.KindOf(err) == firn.Corrupt)
		return res, err
	}
	return res, f.commit(p.replace)
}

// pourPiece is how many bytes are fetched in one request for what takes them in
// order, and pourAhead how many such requests run ahead of it.
const (
	pourPiece = 8 << 20
	pourAhead = 3
)

// pour downloads to what takes bytes in their order. Each piece that the store
// has a hash of is verified before it goes out; whether all is right shows at the
// end. Beside an error it gives how many bytes went out.
func (s *session) pour(ctx context.Context, d *transfer.Downloader, l load, w io.Writer) (res transfer.Downloaded, err error) {
	g, ctx := errgroup.WithContext(ctx)
	pieces := make(chan chan []byte, pourAhead)
	g.Go(func() error {
		defer close(pieces)
		for at := int64(0); at < l.want.Size; at += pourPiece {
			piece := make(chan []byte, 1)
			select {
			case pieces <- piece:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			part := firn.Range{Start: l.from + at, End: l.from + min(at+pourPiece, l.want.Size)}
			g.Go(func() error {
				data, err := d.Fetch(ctx, l.job, nil, part)
				if err == nil {
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
					return &firn.Error{Op: "write", Subject: l.label, Kind: localKind(err), Err: cause(err)}
				}
				tree.Write(data)
				res.Fetched += int64(len(data))
				s.env.Events(firn.TransferEvent{Path: l.label, Bytes: int64(len(data))})
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return res, err
	}
	if got := tree.Sum(); !l.want.Tree.IsZero() && got != l.want.Tree {
		return res, &firn.Error{Op: "verify", Subject: l.label, Kind: firn.Corrupt, Err: fmt.Errorf("the tree hash is %s, and should be %s", got, l.want.Tree),
			Hint: "nothing of what was written is to be trusted"}
	}
	res.Proven = !l.want.Tree.IsZero()
	return res, nil
}
