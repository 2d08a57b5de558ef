package rows

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
)

// A million files, 50 to a bundle and to a directory.
const (
	benchFiles = 1_000_000
	benchGroup = 50
)

// million writes the rows of a catalog of as many small files, as a camera or
// a program leaves them behind: names that count up, sizes and times that don't.
func million(w *Writer) error {
	rng := rand.New(rand.NewPCG(1, 2))
	token := firn.Token{1}
	head := []Row{
		&Header{Catalog: token, Store: Store{Identity: "i"}},
		&Catalog{ID: 1, Token: token},
		&Tree{ID: 1, Name: "photos", Root: "/srv/photos"},
		&Run{ID: 1, Catalog: 1, Tree: 1, Command: "sync"},
	}
	for _, r := range head {
		w.Write(r)
	}
	sizes := make([]int64, benchFiles)
	for i := range sizes {
		sizes[i] = 1 + int64(rng.ExpFloat64()*20_000)
	}
	a := Archive{Kind: "bundle", State: 10, Run: 1, Settled: 1, Created: time.Unix(1.7e9, 0)}
	for i := 0; i < benchFiles; i += benchGroup {
		a.ID++
		fillArchive(&a, rng, sizes[i:i+benchGroup])
		w.Write(&a)
	}
	e := Entry{Since: 1, Mode: 0o100644, UID: 1000, GID: 1000}
	for i := range benchFiles {
		if i%benchGroup == 0 {
			w.Write(&Dir{Tree: 1, Path: fmt.Sprintf("2026/week %06d", i/benchGroup)})
		}
		e.Name, e.Size = fmt.Sprintf("IMG_%08d.jpg", i), sizes[i]
		e.ModTime = time.Unix(1.7e9+int64(i)*30+rng.Int64N(30), rng.Int64N(1e9))
		e.Archive, e.Member = int64(1+i/benchGroup), int64(i%benchGroup)
		w.Write(&e)
	}
	return w.Close()
}

// fillArchive makes a the archive of files of these sizes.
func fillArchive(a *Archive, rng *rand.Rand, sizes []int64) {
	random(rng, a.Token[:])
	random(rng, a.Tree[:])
	id := make([]byte, 138/2)
	random(rng, id)
	a.Remote = firn.ArchiveID(fmt.Sprintf("%x", id))
	a.Contents = a.Contents[:0]
	at := int64(512)
	for i, size := range sizes {
		c := Content{Member: int64(i), Offset: at, Size: size}
		random(rng, c.Tree[:])
		a.Contents = append(a.Contents, c)
		at += 512 + (size+511)/512*512
	}
	a.Size = at
}

func random(rng *rand.Rand, b []byte) {
	for len(b) > 0 {
		var word [8]byte
		binary.NativeEndian.PutUint64(word[:], rng.Uint64())
		b = b[copy(b, word[:]):]
	}
}

// BenchmarkWriteMillion is a catalog of a million files, with and without
// compression.
func BenchmarkWriteMillion(b *testing.B) {
	const plain = zstd.EncoderLevel(0)
	for name, level := range map[string]zstd.EncoderLevel{"plain": plain, "fastest": zstd.SpeedFastest, "default": zstd.SpeedDefault} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var size count
				out := io.WriteCloser(&size)
				if level != plain {
					enc, err := zstd.NewWriter(&size, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
					if err != nil {
						b.Fatal(err)
					}
					out = enc
				}
				if err := million(NewWriter(out)); err != nil {
					b.Fatal(err)
				}
				if err := out.Close(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(size)/1e6, "MB")
			}
		})
	}
}

// count counts what is written to it.
type count int64

func (c *count) Write(p []byte) (int, error) { *c += count(len(p)); return len(p), nil }
func (c *count) Close() error                { return nil }

// BenchmarkReadMillion reads the same.
func BenchmarkReadMillion(b *testing.B) {
	var buf bytes.Buffer
	if err := million(NewWriter(&buf)); err != nil {
		b.Fatal(err)
	}
	lines := bytes.Count(buf.Bytes(), []byte("\n"))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range Read(bytes.NewReader(buf.Bytes())) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
