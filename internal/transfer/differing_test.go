package transfer

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// partsOf gives the parts of a file, each of part bytes.
func partsOf(size, part int64, seed byte) (all []firn.Part) {
	cut := parts{size, part}
	for i := range cut.count() {
		off, n := cut.at(i)
		h, b := treehash.New(), make([]byte, n)
		fill(b, off, seed)
		h.Write(b)
		all = append(all, firn.Part{Offset: off, Size: n, Tree: h.Sum()})
	}
	return all
}

func TestDiffering(t *testing.T) {
	const size = 4*mib + 9
	whole := partsOf(size, mib, 1)
	other := partsOf(size, mib, 2)
	for _, c := range []struct {
		name  string
		parts []firn.Part
		size  int64
		want  []bool
		bytes int64
	}{
		{"none", nil, size, []bool{}, 0},
		{"all", whole, size, make([]bool, 5), size},
		{"some, in any order", []firn.Part{whole[4], other[1], whole[0]}, size, []bool{false, true, false}, 2*mib + 9},
		{"of a longer file", whole, 3 * mib, []bool{false, false, false, true, true}, 3 * mib},
		{"cut short", []firn.Part{{Offset: mib, Size: 7, Tree: whole[1].Tree}}, size, []bool{true}, 7},
	} {
		var read atomic.Int64
		f := newFile(c.size, 1)
		got, err := Differing(t.Context(), f, c.size, c.parts, func(n int64) { read.Add(n) })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if c.name != "some, in any order" && read.Load() != c.bytes {
			t.Errorf("%s: %d bytes compared, want %d", c.name, read.Load(), c.bytes)
		}
	}
}

func TestDifferingFails(t *testing.T) {
	f := newFile(2*mib, 1)
	f.err = errors.New("bad sector")
	_, err := Differing(t.Context(), f, 2*mib, partsOf(2*mib, mib, 1), func(int64) {})
	if firn.KindOf(err) != firn.Local || !errors.Is(err, f.err) {
		t.Errorf("%v", err)
	}
	f.err = nil
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(because)
	if _, err := Differing(ctx, f, 2*mib, partsOf(2*mib, mib, 1), func(int64) {}); !errors.Is(err, because) {
		t.Errorf("%v", err)
	}
	// It has become shorter than it was said to be.
	got, err := Differing(t.Context(), f, 4*mib, partsOf(4*mib, mib, 1), func(int64) {})
	if diff := cmp.Diff([]bool{false, false, true, true}, got); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}

// TestResumeOnly goes on with one upload and no other: what isn't of the file, or
// not there, ends it, and the upload stays.
func TestResumeOnly(t *testing.T) {
	const size = 4*mib + 9
	good, bad := partsOf(size, mib, 1), partsOf(size, mib, 2)
	for _, c := range []struct {
		name     string
		stored   []firn.Part
		recorded []firn.Part
		partSize int64
		want     firn.Kind
		ok       bool
	}{
		{name: "nothing there", ok: true},
		{name: "some there", stored: []firn.Part{good[0], good[3]}, ok: true},
		{name: "all there", stored: good, ok: true},
		{name: "recorded otherwise", stored: good[:2], recorded: bad[:2], ok: true},
		{name: "other bytes", stored: []firn.Part{good[0], bad[1]}, want: firn.Invalid},
		{name: "recorded, and other bytes", stored: bad[:1], recorded: good[:1], want: firn.Invalid},
		{name: "cut short", stored: []firn.Part{{Offset: mib, Size: 7, Tree: good[1].Tree}}, want: firn.Invalid},
		{name: "beyond the end", stored: []firn.Part{{Offset: 7 * mib, Size: mib}}, want: firn.Invalid},
		{name: "gone", partSize: -1, want: firn.NotFound},
		{name: "parts too small", partSize: 1, want: firn.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, j, f := newVault(), &journal{}, newFile(size, 1)
			job, part := task(f, j), int64(mib)
			id, err := v.StartUpload(t.Context(), described(job), part)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range c.stored {
				v.open[id].parts[p.Offset] = p
			}
			switch c.partSize {
			case -1:
				delete(v.open, id)
			case 1:
				part = 1
			}
			j.begun = &Begun{Stamp: f.stamp, Multipart: true}
			j.resume = Resume{Upload: id, PartSize: part, Stamp: f.stamp}
			job.Resume = &Resume{Upload: id, PartSize: part, Stamp: f.stamp, Parts: c.recorded, Only: true}
			_, err = uploader(t, v, tinySingle(), UploadOptions{PartSize: 2 * mib}).Upload(t.Context(), job)
			if c.ok {
				if err != nil {
					t.Fatal(err)
				}
				v.only(t, described(job), f.content())
			} else if firn.KindOf(err) != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
			if v.calls["AbortUpload"] > 0 || v.calls["StartUpload"] > 1 || v.calls["UploadArchive"] > 0 {
				t.Errorf("calls %v", v.calls)
			}
			j.check(t)
		})
	}
}

// TestResumeOnlyOfAChangingFile leaves the upload as it is.
func TestResumeOnlyOfAChangingFile(t *testing.T) {
	const size = 4 * mib
	v, j, f := newVault(), &journal{}, newFile(size, 1)
	job := task(f, j)
	id, err := v.StartUpload(t.Context(), described(job), mib)
	if err != nil {
		t.Fatal(err)
	}
	j.begun = &Begun{Stamp: f.stamp, Multipart: true}
	j.resume = Resume{Upload: id, PartSize: mib, Stamp: f.stamp}
	job.Resume = &Resume{Upload: id, PartSize: mib, Stamp: f.stamp, Only: true}
	f.onRead = func(off int64) {
		if off >= 2*mib {
			f.write(size, 7)
		}
	}
	_, err = uploader(t, v, tinySingle(), UploadOptions{Concurrency: 1}).Upload(t.Context(), job)
	if firn.KindOf(err) != firn.Changed || v.calls["AbortUpload"] > 0 || v.open[id] == nil {
		t.Errorf("%v; calls %v", err, v.calls)
	}
	j.check(t)
}
