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

// CheckPartSize says whether parts may be of so many bytes: 1 MiB times a power
// of two, up to 4 GiB.
func CheckPartSize(bytes int64) error {
	if bytes < mib || bytes > largestPart || bits.OnesCount64(uint64(bytes)) != 1 {
		return usage("set part size", "%s is no power of two from 1 to 4096 MiB", inMiB(bytes))
	}
	return nil
}

func inMiB(bytes int64) string {
	if bytes%mib == 0 {
		return fmt.Sprintf("%d MiB", bytes/mib)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// smallestPart is the smallest part size, a power of two MiB, at which size
// bytes are not too many parts. An archive that is too large for any gives
// Invalid.
func smallestPart(size int64, tr firn.Traits) (int64, error) {
	p := int64(mib)
	for p < tr.MinPart || (parts{size, p}).count() > tr.MaxParts {
		if p *= 2; p > tr.MaxPart {
			return 0, tooLarge(size, min(tr.MaxArchive, floorPart(tr.MaxPart)*int64(tr.MaxParts)))
		}
	}
	if size > tr.MaxArchive {
		return 0, tooLarge(size, tr.MaxArchive)
	}
	return p, nil
}

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
	p := min(want, floorPart(tr.MaxPart))
	if reach > 0 {
		p = min(p, floorPart(reach))
	}
	return max(p, smallest)
}

// floorPart is the largest power of two MiB that is at most n, or 1 MiB.
func floorPart(n int64) int64 {
	return max(mib, int64(1)<<(bits.Len64(uint64(max(n, 1)))-1))
}
