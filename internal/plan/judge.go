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
// A regular file is Changed where its size says so, or where the store has lost
// it. What else may show another content is Detect's to say; wherever the file
// may still have the content that is known, it is to be hashed. Times and inodes
// that one side doesn't have are not compared. What is known from the store
// alone is hashed once, unless size or time are to be believed.
func (o *Options) Judge(f *firn.File, k *Entry) (Action, string) {
	timed := true // another mtime alone is recorded
	switch {
	case k == nil:
		return arrival(f), "new"
	case f.Kind != k.File.Kind:
		return arrival(f), "was a " + kindName(k.File.Kind)
	case f.Kind == firn.Regular && f.Stamp.Size > 0:
		if action, why := o.content(&f.Stamp, k); action != Unchanged {
			return action, why
		}
		timed = false // or content of today, unread, would get yesterday's name
	case f.Kind == firn.Regular && k.Content.Size > 0:
		return Record, "emptied"
	}
	if why := metadata(f, &k.File, timed); why != "" {
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
func (o *Options) content(s *firn.Stamp, k *Entry) (Action, string) {
	switch {
	case s.Size != k.Content.Size:
		return Changed, "size"
	case k.Lost:
		return Changed, "lost from the store"
	case !k.Stored:
		return Changed, "not stored"
	case k.Read.IsZero() && o.Detect != Always:
		return o.unread(s, k)
	}
	modified := !s.ModTime.Equal(k.File.Stamp.ModTime)
	switch o.Detect {
	case BySize:
		return Unchanged, ""
	case Always:
		return Again, "always"
	case ByTimeOrHash:
		if modified {
			return Changed, "mtime"
		}
	}
	touched := touch(s, &k.File.Stamp)
	switch {
	case modified:
		return Hash, "mtime"
	case touched != "" && o.Detect != ByTimeAndHash:
		return Hash, touched
	case !k.Read.IsZero() && k.Read.Sub(s.ModTime).Abs() <= racy:
		return Hash, "written while it was last read"
	case (o.Detect == ByHash || o.Detect == ByTimeOrHash) && (o.Since.IsZero() || k.Read.Before(o.Since)):
		return Hash, "hash"
	}
	return Unchanged, ""
}

// unread is about a file of the right size that was never compared with what
// the store has of it.
func (o *Options) unread(s *firn.Stamp, k *Entry) (Action, string) {
	switch {
	case o.TrustTimes && Agrees(s.ModTime, k.File.Stamp.ModTime):
		return Trust, "size and time agree"
	case o.Detect == BySize:
		return Unchanged, ""
	case k.Content.Tree.IsZero():
		return Changed, "nobody recorded its hash"
	}
	return Hash, "not compared yet"
}

// exactness is how far a time may be from what was recorded of it with a fraction
// of a second. glaciersync kept times as floating-point numbers, of which those of
// today are 0.24 microseconds apart.
const exactness = time.Microsecond

// Agrees reports whether a file's time is the one that was recorded, as exactly
// as that is: most formats of other programs have whole seconds. One that nobody
// recorded agrees with none.
func Agrees(now, recorded time.Time) bool {
	if recorded.IsZero() {
		return false
	}
	if recorded.Nanosecond() == 0 {
		return now.Unix() == recorded.Unix()
	}
	return now.Sub(recorded).Abs() < exactness
}

// touch says what shows that something happened to a file, beside its mtime.
func touch(s, old *firn.Stamp) string {
	switch {
	case differ(s.Changed, old.Changed):
		return "ctime"
	case s.Inode != old.Inode && s.Inode != 0 && old.Inode != 0:
		return "inode"
	}
	return ""
}

func differ(a, b time.Time) bool { return !a.IsZero() && !b.IsZero() && !a.Equal(b) }

// metadata says what differs beside the content.
func metadata(f, old *firn.File, timed bool) string {
	switch {
	case f.Target != old.Target:
		return "target"
	case f.Mode != old.Mode:
		return "mode"
	case f.UID != old.UID || f.GID != old.GID:
		return "owner"
	case timed && !f.Stamp.ModTime.Equal(old.Stamp.ModTime):
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
