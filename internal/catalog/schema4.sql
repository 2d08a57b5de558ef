-- Schema 4: moving out.

-- What is moved from store to store. What schema 1 had for that was never used.

DROP TABLE migration_item;
DROP TABLE migration;

-- Moves from store to store. Machine.
CREATE TABLE migration (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	source     INTEGER NOT NULL REFERENCES store,
	target     INTEGER NOT NULL REFERENCES store,
	only       TEXT NOT NULL,    -- name of the one tree that is moved; '': all there is
	run        INTEGER NOT NULL, -- of the target, that the copies belong to
	options    TEXT NOT NULL,    -- the tier by which its price was agreed to
	state      INTEGER NOT NULL, -- 1 going on, 2 copied, 3 the source is being emptied, 10 done, 11 given up
	planned    INTEGER NOT NULL DEFAULT 0, -- archives of the source up to this row have their row in copy
	started    INTEGER NOT NULL,
	started_ns INTEGER NOT NULL,
	ended      INTEGER,
	ended_ns   INTEGER
) STRICT;
CREATE UNIQUE INDEX migration_open ON migration (source, target, only) WHERE state < 10;
CREATE INDEX migration_source ON migration (source);

-- What is copied. States: 1 planned, 2 on its way: copy is what it is to be in;
-- 10 copied, 11 failed, 12 not needed any more, 13 it was lost already. Machine.
CREATE TABLE copy (
	migration  INTEGER NOT NULL REFERENCES migration,
	archive    INTEGER NOT NULL, -- of the source
	state      INTEGER NOT NULL,
	copy       INTEGER NOT NULL DEFAULT 0, -- archive of the target; 0: none yet
	member     INTEGER NOT NULL DEFAULT 0, -- that its first is of that; the others follow
	size       INTEGER NOT NULL, -- of the source
	created    INTEGER NOT NULL, -- the order of asking
	created_ns INTEGER NOT NULL,
	dir        INTEGER NOT NULL DEFAULT 0, -- of the version that it is named by; 0: none has it alone
	name       BLOB,
	since      INTEGER NOT NULL DEFAULT 0,
	why        TEXT NOT NULL DEFAULT '',   -- it failed
	PRIMARY KEY (migration, archive)
) STRICT, WITHOUT ROWID;
CREATE INDEX copy_open ON copy (migration, created, created_ns, archive) WHERE state < 10;
CREATE INDEX copy_failed ON copy (migration, archive) WHERE state = 11;
CREATE INDEX copy_archive ON copy (archive);
CREATE INDEX copy_into ON copy (copy) WHERE state = 2;

-- Sums over the copies of a migration; always those. Machine.
CREATE TABLE copy_total (
	migration INTEGER NOT NULL REFERENCES migration,
	state     INTEGER NOT NULL,
	archives  INTEGER NOT NULL,
	bytes     INTEGER NOT NULL,
	PRIMARY KEY (migration, state)
) STRICT, WITHOUT ROWID;

-- What is billed.

-- The storage class in S3 that archives of a store have, unless a profile said
-- another; '' elsewhere, and until the store was looked at.
ALTER TABLE store ADD COLUMN class TEXT NOT NULL DEFAULT '';

-- What is restored.

-- The bytes of a range that are to be downloaded, in whole MiB: of an archive that
-- thaws as a whole a few may be wanted. 0: nobody noted it.
ALTER TABLE restore_range ADD COLUMN download INTEGER NOT NULL DEFAULT 0;

-- 1: somebody else asks for the job, from a list that was given to him: it may take
-- a day or two until the store tells of it.
ALTER TABLE job ADD COLUMN handed INTEGER NOT NULL DEFAULT 0;
