package adopt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// vaultARN is what the store of a rig calls itself.
const vaultARN = "arn:aws:glacier:us-east-1:012345678901:vaults/memory"

// A rig is a catalog that knows nothing, and a store that others filled.
type rig struct {
	testing.TB
	memory  *storetest.Memory
	catalog *catalog.Catalog
	row     catalog.Store
	clock   *clock.Manual
	dir     string // for files

	mu     sync.Mutex
	events []firn.Event
}

func newRig(tb testing.TB, o storetest.MemoryOptions) *rig {
	tb.Helper()
	r := &rig{TB: tb, clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), dir: tb.TempDir()}
	o.Clock = r.clock
	r.memory = storetest.NewMemory(o)
	r.clock.Advance(time.Hour)
	var err error
	r.catalog, err = catalog.Open(tb.Context(), filepath.Join(r.dir, "catalog.db"), r.clock)
	r.check(err)
	tb.Cleanup(func() { r.catalog.Close() })
	r.row, err = r.catalog.Register(tb.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	r.check(err)
	return r
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// upload stores an archive as another program does.
func (r *rig) upload(description, content string) firn.ArchiveID {
	r.Helper()
	sums := treehash.NewDouble()
	sums.Write([]byte(content))
	id, err := r.memory.UploadArchive(r.Context(), description, io.NewSectionReader(strings.NewReader(content), 0, int64(len(content))), sums.Sums())
	r.check(err)
	r.clock.Advance(time.Minute)
	return id
}

// file writes a file, and gives its path.
func (r *rig) file(name, content string) string {
	r.Helper()
	path := filepath.Join(r.dir, name)
	r.check(os.WriteFile(path, []byte(content), 0o644))
	return path
}

// options are those of a run that begins now.
func (r *rig) options() adopt.Options {
	r.Helper()
	run, err := r.catalog.BeginRun(r.Context(), r.row.ID, 0, "adopt")
	r.check(err)
	return adopt.Options{
		Catalog: r.catalog, Row: r.row, Store: r.memory, Info: firn.StoreInfo{Name: "memory", Address: vaultARN}, Run: run,
		Asker: retrieval.New(retrieval.Options{Catalog: r.catalog, Row: r.row.ID, Store: r.memory, Clock: r.clock, Events: r.event, Run: run}),
		Clock: r.clock, Events: r.event, Tree: "vault", Spool: filepath.Join(r.dir, "spool"),
	}
}

func (r *rig) event(e firn.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// said gives the notices since the last call.
func (r *rig) said() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if n, ok := e.(firn.NoticeEvent); ok {
			all = append(all, n.Text)
		}
	}
	r.events = nil
	return all
}

// heard checks that one of the notices since the last call has each of these
// words.
func (r *rig) heard(words ...string) {
	r.Helper()
	said := strings.Join(r.said(), "\n")
	for _, w := range words {
		if !strings.Contains(said, w) {
			r.Errorf("nothing was said of %q:\n%s", w, said)
		}
	}
}

// adopt runs an adoption, which must not end early.
func (r *rig) adopt(change func(*adopt.Options)) adopt.Result {
	r.Helper()
	o := r.options()
	if change != nil {
		change(&o)
	}
	res, err := adopt.Run(r.Context(), o)
	r.check(err)
	return res
}

// ls gives the current files of a tree with their sizes, and its folders with a
// slash, in walk order.
func (r *rig) ls(tree string) (all []string) {
	r.Helper()
	t, err := r.catalog.Tree(r.Context(), r.row.ID, tree)
	if firn.KindOf(err) == firn.NotFound {
		return nil
	}
	r.check(err)
	for e, err := range r.catalog.Files(r.Context(), catalog.ListQuery{Tree: t.ID}) {
		r.check(err)
		if e.Kind == firn.Directory {
			all = append(all, e.Path+"/")
		} else {
			all = append(all, fmt.Sprintf("%s %d", e.Path, e.Content.Size))
		}
	}
	return all
}

// want checks ls.
func (r *rig) want(tree string, files ...string) {
	r.Helper()
	if got := r.ls(tree); !slices.Equal(got, files) {
		r.Errorf("the tree %s has\n\t%s\nand should have\n\t%s", tree, strings.Join(got, "\n\t"), strings.Join(files, "\n\t"))
	}
}

// versions gives the bytes in the archives of all versions of a path, the oldest
// first.
func (r *rig) versions(tree, path string) (all []string) {
	r.Helper()
	t, err := r.catalog.Tree(r.Context(), r.row.ID, tree)
	r.check(err)
	entries, err := r.catalog.History(r.Context(), t.ID, path)
	r.check(err)
	for _, e := range entries {
		all = append(all, string(r.memory.Content(e.Location.Remote)))
	}
	return all
}

// restored checks that a restore of a tree brings these files back, and nothing
// else.
func (r *rig) restored(tree string, want map[string]string) {
	r.Helper()
	t, err := r.catalog.Tree(r.Context(), r.row.ID, tree)
	r.check(err)
	down, err := transfer.NewDownloader(r.memory, transfer.DownloadOptions{Clock: r.clock})
	r.check(err)
	to := filepath.Join(r.TempDir(), "back")
	_, err = restore.Run(r.Context(), restore.Options{
		Catalog: r.catalog, Row: r.row, Store: r.memory, Downloader: down, Clock: r.clock, Events: r.event,
		Trees: []catalog.Tree{t}, To: to, Concurrency: 2,
	})
	r.check(err)
	got := map[string]string{}
	r.check(filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		got[filepath.ToSlash(path[len(to)+1:])] = string(data)
		return err
	}))
	if diff := cmp.Diff(want, got); diff != "" {
		r.Errorf("restored (-want +got):\n%s", diff)
	}
}

// inventoryJSON writes an inventory of archives as the service does.
func inventoryJSON(subject string, dated time.Time, archives ...firn.Archive) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"VaultARN":%q,"InventoryDate":%q,"ArchiveList":[`, subject, dated.Format(time.RFC3339))
	for i, a := range archives {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"ArchiveId":%q,"ArchiveDescription":%s,"CreationDate":%q,"Size":%d,"SHA256TreeHash":%q}`,
			a.ID, quoteJSON(a.Description), a.Created.Format(time.RFC3339), a.Size, a.Tree)
	}
	b.WriteString("]}")
	return b.String()
}

var errKilled = errors.New("killed")
