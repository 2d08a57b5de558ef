package mtjournal

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// maxText is how long the texts of a record may be together, in bytes. The rest
// of a line, numbers and tabs, is shorter than 128 bytes.
const maxText = MaxLine - 128

// ErrUnfit says that a record has something in it that a journal can't hold.
var ErrUnfit = errors.New("a journal of mt-aws-glacier can't hold it")

// Check reports whether AppendLine takes the record: its name is one that
// mtglacier takes (see ValidName) and is UTF-8; its archive id, tree hash and
// job id are printable ASCII without blanks, and are there, but for the job; its
// time and size are not negative; it fits a line (see MaxLine). The error wraps
// ErrUnfit and says which rule is broken.
func (r Record) Check() error { return r.check(true) }

// AppendLine appends the record to dst as a line of version B, LF included. On
// an error, which is that of Check, it gives dst as it was.
func (r Record) AppendLine(dst []byte) ([]byte, error) { return r.appendLine(dst, true) }

func (r Record) appendLine(dst []byte, needUTF8 bool) ([]byte, error) {
	if err := r.check(needUTF8); err != nil {
		return dst, err
	}
	dst = append(dst, "B\t"...)
	dst = strconv.AppendInt(dst, r.Time, 10)
	dst = append(dst, '\t')
	dst = append(dst, r.Op...)
	dst = append(dst, '\t')
	dst = append(dst, r.Archive...)
	dst = append(dst, '\t')
	switch r.Op {
	case Created:
		dst = strconv.AppendInt(dst, r.Size, 10)
		dst = append(dst, '\t')
		if r.HasMTime {
			dst = strconv.AppendInt(dst, r.MTime, 10)
		} else {
			dst = append(dst, noTime...)
		}
		dst = append(dst, '\t')
		dst = append(dst, r.Tree...)
		dst = append(dst, '\t')
		dst = append(dst, r.Path...)
	case Deleted:
		dst = append(dst, r.Path...)
	case RetrieveJob:
		dst = append(dst, r.Job...)
	}
	return append(dst, '\n'), nil
}

func (r Record) check(needUTF8 bool) error {
	if err := r.fault(needUTF8); err != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	return nil
}

// fault says which rule the record breaks.
func (r Record) fault(needUTF8 bool) error {
	switch {
	case r.Op != Created && r.Op != Deleted && r.Op != RetrieveJob:
		return fmt.Errorf("there is no operation %q", r.Op)
	case len(r.Archive)+len(r.Tree)+len(r.Path)+len(r.Job) > maxText:
		return fmt.Errorf("its texts are longer than %d bytes", maxText)
	case r.Time < 0:
		return fmt.Errorf("the time %d is before 1970", r.Time)
	case r.Archive == "" || !isPlain(r.Archive):
		return fmt.Errorf("the archive id %q is not printable ASCII without blanks", r.Archive)
	case r.Op == RetrieveJob:
		if !isPlain(r.Job) {
			return fmt.Errorf("the job id %q is not printable ASCII without blanks", r.Job)
		}
		return nil
	case r.Op == Created && r.Size < 0:
		return fmt.Errorf("the size %d is negative", r.Size)
	case r.Op == Created && r.HasMTime && r.MTime == math.MinInt64:
		return fmt.Errorf("the mtime %d does not fit 63 bits and a sign", r.MTime)
	case r.Op == Created && (r.Tree == "" || !isPlain(r.Tree)):
		return fmt.Errorf("the tree hash %q is not printable ASCII without blanks", r.Tree)
	case needUTF8 && !utf8.ValidString(r.Path):
		return errors.New("the name is not UTF-8")
	}
	return nameFault(r.Path)
}

// isPlain reports whether a text is printable ASCII without blanks, which is
// what ids and hashes of the service are: no reading takes that for white space.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
