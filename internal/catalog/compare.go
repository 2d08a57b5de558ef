package catalog

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"iter"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/treehash"
)

// InventoryMargin is how much older than an inventory something must be to show
// in it for sure, where inventories lag: see Comparison.Unlisted.
const InventoryMargin = missingMargin

// A Verdict says how what a store lists and what the catalog knows of an archive
// differ.
type Verdict uint8

// The verdicts. Of several that hold of an archive the first counts.
const (
	Stranger    Verdict = iota + 1 // listed, and nothing is recorded under its id
	OtherSize                      // listed with another size than is recorded
	OtherTree                      // listed with another tree hash
	OtherWords                     // listed under another description, or firn's of another archive
	Returned                       // recorded as lost, and listed
	Lingering                      // recorded as deleted, and listed: see Difference.Outlived
	Untold                         // as recorded, but when it was made, its tree hash, or its storage class, was not known before, or it has another class by now
	Vanished                       // recorded as stored, and not listed
	TooNew                         // recorded as stored, and too young to be listed for sure
	Departed                       // another program's that nobody took in, and not listed any more
	lastVerdict = Departed
)

// String names the verdict, for people and records.
func (v Verdict) String() string {
	names := [lastVerdict + 1]string{
		Stranger: "stranger", OtherSize: "size", OtherTree: "hash", OtherWords: "description", Returned: "returned",
		Lingering: "lingering", Untold: "untold", Vanished: "vanished", TooNew: "new", Departed: "departed",
	}
	if v == 0 || v > lastVerdict {
		return "unknown"
	}
	return names[v]
}

// A Difference is an archive of which store and catalog say different things.
type Difference struct {
	Verdict Verdict
	// Archive is as the store lists it; as the catalog has it where it doesn't.
	Archive firn.Archive

	// What the catalog knows; nothing of a Stranger.
	Row   int64
	Kind  ArchiveKind
	State State
	Size  int64         // bytes as stored
	Tree  treehash.Hash // of these; zero: not known
	// Own: a run of this catalog stored it, not one of another machine's, and
	// nobody found it.
	Own bool
	// Leaving: no version needs it, and it is deleted once it is due.
	Leaving bool
	// Ended is when it was deleted or found missing, by the local clock; zero where
	// it wasn't, or nobody knows.
	Ended time.Time
}

// Outlived reports, of a Lingering archive, whether an inventory of that date
// shows that it was not deleted after all: it would have left it by then. Margin
// is as for Comparison.Unlisted.
func (d *Difference) Outlived(dated time.Time, margin time.Duration) bool {
	// Deletions are known by the local clock.
	return d.Verdict == Lingering && !d.Ended.IsZero() && dated.After(d.Ended.Add(max(margin, time.Hour)))
}

// A Comparison compares the archives that a store lists, as they are read, with
// what the catalog knows of it. It remembers which those were, by a bit each; what
// is as it was recorded costs nothing more. It is for one goroutine.
type Comparison struct {
	Same  firn.Count // archives that are as recorded, and the bytes in them
	Twice int64      // archives that were listed before
	// Nameless are archives without an id, which nobody can ask for.
	Nameless int64

	c     *Catalog
	store int64
	seen  map[int64]*[seenWords]uint64 // rows, by the block in which they are
	again bool                         // what comes was added before
}

// seenWords is how many words a block of seen rows has.
const seenWords = 512

// NewComparison begins to compare the archives of a store.
func (c *Catalog) NewComparison(store int64) *Comparison {
	return &Comparison{c: c, store: store, seen: map[int64]*[seenWords]uint64{}}
}

// see notes that a row is listed, and reports whether it was so before.
func (m *Comparison) see(row int64) (before bool) {
	block := m.seen[row/(seenWords*64)]
	if block == nil {
		block = new([seenWords]uint64)
		m.seen[row/(seenWords*64)] = block
	}
	word, bit := row/64%seenWords, uint64(1)<<(row%64)
	before = block[word]&bit != 0
	block[word] |= bit
	return before
}

func (m *Comparison) hasSeen(row int64) bool {
	block := m.seen[row/(seenWords*64)]
	return block != nil && block[row/64%seenWords]&(1<<(row%64)) != 0
}

