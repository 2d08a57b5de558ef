package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A MigrationState says how far a migration is.
type MigrationState uint8

// The states of a migration.
const (
	Migrating         MigrationState = 1  // archives are being copied
	MigrationCopied   MigrationState = 2  // all are, and all trees have moved
	MigrationEmptying MigrationState = 3  // the source is being emptied
	MigrationDone     MigrationState = 10 // and it is gone
	MigrationGivenUp  MigrationState = 11
)

// Moved says where what was in a store is, or goes.
type Moved struct {
	Migration int64  // row
	Source    int64  // row of the store
	Target    int64  // likewise
	URL       string // of the target
	Only      string // name of the one tree that is moved; "": all there is
	// Copied: all that was to be is in the target, and the trees that were to
	// move have moved.
	Copied bool
	// Finished: the source is emptied and gone.
	Finished bool
	State    MigrationState
	Started  time.Time // by the local clock
}

// MovedTo says where a store was moved to, or is being moved to, by its identity
// or any URL that it was ever called by, also where it is gone; of several
// migrations the last. It reports whether there is one.
func (c *Catalog) MovedTo(ctx context.Context, store string) (m Moved, ok bool, err error) {
	err = c.read(ctx, "look for a migration", store, func(tx tx) error {
		var sec, nsec int64
		err := tx.row(`SELECT m.id, m.source, m.target, t.url, m.only, m.state, m.started, m.started_ns
			FROM migration m CROSS JOIN store s ON s.id = m.source CROSS JOIN store t ON t.id = m.target
			WHERE m.state != 11 AND (s.identity = ?1 OR s.url = ?1 OR s.id = (SELECT store FROM store_url WHERE url = ?1))
			ORDER BY m.id DESC LIMIT 1`, store).
			Scan(&m.Migration, &m.Source, &m.Target, &m.URL, &m.Only, &m.State, &sec, &nsec)
		if isNoRows(err) {
			return nil
		}
		ok = err == nil
		m.Started = at(sec, nsec)
		m.Copied, m.Finished = m.State >= MigrationCopied, m.State == MigrationDone
		return err
	})
	return m, ok, err
}

// A Copy is where an archive of one store is in another.
type Copy struct {
	Store   int64  // row of the target
	URL     string // of the target
	Archive int64  // row of the archive there
	Remote  firn.ArchiveID
	// Offset and Size are what of the target's archive the source's is, in bytes;
	// of the plaintext where the target's is sealed.
	Offset, Size int64
	// Whole: the target's archive is the source's, byte for byte. (A bundle is larger
	// than any of its members, so that the size tells where a tree hash isn't known.)
	Whole bool
	// Sealed: the target's archive is encrypted.
	Sealed bool
}

// CopyOf says where an archive is that was copied from a store, by its id there,
// also after it was deleted; of several copies the last. It reports whether there
// is one.
func (c *Catalog) CopyOf(ctx context.Context, store int64, remote firn.ArchiveID) (p Copy, ok bool, err error) {
	err = c.read(ctx, "look for a copy", string(remote), func(tx tx) error {
		source, err := archiveByRemote(tx, store, remote)
		if err != nil || source == 0 {
			return err
		}
		var member int64
		var kind ArchiveKind
		err = tx.row(`SELECT a.store, s.url, a.id, coalesce(a.remote, ''), c.member, o.size, a.kind,
			EXISTS (SELECT 1 FROM seal WHERE archive = a.id), a.size = o.size AND coalesce(a.tree = o.tree, 1)
			FROM copy c CROSS JOIN archive a ON a.id = c.copy CROSS JOIN store s ON s.id = a.store CROSS JOIN archive o ON o.id = c.archive
			WHERE c.archive = ? AND c.state = 10 ORDER BY c.migration DESC LIMIT 1`, source).
			Scan(&p.Store, &p.URL, &p.Archive, &p.Remote, &member, &p.Size, &kind, &p.Sealed, &p.Whole)
		if isNoRows(err) {
			return nil
		}
		ok = err == nil
		if err != nil || p.Whole {
			return err
		}
		return notThere(tx.row("SELECT offset, size FROM location WHERE archive = ? AND member = ?", p.Archive, member).Scan(&p.Offset, &p.Size),
			"look for a copy", fmt.Sprint("archive ", p.Archive), "it has no such member")
	})
	return p, ok, err
}

// StandingCopyOf is CopyOf for who wants to read the archive: where the copy was deleted
// since, or is to be, or was lost, it says in which other archive of that store its
// content is, as after a bundle was made anew. It reports whether there is any.
func (c *Catalog) StandingCopyOf(ctx context.Context, store int64, remote firn.ArchiveID) (p Copy, ok bool, err error) {
	if p, ok, err = c.CopyOf(ctx, store, remote); !ok || err != nil {
		return p, ok, err
	}
	there, err := c.AccountOf(ctx, p.Store, p.Remote)
	if err != nil || there.State == Stored && !there.Leaving {
		return p, err == nil, err
	}
	var content firn.Content
	var sealed Recipients
	err = c.read(ctx, "look for a copy", string(remote), func(tx tx) error {
		source, err := archiveByRemote(tx, store, remote)
		if err != nil {
			return err
		}
		var tree, recipients []byte
		err = tx.row(`SELECT a.size, a.tree, (SELECT recipients FROM seal WHERE archive = ?) FROM archive a WHERE a.id = ?`, p.Archive, source).Scan(&content.Size, &tree, &recipients)
		copy(content.Tree[:], tree)
		copy(sealed[:], recipients)
		return err
	})
	if err != nil || content.Tree.IsZero() {
		return Copy{}, false, err
	}
	found, err := c.FindContents(ctx, p.Store, sealed, []firn.Content{content})
	if err != nil || found[0].Archive == 0 {
		return Copy{}, false, err
	}
	at := &found[0]
	p.Archive, p.Remote, p.Offset, p.Size = at.Archive, at.Remote, at.Offset, content.Size
	p.Whole = at.Size == content.Size && at.Tree == content.Tree
	return p, true, nil
}
