package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// An ArchiveKind says what is in an archive.
type ArchiveKind string

// The kinds of archive.
const (
	FileArchive    ArchiveKind = "file"
	BundleArchive  ArchiveKind = "bundle"
	CatalogArchive ArchiveKind = "catalog" // a snapshot
	ForeignArchive ArchiveKind = "foreign" // written by others
)

// An Intent is an archive that is to be, from before the first request until
// its outcome is known.
type Intent struct {
	ID          int64 // given by Intend
	Store       int64
	Run         int64
	Token       firn.Token
	Kind        ArchiveKind
	Description string
	Tree        int64 // 0 where it is for no file
	// File is what it is for, with the stamp of before it was read; zero where
	// it is for no file.
	File firn.File
	// Size is the archive's expected number of bytes.
	Size int64

	// From OpenIntents, as far as it came:
	State    State
	Upload   firn.UploadID // since UploadOpened
	PartSize int64
	Parts    []firn.Part   // recorded, by offset
	TreeHash treehash.Hash // since Completing
	Since    time.Time     // of Doubt: by the store's clock
	Resent   bool          // it was in doubt, and is sent again: a double may exist
}

// Intend records intents in one commit and gives them their IDs.
// Errors: Invalid (no token, a path that no tree can hold).
func (c *Catalog) Intend(ctx context.Context, intents []Intent) error {
	for i := range intents {
		if intents[i].Token.IsZero() {
			return &firn.Error{Op: "record intent", Subject: intents[i].File.Path, Kind: firn.Invalid, Err: errors.New("no token")}
		}
		if err := checkPath(intents[i].File.Path); err != nil {
			return err
		}
	}
	return c.write(ctx, "record intent", "", func(tx tx) error {
		for i := range intents {
			if err := intend(tx, &intents[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func intend(tx tx, in *Intent) (err error) {
	in.State = Intended
	in.ID, err = tx.insert("INSERT INTO archive (store, kind, state, run, token, size) VALUES (?, ?, 1, ?, ?, ?)",
		in.Store, string(in.Kind), in.Run, in.Token[:], in.Size)
	if err != nil {
		return err
	}
	if in.Tree == 0 {
		return tx.exec("INSERT INTO intent (archive, description, tree) VALUES (?, ?, 0)", in.ID, in.Description)
	}
	f := &in.File
	sec, nsec := instant(f.Stamp.ModTime)
	return tx.exec("INSERT INTO intent (archive, description, tree, path, mode, size, mtime, mtime_ns, uid, gid, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		in.ID, in.Description, in.Tree, []byte(f.Path), modeOf(f.Kind, f.Mode), f.Stamp.Size, sec, nsec, int64(f.UID), int64(f.GID),
		packSeen(f, time.Time{}, false))
}

// UploadOpened records that a multipart upload was opened, in place of any
// earlier one, whose parts are forgotten.
// Errors: NotFound (no such intent), Conflict (it has its outcome already).
func (c *Catalog) UploadOpened(ctx context.Context, id int64, upload firn.UploadID, partSize int64) error {
	return c.advance(ctx, "record upload", id, Uploading, func(tx tx, _ State) error {
		if err := tx.exec("DELETE FROM part WHERE archive = ?", id); err != nil {
			return err
		}
		return tx.exec("UPDATE intent SET upload = ?, part_size = ? WHERE archive = ?", string(upload), partSize, id)
	})
}

// PartDone records a part that the store has, in place of any at its offset.
// Errors: as UploadOpened.
func (c *Catalog) PartDone(ctx context.Context, id int64, part firn.Part) error {
	return c.advance(ctx, "record part", id, Uploading, func(tx tx, _ State) error {
		return tx.exec("INSERT OR REPLACE INTO part (archive, offset, size, tree) VALUES (?, ?, ?, ?)", id, part.Offset, part.Size, part.Tree[:])
	})
}

// UploadCompleting records that completion is about to be asked for, of an
// archive of this size and tree hash. Errors: as UploadOpened.
func (c *Catalog) UploadCompleting(ctx context.Context, id, size int64, tree treehash.Hash) error {
	return c.advance(ctx, "record completion", id, Completing, func(tx tx, _ State) error {
		return tx.exec("UPDATE archive SET size = ?, tree = ? WHERE id = ?", size, tree[:], id)
	})
}

// Doubtful records that it can't be known until an inventory dated after since
// (by the store's clock) whether the archive is stored.
// Errors: as UploadOpened.
func (c *Catalog) Doubtful(ctx context.Context, id int64, since time.Time) error {
	return c.advance(ctx, "record doubt", id, Doubt, func(tx tx, before State) error {
		sec, nsec := instant(since)
		if err := tx.exec("UPDATE intent SET since = ?, since_ns = ? WHERE archive = ?", sec, nsec, id); err != nil {
			return err
		}
		if before == Doubt {
			return tx.exec("UPDATE doubt SET since = ?, since_ns = ? WHERE archive = ? AND resent = 0", sec, nsec, id)
		}
		return tx.exec(`INSERT INTO doubt (store, archive, since, since_ns, size, tree, path)
			SELECT a.store, a.id, ?, ?, a.size, i.tree, i.path FROM archive a CROSS JOIN intent i ON i.archive = a.id WHERE a.id = ?`, sec, nsec, id)
	})
}

// Retry records that an intent is begun anew under the same token: its upload
// and parts are forgotten. If it was in doubt, that stays listed, since there
// may be two archives in the end. Errors: as UploadOpened.
func (c *Catalog) Retry(ctx context.Context, id int64) error {
	return c.advance(ctx, "begin again", id, Intended, func(tx tx, before State) error {
		if before == Doubt {
			if err := tx.exec("UPDATE doubt SET resent = 1 WHERE archive = ?", id); err != nil {
				return err
			}
		}
		if err := tx.exec("DELETE FROM part WHERE archive = ?", id); err != nil {
			return err
		}
		return tx.exec("UPDATE intent SET upload = NULL, part_size = NULL, since = NULL, since_ns = NULL WHERE archive = ?", id)
	})
}

// Drop records that the archive will never be, and why. Doubts of it stay
// listed until they are resolved. Errors: as UploadOpened.
func (c *Catalog) Drop(ctx context.Context, id int64, reason string) error {
	return c.advance(ctx, "drop", id, Dropped, func(tx tx, _ State) error {
		if err := tx.exec("UPDATE archive SET note = ? WHERE id = ?", reason, id); err != nil {
			return err
		}
		return forgetIntent(tx, id)
	})
}

// forgetIntent deletes what is only known of an archive until its outcome is.
func forgetIntent(tx tx, id int64) error {
	if err := tx.exec("DELETE FROM part WHERE archive = ?", id); err != nil {
		return err
	}
	return tx.exec("DELETE FROM intent WHERE archive = ?", id)
}

// Stored records, in one commit, that an intent's archive is in the store, and
// what it holds: change becomes the current version of the file; nil for what
// is no file. Of archive the description is not looked at; a zero Created is
// not known. It settles the intent; a double stays listed by Doubts. Said
// twice of the same archive it changes nothing.
// Errors: NotFound, Conflict (the intent has another outcome), Invalid (as
// Record).
func (c *Catalog) Stored(ctx context.Context, id int64, archive firn.Archive, run Run, change *Change) error {
	if err := c.tidy(ctx); err != nil {
		return err
	}
	return c.write(ctx, "record archive", string(archive.ID), func(tx tx) error {
		before, err := readState(tx, id)
		if err != nil {
			return err
		}
		if before.State == Stored && before.Remote == archive.ID {
			return nil
		}
		if before.State >= Stored {
			return before.conflict("record archive")
		}
		if err := c.settle(tx, before, archive, run); err != nil {
			return err
		}
		if change == nil {
			return nil
		}
		r := newRecorder(tx, run)
		if err := c.enter(r, id, change); err != nil {
			return wrap(ctx, "record archive", change.Path, err)
		}
		return r.finish()
	})
}

// settle makes an intent a stored archive.
func (c *Catalog) settle(tx tx, in archiveState, archive firn.Archive, run Run) error {
	var sec, nsec any
	if !archive.Created.IsZero() {
		sec, nsec = archive.Created.Unix(), archive.Created.Nanosecond()
	}
	err := tx.exec("UPDATE archive SET state = 10, settled = ?, remote = ?, size = ?, tree = ?, created = ?, created_ns = ? WHERE id = ?",
		run.ID, string(archive.ID), archive.Size, archive.Tree[:], sec, nsec, in.ID)
	if err != nil {
		return err
	}
	if err := tx.exec("UPDATE store SET archives = archives + 1, bytes = bytes + ? WHERE id = ?", archive.Size, in.Store); err != nil {
		return err
	}
	if err := tx.exec("INSERT OR IGNORE INTO by_remote_new (h64, archive) VALUES (?, ?)", remote64(archive.ID), in.ID); err != nil {
		return err
	}
	c.remotes.fresh.Add(1)
	if in.State == Doubt {
		// It was this one; had it been sent again it would not be in doubt.
		if err := tx.exec("DELETE FROM doubt WHERE archive = ? AND resent = 0", in.ID); err != nil {
			return err
		}
	}
	return forgetIntent(tx, in.ID)
}

// enter records the one file that an archive holds.
func (c *Catalog) enter(r *recorder, id int64, change *Change) error {
	where := place{}
	if change.Content.Size > 0 {
		where.archive = id
		err := r.exec("INSERT INTO location (archive, member, offset, size, tree) VALUES (?, 0, 0, ?, ?)", id, change.Content.Size, change.Content.Tree[:])
		if err != nil {
			return err
		}
		if err := r.exec("INSERT INTO by_tree_new (h64, archive, member) VALUES (?, ?, 0)", hash64(change.Content.Tree), id); err != nil {
			return err
		}
		c.trees.fresh.Add(1)
	}
	return r.record(change, where)
}

// An archiveState is what decides what may become of an archive.
type archiveState struct {
	ID, Store int64
	State     State
	Remote    firn.ArchiveID
	Size      int64
}

func readState(tx tx, id int64) (s archiveState, err error) {
	err = tx.row("SELECT id, store, state, coalesce(remote, ''), size FROM archive WHERE id = ?", id).
		Scan(&s.ID, &s.Store, &s.State, &s.Remote, &s.Size)
	return s, err
}

func (s archiveState) conflict(op string) error {
	return &firn.Error{Op: op, Subject: fmt.Sprint("archive ", s.ID), Kind: firn.Conflict, Err: fmt.Errorf("it is %s already", s.State)}
}

// advance moves an archive that has no outcome yet to another state. fn gets
// the state it had.
func (c *Catalog) advance(ctx context.Context, op string, id int64, to State, fn func(tx, State) error) error {
	return c.write(ctx, op, fmt.Sprint("archive ", id), func(tx tx) error {
		s, err := readState(tx, id)
		if err != nil {
			return err
		}
		if s.State >= Stored {
			return s.conflict(op)
		}
		if s.State != to {
			if err := tx.exec("UPDATE archive SET state = ? WHERE id = ?", to, id); err != nil {
				return err
			}
		}
		return fn(tx, s.State)
	})
}

// OpenIntents gives all intents of a store without an outcome, oldest first,
// with what is recorded of them: what there is to reconcile after a kill.
func (c *Catalog) OpenIntents(ctx context.Context, store int64) (intents []Intent, err error) {
	err = c.read(ctx, "list intents", fmt.Sprint("of store ", store), func(tx tx) error {
		err := tx.each(func(rows *sql.Rows) error {
			in, err := scanIntent(rows)
			intents = append(intents, in)
			return err
		}, `SELECT a.id, a.store, a.kind, a.state, a.run, a.token, a.size, a.tree, i.description, i.tree, i.path,
			coalesce(i.mode, 0), coalesce(i.size, 0), coalesce(i.mtime, -62135596800), coalesce(i.mtime_ns, 0), coalesce(i.uid, 0), coalesce(i.gid, 0), i.seen,
			coalesce(i.upload, ''), coalesce(i.part_size, 0), coalesce(i.since, -62135596800), coalesce(i.since_ns, 0),
			EXISTS (SELECT 1 FROM doubt WHERE doubt.archive = a.id AND doubt.resent = 1)
			FROM archive a CROSS JOIN intent i ON i.archive = a.id WHERE a.store = ? AND a.state < 10 ORDER BY a.id`, store)
		for i := range intents {
			if intents[i].Upload != "" && err == nil {
				intents[i].Parts, err = readParts(tx, intents[i].ID)
			}
		}
		return err
	})
	return intents, err
}

func scanIntent(rows *sql.Rows) (in Intent, err error) {
	var token, tree, path, seen []byte
	var mode, mtime, mtimeNs, since, sinceNs int64
	f := &in.File
	err = rows.Scan(&in.ID, &in.Store, &in.Kind, &in.State, &in.Run, &token, &in.Size, &tree, &in.Description, &in.Tree, &path,
		&mode, &f.Stamp.Size, &mtime, &mtimeNs, &f.UID, &f.GID, &seen, &in.Upload, &in.PartSize, &since, &sinceNs, &in.Resent)
	copy(in.Token[:], token)
	copy(in.TreeHash[:], tree)
	in.Since = at(since, sinceNs)
	if in.Tree != 0 {
		f.Path = string(path)
		f.Kind, f.Mode = fromMode(mode)
		f.Stamp.ModTime = at(mtime, mtimeNs)
		unpackSeen(seen, f)
	}
	return in, err
}

func readParts(tx tx, archive int64) (parts []firn.Part, err error) {
	err = tx.each(func(rows *sql.Rows) error {
		var p firn.Part
		var tree []byte
		err := rows.Scan(&p.Offset, &p.Size, &tree)
		copy(p.Tree[:], tree)
		parts = append(parts, p)
		return err
	}, "SELECT offset, size, tree FROM part WHERE archive = ? ORDER BY offset", archive)
	return parts, err
}
