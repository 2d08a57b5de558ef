package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// progress is how many bytes make a try a success, in that the next one may
// fail as if it was the first: on a bad line a piece comes bit by bit.
const progress = mib

// errBroken marks the error of a body that ended too early.
var errBroken = errors.New("the download broke off")

// A fetch is one piece on its way.
type fetch struct {
	*download
	off, n int64

	got    int64         // bytes of it that are in Dest
	untold int64         // bytes of got that no event has told of
	want   treehash.Hash // what the store says it is; zero: nothing
	hash   *treehash.Hasher
}

// fetch brings piece i into Dest, verified. A connection that breaks goes on
// where it broke; bytes that are wrong are fetched again. What the store says
// before there is a body has been repeated below already, and is final.
func (d *download) fetch(ctx context.Context, i int) error {
	f := &fetch{download: d, hash: treehash.New()}
	f.off, f.n = d.at(i)
	for try, wrong := 1, 1; ; {
		before := f.got
		err := f.receive(ctx)
		switch {
		case err == nil && f.want.IsZero():
			return d.arrived(ctx, i, f.hash.Sum(), fetched)
		case err == nil && f.hash.Sum() == f.want:
			return d.arrived(ctx, i, f.want, proven)
		case err == nil && wrong == tries:
			return f.corrupt()
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case firn.KindOf(err) == firn.Corrupt && wrong == tries:
			return err // whoever opened the body knows that it is wrong
		case err == nil, firn.KindOf(err) == firn.Corrupt:
			wrong++
			f.restart()
			continue
		case !errors.Is(err, errBroken):
			return err
		}
		if f.got-before >= progress {
			try = 1
		}
		if try == tries {
			return err
		}
		if err := d.opt.Clock.Sleep(ctx, time.Duration(try)*time.Second); err != nil {
			return err
		}
		try++
	}
}

func (f *fetch) corrupt() error {
	return &firn.Error{
		Op: "verify", Kind: firn.Corrupt,
		Err: fmt.Errorf("bytes %d to %d came %d times, at last with the tree hash %s, where the store says %s", f.Offset+f.off, f.Offset+f.off+f.n, tries, f.hash.Sum(), f.want),
	}
}

// restart forgets what was received.
func (f *fetch) restart() {
	f.events(firn.TransferEvent{Path: f.Path, Bytes: -f.got})
	f.got, f.want = 0, treehash.Hash{}
	f.hash.Reset()
}

// receive asks for what is missing of the piece and writes it. The store's
// hash is that of the first answer, which was for the whole piece.
func (f *fetch) receive(ctx context.Context) error {
	at := f.Offset + f.off
	out, err := f.output(ctx, firn.Range{Start: at + f.got, End: at + f.n})
	if err != nil {
		return err
	}
	defer out.Close()
	if f.got == 0 {
		f.want = out.Tree
	}
	defer f.tell()
	memory, isMemory := f.Dest.(Memory)
	var buf []byte
	if !isMemory {
		lent := f.bufs.get()
		defer f.bufs.put(lent)
		buf = lent[:]
	}
	for f.got < f.n {
		at := f.off + f.got
		if isMemory {
			buf = memory[at:]
		}
		k, err := out.Read(buf[:min(bufferSize, f.n-f.got)])
		if !isMemory {
			if _, err := f.Dest.WriteAt(buf[:k], at); err != nil {
				return local("write", err)
			}
		}
		f.took(buf[:k])
		if f.got == f.n {
			break
		}
		if firn.KindOf(err) == firn.Corrupt {
			return err
		}
		if err != nil {
			return &firn.Error{Op: "receive", Kind: firn.Network, Err: fmt.Errorf("%w: %w", errBroken, err)}
		}
	}
	return nil
}

// took hashes and counts bytes that are in Dest now.
func (f *fetch) took(b []byte) {
	n := int64(len(b))
	f.hash.Write(b)
	f.got += n
	f.received.Add(n)
	if f.untold += n; f.untold >= eventBytes {
		f.tell()
	}
}

// tell emits the bytes that no event has told of.
func (f *fetch) tell() {
	if f.untold > 0 {
		f.events(firn.TransferEvent{Path: f.Path, Bytes: f.untold})
		f.untold = 0
	}
}
