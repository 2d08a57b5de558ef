package glacierd

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/firn-archive/firn/treehash"
)

// Limits of multipart uploads. Source: Amazon Glacier developer guide, "Quotas",
// and API reference, "Initiate Multipart Upload".
const (
	minPartSize = 1 << 20
	maxPartSize = 4 << 30
	maxParts    = 10000
	pageSize    = 50 // of lists of parts, uploads and jobs
)

// uploadMemory is how long the end of an upload is remembered, so that
// completing or aborting it again gives the same answer. The service does so
// "for a short time" (API reference, "Complete Multipart Upload").
const uploadMemory = 24 * time.Hour

// partKey is the key of a part's row; maxParts is below 16384.
func partKey(number, index int64) int64 { return number<<14 | index }

// An upload is a row of that table.
type upload struct {
	ref
	partSize    int64
	created     int64
	ended       *int64
	completed   bool
	description string
}

const uploadColumns = "number, salt, part_size, created, ended, completed, description"

func (u *upload) columns() []any {
	return []any{&u.number, &u.salt, &u.partSize, &u.created, &u.ended, &u.completed, &u.description}
}

func (c *call) noUpload() error {
	return notFound("The upload ID was not found: %s", c.item)
}

// upload finds the upload that a call names, also one that ended of late.
func (v *vault) upload(t tx) (upload, error) {
	r, from := v.open(uploadID, t.c.item)
	if from != fromHere {
		return upload{}, t.c.noUpload()
	}
	var u upload
	found, err := t.one("SELECT "+uploadColumns+" FROM upload WHERE number = ?", []any{r.number}, u.columns()...)
	if err == nil && (!found || u.salt != r.salt || u.ended != nil && t.now()-*u.ended >= uploadMemory.Milliseconds()) {
		err = t.c.noUpload()
	}
	return u, err
}

// openUpload is upload, for one that still takes parts.
func (v *vault) openUpload(t tx) (upload, error) {
	u, err := v.upload(t)
	if err == nil && u.ended != nil {
		err = t.c.noUpload()
	}
	return u, err
}

func initiateUpload(c *call, v *vault) error {
	text := c.r.Header.Get("x-amz-part-size")
	if text == "" {
		return missing("x-amz-part-size")
	}
	size, ok := parseOffset(text)
	if !ok || size < minPartSize || size > maxPartSize || size&(size-1) != 0 {
		return invalid("Invalid part size: %s. Part size must not be null, must be a power of two and be between %d and %d bytes.", text, int64(minPartSize), int64(maxPartSize))
	}
	description, err := c.description(c.r.Header.Get("x-amz-archive-description"))
	if err != nil {
		return err
	}
	p, err := v.place(c.ctx)
	if err != nil {
		return err
	}
	r := ref{p.number, newSalt()}
	err = c.write(v, func(t tx) error {
		return t.exec("INSERT INTO upload (number, salt, part_size, created, description) VALUES (?, ?, ?, ?, ?)",
			r.number, r.salt, size, t.now(), description)
	})
	p.settle()
	if err != nil {
		return err
	}
	id := v.seal(uploadID, r)
	c.w.Header().Set("Location", c.location("multipart-uploads", id))
	c.w.Header().Set("x-amz-multipart-upload-id", id)
	return c.empty(http.StatusCreated)
}

// uploadPart stores one part. Until the new bytes are durable the old ones of
// the same range stay; a part that comes again gets a file of its own.
func uploadPart(c *call, v *vault) error {
	if _, err := c.uploadHeaders(maxPartSize); err != nil {
		return err
	}
	var u upload
	err := c.read(v, func(t tx) (err error) {
		u, err = v.openUpload(t)
		return err
	})
	if err != nil {
		return err
	}
	index, err := c.partIndex(u.partSize)
	if err != nil {
		return err
	}
	f, err := v.createPart(u.number, index)
	if err != nil {
		return err
	}
	got, err := v.receive(c, f)
	if err != nil {
		return err
	}
	old, refused, err := c.recordPart(v, u.number, index, filepath.Base(f.Name()), got)
	if err != nil {
		if refused {
			os.Remove(f.Name())
		}
		return err
	}
	if old != "" {
		os.Remove(filepath.Join(v.path(u.number), old))
	}
	c.w.Header().Set("x-amz-sha256-tree-hash", got.tree.String())
	return c.empty(http.StatusNoContent)
}

// partIndex reads which part of an upload comes.
func (c *call) partIndex(partSize int64) (int64, error) {
	text := c.r.Header.Get("Content-Range")
	if text == "" {
		return 0, missing("Content-Range")
	}
	s, err := parseContentRange(text)
	if err != nil {
		return 0, err
	}
	if s.length() != c.r.ContentLength {
		return 0, invalid("Content-Range: bytes %s/* is incompatible with Content-Length: %d", s, c.r.ContentLength)
	}
	if s.first%partSize != 0 || s.length() > partSize {
		return 0, invalid("Invalid Content-Range: bytes %s/*. A part begins at a multiple of the part size, %d, and is no longer than that", s, partSize)
	}
	if index := s.first / partSize; index < maxParts {
		return index, nil
	}
	return 0, invalid("This is part number %d for the current multipart upload. It exceeds the limit of %d parts.", s.first/partSize+1, maxParts)
}

