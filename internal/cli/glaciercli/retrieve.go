package glaciercli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/fetch"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

// How a job is waited for, as glacier-cli does: it is looked at at once, and then so
// often. Source: github.com/basak/glacier-cli.
const (
	pollEvery = 10 * time.Minute
	pollTimes = 144
)

// retrieveCommand is what a retrieval is called in the catalog.
const retrieveCommand = "glacier archive retrieve"

// errTimeout ends a wait.
var errTimeout = errors.New("timed out waiting for job completion")

// archiveRetrieve brings archives to files, one after the other. What has to be
// waited for is asked for, and told at the end; the first thing that is wrong ends
// it.
func (p *program) archiveRetrieve(ctx context.Context, c *call) error {
	vault, names := c.words[0], c.words[1:]
	if c.given("-o") && len(names) > 1 {
		return errors.New("cannot specify output filename with multi-archive retrieval")
	}
	r := &retriever{program: p, vault: vault, wait: c.given("--wait"), piece: pieceSize(c.number("--multipart-size", 0))}
	defer r.close()
	var done, pending []string
	for i, name := range names {
		r.later = names[i+1:]
		err := r.retrieve(ctx, name, outputFor(c, name))
		var retry *retryError
		switch {
		case errors.As(err, &retry):
			pending = append(pending, retry.text)
		case err != nil:
			for _, line := range append(done, pending...) {
				say(p.Stderr, "glacier: ", line)
			}
			return err
		default:
			done = append(done, "retrieved archive "+repr(name))
		}
	}
	if len(pending) == 0 {
		return nil
	}
	return &retryError{strings.Join(append(done, pending...), "\n")}
}

// outputFor is where an archive goes: a file's name, or - for stdout.
func outputFor(c *call, name string) string {
	if c.given("-o") {
		return c.values["-o"]
	}
	return name[strings.LastIndexByte(name, '/')+1:]
}

// pieceSize is the size of the pieces in which archives come, for a number of bytes
// that was given: a power of two MiB. 0: the engine's own.
func pieceSize(given int64) int64 {
	const mib, most = int64(1 << 20), int64(4 << 30)
	if given <= 0 {
		return 0
	}
	return min(most, mib<<bits.Len64(uint64((given-1)/mib)))
}

// A retriever brings archives of one vault.
type retriever struct {
	*program
	vault string
	wait  bool
	piece int64
	later []string // the names that come after the one that is retrieved

	vaults  *session           // nil until it is open
	sources map[string]*source // by the URL of the store
}

// A source is a store that archives come from: the vault, or where it was moved to.
type source struct {
	store      *wire.Store
	asker      *retrieval.Asker
	downloader *transfer.Downloader
	close      func() error // nil: it is not the retriever's own
}

func (r *retriever) close() {
	for _, s := range r.sources {
		if s.close != nil {
			s.close()
		}
	}
	if r.vaults != nil {
		r.vaults.close()
	}
}

// A goal is an archive and where it comes from.
type goal struct {
	*source
	retrieval.Want
	from int64        // of what the job brings, in bytes of the store's archive
	want firn.Content // Tree is zero where nobody knows it
}

// retrieve brings one archive.
func (r *retriever) retrieve(ctx context.Context, name, output string) error {
	row, err := r.row(ctx, r.vault, name)
	if err != nil {
		return err
	}
	if output == "" || output == "." || output == ".." {
		return fmt.Errorf("the name %s gives no name for a file; say one with -o", repr(name))
	}
	g, err := r.goal(ctx, row)
	if err != nil {
		return err
	}
	job, err := r.ready(ctx, g, name)
	if err != nil {
		return err
	}
	out, err := g.asker.Output(g.Want, job)
	if err != nil {
		return err
	}
	if g.Range == nil {
		g.want = firn.Content{Size: out.Size(), Tree: out.Tree()}
	} else {
		g.from -= out.Brings().Start
	}
	load := &fetch.Load{Label: name, Job: job.ID, From: g.from, Want: g.want, Arrived: func(ctx context.Context) { g.asker.Stay(ctx, r.left(ctx, g)) }}
	if err := r.bring(ctx, g, load, output); err != nil {
		return err
	}
	return g.asker.Fetched(context.WithoutCancel(ctx), g.Want, job)
}

// left gives what is still to come out of the store of a goal: that, and what has a
// later name. What is wrong with one of those is told in its turn.
func (r *retriever) left(ctx context.Context, g *goal) iter.Seq2[retrieval.Want, error] {
	return func(yield func(retrieval.Want, error) bool) {
		if !yield(g.Want, nil) {
			return
		}
		for _, name := range r.later {
			row, err := r.row(ctx, r.vault, name)
			if err != nil {
				continue
			}
			if next, err := r.goal(ctx, row); err == nil && next.source == g.source && !yield(next.Want, nil) {
				return
			}
		}
	}
}

