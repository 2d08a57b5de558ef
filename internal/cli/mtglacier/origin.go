package mtglacier

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/mtjournal"
)

// An origin is a store that archives of the journal can be had from: the vault,
// or one that firn migrate moved them to.
type origin struct {
	store *wire.Store
	asker *retrieval.Asker // nil: the catalog isn't there
	from  *transfer.Downloader
}

// origins are those of one command.
type origins struct {
	*session
	vault *origin            // nil: it is gone
	moved map[string]*origin // by URL
}

// openSource is open for a command that only reads: where the vault is gone, since
// all its archives were moved, it goes on without.
func (r *runner) openSource(ctx context.Context) (*session, error) {
	s, err := r.open(ctx)
	if firn.KindOf(err) != firn.NotFound {
		return s, err
	}
	gone := err
	if s, err = r.vault(ctx); err != nil {
		return nil, err
	}
	if s.catalog, err = wire.OpenCatalog(ctx, s.wire); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	for _, url := range []string{r.location().String(), config.Location{Scheme: config.Glacier, Vault: r.Vault}.String()} {
		moved, ok, err := s.catalog.MovedTo(ctx, url)
		if err != nil {
			s.close()
			return nil, err
		}
		if ok && moved.Finished {
			s.row, s.gone = catalog.Store{ID: moved.Source}, true
			return s, nil
		}
	}
	s.close()
	return nil, gone
}

// origins begins to look for archives. Jobs are asked for at the standard tier, as
// mt-aws-glacier does by naming none.
func (s *session) origins(ctx context.Context) (*origins, error) {
	o := &origins{session: s, moved: map[string]*origin{}}
	if s.gone {
		return o, nil
	}
	var err error
	o.vault, err = s.origin(s.store, s.row.ID)
	return o, err
}

func (s *session) origin(store *wire.Store, row int64) (*origin, error) {
	from, err := transfer.NewDownloader(store, transfer.DownloadOptions{
		PieceSize: int64(min(s.SegmentSize, maxPiece)) << 20, Concurrency: max(s.Concurrency, 1), Clock: s.env.Clock, Events: s.events,
	})
	if err != nil || s.work == nil {
		return &origin{store: store, from: from}, err
	}
	asker := retrieval.New(retrieval.Options{
		Catalog: s.catalog, Row: row, Store: store, Downloader: from, Clock: s.env.Clock, Events: s.events, Tier: firn.Standard, Run: *s.work,
	})
	return &origin{store: store, asker: asker, from: from}, nil
}

// maxPiece is the largest piece that is downloaded at a time, in MiB.
const maxPiece = 4096

func (o *origins) close() {
	for _, m := range o.moved {
		m.store.Close()
	}
}

// A source is where one archive of the journal can be had.
type source struct {
	*origin
	want   retrieval.Want
	offset int64 // of the file's bytes in the archive
}

// of gives the sources of an archive, the one to ask first.
func (o *origins) of(ctx context.Context, rec mtjournal.Record) (first source, err error) {
	want := retrieval.Want{Remote: firn.ArchiveID(rec.Archive), Size: rec.Size, Label: rec.Path}
	if tree, ok := rec.TreeHash(); ok {
		want.Tree = tree
	}
	if o.catalog == nil {
		return source{origin: o.vault, want: want}, nil
	}
	there, ok, err := o.catalog.StandingCopyOf(ctx, o.row.ID, want.Remote)
	switch {
	case err != nil:
		return first, err
	case !ok && o.vault == nil:
		return first, &firn.Error{Op: "restore", Subject: rec.Path, Kind: firn.NotFound, Err: fmt.Errorf("the vault %s is gone, and archive %s was not moved from it, or is not where it was moved to any more", o.Vault, rec.Archive)}
	case !ok:
		return source{origin: o.vault, want: want}, nil
	case there.Sealed && !there.Whole: // of one that was encrypted before, the copy is what it was
		return first, &firn.Error{Op: "restore", Subject: rec.Path, Kind: firn.Invalid, Err: fmt.Errorf("it was moved to %s, and encrypted", there.URL), Hint: "bring it back with: firn restore " + there.URL}
	}
	if first.origin, err = o.open(ctx, there.URL); err != nil {
		return first, err
	}
	want.Remote = there.Remote
	if !there.Whole { // it is in a larger one, which thaws as a whole
		loc, _, err := o.catalog.ArchiveByRemote(ctx, there.Store, there.Remote)
		if err != nil {
			return first, err
		}
		want.Size, want.Tree = loc.Size, loc.Tree
	}
	first.want, first.offset = want, there.Offset
	return first, nil
}

// open opens a store that archives were moved to: with the keys that were given
// where it is a vault, and else with those of the environment.
func (o *origins) open(ctx context.Context, url string) (*origin, error) {
	if m := o.moved[url]; m != nil {
		return m, nil
	}
	loc, err := config.ParseLocation(url, o.env.Dir)
	if err != nil {
		return nil, err
	}
	options := wire.Options{}
	if loc.Scheme == config.Glacier {
		options = o.wireOptions()
	}
	store, err := wire.OpenKnown(ctx, o.wire, o.catalog, loc, options)
	if err != nil {
		return nil, err
	}
	row, err := store.Check(ctx, o.catalog)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	m, err := o.origin(store, row.ID)
	if err == nil {
		err = m.asker.Look(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	o.note("archives of vault %s were moved to %s, and come from there", o.Vault, strings.TrimSpace(url))
	o.moved[url] = m
	return m, nil
}
