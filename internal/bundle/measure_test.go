package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// TestMeasureIsAWriter: entry by entry a bundle is as large as a Measure says,
// whatever its entries are called.
func TestMeasureIsAWriter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, m := NewWriter(new(memory), info), NewMeasure(info)
		for range rapid.IntRange(1, 30).Draw(t, "entries") {
			f := files(t)
			var data []byte
			if f.Kind == firn.Regular {
				data = make([]byte, rapid.IntRange(0, 2000).Draw(t, "size"))
				f.Stamp.Size = int64(len(data))
			}
			if _, err := w.Append(f, data, treehash.Sum(data), 0); err != nil {
				t.Fatal(err)
			}
			if !m.Add(ExtentOf(&f)) || m.Size() != w.Size() || m.Len() != w.Len() {
				t.Fatalf("%q, %d members: %d bytes, and the writer has %d", f.Path, m.Len(), m.Size(), w.Size())
			}
		}
	})
}

// TestMeasureIsFull: where a Writer is.
func TestMeasureIsFull(t *testing.T) {
	for name, path := range map[string]string{"members": "f", "index": deep(MaxName - 10)} {
		t.Run(name, func(t *testing.T) {
			w, m := NewWriter(new(memory), Info{}), NewMeasure(Info{})
			for i := range MaxMembers + 1 {
				f := link(fmt.Sprint(path, i), "target")
				_, err := w.Append(f, nil, treehash.Hash{}, 0)
				if err != nil && !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				if added := m.Add(ExtentOf(&f)); added != (err == nil) {
					t.Fatalf("member %d: added %t, and the writer says %v", i, added, err)
				} else if !added {
					return
				}
			}
			t.Error("it never was full")
		})
	}
}

// TestMeasuredIndex: the guess at the index is near, with names that resemble
// each other and contents that don't.
func TestMeasuredIndex(t *testing.T) {
	for _, n := range []int{1, 10, 1000, MaxMembers} {
		s := new(memory)
		w, m := NewWriter(s, Info{Tree: "photos", Host: "here"}), NewMeasure(Info{Tree: "photos", Host: "here"})
		for i := range n {
			data := binary.BigEndian.AppendUint64(nil, uint64(i))
			f := file(fmt.Sprintf("2024/%02d/holiday/IMG_%05d.jpg", i/1000, i), int64(len(data)))
			if _, err := w.Append(f, data, treehash.Sum(data), 0); err != nil {
				t.Fatal(err)
			}
			m.Add(ExtentOf(&f))
		}
		sealed, err := w.Seal()
		if err != nil {
			t.Fatal(err)
		}
		got, want := m.Sealed()-m.Size(), sealed.Size-m.Size()
		t.Logf("%d members: %d bytes behind the tar, measured as %d", n, want, got)
		if got > 2*want || got < want/2 {
			t.Errorf("%d members: %d bytes behind the tar, measured as %d", n, want, got)
		}
	}
}

// TestExtentsCostNothing: a dry run takes the extent of each file.
func TestExtentsCostNothing(t *testing.T) {
	f, m := file("some/folder/and a file.jpg", 1000), NewMeasure(Info{})
	if n := testing.AllocsPerRun(100, func() { m.Add(ExtentOf(&f)) }); n > 0 {
		t.Errorf("%v allocations a file", n)
	}
}
