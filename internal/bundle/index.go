package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// window is the largest distance at which the compressor looks for what it has
// seen. Lines resemble their neighbours; more only takes memory.
const window = 1 << 20

// appendTail adds what stands behind the tar's only member, from byte at on, to
// the end of the bundle. Its index is a frame without compression: a hundred
// bytes more, and the same whatever version of the compressor is at hand.
func appendTail(dst []byte, at int64, info Info, m *Member) ([]byte, Footer) {
	raw := appendMember(appendInfo(nil, info), m)
	dst = appendZeroes(dst, zeroes)
	begin := len(dst)
	dst = appendRawFrame(dst, raw)
	f := Footer{
		Version: Version, Members: 1, Offset: at + zeroes,
		Size: int64(len(dst) - begin), Raw: int64(len(raw)), Sum: sha256.Sum256(dst[begin:]),
	}
	return f.append(dst), f
}

// The frame that a zstd decoder reads without having anything to do. RFC 8878,
// 3.1.1.
const (
	frameMagic = 0xFD2FB528
	// frameShape: a single segment, whose size follows in four bytes; no
	// dictionary, no checksum.
	frameShape = 0b10_1_0_0_0_00
	// maxBlock is the largest block.
	maxBlock = 128 << 10
)

// appendRawFrame adds raw as a zstd frame of uncompressed blocks.
func appendRawFrame(dst, raw []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, frameMagic)
	dst = append(dst, frameShape)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(raw)))
	for {
		n := min(len(raw), maxBlock)
		head := uint32(n) << 3 // type 0: raw
		if n == len(raw) {
			head |= 1 // the last one
		}
		dst = append(dst, byte(head), byte(head>>8), byte(head>>16))
		dst = append(dst, raw[:n]...)
		if raw = raw[n:]; len(raw) == 0 {
			return dst
		}
	}
}

// writeIndex compresses the index into w. It gives a footer without an offset.
func writeIndex(w io.Writer, info Info, members []Member) (Footer, error) {
	sum, stored := sha256.New(), new(count)
	enc, err := zstd.NewWriter(io.MultiWriter(w, sum, stored),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return Footer{}, err
	}
	raw, err := writeLines(enc, info, members)
	if err = errors.Join(err, enc.Close()); err != nil {
		return Footer{}, err
	}
	f := Footer{Version: Version, Members: len(members), Size: int64(*stored), Raw: raw}
	sum.Sum(f.Sum[:0])
	return f, nil
}

// writeLines writes the index and gives its size.
func writeLines(w io.Writer, info Info, members []Member) (size int64, err error) {
	line := appendInfo(nil, info)
	for i := 0; ; i++ {
		size += int64(len(line))
		if _, err := w.Write(line); err != nil || i == len(members) {
			return size, err
		}
		line = appendMember(line[:0], &members[i])
	}
}

// count counts the bytes written to it.
type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}
