package catalog_test

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

func spec(url, identity string) catalog.StoreSpec {
	return catalog.StoreSpec{URL: url, Kind: "local", Identity: identity, Name: "v", Region: "here", Address: url}
}

func TestRegister(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	a, err := f.Register(ctx, spec("local:/a", "A"))
	check(t, err)
	if !a.Registered.Equal(epoch) || a.StoreSpec != spec("local:/a", "A") {
		t.Errorf("registered as %+v", a)
	}

	// The same store in another place, and what it is called there.
	moved, err := f.Register(ctx, spec("local:/moved", "A"))
	check(t, err)
	if moved.ID != a.ID || moved.URL != "local:/moved" || moved.Address != "local:/moved" {
		t.Errorf("moved: %+v", moved)
	}
	for _, url := range []string{"local:/a", "local:/moved"} {
		if s, err := f.StoreByURL(ctx, url); err != nil || s != moved {
			t.Errorf("by %s: %+v, %v", url, s, err)
		}
	}

	// Another store in its place.
	_, err = f.Register(ctx, spec("local:/moved", "B"))
	wantKind(t, err, firn.Conflict, "local:/moved")
	if !strings.Contains(err.Error(), "2026-03-01") || !strings.Contains(err.Error(), "firn store forget") {
		t.Errorf("%v doesn't say since when, and what to do", err)
	}
	if stores, _ := f.Stores(ctx); len(stores) != 2 {
		t.Errorf("a refused store is listed: %v", stores)
	}

	check(t, f.Forget(ctx, a.ID))
	wantKind(t, f.Forget(ctx, a.ID), firn.NotFound, "")
	_, err = f.StoreByURL(ctx, "local:/a")
	wantKind(t, err, firn.NotFound, "local:/a")
	b, err := f.Register(ctx, spec("local:/moved", "B"))
	check(t, err)
	stores, err := f.Stores(ctx)
	check(t, err)
	if diff := gocmp.Diff([]catalog.Store{b, f.store}, stores); diff != "" {
		t.Errorf("after forgetting: %s", diff)
	}

	back, err := f.Register(ctx, spec("local:/a", "A"))
	if err != nil || back.ID != a.ID {
		t.Errorf("the forgotten store came back as %+v, %v", back, err)
	}
	_, err = f.Register(ctx, spec("local:/x", ""))
	wantKind(t, err, firn.Invalid, "local:/x")
}

func TestBind(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	again, err := f.Bind(ctx, f.store.ID, "photos", "nas", "/home/photos")
	if err != nil || again != f.tree {
		t.Errorf("bound again: %+v, %v", again, err)
	}
	for _, other := range []struct{ host, root string }{{"nas", "/srv/photos"}, {"laptop", "/home/photos"}} {
		_, err := f.Bind(ctx, f.store.ID, "photos", other.host, other.root)
		wantKind(t, err, firn.Conflict, "photos")
		if !strings.Contains(err.Error(), "--tree NAME") {
			t.Errorf("%v doesn't say what to do", err)
		}
	}
	other, err := f.Register(ctx, spec("local:/b", "B"))
	check(t, err)
	if _, err := f.Bind(ctx, other.ID, "photos", "laptop", "/x"); err != nil {
		t.Errorf("the name in another store: %v", err)
	}

	root := "/odd\xff\n'\x00"
	check(t, f.Rebind(ctx, f.tree.ID, "laptop", root))
	moved, err := f.Tree(ctx, f.store.ID, "photos")
	if err != nil || moved.Root != root || moved.Host != "laptop" || moved.ID != f.tree.ID {
		t.Errorf("moved: %+v, %v", moved, err)
	}
	wantKind(t, f.Rebind(ctx, 99, "h", "r"), firn.NotFound, "99")
	_, err = f.Tree(ctx, f.store.ID, "none")
	wantKind(t, err, firn.NotFound, "none")

	_, err = f.Bind(ctx, f.store.ID, "docs", "nas", "/home/docs")
	check(t, err)
	trees, err := f.Trees(ctx, f.store.ID)
	check(t, err)
	if len(trees) != 2 || trees[0].Name != "docs" || trees[1] != moved {
		t.Errorf("trees: %+v", trees)
	}
}

func TestTreeNames(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"", ".", "..", "a/b", "a\nb", "\xff", "a\x1b[0m", "\u202e", strings.Repeat("n", 256)} {
		_, err := f.Bind(t.Context(), f.store.ID, name, "h", "/")
		wantKind(t, err, firn.Usage, "--tree NAME")
	}
	for _, name := range []string{"a", "my photos", "Übung", "...", "-x", strings.Repeat("n", 255)} {
		if _, err := f.Bind(t.Context(), f.store.ID, name, "h", "/"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestClassOfAStore: it stays where nobody has looked, and follows who has.
func TestClassOfAStore(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct{ class, want string }{{"", ""}, {"GLACIER", "GLACIER"}, {"", "GLACIER"}, {"DEEP_ARCHIVE", "DEEP_ARCHIVE"}} {
		s := spec("s3:b", "B")
		s.Class = c.class
		got, err := f.Register(t.Context(), s)
		check(t, err)
		if again, err := f.StoreByURL(t.Context(), "s3:b"); err != nil || got.Class != c.want || again.Class != c.want {
			t.Errorf("%q, then %q, %v; want %q", got.Class, again.Class, err, c.want)
		}
	}
}
