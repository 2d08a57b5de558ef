package adopt

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/inventory"
	"github.com/firn-archive/firn/mtjournal"
)

// inventoryLag is how much younger than its date what an inventory shows may be,
// or what it doesn't show yet: it is made about once a day. Source: Amazon
// Glacier developer guide, "Vault inventory"; with time to spare.
const inventoryLag = 48 * time.Hour

// A deletion is when an archive was deleted, and in which line of the journal.
type deletion struct{ line, time int64 }

// journal reads a journal of mt-aws-glacier, twice: what was deleted stands
// behind what was created, and what is in the vault may be far more than fits
// the memory.
func (j *joiner) journal(ctx context.Context) error {
	deleted := map[uint64]deletion{}
	err := j.lines(ctx, func(rec *mtjournal.Record, _ error) error {
		if rec != nil && rec.Op == mtjournal.Deleted {
			deleted[j.hash(firn.ArchiveID(rec.Archive))] = deletion{rec.Line, rec.Time}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = j.lines(ctx, func(rec *mtjournal.Record, bad error) error {
		if bad != nil {
			return j.bad(&firn.Error{Op: "read", Subject: j.file.path, Kind: firn.Corrupt, Err: bad})
		}
		if rec.Op != mtjournal.Created || deleted[j.hash(firn.ArchiveID(rec.Archive))].line > rec.Line {
			return nil
		}
		if err := inventory.CheckID(rec.Archive); err != nil {
			return j.bad(&firn.Error{Op: "read", Subject: j.file.path, Kind: firn.Corrupt, Err: err})
		}
		return j.add(ctx, ofJournal(rec))
	})
	for id, d := range deleted {
		if dated := j.res.Dated; dated.IsZero() || moment(d.time).After(dated.Add(-inventoryLag)) {
			j.gone[id] = struct{}{}
		}
	}
	return err
}

// lines hands each line of the journal to each: its record, or what is wrong
// with it.
func (j *joiner) lines(ctx context.Context, each func(*mtjournal.Record, error) error) error {
	text, err := foreign.Open(j.file.path)
	if err != nil {
		return err
	}
	defer text.Close()
	for rec, err := range mtjournal.Records(text) {
		var line *mtjournal.LineError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			err = each(&rec, nil)
		case errors.As(err, &line):
			err = each(nil, err)
		default:
			err = unreadable(j.file.path, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unreadable names the file in an error of reading it.
func unreadable(path string, err error) error {
	e := &firn.Error{Op: "read", Subject: path, Kind: firn.Corrupt, Err: err}
	var file *fs.PathError
	if errors.As(err, &file) {
		e.Kind, e.Err = firn.Local, file.Err
	}
	return e
}

// ofJournal makes a record of a line.
func ofJournal(rec *mtjournal.Record) record {
	r := record{archive: firn.Archive{ID: firn.ArchiveID(rec.Archive), Created: moment(rec.Time), Size: rec.Size}}
	if tree, ok := rec.TreeHash(); ok {
		r.archive.Tree = tree
	}
	if rec.Path == rec.Archive {
		return r // it came from an inventory, and mtglacier knew no name
	}
	name := describe.Archive{Format: describe.MT2, Kind: describe.File, Path: rec.Path}
	if rec.HasMTime {
		name.ModTime = moment(rec.MTime)
	}
	r.names = []describe.Archive{name}
	return r
}

// moment gives a time in seconds since 1970; the zero time where that is none of
// the years 1 to 9999.
func moment(sec int64) time.Time {
	const first, last = -62135596800, 253402300799
	if sec < first || sec > last {
		return time.Time{}
	}
	return time.Unix(sec, 0).UTC()
}
