package glacierd

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/firn-archive/firn/treehash"
)

func getJobOutput(c *call, v *vault) error {
	j, err := c.currentJob(v)
	if err != nil {
		return err
	}
	if status, _, _ := j.state(c.now.UnixMilli()); status != succeeded {
		return invalid("The job is not currently available for download: %s", c.item)
	}
	if j.archive == nil {
		return c.inventoryOutput(v, j)
	}
	return c.archiveOutput(v, j)
}

// archiveOutput sends the bytes of a job, or a range of them. The tree hash
// goes along where the range is a node of the archive's tree: since a node is a
// tree itself, positions in the job's output do as well as in the archive.
func (c *call) archiveOutput(v *vault, j job) error {
	size := j.bytes.length()
	part, ranged, err := parseRange(c.r.Header.Get("Range"), size)
	if err != nil {
		return err
	}
	bytes := span{j.bytes.first + part.first, j.bytes.first + part.last}
	var hash treehash.Hash
	var aligned bool
	if j.rangeHash != nil {
		err := c.read(v, func(t tx) (err error) {
			hash, aligned, err = v.nodeHash(t, *j.archive, bytes)
			return err
		})
		if err != nil {
			return err
		}
	}
	body, err := v.openBody(c, *j.archive, bytes)
	if err != nil {
		return err
	}
	defer body.Close()
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if j.archive.description != "" {
		h.Set("x-amz-archive-description", j.archive.description)
	}
	if aligned {
		h.Set("x-amz-sha256-tree-hash", hash.String())
	}
	return c.sendRange(part, size, ranged, body.writeTo)
}

func (c *call) inventoryOutput(v *vault, j job) error {
	if err := c.measure(v, &j); err != nil {
		return err
	}
	l := j.listing(c, v)
	size := int64(len(l.head())+len(l.tail())) + *j.output
	part, ranged, err := parseRange(c.r.Header.Get("Range"), size)
	if err != nil {
		return err
	}
	if l.format == formatCSV {
		c.w.Header().Set("Content-Type", "text/csv")
	} else {
		c.w.Header().Set("Content-Type", "application/json")
	}
	return c.sendRange(part, size, ranged, func(w io.Writer) error {
		return l.write(c, w, part.first, part.length())
	})
}

// sendRange sends the head of an output, and lets write send the bytes. After
// that an error can only be shown by hanging up.
func (c *call) sendRange(part span, size int64, ranged bool, write func(io.Writer) error) error {
	h := c.w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(part.length(), 10))
	status := http.StatusOK
	if ranged {
		h.Set("Content-Range", fmt.Sprintf("bytes %s/%d", part, size))
		status = http.StatusPartialContent
	}
	c.w.WriteHeader(status)
	if err := write(c.download(part.length())); err != nil {
		return fmt.Errorf("%w in the middle of an output: %w", errHangUp, err)
	}
	if c.w.sent != part.length() && !c.w.lost {
		return fmt.Errorf("%w: the output has %d bytes instead of %d", errHangUp, c.w.sent, part.length())
	}
	return nil
}

// nodeHash is the tree hash of some bytes of an archive, where they are a node
// of its tree. It comes from the hashes that were kept when the bytes arrived:
// a node lies within one part, or consists of whole ones.
func (v *vault) nodeHash(t tx, a archive, bytes span) (h treehash.Hash, aligned bool, err error) {
	start, end := bytes.first, bytes.last+1
	if start == 0 && end == a.size {
		return a.hash, true, nil
	}
	if !treehash.NodeAligned(a.size, start, end) {
		return h, false, nil
	}
	unit := a.partSize
	if unit == 0 {
		unit = maxSingleUpload
	}
	index := start / unit
	if end <= (index+1)*unit {
		h, err = t.partNode(partKey(a.number, index), start-index*unit, end-index*unit)
		return h, true, err
	}
	var nodes []treehash.Hash
	err = t.each("SELECT tree_hash FROM part WHERE key BETWEEN ? AND ? ORDER BY key",
		[]any{partKey(a.number, index), partKey(a.number, (end-1)/unit)},
		func(scan func(...any) error) error {
			var hash []byte
			if err := scan(&hash); err != nil {
				return err
			}
			nodes = append(nodes, treehash.Hash(hash))
			return nil
		})
	return treehash.Combine(nodes), true, err
}

