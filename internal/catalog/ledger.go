package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
)

// An Op is a sort of billable call.
type Op string

// The sorts of calls that the ledger holds. Retrievals are jobs.
const (
	UploadOp   Op = "upload"   // a request that uploads, or a part of it
	DownloadOp Op = "download" // the output of a job
	EarlyOp    Op = "early"    // an archive that was deleted before its shortest time
	CopyOp     Op = "copy"     // an archive of S3 that was asked for: it thaws, as a copy
	ExtendOp   Op = "extend"   // a request to have such a copy stay longer
)

// A Charge is what calls of one sort came to.
type Charge struct {
	Op    Op
	Class string        // storage class of S3 that it was for; empty: the store's, or none
	Rest  time.Duration // of EarlyOp: that was left of the shortest time, in whole hours; of CopyOp and ExtendOp: for which it is to stay
	Calls int64         // of EarlyOp, CopyOp, ExtendOp: archives
	Bytes int64         // in those, and of EarlyOp those that they are charged for; of DownloadOp: that came
}

// chargeEarly adds to the ledger that an archive of a class, of so many bytes, was
// deleted from a store, at a time by the local clock, of whose shortest time some was
// left. Where none was, nothing is charged.
func chargeEarly(tx tx, store int64, at time.Time, class string, size int64, left time.Duration) error {
	if left <= 0 {
		return nil
	}
	rest := (left + time.Hour - 1) / time.Hour * time.Hour
	return charge(tx, store, at, Charge{Op: EarlyOp, Class: class, Rest: rest, Calls: 1, Bytes: max(size, price.Least(class))})
}

// charge adds to the ledger.
func charge(tx tx, store int64, at time.Time, e Charge) error {
	return tx.exec(`INSERT INTO ledger (store, hour, op, class, rest, calls, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (store, hour, op, class, rest) DO UPDATE SET calls = calls + excluded.calls, bytes = bytes + excluded.bytes`,
		store, hourOf(at), string(e.Op), told(firn.Receipt{Class: e.Class}).Class, int64(e.Rest/time.Hour), e.Calls, e.Bytes)
}

// hourOf is how many hours since 1970 a time is.
func hourOf(t time.Time) int64 { return t.Unix() / secondsPerHour }

const secondsPerHour = 3600

// chargeDeletion adds to the ledger what it costs that an archive is deleted
// now. How long it is charged for says its age, and where nobody knows that, the
// queue of deletions.
func (c *Catalog) chargeDeletion(tx tx, s archiveState) error {
	if s.State != Stored && s.State != Foreign {
		return nil // it was gone before
	}
	now := c.clock.Now()
	var since, free int64
	var store, class string
	err := tx.row(`SELECT coalesce(nullif(a.created, -62135596800), a.came, 0), coalesce((SELECT not_before FROM deletion WHERE archive = a.id), 0), s.kind, `+classOf+`
		FROM archive a CROSS JOIN store s ON s.id = a.store LEFT JOIN object o ON o.archive = a.id WHERE a.id = ?`, s.ID).Scan(&since, &free, &store, &class)
	if isNoRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	shortest := price.Shortest(store, class)
	if shortest == 0 {
		return nil
	}
	if since != 0 {
		free = since + int64(shortest/time.Second)
	}
	return chargeEarly(tx, s.Store, now, class, s.Size, time.Unix(free, 0).Sub(now))
}

// Charge adds to the ledger of the store of a URL. Where the catalog knows no
// such store, nothing is added.
func (c *Catalog) Charge(ctx context.Context, url string, charges []Charge) error {
	return c.write(ctx, "record what is charged for", url, func(tx tx) error {
		var store int64
		err := tx.row("SELECT store FROM store_url WHERE url = ?", url).Scan(&store)
		if err != nil {
			return ignoreNoRows(err)
		}
		for _, one := range charges {
			if err := charge(tx, store, c.clock.Now(), one); err != nil {
				return err
			}
		}
		return nil
	})
}

// A Ledger is what calls that firn made are charged for.
type Ledger struct {
	Charges    []Charge // by Op, Class and Rest, each of them once
	Retrievals []Retrievals
}

// Retrievals are the jobs by which a store was asked for archives of one storage class
// with one tier.
type Retrievals struct {
	Tier     firn.Tier
	Class    string // of S3; empty elsewhere
	Requests int64
	Bytes    int64 // that they bring
	Unsized  int64 // of Requests: of which nobody knows yet how much they bring
}

// Ledger gives what a store was asked for from a time until before another, by
// the local clock, in whole hours. Jobs of whole archives are as large as those, and in
// S3, where an archive thaws whole, so are those of parts.
func (c *Catalog) Ledger(ctx context.Context, store int64, from, to time.Time) (l Ledger, err error) {
	err = c.read(ctx, "read the ledger", fmt.Sprint("of store ", store), func(tx tx) (err error) {
		if l.Charges, err = readCharges(tx, store, from, to); err != nil {
			return err
		}
		l.Retrievals, err = readRetrievals(tx, store, 0, from, to)
		return err
	})
	return l, err
}

