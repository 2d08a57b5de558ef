package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/treehash"
)

const mib = treehash.LeafSize

const (
	// wholeSize is up to how many bytes an encrypted bundle is fetched whole,
	// rather than its head and its tail by a request each.
	wholeSize = 4 * mib
	// tailGuess is how many bytes of an encrypted bundle's end are asked for:
	// nobody says how long its index is. That of a thousand files fits.
	tailGuess = mib
)

// tails reads the indexes at the end of bundles.
type tails struct {
	*recoverer
	owners *owners

	bundles map[firn.ArchiveID]*tail
	wants   []retrieval.Want

	mu   sync.Mutex // of what follows, and of recoverer.out
	more []retrieval.Want
}

// A tail is a bundle whose index is wanted. There may be a hundred thousand.
type tail struct {
	archive firn.Archive // without its description
	token   firn.Token
	by      firn.Token // the catalog that wrote it; zero: not said
	sealed  bool
	prefix  []byte // of an encrypted one, once it was read; under tails.mu
}

// add asks for what the index of a bundle takes.
func (t *tails) add(a firn.Archive, d describe.Archive) {
	if t.bundles == nil {
		t.bundles = map[firn.ArchiveID]*tail{}
	}
	sealed := d.Kind == describe.Sealed
	a.Description = ""
	t.bundles[a.ID] = &tail{archive: a, token: d.Token, by: d.Catalog, sealed: sealed}
	t.out.Bundles++
	switch {
	case sealed && a.Size <= wholeSize:
		t.wants = append(t.wants, t.want(a, 0, a.Size))
	case sealed:
		t.wants = append(t.wants, t.want(a, 0, mib), t.want(a, a.Size-tailGuess, a.Size))
	default:
		index := max(d.Index, bundle.FooterSize)
		t.wants = append(t.wants, t.want(a, a.Size-index, a.Size))
	}
}

// want asks for a range of an archive, and what of its MiBs lies before it.
func (t *tails) want(a firn.Archive, from, to int64) retrieval.Want {
	w := retrieval.Want{Remote: a.ID, Size: a.Size, Tree: a.Tree, Label: "the index of a bundle"}
	if from = max(0, from) / mib * mib; from > 0 || to < a.Size {
		w.Range = &firn.Range{Start: from, End: to}
	}
	return w
}

