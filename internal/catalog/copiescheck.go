package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/firn-archive/firn"
)

// CheckCopies looks at what another catalog says it has copied from one store to
// another, before TakeCopies believes it: each member of the source's archive must be
// in the target's with the same content, as far as both are known. It counts those of
// which this catalog doesn't know both archives.
// Errors: Corrupt (of the first that can't be a copy).
func (c *Catalog) CheckCopies(ctx context.Context, source, target int64, pairs []CopyPair) (unknown int, err error) {
	err = c.read(ctx, "check copies", fmt.Sprint("of store ", source), func(tx tx) error {
		unknown = 0
		for _, p := range pairs {
			from, err := archiveByRemote(tx, source, p.Source)
			if err != nil {
				return err
			}
			to, err := archiveByRemote(tx, target, p.Target)
			if err != nil {
				return err
			}
			if from == 0 || to == 0 {
				unknown++
				continue
			}
			same, err := isCopy(tx, from, to, p.Member)
			if err != nil {
				return err
			}
			if !same {
				return noCopy(p)
			}
		}
		return nil
	})
	return unknown, err
}

// noCopy is the error of a copy that can't be one.
func noCopy(p CopyPair) error {
	return &firn.Error{Op: "take in", Subject: string(p.Source), Kind: firn.Corrupt, Err: fmt.Errorf("%.200q is no copy of it: it holds something else", p.Target)}
}

// isCopy reports whether what an archive holds is in another one, from a member of it
// on. Where nobody knows what is in it, its size has to be that of the other, or of the
// member.
func isCopy(tx tx, from, to, member int64) (same bool, err error) {
	err = tx.row(`SELECT CASE
		WHEN EXISTS (SELECT 1 FROM location WHERE archive = ?1) THEN NOT EXISTS (
			SELECT 1 FROM location s LEFT JOIN location t ON t.archive = ?2 AND t.member = s.member + ?3
			WHERE s.archive = ?1 AND (t.archive IS NULL OR t.size != s.size OR length(s.tree) = 32 AND length(t.tree) = 32 AND s.tree != t.tree))
		ELSE (SELECT s.size IS NULL OR s.size = coalesce((SELECT size FROM location WHERE archive = ?2 AND member = ?3), t.size, -1)
			FROM archive s CROSS JOIN archive t WHERE s.id = ?1 AND t.id = ?2) END`, from, to, member).Scan(&same)
	return same, err
}

// CheckCopiesIn is CheckCopies with a target that another catalog knows, as it would be
// if this one took that in: whether it would be a mistake shows before. Pairs of which
// either archive isn't known are passed over. Errors: Corrupt.
func (c *Catalog) CheckCopiesIn(ctx context.Context, source int64, other *Catalog, target int64, pairs []CopyPair) error {
	return c.read(ctx, "check copies", fmt.Sprint("of store ", source), func(here tx) error {
		return other.read(ctx, "check copies", fmt.Sprint("to store ", target), func(there tx) error {
			for _, p := range pairs {
				from, err := archiveByRemote(here, source, p.Source)
				if err != nil {
					return err
				}
				to, err := archiveByRemote(there, target, p.Target)
				if err != nil {
					return err
				}
				if from == 0 || to == 0 {
					continue
				}
				same, err := holdsCopy(here, from, there, to, p.Member)
				if err == nil && !same {
					err = noCopy(p)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// holdsCopy is isCopy of archives of two catalogs.
func holdsCopy(here tx, from int64, there tx, to, member int64) (same bool, err error) {
	var size, whole sql.NullInt64
	if err := here.row("SELECT size FROM archive WHERE id = ?", from).Scan(&size); err != nil {
		return false, err
	}
	if err := there.row("SELECT size FROM archive WHERE id = ?", to).Scan(&whole); err != nil {
		return false, err
	}
	at := func(member int64) (content firn.Content, ok bool, err error) {
		var tree []byte
		err = there.row("SELECT size, tree FROM location WHERE archive = ? AND member = ?", to, member).Scan(&content.Size, &tree)
		copy(content.Tree[:], tree)
		return content, err == nil, ignoreNoRows(err)
	}
	holds, err := heldBy(here, from)
	if err != nil {
		return false, err
	}
	if len(holds) == 0 {
		in, ok, err := at(member)
		if !ok {
			in.Size = whole.Int64
		}
		return !size.Valid || in.Size == size.Int64 && (ok || whole.Valid), err
	}
	for _, h := range holds {
		in, ok, err := at(h.number + member)
		if err != nil || !ok || in.Size != h.Size || !h.Tree.IsZero() && !in.Tree.IsZero() && in.Tree != h.Tree {
			return false, err
		}
	}
	return true, nil
}
