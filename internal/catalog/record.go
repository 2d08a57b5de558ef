package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A Change is an entry as a run found it.
type Change struct {
	firn.File
	Content firn.Content // of regular files; its size is Stamp.Size, and its hash not looked at where that is 0
	Read    time.Time    // when it was read or looked at, by the local clock
	Mount   bool         // of directories: it is on another volume than its parent
}

// Recorded counts what Record made of changes.
type Recorded struct {
	Versions int // new versions
	Touched  int // updated in place
}

// Record takes in entries that need no upload: directories, links, empty
// files, and files whose content the store holds already. A new path, or a
// change of kind, content, mtime, mode, owner or target makes a new version;
// where only ctime, inode, links, mount or the time of reading differ, the
// current one is updated. A run makes at most one version of a path: what it
// records again, it replaces. A path that changes its kind leaves its old
// entry, a directory with all below it, removed in this run.
//
// All changes are recorded, or none. Those of one directory are best given
// together, and up to some 1,000 at once.
// Errors: NotFound (the store doesn't hold the content), Invalid (a path that
// no tree can hold, content of another size), Conflict (a later run has
// recorded the path).
func (c *Catalog) Record(ctx context.Context, run Run, changes []Change) (done Recorded, err error) {
	if len(changes) == 0 {
		return Recorded{}, nil
	}
	if err := c.tidy(ctx); err != nil {
		return Recorded{}, err
	}
	err = c.write(ctx, "record", changes[0].Path, func(tx tx) error {
		r := newRecorder(tx, run)
		for i := range changes {
			ch := &changes[i]
			if err := r.record(ch, place{}); err != nil {
				return wrap(ctx, "record", ch.Path, err)
			}
		}
		done = r.done
		return r.finish()
	})
	if err != nil {
		return Recorded{}, err
	}
	return done, nil
}

// A place is a row of location; zero where content has none.
type place struct{ archive, member int64 }

// A recorder writes file versions within one transaction.
type recorder struct {
	tx
	run    Run
	dirs   map[string]int64 // rows of dir seen so far, by path
	totals totals           // of the tree, what to add
	done   Recorded
}

func newRecorder(tx tx, run Run) *recorder {
	return &recorder{tx: tx, run: run, dirs: map[string]int64{}}
}

// finish writes what was gathered over all entries.
func (r *recorder) finish() error { return r.totals.addTo(r.tx, r.run.Tree) }

// totals are the sums that a tree's row keeps.
type totals struct{ files, bytes, dirs, links int64 }

// add counts n entries of a mode, with so many bytes in all; negative ones are
// taken away.
func (t *totals) add(mode, n, bytes int64) {
	switch mode & modeType {
	case modeDir:
		t.dirs += n
	case modeLink:
		t.links += n
	default:
		t.files += n
		t.bytes += bytes
	}
}

func (t totals) addTo(tx tx, tree int64) error {
	if t == (totals{}) {
		return nil
	}
	return tx.exec("UPDATE tree SET files = files + ?, bytes = bytes + ?, dirs = dirs + ?, links = links + ? WHERE id = ?",
		t.files, t.bytes, t.dirs, t.links, tree)
}

// record makes ch the current entry of its path. Its content is at where, or
// is looked for if that is zero.
func (r *recorder) record(ch *Change, where place) error {
	if err := checkChange(ch); err != nil {
		return err
	}
	dir, name, err := r.slot(ch)
	if err != nil {
		return err
	}
	old, err := r.current(dir, name)
	if err != nil {
		return err
	}
	if where == (place{}) && ch.Kind == firn.Regular && ch.Content.Size > 0 {
		if where, err = r.locate(ch.Content, old); err != nil {
			return err
		}
	}
	now := versionOf(ch, where)
	switch {
	case old == nil:
		if err := r.clear(ch); err != nil {
			return err
		}
	case old.since > r.run.ID:
		return errLater
	case old.sameVersion(&now):
		r.done.Touched++
		return r.touch(dir, name, old, &now)
	default:
		if err := r.supersede(dir, name); err != nil {
			return err
		}
		r.totals.add(old.mode, -1, -old.size)
	}
	r.done.Versions++
	r.totals.add(now.mode, 1, now.size)
	return r.insert(dir, name, &now)
}

// errLater keeps versions in the order of runs, also if somebody syncs a tree
// twice at once.
var errLater = errors.New("a run that began later has recorded it already")

// checkChange refuses what would not come back as it was given.
func checkChange(ch *Change) error {
	if err := checkPath(ch.Path); err != nil {
		return err
	}
	var why string
	switch {
	case ch.Kind == firn.Regular && ch.Path == "":
		why = "the root of a tree is a directory"
	case ch.Kind == firn.Regular && ch.Content.Size != ch.Stamp.Size:
		why = fmt.Sprintf("%d bytes of content in a file of %d", ch.Content.Size, ch.Stamp.Size)
	case ch.Kind == firn.Regular && ch.Content.Size > 0 && ch.Content.Tree.IsZero():
		why = "content without its hash"
	case ch.Kind != firn.Regular && ch.Kind != firn.Directory && ch.Kind != firn.Symlink:
		why = fmt.Sprintf("no kind of file: %q", ch.Kind)
	default:
		return nil
	}
	return &firn.Error{Op: "record", Subject: ch.Path, Kind: firn.Invalid, Err: errors.New(why)}
}

