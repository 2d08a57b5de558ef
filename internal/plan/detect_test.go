package plan

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
)

// TestDetect is the table of docs/sync.md.
func TestDetect(t *testing.T) {
	const (
		u = Unchanged
		c = Changed
		h = Hash
		a = Again
		r = Record
	)
	tests := []struct {
		name                                              string
		now                                               func(*firn.File)
		know                                              func(*Entry)
		mtime, hash, mtimeAndHash, mtimeOrHash, size, all Action
	}{
		{"the same", nil, nil, u, h, u, h, u, a},
		{"size", func(f *firn.File) { f.Stamp.Size++ }, nil, c, c, c, c, c, c},
		{"mtime", func(f *firn.File) { f.Stamp.ModTime = day.Add(1) }, nil, h, h, h, c, u, a},
		{"ctime", func(f *firn.File) { f.Stamp.Changed = day.Add(1) }, nil, h, h, u, h, u, a},
		{"inode", func(f *firn.File) { f.Stamp.Inode = 8 }, nil, h, h, u, h, u, a},
		{"mode and ctime", func(f *firn.File) { f.Stamp.Changed, f.Mode = day.Add(1), 0o600 }, nil, h, h, r, h, r, a},
		{"mode and mtime", func(f *firn.File) { f.Stamp.ModTime, f.Mode = day.Add(1), 0o600 }, nil, h, h, h, c, r, a},
		{"read at once", nil, func(e *Entry) { e.Read = day }, h, h, h, h, u, a},
		{"lost", nil, func(e *Entry) { e.Stored, e.Lost = false, true }, c, c, c, c, c, c},
		{"not stored", nil, func(e *Entry) { e.Stored = false }, c, c, c, c, c, c},
		{"emptied", func(f *firn.File) { f.Stamp.Size = 0 }, nil, r, r, r, r, r, r},
		{"became a link", func(f *firn.File) { f.Kind = firn.Symlink }, nil, r, r, r, r, r, r},
	}
	for _, tt := range tests {
		for d, want := range map[Detect]Action{
			ByTime: tt.mtime, ByHash: tt.hash, ByTimeAndHash: tt.mtimeAndHash,
			ByTimeOrHash: tt.mtimeOrHash, BySize: tt.size, Always: tt.all,
		} {
			now, known := file("a"), entry(file("a"))
			if tt.now != nil {
				tt.now(&now)
			}
			if tt.know != nil {
				tt.know(&known)
			}
			opts := Options{Detect: d}
			if got, why := opts.Judge(&now, &known); got != want || why == "" && want != Unchanged {
				t.Errorf("%s, %v: %v (%s), want %v", tt.name, d, got, why, want)
			}
		}
	}
}

// TestHashedOnceInARun: what this run hashed already is not hashed again, unless
// something has touched it since.
func TestHashedOnceInARun(t *testing.T) {
	for _, d := range []Detect{ByHash, ByTimeOrHash} {
		opts := Options{Detect: d, Since: read}
		f, k := file("a"), entry(file("a"))
		if got, why := opts.Judge(&f, &k); got != Unchanged {
			t.Errorf("%v, read in this run: %v (%s)", d, got, why)
		}
		f.Stamp.Changed = read
		if got, why := opts.Judge(&f, &k); got != Hash {
			t.Errorf("%v, touched since: %v (%s)", d, got, why)
		}
		f, k.Read = file("a"), read.Add(-time.Second)
		if got, why := opts.Judge(&f, &k); got != Hash {
			t.Errorf("%v, read before: %v (%s)", d, got, why)
		}
	}
}

func TestDetectNames(t *testing.T) {
	for s, want := range map[string]Detect{
		"mtime": ByTime, "hash": ByHash, "treehash": ByHash, "mtime-and-hash": ByTimeAndHash, "mtime-and-treehash": ByTimeAndHash,
		"mtime-or-hash": ByTimeOrHash, "mtime-or-treehash": ByTimeOrHash, "size": BySize, "size-only": BySize, "always": Always, "always-positive": Always,
	} {
		if got, err := ParseDetect(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
		if again, err := ParseDetect(want.String()); err != nil || again != want {
			t.Errorf("%v does not read back: %v, %v", want, again, err)
		}
	}
	for _, s := range []string{"", "Mtime", "sha", "unknown"} {
		if _, err := ParseDetect(s); firn.KindOf(err) != firn.Usage {
			t.Errorf("%q: %v", s, err)
		}
	}
}
