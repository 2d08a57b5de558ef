package syncer

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// TestSteady: what is read is what was hashed, in whatever steps and by however
// many at a time, or an error.
func TestSteady(t *testing.T) {
	for _, size := range []int{0, 1, steadyBlock - 1, steadyBlock, steadyBlock + 1, 40*steadyBlock + 7} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		s, err := newSteady(t.Context(), "f", bytes.NewReader(data), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		if s.content != (firn.Content{Size: int64(size), Tree: treehash.Sum(data)}) {
			t.Errorf("%d bytes: %v", size, s.content)
		}
		r := s.over(bytes.NewReader(data))
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for range 100 {
					from := rand.IntN(size + 1)
					p := make([]byte, rand.IntN(size-from+2))
					n, err := r.ReadAt(p, int64(from))
					if want := data[from:min(from+len(p), size)]; !bytes.Equal(p[:n], want) || err != nil && (err != io.EOF || n == len(p)) {
						t.Errorf("%d bytes from %d of %d: %d, %v", len(p), from, size, n, err)
					}
				}
			})
		}
		readers.Wait()
		for i := 0; i < size; i += 1 + size/7 {
			other := bytes.Clone(data)
			other[i] ^= 1
			if _, err := io.ReadAll(io.NewSectionReader(s.over(bytes.NewReader(other)), 0, int64(size))); !errors.Is(err, errChanging) || firn.KindOf(err) != firn.Changed {
				t.Errorf("byte %d of %d changed: %v", i, size, err)
			}
		}
		if size > 0 {
			if _, err := io.ReadAll(io.NewSectionReader(s.over(bytes.NewReader(data[:size-1])), 0, int64(size))); firn.KindOf(err) != firn.Changed {
				t.Errorf("cut short: %v", err)
			}
		}
	}
}
