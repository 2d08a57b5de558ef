package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
)

// taggedSnapshots reads the newest snapshots that the store's tags name. Tags
// that may not be read, or that name what isn't there, are no error: there is
// the inventory.
func (r *recoverer) taggedSnapshots(ctx context.Context) error {
	tags, err := r.Store.Tags(ctx)
	switch firn.KindOf(err) {
	case firn.Denied, firn.Invalid:
		r.Events(firn.NoticeEvent{Text: "the store's tags can't be read, which would name the newest snapshots; the inventory lists them too"})
		return nil
	}
	if err != nil {
		return err
	}
	return r.readChains(ctx, snapshot.Chains(snapshot.Candidates(tags)), nil)
}

// listedSnapshots reads, of each catalog of which no tag named a snapshot that
// could be read, or only an older one, the newest that the inventory lists.
func (r *recoverer) listedSnapshots(ctx context.Context, inv catalog.Inventory) error {
	known, err := r.Catalog.Snapshots(ctx, r.Row.ID)
	if err != nil {
		return err
	}
	var candidates []snapshot.Candidate
	archives := map[firn.ArchiveID]firn.Archive{}
	for a, err := range r.Catalog.Strangers(ctx, inv.ID) {
		if err != nil {
			return err
		}
		d := describe.Decode(a.Description)
		if c, ok := snapshot.FromInventory(a, d); ok {
			candidates = append(candidates, c)
			archives[a.ID] = a
		}
	}
	// Those that are known may be what others add to.
	for _, s := range known {
		if s.State == catalog.Stored && !s.Own {
			candidates = append(candidates, snapshot.Candidate{Catalog: s.Catalog, Seq: s.Seq, Base: s.Base, Archive: s.Remote, Size: s.Size, Created: s.Created})
		}
	}
	return r.readChains(ctx, snapshot.Chains(candidates), archives)
}

// readChains reads the newest readable chain of each catalog, unless what is
// known is as new. All are fetched before the first is read: one that has taken
// in another comes before that, and then stands for it, since it may have let go
// of what that says.
func (r *recoverer) readChains(ctx context.Context, chains [][]snapshot.Candidate, listed map[firn.ArchiveID]firn.Archive) error {
	known, err := r.Catalog.Snapshots(ctx, r.Row.ID)
	if err != nil {
		return err
	}
	var pending error
	var heads []chain
	defer func() {
		for _, c := range heads {
			c.remove()
		}
	}()
	for len(chains) > 0 {
		token := chains[0][0].Catalog
		n := slices.IndexFunc(chains, func(c []snapshot.Candidate) bool { return c[0].Catalog != token })
		if n < 0 {
			n = len(chains)
		}
		of := slices.DeleteFunc(slices.Clone(chains[:n]), func(c []snapshot.Candidate) bool { return isKnown(known, c[len(c)-1]) })
		c, err := r.fetchNewest(ctx, of, listed)
		if errors.Is(err, errPending) {
			pending = err // the other catalogs' jobs can ripen meanwhile
		} else if err != nil {
			return err
		}
		if len(c.links) > 0 {
			heads = append(heads, c)
		}
		chains = chains[n:]
	}
	if pending != nil {
		return pending
	}
	return r.takeChains(ctx, inOrder(heads), listed)
}

// takeChains takes in the chains of several catalogs, but for those that are
// known by then. One that can't be read gives way to the next of its catalog.
func (r *recoverer) takeChains(ctx context.Context, heads []chain, listed map[firn.ArchiveID]firn.Archive) error {
	for _, c := range heads {
		for len(c.links) > 0 {
			known, err := r.Catalog.Snapshots(ctx, r.Row.ID)
			if err != nil {
				return err
			}
			last := c.links[len(c.links)-1].Candidate
			if isKnown(known, last) {
				break
			}
			err = r.takeChain(ctx, c.links)
			if err == nil {
				break
			}
			if err := r.failedSnapshot(ctx, last, err); err != nil {
				return err
			}
			if c, err = r.fetchNewest(ctx, c.older, listed); err != nil {
				return err
			}
			defer c.remove()
		}
	}
	return nil
}

