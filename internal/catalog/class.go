package catalog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
)

// classOf is the storage class of an archive a, of a store s, of which object says o:
// as S3 told it, or else that of the store, of which snapshots have one of their own.
// Of what isn't in S3 it is empty.
const classOf = "coalesce(nullif(o.class, ''), CASE WHEN s.kind != 's3' THEN '' WHEN a.kind = 'catalog' THEN '" + price.SnapshotClass + "' ELSE s.class END)"

// shortestOf is the number of seconds that an archive of a class is charged for at the
// least; otherwise is that of a class that price doesn't know, or of none.
func shortestOf(class, otherwise string) string {
	return byClass(class, otherwise, func(c string) int64 { return int64(price.Shortest("s3", c) / time.Second) })
}

// leastOf is the number of bytes that an archive of a class is charged for at the least.
func leastOf(class string) string { return byClass(class, "0", price.Least) }

func byClass(class, otherwise string, value func(class string) int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CASE %s", class)
	for _, c := range price.Classes() {
		fmt.Fprintf(&b, " WHEN '%s' THEN %d", c, value(c))
	}
	return b.String() + " ELSE " + otherwise + " END"
}

// The most characters of a storage class, and of a checksum with its algorithm: more
// than any that there are.
const (
	maxClass    = 64
	maxChecksum = 200
)

// told is what of a receipt is recorded. It comes from servers, and from snapshots that
// others may have written: what can't be the name of a storage class, or a checksum,
// counts as not told.
func told(r firn.Receipt) firn.Receipt {
	if !isToken(r.Class, maxClass, "_-.") {
		r.Class = ""
	}
	if algorithm, value, ok := strings.Cut(r.Checksum, ":"); !ok || len(r.Checksum) > maxChecksum || !isToken(algorithm, maxChecksum, "") || !isToken(value, maxChecksum, "+/=-") {
		r.Checksum = ""
	}
	return r
}

// isToken reports whether a text is of letters, digits and some other characters alone.
func isToken(s string, most int, others string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= most
}

// keepReceipt records what a store said of an archive when it confirmed or listed
// it. What is known already and isn't said again stays.
func keepReceipt(tx tx, archive int64, r firn.Receipt) error {
	if r = told(r); r == (firn.Receipt{}) {
		return nil
	}
	return tx.exec(`INSERT INTO object (archive, class, checksum) VALUES (?, ?, ?) ON CONFLICT (archive) DO UPDATE SET
		class = coalesce(nullif(excluded.class, ''), class), checksum = coalesce(nullif(excluded.checksum, ''), checksum)`, archive, r.Class, r.Checksum)
}

// ClassOf gives the storage class of an archive of a store by its id there: as it was
// recorded, or else that of the store. It is empty of what isn't in S3, and of what the
// catalog doesn't know.
func (c *Catalog) ClassOf(ctx context.Context, store int64, id firn.ArchiveID) (class string, err error) {
	err = c.read(ctx, "find archive", string(id), func(tx tx) error {
		row, err := archiveByRemote(tx, store, id)
		if err != nil || row == 0 {
			return err
		}
		return tx.row("SELECT "+classOf+" FROM archive a CROSS JOIN store s ON s.id = a.store LEFT JOIN object o ON o.archive = a.id WHERE a.id = ?", row).Scan(&class)
	})
	return class, err
}

var (
	// Both are by the rows of archives.
	insertReceipts = newBulk("INSERT OR REPLACE INTO object (archive, class, checksum) VALUES ", "(?, ?, ?)", "")
	tellClasses    = newBulk("INSERT INTO object (archive, class, checksum) SELECT v.column1, v.column2, '' FROM (VALUES ", "(?, ?)",
		") v WHERE true ON CONFLICT (archive) DO UPDATE SET class = excluded.class")
)
