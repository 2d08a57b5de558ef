package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firn-archive/firn"
)

// A Find is an archive that a store has and this catalog didn't write: another
// program did, or a catalog that is lost. It says what is known of what it holds.
type Find struct {
	// Archive is what the store says of it. A zero Created is not known.
	Archive firn.Archive
	Kind    ArchiveKind
	Token   firn.Token // zero where others wrote it
	// Format says whose description it has, Packed how its maker compressed or
	// encrypted the content; the description is kept of foreign and loose ones.
	Format, Packed string
	// Header and Recipients are of encrypted archives: see Sealing.
	Header     []byte
	Recipients Recipients
	// Members are what it holds. Where there are none, an archive of kind
	// foreign is known to be there, and no more.
	Members []FoundMember
	// Late: its versions come after all that was recorded before the run, which
	// is of BeginRecovery, and not before all syncs. Either way they are in the
	// order in which they were made.
	Late bool

	h64 int64 // of the archive's id, once it is asked for; 0: it wasn't
}

// Prepare computes what is else computed while nobody else can write.
func (f *Find) Prepare() { f.key() }

// key is the archive's in by_remote.
func (f *Find) key() int64 {
	if f.h64 == 0 {
		f.h64 = remote64(f.Archive.ID)
	}
	return f.h64
}

// A FoundMember is an entry that a find holds.
type FoundMember struct {
	Tree string // its name
	firn.File
	// Content is that of a regular file; its hash is zero where nobody knows it.
	Content firn.Content
	// Number and Offset are as in Member.
	Number, Offset int64
	LinkGroup      int64
}

// TakenIn counts what became of finds.
type TakenIn struct {
	Archives int64 // that were not known
	Known    int64 // that were known already, or that an upload under way accounts for
	Versions int64 // of files that were not known
}

// TakeIn records finds, all or none of them; some thousands at a time are
// best. What is recorded already is passed over: it may be said twice. A
// foreign archive of which nothing was known gets its members when they are
// known later. So does a loose one that isn't encrypted, and is of the find's kind
// from then on. Trees that are named are made, bound to no directory.
// Errors: Invalid (a path or a tree's name that can't be).
func (c *Catalog) TakeIn(ctx context.Context, run Run, finds []Find) (done TakenIn, err error) {
	if len(finds) == 0 {
		return TakenIn{}, nil
	}
	if err := checkFinds(finds); err != nil {
		return TakenIn{}, err
	}
	if err := c.tidy(ctx); err != nil {
		return TakenIn{}, err
	}
	err = c.write(ctx, "take in", string(finds[0].Archive.ID), func(tx tx) error {
		t := newTaker(c, tx, run)
		if err := t.take(finds); err != nil {
			return err
		}
		done, err = t.finish()
		return err
	})
	if err != nil {
		return TakenIn{}, err
	}
	return done, nil
}

func checkFinds(finds []Find) error {
	for i := range finds {
		f := &finds[i]
		if f.Archive.ID == "" || f.Archive.Size < 0 {
			return &firn.Error{Op: "take in", Subject: string(f.Archive.ID), Kind: firn.Invalid, Err: fmt.Errorf("an archive of %d bytes, with the id %q", f.Archive.Size, f.Archive.ID)}
		}
		for j := range f.Members {
			m := &f.Members[j]
			if err := checkTreeName(m.Tree); err != nil {
				return err
			}
			if err := checkPath(m.Path); err != nil {
				return err
			}
			if m.Path == "" && m.Kind != firn.Directory {
				return &firn.Error{Op: "take in", Subject: string(f.Archive.ID), Kind: firn.Invalid, Err: errPath}
			}
		}
	}
	return nil
}

// A taker takes finds in, within one transaction.
type taker struct {
	tx
	c         *Catalog
	run       Run
	next      int64 // row for an archive
	in        archiveInsert
	hashes    []heldHash // of what was held, to be indexed
	merger    *merger
	trees     map[string]*recorder // by name; they make directories
	runs      map[foundRun]int64   // those that stand for times, known to be there
	stored    firn.Count
	done      TakenIn
	strangers bool // none of the finds is known, and each is there once
}

func newTaker(c *Catalog, tx tx, run Run) *taker {
	return &taker{c: c, tx: tx, run: run, in: newArchiveInsert(tx), merger: newMerger(tx), trees: map[string]*recorder{}, runs: map[foundRun]int64{}}
}

// A placed revision is one with its place.
type placed struct {
	revision
	slot
	tree  int64
	made  time.Time
	late  bool
	fresh bool // nothing is in its directory
}