// A version is a row of file, but for its key and its run.
type version struct {
	mode, size, mtime, mtimeNs, uid, gid int64

	where   place
	content []byte // tree hash; nil where it has none
	state   State  // of the archive
	target  []byte // nil where it is no link
	seen    []byte
	since   int64
}

func versionOf(ch *Change, where place) version {
	v := version{
		mode: modeOf(ch.Kind, ch.Mode), size: ch.Stamp.Size,
		uid: int64(ch.UID), gid: int64(ch.GID),
		where: where, seen: packSeen(&ch.File, ch.Read, ch.Mount),
	}
	v.mtime, v.mtimeNs = instant(ch.Stamp.ModTime)
	switch {
	case ch.Kind == firn.Symlink:
		v.target = []byte(ch.Target)
	case where != place{}:
		v.content = ch.Content.Tree[:]
	}
	return v
}

// sameVersion reports whether the two differ in nothing that makes a version.
// The size of a directory or a link is the file system's business.
func (v *version) sameVersion(o *version) bool {
	return v.mode == o.mode && v.mtime == o.mtime && v.mtimeNs == o.mtimeNs && v.uid == o.uid && v.gid == o.gid &&
		(v.size == o.size || v.mode&modeType != modeFile) &&
		bytes.Equal(v.content, o.content) && bytes.Equal(v.target, o.target)
}

// slot gives the key in table file of an entry, making its directories.
func (r *recorder) slot(ch *Change) (dir int64, name []byte, err error) {
	parent, base := ch.Path, ""
	if ch.Kind != firn.Directory {
		parent, base = split(ch.Path)
	}
	dir, err = r.makeDir(parent)
	return dir, []byte(base), err
}

// makeDir gives the row of a directory, making it and those above it.
func (r *recorder) makeDir(path string) (int64, error) {
	if id, ok := r.dirs[path]; ok {
		return id, nil
	}
	id, err := dirRow(r.tx, r.run.Tree, path)
	if err != nil {
		return 0, err
	}
	if id == 0 {
		if path != "" {
			parent, _ := split(path)
			if _, err := r.makeDir(parent); err != nil {
				return 0, err
			}
		}
		if id, err = r.tx.insert("INSERT INTO dir (tree, key) VALUES (?, ?)", r.run.Tree, keyOf(path)); err != nil {
			return 0, err
		}
	}
	r.dirs[path] = id
	return id, nil
}

// dirRow finds the row of a directory; 0 where there is none.
func dirRow(tx tx, tree int64, path string) (id int64, err error) {
	err = tx.row("SELECT id FROM dir WHERE tree = ? AND key = ?", tree, keyOf(path)).Scan(&id)
	if isNoRows(err) {
		return 0, nil
	}
	return id, err
}

// current reads a current entry; nil where there is none.
func (r *recorder) current(dir int64, name []byte) (*version, error) {
	var v version
	err := r.row(`SELECT f.mode, f.size, f.mtime, f.mtime_ns, f.uid, f.gid, f.archive, f.member, l.tree, coalesce(a.state, 0), f.target, f.seen, f.since
		FROM file f LEFT JOIN location l ON l.archive = f.archive AND l.member = f.member LEFT JOIN archive a ON a.id = f.archive
		WHERE f.dir = ? AND f.name = ?`, dir, name).
		Scan(&v.mode, &v.size, &v.mtime, &v.mtimeNs, &v.uid, &v.gid, &v.where.archive, &v.where.member, &v.content, &v.state, &v.target, &v.seen, &v.since)
	if isNoRows(err) {
		return nil, nil
	}
	return &v, err
}

// locate finds a place that holds content: the one that the file has already
// where that is good.
func (r *recorder) locate(content firn.Content, old *version) (place, error) {
	if old != nil && old.state == Stored && old.size == content.Size && bytes.Equal(old.content, content.Tree[:]) {
		return old.where, nil
	}
	where, ok, err := findContent(r.tx, r.run.Store, content)
	if err == nil && !ok {
		err = &firn.Error{Op: "find content", Subject: content.Tree.String(), Kind: firn.NotFound, Err: errors.New("the store doesn't hold it")}
	}
	return where, err
}

// touch updates what makes no version. The place may be a new one: the archive
// it was in is lost, and the content was sent again.
func (r *recorder) touch(dir int64, name []byte, old, now *version) error {
	if old.size == now.size && old.where == now.where && bytes.Equal(old.seen, now.seen) {
		return nil
	}
	return r.exec("UPDATE file SET size = ?, archive = ?, member = ?, seen = ? WHERE dir = ? AND name = ?",
		now.size, now.where.archive, now.where.member, now.seen, dir, name)
}

// supersede puts a current version among the old ones, unless this run made it.
func (r *recorder) supersede(dir int64, name []byte) error {
	return r.exec(`INSERT INTO version (dir, name, since, until, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, link_group, attrs)
		SELECT dir, name, since, ?, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, link_group, attrs
		FROM file WHERE dir = ? AND name = ? AND since < ?`, r.run.ID, dir, name, r.run.ID)
}

// insert writes a current version, in place of any other.
func (r *recorder) insert(dir int64, name []byte, v *version) error {
	return r.exec(`INSERT OR REPLACE INTO file (dir, name, since, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, seen)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		dir, name, r.run.ID, v.mode, v.size, v.mtime, v.mtimeNs, v.uid, v.gid, v.where.archive, v.where.member, v.target, v.seen)
}
