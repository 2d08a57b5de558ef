package glacierd

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/firn-archive/firn/treehash"
)

// An inventory is the state of a vault after one of its changes: the last one
// before the inventory's date. Inventories are dated at even distances from
// the vault's creation, and one is made only when something has changed since
// the one before. Nothing makes them: they are read out of the rows, which is
// why deleted archives stay there for a while.
type inventory struct {
	exists   bool
	date     int64
	seq      int64
	archives int64
	bytes    int64
	json     int64 // bytes of all entries in that form
	csv      int64
}

// lastInventory finds the newest inventory there is now. With inventories at
// all times, it is dated when the vault last changed.
func (v *vault) lastInventory(t tx) (inventory, error) {
	every := t.c.s.timing.InventoryEvery.Milliseconds()
	before := int64(1) << 62
	if every > 0 {
		before = v.boundary(t.now(), every)
	}
	var inv inventory
	found, err := t.one("SELECT at, seq, archives, bytes, json, csv FROM change WHERE at < ? ORDER BY at DESC, seq DESC LIMIT 1",
		[]any{before}, &inv.date, &inv.seq, &inv.archives, &inv.bytes, &inv.json, &inv.csv)
	inv.exists = found && inv.seq > 0
	if inv.exists && every > 0 {
		inv.date = v.boundary(inv.date, every) + every
	}
	return inv, err
}

// boundary is the last time, up to now, that an inventory can be dated. They
// fall on whole seconds.
func (v *vault) boundary(now, every int64) int64 {
	base := v.created - v.created%1000
	if now < base {
		return base
	}
	return now - (now-base)%every
}

// emptyForSure reports whether the last inventory is empty and nothing was
// written since, as the vault must be to be deleted.
func (v *vault) emptyForSure(t tx) (bool, error) {
	var at, seq, archives int64
	if _, err := t.one("SELECT at, seq, archives FROM change ORDER BY at DESC, seq DESC LIMIT 1", nil, &at, &seq, &archives); err != nil {
		return false, err
	}
	every := t.c.s.timing.InventoryEvery.Milliseconds()
	return seq == 0 || archives == 0 && (every == 0 || at < v.boundary(t.now(), every)), nil
}

// The forms of inventories.
const (
	formatJSON = "JSON"
	formatCSV  = "CSV"

	csvHeader = "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash\n"
	jsonTail  = "]}"
)

// jsonHead is what stands before the entries of an inventory.
func jsonHead(arn string, date int64) string {
	return `{"VaultARN":"` + arn + `","InventoryDate":"` + dateStamp(date) + `","ArchiveList":[`
}

// appendJSON writes the entry of an archive. Descriptions are printable ASCII,
// so that two characters need an escape.
func appendJSON(b []byte, id string, a archive) []byte {
	b = append(b, `{"ArchiveId":"`...)
	b = append(b, id...)
	b = append(b, `","ArchiveDescription":"`...)
	for i := range len(a.description) {
		if c := a.description[i]; c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, a.description[i])
	}
	b = append(b, `","CreationDate":"`...)
	b = time.UnixMilli(a.created).UTC().AppendFormat(b, timeFormat)
	b = append(b, `","Size":`...)
	b = strconv.AppendInt(b, a.size, 10)
	b = append(b, `,"SHA256TreeHash":"`...)
	b = appendHash(b, a.hash)
	return append(b, `"}`...)
}

// appendCSV writes the line of an archive, as the service does: a description
// with a comma or a quote is quoted, a quote inside escaped by a backslash, and
// a backslash not at all.
func appendCSV(b []byte, id string, a archive) []byte {
	b = append(b, id...)
	b = append(b, ',')
	if strings.ContainsAny(a.description, `,"`) {
		b = append(b, '"')
		b = append(b, strings.ReplaceAll(a.description, `"`, `\"`)...)
		b = append(b, '"')
	} else {
		b = append(b, a.description...)
	}
	b = append(b, ',')
	b = time.UnixMilli(a.created).UTC().AppendFormat(b, timeFormat)
	b = append(b, ',')
	b = strconv.AppendInt(b, a.size, 10)
	b = append(b, ',')
	b = appendHash(b, a.hash)
	return append(b, '\n')
}

