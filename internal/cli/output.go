package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/fetch"
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

// bring downloads a load to a place. What comes out is proven, or said not to be.
// Errors: as of transfer.Downloader, and Conflict.
func (s *session) bring(ctx context.Context, d *transfer.Downloader, l fetch.Load, p place, stdout io.Writer) (transfer.Downloaded, error) {
	switch {
	case !p.inOrder:
		return s.bringFile(ctx, d, l, p)
	case p.path == "":
		return l.Pour(ctx, d, stdout, s.env.Events)
	}
	f, err := os.OpenFile(p.path, os.O_WRONLY, 0)
	if err != nil {
		return transfer.Downloaded{}, &firn.Error{Op: "write", Subject: p.name, Kind: firn.Local, Err: cause(err)}
	}
	res, err := l.Pour(ctx, d, f, s.env.Events)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = &firn.Error{Op: "write", Subject: p.name, Kind: firn.Local, Err: cause(cerr)}
	}
	return res, err
}

func (s *session) bringFile(ctx context.Context, d *transfer.Downloader, l fetch.Load, p place) (transfer.Downloaded, error) {
	lock, err := wire.LockFile(s.env, p.path, "download")
	if err != nil {
		return transfer.Downloaded{}, err
	}
	defer lock.Unlock()
	return l.ToFile(ctx, d, p.path, p.replace)
}
