package catalog

import (
	"cmp"
	"database/sql"
	"slices"

	"github.com/firn-archive/firn"
)

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
