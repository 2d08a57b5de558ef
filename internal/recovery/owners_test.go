package recovery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

// A host is another machine, with a catalog of its own, that syncs a directory to
// the store of a bench as a tree of the same name.
type host struct {
	*worktest.Bench
	name string
}

func newHost(b *worktest.Bench, name string) *host {
	b.T.Helper()
	h := &host{name: name, Bench: &worktest.Bench{T: b.T, Memory: b.Memory, Store: b.Store, Clock: b.Clock, Bundling: b.Bundling, Recipients: b.Recipients}}
	h.Root = filepath.Join(b.T.TempDir(), name)
	var err error
	if h.Catalog, err = catalog.Open(b.T.Context(), filepath.Join(b.T.TempDir(), name+".db"), b.Clock); err == nil {
		b.T.Cleanup(func() { h.Catalog.Close() })
		h.Row, err = h.Catalog.Register(b.T.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	}
	if err == nil {
		err = os.MkdirAll(h.Root, 0o755)
	}
	if err != nil {
		b.T.Fatal(err)
	}
	return h
}

func (h *host) sync() {
	h.T.Helper()
	o := h.Options()
	o.Host = h.name
	if _, err := syncer.Run(h.T.Context(), o); err != nil {
		h.T.Fatal(err)
	}
}

// files lists the current files of each tree by its name, with their owners.
func files(m *machine) map[string][]string {
	m.Helper()
	trees, err := m.cat.Trees(m.Context(), m.row.ID)
	m.must(err)
	all := map[string][]string{}
	for _, tree := range trees {
		for e, err := range m.cat.Files(m.Context(), catalog.ListQuery{Tree: tree.ID}) {
			m.must(err)
			if e.Kind == firn.Regular {
				all[tree.Name] = append(all[tree.Name], e.Path)
			}
		}
	}
	return all
}

// TestNewerOfTwoMachines loses two machines that synced trees of one name, after
// files changed that are in no snapshot: each goes to the tree of its machine, be
// it in an archive of its own or in a bundle.
func TestNewerOfTwoMachines(t *testing.T) {
	benches(t, func(t *testing.T, b *worktest.Bench, ids *seal.Identities) {
		hosts := []*host{newHost(b, "nas"), newHost(b, "laptop")}
		for _, h := range hosts {
			h.Write("first", "first of "+h.name)
			h.sync()
			save(h.Bench)
		}
		b.Clock.Advance(48 * time.Hour)
		for _, h := range hosts {
			h.Write("small/of "+h.name, "small")
			h.Write("large of "+h.name, strings.Repeat("large enough for an archive of its own ", 100))
			h.sync()
		}
		m := newMachine(b, ids)
		m.recover()
		got := files(m)
		renamed := "tree@laptop"
		if _, ok := got[renamed]; !ok {
			renamed = "tree@nas"
		}
		for _, h := range hosts {
			name := "tree"
			if strings.HasSuffix(renamed, h.name) {
				name = renamed
			}
			want := []string{"first", "large of " + h.name, "small/of " + h.name}
			slices.Sort(got[name])
			if !slices.Equal(got[name], want) || len(got) != 2 {
				t.Errorf("the tree of %s has %q, want %q; all: %q", h.name, got[name], want, got)
			}
		}
		if len(m.warnings()) > 0 {
			t.Errorf("%q", m.warnings())
		}
	})
}

// TestNewerOfAnUnknownMachine has a second machine of which no snapshot was made:
// its tree is kept apart from the one of its name, and that is said.
func TestNewerOfAnUnknownMachine(t *testing.T) {
	benches(t, func(t *testing.T, b *worktest.Bench, ids *seal.Identities) {
		known, unknown := newHost(b, "nas"), newHost(b, "laptop")
		known.Write("first", "first")
		known.sync()
		save(known.Bench)
		b.Clock.Advance(48 * time.Hour)
		unknown.Write("small", "small")
		unknown.Write("large", strings.Repeat("large enough for an archive of its own ", 100))
		unknown.sync()
		m := newMachine(b, ids)
		m.recover()
		got := files(m)
		if !slices.Equal(got["tree"], []string{"first"}) || len(m.warnings()) == 0 {
			t.Errorf("%q, %q", got, m.warnings())
		}
		n := 0
		for name, paths := range got {
			if n += len(paths); name != "tree" && name != "tree@laptop" && name != "tree (found)" {
				t.Errorf("a tree is called %q", name)
			}
		}
		if n != 3 {
			t.Errorf("%q", got)
		}
		before := fmt.Sprint(got)
		if m.recover(); fmt.Sprint(files(m)) != before {
			t.Errorf("again: %q, not %s", files(m), before)
		}
	})
}

// TestNewerThatMayBeOfTwo has archives that don't say which catalog wrote them, as
// early ones: with two trees of the name, they are in neither.
func TestNewerThatMayBeOfTwo(t *testing.T) {
	for _, two := range []bool{false, true} {
		b := worktest.New(t, slow())
		hosts := []*host{newHost(b, "nas"), newHost(b, "laptop")}
		for _, h := range hosts[:map[bool]int{false: 1, true: 2}[two]] {
			h.Write("first", "first of "+h.name)
			h.sync()
			save(h.Bench)
		}
		b.Clock.Advance(48 * time.Hour)
		text, err := describe.Encode(describe.Archive{Token: firn.NewToken(), Kind: describe.File, Tree: "tree", Path: "whose", ModTime: b.Clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		put(b, text, "whose is it")
		m := newMachine(b, nil)
		m.recover()
		in := map[bool]string{false: "tree", true: "tree (found)"}[two]
		if got := files(m); !slices.Contains(got[in], "whose") || two != (len(m.warnings()) > 0) {
			t.Errorf("%q, %q", got, m.warnings())
		}
	}
}

// TestTreesOfAChain counts the trees of the newest snapshot, which adds one.
func TestTreesOfAChain(t *testing.T) {
	b := worktest.New(t, slow())
	fill(b)
	syncAndSave(b)
	b.Clock.Advance(48 * time.Hour)
	o := b.Options()
	o.Tree = "second"
	if _, err := b.SyncWith(o); err != nil {
		t.Fatal(err)
	}
	save(b)
	if all, err := b.Catalog.Snapshots(t.Context(), b.Row.ID); err != nil || len(all) != 2 || all[1].Base != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	m := newMachine(b, nil)
	if res := m.recover(); len(res.Catalogs) != 1 || res.Catalogs[0].Trees != 2 {
		t.Errorf("%+v", res.Catalogs)
	}
}
