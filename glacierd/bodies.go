package glacierd

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/lockfile"
	"github.com/firn-archive/firn/internal/sqldb"
)

// Bodies are written where they stay, before the row that makes them count.
// So that a killed process leaves no file behind for ever, numbers are leased
// from the database in blocks, under the name of a lock file that the process
// holds: whoever opens the vault later finds the lock free, and removes the
// leased numbers that have no row. Nothing is renamed, and syncs of many
// bodies run side by side, outside the database's lock.
//
// Small ones are part of the database instead, in the table small: a file that is made
// and synced for each costs several times as much as a few pages that become durable
// with the row, together with those of others.

// maxSmall is the most bytes of a body that lies in the database, if it came in one
// request: four pages, and their log.
const maxSmall = 16 << 10

// leaseSize is how many numbers a process leases at once. Unused ones are given
// back when it ends in order.
const leaseSize = 1024

// A writer gives out the numbers of one process for one vault.
type writer struct {
	mu      sync.Mutex
	lock    *lockfile.Lock
	owner   string // name of the lock file
	current *lease
	settled []int64         // leases whose numbers all have a row, or no body
	removed []int64         // bodies that are gone and still in the table garbage
	folders map[string]bool // known to be on disk
}

// A lease is a block of numbers.
type lease struct {
	first, next, last int64
	open              int // given out and not settled
}

// A place is a number that was given out.
type place struct {
	v      *vault
	lease  *lease
	number int64
}

// place gives a number that nothing else has or ever had.
func (v *vault) place(ctx context.Context) (*place, error) {
	w := &v.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current == nil || w.current.next > w.current.last {
		if err := v.lease(ctx); err != nil {
			return nil, err
		}
	}
	p := &place{v: v, lease: w.current, number: w.current.next}
	w.current.next++
	w.current.open++
	return p, nil
}

// settle says that the number has its row, or that no body of it is left. A
// number whose fate is not known is never settled; a later process finds out.
func (p *place) settle() {
	w := &p.v.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	p.lease.open--
	if p.lease.open == 0 && p.lease.next > p.lease.last {
		w.settled = append(w.settled, p.lease.first)
	}
}

// lease gets the next block of numbers. Before the first one it takes a lock
// that lives as long as this process.
func (v *vault) lease(ctx context.Context) error {
	w := &v.writer
	if w.lock == nil {
		folder := filepath.Join(v.dir, writerFolder)
		if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		owner := rand.Text()
		lock, err := lockfile.Acquire(filepath.Join(folder, owner), fmt.Sprintf("pid %d", os.Getpid()))
		if err != nil {
			return err
		}
		w.lock, w.owner = lock, owner
	}
	settled := w.settled
	var first int64
	err := v.db.Write(ctx, func(t *sqldb.Tx) error {
		for _, f := range settled {
			if _, err := t.Exec(ctx, "DELETE FROM lease WHERE first = ?", f); err != nil {
				return err
			}
		}
		err := t.QueryRow(ctx, "UPDATE vault SET next_number = next_number + ?1 RETURNING next_number - ?1", leaseSize).Scan(&first)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoVault
		}
		if err != nil {
			return err
		}
		_, err = t.Exec(ctx, "INSERT INTO lease VALUES (?, ?, ?)", first, first+leaseSize-1, w.owner)
		return err
	})
	if err != nil {
		return err
	}
	w.settled = nil
	w.current = &lease{first: first, next: first, last: first + leaseSize - 1}
	return nil
}

// giveBack ends the leases of a process that stops in order.
func (v *vault) giveBack() error {
	w := &v.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lock == nil {
		return nil
	}
	ctx := context.Background()
	err := v.db.Write(ctx, func(t *sqldb.Tx) error {
		if l := w.current; l != nil && l.open == 0 {
			w.settled = append(w.settled, l.first)
			if _, err := t.Exec(ctx, "UPDATE vault SET next_number = ? WHERE next_number = ?", l.next, l.last+1); err != nil {
				return err
			}
		}
		for _, first := range w.settled {
			if _, err := t.Exec(ctx, "DELETE FROM lease WHERE first = ?", first); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		var left int
		err = v.db.Read(ctx, func(t *sqldb.Tx) error {
			return t.QueryRow(ctx, "SELECT count(*) FROM lease WHERE owner = ?", w.owner).Scan(&left)
		})
		if err == nil && left == 0 {
			os.Remove(filepath.Join(v.dir, writerFolder, w.owner))
		}
	}
	return errors.Join(err, w.lock.Unlock())
}

// sweep removes what killed processes have left.
func (v *vault) sweep(ctx context.Context) error {
	owners, err := v.leaseOwners(ctx)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		path := filepath.Join(v.dir, writerFolder, owner)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		lock, err := lockfile.Acquire(path, "removing what a killed process has left")
		if errors.Is(err, lockfile.ErrHeld) {
			continue // it lives
		}
		if err != nil {
			return err
		}
		if err := v.sweepOwner(ctx, owner); err != nil {
			return errors.Join(err, lock.Unlock())
		}
		os.Remove(path)
		if err := lock.Unlock(); err != nil {
			return err
		}
	}
	return nil
}

func (v *vault) leaseOwners(ctx context.Context) (owners []string, err error) {
	err = v.db.Read(ctx, func(t *sqldb.Tx) error {
		rows, err := t.Query(ctx, "SELECT DISTINCT owner FROM lease")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			if err := rows.Scan(&owner); err != nil {
				return err
			}
			owners = append(owners, owner)
		}
		return rows.Err()
	})
	return owners, err
}