func appendHash(b []byte, h treehash.Hash) []byte {
	const digits = "0123456789abcdef"
	for _, c := range h {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// The bytes of an entry besides the description and the digits of the size.
const (
	jsonFixed = len(`{"ArchiveId":"","ArchiveDescription":"","CreationDate":"","Size":,"SHA256TreeHash":""}`) + idAndMore
	csvFixed  = len(",,,,\n") + idAndMore
	idAndMore = 138 + len(timeFormat) + 2*treehash.Size
)

// jsonSize is the length of what appendJSON writes.
func (a archive) jsonSize() int64 {
	escapes := strings.Count(a.description, `"`) + strings.Count(a.description, `\`)
	return int64(jsonFixed + len(a.description) + escapes + len(strconv.FormatInt(a.size, 10)))
}

// csvSize is the length of what appendCSV writes.
func (a archive) csvSize() int64 {
	quotes := strings.Count(a.description, `"`)
	if quotes > 0 || strings.Contains(a.description, ",") {
		quotes += 2
	}
	return int64(csvFixed + len(a.description) + quotes + len(strconv.FormatInt(a.size, 10)))
}

// A listing is the part of an inventory that a job asked for.
type listing struct {
	v      *vault
	format string
	arn    string
	date   int64
	seq    int64
	start  *int64 // archives created at or after
	until  *int64 // and before
	after  int64  // with higher numbers
	most   *int64 // no more than these
}

// head and tail are what surrounds the entries.
func (l listing) head() string {
	if l.format == formatCSV {
		return csvHeader
	}
	return jsonHead(l.arn, l.date)
}

func (l listing) tail() string {
	if l.format == formatCSV {
		return ""
	}
	return jsonTail
}

// entries turns what the change log knows into the bytes between head and tail.
func (l listing) entries(inv inventory) int64 {
	if l.format == formatCSV {
		return inv.csv
	}
	return inv.json + max(0, inv.archives-1) // commas
}

// whole reports whether the listing is that of the entire inventory.
func (l listing) whole() bool {
	return l.start == nil && l.until == nil && l.most == nil && l.after == 0
}

// rowsAPage is how many rows one read transaction gives, so that none lasts
// long, however large the inventory.
const rowsAPage = 2000

// page reads the archives with numbers above after, in their order.
func (l listing) page(c *call, after int64, most int64) (list []archive, err error) {
	list = make([]archive, 0, most)
	err = c.read(l.v, func(t tx) error {
		return t.each(`SELECT number, salt, size, tree_hash, created, description FROM archive
			WHERE number > ? AND created_seq <= ?2 AND (deleted_seq IS NULL OR deleted_seq > ?2)
			AND (?3 IS NULL OR created >= ?3) AND (?4 IS NULL OR created < ?4) ORDER BY number LIMIT ?5`,
			[]any{after, l.seq, l.start, l.until, most},
			func(scan func(...any) error) error {
				var a archive
				var hash []byte
				if err := scan(&a.number, &a.salt, &a.size, &hash, &a.created, &a.description); err != nil {
					return err
				}
				a.hash = treehash.Hash(hash)
				list = append(list, a)
				return nil
			})
	})
	return list, err
}

// walk calls fn for each archive of the listing; it returns the number after
// which more would follow, or 0 at the end of the inventory.
func (l listing) walk(c *call, fn func(archive) error) (next int64, err error) {
	after, left := l.after, int64(1)<<62
	if l.most != nil {
		left = *l.most
	}
	for {
		// One more than wanted tells whether there is a next page.
		want := min(left+1, rowsAPage)
		list, err := l.page(c, after, want)
		if err != nil {
			return 0, err
		}
		for _, a := range list {
			if left == 0 {
				return after, nil
			}
			if err := fn(a); err != nil {
				return 0, err
			}
			after = a.number
			left--
		}
		if int64(len(list)) < want {
			return 0, nil
		}
	}
}

// count walks the listing to find how long it is and what follows it.
func (l listing) count(c *call) (entries, next int64, err error) {
	var n int64
	next, err = l.walk(c, func(a archive) error {
		if n++; l.format == formatCSV {
			entries += a.csvSize()
		} else {
			entries += a.jsonSize()
		}
		return nil
	})
	if l.format == formatJSON {
		entries += max(0, n-1)
	}
	return entries, next, err
}

// write sends the bytes [first, first+length) of the listing.
func (l listing) write(c *call, to io.Writer, first, length int64) error {
	w := bufio.NewWriterSize(&window{to: to, skip: first, left: length}, 64<<10)
	w.WriteString(l.head())
	var line []byte
	comma := false
	_, err := l.walk(c, func(a archive) error {
		line = line[:0]
		id := l.v.seal(archiveID, a.ref)
		if l.format == formatCSV {
			line = appendCSV(line, id, a)
		} else {
			if comma {
				line = append(line, ',')
			}
			line = appendJSON(line, id, a)
			comma = true
		}
		_, err := w.Write(line)
		return err
	})
	if err == nil {
		w.WriteString(l.tail())
		err = w.Flush()
	}
	if err == errWindow {
		return nil
	}
	return err
}
