package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A Round is one verification of a directory, or of a part of its files. It is
// complete when each of these was read since it began, in however many calls.
type Round struct {
	Place       int64 // row of the directory, as compared with a tree
	Tree        int64
	Part, Parts int // 1 of 1: all files
	// Began is when the first call for it began, in whole microseconds.
	Began time.Time
	// Resumed: that was an earlier call.
	Resumed bool
}

// BeginRound gives the round of a directory that is not complete, or begins one,
// also in place of one that began in what is the future now.
// Root is the directory's absolute path, which need not be where the tree was
// synced from.
func (c *Catalog) BeginRound(ctx context.Context, tree int64, root string, part, parts int) (Round, error) {
	r := Round{Tree: tree, Part: part, Parts: parts}
	err := c.write(ctx, "begin verification", root, func(tx tx) error {
		if err := tx.exec("INSERT INTO verified (tree, root) VALUES (?, ?) ON CONFLICT DO NOTHING", tree, []byte(root)); err != nil {
			return err
		}
		if err := tx.row("SELECT id FROM verified WHERE tree = ? AND root = ?", tree, []byte(root)).Scan(&r.Place); err != nil {
			return err
		}
		var began int64
		err := tx.row("SELECT began FROM verify_round WHERE place = ? AND part = ? AND parts = ?", r.Place, part, parts).Scan(&began)
		now := c.clock.Now().UnixMicro()
		switch {
		case isNoRows(err), err == nil && began > now: // a clock was wrong: nothing would be read since
			began = now
			err = tx.exec("INSERT OR REPLACE INTO verify_round (place, part, parts, began) VALUES (?, ?, ?, ?)", r.Place, part, parts, began)
		default:
			r.Resumed = true
		}
		r.Began = time.UnixMicro(began).UTC()
		return err
	})
	return r, err
}

