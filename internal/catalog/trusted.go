package catalog

import (
	"context"
	"errors"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// errUntrusted refuses to take a file for stored that is another one.
var errUntrusted = errors.New("what is recorded of it is not a stored file of this size")

// RecordTrusted is Record for regular files that nobody read: their current
// versions are of other metadata perhaps, and each keeps the content that it
// has there, whose hash may not be known. Content is not looked at; Read is when
// they were looked at. No path may be there twice.
// Errors: Conflict (what is recorded of the path is not a stored file of this
// size, or a later run has recorded it).
func (c *Catalog) RecordTrusted(ctx context.Context, run Run, changes []Change) (done Recorded, err error) {
	if len(changes) == 0 {
		return Recorded{}, nil
	}
	err = c.write(ctx, "record", changes[0].Path, func(tx tx) error {
		r := newRecorder(tx, run)
		items := make([]item, len(changes))
		for i := range changes {
			change := changes[i]
			items[i].Change = &change
			if err := r.slot(&items[i]); err != nil {
				return err
			}
		}
		if err := r.readCurrent(items); err != nil {
			return err
		}
		for i := range items {
			if err := items[i].keep(); err != nil {
				return err
			}
		}
		if err := r.write(items); err != nil {
			return err
		}
		done = r.done
		return r.finish()
	})
	if err != nil {
		return Recorded{}, err
	}
	return done, nil
}

// keep gives an item the content of the version that is there before it.
func (it *item) keep() error {
	old := it.old
	if it.Kind != firn.Regular || old == nil || old.mode&modeType != modeFile || old.state != Stored || old.size != it.Stamp.Size {
		return &firn.Error{Op: "record", Subject: it.Path, Kind: firn.Conflict, Err: errUntrusted}
	}
	it.where = old.where
	it.Content = firn.Content{Size: old.size}
	copy(it.Content.Tree[:], old.content)
	if old.content == nil {
		old.content = make([]byte, treehash.Size) // the same, which makes no version
	}
	return nil
}
