package foreign_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/testprog"
	"github.com/firn-archive/firn/treehash"
)

var day = time.Date(2026, 11, 22, 12, 0, 0, 500_000_000, time.UTC)

func openCache(t *testing.T, path string) *foreign.Cache {
	t.Helper()
	c, err := foreign.OpenCache(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func add(t *testing.T, c *foreign.Cache, id, name, region, key string) {
	t.Helper()
	err := c.Add(t.Context(), foreign.CacheRow{
		ID: firn.ArchiveID(id), Name: name, Vault: "v", Region: region, Key: key, Created: day, Tree: treehash.Sum([]byte(id)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, c *foreign.Cache, region string) string {
	t.Helper()
	var all []string
	err := c.List(t.Context(), region, "v", func(r foreign.CacheRow) error {
		all = append(all, r.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// TestCacheOfTwoRegions: vaults of one name are two, and what no region is known of
// is in both.
func TestCacheOfTwoRegions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	c := openCache(t, path)
	add(t, c, "A", "east", "us-east-1", "KEY")
	add(t, c, "B", "west", "eu-west-1", "KEY")
	c.Close()
	if out, err := exec.Command(testprog.Need(t, "sqlite3"), path, "INSERT INTO archive (id, name, vault, \"key\") VALUES ('C', 'old', 'v', 'KEY')").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c = openCache(t, path)
	for region, want := range map[string]string{"us-east-1": "east old", "eu-west-1": "old west", "elsewhere": "old"} {
		if got := names(t, c, region); got != want {
			t.Errorf("%s has %s, want %s", region, got, want)
		}
	}
	rows, err := c.ByName(t.Context(), "us-east-1", "v", "east")
	if err != nil || len(rows) != 1 || !rows[0].Created.Equal(day) || !rows[0].Seen().Equal(day) || rows[0].Tree != treehash.Sum([]byte("A")) {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestCompareBelievesNoOtherAccount: rows of another key are told of, and removed,
// only where the inventory lists one of them.
func TestCompareBelievesNoOtherAccount(t *testing.T) {
	for listed, want := range map[string]string{"A": "a b z", "Z": "z"} {
		c := openCache(t, filepath.Join(t.TempDir(), "db"))
		add(t, c, "A", "a", "r", "OWN")
		add(t, c, "B", "b", "r", "OTHER")
		add(t, c, "Z", "z", "r", "OTHER")
		told := map[string]foreign.Finding{}
		u := foreign.Upstream{
			Region: "r", Vault: "v", Key: "OWN", Created: day, Fix: true,
			NameOf: func(d string) string { return d }, IsName: func(d, n string) bool { return d == n },
			Tell: func(f foreign.Finding, r foreign.CacheRow, _ string) { told[r.Name] = f },
		}
		date := day.Add(1000 * time.Hour)
		err := c.Compare(t.Context(), u, func(each func(firn.Archive) error) (foreign.Dates, error) {
			return foreign.Dates{Inventory: date, LastSeen: date}, each(firn.Archive{ID: firn.ArchiveID(listed), Description: strings.ToLower(listed), Tree: treehash.Sum([]byte(listed))})
		})
		if got := names(t, c, "r"); err != nil || got != want {
			t.Errorf("with %s: %s, want %s; told %v, %v", listed, got, want, told, err)
		}
	}
}

// TestCompareKeepsAllWhenCutShort: an inventory that can't be read to its end changes
// nothing.
func TestCompareKeepsAllWhenCutShort(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "db"))
	add(t, c, "A", "a", "r", "OWN")
	broken := &firn.Error{Op: "read", Kind: firn.Network}
	err := c.Compare(t.Context(), foreign.Upstream{Region: "r", Vault: "v", Key: "OWN", Fix: true, NameOf: strings.ToLower}, func(each func(firn.Archive) error) (foreign.Dates, error) {
		for i := range 5000 {
			if err := each(firn.Archive{ID: firn.ArchiveID("N" + strings.Repeat("x", i%7)), Description: "n"}); err != nil {
				return foreign.Dates{}, err
			}
		}
		return foreign.Dates{}, broken
	})
	if got := names(t, c, "r"); firn.KindOf(err) != firn.Network || got != "a" {
		t.Errorf("%s, %v", got, err)
	}
}
