package catalog_test

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

func TestSeen(t *testing.T) {
	for _, changed := range []time.Time{{}, epoch, time.Date(1601, 1, 1, 0, 0, 0, 999999999, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 1, time.UTC)} {
		for _, inode := range []uint64{0, 1, math.MaxUint64} {
			want := firn.File{Stamp: firn.Stamp{Changed: changed, Inode: inode}, Links: 3}
			var got firn.File
			read, mount := catalog.UnpackSeen(catalog.PackSeen(&want, epoch, inode == 1), &got)
			if !got.Stamp.Equal(want.Stamp) || got.Links != 3 || !read.Equal(epoch) || mount != (inode == 1) {
				t.Errorf("%+v became %+v, read at %v, mount %v", want, got, read, mount)
			}
		}
	}
	// The bytes on disk, so that a change of format is noticed.
	b := catalog.PackSeen(&firn.File{Stamp: firn.Stamp{Changed: time.Unix(1, 2), Inode: 3}, Links: 4}, time.Unix(-5, 6), true)
	if want := []byte{2, 2, 3, 8, 9, 6, 1}; !bytes.Equal(b, want) {
		t.Errorf("packed as %v, want %v", b, want)
	}
}

func FuzzSeen(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(catalog.PackSeen(&firn.File{Stamp: firn.Stamp{Changed: epoch, Inode: 1 << 40}}, epoch, false))
	f.Add([]byte{2, 2, 3, 8, 9, 6})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		var file firn.File
		read, mount := catalog.UnpackSeen(b, &file)
		var again firn.File
		r, m := catalog.UnpackSeen(catalog.PackSeen(&file, read, mount), &again)
		if !r.Equal(read) || m != mount || again.Links != file.Links || !again.Stamp.Equal(file.Stamp) {
			t.Errorf("%v: %+v at %v became %+v at %v", b, file, read, again, r)
		}
	})
}
