package transfer

import (
	"context"
	"iter"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// treeless is a vault whose lists of parts have no tree hashes, as those of S3.
type treeless struct{ *vault }

func (s treeless) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	return func(yield func(firn.Part, error) bool) {
		for p, err := range s.vault.Parts(ctx, id) {
			if p.Tree = (treehash.Hash{}); !yield(p, err) {
				return
			}
		}
	}
}

// TestResumeWithoutTrees: where the store doesn't tell what its parts hold, those
// are kept that are recorded, since it has checked them when they came. What isn't
// recorded is sent again, without reading the file to compare.
func TestResumeWithoutTrees(t *testing.T) {
	const size = 4*mib + 9
	part := func(i int) firn.Part {
		off, n := parts{size, mib}.at(i)
		h := treehash.New()
		b := make([]byte, n)
		fill(b, off, 1)
		h.Write(b)
		return firn.Part{Offset: off, Size: n, Tree: h.Sum()}
	}
	short := part(1)
	short.Size = 7
	list := func(p ...firn.Part) []firn.Part { return p }
	for name, c := range map[string]struct {
		stored, recorded []firn.Part
		resumed          int64 // bytes kept
	}{
		"all":                  {list(part(0), part(1), part(2), part(3), part(4)), list(part(4), part(3), part(2), part(1), part(0)), size},
		"sent, not recorded":   {list(part(0), part(3)), list(part(0)), mib},
		"recorded, not there":  {list(part(0)), list(part(0), part(1)), mib},
		"of another size":      {list(part(0), short), list(part(0), part(1)), mib},
		"nothing was recorded": {list(part(0), part(1)), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			v, j, f := newVault(), &journal{}, newFile(size, 1)
			job := begunTask(t, v, j, f, c.stored, c.recorded)
			tr := tinySingle()
			tr.UncheckedTrees = true
			u, err := NewUploader(treeless{v}, tr, UploadOptions{PartSize: 2 * mib, TokenOf: tokenOf})
			if err != nil {
				t.Fatal(err)
			}
			r, err := u.Upload(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			if sent := size - c.resumed; r.Resumed != c.resumed || r.Sent != sent || f.reads != 2*sent {
				t.Errorf("result %+v, %d bytes read", r, f.reads)
			}
			v.only(t, described(job), f.content())
			j.check(t)
		})
	}
}
