package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A CopyRule says how archives are copied.
type CopyRule struct {
	Below int64     // bytes below which those of single files share one; 0: none does
	Body  int64     // bytes that go up in one request, or are a part
	Parts int64     // how many parts an archive has at most
	Now   time.Time // by the source's clock
	// MinAge is up to which an archive of the source is charged for of which no storage
	// class was recorded.
	MinAge time.Duration
	Least  int64 // bytes that the target charges for an archive at the least
}

// CopySums say what is to be copied of one storage class of the source.
type CopySums struct {
	Class   string // of S3; empty elsewhere
	All     firn.Count
	Charged int64      // bytes that the source charges for
	Small   firn.Count // of these: that share archives
	// Singles of the others go up in one request, Multi in several Parts. The target
	// charges for Kept bytes of them.
	Singles, Multi, Parts, Kept int64
	// Young are charged for still: YoungByteSeconds sums up for how long.
	Young            firn.Count
	YoungByteSeconds float64
}

// sumToCopy sums up those of a source's archives that a condition holds for, which
// goes behind it, and that no migration has copied to a target, by storage class. ?1 to
// ?4 are the numbers of a rule: Below, Body, Parts, MinAge in seconds; ?5 is the target;
// ?6 is Now, and ?7 Least. What it costs to delete goes by the bytes that are charged for.
var sumToCopy = `SELECT class, count(*), coalesce(sum(size), 0), coalesce(sum(charged), 0), coalesce(sum(small), 0), coalesce(sum(size) FILTER (WHERE small), 0),
	count(*) FILTER (WHERE NOT small AND size <= ?2), count(*) FILTER (WHERE size > ?2),
	coalesce(sum((size + part - 1) / part) FILTER (WHERE size > ?2), 0), coalesce(sum(max(size, ?7)) FILTER (WHERE NOT small), 0),
	count(*) FILTER (WHERE free > 0), coalesce(sum(charged) FILTER (WHERE free > 0), 0), coalesce(sum(charged * 1.0 * free) FILTER (WHERE free > 0), 0.0)
	FROM (SELECT size, part, small, class, max(size, ` + leastOf("class") + `) AS charged, made + ` + shortestOf("told", "?4") + ` - ?6 AS free
	FROM (SELECT a.size, max(?2, (a.size + ?3 - 1) / ?3) AS part, coalesce(a.created, 0) AS made, ` + classOf + ` AS class, o.class AS told,
		a.size > 0 AND a.size < ?1 AND a.state = 10 AND EXISTS (SELECT 1 FROM location WHERE archive = a.id AND member = 0 AND size = a.size)
			AND (a.kind = 'file' OR a.kind = 'foreign' AND EXISTS (SELECT 1 FROM description WHERE archive = a.id AND packed = '')) AS small
	FROM archive a CROSS JOIN store s ON s.id = a.store LEFT JOIN object o ON o.archive = a.id
	WHERE NOT EXISTS (SELECT 1 FROM copy CROSS JOIN migration o ON o.id = copy.migration
		WHERE copy.archive = a.id AND copy.state = 10 AND o.source = a.store AND o.target = ?5 AND ` + copyStands + `) AND `

// SumToCopy sums up what a migration, which need not have begun, is to copy still, by
// the classes of the source; nothing: all is copied.
func (c *Catalog) SumToCopy(ctx context.Context, m Migration, r CopyRule) (all []CopySums, err error) {
	toCopy, args := plannable, []any{r.Below, r.Body, r.Parts, int64(r.MinAge / time.Second), m.Target, r.Now.Unix(), r.Least, m.Source}
	if m.Only != "" {
		toCopy += ofOneTree
		args = append(args, m.Source, m.Only, m.Source, m.Only)
	}
	err = c.read(ctx, "plan copies", fmt.Sprint("of store ", m.Source), func(tx tx) error {
		all = nil
		return tx.each(func(rows *sql.Rows) error {
			var s CopySums
			err := rows.Scan(&s.Class, &s.All.Files, &s.All.Bytes, &s.Charged, &s.Small.Files, &s.Small.Bytes, &s.Singles, &s.Multi, &s.Parts, &s.Kept,
				&s.Young.Files, &s.Young.Bytes, &s.YoungByteSeconds)
			all = append(all, s)
			return err
		}, sumToCopy+toCopy+")) GROUP BY class ORDER BY class", args...)
	})
	return all, err
}