// The bits in which an archive agrees with what is recorded.
const (
	sameSize = 1 << iota
	sameTree
	sameWords
	allTold
	sameAll = sameSize | sameTree | sameWords | allTold
)

// compareIn looks archives up in one half of the index, and says in which bits
// they are as recorded. The description is kept of those alone that others wrote,
// or that are of no tree; of firn's own the token is compared.
func compareIn(index string) *bulk {
	return newBulk(`SELECT v.column1, a.id, a.state, (a.size = v.column5)
		+ 2 * (a.tree IS NULL OR v.column6 IS NULL OR a.tree = v.column6)
		+ 4 * (CASE WHEN a.kind IN ('foreign', 'loose') THEN coalesce((SELECT text = v.column4 FROM description WHERE archive = a.id), 1) ELSE 1 END)
		+ 8 * (a.created IS NOT NULL AND a.created != -62135596800 AND (a.tree IS NOT NULL OR v.column6 IS NULL)
			AND (v.column7 = '' OR v.column7 IS (SELECT class FROM object WHERE archive = a.id))),
		CASE WHEN a.kind IN ('foreign', 'loose') THEN NULL ELSE a.token END
		FROM (VALUES `, "(?, ?, ?, ?, ?, ?, ?)", ") v CROSS JOIN "+index+` b ON b.h64 = v.column2
		CROSS JOIN archive a ON a.id = b.archive AND a.remote = v.column3 AND a.store = ?`)
}

var compareHalves = []*bulk{compareIn("by_remote_new"), compareIn("by_remote")}

// comparers is how many connections compare at a time: SQLite takes two thirds of
// what an inventory takes to be compared, and another goroutine reads it.
const comparers = 2

