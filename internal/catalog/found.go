package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
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

// A run that stands for a time has the seconds since 1970 in its id, above the
// bits that tell trees apart, on top of a base: for what is older than all syncs
// a negative one, so that the ids are below 0; for what is later than all that
// a recovered catalog knew, one that leaves them below the recovery's own run.
const (
	treeBits  = 8
	foundSpan = 1 << 33 << treeBits // up to the year 2242
	// earliestFound is before the year 1, which stands for a time that nobody
	// knows. latestFound leaves room for runs that have to move on. Where somebody
	// says less or more, no id overflows.
	earliestFound, latestFound = -1 << 36, 1<<33 - 1<<16
)

// A foundRun stands for a time in a tree.
type foundRun struct {
	tree, sec int64
	late      bool
}

// foundAt is the run that stands for a time, as near as a run can.
func foundAt(tree int64, when time.Time, late bool) foundRun {
	earliest := int64(earliestFound)
	if late {
		earliest = 0
	}
	return foundRun{tree, min(max(when.Unix(), earliest), latestFound), late}
}

// runOf gives the id of a run that stands for a time, which it makes if need
// be: for a second later where a tree that shares its bits was first.
func (t *taker) runOf(r foundRun) (id int64, err error) {
	if id, ok := t.runs[r]; ok {
		return id, nil
	}
	for sec, owner := r.sec, int64(-1); owner != r.tree; sec++ {
		if id = sec<<treeBits | r.tree&(1<<treeBits-1) - foundSpan; r.late {
			id += t.run.ID
		}
		err := t.exec(`INSERT OR IGNORE INTO run (id, store, tree, command, started, started_ns, ended, ended_ns, complete)
			VALUES (?, ?, ?, 'found', ?, 0, ?, 0, 1)`, id, t.run.Store, r.tree, sec, sec)
		if err != nil {
			return 0, err
		}
		if err := t.row("SELECT tree FROM run WHERE id = ?", id).Scan(&owner); err != nil {
			return 0, err
		}
	}
	t.runs[r] = id
	return id, nil
}

// openRecovery finds this catalog's recovery of a store that isn't over: it was
// not completed, nor has it worked in an inventory to the end.
const openRecovery = `SELECT id FROM run WHERE store = ? AND tree = 0 AND command = 'recover' AND complete = 0 AND catalog = 1
	AND NOT EXISTS (SELECT 1 FROM inventory i WHERE i.store = run.store AND i.state = 3 AND i.run = run.id) ORDER BY id DESC LIMIT 1`

// roomForRuns gives the number that the runs of others stay below.
func roomForRuns(tx tx, store int64) (limit int64, err error) {
	err = tx.row(openRecovery, store).Scan(&limit)
	if isNoRows(err) {
		return math.MaxInt64, nil
	}
	return limit - foundSpan, err
}

