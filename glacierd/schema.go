package glacierd

import "github.com/firn-archive/firn/internal/sqldb"

// All times in the databases are milliseconds since 1970, UTC.

// vaultOptions describe vault.db.
func vaultOptions() sqldb.Options {
	return sqldb.Options{
		ApplicationID: 0x67766c74, // "gvlt"
		Name:          "vault database",
		Migrations:    []string{vaultSchema, smallSchema},
	}
}

const vaultSchema = `
-- The vault itself: one row, or none while the folder is being made or removed.
CREATE TABLE vault (
	one           INTEGER PRIMARY KEY CHECK (one = 1),
	id            BLOB NOT NULL,     -- 16 random bytes
	key           BLOB NOT NULL,     -- 32 random bytes that seal the ids given out
	created       INTEGER NOT NULL,
	next_number   INTEGER NOT NULL,  -- the first number never leased
	topic         TEXT,              -- notifications: SNS topic and JSON list of events
	events        TEXT,
	access_policy TEXT,
	lock_policy   TEXT,              -- null: no lock
	lock_id       TEXT,
	lock_created  INTEGER,
	lock_expires  INTEGER            -- null: locked for good
);
CREATE TABLE tag (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Each creation and deletion of an archive, with what the vault held after it.
-- seq orders them; at never goes back. json and csv are the bytes that the
-- archives take in an inventory of that form. The first row, seq 0, is the
-- vault's creation.
CREATE TABLE change (
	at INTEGER NOT NULL, seq INTEGER NOT NULL,
	archives INTEGER NOT NULL, bytes INTEGER NOT NULL,
	json INTEGER NOT NULL, csv INTEGER NOT NULL,
	PRIMARY KEY (at, seq)
) WITHOUT ROWID;

-- number names the body too. Deleted archives stay until no inventory shows them.
CREATE TABLE archive (
	number      INTEGER PRIMARY KEY,
	salt        INTEGER NOT NULL,  -- random, part of the archive id
	size        INTEGER NOT NULL,
	tree_hash   BLOB NOT NULL,
	created     INTEGER NOT NULL,
	created_seq INTEGER NOT NULL,
	deleted     INTEGER,
	deleted_seq INTEGER,
	part_size   INTEGER NOT NULL,  -- 0: the body is one file
	description TEXT NOT NULL
);
CREATE INDEX archive_deleted ON archive (deleted_seq) WHERE deleted_seq IS NOT NULL;

-- number is that of the archive to be. ended is null while parts may come.
CREATE TABLE upload (
	number      INTEGER PRIMARY KEY,
	salt        INTEGER NOT NULL,
	part_size   INTEGER NOT NULL,
	created     INTEGER NOT NULL,
	ended       INTEGER,
	completed   INTEGER NOT NULL DEFAULT 0,
	description TEXT NOT NULL
);
CREATE INDEX upload_open ON upload (number) WHERE ended IS NULL;
CREATE INDEX upload_ended ON upload (ended) WHERE ended IS NOT NULL;

-- The parts of uploads and of the archives they became; a body in one file of
-- more than one leaf is its own part 0. key is number * 16384 + index.
CREATE TABLE part (
	key       INTEGER PRIMARY KEY,
	size      INTEGER NOT NULL,
	tree_hash BLOB NOT NULL,
	file      TEXT NOT NULL,  -- in the body's folder; empty: the body itself
	leaves    BLOB            -- the hashes of all leaves; null: there is one
);

CREATE TABLE job (
	number      INTEGER PRIMARY KEY AUTOINCREMENT,
	salt        INTEGER NOT NULL,
	created     INTEGER NOT NULL,
	ripe        INTEGER NOT NULL,  -- when it is done
	expires     INTEGER NOT NULL,
	failure     TEXT,              -- why it fails when it is done
	description TEXT,
	topic       TEXT,
	-- of archives: bytes first to last of archive, and their tree hash if they are a node
	archive     INTEGER,
	tier        TEXT,
	first       INTEGER,
	last        INTEGER,
	range_hash  BLOB,
	-- of inventories: what was asked for
	format      TEXT,
	start       INTEGER,
	until       INTEGER,
	most        INTEGER,
	after       INTEGER,
	-- and what is listed: the state after change seq, dated inventory
	inventory   INTEGER,
	seq         INTEGER,
	output      INTEGER,           -- bytes of the entries and what separates them; null: not counted yet
	next        INTEGER            -- the number after which the next page begins
);
CREATE INDEX job_archive ON job (archive) WHERE archive IS NOT NULL;
CREATE INDEX job_expires ON job (expires);

-- Numbers that a writing process may have made bodies for. When it is dead,
-- those without a row are removed.
CREATE TABLE lease (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, owner TEXT NOT NULL);

-- Bodies to be removed, and not before what time.
CREATE TABLE garbage (number INTEGER PRIMARY KEY, due INTEGER NOT NULL);
`

const smallSchema = `
-- Bodies of at most 16 KiB that came in one request. Of an archive from before there
-- was this table the body is a file, however small.
CREATE TABLE small (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
`

// accountOptions describe account.db.
func accountOptions() sqldb.Options {
	return sqldb.Options{
		ApplicationID: 0x67616363, // "gacc"
		Name:          "account database",
		Migrations:    []string{accountSchema},
		CacheKiB:      1 << 10,
	}
}

const accountSchema = `
CREATE TABLE policy (
	one      INTEGER PRIMARY KEY CHECK (one = 1),
	strategy TEXT NOT NULL,
	per_hour INTEGER
);
-- Standard retrievals while a policy limits them.
CREATE TABLE retrieval (at INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX retrieval_at ON retrieval (at);
CREATE TABLE capacity (id TEXT PRIMARY KEY, start INTEGER NOT NULL, expires INTEGER NOT NULL);
`
