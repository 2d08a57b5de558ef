-- The catalog, schema 1. docs/format.md describes it for readers.
--
-- Names and paths are BLOBs: file systems hold bytes. A time is two integers,
-- seconds since 1970 and nanoseconds within the second; a time that nobody
-- knows is that of the year 1, -62135596800 and 0. Columns that refer to large
-- tables have no foreign key, since its check costs as much as the row.
--
-- "Machine" marks what means something on this machine only and is left out
-- of snapshots.

-- The catalogs that rows came from; 1 is this one.
CREATE TABLE catalog (
	id    INTEGER PRIMARY KEY,
	token BLOB NOT NULL UNIQUE, -- 16 random bytes
	host  TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO catalog (id, token) VALUES (1, randomblob(16));

-- Places that keep archives.
CREATE TABLE store (
	id            INTEGER PRIMARY KEY,
	identity      TEXT NOT NULL UNIQUE, -- tells it from one made anew under its name
	kind          TEXT NOT NULL,        -- glacier, s3, local
	url           TEXT NOT NULL,        -- as last used
	name          TEXT NOT NULL,
	region        TEXT NOT NULL,
	address       TEXT NOT NULL,        -- for people: an ARN, a folder
	registered    INTEGER NOT NULL,
	registered_ns INTEGER NOT NULL,
	gone          INTEGER NOT NULL DEFAULT 0, -- 1: deleted, kept as history
	inventory     INTEGER NOT NULL DEFAULT 0, -- date of the newest one worked in, seconds; 0: none
	archives      INTEGER NOT NULL DEFAULT 0, -- of state 10; always the sums over archive
	bytes         INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The names by which stores were ever called.
CREATE TABLE store_url (
	url   TEXT PRIMARY KEY,
	store INTEGER NOT NULL REFERENCES store
) STRICT, WITHOUT ROWID;
CREATE INDEX store_url_store ON store_url (store);

-- Directory trees. One that was found in a store, and of which nobody knows
-- where it came from, has an empty host and root until a sync takes it up.
CREATE TABLE tree (
	id    INTEGER PRIMARY KEY,
	store INTEGER NOT NULL REFERENCES store,
	name  TEXT NOT NULL,
	host  TEXT NOT NULL,
	root  BLOB NOT NULL,              -- absolute path
	files INTEGER NOT NULL DEFAULT 0, -- current regular files; always the sums over file
	bytes INTEGER NOT NULL DEFAULT 0,
	dirs  INTEGER NOT NULL DEFAULT 0,
	links INTEGER NOT NULL DEFAULT 0,
	recipients BLOB,                  -- that its last sync encrypted for, as in seal; null: nobody
	keys  TEXT NOT NULL DEFAULT '',   -- those recipients, public keys, one a line
	UNIQUE (store, name)
) STRICT;

-- Runs order versions: the run with the greater id is later, and so is its
-- time, whatever the clock said. What is known from an archive alone, that
-- others wrote or a lost catalog knew, is a version of a run that stands for
-- the time when the archive was made. Its id has the seconds since 1970 in it,
-- and is below 0, or, of what is newer than a snapshot, below that of the
-- recovery.
CREATE TABLE run (
	id         INTEGER PRIMARY KEY,
	catalog    INTEGER NOT NULL DEFAULT 1 REFERENCES catalog, -- whose run it was
	origin     INTEGER NOT NULL DEFAULT 0, -- its id in that catalog, where that is not this one
	store      INTEGER NOT NULL REFERENCES store,
	tree       INTEGER NOT NULL,           -- 0: of the whole store
	command    TEXT NOT NULL,
	started    INTEGER NOT NULL,
	started_ns INTEGER NOT NULL,
	ended      INTEGER,                    -- null: goes on, or was killed
	ended_ns   INTEGER,
	complete   INTEGER NOT NULL DEFAULT 0  -- 1: all that was asked for was done
) STRICT;
CREATE INDEX run_last ON run (store, tree, command, complete);
CREATE INDEX run_tree ON run (tree);
CREATE INDEX run_own ON run (tree) WHERE catalog = 1;

CREATE TABLE run_count (
	run    INTEGER NOT NULL REFERENCES run,
	action TEXT NOT NULL, -- sent, recorded, unchanged, ...
	files  INTEGER NOT NULL,
	bytes  INTEGER NOT NULL,
	PRIMARY KEY (run, action)
) STRICT, WITHOUT ROWID;

-- Directories that ever were in a tree, with all above them. The key is the
-- path with / as byte 0, which no name holds: so keys sort in the order of a
-- walk that takes siblings by their bytes. The root's key is empty.
CREATE TABLE dir (
	id   INTEGER PRIMARY KEY,
	tree INTEGER NOT NULL,
	key  BLOB NOT NULL,
	UNIQUE (tree, key)
) STRICT;

-- The current version of each entry that is there: files and links by name,
-- and each directory itself under the empty name, which sorts first.
CREATE TABLE file (
	dir        INTEGER NOT NULL,
	name       BLOB NOT NULL,
	since      INTEGER NOT NULL, -- the run that made this version
	mode       INTEGER NOT NULL, -- st_mode, with the type: 0100644
	size       INTEGER NOT NULL, -- bytes
	mtime      INTEGER NOT NULL,
	mtime_ns   INTEGER NOT NULL,
	uid        INTEGER NOT NULL, -- -1: none
	gid        INTEGER NOT NULL,
	archive    INTEGER NOT NULL, -- where its content is: a row of location;
	member     INTEGER NOT NULL, -- 0 and 0 where it has none
	target     BLOB,             -- of links
	link_group INTEGER,          -- entries of one tree with one number are hard links of one file
	attrs      BLOB,             -- reserved for extended attributes
	seen       BLOB,             -- ctime, inode, links, time of reading, mount. Machine.
	PRIMARY KEY (dir, name)
) STRICT, WITHOUT ROWID;

-- The versions that were replaced or removed.
CREATE TABLE version (
	dir        INTEGER NOT NULL,
	name       BLOB NOT NULL,
	since      INTEGER NOT NULL,
	until      INTEGER NOT NULL, -- the run that replaced or removed it, greater than since
	mode       INTEGER NOT NULL,
	size       INTEGER NOT NULL,
	mtime      INTEGER NOT NULL,
	mtime_ns   INTEGER NOT NULL,
	uid        INTEGER NOT NULL,
	gid        INTEGER NOT NULL,
	archive    INTEGER NOT NULL,
	member     INTEGER NOT NULL,
	target     BLOB,
	link_group INTEGER,
	attrs      BLOB,
	PRIMARY KEY (dir, name, since)
) STRICT, WITHOUT ROWID;

-- Archives, from before they exist until after they are gone. States:
--  1 intended    recorded, perhaps sent
--  2 uploading   a multipart upload is open
--  3 completing  all parts are there, completion was asked for
--  4 doubt       whether it is stored shows in an inventory dated later
-- 10 stored
-- 11 foreign     stored by others and not taken in
-- 20 dropped     never came to be
-- 21 lost        was stored, and is missing from an inventory
-- 22 deleted     by us; kept, since inventories lag
CREATE TABLE archive (
	id         INTEGER PRIMARY KEY,
	store      INTEGER NOT NULL REFERENCES store,
	kind       TEXT NOT NULL,    -- file, bundle, catalog, loose, foreign
	state      INTEGER NOT NULL,
	run        INTEGER NOT NULL, -- that intended it; 0: it was found in an inventory
	settled    INTEGER,          -- the run in which it got its state, where that is 10 or more
	token      BLOB,             -- 16 bytes, in its description
	remote     TEXT,             -- the store's id, once it is stored
	size       INTEGER NOT NULL, -- bytes as stored; as expected while intended
	tree       BLOB,             -- tree hash of the bytes as stored
	created    INTEGER,          -- by the store's clock
	created_ns INTEGER,
	note       TEXT              -- why it was dropped
) STRICT;
CREATE INDEX archive_open ON archive (store, id) WHERE state < 10;
CREATE INDEX archive_token ON archive (token) WHERE state < 10;

-- Descriptions that can't be made again from other columns: of archives that
-- others wrote, and of those that belong to no tree (loose).
CREATE TABLE description (
	archive INTEGER PRIMARY KEY,
	text    TEXT NOT NULL,
	format  TEXT NOT NULL DEFAULT '', -- whose it is, where it was understood
	packed  TEXT NOT NULL DEFAULT ''  -- how its maker compressed or encrypted the content
) STRICT;

-- What is in an archive: content, told by its size and tree hash. One content
-- may have many locations. They are written once, a bundle's all together with
-- its intent, and count only while their archive is stored.
CREATE TABLE location (
	archive INTEGER NOT NULL,
	member  INTEGER NOT NULL, -- 0, 1, ... in the order of the archive
	offset  INTEGER NOT NULL, -- of the content in the archive; in its plaintext where it is encrypted
	size    INTEGER NOT NULL, -- bytes
	tree    BLOB,             -- tree hash of the content; null where nobody read it
	PRIMARY KEY (archive, member)
) STRICT, WITHOUT ROWID;
-- Small files are hashed before anybody asks for their size.
CREATE INDEX location_size ON location (size) WHERE size >= 1048576;

-- Locations by the first 64 bits of their tree hash, big endian, signed. New
-- rows gather in by_tree_new, which stays small enough for the cache, and move
-- over in sorted batches: inserting them one by one would touch a page each.
CREATE TABLE by_tree (
	h64     INTEGER NOT NULL,
	archive INTEGER NOT NULL,
	member  INTEGER NOT NULL,
	PRIMARY KEY (h64, archive, member)
) STRICT, WITHOUT ROWID;
CREATE TABLE by_tree_new (
	h64     INTEGER NOT NULL,
	archive INTEGER NOT NULL,
	member  INTEGER NOT NULL,
	PRIMARY KEY (h64, archive, member)
) STRICT, WITHOUT ROWID;

-- Archives by the first 64 bits of the SHA-256 of the store's id, in the same way.
CREATE TABLE by_remote (
	h64     INTEGER NOT NULL,
	archive INTEGER NOT NULL,
	PRIMARY KEY (h64, archive)
) STRICT, WITHOUT ROWID;
CREATE TABLE by_remote_new (
	h64     INTEGER NOT NULL,
	archive INTEGER NOT NULL,
	PRIMARY KEY (h64, archive)
) STRICT, WITHOUT ROWID;

-- What an archive below state 10 is for, and how far its upload is. Machine.
CREATE TABLE intent (
	archive     INTEGER PRIMARY KEY,
	description TEXT NOT NULL,
	tree        INTEGER NOT NULL, -- 0: of no tree
	path        BLOB,             -- of the one file it holds; null: it holds none, or many
	mode        INTEGER,          -- the file as it was before it was read; of the
	                              -- spool file size, mtime and seen
	size        INTEGER,
	mtime       INTEGER,
	mtime_ns    INTEGER,
	uid         INTEGER,
	gid         INTEGER,
	seen        BLOB,
	upload      TEXT,             -- the store's id of the multipart upload
	part_size   INTEGER,
	since       INTEGER,          -- in doubt since, by the store's clock
	since_ns    INTEGER,
	spool       BLOB,             -- path of the sealed bundle
	file_key    BLOB,             -- of an encrypted archive, until it is stored
	nonce       BLOB
) STRICT;

-- The parts that the store has of an open upload. Machine.
CREATE TABLE part (
	archive INTEGER NOT NULL,
	offset  INTEGER NOT NULL,
	size    INTEGER NOT NULL,
	tree    BLOB NOT NULL,
	PRIMARY KEY (archive, offset)
) STRICT, WITHOUT ROWID;

-- Uploads of which the store may hold an archive that nobody recorded, until
-- an inventory dated later was looked at.
CREATE TABLE doubt (
	id       INTEGER PRIMARY KEY,
	store    INTEGER NOT NULL REFERENCES store,
	archive  INTEGER NOT NULL,
	since    INTEGER NOT NULL, -- by the store's clock
	since_ns INTEGER NOT NULL,
	resent   INTEGER NOT NULL DEFAULT 0, -- 1: sent again since, under the same token
	size     INTEGER NOT NULL,
	tree     INTEGER NOT NULL,
	path     BLOB
) STRICT;
CREATE INDEX doubt_store ON doubt (store);
CREATE INDEX doubt_archive ON doubt (archive);

-- Headers of encrypted archives: with one, any chunk can be opened alone.
CREATE TABLE seal (
	archive    INTEGER PRIMARY KEY,
	header     BLOB NOT NULL,
	recipients BLOB NOT NULL -- SHA-256 of them all, sorted: content is shared only among archives for the same ones
) STRICT;

-- What S3 has beyond a vault.
CREATE TABLE object (
	archive    INTEGER PRIMARY KEY,
	class      TEXT NOT NULL,
	version_id TEXT,    -- in versioned buckets
	checksum   TEXT,    -- x-amz-checksum-*, with its name
	thawed     INTEGER  -- a copy can be read until then, seconds
) STRICT;

-- Jobs. States: 1 intended, perhaps asked for; 2 running; 3 ready;
-- 10 failed; 11 gone: expired, or never asked for. Machine.
CREATE TABLE job (
	id         INTEGER PRIMARY KEY,
	store      INTEGER NOT NULL REFERENCES store,
	run        INTEGER NOT NULL,
	token      BLOB,              -- 16 bytes, in its description; null: somebody else's
	kind       TEXT NOT NULL,     -- retrieval, inventory
	state      INTEGER NOT NULL,
	archive    INTEGER,           -- what it brings
	remote     TEXT,              -- the store's id
	remote_archive TEXT,          -- the store's id of what it brings
	from_byte  INTEGER,           -- half-open range; null: all
	to_byte    INTEGER,
	tier       TEXT NOT NULL,
	asked      INTEGER NOT NULL,  -- by the local clock
	asked_ns   INTEGER NOT NULL,
	created    INTEGER,           -- by the store's clock
	created_ns INTEGER,
	completed  INTEGER,
	completed_ns INTEGER,
	archive_size INTEGER NOT NULL DEFAULT 0,
	archive_tree BLOB,
	range_tree BLOB,
	partial    INTEGER NOT NULL DEFAULT 0,
	output     INTEGER NOT NULL DEFAULT 0, -- bytes of an inventory
	message    TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX job_open ON job (store, id) WHERE state < 10;
CREATE INDEX job_archive ON job (archive, id) WHERE state < 10;
CREATE INDEX job_token ON job (token) WHERE token IS NOT NULL;
CREATE INDEX job_remote ON job (remote) WHERE remote IS NOT NULL;

-- Inventories that were read, and their rows while they are worked in: first
-- appended, then told in by_staged in the order of h64 (as in by_remote), so that
-- they can be looked up, and emptied at last. Machine.
CREATE TABLE inventory (
	id       INTEGER PRIMARY KEY,
	store    INTEGER NOT NULL REFERENCES store,
	run      INTEGER NOT NULL,
	job      INTEGER,
	dated    INTEGER NOT NULL, -- by the store's clock, seconds
	archives INTEGER NOT NULL, -- while it is read: that were listed so far
	bytes    INTEGER NOT NULL,
	state    INTEGER NOT NULL  -- 1 being read, 2 read, 3 worked in, 4 given up
) STRICT;
CREATE INDEX inventory_store ON inventory (store, state);
CREATE TABLE staged (
	id          INTEGER PRIMARY KEY, -- the inventory's, times 2^32, and its place in the list
	h64         INTEGER NOT NULL,
	remote      TEXT NOT NULL,
	description TEXT NOT NULL,
	created     INTEGER NOT NULL,    -- microseconds since 1970
	size        INTEGER NOT NULL,
	tree        BLOB NOT NULL        -- empty: none was told
) STRICT;
CREATE TABLE by_staged (
	inventory INTEGER NOT NULL,
	h64       INTEGER NOT NULL,
	staged    INTEGER NOT NULL,
	PRIMARY KEY (inventory, h64, staged)
) STRICT, WITHOUT ROWID;

-- Hashes of files on disk, with what the file was like: of verify, and of
-- files that were read to learn whether the store has them. Machine.
CREATE TABLE hashed (
	dir      INTEGER NOT NULL,
	name     BLOB NOT NULL,
	size     INTEGER NOT NULL,
	mtime    INTEGER NOT NULL,
	mtime_ns INTEGER NOT NULL,
	seen     BLOB,
	tree     BLOB NOT NULL,
	PRIMARY KEY (dir, name)
) STRICT, WITHOUT ROWID;

-- Restores, over days. Machine.
CREATE TABLE restore (
	id         INTEGER PRIMARY KEY,
	store      INTEGER NOT NULL REFERENCES store,
	run        INTEGER NOT NULL,
	at_run     INTEGER NOT NULL,  -- 0: the newest versions
	target     BLOB NOT NULL,     -- folder
	tier       TEXT NOT NULL,
	options    TEXT NOT NULL,     -- JSON
	max_cost   INTEGER,           -- millionths of a dollar, for its whole life
	state      INTEGER NOT NULL,  -- 1 planned, 2 going on, 10 done, 11 cancelled
	started    INTEGER NOT NULL,
	ended      INTEGER
) STRICT;
CREATE INDEX restore_open ON restore (store) WHERE state < 10;

-- The ranges of archives that a restore asks for. States: 1 planned,
-- 2 requested, 3 ready, 4 downloading, 10 done, 11 failed. Machine.
CREATE TABLE restore_range (
	restore   INTEGER NOT NULL,
	archive   INTEGER NOT NULL,
	from_byte INTEGER NOT NULL,
	to_byte   INTEGER NOT NULL,
	state     INTEGER NOT NULL,
	job       INTEGER,
	asked     INTEGER NOT NULL DEFAULT 0, -- how often
	why       TEXT,
	PRIMARY KEY (restore, archive, from_byte)
) STRICT, WITHOUT ROWID;
CREATE INDEX restore_range_archive ON restore_range (archive) WHERE state < 10;

-- The file versions that a restore brings back, with the states of their
-- ranges. Machine.
CREATE TABLE restore_file (
	restore INTEGER NOT NULL,
	dir     INTEGER NOT NULL,
	name    BLOB NOT NULL,
	since   INTEGER NOT NULL,
	archive INTEGER,
	state   INTEGER NOT NULL,
	target  BLOB, -- where that is not the path below the target folder
	why     TEXT,
	PRIMARY KEY (restore, dir, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX restore_file_archive ON restore_file (restore, archive) WHERE state < 10;

-- Verified pieces of downloads that are not complete. Machine.
CREATE TABLE piece (
	restore INTEGER NOT NULL,
	archive INTEGER NOT NULL,
	offset  INTEGER NOT NULL, -- in the archive
	size    INTEGER NOT NULL,
	tree    BLOB NOT NULL,
	PRIMARY KEY (restore, archive, offset)
) STRICT, WITHOUT ROWID;

-- Archives that are to be deleted, or may be: versions in them were forgotten.
-- States: 0 candidate, perhaps others refer to it; 1 queued, nothing does;
-- 2 asked for. Machine.
CREATE TABLE deletion (
	archive    INTEGER PRIMARY KEY,
	store      INTEGER NOT NULL REFERENCES store,
	run        INTEGER NOT NULL,
	not_before INTEGER NOT NULL, -- by the store's clock, seconds: free of fees from then on
	state      INTEGER NOT NULL,
	sweep      INTEGER,          -- the run that looks for what refers to a candidate
	why        TEXT NOT NULL
) STRICT;
CREATE INDEX deletion_candidate ON deletion (store) WHERE state = 0;
CREATE INDEX deletion_due ON deletion (store, not_before) WHERE state > 0;

-- Moves from store to store.
CREATE TABLE migration (
	id      INTEGER PRIMARY KEY,
	source  INTEGER NOT NULL REFERENCES store,
	target  INTEGER NOT NULL REFERENCES store,
	run     INTEGER NOT NULL,
	options TEXT NOT NULL,   -- JSON
	state   INTEGER NOT NULL -- 1 going on, 2 copied, 3 deleting, 10 done, 11 cancelled
) STRICT;
-- States: 1 planned, 2 requested, 3 ready, 4 copied, 5 checked again,
-- 10 source deleted, 11 failed.
CREATE TABLE migration_item (
	migration INTEGER NOT NULL REFERENCES migration,
	archive   INTEGER NOT NULL, -- of the source
	copy      INTEGER,          -- archive of the target
	job       INTEGER,
	state     INTEGER NOT NULL,
	why       TEXT,
	PRIMARY KEY (migration, archive)
) STRICT, WITHOUT ROWID;
CREATE INDEX migration_item_state ON migration_item (migration, state);

-- Snapshots of one store's rows, of this catalog and of others.
CREATE TABLE snapshot (
	id       INTEGER PRIMARY KEY,
	store    INTEGER NOT NULL REFERENCES store,
	catalog  INTEGER NOT NULL REFERENCES catalog,
	seq      INTEGER NOT NULL, -- counts up in its catalog and store
	base     INTEGER NOT NULL, -- seq of the one it adds to; 0: it is full
	through  INTEGER NOT NULL, -- the last run in it
	archive  INTEGER NOT NULL, -- that holds it
	made     INTEGER NOT NULL, -- seconds
	own      INTEGER NOT NULL DEFAULT 1, -- 0: its numbers aren't those of this database, nothing can add to it
	UNIQUE (store, catalog, seq)
) STRICT;

-- Billable calls that were made, an hour's of one sort in a row. Machine.
CREATE TABLE ledger (
	store  INTEGER NOT NULL REFERENCES store,
	hour   INTEGER NOT NULL, -- hours since 1970
	op     TEXT NOT NULL,    -- upload, part, retrieval, download, delete, ...
	tier   TEXT NOT NULL,    -- or storage class; '' where there is none
	restore INTEGER NOT NULL DEFAULT 0,
	calls  INTEGER NOT NULL,
	bytes  INTEGER NOT NULL,
	PRIMARY KEY (store, hour, op, tier, restore)
) STRICT, WITHOUT ROWID;