// A chain is what was fetched of a catalog: a full snapshot, and perhaps one that
// adds to it. Without links there is none.
type chain struct {
	links    []fetched
	includes []rows.Include // the snapshots of others that are in it
	older    [][]snapshot.Candidate
}

// has reports whether a chain has all that another one says.
func (c chain) has(other chain) bool {
	last := other.links[len(other.links)-1]
	return slices.ContainsFunc(c.includes, func(in rows.Include) bool { return in.Catalog == last.Catalog && in.Seq >= last.Seq })
}

func (c chain) remove() {
	for _, f := range c.links {
		os.Remove(f.path)
	}
}

// inOrder puts chains before those that they have.
func inOrder(chains []chain) (sorted []chain) {
	for left := slices.Clone(chains); len(left) > 0; {
		first := slices.IndexFunc(left, func(c chain) bool {
			return !slices.ContainsFunc(left, func(by chain) bool { return by.has(c) })
		})
		first = max(first, 0) // each has another one: somebody lies
		sorted = append(sorted, left[first])
		left = slices.Delete(left, first, first+1)
	}
	return sorted
}

// failedSnapshot is failed for a snapshot.
func (r *recoverer) failedSnapshot(ctx context.Context, c snapshot.Candidate, err error) error {
	return r.failed(ctx, fmt.Sprintf("snapshot %d of catalog %s", c.Seq, c.Catalog), err)
}

// isKnown reports whether a catalog's rows are known as far as a snapshot has
// them, or further.
func isKnown(known []catalog.Snapshot, c snapshot.Candidate) bool {
	return slices.ContainsFunc(known, func(s catalog.Snapshot) bool {
		return s.Catalog == c.Catalog && s.State == catalog.Stored && s.Seq >= c.Seq
	})
}

// fetchNewest fetches the first of a catalog's chains that can be had.
func (r *recoverer) fetchNewest(ctx context.Context, chains [][]snapshot.Candidate, listed map[firn.ArchiveID]firn.Archive) (chain, error) {
	for i, candidates := range chains {
		c := chain{older: chains[i+1:]}
		var err error
		if c.links, err = r.fetchChain(ctx, candidates, listed); err == nil {
			c.includes, err = r.includes(ctx, &c.links[len(c.links)-1])
		}
		if err == nil {
			return c, nil
		}
		c.remove()
		if errors.Is(err, errPending) {
			return chain{}, err
		}
		if err := r.failedSnapshot(ctx, candidates[len(candidates)-1], err); err != nil {
			return chain{}, err
		}
	}
	return chain{}, nil
}

// includes reads from the header of a snapshot which others are in it.
func (r *recoverer) includes(ctx context.Context, f *fetched) ([]rows.Include, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, spoolError(f.path, err)
	}
	defer file.Close()
	var h rows.Header
	for _, err := range r.observed(ctx, file, f, &h, &Catalog{}) {
		return h.Includes, err
	}
	return nil, nil
}

// A fetched snapshot lies in a file until it is read.
type fetched struct {
	snapshot.Candidate
	archive firn.Archive
	path    string
}

// fetchChain fetches the snapshots of a chain. What is left beside an error is to
// be removed.
func (r *recoverer) fetchChain(ctx context.Context, chain []snapshot.Candidate, listed map[firn.ArchiveID]firn.Archive) ([]fetched, error) {
	if err := os.MkdirAll(r.Spool, 0o700); err != nil {
		return nil, spoolError(r.Spool, err)
	}
	links := make([]fetched, len(chain))
	wants := make([]retrieval.Want, len(chain))
	byArchive := map[firn.ArchiveID]*fetched{}
	for i, c := range chain {
		byArchive[c.Archive] = &links[i]
		links[i] = fetched{Candidate: c, archive: firn.Archive{ID: c.Archive, Size: c.Size, Created: c.Created}, path: filepath.Join(r.Spool, "recover-"+firn.NewToken().String())}
		if a, ok := listed[c.Archive]; ok {
			links[i].archive = a
		}
		wants[i] = retrieval.Want{Remote: c.Archive, Size: c.Size, Tree: links[i].archive.Tree, Label: fmt.Sprintf("snapshot %d of the catalog", c.Seq)}
	}
	classOf := func(id firn.ArchiveID) string { // which s3cold chooses for snapshots
		if class := listed[id].Class; class != "" || r.Row.Kind != "s3" {
			return class
		}
		return price.SnapshotClass
	}
	failed, err := r.ask(ctx, wants[len(wants)-1].Label, wants, classOf, func(ctx context.Context, w retrieval.Want, ready *retrieval.Ready) error {
		return byArchive[w.Remote].fetch(ctx, ready)
	})
	if len(failed) > 0 {
		err = failed[0].Err
	}
	return links, err
}

