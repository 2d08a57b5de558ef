package catalog

import (
	"context"
	"database/sql"

	"github.com/firn-archive/firn"
)

// Remove marks entries removed in this run: what is at a path and all below
// it. Their versions stay. Entries that this run recorded, or a later one,
// are passed over: where a path changed its kind in this run it is the old
// entry that is gone, in whatever order that is said. Unknown paths are no
// error. It gives how many files there were, with how many bytes.
//
// It goes in transactions of some 10,000 entries: where it is cut short, what
// it didn't come to is still current, and is to be removed by the next run.
func (c *Catalog) Remove(ctx context.Context, run Run, paths []string) (gone firn.Count, err error) {
	return c.remove(ctx, run, removal{files: true, dirs: true}, paths)
}

// RemoveKind is Remove for entries whose kind is known: with a file or a link
// goes nothing below it, with a directory no file of its name. Where a tree was
// put together from a store it may have both.
func (c *Catalog) RemoveKind(ctx context.Context, run Run, kind firn.FileKind, paths []string) (gone firn.Count, err error) {
	isDir := kind == firn.Directory
	return c.remove(ctx, run, removal{files: !isDir, dirs: isDir}, paths)
}

// A removal says what of a path goes: the file or link, or the directory with
// all below it.
type removal struct{ files, dirs bool }

func (c *Catalog) remove(ctx context.Context, run Run, what removal, paths []string) (gone firn.Count, err error) {
	for len(paths) > 0 {
		left := paths
		var total totals
		err := c.write(ctx, "remove", paths[0], func(tx tx) error {
			r := newRecorder(tx, run)
			for budget := c.sizes.batch; len(left) > 0 && budget > 0; {
				n, err := r.remove(left[0], what, budget)
				if err != nil {
					return wrap(ctx, "remove", left[0], err)
				}
				if n < budget {
					left = left[1:]
				}
				budget -= n
			}
			total = r.totals
			return r.finish()
		})
		if err != nil {
			return gone, err
		}
		gone.Files -= total.files
		gone.Bytes -= total.bytes
		paths = left
	}
	return gone, nil
}

// remove retires up to limit entries of earlier runs at a path and below it.
// It is done when it gives fewer.
func (r *recorder) remove(path string, what removal, limit int64) (n int64, err error) {
	if path != "" && what.files {
		parent, name := split(path)
		dir, err := dirRow(r.tx, r.run.Tree, parent)
		if err != nil {
			return 0, err
		}
		if n, err = r.retire("dir = ? AND name = ? AND since < ?", dir, []byte(name), r.run.ID); err != nil {
			return n, err
		}
	}
	if !what.dirs {
		return 0, nil
	}
	dirs, err := r.dirsFrom(path, r.run.ID, limit-n)
	if err != nil {
		return n, err
	}
	for _, dir := range dirs {
		k, err := r.retireIn(dir, limit-n)
		if err != nil {
			return n, err
		}
		if n += k; n >= limit {
			break
		}
	}
	return n, nil
}

// retireIn retires the first entries of earlier runs in a directory, at most
// limit.
func (r *recorder) retireIn(dir, limit int64) (n int64, err error) {
	var end []byte // the first name that stays
	err = r.row("SELECT name FROM file WHERE dir = ? AND since < ? ORDER BY name LIMIT 1 OFFSET ?", dir, r.run.ID, limit).Scan(&end)
	switch {
	case isNoRows(err):
		return r.retire("dir = ? AND since < ?", dir, r.run.ID)
	case err != nil:
		return 0, err
	}
	return r.retire("dir = ? AND name < ? AND since < ?", dir, end, r.run.ID)
}

// clear removes what a new entry can't stand beside: a file under the name of
// a directory, or a directory, with all below it, under that of a file. Where
// the path had an entry of its kind, there is nothing of the kind.
func (r *recorder) clear(ch *Change) error {
	if ch.Path == "" {
		return nil
	}
	if ch.Kind == firn.Directory {
		parent, name := split(ch.Path)
		dir, err := r.makeDir(parent)
		if err != nil {
			return err
		}
		_, err = r.retire("dir = ? AND name = ?", dir.id, []byte(name))
		return err
	}
	// Where there is a directory below, there is one here: see makeDir.
	if id, err := dirRow(r.tx, r.run.Tree, ch.Path); err != nil || id == 0 {
		return err
	}
	const atOnce, never = 10_000, 1<<63 - 1
	for {
		dirs, err := r.dirsFrom(ch.Path, never, atOnce)
		if err != nil || len(dirs) == 0 {
			return err
		}
		for _, dir := range dirs {
			if _, err := r.retire("dir = ?", dir); err != nil {
				return err
			}
		}
	}
}

// dirsFrom lists directories at a path and below it that have current entries
// of runs before the given one.
func (r *recorder) dirsFrom(path string, run, limit int64) (dirs []int64, err error) {
	collect := func(rows *sql.Rows) error {
		dirs = append(dirs, 0)
		return rows.Scan(&dirs[len(dirs)-1])
	}
	const alive = " AND EXISTS (SELECT 1 FROM file WHERE file.dir = dir.id AND file.since < ?) ORDER BY key LIMIT ?"
	if path == "" {
		err = r.each(collect, "SELECT id FROM dir WHERE tree = ?"+alive, r.run.Tree, run, limit)
		return dirs, err
	}
	key := keyOf(path)
	if err := r.each(collect, "SELECT id FROM dir WHERE tree = ? AND key = ?"+alive, r.run.Tree, key, run, limit); err != nil {
		return nil, err
	}
	from, to := below(key)
	err = r.each(collect, "SELECT id FROM dir WHERE tree = ? AND key >= ? AND key < ?"+alive, r.run.Tree, from, to, run, limit)
	return dirs, err
}

// retire moves current entries among the old versions, and forgets those that
// this run made itself.
func (r *recorder) retire(which string, args ...any) (n int64, err error) {
	err = r.each(func(rows *sql.Rows) error {
		var mode, size, since int64
		if err := rows.Scan(&mode, &size, &since); err != nil {
			return err
		}
		if since > r.run.ID {
			return errLater
		}
		n++
		r.totals.add(mode, -1, -size)
		return nil
	}, "SELECT mode, size, since FROM file WHERE "+which, args...)
	if err != nil || n == 0 {
		return n, err
	}
	err = r.exec(`INSERT INTO version (dir, name, since, until, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, link_group, attrs)
		SELECT dir, name, since, ?, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, link_group, attrs
		FROM file WHERE `+which+" AND since < ?", append(append([]any{r.run.ID}, args...), r.run.ID)...)
	if err != nil {
		return n, err
	}
	return n, r.exec("DELETE FROM file WHERE "+which, args...)
}
