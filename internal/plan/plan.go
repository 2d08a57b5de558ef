// Package plan compares what a scan saw with what the catalog knows, and
// decides what is to be done. It touches neither files nor stores.
package plan

import (
	"errors"
	"iter"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// A Known is a directory as the catalog has it, or a piece of one: a directory
// may come in several pieces, one after the other.
type Known struct {
	Path  string // the root's is ""
	Self  *Entry // the directory itself; nil where it was never recorded, and in later pieces
	Mount bool   // it was on another volume than its parent; not in later pieces
	// Entries are all but directories, sorted by the bytes of their names, also
	// from piece to piece. Decisions point to them.
	Entries []Entry
	More    bool // the next Known is another piece of this directory
}

// An Entry is what the catalog knows of one file.
type Entry struct {
	File    firn.File
	Content firn.Content // of regular files
	// Stored: nothing needs to be sent for it, since the store holds its
	// content, or it has none.
	Stored bool
	// Lost: the store had its content, and has it no more.
	Lost bool
	// Read is the local time at which the content was last read to be hashed, or
	// taken for stored unread; zero where that never happened on this machine:
	// what is known of the file comes from the store alone.
	Read time.Time
}

// IsUnread reports whether the entry is of a file with content that was never
// compared with one on this machine's disks.
func (e *Entry) IsUnread() bool {
	return e.File.Kind == firn.Regular && e.Content.Size > 0 && e.Stored && e.Read.IsZero()
}

// An Action is what is to be done about an entry.
type Action uint8

// The actions.
const (
	Unchanged Action = iota // nothing
	New                     // a regular file that was none before: send it
	Changed                 // it has other content, or its content isn't stored: send it
	Hash                    // it may have other content: hash it first, and send it if so
	Again                   // nothing shows that it changed: send it all the same
	Record                  // there is nothing to send: record its metadata
	Trust                   // it is taken for stored as it is, unread: record that
	Removed                 // it is gone: mark it so
	Unseen                  // nobody knows this time: leave it as it is
)

var actionNames = [...]string{"unchanged", "new", "changed", "hash", "again", "record", "trust", "removed", "unseen"}

// String names the action, for logs.
func (a Action) String() string {
	if int(a) >= len(actionNames) {
		return "unknown"
	}
	return actionNames[a]
}

// A Decision is about one entry.
type Decision struct {
	Action Action
	Why    string     // in a word or two, for people; empty where Unchanged
	File   *firn.File // as scanned; nil where there is none
	Known  *Entry     // as recorded; nil where there is none
}

// A Dir holds decisions about one directory and the entries in it, a few
// thousand at most: there may be several of one directory. It is good until
// the next one is asked for; what its decisions point to stays.
type Dir struct {
	Path string
	// Self is about the directory itself: Unchanged, Record, Removed or Unseen;
	// without File and Known where it is not said here. Of a directory that was
	// seen it is said first, with nothing else where it had been held back. Of
	// one that is gone it is said after everything below, since it is Removed
	// only if all of that is.
	Self  Decision
	Mount bool // as scanned, to be recorded with Self
	// Entries are about all that it holds but directories, sorted by the bytes
	// of their names.
	Entries []Decision
	Skipped []scan.Skip // as scanned
	Err     error       // as scanned
}

// ErrEmpty tells that a tree holds no file at all, though the catalog knows
// some: its disk isn't mounted perhaps.
var ErrEmpty = errors.New("no files there, but there were some at the last sync")

// Options say what counts as a change, and relax the guards against taking what
// can't be seen for removed.
type Options struct {
	// Detect says what shows that a file has other content.
	Detect Detect
	// Since is when this run began to hash, by the clock of Entry.Read: what was
	// read then or later is not hashed once more because of Detect alone. Zero:
	// it hasn't.
	Since time.Time
	// TrustTimes takes a file that was never read here for stored where size and
	// time agree with what is known from the store.
	TrustTimes bool
	// Empty: a tree without files is meant to be so.
	Empty bool
	// Unmounted: what is missing below a former mount point is gone.
	Unmounted bool
	// LeftOut tells of what isn't there whether the scan would have left it out
	// if it were. Nil means that it leaves out nothing.
	LeftOut func(*firn.File) bool
}

// Merge compares a scanned tree with a known one, in one pass in walk order
// (scan.Compare), holding a few directories at a time. The sequence ends with
// the first error of either side, or ErrEmpty. What was decided before an error
// holds; of what would have come after it nothing is said.
//
// An entry is Removed where its directory was read to the end without it, or
// is Removed itself. It is Unseen where its directory could not be read, where
// it, or a directory above it, was left out, would have been, or could not be
// looked at, and where it is missing below a directory that was a mount point
// and isn't one any more, or isn't there.
//
// Of a directory that was left out itself (scan.Dir.Left) nothing is said
// until something below it is kept: then it is taken as seen, so that what is
// kept can be put back into directories as they were.
func Merge(seen iter.Seq2[*scan.Dir, error], known iter.Seq2[*Known, error], opts Options) iter.Seq2[*Dir, error] {
	return func(yield func(*Dir, error) bool) {
		m := merger{opts: opts, yield: yield}
		m.seen.next, m.seen.stop = iter.Pull2(seen)
		defer m.seen.stop()
		m.known.next, m.known.stop = iter.Pull2(known)
		defer m.known.stop()
		if err := m.run(); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}
