package transfer

import (
	"errors"
	"io"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// hashed is a file whose sums may be known.
type hashed struct {
	*virtual
	sums  treehash.Sums
	known bool
	err   error
}

func (f hashed) Sums() (treehash.Sums, bool, error) { return f.sums, f.known, f.err }

// TestHashed: a file whose sums are known is read once, to be sent; the store
// refuses it where they are wrong.
func TestHashed(t *testing.T) {
	const size = mib + 5
	d := treehash.NewDouble()
	io.Copy(d, io.NewSectionReader(newFile(size, 1), 0, size))
	const good = firn.Other // no failure
	lost := &firn.Error{Op: "receive", Kind: firn.NotFound, Err: errors.New("it is gone")}
	for name, c := range map[string]struct {
		file  hashed
		reads int64
		kind  firn.Kind
	}{
		"known":     {hashed{sums: d.Sums(), known: true}, size, good},
		"not known": {hashed{}, 2 * size, good},
		"wrong":     {hashed{sums: treehash.Sums{Tree: treehash.Hash{1}}, known: true}, size * (again + 1), firn.Corrupt},
		"failing":   {hashed{err: lost}, 0, firn.NotFound},
		"of a disk": {hashed{err: errors.New("input/output error")}, 0, firn.Local},
	} {
		t.Run(name, func(t *testing.T) {
			v, j, f := newVault(), &journal{}, newFile(size, 1)
			c.file.virtual = f
			job := task(f, j)
			job.Open = func() (File, error) { return c.file, nil }
			_, err := uploader(t, v, traits, UploadOptions{}).Upload(t.Context(), job)
			if got := firn.KindOf(err); (err == nil) != (c.kind == good) || err != nil && got != c.kind {
				t.Errorf("%v, want kind %v", err, c.kind)
			}
			if f.reads != c.reads {
				t.Errorf("%d bytes were read, want %d", f.reads, c.reads)
			}
			if c.kind == good {
				v.only(t, described(job), f.content())
			}
			j.check(t)
		})
	}
}