// take takes in some thousands of finds.
func (t *taker) take(finds []Find) error {
	for _, r := range t.trees {
		r.group++ // what was made for earlier ones isn't empty any more
	}
	rows, err := t.archives(finds)
	if err != nil {
		return err
	}
	all := make([]placed, 0, len(finds))
	for i := range finds {
		for j := range finds[i].Members {
			if rows[i] == 0 {
				break
			}
			p, err := t.placed(&finds[i], &finds[i].Members[j], rows[i])
			if err != nil {
				return err
			}
			all = append(all, p)
		}
	}
	if err := t.placeAll(all); err != nil {
		return err
	}
	return t.merger.flush()
}

// finish writes what was gathered over all finds.
func (t *taker) finish() (TakenIn, error) {
	if err := t.index(); err != nil {
		return TakenIn{}, err
	}
	if err := t.exec("UPDATE store SET archives = archives + ?, bytes = bytes + ? WHERE id = ?", t.stored.Files, t.stored.Bytes, t.run.Store); err != nil {
		return TakenIn{}, err
	}
	if t.done.Versions = t.merger.added; t.done.Versions > 0 {
		if err := disown(t.tx, t.run.Store); err != nil {
			return TakenIn{}, err
		}
	}
	return t.done, t.merger.finish()
}

// index writes the indexes of what was gathered.
func (t *taker) index() error {
	into := insertRemotes
	straight, err := t.c.isStraight(t.tx, &t.c.remotes, len(t.in.remotes))
	if straight {
		into = insertSortedRemotes
	} else {
		t.c.remotes.fresh.Add(int64(len(t.in.remotes)))
	}
	if err == nil {
		err = t.in.index(into)
	}
	if err != nil {
		return err
	}
	if straight, err = t.c.isStraight(t.tx, &t.c.trees, len(t.hashes)); straight {
		return insertHashes(t.tx, t.hashes, insertSortedTrees)
	}
	return errors.Join(err, t.c.indexHashes(t.tx, t.hashes))
}

// disown lets nothing add to the snapshots that were made so far: what is taken
// in, and what is forgotten, doesn't look newer than they are.
func disown(tx tx, store int64) error {
	return tx.exec("UPDATE snapshot SET own = 0 WHERE store = ? AND own != 0", store)
}

// placed makes the revision of a member, of a run that stands for the hour
// when it was made.
func (t *taker) placed(f *Find, m *FoundMember, archive int64) (p placed, err error) {
	r, err := t.tree(m.Tree)
	if err != nil {
		return p, err
	}
	parent, base := m.Path, ""
	if m.Kind != firn.Directory {
		parent, base = split(m.Path)
	}
	dir, err := r.makeDir(parent)
	if err != nil {
		return p, err
	}
	p = placed{slot: slot{dir.id, base}, tree: r.run.Tree, made: f.Archive.Created, late: f.Late, fresh: dir.group == r.group}
	p.revision = revision{
		mode: modeOf(m.Kind, m.Mode), size: m.Stamp.Size, uid: int64(m.UID), gid: int64(m.GID), group: m.LinkGroup,
	}
	p.mtime, p.mtimeNs = instant(m.Stamp.ModTime)
	switch {
	case m.Kind == firn.Symlink:
		p.target = []byte(m.Target)
	case m.Kind == firn.Regular && m.Number >= 0 && m.Content.Size > 0:
		p.where = place{archive, m.Number}
	}
	p.since, err = t.runOf(foundAt(p.tree, p.made.Truncate(time.Hour), p.late))
	return p, err
}

// tree gives the recorder of a tree, which is made, bound to nothing, if there
// is none of the name.
func (t *taker) tree(name string) (*recorder, error) {
	if r := t.trees[name]; r != nil {
		return r, nil
	}
	if err := t.exec("INSERT INTO tree (store, name, host, root) VALUES (?, ?, '', x'') ON CONFLICT (store, name) DO NOTHING", t.run.Store, name); err != nil {
		return nil, err
	}
	run := Run{Store: t.run.Store}
	if err := t.row("SELECT id FROM tree WHERE store = ? AND name = ?", t.run.Store, name).Scan(&run.Tree); err != nil {
		return nil, err
	}
	r := newRecorder(t.tx, run)
	t.trees[name] = r
	return r, nil
}

