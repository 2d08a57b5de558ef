package foreign_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
)

func openCLI(t testing.TB, path string) *foreign.GlacierCLI {
	t.Helper()
	g, err := foreign.OpenGlacierCLI(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestGlacierCLI(t *testing.T) {
	path := database(t, cliSchema, `INSERT INTO archive VALUES
		('id1', 'photos/ü.jpg', 'v', 'KEY1', 1353000000, 1352924178.25, NULL),
		('id2', NULL, 'v', 'KEY1', NULL, 1352924178, NULL),
		('id3', '', 'v', 'KEY2', NULL, NULL, 1353000001.5),
		('id4', 'a'||char(9)||'b', 'other', 'KEY1', NULL, 'soon', 0)`,
		"CREATE TABLE extra(x)")
	g := openCLI(t, path)
	if g.Fork {
		t.Error("it is taken for the fork's")
	}
	vaults, err := g.Vaults(t.Context())
	wantVaults := []foreign.CachedVault{
		{Vault: "other", Key: "KEY1", Archives: 1, Deleted: 1},
		{Vault: "v", Key: "KEY1", Archives: 2},
		{Vault: "v", Key: "KEY2", Archives: 1, Deleted: 1},
	}
	if diff := cmp.Diff(wantVaults, vaults); diff != "" || err != nil {
		t.Error(err, diff)
	}
	want := []foreign.CachedArchive{
		{ID: "id1", Name: "photos/ü.jpg", Vault: "v", Key: "KEY1", LastSeen: at(1353000000, 0), Created: at(1352924178, 25e7)},
		{ID: "id2", Vault: "v", Key: "KEY1", Created: at(1352924178, 0)},
		{ID: "id3", Vault: "v", Key: "KEY2", Deleted: true, DeletedAt: at(1353000001, 5e8)},
		{ID: "id4", Name: "a\tb", Vault: "other", Key: "KEY1", Deleted: true, DeletedAt: at(0, 0)},
	}
	for vault, want := range map[string][]foreign.CachedArchive{"": want, "v": want[:3], "other": want[3:], "none": nil} {
		var got []foreign.CachedArchive
		err := g.Archives(t.Context(), vault, gather(&got), nil)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(foreign.CachedArchive{})); diff != "" || err != nil {
			t.Error(vault, err, diff)
		}
	}
}

// TestFork: the fork's tree hashes, of which those of nothing are its fault.
func TestFork(t *testing.T) {
	path := database(t, forkSchema, `INSERT INTO archive VALUES
		('good', 'a', 'v', 'K', '`+hashOfA+`', NULL, 1.5, NULL),
		('fault', 'b', 'v', 'K', '`+hashOfNothing+`', NULL, 1.5, NULL),
		('none', 'c', 'v', 'K', '', NULL, 1.5, NULL),
		('broken', 'd', 'v', 'K', '`+strings.Repeat("x", 64)+`', NULL, 1.5, NULL)`)
	g := openCLI(t, path)
	if !g.Fork {
		t.Error("it isn't taken for the fork's")
	}
	var got []foreign.CachedArchive
	if err := g.Archives(t.Context(), "v", gather(&got), nil); err != nil || len(got) != 4 {
		t.Fatal(got, err)
	}
	for i, want := range []string{hashOfA, "", "", ""} {
		tree, ok := got[i].Tree(1)
		if ok != (want != "") || ok && tree.String() != want {
			t.Errorf("%s: %v, %t", got[i].ID, tree, ok)
		}
	}
	if tree, ok := got[1].Tree(0); !ok || tree != hash(t, hashOfNothing) {
		t.Errorf("of an empty archive: %v, %t", tree, ok)
	}
}

// TestGlacierCLIGoesOn: a row that is no archive's is told, and stops only
// itself; where nobody listens, it ends the reading.
func TestGlacierCLIGoesOn(t *testing.T) {
	path := database(t, strings.ReplaceAll(cliSchema, " NOT NULL", ""), `INSERT INTO archive VALUES
		('good', 'a', 'v', 'K', 1, 1, NULL), (NULL, 'a', 'v', 'K', 1, 1, NULL), ('', 'a', 'v', 'K', 1, 1, NULL),
		('i d', 'a', 'v', 'K', 1, 1, NULL), ('id5', 'a', NULL, 'K', 1, 1, NULL), ('id6', 'a', 'v', NULL, 1, 1, NULL),
		(x'6964', x'ff00', x'76', 'K', 1e300, -1e300, 'yes'), ('id8', CAST(zeroblob(70000) AS TEXT), 'v', 'K', 1, 1, NULL)`)
	g := openCLI(t, path)
	var got []foreign.CachedArchive
	var bad []string
	err := g.Archives(t.Context(), "", gather(&got), faults(t, &bad))
	want := []foreign.CachedArchive{
		{ID: "good", Name: "a", Vault: "v", Key: "K", LastSeen: at(1, 0), Created: at(1, 0)},
		{ID: "id", Name: "\xff\x00", Vault: "v", Key: "K", Deleted: true},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(foreign.CachedArchive{})); diff != "" || err != nil {
		t.Error(err, diff)
	}
	wantBad := []string{
		"db, archive row 2: its id is no text",
		"db, archive row 3: an archive without id",
		`db, archive row 4: "i d" is not the id of an archive`,
		"db, archive row 5: its vault is no text",
		"db, archive row 6: its key is no text",
		"db, archive row 8: its name has 70000 bytes",
	}
	if diff := cmp.Diff(wantBad, bad); diff != "" {
		t.Error(diff)
	}
	if err := g.Archives(t.Context(), "", gather(&got), nil); firn.KindOf(err) != firn.Corrupt || !strings.Contains(err.Error(), "row 2") {
		t.Errorf("%v", err)
	}
	enough := errors.New("enough")
	if err := g.Archives(t.Context(), "", func(foreign.CachedArchive) error { return enough }, nil); err != enough {
		t.Errorf("%v", err)
	}
	if err := g.Archives(t.Context(), "", gather(&got), func(error) error { return enough }); err != enough {
		t.Errorf("%v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	cli, other := database(t, cliSchema), database(t, syncSchema)
	if _, err := foreign.OpenGlacierCLI(t.Context(), other); firn.KindOf(err) != firn.Usage {
		t.Errorf("glaciersync's as glacier-cli's: %v", err)
	}
	if _, err := foreign.OpenGlacierSync(t.Context(), cli); firn.KindOf(err) != firn.Usage {
		t.Errorf("glacier-cli's as glaciersync's: %v", err)
	}
	if _, err := foreign.OpenGlacierCLI(t.Context(), file(t, "text")); firn.KindOf(err) != firn.Usage {
		t.Errorf("text: %v", err)
	}
	if _, err := foreign.OpenGlacierSync(t.Context(), "/nonexistent/file"); firn.KindOf(err) != firn.Local || strings.Count(err.Error(), "/nonexistent/file") != 1 {
		t.Errorf("nothing: %v", err)
	}
}