// AskedBy gives the retrievals that a run has asked for so far, also in processes that
// ended, as Ledger gives them.
func (c *Catalog) AskedBy(ctx context.Context, run Run) (all []Retrievals, err error) {
	err = c.read(ctx, "read the ledger", fmt.Sprint("of run ", run.ID), func(tx tx) (err error) {
		all, err = readRetrievals(tx, run.Store, run.ID, time.Unix(0, 0), never)
		return err
	})
	return all, err
}

// never is later than anything is asked for.
var never = time.Unix(1<<40, 0)

// readRetrievals sums up the jobs of a run, or with 0 of all.
func readRetrievals(tx tx, store, run int64, from, to time.Time) (all []Retrievals, err error) {
	for _, tier := range []firn.Tier{firn.Bulk, firn.Standard, firn.Expedited} {
		err := tx.each(func(rows *sql.Rows) error {
			one := Retrievals{Tier: tier}
			err := rows.Scan(&one.Class, &one.Requests, &one.Bytes, &one.Unsized)
			all = append(all, one)
			return err
		}, `SELECT class, count(*), coalesce(sum(bytes), 0), count(*) - count(bytes) FROM (
			SELECT coalesce(CASE WHEN s.kind != 's3' THEN j.to_byte - j.from_byte END, nullif(j.archive_size, 0), a.size, j.to_byte - j.from_byte) AS bytes, `+classOf+` AS class
			FROM job j CROSS JOIN store s ON s.id = j.store LEFT JOIN archive a ON a.id = j.archive LEFT JOIN object o ON o.archive = a.id
			WHERE j.store = ?1 AND j.kind = 'retrieval' AND j.token IS NOT NULL AND j.asked >= ?2 AND j.asked < ?3 AND j.tier = ?4 AND (j.state != 11 OR j.remote IS NOT NULL)
			AND (?5 = 0 OR j.run = ?5)) GROUP BY class ORDER BY class`, store, from.Unix(), to.Unix(), string(tier), run)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readCharges sums up the ledger's hours.
func readCharges(tx tx, store int64, from, to time.Time) (all []Charge, err error) {
	type sort struct {
		op    Op
		class string
		rest  time.Duration
	}
	sums := map[sort]Charge{}
	err = tx.each(func(rows *sql.Rows) error {
		var one Charge
		var rest int64
		err := rows.Scan(&one.Op, &one.Class, &rest, &one.Calls, &one.Bytes)
		one.Rest = time.Duration(rest) * time.Hour
		sum := sums[sort{one.Op, one.Class, one.Rest}]
		one.Calls += sum.Calls
		one.Bytes += sum.Bytes
		sums[sort{one.Op, one.Class, one.Rest}] = one
		return err
	}, "SELECT op, class, rest, calls, bytes FROM ledger WHERE store = ? AND hour >= ? AND hour < ?", store, hourOf(from), hourOf(to))
	all = slices.SortedFunc(maps.Values(sums), func(a, b Charge) int {
		return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Rest, b.Rest))
	})
	return all, err
}

// A Keeping is what a store keeps of archives of one kind and storage class, and had
// in some time. A float holds such products to 15 digits, which integers would run out
// of. Each archive has the bytes that its class charges for, but in Bytes, which are its
// own.
type Keeping struct {
	Kind                     ArchiveKind
	Class                    string // of S3; empty elsewhere
	Archives, Bytes, Charged int64  // that are there now, also those that others wrote
	// What was there in the time that was asked for: each archive and each of its
	// bytes by the hours. An archive that was deleted before counts until then.
	ArchiveHours, ByteHours float64
	// What is left now of the shortest time of what is there.
	EarlyArchives, EarlyBytes  int64
	EarlyHours, EarlyByteHours float64 // the archives and their bytes, each by the hours that are left
}