// ready gives the job that brings an archive, once it is done; where there is none
// yet it asks for one.
func (r *retriever) ready(ctx context.Context, g *goal, name string) (firn.Job, error) {
	if err := g.asker.Look(ctx); err != nil {
		return firn.Job{}, err
	}
	wait := r.wait || g.store.Traits().InstantJobs // as a folder's that the vault was moved to
	text := "job still pending for archive " + repr(name)
	job, ok := g.asker.Find(g.Want)
	if !ok {
		var err error
		if job, err = g.asker.Ask(ctx, g.Want, firn.Standard); err != nil {
			return job, err
		}
		text = "queued retrieval job for archive " + repr(name)
		if !wait {
			return job, &retryError{text}
		}
	}
	for tries := 0; job.State != firn.JobReady; tries++ {
		if !wait {
			return job, &retryError{text}
		}
		if tries > 0 {
			if tries > pollTimes {
				return job, errTimeout
			}
			if err := r.Clock.Sleep(ctx, pollEvery); err != nil {
				return job, err
			}
		}
		if err := g.asker.Look(ctx); err != nil {
			return job, err
		}
		if job, ok = g.asker.Find(g.Want); !ok {
			return job, r.failed(g, name)
		}
	}
	return job, nil
}

// failed says why an archive that was waited for doesn't come.
func (r *retriever) failed(g *goal, name string) error {
	why := g.asker.Why(g.Remote)
	if why == "" {
		why = "the service has it no more"
	}
	return fmt.Errorf("the job for archive %s failed: %s", repr(name), why)
}

// bring downloads to a file, or to what takes bytes in their order.
func (r *retriever) bring(ctx context.Context, g *goal, load *fetch.Load, output string) error {
	if output == "-" {
		_, err := load.Pour(ctx, g.downloader, r.Stdout, firn.Discard)
		return err
	}
	path := filepath.Clean(r.path(output))
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the link stays: it may be /dev/stdout
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return fmt.Errorf("%s is a directory", output)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = load.Pour(ctx, g.downloader, f, firn.Discard)
		return errors.Join(err, f.Close())
	}
	lock, err := wire.LockFile(r.env(), path, "download")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	_, err = load.ToFile(ctx, g.downloader, path, true)
	return err
}

// goal finds out where an archive comes from: the vault, or, where firn has moved
// it, its new place.
func (r *retriever) goal(ctx context.Context, row foreign.CacheRow) (*goal, error) {
	if err := r.openVault(ctx); err != nil {
		return nil, err
	}
	known := firn.Content{Tree: row.Tree}
	if r.vaults.entry.ID != 0 {
		to, moved, err := r.vaults.copyOf(ctx, row.ID)
		if err != nil {
			return nil, err
		}
		loc, ok, err := r.vaults.catalog.ArchiveByRemote(ctx, r.vaults.entry.ID, row.ID)
		if err != nil {
			return nil, err
		}
		if ok && !loc.Tree.IsZero() {
			known = firn.Content{Size: loc.Size, Tree: loc.Tree}
		}
		if moved {
			return r.copied(ctx, row, to, known)
		}
	}
	if r.vaults.Info.Identity == "" { // it was looked up, and is gone
		return nil, movedOrGone(ctx, r.vaults, r.vault)
	}
	src, err := r.source(ctx, r.vaults.Location.String(), r.vaults.entry, r.vaults.Store, nil)
	if err != nil {
		return nil, err
	}
	return &goal{source: src, Want: retrieval.Want{Remote: row.ID, Size: known.Size, Tree: known.Tree, Label: row.Name}}, nil
}

// movedOrGone says what became of a vault that isn't there.
func movedOrGone(ctx context.Context, s *session, vault string) error {
	if moved, ok, err := s.movedTo(ctx); ok && err == nil {
		return movedError(vault, moved)
	}
	return fmt.Errorf("there is no vault %s in %s", vault, s.Region())
}

// openVault opens the vault. One that is gone is looked up: what it had may have
// been moved.
func (r *retriever) openVault(ctx context.Context) error {
	if r.vaults != nil {
		return nil
	}
	s, err := r.open(ctx, r.vault)
	if err != nil {
		return err
	}
	err = s.check(ctx)
	if firn.KindOf(err) == firn.NotFound {
		if s.known(ctx) == nil {
			s.Info, err = firn.StoreInfo{}, nil
		}
	}
	if err != nil {
		return errors.Join(err, s.close())
	}
	r.vaults, r.sources = s, map[string]*source{}
	return nil
}

// source opens what asks a store and fetches from it.
func (r *retriever) source(ctx context.Context, url string, row catalog.Store, store *wire.Store, close func() error) (*source, error) {
	if s := r.sources[url]; s != nil {
		return s, nil
	}
	d, err := transfer.NewDownloader(store, transfer.DownloadOptions{PieceSize: r.piece, Clock: r.Clock, Events: firn.Discard})
	if err != nil {
		return nil, err
	}
	run, err := r.vaults.catalog.BeginRun(ctx, row.ID, 0, retrieveCommand)
	if err == nil { // it changes nothing that a snapshot holds
		err = r.vaults.catalog.EndRun(ctx, run, catalog.Outcome{Complete: true})
	}
	if err != nil {
		return nil, err
	}
	s := &source{store: store, downloader: d, close: close, asker: retrieval.New(retrieval.Options{
		Catalog: r.vaults.catalog, Row: row.ID, Store: store, Downloader: d, Clock: r.Clock, Events: r.env().Events, Tier: firn.Standard, Run: run,
	})}
	r.sources[url] = s
	return s, nil
}
