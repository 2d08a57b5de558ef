package catalog_test

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/catalog"
)

// TestCheckOfRestores breaks one thing after the other, as TestCheckFinds does.
func TestCheckOfRestores(t *testing.T) {
	for name, tt := range map[string]struct {
		harm string
		want []string
	}{
		"nothing":           {"", nil},
		"no such state":     {"UPDATE restore SET state = 3", []string{"restore: restore 1: there is no state 3"}},
		"open, and ended":   {"UPDATE restore SET ended = 5", []string{"restore: restore 1: it is planned, and has a time of its end: true"}},
		"ended never":       {"UPDATE restore SET state = 10", []string{"restore: restore 1: it is done, and has a time of its end: false"}},
		"wrong sum":         {"UPDATE restore_total SET bytes = bytes + 1 WHERE state = 1", []string{"sum: restore 1: it says that of its ranges 2, with 2 files of 1048577 bytes, in 2097152 bytes to retrieve, are planned, and there are 2, with 2 files of 1048576 bytes, in 2097152 bytes to retrieve,"}},
		"sum of nothing":    {"INSERT INTO restore_total VALUES (1, 3, 1, 1, 1, 1)", []string{"are ready, and there are 0,"}},
		"no sum":            {"DELETE FROM restore_total WHERE state = 10", []string{"are done, and there are 1,"}},
		"range of nothing":  {"UPDATE restore_range SET archive = 99 WHERE state = 10", []string{"restore: restore 1, archive 99 from byte 4194304: its archive is not there"}},
		"range without end": {"UPDATE restore_range SET to_byte = 1 << 40 WHERE state = 10", []string{"sum: restore 1", "up to byte 1099511627776 of 8388608"}},
		"range of no state": {"UPDATE restore_range SET state = 4 WHERE state = 10", []string{"sum: restore 1", "sum: restore 1", "there is no state 4"}},
		"other store":       {"INSERT INTO store (id, identity, kind, url, name, region, address, registered, registered_ns) SELECT 7, 'two', kind, 'u', name, region, address, 0, 0 FROM store; UPDATE restore SET store = 7", []string{"is in another store", "is in another store", "is in another store"}},
		"piece of nothing":  {"UPDATE piece SET archive = 99", []string{"restore: restore 1, archive 99: a piece of 1048576 bytes at 1048576, with a hash of 32 bytes, can't be: the archive has -1"}},
		"piece too long":    {"UPDATE piece SET size = 8 << 20", []string{"a piece of 8388608 bytes at 1048576"}},
		"half a hash":       {"UPDATE piece SET tree = x'00'", []string{"with a hash of 1 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.SetSizes(2, 2, 100)
			archive := f.archive(t, 8, epoch)
			id := f.plan(t, "k")
			check(t, f.AddRanges(t.Context(), id, []catalog.RestoreRange{span(archive, 0, 1), span(archive, 2, 3), span(archive, 4, 6)}))
			check(t, f.SetRanges(t.Context(), id, []catalog.RangeChange{{Archive: archive, From: 4 << 20, State: catalog.RangeDone}}))
			check(t, f.AddPiece(t.Context(), id, archive, piece(1)))
			for harm := range strings.SplitSeq(tt.harm, "; ") {
				check(t, f.Exec(t.Context(), harm))
			}
			lines, _ := faults(t, f.Catalog)
			if len(lines) != len(tt.want) {
				t.Fatalf("%d faults, want %d:\n%s", len(lines), len(tt.want), strings.Join(lines, "\n"))
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("fault %q, want %q", lines[i], want)
				}
			}
		})
	}
}
