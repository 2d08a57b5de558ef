package recovery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// owners tell which tree an archive belongs to that no snapshot knows. It says
// the tree's name, which is unique on its machine alone.
type owners struct {
	*recoverer
	trees []catalog.TreeOwner
	told  map[string]bool
}

func (r *recoverer) owners(ctx context.Context) (*owners, error) {
	trees, err := r.Catalog.TreeOwners(ctx, r.Row.ID)
	return &owners{recoverer: r, trees: trees, told: map[string]bool{}}, err
}

// A home is the tree that an archive belongs to.
type home struct {
	tree  string
	saved time.Time // up to when snapshots know it; zero: none does
}

// isLate reports whether an archive is newer than what the snapshots say of its
// tree.
func (h home) isLate(a firn.Archive) bool {
	return !h.saved.IsZero() && a.Created.After(h.saved.Add(-lateMargin))
}

// home finds the tree of an archive by the tree's name, the catalog that wrote
// it, and the machine. What is not said is zero. What may be of more than one
// tree, or is of a machine of which no snapshot is left while another one has a
// tree of the name, gets one of its own: it must not show up in that.
func (o *owners) home(name string, by firn.Token, host string) home {
	name = safeTree(name)
	var all, bound, same []catalog.TreeOwner
	for _, t := range o.trees {
		if !t.MayBe(name) {
			continue
		}
		all = append(all, t)
		if !t.IsBound() {
			continue
		}
		bound = append(bound, t)
		if slices.Contains(t.Catalogs, by) {
			return home{t.Name, t.Saved}
		}
		if host != "" && t.Host == host {
			same = append(same, t)
		}
	}
	switch {
	case len(same) == 1:
		return home{same[0].Name, same[0].Saved}
	case len(bound) == 0:
		return home{tree: name}
	case len(same) == 0 && host != "":
		return o.apart(name, catalog.NameOf(name, host), all)
	case len(bound) == 1 && (by.IsZero() || len(bound[0].Catalogs) == 0):
		return home{bound[0].Name, bound[0].Saved}
	}
	const suffix = " (found)"
	return o.apart(name, name[:runesWithin(name, describe.MaxTree-len(suffix))]+suffix, all)
}

// apart tells once that a tree is kept apart from those of its name.
func (o *owners) apart(name, as string, others []catalog.TreeOwner) home {
	if !o.told[as] {
		o.told[as] = true
		o.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("some files are of a tree called %s, but not of %s of %s: they are in the tree %s", name, others[0].Name, others[0].Host, as)})
	}
	return home{tree: as}
}

// runesWithin gives how many bytes the runes of a text have that fit into most.
func runesWithin(text string, most int) (n int) {
	for i := range text {
		if i <= most {
			n = i
		}
	}
	if len(text) <= most {
		n = len(text)
	}
	return n
}
