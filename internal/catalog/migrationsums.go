package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A CopyRule says how archives are copied.
type CopyRule struct {
	Below  int64         // bytes below which those of single files share one; 0: none does
	Body   int64         // bytes that go up in one request, or are a part
	Parts  int64         // how many parts an archive has at most
	Now    time.Time     // by the source's clock
	MinAge time.Duration // up to which an archive of the source is charged for
}

// CopySums say what is to be copied.
type CopySums struct {
	All   firn.Count
	Small firn.Count // of these: that share archives
	// Singles of the others go up in one request, Multi in several Parts.
	Singles, Multi, Parts int64
	// Young are charged for still: YoungByteSeconds sums up for how long.
	Young            firn.Count
	YoungByteSeconds float64
}

// SumToCopy sums up what a migration, which need not have begun, is to copy still.
func (c *Catalog) SumToCopy(ctx context.Context, m Migration, r CopyRule) (s CopySums, err error) {
	where, args := plannable, []any{m.Source}
	if m.Only != "" {
		where += ` AND a.id IN (
			SELECT f.archive FROM tree t CROSS JOIN dir d ON d.tree = t.id CROSS JOIN file f ON f.dir = d.id WHERE t.store = ? AND t.name = ? AND f.archive != 0
			UNION SELECT v.archive FROM tree t CROSS JOIN dir d ON d.tree = t.id CROSS JOIN version v ON v.dir = d.id WHERE t.store = ? AND t.name = ? AND v.archive != 0)`
		args = append(args, m.Source, m.Only, m.Source, m.Only)
	}
	small := fmt.Sprintf("(a.size > 0 AND a.size < %d AND a.state = 10 AND (a.kind = 'file' OR a.kind = 'foreign' AND EXISTS (SELECT 1 FROM description WHERE archive = a.id AND packed = '')) AND EXISTS (SELECT 1 FROM location WHERE archive = a.id AND member = 0 AND size = a.size))", r.Below)
	part := fmt.Sprintf("max(%d, (a.size + %d) / %d)", r.Body, r.Parts-1, r.Parts)
	free := fmt.Sprintf("(coalesce(a.created, 0) + %d - %d)", int64(r.MinAge/time.Second), r.Now.Unix())
	err = c.read(ctx, "plan copies", fmt.Sprint("of store ", m.Source), func(tx tx) error {
		return tx.row(`SELECT count(*), coalesce(sum(size), 0), coalesce(sum(small), 0), coalesce(sum(size) FILTER (WHERE small), 0),
			count(*) FILTER (WHERE NOT small AND size <= `+fmt.Sprint(r.Body)+`), count(*) FILTER (WHERE size > `+fmt.Sprint(r.Body)+`),
			coalesce(sum(parts) FILTER (WHERE size > `+fmt.Sprint(r.Body)+`), 0),
			count(*) FILTER (WHERE free > 0), coalesce(sum(size) FILTER (WHERE free > 0), 0), coalesce(sum(size * 1.0 * free) FILTER (WHERE free > 0), 0.0)
			FROM (SELECT a.size, `+small+` AS small, (a.size + `+part+` - 1) / `+part+` AS parts, `+free+` AS free FROM archive a WHERE `+where+`
			AND NOT EXISTS (SELECT 1 FROM copy WHERE migration = `+fmt.Sprint(m.ID)+` AND archive = a.id AND state IN (10, 12)))`, args...).
			Scan(&s.All.Files, &s.All.Bytes, &s.Small.Files, &s.Small.Bytes, &s.Singles, &s.Multi, &s.Parts, &s.Young.Files, &s.Young.Bytes, &s.YoungByteSeconds)
	})
	return s, err
}