// placeAll puts revisions into the histories of their paths: at once where there is none.
func (t *taker) placeAll(all []placed) error {
	count := make(map[slot]int, len(all))
	var maybe []slot
	for i := range all {
		p := &all[i]
		if count[p.slot]++; count[p.slot] == 1 && !p.fresh {
			maybe = append(maybe, p.slot)
		}
	}
	has, err := taken(t.tx, maybe)
	if err != nil {
		return err
	}
	for i, s := range maybe {
		if has[i] {
			count[s] = 2
		}
	}
	for i := range all {
		p := &all[i]
		if count[p.slot] == 1 {
			err = t.merger.add(p.tree, p.slot, []revision{p.revision})
		} else {
			err = t.insert(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// insert puts one revision into a history.
func (t *taker) insert(p *placed) error {
	if err := t.merger.flush(); err != nil {
		return err
	}
	past, err := history(t.tx, p.slot)
	if err != nil {
		return err
	}
	if err := t.demote(past, p); err != nil {
		return err
	}
	if same, err := t.isDouble(past, p); err != nil || same {
		return err
	}
	revisions := []revision{p.revision}
	if i := slices.IndexFunc(past, func(r revision) bool { return r.since == p.since }); i >= 0 {
		if revisions, err = t.apart(past[i], p); err != nil {
			return err
		}
	}
	return t.merger.merge(p.tree, p.slot, revisions)
}

// demote takes a late find for an old version if it was in the store before what
// is the newest that was recorded: its answer was lost, and its content replaced
// since. Both times are the store's; an inventory that is being worked in may
// know the one that the catalog doesn't.
func (t *taker) demote(past []revision, p *placed) error {
	base := t.run.ID - foundSpan // late finds come after it
	n := len(past)
	for n > 0 && past[n-1].since >= base {
		n--
	}
	if !p.late || n == 0 || past[n-1].where.archive == 0 {
		return nil
	}
	var now sql.NullInt64
	var remote firn.ArchiveID
	err := t.row("SELECT created, coalesce(remote, '') FROM archive WHERE id = ?", past[n-1].where.archive).Scan(&now, &remote)
	if err == nil && !now.Valid {
		err = t.row(`SELECT s.created / 1000000 FROM inventory i CROSS JOIN by_staged b ON b.inventory = i.id AND b.h64 = ?
			CROSS JOIN staged s ON s.id = b.staged AND s.remote = ? WHERE i.store = ? AND i.state = 2 LIMIT 1`, remote64(remote), string(remote), t.run.Store).Scan(&now)
	}
	if err != nil || !now.Valid || p.made.Unix() >= now.Int64 {
		return ignoreNoRows(err)
	}
	p.late = false
	p.since, err = t.runOf(foundAt(p.tree, p.made.Truncate(time.Hour), false))
	return err
}

// isDouble reports whether a late find is what was current before it: its
// upload was answered twice, or not at all.
func (t *taker) isDouble(past []revision, p *placed) (bool, error) {
	i, _ := slices.BinarySearchFunc(past, p.since, func(r revision, since int64) int { return cmp.Compare(r.since, since) })
	if !p.late || i == 0 {
		return false, nil
	}
	now := &past[i-1]
	if now.mode != p.mode || now.size != p.size || now.mtime != p.mtime || now.mtimeNs != p.mtimeNs || string(now.target) != string(p.target) {
		return false, nil
	}
	if now.where == p.where {
		return true, nil
	}
	var same bool
	err := t.row(`SELECT a.tree IS b.tree AND a.tree IS NOT NULL FROM location a, location b WHERE a.archive = ? AND a.member = ? AND b.archive = ? AND b.member = ?`,
		now.where.archive, now.where.member, p.where.archive, p.where.member).Scan(&same)
	return same, ignoreNoRows(err)
}

// apart gives two revisions of one hour runs of their own, in the order in which
// they were made. One of them is recorded under the hour's run.
func (t *taker) apart(first revision, p *placed) ([]revision, error) {
	var sec int64
	err := t.row("SELECT coalesce((SELECT created FROM archive WHERE id = ?), 0)", first.where.archive).Scan(&sec)
	if err != nil {
		return nil, err
	}
	if other := time.Unix(sec, 0).UTC(); other.Truncate(time.Hour).Equal(p.made.Truncate(time.Hour)) && other.After(p.made) {
		first.since, err = t.freeRun(p, other)
		return []revision{p.revision, first}, err
	}
	p.since, err = t.freeRun(p, p.made)
	return []revision{p.revision}, err
}

// StagedInventory gives the inventory that a recovery has staged, if it has and
// didn't come to its end.
func (c *Catalog) StagedInventory(ctx context.Context, run Run) (inv Inventory, ok bool, err error) {
	err = c.read(ctx, "find inventory", fmt.Sprint("of store ", run.Store), func(tx tx) error {
		err := tx.row("SELECT id FROM inventory WHERE store = ? AND run = ? AND state = 2 ORDER BY id DESC LIMIT 1", run.Store, run.ID).Scan(&inv.ID)
		if isNoRows(err) {
			return nil
		}
		if err == nil {
			inv, err = findInventory(tx, inv.ID, inventoryStaged)
			ok = err == nil
		}
		return err
	})
	return inv, ok, err
}