// sweepOwner removes the bodies without a row that a dead owner may have left.
func (v *vault) sweepOwner(ctx context.Context, owner string) error {
	var orphans []int64
	err := v.db.Read(ctx, func(t *sqldb.Tx) error {
		rows, err := t.Query(ctx, `
			WITH RECURSIVE n (number, last) AS (
				SELECT first, last FROM lease WHERE owner = ?
				UNION ALL SELECT number + 1, last FROM n WHERE number < last)
			SELECT number FROM n WHERE number NOT IN (SELECT number FROM archive) AND number NOT IN (SELECT number FROM upload)`, owner)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			orphans = append(orphans, n)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, n := range orphans {
		if err := os.RemoveAll(v.path(n)); err != nil {
			return err
		}
	}
	return v.db.Write(ctx, func(t *sqldb.Tx) error {
		_, err := t.Exec(ctx, "DELETE FROM lease WHERE owner = ?", owner)
		return err
	})
}

// path is where the body of a number lies: a thousand to a folder.
func (v *vault) path(number int64) string {
	return filepath.Join(v.dir, archiveFolder,
		fmt.Sprintf("%03d", number/1e6), fmt.Sprintf("%03d", number/1e3%1e3), fmt.Sprintf("%03d", number%1e3))
}

// makeFolder makes a folder below the vault's, durably.
func (v *vault) makeFolder(path string) error {
	w := &v.writer
	w.mu.Lock()
	known := w.folders[path]
	w.mu.Unlock()
	if known || path == v.dir {
		return nil
	}
	parent := filepath.Dir(path)
	if err := v.makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Another process may have made it and not yet synced it.
	if err := atomicfile.SyncDir(parent); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.folders == nil || len(w.folders) > 4096 {
		w.folders = map[string]bool{}
	}
	w.folders[path] = true
	return nil
}

// create makes a new file of a body, and the folder it is in.
func (v *vault) create(path string) (*os.File, error) {
	if err := v.makeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// A taken body has been checked, and stays once the row of its number is there.
type taken struct {
	content
	small []byte // the body itself, which goes with the row; nil: it is a file
	path  string
}

// drop removes a body that gets no row.
func (b *taken) drop() {
	if b.small == nil {
		os.Remove(b.path)
	}
}

// take takes in the body of a call that has a number. After an error the number is
// settled, unless something else has its file.
func (v *vault) take(c *call, p *place) (taken, error) {
	if c.r.ContentLength <= maxSmall {
		b, err := c.takeSmall()
		if err != nil {
			p.settle()
		}
		return b, err
	}
	path := v.path(p.number)
	f, err := v.create(path)
	if err != nil {
		return taken{}, err
	}
	got, err := v.receive(c, f)
	if err != nil {
		p.settle()
	}
	return taken{content: got, path: path}, err
}

// takeSmall takes in a body that will be part of the database.
func (c *call) takeSmall() (taken, error) {
	whole := bytes.NewBuffer(make([]byte, 0, c.r.ContentLength))
	got, err := c.copyBody(whole)
	if err == nil {
		err = c.checkBody(got)
	}
	return taken{content: got, small: whole.Bytes()}, err
}

// receive writes the body of a call to a new file and hashes it on the way.
// When it returns without an error, the file is on disk to stay; else there is
// none.
func (v *vault) receive(c *call, f *os.File) (content, error) {
	path := f.Name()
	got, err := c.copyBody(f)
	if err == nil {
		err = c.checkBody(got)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = atomicfile.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return content{}, errors.Join(err, os.Remove(path))
	}
	return got, nil
}

// copyBody passes the body to a writer and to the digest.
func (c *call) copyBody(to io.Writer) (content, error) {
	buffer := c.s.buffers.Get().(*[]byte)
	defer c.s.buffers.Put(buffer)
	d := newDigest()
	for {
		n, err := c.body.Read(*buffer)
		if n > 0 {
			d.Write((*buffer)[:n])
			if _, err := to.Write((*buffer)[:n]); err != nil {
				return content{}, err
			}
		}
		if err == io.EOF {
			return d.sum(), nil
		}
		if err != nil {
			return content{}, err
		}
	}
}

// checkBody compares what came with what the headers promised.
func (c *call) checkBody(got content) error {
	if err := c.stillFresh(); err != nil {
		return err
	}
	if got.size != c.r.ContentLength {
		return badRequest("the body ended after %d of %d bytes", got.size, c.r.ContentLength)
	}
	if named := c.r.Header.Get("x-amz-content-sha256"); named != got.linear {
		return hashMismatch(got.linear, named)
	}
	want, err := c.treeHashHeader()
	if err != nil {
		return err
	}
	if want != got.tree {
		return checksumMismatch(want, got.tree)
	}
	return nil
}
