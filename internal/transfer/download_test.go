package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A shelf gives out the output of one job, and can be told to do it badly.
type shelf struct {
	firn.Retriever // for what is not asked here
	file           *virtual
	silent         bool // gives no hashes
	// spoil is asked at each call, from 1, what to do to its body.
	spoil func(call int, at firn.Range) flaw

	mu       sync.Mutex
	calls    []firn.Range
	inFlight int
	most     int
}

// A flaw is what is wrong with one answer.
type flaw struct {
	err    error         // instead of an answer
	after  int64         // how many bytes are right
	flip   bool          // then one is wrong
	cut    bool          // then it ends
	broken error         // then it fails
	liar   treehash.Hash // the hash that it announces
}

func (s *shelf) Output(_ context.Context, _ firn.JobID, at firn.Range) (firn.Output, error) {
	s.mu.Lock()
	s.calls = append(s.calls, at)
	n := len(s.calls)
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.mu.Unlock()
	var f flaw
	if s.spoil != nil {
		f = s.spoil(n, at)
	}
	if f.err != nil {
		s.Close()
		return firn.Output{}, f.err
	}
	body := io.NewSectionReader(s.file, at.Start, at.Len())
	out := firn.Output{ReadCloser: &spoiled{body: body, flaw: f, shelf: s}}
	if !s.silent && treehash.NodeAligned(s.file.size, at.Start, at.End) {
		h := treehash.New()
		io.Copy(h, io.NewSectionReader(s.file, at.Start, at.Len()))
		out.Tree = h.Sum()
	}
	if !f.liar.IsZero() {
		out.Tree = f.liar
	}
	return out, nil
}

func (s *shelf) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	return nil
}

// spoiled is a body with a flaw.
type spoiled struct {
	body  io.Reader
	flaw  flaw
	shelf *shelf
	read  int64
}

func (s *spoiled) Close() error { return s.shelf.Close() }

func (s *spoiled) Read(p []byte) (int, error) {
	rest := s.flaw.after - s.read
	switch {
	case rest > 0:
		p = p[:min(int64(len(p)), rest)]
	case s.flaw.cut:
		return 0, io.ErrUnexpectedEOF
	case s.flaw.broken != nil:
		return 0, s.flaw.broken
	}
	n, err := s.body.Read(p)
	if s.flaw.flip && rest <= 0 && n > 0 {
		p[0] ^= 1
		s.flaw.flip = false
	}
	s.read += int64(n)
	return n, err
}

// disk is a Dest in memory.
type disk struct {
	mu   sync.Mutex
	data []byte
	err  error
}

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return 0, d.err
	}
	if end := int(off) + len(p); end > len(d.data) {
		d.data = append(d.data, make([]byte, end-len(d.data))...)
	}
	return copy(d.data[off:], p), nil
}

func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.NewReader(d.data).ReadAt(p, off)
}

func (d *disk) holds(t *testing.T, f *virtual) {
	t.Helper()
	if int64(len(d.data)) != f.size || treehash.Sum(d.data) != f.content().Tree {
		t.Errorf("%d bytes with hash %s, want %v", len(d.data), treehash.Sum(d.data), f.content())
	}
}

// fetching is a download of s's file into d, in pieces of a MiB.
func fetching(t *testing.T, s *shelf, d *disk, events *tally) (*Downloader, Download) {
	t.Helper()
	opt := DownloadOptions{PieceSize: mib, Concurrency: 3, Clock: manual(), Events: events.sink}
	dl, err := NewDownloader(s, opt)
	if err != nil {
		t.Fatal(err)
	}
	c := s.file.content()
	return dl, Download{Path: "file", Job: "job", Size: c.Size, Tree: c.Tree, Dest: d}
}

func TestDownload(t *testing.T) {
	for _, size := range []int64{0, 1, mib - 1, mib, mib + 1, 5*mib + 7, 8 * mib} {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d silent %v", size, silent), func(t *testing.T) {
				s, d, events := &shelf{file: newFile(size, 1), silent: silent}, &disk{}, &tally{}
				dl, task := fetching(t, s, d, events)
				var arrived int64
				task.Arrived = func(_ context.Context, p Piece) error {
					d.mu.Lock()
					defer d.mu.Unlock()
					if p.Tree != treehash.Sum(d.data[p.Offset:p.Offset+p.Size]) {
						t.Errorf("piece %+v is another", p)
					}
					arrived += p.Size
					return nil
				}
				r, err := dl.Download(t.Context(), task)
				if err != nil {
					t.Fatal(err)
				}
				d.holds(t, s.file)
				if r.Fetched != size || r.Resumed != 0 || arrived != size || events.bytes != size {
					t.Errorf("result %+v, %d arrived, events tell of %d", r, arrived, events.bytes)
				}
				if s.most > 3 || s.inFlight != 0 {
					t.Errorf("%d at a time, %d left open", s.most, s.inFlight)
				}
			})
		}
	}
}