// Keepings gives what a store holds now, and held from a time until before
// another, by kinds and classes. Archives are charged for a shortest time, as their
// class says; shortest, which may be 0, is that of those of none, or of an unknown one.
// What is there, and nobody knows since when, was always there, and may be as young as
// can be. It holds no lock for long.
func (c *Catalog) Keepings(ctx context.Context, store int64, from, to time.Time, shortest time.Duration) ([]Keeping, error) {
	var all []Keeping
	now := c.clock.Now().Unix()
	class, snapshots, err := c.classesOf(ctx, store)
	for after, more := int64(0), err == nil; more; {
		more = false
		err = c.read(ctx, "sum up archives", fmt.Sprint("of store ", store), func(tx tx) error {
			return tx.each(func(rows *sql.Rows) error {
				var h Keeping
				var owner, last int64
				var archives, bytes, early, earlyBytes float64
				err := rows.Scan(&owner, &h.Kind, &h.Class, &last, &h.Archives, &h.Bytes, &h.Charged, &archives, &bytes, &h.EarlyArchives, &h.EarlyBytes, &early, &earlyBytes)
				if after, more = max(after, last), true; owner != store {
					return err
				}
				h.ArchiveHours, h.ByteHours = archives/secondsPerHour, bytes/secondsPerHour
				h.EarlyHours, h.EarlyByteHours = early/secondsPerHour, earlyBytes/secondsPerHour
				all = addKeeping(all, h)
				return err
			}, keepings, after, c.sizes.page, now, int64(shortest/time.Second), from.Unix(), min(to.Unix(), now), class, snapshots)
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b Keeping) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Class, b.Class)) })
	return all, err
}

// classesOf gives the storage class of a store's archives, and that of its snapshots,
// of which nothing else was recorded.
func (c *Catalog) classesOf(ctx context.Context, store int64) (class, snapshots string, err error) {
	err = c.read(ctx, "look up store", fmt.Sprint(store), func(tx tx) error {
		var kind string
		err := tx.row("SELECT kind, class FROM store WHERE id = ?", store).Scan(&kind, &class)
		if kind == "s3" {
			snapshots = price.SnapshotClass
		} else {
			class = ""
		}
		return ignoreNoRows(err)
	})
	return class, snapshots, err
}

// keepings sums up a page of archives: after ?1, ?2 of them. ?3 is now, ?4 the
// shortest time of no class, from ?5 to ?6 what was held counts, ?7 is the class of what
// no other was recorded of, and ?8 that of such snapshots. What has no end of its
// own went with the run that found it so.
var keepings = `WITH page AS (
		SELECT id, store, kind, size, state IN (10, 11) AS there, coalesce(nullif(o.class, ''), CASE kind WHEN 'catalog' THEN ?8 ELSE ?7 END) AS class,
			coalesce(nullif(created, -62135596800), came, CASE state WHEN 10 THEN (SELECT coalesce(r.ended, r.started) FROM run r WHERE r.id = settled) END) AS created,
			CASE WHEN state IN (10, 11) THEN ?6 WHEN state IN (21, 22) THEN coalesce(ended, (SELECT coalesce(r.ended, r.started) FROM run r WHERE r.id = settled), 0) ELSE 0 END AS gone
		FROM archive a LEFT JOIN object o ON o.archive = a.id WHERE id > ?1 ORDER BY id LIMIT ?2),
	one AS (SELECT id, store, kind, class, size, max(size, ` + leastOf("class") + `) AS charged, there,
			CASE WHEN created IS NULL AND NOT there THEN 0.0 ELSE max(0.0, min(gone, ?6) - max(coalesce(created, 0), ?5)) END AS held,
			CASE WHEN there THEN max(0.0, min(coalesce(created, ?3), ?3) + ` + shortestOf("class", "?4") + ` - ?3) ELSE 0.0 END AS rest FROM page)
	SELECT store, kind, class, max(id), sum(there), sum(CASE WHEN there THEN size ELSE 0 END), sum(CASE WHEN there THEN charged ELSE 0 END), total(held), total(held * charged),
		sum(rest > 0), sum(CASE WHEN rest > 0 THEN charged ELSE 0 END), total(rest), total(rest * charged) FROM one GROUP BY store, kind, class ORDER BY kind`

func addKeeping(all []Keeping, h Keeping) []Keeping {
	for i := range all {
		if a := &all[i]; a.Kind == h.Kind && a.Class == h.Class {
			a.Archives += h.Archives
			a.Bytes += h.Bytes
			a.Charged += h.Charged
			a.ArchiveHours += h.ArchiveHours
			a.ByteHours += h.ByteHours
			a.EarlyArchives += h.EarlyArchives
			a.EarlyBytes += h.EarlyBytes
			a.EarlyHours += h.EarlyHours
			a.EarlyByteHours += h.EarlyByteHours
			return all
		}
	}
	return append(all, h)
}

// OpenParts gives how many uploads to a store are open, and the bytes in their
// parts that the store has: it charges for those too.
func (c *Catalog) OpenParts(ctx context.Context, store int64) (open firn.Count, err error) {
	err = c.read(ctx, "sum up open uploads", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.row(`SELECT count(*), coalesce(sum(bytes), 0) FROM (
			SELECT (SELECT sum(size) FROM part WHERE archive = a.id) AS bytes FROM archive a WHERE a.store = ? AND a.state < 10) WHERE bytes > 0`, store).Scan(&open.Files, &open.Bytes)
	})
	return open, err
}
