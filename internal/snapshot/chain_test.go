package snapshot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/snapshot"
)

// Two catalogs, of which the first sorts first.
var (
	one = firn.Token{1}
	two = firn.Token{2}
)

// candidate gives one whose archive is called after it.
func candidate(catalog firn.Token, seq, base int64) snapshot.Candidate {
	return snapshot.Candidate{Catalog: catalog, Seq: seq, Base: base, Archive: firn.ArchiveID(fmt.Sprintf("%d-%d", catalog[0], seq))}
}

// chainsText writes chains by their archives: "1-1+1-3 1-1".
func chainsText(chains [][]snapshot.Candidate) string {
	var all []string
	for _, chain := range chains {
		var names []string
		for _, c := range chain {
			names = append(names, string(c.Archive))
		}
		all = append(all, strings.Join(names, "+"))
	}
	return strings.Join(all, " ")
}

func TestChains(t *testing.T) {
	copied := candidate(one, 1, 0) // by a catalog that was put back from a backup
	copied.Archive, copied.Created = "copy", time.Unix(1e9, 0)
	listed := candidate(one, 1, 0) // as an inventory has it
	listed.Created, listed.Size = time.Unix(1e9, 0), 100
	for name, c := range map[string]struct {
		all  []snapshot.Candidate
		want string
	}{
		"none":              {nil, ""},
		"one":               {[]snapshot.Candidate{candidate(one, 1, 0)}, "1-1"},
		"newest first":      {[]snapshot.Candidate{candidate(one, 1, 0), candidate(one, 3, 1), candidate(one, 2, 1)}, "1-1+1-3 1-1+1-2 1-1"},
		"older full ones":   {[]snapshot.Candidate{candidate(one, 1, 0), candidate(one, 2, 1), candidate(one, 4, 0), candidate(one, 5, 4)}, "1-4+1-5 1-4 1-1+1-2 1-1"},
		"its base is gone":  {[]snapshot.Candidate{candidate(one, 3, 2), candidate(one, 1, 0)}, "1-1"},
		"it adds to no one": {[]snapshot.Candidate{candidate(one, 1, 0), candidate(one, 2, 1), candidate(one, 3, 2)}, "1-1+1-2 1-1"},
		"of two catalogs":   {[]snapshot.Candidate{candidate(two, 7, 0), candidate(one, 1, 0), candidate(two, 8, 7), candidate(one, 2, 1)}, "1-1+1-2 1-1 2-7+2-8 2-7"},
		"two of a number":   {[]snapshot.Candidate{candidate(one, 1, 0), copied, candidate(one, 2, 1)}, "copy+1-2 1-1+1-2 copy 1-1"},
		"tag and inventory": {[]snapshot.Candidate{candidate(one, 1, 0), listed}, "1-1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := chainsText(snapshot.Chains(c.all)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if got := snapshot.Chains([]snapshot.Candidate{candidate(one, 1, 0), listed}); got[0][0].Size != 100 {
		t.Errorf("the size that the inventory says got lost: %+v", got)
	}
}

func TestFromInventory(t *testing.T) {
	good := describe.Archive{Format: describe.Firn, Kind: describe.Snapshot, Catalog: one, Seq: 3, Base: 1}
	archive := firn.Archive{ID: "id", Size: 9, Created: time.Unix(1e9, 0)}
	got, ok := snapshot.FromInventory(archive, good)
	want := snapshot.Candidate{Catalog: one, Seq: 3, Base: 1, Archive: "id", Size: 9, Created: time.Unix(1e9, 0)}
	if !ok || got != want {
		t.Errorf("%+v, %t", got, ok)
	}
	for name, change := range map[string]func(*describe.Archive){
		"a bundle":           func(d *describe.Archive) { d.Kind = describe.Bundle },
		"of another program": func(d *describe.Archive) { d.Format = describe.MT2 },
		"no catalog":         func(d *describe.Archive) { d.Catalog = firn.Token{} },
		"no number":          func(d *describe.Archive) { d.Seq = 0 },
		"adds to itself":     func(d *describe.Archive) { d.Base = 3 },
		"adds to less":       func(d *describe.Archive) { d.Base = -1 },
	} {
		d := good
		change(&d)
		if got, ok := snapshot.FromInventory(archive, d); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCandidates(t *testing.T) {
	id, other := one.String(), two.String()
	for name, c := range map[string]struct {
		tags map[string]string
		want string
	}{
		"none":         {map[string]string{"Owner": "me", "firn-store": "x"}, ""},
		"full":         {map[string]string{"firn-catalog-" + id: "7/abc", "firn-full-" + id: "7/abc"}, "abc"},
		"full alone":   {map[string]string{"firn-catalog-" + id: "7/abc"}, "abc"},
		"chain":        {map[string]string{"firn-catalog-" + id: "9/abc", "firn-full-" + id: "7/a/b"}, "a/b+abc a/b"},
		"two catalogs": {map[string]string{"firn-catalog-" + id: "1/x", "firn-catalog-" + other: "2/y", "firn-full-" + other: "1/z"}, "x z+y z"},
		"nonsense":     {map[string]string{"firn-catalog-" + id: "seven/abc", "firn-catalog-short": "1/x", "firn-catalog-" + other: "2", "firn-full-" + other: "1/z"}, ""},
		"full ahead":   {map[string]string{"firn-catalog-" + id: "7/abc", "firn-full-" + id: "9/def"}, "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := chainsText(snapshot.Chains(snapshot.Candidates(c.tags))); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func FuzzParseTag(f *testing.F) {
	for _, seed := range []string{"1/abc", "", "/", "0/x", "-1/x", "9223372036854775807/" + strings.Repeat("x", 138), "9223372036854775808/x", "7/", "7/a/b", " 7/x", "+7/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		seq, archive, err := snapshot.ParseTag(value)
		if err != nil {
			if firn.KindOf(err) != firn.Invalid || seq != 0 || archive != "" {
				t.Errorf("%d, %q, %v", seq, archive, err)
			}
			return
		}
		if again, id, err := snapshot.ParseTag(fmt.Sprintf("%d/%s", seq, archive)); err != nil || again != seq || id != archive {
			t.Errorf("%q reads as %d and %q, and that as %d and %q: %v", value, seq, archive, again, id, err)
		}
		found := snapshot.Candidates(map[string]string{"firn-catalog-" + one.String(): value})
		if diff := cmp.Diff([]snapshot.Candidate{{Catalog: one, Seq: seq, Archive: archive}}, found); diff != "" {
			t.Error(diff)
		}
	})
}