// once spoils the n-th answer.
func once(n int, f flaw) func(int, firn.Range) flaw {
	return func(call int, _ firn.Range) flaw {
		if call == n {
			return f
		}
		return flaw{}
	}
}

func TestDownloadsOvercome(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(int, firn.Range) flaw
		silent bool
		calls  int // of 4 pieces
	}{
		{"a truncated answer", once(2, flaw{after: 300000, cut: true}), false, 5},
		{"an answer without a body", once(2, flaw{cut: true}), false, 5},
		{"a connection reset", once(2, flaw{after: 5, broken: syscall.ECONNRESET}), true, 5},
		{"a corrupt answer", once(2, flaw{after: 300000, flip: true}), false, 5},
		{"a corrupt answer without a hash", once(2, flaw{after: 300000, flip: true}), true, 8},
		{"a wrong hash", once(2, flaw{liar: treehash.Hash{1}}), false, 5},
		{"four resets in a row", fourResets, true, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, memory := range []Memory{nil, make(Memory, 4*mib)} {
				s, d, events := &shelf{file: newFile(4*mib, 1), silent: c.silent, spoil: c.spoil}, &disk{data: memory}, &tally{}
				dl, task := fetching(t, s, d, events)
				if memory != nil {
					task.Dest = memory
				}
				if _, err := dl.Download(t.Context(), task); err != nil {
					t.Fatal(err)
				}
				d.holds(t, s.file)
				if len(s.calls) != c.calls {
					t.Errorf("%d calls, want %d: %v", len(s.calls), c.calls, s.calls)
				}
				if events.bytes != 4*mib {
					t.Errorf("events tell of %d bytes", events.bytes)
				}
			}
		})
	}
}

func fourResets(call int, _ firn.Range) flaw {
	if call <= 4 {
		return flaw{broken: syscall.ECONNRESET}
	}
	return flaw{}
}

// TestBrokenDownloadGoesOn where it broke, however often, as long as it comes
// nearer.
func TestBrokenDownloadGoesOn(t *testing.T) {
	s, d, events := &shelf{file: newFile(64*mib, 1)}, &disk{}, &tally{}
	s.spoil = func(int, firn.Range) flaw { return flaw{after: mib, cut: true} }
	dl, task := fetching(t, s, d, events)
	dl.opt.PieceSize = 64 * mib
	r, err := dl.Download(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	d.holds(t, s.file)
	if r.Fetched != 64*mib || len(s.calls) != 64 {
		t.Errorf("%d bytes in %d calls", r.Fetched, len(s.calls))
	}
}

func TestDownloadsThatFail(t *testing.T) {
	refuse := func(k firn.Kind) func(int, firn.Range) flaw {
		return func(int, firn.Range) flaw { return flaw{err: kind(k)} }
	}
	for _, c := range []struct {
		name   string
		spoil  func(int, firn.Range) flaw
		silent bool
		kind   firn.Kind
		most   int // calls
	}{
		{"always corrupt", func(int, firn.Range) flaw { return flaw{flip: true} }, false, firn.Corrupt, 20},
		{"always corrupt, and no hash says so", func(int, firn.Range) flaw { return flaw{flip: true} }, true, firn.Corrupt, 8},
		{"always cut", func(int, firn.Range) flaw { return flaw{cut: true} }, false, firn.Network, 20},
		{"expired", refuse(firn.NotFound), false, firn.NotFound, 4},
		{"not ready", refuse(firn.NotReady), false, firn.NotReady, 4},
		{"denied", refuse(firn.Denied), false, firn.Denied, 4},
		{"no network", refuse(firn.Network), false, firn.Network, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &shelf{file: newFile(4*mib, 1), silent: c.silent, spoil: c.spoil}
			dl, task := fetching(t, s, &disk{}, &tally{})
			_, err := dl.Download(t.Context(), task)
			if firn.KindOf(err) != c.kind {
				t.Errorf("kind %v: %v", firn.KindOf(err), err)
			}
			if len(s.calls) > c.most {
				t.Errorf("%d calls", len(s.calls))
			}
		})
	}
}

