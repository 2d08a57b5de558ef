-- Schema 3: keeping house.

-- What is billed.

-- When an archive was stored, and when it was deleted or found missing, by the
-- local clock, seconds: storage is charged for between the two. Null where it
-- didn't happen, or nobody knows. Machine.
ALTER TABLE archive ADD COLUMN came INTEGER;
ALTER TABLE archive ADD COLUMN ended INTEGER;

-- Billable calls that were made, an hour's of one sort in a row. What schema 1
-- had was never used. Retrievals are not here: jobs are recorded anyhow. Machine.
DROP TABLE ledger;
CREATE TABLE ledger (
	store INTEGER NOT NULL REFERENCES store,
	hour  INTEGER NOT NULL, -- since 1970, by the local clock
	op    TEXT NOT NULL,    -- upload, download, early
	rest  INTEGER NOT NULL, -- early: hours that were left of the shortest time, rounded up; else 0
	calls INTEGER NOT NULL, -- early: archives
	bytes INTEGER NOT NULL, -- early: in those; download: that came
	PRIMARY KEY (store, hour, op, rest)
) STRICT, WITHOUT ROWID;

-- What verify has read. What schema 1 had for that was never used.

DROP TABLE hashed;

-- Directories that verify compares with a tree. Machine.
CREATE TABLE verified (
	id   INTEGER PRIMARY KEY,
	tree INTEGER NOT NULL,
	root BLOB NOT NULL, -- absolute path
	UNIQUE (tree, root)
) STRICT;

-- Rounds of verify that are not complete: one is, when each file was read since it
-- began. Machine.
CREATE TABLE verify_round (
	place INTEGER NOT NULL REFERENCES verified,
	part  INTEGER NOT NULL, -- of so many, from 1 on
	parts INTEGER NOT NULL,
	began INTEGER NOT NULL, -- microseconds since 1970, by the local clock
	PRIMARY KEY (place, part, parts)
) STRICT, WITHOUT ROWID;

-- Hashes of the files there, with what each file was like when it was read. Machine.
CREATE TABLE hashed (
	place INTEGER NOT NULL,
	dir   INTEGER NOT NULL,
	name  BLOB NOT NULL,
	stamp BLOB NOT NULL,    -- size, mtime, ctime, inode: varints, as in file.seen
	read  INTEGER NOT NULL, -- when that began; microseconds since 1970, by the local clock
	tree  BLOB NOT NULL,
	PRIMARY KEY (place, dir, name)
) STRICT, WITHOUT ROWID;

-- The date of the newest inventory in which all archives of a store were as
-- recorded, seconds. Machine.
CREATE TABLE agreed (
	store INTEGER PRIMARY KEY REFERENCES store,
	dated INTEGER NOT NULL,
	whole INTEGER NOT NULL -- and of the newest that listed nothing else worth telling; 0: none
) STRICT;

-- Files that verify brings back to compare them, a sample at a time. Machine.
CREATE TABLE sample (
	store INTEGER NOT NULL REFERENCES store,
	asked INTEGER NOT NULL, -- how many were asked for
	tree  INTEGER NOT NULL,
	path  BLOB NOT NULL,
	size  INTEGER NOT NULL,
	hash  BLOB NOT NULL,    -- tree hash of its content
	PRIMARY KEY (store, tree, path)
) STRICT, WITHOUT ROWID;

-- What is emptied.

-- Stores that are being emptied: what an inventory lists in state 5 is to go, if it
-- was made before that was agreed to. Machine.
CREATE TABLE emptying (
	store     INTEGER PRIMARY KEY REFERENCES store,
	inventory INTEGER,          -- null: it isn't there yet
	agreed    INTEGER NOT NULL, -- by the store's clock, seconds
	pays      INTEGER NOT NULL, -- 1: fees for what is young were agreed to
	vault     INTEGER NOT NULL, -- 1: the store itself goes as well; 2: and was asked to
	asked     INTEGER NOT NULL, -- when it was last asked to delete anything, likewise; 0: never
	checked   INTEGER NOT NULL DEFAULT 0 -- date of the last inventory that showed what is left, seconds; 0: none yet
) STRICT;

-- What became of the rows of staged that are to go; of those that aren't here,
-- nothing yet. States: 1 asked for, and no outcome is known; 2 gone; 3 refused.
-- Machine.
CREATE TABLE emptied (
	staged INTEGER PRIMARY KEY,
	state  INTEGER NOT NULL,
	why    TEXT NOT NULL    -- it was refused
) STRICT;
CREATE INDEX emptied_open ON emptied (staged) WHERE state != 2;

-- What is pruned.

-- How a store was called by the command that last left deletions to be done, so
-- that firn resume reaches it as that did. Machine.
CREATE TABLE deletion_call (
	store INTEGER PRIMARY KEY REFERENCES store,
	name  BLOB NOT NULL, -- a location, or a profile
	dir   BLOB NOT NULL, -- the folder that it was called in
	env   BLOB NOT NULL  -- NAME=value, a byte 0 ends each, of the environment; no secrets
) STRICT;

-- What is compared with inventories.

-- Stores of which somebody wants a new inventory: one that is asked for then, by
-- the store's clock, seconds, or later. Machine.
CREATE TABLE awaited (
	store INTEGER PRIMARY KEY REFERENCES store,
	since INTEGER NOT NULL
) STRICT;

-- Archives that never came to be, and may be in an inventory all the same.
CREATE INDEX archive_dropped ON archive (token) WHERE state = 20;