// EndRound says that a round is complete: the next verification begins another.
// After one of all files, hashes that were read before a time are those of files
// that aren't compared any more, and go; a zero time keeps them.
func (c *Catalog) EndRound(ctx context.Context, r Round, before time.Time) error {
	subject := fmt.Sprint("of tree ", r.Tree)
	err := c.write(ctx, "end verification", subject, func(tx tx) error {
		return tx.exec("DELETE FROM verify_round WHERE place = ? AND part = ? AND parts = ?", r.Place, r.Part, r.Parts)
	})
	if err != nil || r.Parts > 1 || before.IsZero() {
		return err
	}
	at := newPassage()
	for more := true; more; {
		err := c.write(ctx, "end verification", subject, func(tx tx) error {
			from := at
			err := tx.row("SELECT dir, name FROM hashed WHERE place = ? AND (dir, name) > (?, ?) ORDER BY dir, name LIMIT 1 OFFSET ?",
				r.Place, from.dir, from.name, c.sizes.batch-1).Scan(&at.dir, &at.name)
			if isNoRows(err) {
				more = false
				return tx.exec("DELETE FROM hashed WHERE place = ? AND (dir, name) > (?, ?) AND read < ?", r.Place, from.dir, from.name, before.UnixMicro())
			}
			if err != nil {
				return err
			}
			at.name = append([]byte{}, at.name...)
			return tx.exec("DELETE FROM hashed WHERE place = ? AND (dir, name) > (?, ?) AND (dir, name) <= (?, ?) AND read < ?",
				r.Place, from.dir, from.name, at.dir, at.name, before.UnixMicro())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A Hashed is a file that was read, and the tree hash that it had.
type Hashed struct {
	Path  string
	Stamp firn.Stamp // when it was read; without device
	Read  time.Time  // when reading it began, in whole microseconds
	Tree  treehash.Hash
}

var insertHashed = newBulk("INSERT OR REPLACE INTO hashed (place, dir, name, stamp, read, tree) VALUES ", "(?, ?, ?, ?, ?, ?)", "")

// KeepHashes records what files had when they were read. Those in folders that
// the tree never had are passed over.
func (c *Catalog) KeepHashes(ctx context.Context, r Round, files []Hashed) error {
	if len(files) == 0 {
		return nil
	}
	return c.write(ctx, "keep hash", files[0].Path, func(tx tx) error {
		dirs := map[string]int64{}
		rows := insertHashed.batch(tx)
		for i := range files {
			f := &files[i]
			dir, name := split(f.Path)
			id, known := dirs[dir]
			if !known {
				var err error
				if id, err = dirRow(tx, r.Tree, dir); err != nil {
					return err
				}
				dirs[dir] = id
			}
			if id == 0 {
				continue
			}
			if err := rows.add(r.Place, id, []byte(name), packStamp(&f.Stamp), f.Read.UnixMicro(), f.Tree[:]); err != nil {
				return err
			}
		}
		return rows.flush()
	})
}

// packStamp makes the column stamp.
func packStamp(s *firn.Stamp) []byte {
	b := binary.AppendVarint(make([]byte, 0, 40), s.Size)
	b = appendTime(appendTime(b, s.ModTime), s.Changed)
	return binary.AppendUvarint(b, s.Inode)
}

// unpackStamp reads the column; a damaged one is that of no file.
func unpackStamp(b []byte) firn.Stamp {
	r := varints{b: b}
	s := firn.Stamp{Size: r.signed(), ModTime: r.time(), Changed: r.time(), Inode: r.unsigned()}
	if r.bad {
		return firn.Stamp{Size: -1}
	}
	return s
}

// A HashReader finds the hashes of a directory's files, which must be asked for
// in walk order. It reads ahead.
type HashReader struct {
	stop  context.CancelFunc
	pages chan hashPage
	page  []hashRow
	err   error
}

type hashPage struct {
	rows []hashRow
	err  error
}

type hashRow struct {
	dir, name, stamp string
	read             int64
	tree             treehash.Hash
}

// Hashes begins to read the hashes of a round's directory. Close it.
func (c *Catalog) Hashes(ctx context.Context, r Round) *HashReader {
	ctx, stop := context.WithCancel(ctx)
	h := &HashReader{stop: stop, pages: make(chan hashPage, 2)}
	go func() {
		defer close(h.pages)
		at := hashCursor{place: r.Place, tree: r.Tree, page: c.sizes.page}
		for more := true; more; {
			var rows []hashRow
			err := c.read(ctx, "read hashes", fmt.Sprint("of tree ", r.Tree), func(tx tx) (err error) {
				rows, more, err = at.read(tx)
				return err
			})
			select {
			case h.pages <- hashPage{rows, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return h
}

// Find gives the hash of a file, ok where there is one. No file before one that
// was asked for is found.
func (h *HashReader) Find(path string) (found Hashed, ok bool, err error) {
	dir, name := split(path)
	for h.err == nil {
		for len(h.page) > 0 {
			row := &h.page[0]
			c := compareKeys(row.dir, dir)
			if c == 0 {
				c = strings.Compare(row.name, name)
			}
			if c > 0 {
				return Hashed{}, false, nil
			}
			h.page = h.page[1:]
			if c == 0 {
				return Hashed{Path: path, Stamp: unpackStamp([]byte(row.stamp)), Read: time.UnixMicro(row.read).UTC(), Tree: row.tree}, true, nil
			}
		}
		next, more := <-h.pages
		if !more {
			return Hashed{}, false, nil
		}
		h.page, h.err = next.rows, next.err
	}
	return Hashed{}, false, h.err
}

// Close ends the reading.
func (h *HashReader) Close() {
	h.stop()
	for range h.pages {
	}
}

// A hashCursor pages through the hashes of a place, in walk order.
type hashCursor struct {
	place, tree int64
	page        int
	dir         int64 // of the last row; 0: none was read
	key, name   []byte
}

// Queries for hashes: within the folder of the last one, and in those that follow.
const (
	hashesInside = "SELECT dir, name, stamp, read, tree FROM hashed WHERE place = ? AND dir = ? AND name > ? ORDER BY name LIMIT ?"
	hashesAfter  = `SELECT d.id, d.key, h.name, h.stamp, h.read, h.tree FROM dir d CROSS JOIN hashed h ON h.place = ?1 AND h.dir = d.id
		WHERE d.tree = ?2 AND d.key > ?3 ORDER BY d.key, h.name LIMIT ?4`
	hashesFirst = `SELECT d.id, d.key, h.name, h.stamp, h.read, h.tree FROM dir d CROSS JOIN hashed h ON h.place = ?1 AND h.dir = d.id
		WHERE d.tree = ?2 AND d.key >= ?3 ORDER BY d.key, h.name LIMIT ?4`
)

// read gives the next page.
func (c *hashCursor) read(tx tx) (rows []hashRow, more bool, err error) {
	var name, stamp, tree sql.RawBytes
	dir := pathOf(c.key)
	add := func(last []byte, read int64) {
		row := hashRow{dir: dir, name: string(last), stamp: string(stamp), read: read}
		copy(row.tree[:], tree)
		rows = append(rows, row)
	}
	query := hashesFirst
	if c.dir != 0 {
		query = hashesAfter
		err = tx.each(func(r *sql.Rows) error {
			var read int64
			err := r.Scan(&c.dir, &name, &stamp, &read, &tree)
			add(name, read)
			return err
		}, hashesInside, c.place, c.dir, c.name, c.page)
		if err != nil {
			return nil, false, err
		}
	}
	if left := c.page - len(rows); left > 0 {
		var key sql.RawBytes
		first := c.key
		if first == nil {
			first = []byte{}
		}
		err = tx.each(func(r *sql.Rows) error {
			var read, id int64
			if err := r.Scan(&id, &key, &name, &stamp, &read, &tree); err != nil {
				return err
			}
			if id != c.dir {
				c.dir, c.key = id, append([]byte{}, key...)
				dir = pathOf(c.key)
			}
			add(name, read)
			return nil
		}, query, c.place, c.tree, first, left)
	}
	if len(rows) > 0 {
		c.name = []byte(rows[len(rows)-1].name)
	}
	return rows, len(rows) == c.page, err
}

// compareKeys orders paths of folders as their keys are: by their bytes, the slash
// below all others.
func compareKeys(a, b string) int {
	if a == b {
		return 0
	}
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}
