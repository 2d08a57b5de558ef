package upkeep

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/treehash"
)

// Hashes tell when files were read.
type Hashes struct {
	Read     firn.Count // now
	Believed firn.Count // read before, and not touched since
	// Never is how many files of other parts nobody has read yet.
	Never int64
	// Oldest is when the file was read that was read longest ago, of all parts;
	// zero where none was.
	Oldest time.Time
}

func (h *Hashes) date(read time.Time) {
	if h.Oldest.IsZero() || read.Before(h.Oldest) {
		h.Oldest = read
	}
}

func (v *verifier) read(size int64, began time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dates.Read.Files++
	v.dates.Read.Bytes += size
	v.dates.date(began)
}

func (v *verifier) believed(size int64, kept *catalog.Hashed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dates.Believed.Files++
	v.dates.Believed.Bytes += size
	v.dates.date(kept.Read)
}

// elsewhere counts a file of another part.
func (v *verifier) elsewhere(kept *catalog.Hashed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if kept == nil {
		v.dates.Never++
		return
	}
	v.dates.date(kept.Read)
}

// racy is how near to the reading of a file its time may be, so that it may have
// been written to again without the time showing it: FAT counts in steps of 2 s.
// Source: Microsoft, "File Times".
const racy = 2 * time.Second

// believes reports whether a hash is that of the file as it is. What was read in the
// future, when a clock was wrong, may be of any age.
func (v *verifier) believes(f *firn.File, kept *catalog.Hashed) bool {
	return kept != nil && !v.Believe.IsZero() && !kept.Read.Before(v.Believe) && !kept.Read.After(v.began) && kept.Stamp.Equal(f.Stamp) &&
		kept.Read.Sub(f.Stamp.ModTime).Abs() > racy
}

// inPart reports whether a path is in the part that is looked at. To which part it
// belongs depends on nothing but the path, by its 64-bit FNV-1a hash.
func (v *verifier) inPart(path string) bool {
	parts := uint64(v.Round.Parts)
	if parts <= 1 {
		return true
	}
	h := uint64(14695981039346656037)
	for i := range len(path) {
		h = (h ^ uint64(path[i])) * 1099511628211
	}
	h ^= h >> 32 // the low bits alone are those of few of its bytes
	return h%parts == uint64(v.Round.Part-1)
}

// errMoved is about a file of which nobody can say what it holds.
var errMoved = errors.New("it was written to while it was read")

// hash reads a file, which must be the same afterwards.
func (v *verifier) hash(ctx context.Context, opener *scan.Opener, path string, buf []byte) (firn.Content, firn.Stamp, error) {
	f, err := opener.Open(path)
	if err != nil {
		return firn.Content{}, firn.Stamp{}, err
	}
	defer f.Close()
	before, err := f.Stamp()
	if err != nil {
		return firn.Content{}, firn.Stamp{}, &firn.Error{Op: "read", Subject: path, Kind: firn.Local, Err: err}
	}
	content, err := v.sum(ctx, f, path, buf)
	if err != nil {
		return firn.Content{}, firn.Stamp{}, err
	}
	after, err := f.Stamp()
	if err == nil && !after.Equal(before) {
		err = errMoved
	}
	if err != nil {
		return firn.Content{}, firn.Stamp{}, &firn.Error{Op: "read", Subject: path, Kind: firn.Changed, Err: err, Hint: "verify it again when nobody writes to it"}
	}
	return content, before, nil
}

const (
	// toldEvery is how many bytes of a file are read between two events.
	toldEvery = 8 << 20
	// bufferSize is how many bytes are read at a time.
	bufferSize = 256 << 10
)

// sum reads r to its end, and tells whoever watches.
func (v *verifier) sum(ctx context.Context, r io.Reader, path string, buf []byte) (firn.Content, error) {
	h := treehash.New()
	var untold int64
	for {
		if ctx.Err() != nil {
			return firn.Content{}, context.Cause(ctx)
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		if untold += int64(n); untold >= toldEvery || err != nil && untold > 0 {
			v.Events(firn.TransferEvent{Path: path, Bytes: untold})
			untold = 0
		}
		if err == io.EOF {
			return firn.Content{Size: h.Written(), Tree: h.Sum()}, nil
		}
		if err != nil {
			return firn.Content{}, &firn.Error{Op: "read", Subject: path, Kind: firn.Local, Err: err}
		}
	}
}

// plan tells how much there is to read.
func (v *verifier) plan() {
	if !v.Quick {
		v.Events(firn.PlanEvent{Bytes: v.Tree.Bytes / int64(max(1, v.Round.Parts))})
	}
}

// spareEvery is how many bytes that need no reading are told of at once.
const spareEvery = 64 << 20

// spare takes off the plan what of the catalog's bytes need not be read.
func (c *comparison) spare(known *catalog.Entry) {
	if known.Kind != firn.Regular || c.Quick {
		return
	}
	if c.spared += known.Stamp.Size; c.spared >= spareEvery {
		c.Events(firn.PlanEvent{Bytes: -c.spared})
		c.spared = 0
	}
}

const (
	// hashesAtOnce is how many hashes are written at a time: small files are read
	// some thousands a second.
	hashesAtOnce = 1000
	// keepEvery is for how long what was read may be lost: large files take long.
	keepEvery = 10 * time.Second
)

// A keeper records hashes, some at a time.
type keeper struct {
	o *VerifyOptions

	mu    sync.Mutex
	batch []catalog.Hashed
	at    time.Time // of the last record
}

func (k *keeper) keep(ctx context.Context, h catalog.Hashed) error {
	if k.o.Round.Place == 0 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batch = append(k.batch, h)
	most := k.o.Batch
	if most == 0 {
		most = hashesAtOnce
	}
	if now := k.o.Clock.Now(); len(k.batch) < most && now.Sub(k.at) < keepEvery {
		return nil
	}
	return k.write(ctx)
}

// flush records what is left.
func (k *keeper) flush(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.batch) == 0 {
		return nil
	}
	return k.write(ctx)
}

func (k *keeper) write(ctx context.Context) error {
	err := k.o.Catalog.KeepHashes(ctx, k.o.Round, k.batch)
	k.batch, k.at = k.batch[:0], k.o.Clock.Now()
	return err
}
