package catalog

import (
	"database/sql"
	"fmt"

	"github.com/firn-archive/firn/internal/rows"
)

const (
	// maxSize is how many bytes a file or an archive can have: more than any store
	// takes. The largest object of S3 has 50 TB, the largest archive 40,000 GB.
	// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html,
	// https://docs.aws.amazon.com/amazonglacier/latest/dev/uploading-an-archive.html)
	maxSize = 1 << 50
	// maxSum is how many bytes those of a store, or the versions in a tree, have
	// together: so much that it still is a number when others are added.
	maxSum = 1 << 60
	// maxTold is of how many refused rows it is kept what is wrong.
	maxTold = 20
)

// What an archive of a stream can be here, other than a row.
const (
	isGone    = -1 // it is deleted
	isOpen    = -2 // its upload is still open here: reconciliation finds its archive
	isRefused = -3 // it can't be
)

// leaveOut notes that rows are refused, and why.
func (in *rowReader) leaveOut(n int64, what string, args ...any) {
	in.out.Refused += n
	if len(in.out.Wrong) < maxTold {
		in.out.Wrong = append(in.out.Wrong, fmt.Sprintf(what, args...))
	}
}

// archiveFault says what is wrong with an archive of so many bytes that holds
// what the row says; empty for nothing.
func (in *rowReader) archiveFault(a *rows.Archive, size int64, isPlain bool) string {
	switch {
	case a.ID >= maxNumber:
		return "no archive can have this number"
	case size > maxSize:
		return fmt.Sprintf("no archive can have %d bytes", size)
	case State(a.State) == Stored && in.bytes > maxSum-size:
		return fmt.Sprintf("with its %d bytes the store would have more than can be", size)
	case ArchiveKind(a.Kind) == CatalogArchive && len(a.Contents) > 0:
		return "a snapshot holds no files"
	}
	for i := range a.Contents {
		if c := &a.Contents[i]; isPlain && c.Offset > size-c.Size {
			return fmt.Sprintf("its content %d, of %d bytes at %d, reaches beyond its end at %d", c.Member, c.Size, c.Offset, size)
		}
	}
	return ""
}

// maxNumber is more than any number of a row.
const maxNumber = 1<<63 - 1

// A heldSize is what is known of a content in an archive.
type heldSize struct {
	size     int64
	isHashed bool
}

// entryFault says what is wrong with a version of a regular file that has bytes,
// by what its archive holds at its place; empty for nothing.
func (in *rowReader) entryFault(tree int64, e *rows.Entry, where place, held map[place]heldSize) string {
	h, there := held[where]
	switch {
	case e.Size > maxSize:
		return fmt.Sprintf("no file can have %d bytes", e.Size)
	case in.treeBytes[tree] > maxSum-e.Size:
		return fmt.Sprintf("with its %d bytes the tree would have more than can be", e.Size)
	case e.Archive == 0:
		return fmt.Sprintf("it has %d bytes, and is in no archive", e.Size)
	case !there:
		return fmt.Sprintf("archive %d has no content %d, which it should be", e.Archive, e.Member)
	case h.isHashed && h.size != e.Size:
		return fmt.Sprintf("it has %d bytes, and its content in archive %d has %d", e.Size, e.Archive, h.size)
	}
	return ""
}

var contentsAt = newBulk("SELECT l.archive, l.member, l.size, l.tree IS NOT NULL FROM (VALUES ", "(?, ?)",
	") v CROSS JOIN location l ON l.archive = v.column1 AND l.member = v.column2")

// heldAt looks up what archives hold at the places of versions.
func (w *fileWriter) heldAt(files []pathRows) (map[place]heldSize, error) {
	held := make(map[place]heldSize, len(files))
	var p place
	var h heldSize
	dest := []any{&p.archive, &p.member, &h.size, &h.isHashed}
	scan := func(r *sql.Rows) error {
		err := r.Scan(dest...)
		held[p] = h
		return err
	}
	b := contentsAt.batch(w.tx)
	for i := range files {
		for j := range files[i].entries {
			e := &files[i].entries[j]
			archive := w.in.archive(e.Archive)
			if archive <= 0 || e.Size == 0 {
				continue
			}
			if b.full() {
				if err := b.query(scan); err != nil {
					return nil, err
				}
			}
			b.args = append(b.args, archive, e.Member)
		}
	}
	return held, b.query(scan)
}