// Add compares archives as the store lists them, of which some thousands at a
// time are best, and gives those that aren't as recorded.
func (m *Comparison) Add(ctx context.Context, listed []firn.Archive) (all []Difference, err error) {
	ids := make([]hashedID, 0, len(listed))
	for i := range listed {
		if id := listed[i].ID; id != "" {
			ids = append(ids, hashedID{i, remote64(id), string(id)})
		} else {
			m.Nameless++
		}
	}
	sortHashed(ids)
	parts := make([][]compared, comparers)
	group, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		some := ids[i*len(ids)/comparers : (i+1)*len(ids)/comparers]
		group.Go(func() (err error) {
			parts[i], err = m.compare(ctx, some, listed)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	chosen := best(parts, len(listed))
	for _, part := range parts {
		for i := range part {
			one := &part[i]
			switch {
			case chosen[one.place] != one:
			case m.see(one.row) && !m.again:
				m.Twice++
			case one.differs == nil:
				m.Same.Files++
				m.Same.Bytes += listed[one.place].Size
			default:
				all = append(all, *one.differs)
			}
		}
	}
	for i := range listed {
		if chosen[i] == nil && listed[i].ID != "" {
			all = append(all, Difference{Verdict: Stranger, Archive: listed[i]})
		}
	}
	return all, nil
}

// compared is a listed archive, by its place in the list, that has a row.
type compared struct {
	place   int
	row     int64
	agrees  int         // in which bits
	differs *Difference // nil: it is as recorded
}

// compare looks up archives of a list, by their ids in the order of the index.
func (m *Comparison) compare(ctx context.Context, ids []hashedID, listed []firn.Archive) (all []compared, err error) {
	all = make([]compared, 0, len(ids))
	err = m.c.read(ctx, "compare inventory", fmt.Sprint("of store ", m.store), func(tx tx) error {
		for _, half := range compareHalves {
			err := half.compare(tx, ids, listed, m.store, func(place int, row int64, state State, agrees int) error {
				one := compared{place: place, row: row, agrees: agrees}
				if agrees == sameAll && (state == Stored || state == Foreign) {
					all = append(all, one)
					return nil
				}
				d, err := known(tx, row)
				d.Archive, d.Verdict = listed[place], verdictOf(state, agrees)
				one.differs = &d
				all = append(all, one)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// verdictOf is what is said of a listed archive of which something is recorded.
func verdictOf(state State, agrees int) Verdict {
	switch {
	case state == Deleted || state == Dropped:
		return Lingering
	case agrees&sameSize == 0:
		return OtherSize
	case agrees&sameTree == 0:
		return OtherTree
	case agrees&sameWords == 0:
		return OtherWords
	case state == Lost:
		return Returned
	}
	return Untold
}

// compare runs compareIn for archives, in the order of the index.
func (b *bulk) compare(tx tx, ids []hashedID, listed []firn.Archive, store int64, each func(place int, row int64, state State, agrees int) error) error {
	var place, agrees int
	var row int64
	var state State
	var token sql.RawBytes
	var tokens tokenFinder
	dest := []any{&place, &row, &state, &agrees, &token}
	q := b.batch(tx, store)
	for i, id := range ids {
		a := &listed[id.place]
		var tree any
		if !a.Tree.IsZero() {
			tree = a.Tree[:]
		}
		q.args = append(q.args, id.place, id.h64, id.remote, a.Description, max(a.Size, 0), tree, told(a.Receipt).Class)
		if !q.full() && i < len(ids)-1 {
			continue
		}
		err := q.query(func(rows *sql.Rows) error {
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			if len(token) > 0 && !tokens.has(listed[place].Description, token) {
				agrees &^= sameWords
			}
			return each(place, row, state, agrees)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tokenIn is the token in a description of firn's, for its column.
func tokenIn(description string) any {
	if token, ok := describe.TokenOf(description); ok {
		return token[:]
	}
	return nil
}

// A tokenFinder finds tokens in descriptions of firn's: most are as expected, and
// then a look for the token itself is several times faster than reading all of the
// description.
type tokenFinder struct{ coded, text, wanted []byte }

// has reports whether a description of firn's has the token.
func (f *tokenFinder) has(description string, token []byte) bool {
	if payload, ok := strings.CutPrefix(description, "mt2 "); ok {
		f.coded = append(f.coded[:0], payload...)
		f.text, _ = base64.RawURLEncoding.AppendDecode(f.text[:0], f.coded)
		f.wanted = append(base64.RawURLEncoding.AppendEncode(append(f.wanted[:0], `"id":"`...), token), '"')
		if bytes.Contains(f.text, f.wanted) {
			return true
		}
	}
	its, ok := describe.TokenOf(description)
	return ok && string(its[:]) == string(token)
}

// knownQuery reads what scanKnown takes.
const knownQuery = `SELECT a.id, a.kind, a.state, coalesce(a.remote, ''), a.size, a.tree, coalesce(a.created, -62135596800), coalesce(a.created_ns, 0),
	coalesce((SELECT catalog = 1 FROM run WHERE id = a.run), 0), EXISTS (SELECT 1 FROM deletion WHERE archive = a.id AND state > 0),
	CASE WHEN a.state IN (21, 22) THEN coalesce(a.ended, (SELECT coalesce(ended, started) FROM run WHERE id = a.settled)) END
	FROM archive a WHERE `

func scanKnown(rows interface{ Scan(...any) error }) (d Difference, err error) {
	var tree []byte
	var created, createdNs int64
	var ended sql.NullInt64
	var remote string
	err = rows.Scan(&d.Row, &d.Kind, &d.State, &remote, &d.Size, &tree, &created, &createdNs, &d.Own, &d.Leaving, &ended)
	copy(d.Tree[:], tree)
	d.Archive = firn.Archive{ID: firn.ArchiveID(remote), Created: at(created, createdNs), Size: d.Size, Tree: d.Tree}
	if ended.Valid {
		d.Ended = at(ended.Int64, 0)
	}
	return d, err
}

// known gives what is recorded of an archive, by its row.
func known(tx tx, row int64) (Difference, error) {
	return scanKnown(tx.row(knownQuery+"a.id = ?", row))
}

// Unlisted gives the archives that are recorded as in the store and were not
// added, once all that an inventory of that date lists was: in the order in which
// they were recorded. Those are Vanished that are older than the inventory by more
// than margin: InventoryMargin, or nothing where it shows all that was stored until
// then. Where the store didn't say when it made one, that is when its answer came,
// or the end of the run that stored it. It holds no lock while the consumer works,
// who may mark them as lost, and ends with the first error.
func (m *Comparison) Unlisted(ctx context.Context, dated time.Time, margin time.Duration) iter.Seq2[Difference, error] {
	return archivePages(ctx, m.c, m.store, func(tx tx, page []Difference, after, to int64) ([]Difference, error) {
		return m.unlisted(tx, page, after, to, dated.Add(-margin))
	})
}

// unlisted appends those of the archives in some range of rows.
func (m *Comparison) unlisted(tx tx, page []Difference, after, to int64, before time.Time) ([]Difference, error) {
	var absent []int64
	err := tx.each(func(rows *sql.Rows) error {
		var row int64
		err := rows.Scan(&row)
		if !m.hasSeen(row) {
			absent = append(absent, row)
		}
		return err
	}, "SELECT id FROM archive WHERE id > ? AND id <= ? AND store = ? AND state IN (10, 11) ORDER BY id", after, to, m.store)
	for _, row := range absent {
		if err != nil {
			return nil, err
		}
		var d Difference
		d, err = known(tx, row)
		if err == nil {
			d.Verdict, err = absence(tx, &d, before)
		}
		page = append(page, d)
	}
	return page, err
}

// absence is what it means that an archive isn't listed: nothing, unless it is
// surely older than before.
func absence(tx tx, d *Difference, before time.Time) (Verdict, error) {
	if d.State == Foreign { // an inventory has listed it
		return Departed, nil
	}
	var old sql.NullBool
	err := tx.row("SELECT coalesce(nullif(a.created, -62135596800), a.came, r.ended) < ? FROM archive a LEFT JOIN run r ON r.id = a.settled WHERE a.id = ?", before.Unix(), d.Row).Scan(&old)
	if old.Bool {
		return Vanished, err
	}
	return TooNew, err
}

// Differences compares what was staged of an inventory, after all of that was
// added: what Add gave, or may have. Somebody may have recorded some of it since.
// It holds no lock while the consumer works, and ends with the first error:
// Conflict, NotFound as Stage.
func (m *Comparison) Differences(ctx context.Context, inventory int64) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		m.again = true
		if _, _, err := m.staged(ctx, inventory, yield); err != nil {
			yield(Difference{}, err)
		}
	}
}

// staged compares what was staged of an inventory; false: the consumer has enough.
func (m *Comparison) staged(ctx context.Context, inventory int64, yield func(Difference, error) bool) (inv Inventory, ok bool, err error) {
	c := m.c
	last, end := rowsOf(inventory)
	last--
	for more := true; more; {
		var page []firn.Archive
		err := c.read(ctx, "compare inventory", fmt.Sprint(inventory), func(tx tx) error {
			if inv, err = findInventory(tx, inventory, inventoryStaged); err != nil {
				return err
			}
			page, last, err = stagedPage(tx, last, end, c.sizes.page)
			return err
		})
		if err != nil {
			return inv, false, err
		}
		m.store = inv.Store
		differences, err := m.Add(ctx, page)
		if err != nil {
			return inv, false, err
		}
		for i := range differences {
			if !yield(differences[i], nil) {
				return inv, false, nil
			}
		}
		more = len(page) == c.sizes.page
	}
	return inv, true, nil
}

// stagedPage reads so many rows of an inventory, behind the row last.
func stagedPage(tx tx, last, end int64, rows int) (page []firn.Archive, to int64, err error) {
	page = make([]firn.Archive, 0, rows)
	err = tx.each(func(r *sql.Rows) error {
		var remote string
		var tree sql.RawBytes
		var created int64
		var a firn.Archive
		err := r.Scan(&last, &remote, &a.Description, &created, &a.Size, &tree, &a.Class)
		copy(a.Tree[:], tree)
		a.ID, a.Created = firn.ArchiveID(remote), time.UnixMicro(created).UTC()
		page = append(page, a)
		return err
	}, "SELECT id, remote, description, created, size, tree, class FROM staged WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", last, end, rows)
	return page, last, err
}
