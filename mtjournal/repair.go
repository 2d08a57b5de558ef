package mtjournal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/firn-archive/firn/internal/atomicfile"
)

// errNoJournal says that a file is something else.
var errNoJournal = errors.New("it is no journal of mt-aws-glacier")

// repair sees that a journal ends with a whole line: a torn one is copied to the
// file beside it, made durable there, and only then cut off. It gives what was
// cut, nil where nothing was.
func repair(f *os.File, cut file, path string) (*LineError, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	tail, err := tornTail(f, fi.Size())
	if err != nil || len(tail) == 0 {
		return nil, err
	}
	whole := fi.Size() - int64(len(tail))
	number, err := countLines(io.NewSectionReader(f, 0, whole))
	if err != nil {
		return nil, err
	}
	if err := keepTorn(path+tornSuffix, tail); err != nil {
		return nil, fmt.Errorf("keep its torn last line: %w", err)
	}
	if err := errors.Join(cut.Truncate(whole), cut.Sync()); err != nil {
		return nil, fmt.Errorf("cut off its torn last line: %w", err)
	}
	_, torn := judge(tail, number+1, true, false)
	return torn, nil
}

// checkBeginning refuses what does not begin with a record, or with the piece of
// one that a torn first line may be.
func checkBeginning(f *os.File) error {
	first := make([]byte, MaxLine)
	n, err := f.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return err
	}
	if n == 0 {
		return nil // a new journal
	}
	line, _, ended := bytes.Cut(first[:n], []byte("\n"))
	_, bad := judge(line, 1, !ended, !ended && n == MaxLine)
	switch {
	case bad == nil || bad.Record != nil || !ended && n < MaxLine && begins(line):
		return nil
	case bad.Reason == Torn:
		return fmt.Errorf("%w: it begins with %q", errNoJournal, bad.Text)
	}
	return fmt.Errorf("%w: %w", errNoJournal, bad)
}

// begins reports whether a piece of a line may be the beginning of a record, as
// far as the operation.
func begins(line []byte) bool {
	if 'A' <= line[0] && line[0] <= 'C' {
		if len(line) > 1 && line[1] != '\t' {
			return false
		}
		line = line[min(2, len(line)):]
	}
	f := fields{rest: bytes.TrimLeft(line, "0123456789")}
	if len(f.rest) == 0 {
		return true
	}
	if len(f.rest) == len(line) || len(f.blanks()) == 0 {
		return false
	}
	op := string(f.word())
	return slices.ContainsFunc(ops[:], func(o Op) bool {
		return string(o) == op || len(f.rest) == 0 && strings.HasPrefix(string(o), op)
	})
}

// tornTail gives what follows the last LF of a file.
func tornTail(f *os.File, size int64) ([]byte, error) {
	tail := make([]byte, min(size, MaxLine))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(tail, '\n')
	if end < 0 && size > MaxLine {
		return nil, fmt.Errorf("%w: its last line is longer than %d bytes", errNoJournal, MaxLine)
	}
	return tail[end+1:], nil
}

// countLines counts line ends.
func countLines(r io.Reader) (n int64, err error) {
	buf := make([]byte, MaxLine)
	for {
		k, err := r.Read(buf)
		n += int64(bytes.Count(buf[:k], []byte("\n")))
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// keepTorn adds a torn line to the file of torn lines, durably.
func keepTorn(path string, tail []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, journalMode)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.Clone(tail), '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}
