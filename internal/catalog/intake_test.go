package catalog_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/sqldb"
)

// randomFinds makes n finds, in folders and under names that come again, some of
// them without a name, some encrypted, some of firn.
func randomFinds(random *rand.Rand, n int) (finds []catalog.Find) {
	for i := range n {
		made := epoch.Add(time.Duration(random.IntN(100_000)) * time.Second)
		f := found(fmt.Sprintf("d%d/e%d/f%d", random.IntN(3), random.IntN(5), random.IntN(400)), fmt.Sprint(i), made)
		switch random.IntN(8) {
		case 0:
			f.Members = nil
		case 1:
			f.Members = append(f.Members, catalog.FoundMember{Tree: "theirs", File: firn.File{Path: fmt.Sprint("dir", i), Kind: firn.Directory, Mode: 0o755}, Number: -1})
		case 2:
			f.Kind, f.Token = catalog.FileArchive, firn.Token{byte(i), byte(i >> 8), 1}
		case 3:
			f.Header, f.Recipients = []byte{1}, catalog.Recipients{1}
		case 4:
			f.Members[0].Content.Tree, f.Members[0].Tree = [32]byte{}, "other"
		}
		finds = append(finds, f)
	}
	return finds
}

// tables gives what of the catalog is about what was taken in.
func (f *fixture) tables(tb testing.TB) map[string][][]any {
	tb.Helper()
	all := map[string][][]any{}
	for name, query := range map[string]string{
		"archive": "SELECT * FROM archive ORDER BY id", "description": "SELECT * FROM description ORDER BY archive",
		"seal": "SELECT * FROM seal ORDER BY archive", "location": "SELECT * FROM location ORDER BY archive, member",
		"dir": "SELECT * FROM dir ORDER BY id", "file": "SELECT * FROM file ORDER BY dir, name", "version": "SELECT * FROM version ORDER BY dir, name, since",
		"by_tree":   "SELECT * FROM by_tree UNION ALL SELECT * FROM by_tree_new ORDER BY 1, 2, 3",
		"by_remote": "SELECT * FROM by_remote UNION ALL SELECT * FROM by_remote_new ORDER BY 1, 2",
		"tree":      "SELECT * FROM tree ORDER BY id", "store": "SELECT archives, bytes FROM store", "run": "SELECT * FROM run ORDER BY id",
	} {
		rows, err := f.Query(tb.Context(), query)
		check(tb, err)
		all[name] = rows
	}
	return all
}

// handfuls gives finds, some at a time.
func handfuls(random *rand.Rand, finds []catalog.Find) func() []catalog.Find {
	return func() []catalog.Find {
		n := min(len(finds), 1+random.IntN(400))
		now := finds[:n]
		finds = finds[n:]
		return now
	}
}

// TestIntakeIsTakeIn: in however many handfuls and transactions finds come, and
// whether they are looked for or not, the same is recorded.
func TestIntakeIsTakeIn(t *testing.T) {
	for seed := range uint64(fewer(2, 1)) {
		finds := randomFinds(rand.New(rand.NewPCG(seed, 1)), fewer(1500, 700))
		f := newFixture(t)
		f.takeIn(t, finds...)
		want := f.tables(t)
		for _, strangers := range []bool{false, true} {
			random := rand.New(rand.NewPCG(seed, 2))
			f := newFixture(t)
			f.SetSizes(100, 150, 300)
			in := f.Intake(catalog.Run{ID: f.run.ID, Store: f.store.ID})
			if strangers {
				check(t, in.OnlyStrangers(t.Context()))
			}
			for left := finds; len(left) > 0; {
				n := min(len(left), 1+random.IntN(1000))
				done, err := in.Take(t.Context(), handfuls(random, left[:n]))
				check(t, err)
				if done.Archives != int64(n) || done.Known != 0 {
					t.Fatalf("of %d: %+v", n, done)
				}
				left = left[n:]
			}
			if diff := cmp.Diff(want, f.tables(t)); diff != "" {
				t.Errorf("seed %d, strangers %v:\n%s", seed, strangers, diff)
			}
			if lines, _ := faults(t, f.Catalog); len(lines) > 0 {
				t.Errorf("Check finds %q", lines)
			}
		}
	}
}

// TestIntakeKnows: what was taken in by others meanwhile, or before in the same
// transaction where not only strangers come, is passed over.
func TestIntakeKnows(t *testing.T) {
	finds := randomFinds(rand.New(rand.NewPCG(1, 1)), 50)
	for _, strangers := range []bool{false, true} {
		f := newFixture(t)
		in := f.Intake(catalog.Run{ID: f.run.ID, Store: f.store.ID})
		if strangers {
			check(t, in.OnlyStrangers(t.Context()))
		}
		take := func(known int64, finds ...catalog.Find) {
			t.Helper()
			random := rand.New(rand.NewPCG(1, 1))
			done, err := in.Take(t.Context(), handfuls(random, finds))
			if err != nil || done.Known != known || done.Archives != int64(len(finds))-known {
				t.Errorf("strangers %v: %+v, %v", strangers, done, err)
			}
		}
		take(0, finds[:10]...)
		f.takeIn(t, finds[15:25]...)
		take(5, finds[10:20]...)
		take(5, finds[20:30]...)
		if !strangers {
			take(11, append(finds[:10:10], finds[40], finds[40])...)
		}
		if lines, _ := faults(t, f.Catalog); len(lines) > 0 {
			t.Errorf("Check finds %q", lines)
		}
	}
}

// TestIntakeUnderway: the answer of an upload, recorded between a listing and the
// intake, makes no new row that would tell.
func TestIntakeUnderway(t *testing.T) {
	f := newFixture(t)
	ch := regular("x", "one")
	upload := f.intend(t, f.run, ch)
	in := f.Intake(catalog.Run{ID: f.run.ID, Store: f.store.ID})
	check(t, in.OnlyStrangers(t.Context()))
	find := found("x", "one", epoch)
	check(t, f.Stored(t.Context(), upload.ID, find.Archive, f.run, &ch))
	done, err := in.Take(t.Context(), handfuls(rand.New(rand.NewPCG(1, 1)), []catalog.Find{find}))
	if err != nil || done.Known != 1 || done.Archives != 0 {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestIntakeAllOrNothing: where the last find is refused nothing is recorded, and
// what comes then is looked for as before.
func TestIntakeAllOrNothing(t *testing.T) {
	f := newFixture(t)
	finds := randomFinds(rand.New(rand.NewPCG(1, 1)), 20)
	in := f.Intake(catalog.Run{ID: f.run.ID, Store: f.store.ID})
	check(t, in.OnlyStrangers(t.Context()))
	before := f.tables(t)
	bad := found("../f", "bad", epoch)
	one := func(finds []catalog.Find) func() []catalog.Find { return handfuls(rand.New(rand.NewPCG(1, 1)), finds) }
	if _, err := in.Take(t.Context(), one(append(finds[:19:19], bad))); firn.KindOf(err) != firn.Invalid {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff(before, f.tables(t)); diff != "" {
		t.Error(diff)
	}
	if done, err := in.Take(t.Context(), one(finds)); err != nil || done.Archives != 20 {
		t.Errorf("%+v, %v", done, err)
	}
	check(t, f.Catalog.Close())
	if _, err := in.Take(t.Context(), one(finds)); !errors.Is(err, sqldb.ErrClosed) {
		t.Errorf("when it is closed: %v", err)
	}
}
