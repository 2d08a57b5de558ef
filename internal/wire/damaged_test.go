package wire_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/wire"
)

// used gives an environment whose catalog knows two stores, and what a sync
// leaves behind; the catalog is closed.
func used(t *testing.T) (env wire.Env, path string) {
	t.Helper()
	env = environment(t)
	env.Clock = clock.NewManual(time.Date(2026, 11, 22, 10, 20, 30, 0, time.UTC))
	cat, err := wire.OpenCatalog(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"local:/mnt/b", "glacier:eu-west-1/a"} {
		row, err := cat.Register(t.Context(), catalog.StoreSpec{URL: url, Kind: "local", Identity: "id of " + url, Name: "v"})
		if err != nil {
			t.Fatal(err)
		}
		lock, err := wire.LockTree(t.Context(), env, row, "photos", 0)
		if err != nil {
			t.Fatal(err)
		}
		lock.Unlock()
	}
	if err := cat.Close(); err != nil {
		t.Fatal(err)
	}
	return env, filepath.Join(env.Getenv("FIRN_HOME"), "catalog.db")
}

// overwrite puts garbage into a file.
func overwrite(t *testing.T, path string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, n), at); err != nil {
		t.Fatal(err)
	}
}

// withoutLog makes a catalog what it is when all went into its log, and that
// is missing: its first page.
func withoutLog(t *testing.T, path string) {
	t.Helper()
	dir := t.TempDir()
	fresh := filepath.Join(dir, "catalog.db")
	cat, err := catalog.Open(t.Context(), fresh, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	data, err := os.ReadFile(fresh) // its log isn't empty as long as it is open
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedCatalog: whatever happens to the file, it is told at open, no new
// catalog takes its place by itself, and once it was put aside one can.
func TestDamagedCatalog(t *testing.T) {
	const all = "glacier:eu-west-1/a local:/mnt/b"
	for name, tt := range map[string]struct {
		harm     func(t *testing.T, path string)
		aside    bool   // something is there to put aside
		salvaged string // stores that are found in it
	}{
		"empty":       {func(t *testing.T, path string) { os.Truncate(path, 0) }, true, ""},
		"missing":     {func(t *testing.T, path string) { os.Remove(path) }, false, ""},
		"cut short":   {func(t *testing.T, path string) { os.Truncate(path, 64<<10) }, true, "?"},
		"no header":   {func(t *testing.T, path string) { overwrite(t, path, 0, 100) }, true, ""},
		"no schema":   {func(t *testing.T, path string) { overwrite(t, path, 100, 3996) }, true, ""},
		"log missing": {withoutLog, true, ""},
		"log alone": {func(t *testing.T, path string) {
			os.Remove(path)
			os.WriteFile(path+"-wal", []byte("a log"), 0o600)
		}, true, ""},
		"no table": {func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// The name of a table, as the schema has it, becomes another.
			data = bytes.ReplaceAll(data, []byte("CREATE TABLE version ("), []byte("CREATE TABLE virsion ("))
			data = bytes.ReplaceAll(data, []byte("versionversion"), []byte("virsionvirsion"))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}, true, all},
	} {
		t.Run(name, func(t *testing.T) {
			env, path := used(t)
			tt.harm(t, path)
			cat, err := wire.OpenCatalog(t.Context(), env)
			if err == nil {
				cat.Close()
			}
			if firn.KindOf(err) != firn.Corrupt || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "firn recover STORE") {
				t.Fatalf("open: %v", err)
			}
			aside, err := wire.SetAsideCatalog(t.Context(), env)
			if err != nil || (aside != "") != tt.aside {
				t.Fatalf("put aside: %q, %v", aside, err)
			}
			if aside != "" && aside != path+".damaged-20261122T102030Z" {
				t.Errorf("put aside as %s", aside)
			}
			if aside != "" {
				urls, err := wire.SalvageStores(t.Context(), aside)
				if got := strings.Join(urls, " "); tt.salvaged != "?" && (got != tt.salvaged || (err == nil) != (got != "")) {
					t.Errorf("stores %q, %v", got, err)
				}
			}
			anew, err := wire.NewCatalog(t.Context(), env)
			if err != nil {
				t.Fatalf("a new one: %v", err)
			}
			defer anew.Close()
			if stores, err := anew.Stores(t.Context()); len(stores) != 0 || err != nil {
				t.Errorf("the new one has %v, %v", stores, err)
			}
		})
	}
}

// TestSetAsideTwice: within one second too, nothing is written over.
func TestSetAsideTwice(t *testing.T) {
	env, path := used(t)
	first, err := wire.SetAsideCatalog(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := wire.SetAsideCatalog(t.Context(), env)
	if err != nil || second != first+"-2" {
		t.Errorf("the second: %s, %v", second, err)
	}
	if after, err := os.ReadFile(first); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the first has changed: %v", err)
	}
}

// holdVar names the data folder whose catalog the test program is to keep open.
const holdVar = "WIRE_TEST_HOLD"

func TestHold(t *testing.T) {
	dir := os.Getenv(holdVar)
	if dir == "" {
		t.Skip("it is for another test's child")
	}
	cat, err := catalog.Open(context.Background(), filepath.Join(dir, "catalog.db"), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	os.Stdout.WriteString("open\n")
	os.Stdin.Read(make([]byte, 1))
}

// TestSetAsideOfWhatIsInUse: another firn that works with the catalog goes on.
func TestSetAsideOfWhatIsInUse(t *testing.T) {
	env, path := used(t)
	child := exec.Command(os.Args[0], "-test.run=^TestHold$")
	child.Env = append(os.Environ(), holdVar+"="+filepath.Dir(path))
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	aside, err := wire.SetAsideCatalog(t.Context(), env)
	if firn.KindOf(err) != firn.Conflict || aside != "" {
		t.Errorf("put aside as %q, %v", aside, err)
	}
	in.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if cat, err := wire.OpenCatalog(t.Context(), env); err != nil {
		t.Errorf("afterwards: %v", err)
	} else {
		cat.Close()
	}
}
