-- Schema 5: storage classes, and which stores were reached.

-- What is billed.

-- What S3 said of an archive that it stored, or lists. What schema 1 had for that
-- was never used. An archive without a row is of a vault or a folder, or was stored
-- before this was recorded, in its store's class as far as anybody knows.
DROP TABLE object;
CREATE TABLE object (
	archive  INTEGER PRIMARY KEY,
	class    TEXT NOT NULL, -- '': not told
	checksum TEXT NOT NULL  -- of the bytes as stored: ALGORITHM:VALUE, as S3 spells both; '': not told
) STRICT;

-- Billable calls that were made, an hour's of one sort in a row. Retrievals are
-- not here: jobs are recorded anyhow. Machine.
ALTER TABLE ledger RENAME TO ledger4;
CREATE TABLE ledger (
	store INTEGER NOT NULL REFERENCES store,
	hour  INTEGER NOT NULL, -- since 1970, by the local clock
	op    TEXT NOT NULL,    -- upload, download, early, copy, extend
	class TEXT NOT NULL,    -- storage class in S3; '': the store's
	rest  INTEGER NOT NULL, -- early: hours that were left of the shortest time, rounded up; copy, extend: for which it is to stay; else 0
	calls INTEGER NOT NULL, -- early, copy, extend: archives
	bytes INTEGER NOT NULL, -- early, copy, extend: in those; download: that came
	PRIMARY KEY (store, hour, op, class, rest)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger SELECT store, hour, op, '', rest, calls, bytes FROM ledger4;
DROP TABLE ledger4;

-- What is compared with inventories.

-- The storage class that an archive is listed in; '': none is told.
ALTER TABLE staged ADD COLUMN class TEXT NOT NULL DEFAULT '';

-- Stores.

-- 1: this machine has asked it what it is. 0: as far as it is known, others say so, in
-- rows that were brought in: its identity isn't to be gone by.
ALTER TABLE store ADD COLUMN reached INTEGER NOT NULL DEFAULT 0;
-- A store that this machine was charged by, it has reached.
UPDATE store SET reached = 1 WHERE id IN (SELECT store FROM ledger);