// createPart makes a new file for a part. Whatever was sent for it before, the
// names of all parts sort in their order.
func (v *vault) createPart(number, index int64) (*os.File, error) {
	name := fmt.Sprintf("%05d", index)
	for try := 1; ; try++ {
		f, err := v.create(filepath.Join(v.path(number), name))
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		name = fmt.Sprintf("%05d.%d", index, try)
	}
}

// recordPart makes a part count, and gives the file that it replaces. It is refused
// where it surely doesn't count: of a commit that fails nobody knows.
func (c *call) recordPart(v *vault, number, index int64, file string, got content) (old string, refused bool, err error) {
	key, refused := partKey(number, index), true
	err = c.write(v, func(t tx) (err error) {
		defer func() { refused = err != nil }()
		if _, err := v.openUpload(t); err != nil {
			return err
		}
		if _, err := t.one("SELECT file FROM part WHERE key = ?", []any{key}, &old); err != nil {
			return err
		}
		return t.exec("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)", key, got.size, got.tree[:], file, got.leaves)
	})
	return old, refused, err
}

// completeUpload makes the archive. Nothing is copied: the folder of the parts
// is its body.
func completeUpload(c *call, v *vault) error {
	sizeText := c.r.Header.Get("x-amz-archive-size")
	if sizeText == "" {
		return missing("x-amz-archive-size")
	}
	size, ok := parseOffset(sizeText)
	if !ok || size == 0 {
		return invalid("Invalid x-amz-archive-size: %s", sizeText)
	}
	hash, err := c.treeHashHeader()
	if err != nil {
		return err
	}
	var a archive
	err = c.write(v, func(t tx) error {
		u, err := v.upload(t)
		if err != nil {
			return err
		}
		a = archive{ref: u.ref, size: size, hash: hash, partSize: u.partSize, description: u.description}
		switch {
		case u.completed:
			return v.completedBefore(t, &a)
		case u.ended != nil:
			return c.noUpload()
		}
		if err := v.joinParts(t, a); err != nil {
			return err
		}
		if err := t.exec("UPDATE upload SET ended = ?, completed = 1 WHERE number = ?", t.now(), u.number); err != nil {
			return err
		}
		return v.insertArchive(t, a)
	})
	if err != nil {
		return err
	}
	return c.created(v, a)
}

// completedBefore looks up what an upload became. The row is gone where the
// archive was deleted long ago.
func (v *vault) completedBefore(t tx, a *archive) error {
	var hash []byte
	found, err := t.one("SELECT tree_hash FROM archive WHERE number = ?", []any{a.number}, &hash)
	if found {
		a.hash = treehash.Hash(hash)
	}
	return err
}

// joinParts checks that the parts are the archive that the client means, and
// that their files are all there is in the folder.
func (v *vault) joinParts(t tx, a archive) error {
	var nodes []treehash.Hash
	files := map[string]bool{}
	var total int64
	err := t.each("SELECT key, size, tree_hash, file FROM part WHERE key BETWEEN ? AND ? ORDER BY key",
		[]any{partKey(a.number, 0), partKey(a.number, maxParts)},
		func(scan func(...any) error) error {
			var key, size int64
			var hash []byte
			var file string
			if err := scan(&key, &size, &hash, &file); err != nil {
				return err
			}
			// The part before must have been full, and next to this one.
			if start := (key - partKey(a.number, 0)) * a.partSize; start != total {
				return invalid("The parts do not follow one another: the bytes from %d to %d are missing", total, start-1)
			}
			total += size
			nodes = append(nodes, treehash.Hash(hash))
			files[file] = true
			return nil
		})
	if err != nil {
		return err
	}
	if total != a.size {
		return invalid("Invalid x-amz-archive-size: %d; the parts have %d bytes", a.size, total)
	}
	if computed := treehash.Combine(nodes); computed != a.hash {
		return checksumMismatch(a.hash, computed)
	}
	return removeOthers(v.path(a.number), files)
}

// removeOthers removes files from a folder that are not among those to keep:
// parts that were replaced, or whose upload was cut off.
func removeOthers(folder string, keep map[string]bool) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if keep[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func abortUpload(c *call, v *vault) error {
	var number int64
	err := c.write(v, func(t tx) error {
		u, err := v.upload(t)
		if err != nil {
			return err
		}
		if u.completed {
			return c.noUpload()
		}
		if u.ended != nil {
			return nil
		}
		if err := t.exec("UPDATE upload SET ended = ? WHERE number = ?", t.now(), u.number); err != nil {
			return err
		}
		number = u.number
		_, err = v.discard(t, u.number)
		return err
	})
	if err != nil {
		return err
	}
	if number != 0 {
		v.removeBody(number)
	}
	return c.empty(http.StatusNoContent)
}
