package plan

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// leaf is what ranges of archives are counted in: a retrieval begins at a whole
// MiB, and ends at one or at the archive's end (treehash.LeafAligned).
const leaf = treehash.LeafSize

// maxPlanned bounds the archives that can be planned for, in bytes: the leaves
// of larger ones can't be counted in 32 bits. The largest that the service takes
// has 40 TiB.
const maxPlanned = leaf << 32

// A Piece is what is to be retrieved of an archive by one request.
type Piece struct {
	Archive int64
	// At is of the archive as stored: whole MiB, but for the archive's end.
	At firn.Range
	// Files are to be brought back from it, with Bytes of content. Of what lies in
	// several pieces each file is counted once, in one of them.
	Files, Bytes int64
	// Download is how many bytes of it are wanted, in whole MiB; the rest lies
	// between them, and is not downloaded.
	Download int64
}

// Ranges collect which ranges of which archives are wanted, and make pieces of
// them. They take memory for each range that is apart from the others, 32 bytes
// and an eighth, and none for files. The zero Ranges is empty.
type Ranges struct {
	pages [][]extent // in order, nothing touching another
	count int        // of the extents in them
	fresh []extent   // in the order in which they came
	spare [][]extent // pages to be used again
	gap   int64
	most  int64
}

// An extent is a range of an archive that is wanted. It holds no pointer, so
// that millions of them cost the garbage collector nothing.
type extent struct {
	archive int64
	end     int64 // bytes, the archive's end at most
	bytes   int64
	from    uint32 // leaves
	files   uint32
}

func (e *extent) start() int64 { return int64(e.from) * leaf }

func order(a, b extent) int {
	return cmp.Or(cmp.Compare(a.archive, b.archive), cmp.Compare(a.from, b.from))
}

// touches reports whether b overlaps a or begins where it ends.
func (e *extent) touches(b *extent) bool {
	return e.archive == b.archive && e.from <= b.from && b.start() <= e.end ||
		e.archive == b.archive && b.from <= e.from && e.start() <= b.end
}

// join makes one of two that touch.
func (e *extent) join(b *extent) {
	e.from, e.end = min(e.from, b.from), max(e.end, b.end)
	e.files, e.bytes = e.files+b.files, plus(e.bytes, b.bytes)
}

// plus adds two sizes, and ends at the largest: a catalog may hold anything.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

const (
	pageSize = 4096    // extents in a page
	freshMin = 1 << 16 // extents that may wait for being put in order
	lookBack = 8       // extents to which a new one may belong at once
)

// Add takes in one file: the bytes at of an archive of so many bytes, as stored,
// that bring so many bytes of content.
//
// Errors: Corrupt (the archive has no such bytes).
func (r *Ranges) Add(archive, archiveSize int64, at firn.Range, bytes int64) error {
	inside := 0 <= at.Start && at.Start <= at.End && at.End <= archiveSize && archiveSize <= maxPlanned
	if !inside || at.Len() == 0 && archiveSize > 0 || bytes < 0 {
		return &firn.Error{Op: "plan", Kind: firn.Corrupt,
			Err:  fmt.Errorf("bytes %d to %d of an archive of %d bytes", at.Start, at.End, archiveSize),
			Hint: "look for damage with: firn catalog check"}
	}
	e := extent{archive: archive, from: uint32(at.Start / leaf), end: min((at.End+leaf-1)/leaf*leaf, archiveSize), files: 1, bytes: bytes}
	for i := len(r.fresh) - 1; i >= max(0, len(r.fresh)-lookBack); i-- {
		if r.fresh[i].touches(&e) {
			r.fresh[i].join(&e)
			return nil
		}
	}
	if r.fresh = append(r.fresh, e); len(r.fresh) >= max(freshMin, r.count/8) {
		r.tidy()
	}
	return nil
}

// Whole takes in one file that needs all of an archive. See Add.
func (r *Ranges) Whole(archive, archiveSize, bytes int64) error {
	return r.Add(archive, archiveSize, firn.Range{End: archiveSize}, bytes)
}

// Coalesce makes pieces of one archive one, where at most gap bytes are between
// them: to retrieve those costs less than another request. See Gap.
func (r *Ranges) Coalesce(gap int64) { r.gap = gap }

// Split cuts pieces at the multiples of most bytes, a power of two in MiB: but
// for the ends of a range, each is then one node of the archive's hash tree.
// What is at most that long stays whole. 0: nothing is cut.
func (r *Ranges) Split(most int64) error {
	if most < 0 || most > 0 && (most%leaf != 0 || most&(most-1) != 0) {
		return fmt.Errorf("pieces of %d bytes: %w", most, errNoNode)
	}
	r.most = most
	return nil
}