// BeginRecovery begins the run in which what is known of a store is put
// together again, or goes on with the one that wasn't completed. Before its
// number it leaves room for the runs of the snapshots, and behind those for runs
// that stand for what is newer: whatever comes when, it is in the order of time,
// and before what is synced afterwards.
func (c *Catalog) BeginRecovery(ctx context.Context, store int64) (run Run, err error) {
	err = c.write(ctx, "begin recovery", fmt.Sprint("of store ", store), func(tx tx) error {
		var id int64
		err := tx.row(openRecovery, store).Scan(&id)
		if isNoRows(err) {
			sec, nsec := instant(c.clock.Now())
			id, err = tx.insert("INSERT INTO run (id, store, tree, command, started, started_ns) VALUES ((SELECT max(0, coalesce(max(id), 0)) + ? FROM run), ?, 0, 'recover', ?, ?)",
				2*foundSpan, store, sec, nsec)
		}
		if err != nil {
			return err
		}
		if err := tx.exec("UPDATE run SET ended = NULL, ended_ns = NULL WHERE id = ?", id); err != nil {
			return err
		}
		if err := tx.exec("DELETE FROM run_count WHERE run = ?", id); err != nil {
			return err
		}
		run, err = readRun(tx, id)
		return err
	})
	return run, err
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

// freeRun gives the run of a time, or the next one, that made no version of the
// path yet.
func (t *taker) freeRun(p *placed, when time.Time) (int64, error) {
	for run := foundAt(p.tree, when, p.late); ; run.sec++ {
		id, err := t.runOf(run)
		if err != nil {
			return 0, err
		}
		var used bool
		err = t.row("SELECT EXISTS (SELECT 1 FROM file WHERE dir = ? AND name = ? AND since = ?) OR EXISTS (SELECT 1 FROM version WHERE dir = ? AND name = ? AND since = ?)",
			p.dir, []byte(p.name), id, p.dir, []byte(p.name), id).Scan(&used)
		if err != nil || !used {
			return id, err
		}
	}
}

// archives records the finds' archives, with what they hold, and gives their
// rows: 0 of one that is accounted for.
func (t *taker) archives(finds []Find) (rows []int64, err error) {
	known, err := t.known(finds)
	if err != nil {
		return nil, err
	}
	rows = make([]int64, len(finds))
	if t.next == 0 {
		if err := t.row("SELECT coalesce(max(id), 0) + 1 FROM archive").Scan(&t.next); err != nil {
			return nil, err
		}
	}
	held := make([]heldIn, 0, len(finds))
	for i := range finds {
		f := &finds[i]
		if rows[i], err = t.archive(f, known[i]); err != nil {
			return nil, err
		}
		if rows[i] == 0 {
			t.done.Known++
			continue
		}
		held = f.holds(rows[i], held)
	}
	if err := t.in.rows(); err != nil {
		return nil, err
	}
	if !t.strangers { // the next ones are looked for
		if err := t.in.index(insertRemotes); err != nil {
			return nil, err
		}
		t.c.remotes.fresh.Add(int64(len(t.in.remotes)))
		t.in.remotes = t.in.remotes[:0]
	}
	hashes, err := insertHeld(t.tx, held)
	t.hashes = append(t.hashes, hashes...)
	return rows, err
}

// archive records the archive of a find, by what is known of it, and gives its row:
// 0 where it is accounted for.
func (t *taker) archive(f *Find, known knownRow) (row int64, err error) {
	state := f.state()
	switch {
	case known.id == 0:
		row = t.next
		t.next++
		t.done.Archives++
		err = t.in.add(t.run.Store, row, f, state, 0, t.run.ID)
	case known.state == Foreign && state == Stored:
		row = known.id
		err = t.exec("UPDATE archive SET state = 10, settled = ?, kind = ? WHERE id = ?", t.run.ID, string(f.Kind), row)
		if err == nil {
			err = keepReceipt(t.tx, row, f.Archive.Receipt)
		}
		if err == nil {
			err = t.in.describe(row, f)
		}
	case known.state == Stored && known.loose && len(f.Members) > 0:
		return t.nameLoose(f, known.id) // it counts as stored already
	default:
		return 0, nil
	}
	if err == nil && state == Stored {
		t.stored.Files++
		t.stored.Bytes += f.Archive.Size
	}
	return row, err
}

// nameLoose makes a loose archive one of the find's kind, if it is the one that the
// find says, and can be; else it gives 0.
func (t *taker) nameLoose(f *Find, row int64) (int64, error) {
	var tree, sec, nsec any
	if !f.Archive.Tree.IsZero() {
		tree = f.Archive.Tree[:]
	}
	if !f.Archive.Created.IsZero() {
		sec, nsec = instant(f.Archive.Created)
	}
	err := t.row(`UPDATE archive AS a SET settled = ?, kind = ?, created = coalesce(nullif(created, -62135596800), ?),
		created_ns = iif(coalesce(created, -62135596800) = -62135596800, ?, created_ns)
		WHERE id = ? AND size = ? AND (tree IS NULL OR tree = coalesce(?, tree)) AND `+canBeNamed+" RETURNING id",
		t.run.ID, string(f.Kind), sec, nsec, row, f.Archive.Size, tree).Scan(&row)
	if err != nil {
		return 0, ignoreNoRows(err)
	}
	return row, t.in.redescribe(row, f)
}

// state is that of its archive: what nobody understands is there, and no more.
func (f *Find) state() State {
	if f.Kind == ForeignArchive && len(f.Members) == 0 {
		return Foreign
	}
	return Stored
}

// holds appends the contents of the find, by their numbers.
func (f *Find) holds(archive int64, all []heldIn) []heldIn {
	before := len(all)
	for i := range f.Members {
		m := &f.Members[i]
		if m.Number >= 0 && m.Kind == firn.Regular && m.Content.Size > 0 {
			all = append(all, heldIn{archive, held{m.Number, m.Offset, m.Content}})
		}
	}
	if one := all[before:]; len(one) > 1 {
		slices.SortFunc(one, func(a, b heldIn) int { return cmp.Compare(a.number, b.number) })
		one = slices.CompactFunc(one, func(a, b heldIn) bool { return a.number == b.number })
		all = all[:before+len(one)]
	}
	return all
}

// known finds the rows of archives that are recorded. One whose token an upload
// under way has counts as dropped: reconciliation will see to it. So does a
// find's archive that an earlier find has, whose row is -1.
func (t *taker) known(finds []Find) ([]knownRow, error) {
	rows := make([]knownRow, len(finds))
	if t.strangers {
		return rows, nil
	}
	ids := make([]hashedID, len(finds))
	for i := range finds {
		ids[i] = hashedID{i, finds[i].key(), string(finds[i].Archive.ID)}
	}
	for _, half := range inBothHalves {
		err := half.lookUp(t.tx, ids, t.run.Store, func(r *sql.Rows) error {
			var i int
			var row recordedRow
			err := row.scan(r, &i)
			if finds[i].mayHave(row.token) && row.id > rows[i].id {
				rows[i] = knownRow{row.id, row.state, row.loose}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	seen := make(map[firn.ArchiveID]bool, len(finds))
	for i := range finds {
		f := &finds[i]
		if seen[f.Archive.ID] {
			rows[i] = knownRow{id: -1, state: Dropped}
		}
		seen[f.Archive.ID] = true
		if rows[i].id != 0 || f.Token.IsZero() {
			continue
		}
		err := t.row("SELECT id, state FROM archive WHERE token = ? AND state < 10 AND store = ?", f.Token[:], t.run.Store).Scan(&rows[i].id, &rows[i].state)
		if err := ignoreNoRows(err); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// A knownRow is what is recorded of a find's archive; id 0: nothing.
type knownRow struct {
	id    int64
	state State
	loose bool
}

// mayHave reports whether a row with a token may be that of the archive: ids that are
// names are used again, for archives of other tokens.
func (f *Find) mayHave(token []byte) bool {
	return len(token) == 0 || f.Token.IsZero() || string(token) == string(f.Token[:])
}

// An archiveInsert writes the rows of archives that were found.
type archiveInsert struct {
	tx
	archives, descriptions, seals *batch
	receipts                      *batch
	remotes                       []hashed // written last, in the order of the index
}

// A hashed is a 64-bit hash, and what has it.
type hashed struct{ h64, of int64 }

func (h hashed) compare(o hashed) int { return cmp.Compare(h.h64, o.h64) }

var (
	insertFound = newBulk(`INSERT INTO archive (id, store, kind, state, run, settled, token, remote, size, tree, created, created_ns)
		VALUES `, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "")
	insertDescriptions = newBulk("INSERT OR REPLACE INTO description (archive, text, format, packed) VALUES ", "(?, ?, ?, ?)", "")
	insertSeals        = newBulk("INSERT OR REPLACE INTO seal (archive, header, recipients) VALUES ", "(?, ?, ?)", "")
	insertRemotes      = newBulk("INSERT OR IGNORE INTO by_remote_new (h64, archive) VALUES ", "(?, ?)", "")

	insertSortedRemotes = newBulk("INSERT INTO by_remote (h64, archive) VALUES ", "(?, ?)", "")
	insertSortedTrees   = newBulk("INSERT INTO by_tree (h64, archive, member) VALUES ", "(?, ?, ?)", "")
)

func newArchiveInsert(tx tx) archiveInsert {
	return archiveInsert{tx: tx, archives: insertFound.batch(tx), descriptions: insertDescriptions.batch(tx), seals: insertSeals.batch(tx), receipts: insertReceipts.batch(tx)}
}

// add adds the rows of one archive. Run is the one that intended it, settled that
// in which it got its state.
func (in *archiveInsert) add(store, id int64, f *Find, state State, run, settled int64) error {
	a := &f.Archive
	var token, tree, sec, nsec any
	if !f.Token.IsZero() {
		token = f.Token[:]
	}
	if !a.Tree.IsZero() {
		tree = a.Tree[:]
	}
	if !a.Created.IsZero() {
		sec, nsec = instant(a.Created)
	}
	err := in.archives.add(id, store, string(f.Kind), state, run, settled, token, string(a.ID), a.Size, tree, sec, nsec)
	if err == nil {
		err = in.describe(id, f)
	}
	if err == nil && len(f.Header) > 0 {
		err = in.seals.add(id, f.Header, f.Recipients[:])
	}
	if r := told(a.Receipt); err == nil && r != (firn.Receipt{}) {
		err = in.receipts.add(id, r.Class, r.Checksum)
	}
	in.remotes = append(in.remotes, hashed{f.key(), id})
	return err
}

// describe keeps the description of an archive where it can't be made again.
func (in *archiveInsert) describe(id int64, f *Find) error {
	if !f.isDescribed() {
		return nil
	}
	return in.descriptions.add(id, f.Archive.Description, f.Format, f.Packed)
}

// redescribe is describe of an archive whose description was kept so far.
func (in *archiveInsert) redescribe(id int64, f *Find) error {
	if f.isDescribed() {
		return in.describe(id, f)
	}
	return in.exec("DELETE FROM description WHERE archive = ?", id)
}

// flush writes what was added.
func (in *archiveInsert) flush() error {
	if err := in.rows(); err != nil {
		return err
	}
	return in.index(insertRemotes)
}

// rows writes what was added but for the index.
func (in *archiveInsert) rows() error {
	for _, b := range []*batch{in.archives, in.descriptions, in.seals, in.receipts} {
		if err := b.flush(); err != nil {
			return err
		}
	}
	return nil
}

// index writes the index of the ids, in its order.
func (in *archiveInsert) index(into *bulk) error {
	slices.SortFunc(in.remotes, hashed.compare)
	b := into.batch(in.tx)
	for _, h := range in.remotes {
		if err := b.add(h.h64, h.of); err != nil {
			return err
		}
	}
	return b.flush()
}

// A heldIn is a content and the archive that holds it.
type heldIn struct {
	archive int64
	held
}

// A heldHash is the key of a content in by_tree.
type heldHash struct{ h64, archive, number int64 }

func (h heldHash) compare(o heldHash) int {
	return cmp.Or(cmp.Compare(h.h64, o.h64), cmp.Compare(h.archive, o.archive), cmp.Compare(h.number, o.number))
}

// holdAll writes what archives hold, in the order of their numbers, and indexes
// it.
func (c *Catalog) holdAll(tx tx, all []heldIn) error {
	hashes, err := insertHeld(tx, all)
	if err != nil {
		return err
	}
	return c.indexHashes(tx, hashes)
}

// insertHeld writes what archives hold, and gives what is to be indexed: content
// that nobody read has no hash, and is not to be found by it.
func insertHeld(tx tx, all []heldIn) (hashes []heldHash, err error) {
	b := insertLocations.batch(tx)
	hashes = make([]heldHash, 0, len(all))
	for i := range all {
		h := &all[i]
		var tree any
		if !h.Tree.IsZero() {
			tree = h.Tree[:]
			hashes = append(hashes, heldHash{hash64(h.Tree), h.archive, h.number})
		}
		if err := b.add(h.archive, h.number, h.offset, h.Size, tree); err != nil {
			return nil, err
		}
	}
	return hashes, b.flush()
}

// indexHashes makes contents findable, in the order of the index.
func (c *Catalog) indexHashes(tx tx, hashes []heldHash) error {
	c.trees.fresh.Add(int64(len(hashes)))
	return insertHashes(tx, hashes, insertTrees)
}

func insertHashes(tx tx, hashes []heldHash, into *bulk) error {
	slices.SortFunc(hashes, heldHash.compare)
	b := into.batch(tx)
	for _, h := range hashes {
		if err := b.add(h.h64, h.archive, h.number); err != nil {
			return err
		}
	}
	return b.flush()
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
