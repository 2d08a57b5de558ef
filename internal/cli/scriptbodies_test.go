package cli

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// takeBodies writes what the archives of a local vault hold, without firn, as
// docs/format.md says.
func takeBodies(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bodies DIR TO")
	}
	dir, to := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	ts.Check(os.Mkdir(to, 0o777))
	db, err := sql.Open("sqlite", filepath.Join(dir, "vault.db"))
	ts.Check(err)
	defer db.Close()
	rows, err := db.Query(`SELECT number, part_size, body FROM archive LEFT JOIN small USING (number) WHERE deleted IS NULL`)
	ts.Check(err)
	defer rows.Close()
	for rows.Next() {
		var number, partSize int64
		var body []byte
		ts.Check(rows.Scan(&number, &partSize, &body))
		if partSize > 0 {
			ts.Fatalf("archive %d came in parts", number)
		}
		if body == nil {
			body, err = os.ReadFile(filepath.Join(dir, "archives", fmt.Sprintf("%03d/%03d/%03d", number/1e6, number/1e3%1e3, number%1e3)))
			ts.Check(err)
		}
		ts.Check(os.WriteFile(filepath.Join(to, fmt.Sprintf("%09d", number)), body, 0o666))
	}
	ts.Check(errors.Join(rows.Err(), rows.Close()))
}