var errNoNode = errors.New("no power of two in MiB")

// tidy puts what is fresh among the others. Pages that it has read are written
// anew, so that it takes little memory of its own.
func (r *Ranges) tidy() {
	slices.SortFunc(r.fresh, order)
	old := r.pages
	r.pages, r.count = make([][]extent, 0, len(old)+len(r.fresh)/pageSize+1), 0
	fresh := r.fresh
	for i, page := range old {
		for j := range page {
			for len(fresh) > 0 && order(fresh[0], page[j]) < 0 {
				r.put(&fresh[0])
				fresh = fresh[1:]
			}
			r.put(&page[j])
		}
		old[i], r.spare = nil, append(r.spare, page[:0])
	}
	for i := range fresh {
		r.put(&fresh[i])
	}
	r.fresh = r.fresh[:0]
}

// put adds an extent that comes behind all others.
func (r *Ranges) put(e *extent) {
	last := len(r.pages) - 1
	if last >= 0 {
		page := r.pages[last]
		if end := &page[len(page)-1]; end.touches(e) {
			end.join(e)
			return
		}
	}
	r.count++
	if last >= 0 && len(r.pages[last]) < pageSize {
		r.pages[last] = append(r.pages[last], *e)
		return
	}
	var page []extent
	if n := len(r.spare); n > 0 {
		page, r.spare = r.spare[n-1], r.spare[:n-1]
	} else {
		page = make([]extent, 0, pageSize)
	}
	r.pages = append(r.pages, append(page, *e))
}

// All gives the pieces, by archive and from its start on, as Coalesce and Split
// have it. Nothing may be added meanwhile.
func (r *Ranges) All() iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		for p := range r.coalesced() {
			if !r.split(p, yield) {
				return
			}
		}
	}
}

// coalesced gives the pieces before they are split.
func (r *Ranges) coalesced() iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		r.tidy()
		var p Piece
		open := false
		for _, page := range r.pages {
			for i := range page {
				e := &page[i]
				if open && p.Archive == e.archive && e.start()-p.At.End <= r.gap {
					p.At.End = e.end
					p.Files, p.Bytes, p.Download = p.Files+int64(e.files), plus(p.Bytes, e.bytes), p.Download+e.end-e.start()
					continue
				}
				if open && !yield(p) {
					return
				}
				at := firn.Range{Start: e.start(), End: e.end}
				p, open = Piece{Archive: e.archive, At: at, Files: int64(e.files), Bytes: e.bytes, Download: at.Len()}, true
			}
		}
		if open {
			yield(p)
		}
	}
}

// split hands out a piece, cut if it is too long. What is counted is shared out
// by length: a single file is in the last one, where it is complete.
func (r *Ranges) split(p Piece, yield func(Piece) bool) bool {
	if r.most == 0 || p.At.Len() <= r.most {
		return yield(p)
	}
	whole, told := p, Piece{}
	for start := p.At.Start; start < whole.At.End; start = p.At.End {
		p.At = firn.Range{Start: start, End: min(start/r.most*r.most+r.most, whole.At.End)}
		part := float64(p.At.End-whole.At.Start) / float64(whole.At.Len())
		share := func(n, told int64) int64 {
			if p.At.End == whole.At.End {
				return n - told
			}
			return max(0, int64(float64(n)*part)-told)
		}
		p.Files, p.Bytes, p.Download = share(whole.Files, told.Files), share(whole.Bytes, told.Bytes), share(whole.Download, told.Download)
		told.Files, told.Bytes, told.Download = told.Files+p.Files, told.Bytes+p.Bytes, told.Download+p.Download
		if !yield(p) {
			return false
		}
	}
	return true
}

// Totals are sums over pieces.
type Totals struct {
	Archives int64 // that they are of
	Requests int64 // pieces
	Retrieve int64 // bytes of these
	Files    int64
	Bytes    int64 // of content
	Download int64 // bytes that are wanted of them
}

// Totals sums up what All gives.
func (r *Ranges) Totals() (t Totals) {
	last := int64(0)
	for p := range r.All() {
		if t.Requests == 0 || p.Archive != last {
			t.Archives++
		}
		last = p.Archive
		t.Requests++
		t.Retrieve += p.At.Len()
		t.Files, t.Bytes, t.Download = t.Files+p.Files, plus(t.Bytes, p.Bytes), t.Download+p.Download
	}
	return t
}
