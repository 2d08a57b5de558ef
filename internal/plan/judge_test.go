package plan

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

var (
	day  = time.Date(2026, 11, 21, 12, 0, 0, 500, time.UTC)
	read = day.AddDate(0, 0, 1)
)

// file is a regular file as scanned.
func file(path string) firn.File {
	return firn.File{
		Path: path, Kind: firn.Regular, Mode: 0o644, UID: 1000, GID: 100, Links: 1,
		Stamp: firn.Stamp{Size: 10, ModTime: day, Changed: day, Inode: 7, Device: 1},
	}
}

// entry is what the catalog keeps of a file that was stored.
func entry(f firn.File) Entry {
	f.Stamp.Device = 0
	e := Entry{File: f, Stored: true, Read: read}
	if f.Kind == firn.Regular {
		e.Content = firn.Content{Size: f.Stamp.Size, Tree: treehash.Sum([]byte("ten bytes."))}
	}
	return e
}

func TestJudge(t *testing.T) {
	link := firn.File{Path: "a", Kind: firn.Symlink, Target: "x", Mode: 0o777, UID: 1, Stamp: firn.Stamp{Size: 1, ModTime: day, Changed: day, Inode: 9}}
	dir := firn.File{Path: "a", Kind: firn.Directory, Mode: 0o755, UID: 1, Stamp: firn.Stamp{Size: 4096, ModTime: day, Changed: day, Inode: 9}}
	empty := file("a")
	empty.Stamp.Size = 0
	tests := []struct {
		name string
		old  firn.File
		now  func(*firn.File)
		know func(*Entry)
		want Action
		why  string
	}{
		{name: "the same", old: file("a"), want: Unchanged},
		{name: "another boot", old: file("a"), now: func(f *firn.File) { f.Stamp.Device = 9 }, want: Unchanged},
		{name: "another hard link", old: file("a"), now: func(f *firn.File) { f.Links = 2 }, want: Unchanged},
		{name: "same instant elsewhere", old: file("a"), now: func(f *firn.File) { f.Stamp.ModTime = day.In(time.FixedZone("", 3600)) }, want: Unchanged},
		{name: "grown", old: file("a"), now: func(f *firn.File) { f.Stamp.Size++ }, want: Changed, why: "size"},
		{name: "cut to nothing", old: file("a"), now: func(f *firn.File) { f.Stamp.Size = 0 }, want: Record, why: "emptied"},
		{name: "written to", old: file("a"), now: func(f *firn.File) { f.Stamp.ModTime = day.Add(1) }, want: Hash, why: "mtime"},
		{name: "older than before", old: file("a"), now: func(f *firn.File) { f.Stamp.ModTime = day.Add(-1) }, want: Hash, why: "mtime"},
		{name: "touched", old: file("a"), now: func(f *firn.File) { f.Stamp.Changed = day.Add(1) }, want: Hash, why: "ctime"},
		{name: "mode and ctime", old: file("a"), now: func(f *firn.File) { f.Mode, f.Stamp.Changed = 0o600, day.Add(1) }, want: Hash, why: "ctime"},
		{name: "replaced", old: file("a"), now: func(f *firn.File) { f.Stamp.Inode++ }, want: Hash, why: "inode"},
		{name: "no ctime here", old: file("a"), now: func(f *firn.File) { f.Stamp.Changed = time.Time{} }, want: Unchanged},
		{name: "no inode here", old: file("a"), now: func(f *firn.File) { f.Stamp.Inode = 0 }, want: Unchanged},
		{name: "no ctime or inode known", old: file("a"), know: func(e *Entry) { e.File.Stamp.Changed, e.File.Stamp.Inode = time.Time{}, 0 }, want: Unchanged},
		{name: "mode without ctime", old: file("a"), now: func(f *firn.File) { f.Mode = 0o600 }, want: Record, why: "mode"},
		{name: "owner", old: file("a"), now: func(f *firn.File) { f.GID = 5 }, want: Record, why: "owner"},
		{name: "not stored", old: file("a"), know: func(e *Entry) { e.Stored = false }, want: Changed, why: "not stored"},
		{name: "read at once", old: file("a"), know: func(e *Entry) { e.Read = day }, want: Hash, why: "written while it was last read"},
		{name: "read 2 s later", old: file("a"), know: func(e *Entry) { e.Read = day.Add(2 * time.Second) }, want: Hash, why: "written while it was last read"},
		{name: "read more than 2 s later", old: file("a"), know: func(e *Entry) { e.Read = day.Add(2*time.Second + 1) }, want: Unchanged},
		{name: "from a clock ahead", old: file("a"), know: func(e *Entry) { e.Read = day.Add(-2 * time.Second) }, want: Hash, why: "written while it was last read"},
		{name: "from the future", old: file("a"), know: func(e *Entry) { e.Read = day.AddDate(-20, 0, 0) }, want: Unchanged},
		{name: "never read here", old: file("a"), know: func(e *Entry) { e.Read = time.Time{} }, want: Hash, why: "not compared yet"},

		{name: "empty", old: empty, want: Unchanged},
		{name: "empty, racy", old: empty, know: func(e *Entry) { e.Read = day }, want: Unchanged},
		{name: "empty, touched", old: empty, now: func(f *firn.File) { f.Stamp.ModTime = read }, want: Record, why: "mtime"},
		{name: "filled", old: empty, now: func(f *firn.File) { f.Stamp.Size = 1 }, want: Changed, why: "size"},

		{name: "link", old: link, want: Unchanged},
		{name: "link made anew", old: link, now: func(f *firn.File) { f.Stamp.Inode, f.Stamp.Changed = 8, read }, want: Unchanged},
		{name: "link elsewhere", old: link, now: func(f *firn.File) { f.Target = "y" }, want: Record, why: "target"},
		{name: "directory", old: dir, now: func(f *firn.File) { f.Stamp.Size = 8192 }, want: Unchanged},
		{name: "directory with other entries", old: dir, now: func(f *firn.File) { f.Stamp.ModTime = read }, want: Record, why: "mtime"},

		{name: "link became file", old: link, now: func(f *firn.File) { *f = file("a") }, want: New, why: "was a link"},
		{name: "link became empty file", old: link, now: func(f *firn.File) { *f = empty }, want: Record, why: "was a link"},
		{name: "file became link", old: file("a"), now: func(f *firn.File) { *f = link }, want: Record, why: "was a file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, known := tt.old, entry(tt.old)
			if tt.now != nil {
				tt.now(&now)
			}
			if tt.know != nil {
				tt.know(&known)
			}
			if got, why := new(Options).Judge(&now, &known); got != tt.want || why != tt.why {
				t.Errorf("%v (%s), want %v (%s)", got, why, tt.want, tt.why)
			}
		})
	}
	for _, tt := range []struct {
		f    firn.File
		want Action
	}{{file("a"), New}, {empty, Record}, {link, Record}, {dir, Record}} {
		if got, why := new(Options).Judge(&tt.f, nil); got != tt.want || why != "new" {
			t.Errorf("unknown %s of %d bytes: %v (%s), want %v", tt.f.Kind, tt.f.Stamp.Size, got, why, tt.want)
		}
	}
}
