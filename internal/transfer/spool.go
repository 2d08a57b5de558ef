package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/firn-archive/firn"
)

// A spool is a file in which the parts of a stream wait, each in a slot of its
// own, so that one can be sent again. It is a File, without a stamp.
type spool struct {
	*os.File
	slot  int64 // bytes
	slots int
}

// spoolName is the pattern of the names of spools.
const spoolName = "stream-*"

// newSpool makes a spool in dir. It has no name from here on, where the system
// lets go of names of open files: then nothing is left after a kill. Elsewhere
// (Windows) the next one removes what is left.
func newSpool(dir string, slot int64, slots int) (*spool, error) {
	left, _ := filepath.Glob(filepath.Join(dir, spoolName))
	for _, name := range left {
		os.Remove(name) // fails where somebody has it open
	}
	f, err := os.CreateTemp(dir, spoolName)
	if err != nil {
		return nil, local("make a spool file", err)
	}
	os.Remove(f.Name())
	return &spool{File: f, slot: slot, slots: slots}, nil
}

// Stamp is zero: only its maker writes to it.
func (s *spool) Stamp() (firn.Stamp, error) { return firn.Stamp{}, nil }

// Close closes and removes it.
func (s *spool) Close() error {
	err := s.File.Close()
	os.Remove(s.Name()) // it may be gone already
	return err
}

func (s *spool) write(p []byte, off int64) error {
	_, err := s.WriteAt(p, off)
	if err == nil {
		return nil
	}
	var bare *fs.PathError
	if errors.As(err, &bare) {
		err = bare.Err
	}
	e := &firn.Error{Op: "write spool file", Subject: s.Name(), Kind: firn.KindOf(local("", err)), Err: err}
	if e.Kind == firn.Full {
		e.Hint = fmt.Sprintf("it needs room for %d parts of %s; make some, or take smaller parts or fewer at a time", s.slots, inMiB(s.slot))
	}
	return e
}

// An input reads a stream ahead by one buffer, in a goroutine of its own: so a
// Read that hangs, as of a terminal, keeps nobody from stopping.
type input struct {
	want chan []byte // to be filled
	got  chan []byte // filled; closed at the end, after err is set
	err  error       // other than io.EOF
	rest []byte      // of the last buffer
	used []byte      // that buffer, while it is lent
}

func newInput(r io.Reader) *input {
	const buffers = 2 // one is read into, one is hashed and written
	in := &input{want: make(chan []byte, buffers), got: make(chan []byte, buffers)}
	for range buffers {
		in.want <- make([]byte, bufferSize)
	}
	go in.read(r)
	return in
}

// close lets the goroutine end, as soon as its Read returns.
func (in *input) close() { close(in.want) }

func (in *input) read(r io.Reader) {
	defer close(in.got)
	for buf := range in.want {
		n, err := readOnce(r, buf)
		if n > 0 {
			in.got <- buf[:n] // there is room for all buffers
		}
		if err != nil {
			if err != io.EOF {
				in.err = local("read", err)
			}
			return
		}
	}
}

// readOnce reads once, and again as long as that gives nothing.
func readOnce(r io.Reader, buf []byte) (int, error) {
	for range 100 {
		if n, err := r.Read(buf); n > 0 || err != nil {
			return n, err
		}
		runtime.Gosched()
	}
	return 0, io.ErrNoProgress
}

// more reports whether the stream goes on, and waits until that is known.
func (in *input) more(ctx context.Context) (bool, error) {
	if len(in.rest) > 0 {
		return true, nil
	}
	if in.used != nil {
		in.want <- in.used[:cap(in.used)]
		in.used = nil
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	select {
	case buf, ok := <-in.got:
		if !ok {
			return false, in.err
		}
		in.rest, in.used = buf, buf
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// next gives the next bytes, at most n; none at the end. They are good until
// the next call.
func (in *input) next(ctx context.Context, n int64) ([]byte, error) {
	more, err := in.more(ctx)
	if err != nil || !more {
		return nil, err
	}
	p := in.rest[:min(n, int64(len(in.rest)))]
	in.rest = in.rest[len(p):]
	return p, nil
}
