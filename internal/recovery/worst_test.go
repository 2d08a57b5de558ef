package recovery_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// An aging store lets hours pass with each archive, and kills the machine in
// the end.
type aging struct {
	firn.Store
	clock *clock.Manual
	step  time.Duration
	left  int // archives until the end, snapshots not counted
	kill  context.CancelFunc
}

func (s *aging) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	id, err := s.Store.UploadArchive(ctx, description, body, sums)
	s.clock.Advance(s.step)
	if describe.Decode(description).Kind == describe.Snapshot {
		return id, err
	}
	if s.left--; s.left == 0 {
		s.kill() // it is stored, and nobody hears of it
		return "", context.Canceled
	}
	return id, err
}

// TestKilledOnTheTenthDay ends a first sync that has lasted for ten days, without
// a word of farewell. Each file that was stored comes back, with its name.
func TestKilledOnTheTenthDay(t *testing.T) {
	benches(t, func(t *testing.T, b *worktest.Bench, ids *seal.Identities) {
		for i := range 400 {
			b.Write(fmt.Sprintf("folder%02d/file%03d", i%20, i), strings.Repeat(fmt.Sprintf("text %d ", i), 30))
		}
		o := b.Options()
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		store := &aging{Store: b.Store, clock: b.Clock, step: 6 * time.Hour, left: 38, kill: kill}
		up, err := transfer.NewUploader(store, store.Traits(), transfer.UploadOptions{Clock: b.Clock, TokenOf: describe.TokenOf, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		so := b.SnapshotOptions()
		so.Uploader, so.Store = up, store
		o.Store, o.Uploader, o.Snapshots, o.Concurrency = store, up, snapshot.NewMaker(so), 1
		if _, err := syncer.Run(ctx, o); err == nil {
			t.Fatal("it ended in peace")
		}
		m := newMachine(b, ids)
		res := m.recover()
		if n := len(res.Catalogs); n == 0 || res.Catalogs[n-1].Seq < 5 {
			t.Errorf("%+v", res)
		}
		// What the store holds, by the dead machine's own record and one more.
		want := picture(t, b.Root)
		got := m.restored()
		files := 0
		for p, text := range got {
			if strings.HasPrefix(text, "d") {
				continue
			}
			files++
			if want[p] != text {
				t.Errorf("%s: %s, want %s", p, text, want[p])
			}
		}
		stored := 0
		for d, err := range b.Catalog.Current(t.Context(), b.Tree().ID) {
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range d.Files {
				if f.IsStored() {
					stored++
				}
			}
		}
		if files <= stored || files == len(want) {
			t.Errorf("%d files came back; %d were recorded as stored before the last archive, of %d", files, stored, len(want))
		}
	})
}

// TestTwoMachines brings back the trees of two machines together, one of which
// made a snapshot. Both trees have the same name.
func TestTwoMachines(t *testing.T) {
	b := worktest.New(t, slow())
	b.Bundle(1000, 5000)
	fill(b)
	syncAndSave(b)

	// The other one has a catalog of its own.
	other, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "other.db"), b.Clock)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	row, err := other.Register(t.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "music")
	for i := range 20 {
		name := filepath.Join(root, "album", fmt.Sprint("song", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, fmt.Appendf(nil, "song %d", i), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	o := b.Options()
	o.Catalog, o.Row, o.Root, o.Tree, o.Host, o.Snapshots = other, row, root, "music", "there", nil
	if _, err := syncer.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}

	m := newMachine(b, nil)
	m.recover()
	want := map[string]string{}
	for prefix, dir := range map[string]string{"tree": b.Root, "music": root} {
		for p, text := range picture(t, dir) {
			want[filepath.Join(prefix, p)] = text
		}
	}
	got := m.restored()
	for _, side := range []map[string]string{want, got} {
		maps.DeleteFunc(side, func(_, text string) bool { return strings.HasPrefix(text, "d") })
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-lost +restored):\n%s", diff)
	}
}

// TestBrokenSnapshots passes over snapshots that can't be read, to older ones and
// at last to the descriptions; each is told.
func TestBrokenSnapshots(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 5000)
	fill(b)
	syncAndSave(b)
	b.Clock.Advance(48 * time.Hour)
	b.Write("second", "after the first snapshot")
	syncAndSave(b)
	// Somebody overwrites the newest one's tag with an archive that is none.
	tags, err := b.Memory.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const data = "no snapshot"
	sums := treehash.NewDouble()
	io.WriteString(sums, data)
	id, err := b.Memory.UploadArchive(t.Context(), "no snapshot", io.NewSectionReader(strings.NewReader(data), 0, int64(len(data))), sums.Sums())
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range tags {
		if strings.HasPrefix(key, "firn-catalog-") {
			seq, _, err := snapshot.ParseTag(value)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Memory.SetTags(t.Context(), map[string]string{key: fmt.Sprintf("%d/%s", seq, id)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := picture(t, b.Root)
	m := newMachine(b, nil)
	b.Clock.Advance(48 * time.Hour)
	res, err := m.try(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if res.Failed == 0 || len(res.Catalogs) == 0 || res.Foreign != 1 {
		t.Errorf("%+v", res)
	}
	if diff := cmp.Diff(want, m.restored()); diff != "" {
		t.Errorf("(-lost +restored):\n%s", diff)
	}
}

// TestPutBackFromABackup goes on with a catalog that is older than the store: it
// is noticed, a recovery brings back what it forgot, and snapshots go on.
func TestPutBackFromABackup(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 5000)
	path := filepath.Join(t.TempDir(), "mine.db")
	reopen := func() {
		t.Helper()
		var err error
		b.Catalog, err = catalog.Open(t.Context(), path, b.Clock)
		if err == nil {
			b.Row, err = b.Catalog.Register(t.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Catalog.Close() })
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	reopen()
	fill(b)
	syncAndSave(b)
	must(b.Catalog.Close())
	backup, err := os.ReadFile(path)
	must(err)
	reopen()
	b.Clock.Advance(48 * time.Hour)
	b.Write("many/file03", "changed after the backup")
	b.Write("forgotten", "stored after the backup")
	syncAndSave(b)
	must(b.Catalog.Close())
	must(os.WriteFile(path, backup, 0o600))
	reopen()
	if err := b.Snapshots().Check(t.Context()); firn.KindOf(err) != firn.Conflict || !strings.Contains(err.Error(), "firn recover") {
		t.Fatalf("the check says %v", err)
	}
	m := &machine{T: t, cat: b.Catalog, row: b.Row, store: b.Store, clock: b.Clock, wait: true}
	m.recover()
	must(b.Snapshots().Check(t.Context()))
	b.Clock.Advance(48 * time.Hour)
	if res := b.Sync(); res.Counts[firn.Sent].Files > 0 {
		t.Errorf("sent again: %+v", res.Counts)
	}
	b.Write("after", "the recovery")
	syncAndSave(b)
	all, err := b.Catalog.Snapshots(t.Context(), b.Row.ID)
	must(err)
	if last := all[len(all)-1]; last.Seq != 3 || last.Base != 0 || !last.Own {
		t.Errorf("the next snapshot is %+v", last)
	}
	fresh := newMachine(b, nil)
	fresh.recover()
	if diff := cmp.Diff(picture(t, b.Root), fresh.restored()); diff != "" {
		t.Errorf("(-lost +restored):\n%s", diff)
	}
}
