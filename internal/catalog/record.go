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
	// LinkGroup is a number that the hard links of one file in the tree have in
	// common, now and in later runs; 0 where there is no other.
	LinkGroup int64
}

// Recorded counts what Record made of changes.
type Recorded struct {
	Versions int // new versions
	Touched  int // updated in place
}

// Record takes in entries that need no upload: directories, links, empty
// files, and files whose content the store holds already. A new path, or a
// change of kind, content, mtime, mode, owner, target or link group makes a new
// version; where only ctime, inode, links, mount or the time of reading differ,
// the current one is updated. A run makes at most one version of a path: what
// it records again, it replaces. A path that changes its kind leaves its old
// entry, a directory with all below it, removed in this run.
//
// All changes are recorded, or none. Those of one directory are best given
// together, and up to some 10,000 at once.
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
		items := make([]item, len(changes))
		for i := range changes {
			items[i].Change = &changes[i]
		}
		if err := r.recordAll(items); err != nil {
			return err
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
	dirs   map[string]dirID // seen so far, by path
	group  int              // number of the one that is under way
	totals totals           // of the tree, what to add
	done   Recorded
	// bundle is the archive that items are members of, which isn't stored yet;
	// 0 where there is none.
	bundle int64
}

// A dirID is a row of dir, and the number of the group that made it; 0 where
// it was there before.
type dirID struct {
	id    int64
	group int
}

func newRecorder(tx tx, run Run) *recorder {
	return &recorder{tx: tx, run: run, dirs: map[string]dirID{}, group: 1}
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

// errLater keeps versions in the order of runs, also if somebody syncs a tree
// twice at once.
var errLater = errors.New("a run that began later has recorded it already")

// errTwice keeps a version that counts from being replaced, within one run, by
// one that may never do.
var errTwice = errors.New("this run has recorded it already, and an archive that isn't stored yet can't replace that")

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
	group   int64  // of hard links; 0: none
	seen    []byte
	since   int64
}

func versionOf(ch *Change, where place) version {
	v := version{
		mode: modeOf(ch.Kind, ch.Mode), size: ch.Stamp.Size,
		uid: int64(ch.UID), gid: int64(ch.GID), group: ch.LinkGroup,
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
	return v.mode == o.mode && v.mtime == o.mtime && v.mtimeNs == o.mtimeNs && v.uid == o.uid && v.gid == o.gid && v.group == o.group &&
		(v.size == o.size || v.mode&modeType != modeFile) &&
		bytes.Equal(v.content, o.content) && bytes.Equal(v.target, o.target)
}

// slot finds the place in table file of an item, making its directories.
func (r *recorder) slot(it *item) error {
	parent, base := it.Path, ""
	if it.Kind != firn.Directory {
		parent, base = split(it.Path)
	}
	dir, err := r.makeDir(parent)
	it.dir, it.name, it.fresh = dir.id, []byte(base), dir.group == r.group
	return err
}

// makeDir gives the row of a directory, making it and those above it.
func (r *recorder) makeDir(path string) (dir dirID, err error) {
	if dir, ok := r.dirs[path]; ok {
		return dir, nil
	}
	var parent dirID // what was made in this group has nothing below it
	if path != "" {
		above, _ := split(path)
		if parent, err = r.makeDir(above); err != nil {
			return dirID{}, err
		}
	}
	if parent.group != r.group {
		if dir.id, err = dirRow(r.tx, r.run.Tree, path); err != nil {
			return dirID{}, err
		}
	}
	if dir.id == 0 {
		dir.group = r.group
		if dir.id, err = r.tx.insert("INSERT INTO dir (tree, key) VALUES (?, ?)", r.run.Tree, keyOf(path)); err != nil {
			return dirID{}, err
		}
	}
	r.dirs[path] = dir
	return dir, nil
}

// dirRow finds the row of a directory; 0 where there is none.
func dirRow(tx tx, tree int64, path string) (id int64, err error) {
	err = tx.row("SELECT id FROM dir WHERE tree = ? AND key = ?", tree, keyOf(path)).Scan(&id)
	if isNoRows(err) {
		return 0, nil
	}
	return id, err
}

// touch updates what makes no version. The place may be a new one: the archive
// it was in is lost, and the content was sent again.
func (r *recorder) touch(dir int64, name []byte, old, now *version) error {
	if old.size == now.size && old.where == now.where && bytes.Equal(old.seen, now.seen) {
		return nil
	}
	if old.where != now.where {
		// A snapshot that adds to an earlier one tells by the archive that this
		// version has moved.
		if err := r.exec("UPDATE archive SET settled = ? WHERE id = ? AND settled < ?", r.run.ID, now.where.archive, r.run.ID); err != nil {
			return err
		}
	}
	return r.exec("UPDATE file SET size = ?, archive = ?, member = ?, seen = ? WHERE dir = ? AND name = ?",
		now.size, now.where.archive, now.where.member, now.seen, dir, name)
}
