package adopt

import (
	"context"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
)

// A recordFile is a file in which a program wrote down what it stored.
type recordFile struct {
	path string
	kind foreign.Kind
}

// sniff finds out what the files are, before anything is done. Errors: Usage
// (not what it is given for), and those of foreign.Sniff.
func sniff(ctx context.Context, journals, databases []string) (files []recordFile, err error) {
	for i, path := range append(journals[:len(journals):len(journals)], databases...) {
		kind, err := foreign.Sniff(ctx, path)
		if err != nil {
			return nil, err
		}
		option := "--db"
		switch kind {
		case foreign.Journal:
			option = "--journal"
		case foreign.InventoryJSON, foreign.InventoryCSV:
			option = "--inventory"
		}
		given := "--db"
		if i < len(journals) {
			given = "--journal"
		}
		if option != given {
			return nil, &firn.Error{Op: "read", Subject: path, Kind: firn.Usage, Err: fmt.Errorf("it was given with %s, and is something else: %s", given, kind), Hint: "give it with " + option}
		}
		files = append(files, recordFile{path, kind})
	}
	return files, nil
}

// record takes in what one file says. Where it is damaged that is told, and what
// came before the damage counts.
func (a *adopter) record(ctx context.Context, f recordFile) error {
	j := &joiner{adopter: a, file: f}
	var err error
	switch f.kind {
	case foreign.Journal:
		err = j.journal(ctx)
	case foreign.GlacierSyncDatabase:
		err = j.synced(ctx)
	default:
		err = j.cached(ctx)
	}
	switch firn.KindOf(err) {
	case firn.Corrupt, firn.Conflict, firn.Local:
		if ctx.Err() == nil && j.failed == nil {
			err = a.bad(err)
		}
	}
	if err != nil {
		return err
	}
	return j.flush(ctx)
}
