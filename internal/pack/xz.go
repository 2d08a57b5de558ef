package pack

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress"
	"github.com/ulikunitz/xz"
)

const (
	// segment is how many bytes of a pack become one xz stream. A file of several
	// streams is an xz file like any other (xz file format 1.2, section 2); so
	// segments can be compressed side by side.
	segment = 4 << 20
	// dictionary is how far xz looks back, in bytes. A larger one costs more
	// time and memory than it gains within a segment.
	dictionary = 1 << 20
	// xzWorkers is how many segments are compressed at a time, at most: each
	// takes some 20 MiB.
	xzWorkers = 3
)

// An xzWriter writes xz streams, one for each segment.
type xzWriter struct {
	out   io.Writer
	in    []byte
	order chan *xzJob // in the order of the segments; its room bounds the memory
	spare chan []byte // buffers of segments, to be used again
	done  chan struct{}

	mu  sync.Mutex
	err error // of writing; all that comes after it is dropped
}

// An xzJob is a segment on its way.
type xzJob struct {
	in  []byte
	out bytes.Buffer
	err error
	end chan struct{} // closed when it is compressed
}

func newXZWriter(out io.Writer) *xzWriter {
	n := min(xzWorkers, runtime.GOMAXPROCS(0))
	w := &xzWriter{out: out, order: make(chan *xzJob, n-1), spare: make(chan []byte, n+1), done: make(chan struct{})}
	w.in = make([]byte, 0, segment)
	go w.collect()
	return w
}

// Write takes bytes in. Its error is that of earlier ones.
func (w *xzWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if err := w.failed(); err != nil {
			return n, err
		}
		k := min(len(p), segment-len(w.in))
		w.in = append(w.in, p[:k]...)
		p, n = p[k:], n+k
		if len(w.in) == segment {
			w.compress()
		}
	}
	return n, nil
}

// Close writes what is left, and waits until all is written.
func (w *xzWriter) Close() error {
	if len(w.in) > 0 {
		w.compress()
	}
	close(w.order)
	<-w.done
	return w.failed()
}

func (w *xzWriter) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// compress begins a job with what has gathered.
func (w *xzWriter) compress() {
	j := &xzJob{in: w.in, end: make(chan struct{})}
	w.order <- j
	select {
	case w.in = <-w.spare:
	default:
		w.in = make([]byte, 0, segment)
	}
	go func() {
		defer close(j.end)
		if compressible(j.in) {
			j.err = deflate(&j.out, j.in)
		} else {
			store(&j.out, j.in)
		}
	}()
}

// collect writes what the jobs made, in their order.
func (w *xzWriter) collect() {
	defer close(w.done)
	for j := range w.order {
		<-j.end
		err := j.err
		if err == nil && w.failed() == nil {
			_, err = w.out.Write(j.out.Bytes())
		}
		if err != nil {
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
		}
		w.spare <- j.in[:0] // there is room for all
	}
}

const (
	// sample is how many bytes are judged at a time whether they compress.
	sample = 256 << 10
	// worthwhile is the least estimate of bytes that do.
	worthwhile = 0.1
)

// compressible reports whether any sample of a segment is worth the time: most
// of what people keep is pictures and films, on which xz spends a second a
// megabyte for nothing.
func compressible(p []byte) bool {
	for len(p) > 0 {
		n := min(sample, len(p))
		if compress.Estimate(p[:n]) >= worthwhile {
			return true
		}
		p = p[n:]
	}
	return false
}

// deflate writes p as a stream that is compressed.
func deflate(out io.Writer, p []byte) error {
	w, err := xz.WriterConfig{DictCap: dictionary, CheckSum: xz.CRC32}.NewWriter(out)
	if err != nil {
		return err
	}
	if _, err := w.Write(p); err != nil {
		return err
	}
	return w.Close()
}

// Parts of an xz stream of one block with one LZMA2 filter. Source: xz file
// format 1.2, sections 2.1, 3.1 and 5.3.1; the chunks: "LZMA2" in liblzma's
// lzma2_decoder.c.
const (
	streamMagic  = "\xfd7zXZ\x00"
	streamFlags  = "\x00\x01" // CRC32
	footerMagic  = "YZ"
	blockHeader  = "\x02\x00\x21\x01\x08\x00\x00\x00" // 12 bytes with its CRC; a dictionary of 64 KiB
	chunkReset   = 1                                  // uncompressed, and the dictionary begins anew
	chunkFurther = 2                                  // uncompressed
	chunkSize    = 64 << 10
)

// store writes p as a stream that isn't compressed.
func store(out *bytes.Buffer, p []byte) {
	out.Grow(len(p) + len(p)/chunkSize*3 + 128)
	out.WriteString(streamMagic + streamFlags)
	crc(out, []byte(streamFlags))
	start := out.Len()
	out.WriteString(blockHeader)
	crc(out, []byte(blockHeader))
	control := byte(chunkReset)
	for rest := p; len(rest) > 0; control = chunkFurther {
		n := min(chunkSize, len(rest))
		out.Write([]byte{control, byte((n - 1) >> 8), byte(n - 1)})
		out.Write(rest[:n])
		rest = rest[n:]
	}
	out.WriteByte(0)
	unpadded := out.Len() - start + crc32.Size
	pad(out, out.Len()-start)
	crc(out, p)

	index := bytes.NewBuffer([]byte{0, 1}) // its mark, and one record
	index.Write(binary.AppendUvarint(nil, uint64(unpadded)))
	index.Write(binary.AppendUvarint(nil, uint64(len(p))))
	pad(index, index.Len())
	crc(index, index.Bytes())
	out.Write(index.Bytes())

	footer := append(binary.LittleEndian.AppendUint32(nil, uint32(index.Len()/4-1)), streamFlags...)
	crc(out, footer)
	out.Write(footer)
	out.WriteString(footerMagic)
}

// pad fills n bytes up to a multiple of four.
func pad(out *bytes.Buffer, n int) { out.Write(make([]byte, -n&3)) }

// crc writes the CRC32 of p.
func crc(out *bytes.Buffer, p []byte) {
	out.Write(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(p)))
}
