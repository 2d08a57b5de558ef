package transfer

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// zeros is a file of size zeros, which costs nothing to read.
type zeros struct{ size int64 }

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), z.size-off)))
	clear(p[:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
func (zeros) Close() error                 { return nil }
func (z zeros) Stamp() (firn.Stamp, error) { return firn.Stamp{Size: z.size}, nil }

func (z zeros) task() Task {
	return Task{Source: Source{Path: "zeros", Open: func() (File, error) { return z, nil }}, Journal: &journal{}}
}

// allocated is how many bytes f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestMemoryDoesNotGrowWithTheFile: a GiB in parts of 256 MiB takes no more
// than a few buffers and hashes.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	const size = int64(gib)
	v := newVault()
	v.trusting = true
	u := uploader(t, v, traits, UploadOptions{PartSize: size / 4})
	var err error
	got := allocated(func() { _, err = u.Upload(t.Context(), zeros{size}.task()) })
	if err != nil {
		t.Fatal(err)
	}
	if got > 4<<20 {
		t.Errorf("%d KiB were allocated for a file of %d MiB", got>>10, size/mib)
	}
	if len(v.archives) != 1 || v.archives[0].Size != size {
		t.Errorf("stored: %v", v.archives)
	}
}

// TestMemoryOfManyParts: 10,000 parts of a MiB cost some bytes each.
func TestMemoryOfManyParts(t *testing.T) {
	p := parts{10000 * mib, mib}
	u := uploader(t, newVault(), traits, UploadOptions{})
	got := allocated(func() { (&upload{Uploader: u}).newMultipart(p, mib) })
	if got > 100*10000 {
		t.Errorf("%d KiB for 10,000 parts", got>>10)
	}
}

// nowhere is a Dest that keeps nothing.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (nowhere) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }

// reader gives out zeros.
type reader struct {
	firn.Retriever
	size int64
}

func (r reader) Output(_ context.Context, _ firn.JobID, at firn.Range) (firn.Output, error) {
	return firn.Output{ReadCloser: io.NopCloser(io.NewSectionReader(zeros{r.size}, at.Start, at.Len()))}, nil
}

// zeroTree is the tree hash of size zeros, a power of two MiB.
func zeroTree(size int64) treehash.Hash {
	leaf := treehash.Sum(make([]byte, mib))
	trees := make([]treehash.Hash, size/mib)
	for i := range trees {
		trees[i] = leaf
	}
	return treehash.Combine(trees)
}

func TestMemoryOfDownloads(t *testing.T) {
	const size = 512 * mib
	d, err := NewDownloader(reader{size: size}, DownloadOptions{PieceSize: 64 * mib})
	if err != nil {
		t.Fatal(err)
	}
	task := Download{Path: "zeros", Size: size, Tree: zeroTree(size), Dest: nowhere{}}
	got := allocated(func() { _, err = d.Download(t.Context(), task) })
	if err != nil {
		t.Fatal(err)
	}
	if got > 4<<20 {
		t.Errorf("%d KiB were allocated for %d MiB", got>>10, size/mib)
	}
}

// The pair shows what the engine costs beside hashing each byte twice: once
// with a store that only reads, in parts and in single requests.
func BenchmarkHashing(b *testing.B) {
	d, buf := treehash.NewDouble(), make([]byte, bufferSize)
	b.SetBytes(256 * mib)
	for b.Loop() {
		d.Reset()
		for range 256 * mib / bufferSize {
			d.Write(buf)
		}
	}
}

func BenchmarkUploadParts(b *testing.B)   { benchmarkUpload(b, 256*mib, 1) }
func BenchmarkUploadSingles(b *testing.B) { benchmarkUpload(b, mib, 256) }
func BenchmarkUploadTiny(b *testing.B)    { benchmarkUpload(b, 10<<10, 1) }

func benchmarkUpload(b *testing.B, size int64, files int) {
	v := newVault()
	v.trusting = true
	u := uploader(b, v, traits, UploadOptions{Concurrency: 1})
	b.SetBytes(size * int64(files))
	b.ReportAllocs()
	for b.Loop() {
		for range files {
			if _, err := u.Upload(b.Context(), zeros{size}.task()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkDownload(b *testing.B) {
	const size = 256 * mib
	d, err := NewDownloader(reader{size: size}, DownloadOptions{Concurrency: 1})
	if err != nil {
		b.Fatal(err)
	}
	task := Download{Path: "zeros", Size: size, Tree: zeroTree(size), Dest: nowhere{}}
	b.SetBytes(size)
	for b.Loop() {
		if _, err := d.Download(b.Context(), task); err != nil {
			b.Fatal(err)
		}
	}
}