func spoolError(path string, err error) error {
	return &firn.Error{Op: "read snapshot", Subject: path, Kind: firn.Local, Err: err, Hint: "snapshots need space in the state folder while they are read"}
}

// fetch downloads a snapshot, verified.
func (f *fetched) fetch(ctx context.Context, ready *retrieval.Ready) error {
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return spoolError(f.path, err)
	}
	err = ready.Download(ctx, file)
	f.archive.Size, f.archive.Tree = ready.Size(), ready.Tree()
	return errors.Join(err, file.Close())
}

// takeChain takes in the rows of a chain, and records its snapshots as read.
func (r *recoverer) takeChain(ctx context.Context, links []fetched) error {
	streams := make([]iter.Seq2[rows.Row, error], len(links))
	headers, saw := make([]rows.Header, len(links)), make([]Catalog, len(links))
	for i := range links {
		file, err := os.Open(links[i].path)
		if err != nil {
			return spoolError(links[i].path, err)
		}
		defer file.Close()
		streams[i] = r.observed(ctx, file, &links[i], &headers[i], &saw[i])
	}
	read, err := r.Catalog.ReadRows(ctx, r.Row.ID, streams[0], streams[1:]...)
	if err != nil {
		return err
	}
	r.refused(links[len(links)-1].Candidate, read)
	for i := range links {
		find := catalog.Find{Archive: links[i].archive, Token: tokenOf(links[i].archive)}
		if err := r.Catalog.TakeSnapshot(ctx, r.Run, headers[i], find); err != nil {
			return err
		}
	}
	h, got := headers[len(headers)-1], saw[len(saw)-1]
	got.Token, got.Host, got.Seq, got.Made, got.Archives, got.Versions = h.Catalog, h.Host, h.Seq, h.Made, read.Archives, read.Versions
	for _, p := range h.Profiles {
		got.Profiles = append(got.Profiles, Profile(p))
	}
	r.out.Catalogs = append(r.out.Catalogs, got)
	r.out.Archives += read.Archives
	r.out.Versions += read.Versions
	for from, to := range read.Renamed {
		r.out.Renamed[from] = to
	}
	return nil
}

// refused tells of rows that were left out. Their archives may be found in the
// store by what they say themselves.
func (r *recoverer) refused(c snapshot.Candidate, read catalog.RowsRead) {
	if read.Refused == 0 {
		return
	}
	r.out.Failed += read.Refused
	r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("snapshot %d of catalog %s: rows that can't be are left out, %d in all: %s", c.Seq, c.Catalog, read.Refused, strings.Join(read.Wrong, "; "))})
}

// tokenOf is the token in an archive's description; zero where that isn't known.
func tokenOf(a firn.Archive) firn.Token {
	token, _ := describe.TokenOf(a.Description)
	return token
}

// errOther says that a snapshot is not the one that its tag or description says.
var errOther = errors.New("it is another snapshot than its name says")

// observed reads a snapshot and keeps its header, which must be what the
// snapshot was taken for.
func (r *recoverer) observed(ctx context.Context, file io.Reader, f *fetched, h *rows.Header, got *Catalog) iter.Seq2[rows.Row, error] {
	identities := func() (seal.Identities, error) { return r.identities(ctx) }
	return func(yield func(rows.Row, error) bool) {
		got.Trees = 0
		for row, err := range snapshot.Open(file, f.archive.Size, identities) {
			switch row := row.(type) {
			case *rows.Header:
				*h = *row
				if h.Catalog != f.Catalog || h.Seq != f.Seq || h.Base != f.Base {
					yield(nil, &firn.Error{Op: "read snapshot", Subject: string(f.Archive), Kind: firn.Corrupt, Err: errOther})
					return
				}
			case *rows.Tree:
				got.Trees++
			}
			if !yield(row, err) {
				return
			}
		}
	}
}
