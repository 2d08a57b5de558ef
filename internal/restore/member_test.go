package restore_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// bundled makes a tree of which most is in bundles: members of all sizes, some
// over the borders of what is fetched at once.
func bundled(b *worktest.Bench) {
	b.T.Helper()
	b.Bundle(8<<20, 24<<20)
	for i := range 200 {
		b.Write(fmt.Sprintf("d%d/%03d", i%7, i), string(bytes.Repeat([]byte{byte(i)}, i*i%5000)))
	}
	b.Write("large member", string(storetest.Data(1, 5<<20)))
	b.Write("middle member", string(storetest.Data(2, 3<<20+1)))
	b.Write("of its own", string(storetest.Data(3, 9<<20)))
	b.Write("d3/\n\xff odd", "odd")
	must(b.T, os.Symlink("d3", filepath.Join(b.Root, "link")))
	must(b.T, os.Mkdir(filepath.Join(b.Root, "nothing in it"), 0o700))
	b.Sync()
}

func TestMembersComeBack(t *testing.T) {
	for name, store := range map[string]storetest.MemoryOptions{
		"at once": {}, "after hours": {JobDelay: 5 * time.Hour, InventoryEvery: 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, store)
			bundled(b)
			archives := len(b.Memory.Archives())
			to := filepath.Join(t.TempDir(), "out")
			o := options(b, to)
			o.Wait = true
			res := run(b, o)
			if res.Failed() || res.Pending() {
				t.Fatalf("%+v", res)
			}
			if a, b := listing(t, b.Root), listing(t, to); a != b {
				t.Errorf("restored\n%s\nwant\n%s", b, a)
			}
			sameContents(t, b.Root, to)
			if n := retrievals(b); n != archives {
				t.Errorf("%d jobs for %d archives", n, archives)
			}
			res = run(b, o)
			b.Counts(res.Counts, map[firn.Action]int64{firn.Equal: 205})
		})
	}
}

func sameContents(t *testing.T, want, got string) {
	t.Helper()
	must(t, filepath.WalkDir(want, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(want, name)
		a, err := os.ReadFile(name)
		must(t, err)
		b, err := os.ReadFile(filepath.Join(got, rel))
		must(t, err)
		if !bytes.Equal(a, b) {
			t.Errorf("%q has other content", rel)
		}
		return nil
	}))
}

// TestSealedTreesComeBack: nothing of a name or a content is to be seen in the
// store, and nobody without the identity gets anything.
func TestSealedTreesComeBack(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	ids := b.Seal()
	b.WriteLarge("very large", "V")
	bundled(b)
	for _, a := range b.Memory.Archives() {
		d := describe.Decode(a.Description)
		if d.Kind != describe.Sealed || d.Path != "" || d.Tree != "" || d.Members != 0 {
			t.Errorf("a description tells of %+v", d)
		}
		if data := b.Memory.Content(a.ID); !bytes.HasPrefix(data, []byte("age-encryption.org/v1\n")) || bytes.Contains(data, []byte("member")) {
			t.Errorf("an archive of %d bytes isn't sealed", len(data))
		}
	}
	to := filepath.Join(t.TempDir(), "out")
	o := options(b, to)
	if _, err := restore.Run(t.Context(), o); firn.KindOf(err) != firn.Denied {
		t.Errorf("without the identity: %v", err)
	}
	other := worktest.New(t, storetest.MemoryOptions{}).Seal()
	o.Identities = given(other)
	if res := run(b, o); res.Counts[firn.Failed].Files == 0 {
		t.Errorf("with another identity: %+v", res)
	}
	os.RemoveAll(to)
	o.Identities = given(ids)
	if res := run(b, o); res.Failed() || res.Pending() {
		t.Fatalf("%+v", res)
	}
	if a, b := listing(t, b.Root), listing(t, to); a != b {
		t.Errorf("restored\n%s\nwant\n%s", b, a)
	}
	sameContents(t, b.Root, to)
	if res := b.Sync(); res.Counts[firn.Sent].Files != 0 {
		t.Errorf("sent again: %+v", res.Counts)
	}
}

