package mtjournal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/lockfile"
)

// journalMode is that of a journal that is made: like those of mtglacier, it is
// subject to the umask, but never writable by others. It holds names, and no keys.
const journalMode fs.FileMode = 0o644

// What stands beside a journal.
const (
	lockSuffix = ".lock" // the lock, which stays when it is given back
	tornSuffix = ".torn" // the torn lines that were cut off
)

// errBusy explains why a journal can't be opened.
var errBusy = errors.New("another firn writes to this journal")

// An Appender writes to the end of a journal. It may be used by several
// goroutines at once.
type Appender struct {
	// Torn is the last line that the journal had, when it lacked its end. It was
	// moved to the file that is named like the journal with .torn behind it. Nil
	// where nothing was torn.
	Torn *LineError
	// AnyEncoding lets names be written that are not UTF-8, for a journal that
	// mtglacier reads with --journal-encoding. It is to be set before the first
	// Append.
	AnyEncoding bool

	path string // as the caller named it, for errors
	real string // without links
	lock *lockfile.Lock

	mu     sync.Mutex
	file   file
	buf    []byte
	failed error // why nothing can be written any more

	queue *queue // of AppendTogether
}

// A file is what an Appender does to a journal. It is an *os.File but in tests.
type file interface {
	io.Writer
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// OpenAppend opens a journal for appending, and makes it if need be. Until Close
// no other Appender opens it: that is seen to by a lock on a file beside it,
// named like the journal with .lock behind it, which stays. mtglacier does not
// know the lock, so that it must not run meanwhile.
//
// A torn last line is moved out of the way first; see Appender.Torn. A file that
// doesn't begin like a journal is refused, untouched. Errors: *firn.Error, with
// the kind Conflict where another holds the lock, Invalid where the file is no
// journal, Full or Local where the disk fails.
func OpenAppend(path string) (*Appender, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, journalMode)
	if err != nil {
		return nil, openError(path, err)
	}
	a := &Appender{queue: newQueue(), path: path}
	if err := a.prepare(f); err != nil {
		err = openError(path, err)
		f.Close()
		if a.lock != nil {
			a.lock.Unlock()
		}
		return nil, err
	}
	return a, nil
}

// prepare locks the journal that f is, and sees that lines can be appended.
func (a *Appender) prepare(f *os.File) error {
	// Whatever links lead to it, a journal has one lock.
	real, err := filepath.EvalSymlinks(a.path)
	if err != nil {
		return err
	}
	if fi, err := f.Stat(); err != nil {
		return err
	} else if !fi.Mode().IsRegular() {
		return fmt.Errorf("%w: it is no regular file", errNoJournal)
	}
	if err := checkBeginning(f); err != nil {
		return err
	}
	a.lock, err = lockfile.Acquire(real+lockSuffix, fmt.Sprintf("process %d", os.Getpid()))
	if err != nil {
		return err
	}
	a.file, a.real = journalFile{f, real}, real
	if a.Torn, err = repair(f, a.file, real); err != nil {
		return err
	}
	// The name of a new journal must survive a power cut like its lines.
	return atomicfile.SyncDir(filepath.Dir(real))
}

// A journalFile can be cut although it is open for appending: Windows refuses
// that through the handle, and is given the name.
type journalFile struct {
	*os.File
	path string
}

func (f journalFile) Truncate(size int64) error {
	if runtime.GOOS == "windows" {
		return os.Truncate(f.path, size)
	}
	return f.File.Truncate(size)
}

// Append writes records as lines of version B, all in one write, and returns
// when they are on the disk. Where a record does not fit (see Record.Check)
// nothing is written, nor where the journal was removed or replaced since it was
// opened. Where the disk fails the journal is cut back to what it was, so that the
// same records can be appended again. Errors: *firn.Error, with the kinds Invalid,
// Full and Local.
func (a *Appender) Append(records ...Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		return a.failed
	}
	a.buf = a.buf[:0]
	for _, r := range records {
		var err error
		if a.buf, err = r.appendLine(a.buf, !a.AnyEncoding); err != nil {
			return &firn.Error{Op: "record in " + a.path, Subject: subject(r), Kind: firn.Invalid, Err: err, Hint: hint(r)}
		}
	}
	if len(a.buf) == 0 {
		return nil
	}
	return a.write()
}

// subject names a record that can't be written.
func subject(r Record) string {
	if r.Path != "" {
		return fmt.Sprintf("%q", r.Path)
	}
	return fmt.Sprintf("archive %q", r.Archive)
}

func hint(r Record) string {
	if r.Op != RetrieveJob && r.Unsafe() {
		return "give the file another name, or archive it without a journal"
	}
	return ""
}

// write puts buf at the end of the journal, whole or not at all.
func (a *Appender) write() error {
	before, err := a.file.Stat()
	if err == nil {
		err = a.inPlace(before)
	}
	if err != nil {
		return a.diskError(err)
	}
	n, err := a.file.Write(a.buf)
	if err == nil {
		err = a.file.Sync()
	}
	if err == nil {
		return nil
	}
	if undone := a.undo(before.Size(), int64(n)); undone != nil {
		a.failed = a.diskError(fmt.Errorf("%w; and the journal may have a torn line at its end now: %w", err, undone))
		return a.failed
	}
	return a.diskError(fmt.Errorf("%w; the journal is as it was before", err))
}

// errReplaced explains why nothing is written any more.
var errReplaced = errors.New("it was removed or replaced meanwhile, as an editor does that saves it: what is written now would be lost")

// inPlace makes sure that the journal is still what its name leads to.
func (a *Appender) inPlace(open fs.FileInfo) error {
	there, err := os.Stat(a.real)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(open, there) {
		return errReplaced
	}
	return err
}

// undo takes back the n bytes that were written to a journal of the given size.
func (a *Appender) undo(size, n int64) error {
	after, err := a.file.Stat()
	if err != nil {
		return err
	}
	if after.Size() != size+n {
		return fmt.Errorf("another program writes to it: it has %d bytes, not %d", after.Size(), size+n)
	}
	if err := a.file.Truncate(size); err != nil {
		return err
	}
	return a.file.Sync()
}

func (a *Appender) diskError(err error) error {
	return &firn.Error{Op: "write journal", Subject: a.path, Kind: diskKind(err), Err: err}
}

func diskKind(err error) firn.Kind {
	if atomicfile.IsFull(err) {
		return firn.Full
	}
	return firn.Local
}

// openError gives an error of OpenAppend its kind.
func openError(path string, err error) error {
	e := &firn.Error{Op: "open journal", Subject: path, Kind: diskKind(err), Err: err}
	switch {
	case errors.Is(err, lockfile.ErrHeld):
		e.Kind, e.Err, e.Hint = firn.Conflict, fmt.Errorf("%w: %w", errBusy, err), "wait until it is done"
	case errors.Is(err, fs.ErrNotExist):
		e.Hint = "make the folder first"
	case errors.Is(err, errNoJournal):
		e.Kind, e.Hint = firn.Invalid, "name a journal of mt-aws-glacier, or a file that isn't there yet"
	}
	return e
}

// Close ends the appending and lets others open the journal. What was appended
// is on the disk already.
func (a *Appender) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(a.failed, fs.ErrClosed) {
		return nil
	}
	err := a.file.Close()
	a.failed = &firn.Error{Op: "write journal", Subject: a.path, Kind: firn.Other, Err: fs.ErrClosed}
	if err := errors.Join(err, a.lock.Unlock()); err != nil {
		return a.diskError(err)
	}
	return nil
}
