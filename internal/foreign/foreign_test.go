package foreign_test

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// The schemas as the programs make them.
const (
	cliSchema = `CREATE TABLE archive (id VARCHAR NOT NULL, name VARCHAR, vault VARCHAR NOT NULL, "key" VARCHAR NOT NULL,
		last_seen_upstream INTEGER, created_here INTEGER, deleted_here INTEGER, PRIMARY KEY (id))`
	forkSchema = `CREATE TABLE archive (id VARCHAR NOT NULL, name VARCHAR, vault VARCHAR NOT NULL, "key" VARCHAR NOT NULL, hash VARCHAR NOT NULL,
		last_seen_upstream INTEGER, created_here INTEGER, deleted_here INTEGER, PRIMARY KEY (id))`
	syncSchema = `CREATE TABLE glaciersync_files (profile text, basepath text, fname text, mtime real, bytesize integer, archive_id text);
		CREATE INDEX glaciersyncfiles_profile_basepath_fname ON glaciersync_files (profile,basepath,fname);
		CREATE TABLE glaciersync_hashes (archive_id text, hash text);
		CREATE INDEX glaciersynchashes_hash ON glaciersync_hashes (hash);
		CREATE TABLE glaciersync_tars (archive_id text, mtime real);
		CREATE TABLE glaciersync_tar_files (tar_rowid integer, file_rowid integer)`
)

// The hashes of one byte, "a", and of nothing.
const (
	hashOfA       = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
	hashOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// database makes a SQLite database and gives its path.
func database(t testing.TB, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	write(t, path, append([]string{"PRAGMA page_size=512"}, statements...)...)
	return path
}

// write runs statements on a database.
func write(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // settings belong to a connection
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// file makes a file and gives its path.
func file(t testing.TB, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// gather takes what a reader gives.
func gather[T any](all *[]T) func(T) error {
	return func(v T) error {
		*all = append(*all, v)
		return nil
	}
}

// faults takes what a reader can't use, as text.
func faults(t testing.TB, all *[]string) func(error) error {
	return func(err error) error {
		var e *firn.Error
		if !errors.As(err, &e) || e.Kind != firn.Corrupt {
			t.Errorf("%v is of kind %v", err, firn.KindOf(err))
		} else {
			*all = append(*all, filepath.Base(e.Subject)+": "+e.Err.Error())
		}
		return nil
	}
}

func hash(t testing.TB, s string) treehash.Hash {
	t.Helper()
	h, err := treehash.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func at(seconds, nanos int64) time.Time { return time.Unix(seconds, nanos).UTC() }
