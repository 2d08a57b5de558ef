package sqldb_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/firn-archive/firn/internal/sqldb"
)

// TestMadeByTwoAtOnce opens new files by several at the same moment: each of
// them may be the one that makes the schema, and all find it.
func TestMadeByTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		path := filepath.Join(dir, fmt.Sprint(i))
		var all sync.WaitGroup
		for k := range 4 {
			all.Go(func() {
				db, err := sqldb.Open(t.Context(), path, options)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				if err := insert(db, k, "v"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}
