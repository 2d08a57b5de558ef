package migrate

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
)

// A naming says what an archive of the source becomes.
type naming int

const (
	asIs    naming = iota // nobody can say it better than its description
	asLoose               // likewise, and it is of no tree
	asFile                // a file of a tree
	asBundle
)

// naming says what becomes of an archive.
func (t *task) naming() naming {
	switch {
	case t.Strange, t.Kind == catalog.LooseArchive:
		return asLoose
	case t.Kind == catalog.BundleArchive, t.Sealed:
		return asBundle
	case t.Kind == catalog.ForeignArchive && (t.Packed != "" || t.Contents != 1 || t.File.Path == ""):
		return asIs
	case t.File.Path == "" || t.Contents != 1:
		return asLoose
	}
	return asFile
}

// bundles reports whether an archive may share one with others.
func (t *task) bundles(b Bundling) bool {
	return b.Below > 0 && t.Size > 0 && t.Size < b.Below && t.naming() == asFile && t.Copy == 0 && t.Content.Size == t.Size
}

// intend makes the intent of an archive's copy: what it holds is what the source's
// does, and its description says so anew.
func (m *mover) intend(ctx context.Context, t *task) (in catalog.Intent, err error) {
	in = catalog.Intent{Token: firn.NewToken(), Kind: t.Kind, File: t.File, TreeHash: t.tree}
	in.File.Path, in.File.Kind = t.label, firn.Regular
	switch t.naming() {
	case asFile:
		in.Kind = catalog.FileArchive
		in.Description, err = describe.Encode(describe.Archive{
			Token: in.Token, Kind: describe.File, Tree: t.Tree, Path: t.File.Path, ModTime: t.File.Stamp.ModTime,
			Mode: t.File.Mode, HasMode: t.Kind == catalog.FileArchive, Made: m.Clock.Now(), Catalog: m.Catalog.ID(),
		})
	case asBundle:
		in.Description, err = m.describeBundle(ctx, t, in.Token)
	case asLoose:
		in.Kind = catalog.LooseArchive
		in.Description, err = again(t.Description, in.Token)
	case asIs:
		in.Description, err = again(t.Description, in.Token)
	}
	return in, err
}

// again gives a description as it is, but for firn's own, which have a token that
// tells apart all that firn ever stored.
func again(description string, token firn.Token) (string, error) {
	d := describe.Decode(description)
	if d.Format != describe.Firn {
		return description, nil
	}
	d.Token = token
	return describe.Encode(d)
}

// describeBundle describes a bundle. How long its index is, its end says.
func (m *mover) describeBundle(ctx context.Context, t *task, token firn.Token) (string, error) {
	if t.Sealed {
		return describe.Encode(describe.Archive{Token: token, Kind: describe.Sealed, Made: t.Created.UTC().Truncate(day)})
	}
	d := describe.Archive{Token: token, Kind: describe.Bundle, Tree: t.Tree, Made: t.Created, Catalog: m.Catalog.ID()}
	if t.Size >= bundle.FooterSize {
		last, err := m.down.Fetch(ctx, t.job.ID, nil, firn.Range{Start: t.Size - bundle.FooterSize, End: t.Size})
		if err != nil {
			t.note(err)
			return "", err
		}
		if f, err := bundle.ParseFooter(last, t.Size); err == nil {
			d.Index = t.Size - f.Offset
		}
	}
	return describe.Encode(d)
}
