package plan

import (
	"time"

	"github.com/firn-archive/firn"
)

// racy is how near to our reading a file may have been written so that it may
// have been written once more, afterwards, without another mtime to show:
// file systems count mtimes in steps of up to 2 seconds (FAT).
const racy = 2 * time.Second

// Judge decides about one entry that was seen; k is nil where the catalog
// knows none of that path.
//
// A regular file is Changed only where its size says so. Wherever it may still
// have the content that is known, by size, it is to be hashed: another mtime,
// ctime or inode, or an mtime too near to our last reading. Times and inodes
// that one side doesn't have are not compared.
func Judge(f *firn.File, k *Entry) (Action, string) {
	switch {
	case k == nil:
		return arrival(f), "new"
	case f.Kind != k.File.Kind:
		return arrival(f), "was a " + kindName(k.File.Kind)
	case f.Kind == firn.Regular && f.Stamp.Size > 0:
		if action, why := content(&f.Stamp, k); action != Unchanged {
			return action, why
		}
	case f.Kind == firn.Regular && k.Content.Size > 0:
		return Record, "emptied"
	}
	if why := metadata(f, &k.File); why != "" {
		return Record, why
	}
	return Unchanged, ""
}

// arrival is what to do about something that was not there.
func arrival(f *firn.File) Action {
	if f.Kind == firn.Regular && f.Stamp.Size > 0 {
		return New
	}
	return Record
}

// content compares what may show that a file has other content.
func content(s *firn.Stamp, k *Entry) (Action, string) {
	old := &k.File.Stamp
	switch {
	case s.Size != k.Content.Size:
		return Changed, "size"
	case !k.Stored:
		return Changed, "not stored"
	case !s.ModTime.Equal(old.ModTime):
		return Hash, "mtime"
	case differ(s.Changed, old.Changed):
		return Hash, "ctime"
	case s.Inode != old.Inode && s.Inode != 0 && old.Inode != 0:
		return Hash, "inode"
	case !k.Read.IsZero() && k.Read.Sub(s.ModTime).Abs() <= racy:
		return Hash, "written while it was last read"
	}
	return Unchanged, ""
}

func differ(a, b time.Time) bool { return !a.IsZero() && !b.IsZero() && !a.Equal(b) }

// metadata says what differs beside the content.
func metadata(f, old *firn.File) string {
	switch {
	case f.Target != old.Target:
		return "target"
	case f.Mode != old.Mode:
		return "mode"
	case f.UID != old.UID || f.GID != old.GID:
		return "owner"
	case !f.Stamp.ModTime.Equal(old.Stamp.ModTime):
		return "mtime"
	}
	return ""
}

func kindName(k firn.FileKind) string {
	switch k {
	case firn.Regular:
		return "file"
	case firn.Symlink:
		return "link"
	case firn.Directory:
		return "directory"
	}
	return string(k)
}
