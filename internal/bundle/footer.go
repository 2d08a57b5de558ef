package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
)

// FooterSize is the number of bytes, at the end of a bundle, that say where its
// index lies.
const FooterSize = 512

// footerMagic begins a footer.
const footerMagic = "FIRNBNDL"

// Where the footer's fields begin; numbers are big endian. Magic, version and
// sum stay where they are in all versions to come.
const (
	versionAt   = 8  // 4 bytes
	membersAt   = 12 // 4 bytes
	offsetAt    = 16 // 8 bytes
	indexSizeAt = 24 // 8 bytes
	rawSizeAt   = 32 // 8 bytes
	indexSumAt  = 40 // 32 bytes
	reservedAt  = 72
	footerSumAt = FooterSize - sha256.Size
)

// maxCompressed is the size of the largest index as it is stored: what doesn't
// compress grows by three bytes a block of 128 KiB, and a frame's header.
const maxCompressed = MaxIndex + MaxIndex/1024 + 1024

// A Footer says where the index of a bundle lies.
type Footer struct {
	Version int
	Members int
	Offset  int64             // of the index in the bundle: the end of the tar
	Size    int64             // of the index as it is stored, compressed
	Raw     int64             // of the index when it is decompressed
	Sum     [sha256.Size]byte // SHA-256 of the index as it is stored
}

// end is the size of the bundle that f is the footer of.
func (f Footer) end() int64 { return f.Offset + f.Size + padding(f.Size) + FooterSize }

// append adds the footer to an index, with the padding between them.
func (f Footer) append(dst []byte) []byte {
	dst = appendZeroes(dst, padding(f.Size))
	dst = appendZeroes(dst, FooterSize)
	b := dst[len(dst)-FooterSize:]
	copy(b, footerMagic)
	binary.BigEndian.PutUint32(b[versionAt:], uint32(f.Version))
	binary.BigEndian.PutUint32(b[membersAt:], uint32(f.Members))
	binary.BigEndian.PutUint64(b[offsetAt:], uint64(f.Offset))
	binary.BigEndian.PutUint64(b[indexSizeAt:], uint64(f.Size))
	binary.BigEndian.PutUint64(b[rawSizeAt:], uint64(f.Raw))
	copy(b[indexSumAt:], f.Sum[:])
	sum := sha256.Sum256(b[:footerSumAt])
	copy(b[footerSumAt:], sum[:])
	return dst
}

// ParseFooter reads the footer of a bundle of size bytes from the last of them:
// FooterSize or more. Where the archive is encrypted, size and bytes are those
// of its plaintext.
//
// Errors: Corrupt (these are not the last bytes of a bundle, or not as they
// were written), Conflict (written by a newer firn).
func ParseFooter(last []byte, size int64) (Footer, error) {
	if len(last) < FooterSize || size < int64(len(last)) {
		return Footer{}, damaged("footer", fmt.Errorf("%d bytes of %d are no footer, which has %d", len(last), size, FooterSize))
	}
	b := last[len(last)-FooterSize:]
	if !bytes.HasPrefix(b, []byte(footerMagic)) {
		return Footer{}, damaged("footer", errors.New("the archive doesn't end like a bundle"))
	}
	if sum := sha256.Sum256(b[:footerSumAt]); !bytes.Equal(sum[:], b[footerSumAt:]) {
		return Footer{}, damaged("footer", errors.New("its bytes don't have the sum that it names"))
	}
	if v := binary.BigEndian.Uint32(b[versionAt:]); v != Version {
		return Footer{}, &firn.Error{Op: "read a bundle's footer", Kind: firn.Conflict,
			Err: fmt.Errorf("written by a newer firn (version %d of the format, known up to %d)", v, Version), Hint: "update firn"}
	}
	f := Footer{
		Version: Version,
		Members: int(min(binary.BigEndian.Uint32(b[membersAt:]), MaxMembers+1)),
		Offset:  int64(binary.BigEndian.Uint64(b[offsetAt:])),
		Size:    int64(binary.BigEndian.Uint64(b[indexSizeAt:])),
		Raw:     int64(binary.BigEndian.Uint64(b[rawSizeAt:])),
		Sum:     [sha256.Size]byte(b[indexSumAt:reservedAt]),
	}
	if err := f.check(size); err != nil {
		return Footer{}, damaged("footer", err)
	}
	return f, nil
}

// check says what can't be so in a bundle of size bytes.
func (f Footer) check(size int64) error {
	switch {
	case f.Members < 1 || f.Members > MaxMembers:
		return fmt.Errorf("no bundle has so many members; at most %d", MaxMembers)
	case f.Size < 1 || f.Size > maxCompressed, f.Raw < 1 || f.Raw > MaxIndex:
		return fmt.Errorf("no index has a size of %d bytes, %d when decompressed", f.Size, f.Raw)
	case f.Offset < blockSize+zeroes || f.Offset > size || f.Offset%blockSize != 0 || f.end() != size:
		return fmt.Errorf("an index of %d bytes at byte %d does not end before the footer of an archive of %d bytes", f.Size, f.Offset, size)
	}
	return nil
}

// damaged is the error for bytes that firn didn't write.
func damaged(what string, err error) error {
	return &firn.Error{Op: "read a bundle's " + what, Kind: firn.Corrupt, Err: err}
}
