package transfer

import (
	"fmt"
	"math/bits"

	"github.com/firn-archive/firn"
)

const (
	// DefaultPartSize is the size of parts unless told otherwise, in bytes.
	DefaultPartSize = 64 * mib
	// MaxSingle is the largest file, in bytes, that goes up in one request,
	// and so what is lost at most when such a request breaks off. What is
	// larger is stored only by way of a multipart upload.
	MaxSingle = 64 * mib
	// largestPart of a multipart upload, in bytes: 4 GiB. Source: Amazon
	// Glacier API reference, "Initiate Multipart Upload".
	largestPart = 4096 * mib
)

// parts is an archive of size bytes, cut into parts of part bytes; the last
// one may be shorter.
type parts struct{ size, part int64 }

func (p parts) count() int { return int((p.size + p.part - 1) / p.part) }

// at gives the offset and the length of the i-th part, from 0.
func (p parts) at(i int) (off, n int64) {
	off = int64(i) * p.part
	return off, min(p.part, p.size-off)
}

// index finds the part that begins at off and has n bytes.
func (p parts) index(off, n int64) (int, bool) {
	if off < 0 || off >= p.size || off%p.part != 0 {
		return 0, false
	}
	i := int(off / p.part)
	_, want := p.at(i)
	return i, n == want
}

// CheckPartSize says whether every store takes parts of so many bytes: 1 MiB times
// a power of two, up to 4 GiB.
func CheckPartSize(bytes int64) error {
	if bytes < mib || bytes > largestPart || !isPower(bytes) {
		return usage("set part size", "%s is no power of two from 1 to 4096 MiB", inMiB(bytes))
	}
	return nil
}

// CheckPartSizeIn says whether a store with these traits takes parts of so many bytes.
func CheckPartSizeIn(bytes int64, tr firn.Traits) error {
	if !tr.AnyPart {
		return CheckPartSize(bytes)
	}
	if bytes < mib || bytes%mib != 0 || bytes > tr.MaxPart {
		return usage("set part size", "%s is no whole number of MiB from 1 to %d", inMiB(bytes), tr.MaxPart/mib)
	}
	return nil
}

func isPower(n int64) bool { return bits.OnesCount64(uint64(n)) == 1 }

func inMiB(bytes int64) string {
	if bytes%mib == 0 {
		return fmt.Sprintf("%d MiB", bytes/mib)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// smallestPart is the smallest part size, a power of two MiB, at which size
// bytes are not too many parts; or, where no power of two would do and the store
// takes others, in whole MiB. An archive that is too large for any gives Invalid.
func smallestPart(size int64, tr firn.Traits) (int64, error) {
	if most := largestArchive(tr); size > most {
		return 0, tooLarge(size, most)
	}
	p := int64(mib)
	for p < tr.MinPart || (parts{size, p}).count() > tr.MaxParts {
		p *= 2
	}
	if p > tr.MaxPart {
		p = ceilMiB(size, int64(tr.MaxParts))
	}
	return p, nil
}

// largestArchive is what fits into as many and as large parts as there may be, in
// bytes.
func largestArchive(tr firn.Traits) int64 {
	part := tr.MaxPart / mib * mib
	if !tr.AnyPart {
		part = floorPart(tr.MaxPart)
	}
	return min(tr.MaxArchive, part*int64(tr.MaxParts))
}

// ceilMiB is the smallest whole number of MiB, in bytes, of which n make up size.
func ceilMiB(size, n int64) int64 { return (size + n*mib - 1) / (n * mib) * mib }

func tooLarge(size, most int64) error {
	return &firn.Error{
		Op: "plan", Kind: firn.Invalid,
		Err:  fmt.Errorf("the file has %d bytes, and the store takes archives of at most %d", size, most),
		Hint: "split it, or leave it out",
	}
}

// partSize is the part size for size bytes: want, but no less than smallest,
// and no more than reach, which is 0 where the line's speed is not known.
func partSize(want, smallest, reach int64, tr firn.Traits) int64 {
	p := want
	if p > tr.MaxPart {
		p = floorPart(tr.MaxPart)
	}
	if reach > 0 {
		p = min(p, floorPart(reach))
	}
	return max(p, smallest)
}

// floorPart is the largest power of two MiB that is at most n, or 1 MiB.
func floorPart(n int64) int64 {
	return max(mib, int64(1)<<(bits.Len64(uint64(max(n, 1)))-1))
}

// suit reports whether a store with these traits takes such parts.
func (p parts) suit(tr firn.Traits) bool {
	return CheckPartSizeIn(p.part, tr) == nil && p.part >= tr.MinPart && p.count() <= tr.MaxParts
}

// areNodes reports whether the tree hash of each part is a node of that of the
// whole.
func (p parts) areNodes() bool { return isPower(p.part) }