// run fetches the indexes, and once more those that are longer than thought.
func (t *tails) run(ctx context.Context) error {
	if err := t.checkIdentities(ctx); err != nil {
		return err
	}
	for wants := t.wants; len(wants) > 0; wants = t.more {
		t.more = nil
		what := "the index of a bundle"
		if n := len(t.bundles); n > 1 {
			what = fmt.Sprintf("the indexes of %d bundles", n)
		}
		failed, err := t.ask(ctx, what, wants, func(id firn.ArchiveID) string { return t.bundles[id].archive.Class }, t.read)
		for _, f := range failed {
			if err := t.failed(ctx, "bundle "+string(f.Want.Remote), f.Err); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkIdentities leaves out encrypted bundles where there is nothing to open
// them with: their retrieval would be paid for in vain.
func (t *tails) checkIdentities(ctx context.Context) error {
	n := 0
	for _, one := range t.bundles {
		if one.sealed {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	_, err := t.identities(ctx)
	if err == nil {
		return nil
	}
	t.wants = slices.DeleteFunc(t.wants, func(w retrieval.Want) bool { return t.bundles[w.Remote].sealed })
	maps.DeleteFunc(t.bundles, func(_ firn.ArchiveID, one *tail) bool { return one.sealed })
	t.out.Bundles -= int64(n)
	t.out.Failed += int64(n - 1)
	return t.failed(ctx, fmt.Sprintf("%d encrypted bundles", n), err)
}

// read takes in what a job brought of a bundle. What is wrong with one bundle
// stops no other.
func (t *tails) read(ctx context.Context, w retrieval.Want, ready *retrieval.Ready) error {
	one := t.bundles[w.Remote]
	at := firn.Range{End: one.archive.Size}
	if w.Range != nil {
		at = *w.Range
	}
	data, err := ready.Fetch(ctx, at)
	if err != nil {
		return err
	}
	err = t.take(ctx, one, at, data)
	if firn.KindOf(err) == firn.NotReady {
		return err
	}
	if err == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed(ctx, "bundle "+string(w.Remote), err)
}

// errHead leaves a tail for the next round: its head isn't there yet.
var errHead = &firn.Error{Op: "read bundle", Kind: firn.NotReady, Err: errors.New("its beginning is not there yet")}

// take takes in a bundle's members, or asks for what more it needs for that.
func (t *tails) take(ctx context.Context, one *tail, at firn.Range, data []byte) error {
	src := source{at: at, data: data, size: one.archive.Size}
	if one.sealed {
		prefix, err := t.head(one, at, data)
		if err != nil || at.End < one.archive.Size {
			return err
		}
		ids, err := t.openWith(ctx)
		if err != nil {
			return err
		}
		if src.opener, err = ids.Open(prefix, one.archive.Size); err != nil {
			return err
		}
		src.size = src.opener.PlainSize()
	}
	footer, err := src.footer()
	if err != nil {
		return err
	}
	index := firn.Range{Start: footer.Offset, End: footer.Offset + footer.Size}
	if needs := src.archiveRange(index); needs.Start < at.Start {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.more = append(t.more, t.want(one.archive, needs.Start, one.archive.Size))
		return nil
	}
	info, members, err := bundle.ReadIndex(src.read(index), footer)
	if err != nil {
		return err
	}
	find := catalog.Find{Archive: one.archive, Kind: catalog.BundleArchive, Token: one.token, Header: one.prefix}
	by := one.by
	if !info.Catalog.IsZero() {
		by = info.Catalog
	}
	home := t.homeOf(info.Tree, by, info.Host)
	numbers := map[int64]int64{} // by offset
	paths := map[string]bool{}
	for m, err := range members {
		if err != nil {
			return err
		}
		if paths[m.File.Path] { // ordering thousands of versions of one path takes minutes
			return &firn.Error{Op: "read bundle", Kind: firn.Corrupt, Err: fmt.Errorf("its index has %q twice", m.File.Path)}
		}
		paths[m.File.Path] = true
		find.Members = append(find.Members, found(home.tree, m, numbers))
	}
	find.Late = home.isLate(one.archive)
	return t.record(ctx, find)
}

// homeOf is owners.home, for several goroutines.
func (t *tails) homeOf(tree string, by firn.Token, host string) home {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owners.home(tree, by, host)
}

func (t *tails) record(ctx context.Context, find catalog.Find) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.takeIn(ctx, []catalog.Find{find})
}

// openWith is identities, for several goroutines.
func (t *tails) openWith(ctx context.Context) (seal.Identities, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.identities(ctx)
}

// head gives the head of an encrypted bundle, which it keeps.
func (t *tails) head(one *tail, at firn.Range, data []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.Start == 0 {
		prefix, _, err := seal.ReadHeader(data)
		if err != nil {
			return nil, err
		}
		one.prefix = bytes.Clone(prefix)
	}
	if one.prefix == nil {
		return nil, errHead
	}
	return one.prefix, nil
}

// found is a member of a bundle as the catalog takes it in. Contents have the
// numbers of their order; members that share one share its number.
func found(tree string, m bundle.Member, numbers map[int64]int64) catalog.FoundMember {
	f := catalog.FoundMember{Tree: tree, File: m.File, Content: m.Content, Number: -1, LinkGroup: m.LinkGroup}
	if m.File.Kind == firn.Regular && m.Content.Size > 0 {
		number, known := numbers[m.Offset]
		if !known {
			number = int64(len(numbers))
			numbers[m.Offset] = number
		}
		f.Number, f.Offset = number, m.Offset
	}
	return f
}

// A source is the end of a bundle, opened where it is encrypted.
type source struct {
	at     firn.Range // of the archive, that data is
	data   []byte
	opener *seal.Opener // nil: it isn't encrypted
	size   int64        // of the bundle, opened
}

// archiveRange gives the bytes of the archive that hold a range of the bundle.
func (s *source) archiveRange(plain firn.Range) firn.Range {
	if s.opener == nil {
		return plain
	}
	return s.opener.SealedRange(plain)
}

// read reads a range of the bundle, which the data must hold.
func (s *source) read(plain firn.Range) io.Reader {
	in := s.archiveRange(plain)
	r := bytes.NewReader(s.data[in.Start-s.at.Start : in.End-s.at.Start])
	if s.opener == nil {
		return r
	}
	return s.opener.Reader(r, plain)
}

// footer reads the bundle's footer.
func (s *source) footer() (bundle.Footer, error) {
	last := firn.Range{Start: s.size - bundle.FooterSize, End: s.size}
	if last.Start < 0 || s.archiveRange(last).Start < s.at.Start {
		return bundle.Footer{}, &firn.Error{Op: "read bundle", Kind: firn.Corrupt, Err: fmt.Errorf("it has no end: %d bytes", s.size)}
	}
	b, err := io.ReadAll(s.read(last))
	if err != nil {
		return bundle.Footer{}, err
	}
	return bundle.ParseFooter(b, s.size)
}