// partNode is the tree hash of the bytes [start, end) of one part.
func (t tx) partNode(key, start, end int64) (treehash.Hash, error) {
	var size int64
	var hash, leaves []byte
	found, err := t.one("SELECT size, tree_hash, leaves FROM part WHERE key = ?", []any{key}, &size, &hash, &leaves)
	if err == nil && !found {
		err = fmt.Errorf("part %d is missing", key)
	}
	if err != nil {
		return treehash.Hash{}, err
	}
	if start == 0 && end == size {
		return treehash.Hash(hash), nil
	}
	return treehash.Combine(hashes(leaves)[start/treehash.LeafSize : treehash.Leaves(end)]), nil
}

// An openBody reads some bytes of an archive, part after part.
type openBody struct {
	paths  []string      // files still to be read
	file   io.ReadCloser // the first of them
	offset int64         // in it
	unit   int64         // bytes of each file but the last
	left   int64         // bytes still wanted
}

// openBody opens the bytes of an archive, so that what can fail fails before
// the answer begins.
func (v *vault) openBody(c *call, a archive, wanted span) (*openBody, error) {
	b := &openBody{offset: wanted.first, unit: a.size, left: wanted.length()}
	path := v.path(a.number)
	if a.partSize == 0 {
		small, err := v.small(c, a)
		if err != nil {
			return nil, err
		}
		if small != nil {
			b.file = io.NopCloser(bytes.NewReader(small[wanted.first:]))
			return b, nil
		}
		b.paths = []string{path}
		return b, b.open()
	}
	b.unit = a.partSize
	b.offset = wanted.first % a.partSize
	err := c.read(v, func(t tx) error {
		return t.each("SELECT file FROM part WHERE key BETWEEN ? AND ? ORDER BY key",
			[]any{partKey(a.number, wanted.first/a.partSize), partKey(a.number, wanted.last/a.partSize)},
			func(scan func(...any) error) error {
				var file string
				err := scan(&file)
				b.paths = append(b.paths, filepath.Join(path, file))
				return err
			})
	})
	if err == nil && len(b.paths) == 0 {
		err = fmt.Errorf("the parts of archive %d are missing", a.number)
	}
	if err != nil {
		return nil, err
	}
	return b, b.open()
}

// small gives the body of an archive that lies in the database; nil: it is a file.
func (v *vault) small(c *call, a archive) (body []byte, err error) {
	if a.size > maxSmall {
		return nil, nil
	}
	err = c.read(v, func(t tx) error {
		_, err := t.one("SELECT body FROM small WHERE number = ?", []any{a.number}, &body)
		return err
	})
	if err == nil && body != nil && int64(len(body)) != a.size {
		err = fmt.Errorf("the body of archive %d has %d bytes instead of %d", a.number, len(body), a.size)
	}
	return body, err
}

// open opens the next file.
func (b *openBody) open() error {
	f, err := os.Open(b.paths[0])
	if err == nil && b.offset > 0 {
		_, err = f.Seek(b.offset, io.SeekStart)
	}
	b.file = f
	return err
}

// writeTo copies all that is wanted.
func (b *openBody) writeTo(w io.Writer) error {
	for {
		n := min(b.left, b.unit-b.offset)
		if _, err := io.CopyN(w, b.file, n); err != nil {
			return err
		}
		if b.left -= n; b.left == 0 {
			return nil
		}
		if err := b.file.Close(); err != nil {
			return err
		}
		if b.paths, b.offset = b.paths[1:], 0; len(b.paths) == 0 {
			return io.ErrUnexpectedEOF
		}
		if err := b.open(); err != nil {
			return err
		}
	}
}

// Close closes the file that is being read.
func (b *openBody) Close() error { return b.file.Close() }
