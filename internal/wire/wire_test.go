package wire_test

import (
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/wire"
)

func environment(t *testing.T) wire.Env {
	vars := map[string]string{"HOME": t.TempDir(), "FIRN_HOME": filepath.Join(t.TempDir(), "data")}
	return wire.Env{Getenv: func(k string) string { return vars[k] }, Clock: clock.System{}, Events: firn.Discard}
}

func openLocal(t *testing.T, env wire.Env, dir string) *wire.Store {
	t.Helper()
	var limit config.Rate
	limit.Set(config.Steady(1 << 30))
	s, err := wire.Open(t.Context(), env, config.Location{Scheme: config.Local, Dir: dir}, wire.Options{LimitUpload: &limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openCatalog(t *testing.T, env wire.Env) *catalog.Catalog {
	t.Helper()
	c, err := wire.OpenCatalog(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestLocalStore keeps the contract of stores with all its decorators on, over
// the embedded server and its protocol.
func TestLocalStore(t *testing.T) {
	env := environment(t)
	s := openLocal(t, env, filepath.Join(t.TempDir(), "my vault")) // no legal name for a vault
	if _, err := s.CheckOrCreate(t.Context(), openCatalog(t, env)); err != nil {
		t.Fatal(err)
	}
	body, sums := storetest.Body([]byte("some bytes"))
	id, err := s.UploadArchive(t.Context(), "a description", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	if tr := s.Traits(); !tr.FreshInventory || !tr.InstantJobs {
		t.Errorf("traits %+v", tr)
	}
	job, err := s.StartInventory(t.Context(), firn.InventorySpec{})
	if err != nil {
		t.Fatal(err)
	}
	var found []firn.ArchiveID
	_, err = s.Inventory(t.Context(), job, func(a firn.Archive) error { found = append(found, a.ID); return nil })
	if err != nil || len(found) != 1 || found[0] != id {
		t.Errorf("inventory %v, %v, want %s", found, err, id)
	}
}

func TestVaultsAreToldApart(t *testing.T) {
	env := environment(t)
	cat := openCatalog(t, env)
	dir := filepath.Join(t.TempDir(), "vault")
	s := openLocal(t, env, dir)
	first, err := s.CheckOrCreate(t.Context(), cat)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()

	// The folder moves: the same store.
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	s = openLocal(t, env, moved)
	again, err := s.CheckOrCreate(t.Context(), cat)
	if err != nil || again.ID != first.ID {
		t.Errorf("after a move: %+v, %v", again, err)
	}
	s.Close()

	// Its place is empty: a disk that isn't mounted. Nothing is made there.
	s = openLocal(t, env, moved)
	if err := os.Rename(moved, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CheckOrCreate(t.Context(), cat); firn.KindOf(err) != firn.NotFound {
		t.Errorf("while it is away: %v", err)
	}
	if _, err := os.Stat(moved); !os.IsNotExist(err) {
		t.Errorf("in its place: %v", err)
	}

	// Another vault in its place.
	other := openLocal(t, env, moved)
	if err := other.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.CheckOrCreate(t.Context(), cat); firn.KindOf(err) != firn.Conflict {
		t.Errorf("another vault: %v", err)
	}
}

func TestFoldersOfOthersAreLeftAlone(t *testing.T) {
	env := environment(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openLocal(t, env, dir)
	if _, err := s.CheckOrCreate(t.Context(), openCatalog(t, env)); firn.KindOf(err) != firn.Conflict {
		t.Errorf("a folder with a letter: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left there: %v", names)
	}
}

// TestDamagedVault: what is wrong with a local vault is told at once, since
// waiting mends nothing, and as what it is.
func TestDamagedVault(t *testing.T) {
	env := environment(t)
	dir := filepath.Join(t.TempDir(), "vault")
	s := openLocal(t, env, dir)
	if _, err := s.CheckOrCreate(t.Context(), openCatalog(t, env)); err != nil {
		t.Fatal(err)
	}
	body, sums := storetest.Body(storetest.Data(1, damagedSize))
	id, err := s.UploadArchive(t.Context(), "", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	job, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: id, Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "archives", "000", "000", "001")
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
	if kind := readAll(t, s, job); kind != firn.Corrupt {
		t.Errorf("a truncated archive is %v", kind)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if kind := readAll(t, s, job); kind != firn.Corrupt {
		t.Errorf("a missing archive is %v", kind)
	}
	s.Close()
	if err := os.WriteFile(filepath.Join(dir, "vault.db"), storetest.Data(2, 20000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openLocal(t, env, dir).Describe(t.Context()); firn.KindOf(err).Temporary() || err == nil {
		t.Errorf("a damaged database: %v", err)
	}
}

// damagedSize is that of an archive whose body is a file, and no part of the database.
const damagedSize = 50000

// readAll reads a job's output of damagedSize bytes and gives the kind of its failure.
func readAll(t *testing.T, s firn.Store, job firn.JobID) firn.Kind {
	t.Helper()
	out, err := s.Output(t.Context(), job, firn.Range{End: damagedSize})
	if err == nil {
		defer out.Close()
		_, err = io.Copy(io.Discard, out)
	}
	return firn.KindOf(err)
}

// TestLostCatalog: an emptied catalog would have everything sent again.
func TestLostCatalog(t *testing.T) {
	env := environment(t)
	cat, err := wire.OpenCatalog(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	cat.Close()
	path := filepath.Join(env.Getenv("FIRN_HOME"), "catalog.db")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	openCatalog(t, env).Close() // nothing was synced yet
	l, err := wire.LockTree(t.Context(), env, catalog.Store{ID: 1}, "photos", 0)
	if err != nil {
		t.Fatal(err)
	}
	l.Unlock()
	openCatalog(t, env).Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := wire.OpenCatalog(t.Context(), env); firn.KindOf(err) != firn.Corrupt {
		t.Errorf("emptied: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := wire.OpenCatalog(t.Context(), env); firn.KindOf(err) != firn.Corrupt {
		t.Errorf("removed: %v", err)
	}
}

// TestVaultIsMade: of the service only where that is wanted, and only one that
// was never seen.
func TestVaultIsMade(t *testing.T) {
	env := environment(t)
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Timing: new(glacierd.Timing{}), Credentials: func(id string) (glacierd.KeyPair, bool) {
		return glacierd.KeyPair{AccessKeyID: id, SecretAccessKey: "secret"}, true
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	front := httptest.NewServer(server)
	defer front.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "me")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	var told []string
	env.Events = func(e firn.Event) {
		if n, ok := e.(firn.NoticeEvent); ok {
			told = append(told, n.Text)
		}
	}
	cat := openCatalog(t, env)
	open := func(o wire.Options) *wire.Store {
		o.Endpoint = front.URL
		s, err := wire.Open(t.Context(), env, config.Location{Scheme: config.Glacier, Region: "us-east-1", Vault: "photos"}, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	if _, err := open(wire.Options{}).CheckOrCreate(t.Context(), cat); firn.KindOf(err) != firn.NotFound {
		t.Fatalf("unasked: %v", err)
	}
	s := open(wire.Options{MakeVault: true})
	if _, err := s.CheckOrCreate(t.Context(), cat); err != nil || len(told) != 1 || !strings.Contains(told[0], "photos in us-east-1") {
		t.Fatalf("made: %v, told %q", err, told)
	}
	if _, err := s.CheckOrCreate(t.Context(), cat); err != nil || len(told) != 1 {
		t.Errorf("again: %v, told %q", err, told)
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CheckOrCreate(t.Context(), cat); firn.KindOf(err) != firn.NotFound {
		t.Errorf("after it was deleted: %v", err)
	}
}