func given(ids *seal.Identities) func(context.Context) (seal.Identities, error) {
	return func(context.Context) (seal.Identities, error) { return *ids, nil }
}

// TestOneMemberOfABundle needs a small part of it.
func TestOneMemberOfABundle(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	bundled(b)
	store := &metered{Store: b.Store}
	b.Store = store
	to := t.TempDir()
	o := options(b, to)
	o.Paths = []string{"d3/003"}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
	if got := store.bytes.Load(); got > 2<<20 {
		t.Errorf("%d bytes were fetched", got)
	}
}

// A metered store counts the bytes of outputs.
type metered struct {
	firn.Store
	bytes atomic.Int64
}

// TestDamagedMembersAreNotRestored: what comes is another member's bytes, each
// time, and the others are restored.
func TestDamagedMembersAreNotRestored(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 64<<20)
	for i := range 10 {
		b.Write(fmt.Sprint("f", i), fmt.Sprint("content ", i))
	}
	b.Sync()
	id := b.Memory.Archives()[0].ID
	data := b.Memory.Content(id)
	at := bytes.Index(data, []byte("content 4"))
	b.Store = &damaged{Store: b.Store, at: int64(at)}
	to := t.TempDir()
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 9, firn.Failed: 1})
	if _, err := os.Lstat(filepath.Join(to, "f4")); err == nil {
		t.Error("the damaged file has its name")
	}
}

// A damaged store alters one byte of each output.
type damaged struct {
	firn.Store
	at int64
}

// Output counts what is asked for.
func (m *metered) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	m.bytes.Add(at.End - at.Start)
	return m.Store.Output(ctx, id, at)
}

// Output alters the byte, and says nothing of the hash.
func (d *damaged) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := d.Store.Output(ctx, id, at)
	if err != nil {
		return out, err
	}
	data, err := io.ReadAll(out)
	if off := d.at - at.Start; off >= 0 && off < int64(len(data)) {
		data[off] ^= 1
	}
	return firn.Output{ReadCloser: io.NopCloser(bytes.NewReader(data))}, err
}

// TestHardLinksComeBack as names of one file, and what only shares a content
// with them as a file of its own.
func TestHardLinksComeBack(t *testing.T) {
	for name, below := range map[string]int64{"bundled": 1000, "archives of their own": 0} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			if below > 0 {
				b.Bundle(below, 1<<20)
			}
			b.Write("a", "one file")
			b.Write("copy", "one file")
			must(t, os.Mkdir(filepath.Join(b.Root, "d"), 0o755))
			for _, other := range []string{"b", "d/c"} {
				must(t, os.Link(filepath.Join(b.Root, "a"), filepath.Join(b.Root, other)))
			}
			b.Sync()
			to := filepath.Join(t.TempDir(), "out")
			b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 4})
			sameContents(t, b.Root, to)
			first, err := os.Stat(filepath.Join(to, "a"))
			must(t, err)
			for other, want := range map[string]bool{"b": true, "d/c": true, "copy": false} {
				info, err := os.Stat(filepath.Join(to, other))
				must(t, err)
				if os.SameFile(first, info) != want {
					t.Errorf("%s is the same file: %v, want %v", other, !want, want)
				}
			}
			b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Equal: 4})
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 4})
		})
	}
}

// TestDamageStaysWhereItIs: of a sealed bundle with one bad byte only what is in
// the same chunk is lost.
func TestDamageStaysWhereItIs(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	ids := b.Seal()
	b.Bundle(1<<20, 64<<20)
	for i := range 100 {
		b.Write(fmt.Sprintf("f%02d", i), string(storetest.Data(uint64(i), 20_000)))
	}
	b.Sync()
	b.Store = &damaged{Store: b.Store, at: 1_000_000}
	o := options(b, t.TempDir())
	o.Identities = given(ids)
	res := run(b, o)
	if n := res.Counts[firn.Failed].Files; n < 1 || n > 5 {
		t.Errorf("%d files failed", n)
	}
}
