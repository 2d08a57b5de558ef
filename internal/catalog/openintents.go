package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/firn-archive/firn"
)

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
			EXISTS (SELECT 1 FROM doubt WHERE doubt.archive = a.id AND doubt.resent = 1),
			coalesce(i.spool, ''), s.header, s.recipients, i.file_key, i.nonce
			FROM archive a CROSS JOIN intent i ON i.archive = a.id LEFT JOIN seal s ON s.archive = a.id WHERE a.store = ? AND a.state < 10 ORDER BY a.id`, store)
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
	var seal Sealing
	var recipients, fileKey, nonce []byte
	f := &in.File
	err = rows.Scan(&in.ID, &in.Store, &in.Kind, &in.State, &in.Run, &token, &in.Size, &tree, &in.Description, &in.Tree, &path,
		&mode, &f.Stamp.Size, &mtime, &mtimeNs, &f.UID, &f.GID, &seen, &in.Upload, &in.PartSize, &since, &sinceNs, &in.Resent,
		&in.Spool, &seal.Header, &recipients, &fileKey, &nonce)
	copy(in.Token[:], token)
	copy(in.TreeHash[:], tree)
	in.Since = at(since, sinceNs)
	if path != nil && in.Spool == "" {
		f.Path = string(path)
		f.Kind, f.Mode = fromMode(mode)
	}
	if path != nil || in.Spool != "" {
		f.Stamp.ModTime = at(mtime, mtimeNs)
		unpackSeen(seen, f)
	}
	if seal.Header != nil {
		copy(seal.Recipients[:], recipients)
		copy(seal.FileKey[:], fileKey)
		copy(seal.Nonce[:], nonce)
		in.Seal = &seal
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
