package catalog

import (
	"context"
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
	// it is for no file. Of no tree it has a path and a stamp alone, which is
	// zero for what can't be read again.
	File firn.File
	// Size is the archive's expected number of bytes.
	Size int64
	// Spool is the file on this machine that holds the archive's bytes before
	// they are sealed: a bundle of many. Then File has that file's stamp, and
	// nothing else. "": File itself is what is read.
	Spool string
	// Seal is how the archive is encrypted; nil where it isn't.
	Seal *Sealing
	// TreeHash is that of the archive, where it is known before it is sent; else
	// since Completing.
	TreeHash treehash.Hash

	// From OpenIntents, as far as it came:
	State    State
	Upload   firn.UploadID // since UploadOpened
	PartSize int64
	Parts    []firn.Part // recorded, by offset
	Since    time.Time   // of Doubt: by the store's clock
	Resent   bool        // it was in doubt, and is sent again: a double may exist
}

// Intend records intents in one commit and gives them their IDs.
// Errors: Invalid (no token, a path that no tree can hold, a seal without
// header or recipients).
func (c *Catalog) Intend(ctx context.Context, intents []Intent) error {
	for i := range intents {
		if err := checkIntent(&intents[i]); err != nil {
			return err
		}
	}
	return c.writeAgain(ctx, "record intent", "", func(tx tx) error {
		for i := range intents {
			if err := intend(tx, &intents[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkIntent refuses what could not be found again, or not opened.
func checkIntent(in *Intent) error {
	var why string
	switch {
	case in.Token.IsZero():
		why = "no token"
	case in.Seal != nil && (len(in.Seal.Header) == 0 || in.Seal.Recipients == Recipients{}):
		why = "a seal without header or recipients"
	default:
		return checkPath(in.File.Path)
	}
	return &firn.Error{Op: "record intent", Subject: in.File.Path, Kind: firn.Invalid, Err: errors.New(why)}
}

// intend writes the rows of one intent.
func intend(tx tx, in *Intent) (err error) {
	in.State = Intended
	var tree any
	if !in.TreeHash.IsZero() {
		tree = in.TreeHash[:]
	}
	in.ID, err = tx.insert("INSERT INTO archive (store, kind, state, run, token, size, tree) VALUES (?, ?, 1, ?, ?, ?, ?)",
		in.Store, string(in.Kind), in.Run, in.Token[:], in.Size, tree)
	if err != nil {
		return err
	}
	f := &in.File
	var path, mode, size, mtime, mtimeNs, uid, gid, seen, spool, fileKey, nonce any
	if in.Spool != "" {
		spool = []byte(in.Spool)
	} else if in.Tree != 0 || f.Path != "" {
		path, mode, uid, gid = []byte(f.Path), modeOf(f.Kind, f.Mode), int64(f.UID), int64(f.GID)
	}
	if path != nil || spool != nil {
		size, seen = f.Stamp.Size, packSeen(f, time.Time{}, false)
		mtime, mtimeNs = instant(f.Stamp.ModTime)
	}
	if in.Seal != nil {
		fileKey, nonce = in.Seal.FileKey[:], in.Seal.Nonce[:]
		if err := tx.exec("INSERT INTO seal (archive, header, recipients) VALUES (?, ?, ?)", in.ID, in.Seal.Header, in.Seal.Recipients[:]); err != nil {
			return err
		}
	}
	return tx.exec(`INSERT INTO intent (archive, description, tree, path, mode, size, mtime, mtime_ns, uid, gid, seen, spool, file_key, nonce)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		in.ID, in.Description, in.Tree, path, mode, size, mtime, mtimeNs, uid, gid, seen, spool, fileKey, nonce)
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

// A Sending records how far an upload is, as the engine tells it: the part of a
// transfer.Journal that is the same whatever is sent.
type Sending struct {
	catalog *Catalog
	id      *int64
}

// Sending gives the record of an upload. The id is that of its intent by the time it
// is told anything, and may change with each attempt.
func (c *Catalog) Sending(id *int64) Sending { return Sending{c, id} }

// Opened records the multipart upload.
func (s Sending) Opened(ctx context.Context, upload firn.UploadID, partSize int64) error {
	return s.catalog.UploadOpened(ctx, *s.id, upload, partSize)
}

// Part records a part that the store has.
func (s Sending) Part(ctx context.Context, p firn.Part) error {
	return s.catalog.PartDone(ctx, *s.id, p)
}

// Completing records that the upload may be an archive from now on.
func (s Sending) Completing(ctx context.Context, c firn.Content) error {
	return s.catalog.UploadCompleting(ctx, *s.id, c.Size, c.Tree)
}

// InDoubt leaves the intent as it is: a reconciliation asks the store for its time
// before it records the doubt.
func (s Sending) InDoubt(context.Context) error { return nil }

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
		if err := tx.exec("DELETE FROM seal WHERE archive = ?", id); err != nil {
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
	return c.writeAgain(ctx, "record archive", string(archive.ID), func(tx tx) error {
		again, err := c.arrived(tx, "record archive", id, archive, run)
		if err != nil || again || change == nil {
			return err
		}
		r := newRecorder(tx, run)
		if err := c.enter(r, id, change); err != nil {
			return err
		}
		return r.finish()
	})
}

// arrived settles an intent whose archive is in the store, unless that was recorded
// before, which again tells.
func (c *Catalog) arrived(tx tx, op string, id int64, archive firn.Archive, run Run) (again bool, err error) {
	before, err := readState(tx, id)
	if err != nil || before.State == Stored && before.Remote == archive.ID {
		return true, err
	}
	if before.State >= Stored {
		return false, before.conflict(op)
	}
	if before.Kind == LooseArchive {
		if err := keepDescription(tx, id); err != nil {
			return false, err
		}
	}
	return false, c.settle(tx, before, archive, run)
}

// settle makes an intent a stored archive.
func (c *Catalog) settle(tx tx, in archiveState, archive firn.Archive, run Run) error {
	var sec, nsec any
	if !archive.Created.IsZero() {
		sec, nsec = archive.Created.Unix(), archive.Created.Nanosecond()
	}
	err := tx.exec("UPDATE archive SET state = 10, settled = ?, remote = ?, size = ?, tree = ?, created = ?, created_ns = ?, came = ? WHERE id = ?",
		run.ID, string(archive.ID), archive.Size, archive.Tree[:], sec, nsec, c.clock.Now().Unix(), in.ID)
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
	if err := keepReceipt(tx, in.ID, archive.Receipt); err != nil {
		return err
	}
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
	it := item{Change: change}
	if it.hasContent() {
		it.where.archive = id
		if err := c.hold(r.tx, id, []held{{Content: change.Content}}); err != nil {
			return err
		}
	}
	return r.recordAll([]item{it})
}

// An archiveState is what decides what may become of an archive.
type archiveState struct {
	ID, Store int64
	Kind      ArchiveKind
	State     State
	Remote    firn.ArchiveID
	Size      int64
}

func readState(tx tx, id int64) (s archiveState, err error) {
	err = tx.row("SELECT id, store, kind, state, coalesce(remote, ''), size FROM archive WHERE id = ?", id).
		Scan(&s.ID, &s.Store, &s.Kind, &s.State, &s.Remote, &s.Size)
	return s, err
}

func (s archiveState) conflict(op string) error {
	return &firn.Error{Op: op, Subject: fmt.Sprint("archive ", s.ID), Kind: firn.Conflict, Err: fmt.Errorf("it is %s already", s.State)}
}

// advance moves an archive that has no outcome yet to another state. fn gets
// the state it had.
func (c *Catalog) advance(ctx context.Context, op string, id int64, to State, fn func(tx, State) error) error {
	return c.writeAgain(ctx, op, fmt.Sprint("archive ", id), func(tx tx) error {
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