// TestAnotherArchive: each piece is what the store says, and the whole is not
// what was asked for. There is nothing to repeat.
func TestAnotherArchive(t *testing.T) {
	s := &shelf{file: newFile(4*mib, 1)}
	dl, task := fetching(t, s, &disk{}, &tally{})
	task.Tree = contentOf(4*mib, 2).Tree
	if _, err := dl.Download(t.Context(), task); firn.KindOf(err) != firn.Corrupt || len(s.calls) != 4 {
		t.Errorf("%v after %d calls", err, len(s.calls))
	}
}

func TestDisksThatFail(t *testing.T) {
	for want, cause := range map[firn.Kind]error{firn.Full: syscall.ENOSPC, firn.Local: syscall.EIO} {
		s := &shelf{file: newFile(4*mib, 1)}
		dl, task := fetching(t, s, &disk{err: cause}, &tally{})
		if _, err := dl.Download(t.Context(), task); firn.KindOf(err) != want || !errors.Is(err, cause) {
			t.Errorf("%v: %v", cause, err)
		}
	}
}

// TestDownloadResumes after any number of pieces, and does not take the list's
// word for what is on the disk.
func TestDownloadResumes(t *testing.T) {
	for stop := range 6 {
		s, d := &shelf{file: newFile(6*mib-5, 1)}, &disk{}
		dl, task := fetching(t, s, d, &tally{})
		var done []Piece
		task.Arrived = func(_ context.Context, p Piece) error {
			if len(done) == stop {
				return errKilled
			}
			done = append(done, p)
			return nil
		}
		if _, err := dl.Download(t.Context(), task); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		var spoiled int64
		if stop == 4 {
			d.data[done[1].Offset+5] ^= 1 // it never reached the disk
			spoiled = done[1].Size
		}
		s.calls = nil
		var kept int64
		for _, p := range done {
			kept += p.Size
		}
		task.Done = append(done, Piece{Offset: 3, Size: 99}, Piece{Offset: mib, Size: 2 * mib}) // of another plan
		task.Arrived = nil
		r, err := dl.Download(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
		d.holds(t, s.file)
		if want := (Downloaded{Fetched: s.file.size - kept + spoiled, Resumed: kept - spoiled, Proven: true}); r != want {
			t.Errorf("stopped after %d: %+v, want %+v", stop, r, want)
		}
	}
}

// TestListOfPiecesThatLies: the disk holds what the list says, and both are
// wrong.
func TestListOfPiecesThatLies(t *testing.T) {
	s, d := &shelf{file: newFile(3*mib, 1)}, &disk{}
	dl, task := fetching(t, s, d, &tally{})
	junk := bytes.Repeat([]byte("junk"), mib/4)
	d.WriteAt(junk, mib)
	task.Done = []Piece{{Offset: mib, Size: mib, Tree: treehash.Sum(junk)}}
	r, err := dl.Download(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	d.holds(t, s.file)
	if r.Resumed != 0 || r.Fetched != 3*mib {
		t.Errorf("%+v", r)
	}
}

func TestCancelledDownload(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &shelf{file: newFile(8*mib, 1)}
	s.spoil = func(call int, _ firn.Range) flaw {
		if call == 5 {
			cancel()
			return flaw{after: 10, broken: context.Canceled}
		}
		return flaw{}
	}
	dl, task := fetching(t, s, &disk{}, &tally{})
	if _, err := dl.Download(ctx, task); !errors.Is(err, context.Canceled) || s.inFlight != 0 {
		t.Errorf("%v, %d left open", err, s.inFlight)
	}
}

func TestDownloadsThatMakeNoSense(t *testing.T) {
	for _, opt := range []DownloadOptions{{PieceSize: 5}, {Concurrency: -1}} {
		if _, err := NewDownloader(&shelf{}, opt); firn.KindOf(err) != firn.Usage {
			t.Errorf("%+v: %v", opt, err)
		}
	}
	dl, err := NewDownloader(&shelf{}, DownloadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, task := range map[string]Download{
		"nowhere": {Size: 1, Tree: treehash.Hash{1}}, "unverified": {Size: 1, Dest: &disk{}}, "less than nothing": {Size: -1, Dest: &disk{}, Tree: treehash.Hash{1}},
		"more than fits": {Size: 2, Dest: make(Memory, 1), Tree: treehash.Hash{1}},
	} {
		if _, err := dl.Download(t.Context(), task); firn.KindOf(err) != firn.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}
