-- Schema 2: restores over days. What schema 1 had for them was never used.

DROP TABLE restore;
DROP TABLE restore_range;
DROP TABLE restore_file;
DROP TABLE piece;

-- Restores. States: 1 planned, the plan may not be whole yet; 2 going on;
-- 10 done; 11 cancelled; 12 failed; 20 dropped, its rows go in batches. Machine.
CREATE TABLE restore (
	id         INTEGER PRIMARY KEY AUTOINCREMENT, -- whoever works on one that was dropped must not meet another
	store      INTEGER NOT NULL REFERENCES store,
	key        BLOB NOT NULL,    -- by which a command finds the one that it goes on with; empty: none does
	target     BLOB NOT NULL,    -- folder
	what       BLOB NOT NULL,    -- it brings, for people
	options    TEXT NOT NULL,    -- JSON
	state      INTEGER NOT NULL,
	started    INTEGER NOT NULL,
	started_ns INTEGER NOT NULL,
	ended      INTEGER,
	ended_ns   INTEGER,
	why        TEXT NOT NULL DEFAULT '' -- it was cancelled, or failed
) STRICT;
CREATE UNIQUE INDEX restore_key ON restore (store, key) WHERE state < 10 AND key != x'';
CREATE INDEX restore_open ON restore (store, id) WHERE state < 10;
CREATE INDEX restore_ended ON restore (store, id) WHERE state >= 10;
CREATE INDEX restore_dropped ON restore (id) WHERE state = 20;

-- The ranges of archives that a restore needs. States: 1 planned, 2 requested,
-- 3 ready, 10 done, 11 failed. Machine.
CREATE TABLE restore_range (
	restore    INTEGER NOT NULL REFERENCES restore,
	archive    INTEGER NOT NULL,
	from_byte  INTEGER NOT NULL, -- half-open, of the archive as stored, in whole MiB or up to its end
	to_byte    INTEGER NOT NULL,
	created    INTEGER NOT NULL, -- of the archive, as known when this was planned
	created_ns INTEGER NOT NULL,
	files      INTEGER NOT NULL, -- wanted out of it
	bytes      INTEGER NOT NULL, -- in those files
	state      INTEGER NOT NULL,
	tier       TEXT NOT NULL,    -- it was asked for with
	asked      INTEGER NOT NULL, -- how often
	failed     INTEGER NOT NULL, -- how often its job failed
	ready      INTEGER NOT NULL, -- requested: at the earliest; ready: its output may be gone then
	ready_ns   INTEGER NOT NULL,
	why        TEXT NOT NULL,    -- the last failure
	PRIMARY KEY (restore, archive, from_byte)
) STRICT, WITHOUT ROWID;
-- The order of asking.
CREATE INDEX restore_range_created ON restore_range (restore, created, created_ns, archive, from_byte);
CREATE INDEX restore_range_archive ON restore_range (archive) WHERE state != 10;

-- Sums over the ranges of a restore; always those. Machine.
CREATE TABLE restore_total (
	restore  INTEGER NOT NULL REFERENCES restore,
	state    INTEGER NOT NULL,
	ranges   INTEGER NOT NULL,
	files    INTEGER NOT NULL,
	bytes    INTEGER NOT NULL,
	retrieve INTEGER NOT NULL, -- lengths of the ranges
	PRIMARY KEY (restore, state)
) STRICT, WITHOUT ROWID;

-- The files that a restore could not bring back. Machine.
CREATE TABLE restore_file (
	restore INTEGER NOT NULL REFERENCES restore,
	tree    INTEGER NOT NULL, -- 0: of none
	path    BLOB NOT NULL,
	why     TEXT NOT NULL,
	PRIMARY KEY (restore, tree, path)
) STRICT, WITHOUT ROWID;

-- Verified pieces of downloads that are not complete. Machine.
CREATE TABLE piece (
	restore INTEGER NOT NULL REFERENCES restore,
	archive INTEGER NOT NULL,
	offset  INTEGER NOT NULL, -- in the archive
	size    INTEGER NOT NULL,
	tree    BLOB NOT NULL,
	PRIMARY KEY (restore, archive, offset)
) STRICT, WITHOUT ROWID;

-- How fast a store's archives come in, as measured last. Machine.
CREATE TABLE download_rate (
	store    INTEGER PRIMARY KEY REFERENCES store,
	rate     REAL NOT NULL,   -- bytes a second
	measured INTEGER NOT NULL -- seconds
) STRICT;

-- Retrievals that firn asked for, by time.
CREATE INDEX job_asked ON job (store, asked, asked_ns) WHERE kind = 'retrieval' AND token IS NOT NULL;

-- Commands that are not done, for firn resume to go on with. States: 1 open,
-- 2 given up. Machine.
CREATE TABLE task (
	id         INTEGER PRIMARY KEY AUTOINCREMENT, -- locks are named by it, so that none comes again
	subject    BLOB NOT NULL UNIQUE, -- a newer command with the same one takes the place of this
	command    TEXT NOT NULL,        -- "sync"
	stores     BLOB NOT NULL,        -- their names; a byte 0 ends each
	args       BLOB NOT NULL,        -- behind the program's name, as typed, ended so too
	dir        BLOB NOT NULL,        -- the folder that it was called in
	env        BLOB NOT NULL,        -- NAME=value, ended so too, of the environment; no secrets
	state      INTEGER NOT NULL,
	started    INTEGER NOT NULL,
	started_ns INTEGER NOT NULL,
	tried      INTEGER NOT NULL,     -- the last time
	tried_ns   INTEGER NOT NULL,
	tries      INTEGER NOT NULL,
	failures   INTEGER NOT NULL DEFAULT 0, -- of firn resume, in a row
	exit       INTEGER,              -- of the last try; null: it goes on, or was killed
	said       TEXT NOT NULL DEFAULT '', -- what it ended with, for people
	next       INTEGER               -- worth trying from then on, seconds; null: nobody knows
) STRICT;

-- Archives of which nobody knows what they hold.
CREATE INDEX archive_unnamed ON archive (store) WHERE state = 11;

-- Queues in which this machine hears what stores have ready. Machine.
CREATE TABLE waker (
	store           INTEGER PRIMARY KEY REFERENCES store,
	queue           TEXT NOT NULL,    -- name
	queue_url       TEXT NOT NULL,    -- '': not known yet
	queue_made      INTEGER NOT NULL, -- 1: firn made it, or is about to
	topic           TEXT NOT NULL,    -- ARN; '': not known yet, or not ours to know
	topic_made      INTEGER NOT NULL, -- 1: firn made it, or is about to
	subscription    TEXT NOT NULL,    -- ARN; '' likewise
	replaced_topic  TEXT NOT NULL,    -- ARN that the store told before; '': none
	replaced_events TEXT NOT NULL,    -- and of what, joined by commas
	set_up          INTEGER NOT NULL, -- seconds
	heard           INTEGER NOT NULL DEFAULT 0 -- counts up with what is heard, so that all who wait know
) STRICT;
