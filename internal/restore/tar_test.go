package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/testprog"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// packTar has Python write files into a tar as glaciersync did, by their
// absolute paths.
const packTar = `
import sys, tarfile
tar = tarfile.open(sys.argv[1], "w", format=tarfile.GNU_FORMAT)
for path in sys.argv[2:]:
    tar.add(path)
tar.close()
`

// files are what goes into a tar: long names, contents of all sizes, one that
// looks like a tar itself.
func files(random uint64) map[string]string {
	all := map[string]string{
		"a": "one", "b": "two", "empty": "", "dir/c": string(storetest.Data(random, 512)), "dir/d": string(storetest.Data(random+1, 513)),
		"dir/large": string(storetest.Data(random+2, 5<<20)), "same": "one", "ü": "umlaut",
		strings.Repeat("long/", 30) + "name": "at the end of a long path", strings.Repeat("n", 200): "of a long name",
	}
	for i := range 50 {
		all[fmt.Sprintf("many/%02d", i)] = string(storetest.Data(random+uint64(i), 1000))
	}
	return all
}

// tarred puts files into a tar, which the store has, and gives what a database
// of glaciersync would tell of it.
func tarred(b *worktest.Bench, files map[string]string) catalog.Find {
	b.T.Helper()
	python := testprog.Need(b.T, "python3")
	root := b.T.TempDir()
	var names, paths []string
	var layout []foreign.TarMember
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := filepath.Join(root, name)
		must(b.T, os.MkdirAll(filepath.Dir(p), 0o700))
		must(b.T, os.WriteFile(p, []byte(files[name]), 0o600))
		paths = append(paths, p)
		layout = append(layout, foreign.TarMember{Name: p[1:], Size: int64(len(files[name]))})
	}
	packed := filepath.Join(b.T.TempDir(), "tar")
	if out, err := exec.Command(python, append([]string{"-c", packTar, packed}, paths...)...).CombinedOutput(); err != nil {
		b.T.Fatalf("python: %v\n%s", err, out)
	}
	data, err := os.ReadFile(packed)
	must(b.T, err)
	offsets, total, ok := foreign.TarLayout(layout)
	if !ok || total != int64(len(data)) {
		b.T.Fatalf("the tar has %d bytes, and %d were foretold", len(data), total)
	}
	find := catalog.Find{Archive: stored(b, data), Kind: catalog.ForeignArchive}
	for i, name := range names {
		number := int64(i)
		if layout[i].Size == 0 {
			number = -1
		}
		find.Members = append(find.Members, catalog.FoundMember{
			Tree: "tree", File: firn.File{Path: name, Kind: firn.Regular, Mode: 0o640, UID: -1, GID: -1, Stamp: firn.Stamp{Size: layout[i].Size, ModTime: long}},
			Content: firn.Content{Size: layout[i].Size}, Number: number, Offset: offsets[i],
		})
	}
	return find
}

// long is a time of long ago.
var long = time.Date(2013, 5, 1, 12, 0, 0, 0, time.UTC)

// stored puts an archive into the store that no catalog knows of.
func stored(b *worktest.Bench, data []byte) firn.Archive {
	b.T.Helper()
	sum := treehash.NewDouble()
	sum.Write(data)
	id, err := b.Memory.UploadArchive(b.T.Context(), "", io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), sum.Sums())
	must(b.T, err)
	return firn.Archive{ID: id, Size: int64(len(data)), Tree: treehash.Sum(data), Created: b.Clock.Now()}
}

func takeIn(b *worktest.Bench, finds ...catalog.Find) {
	b.T.Helper()
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "adopt")
	must(b.T, err)
	_, err = b.Catalog.TakeIn(b.T.Context(), run, finds)
	must(b.T, err)
}

// holds checks that a folder has these files and nothing else.
func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	n := 0
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		rel, _ := filepath.Rel(dir, name)
		content, there := want[rel]
		if got, err := os.ReadFile(name); !there || err != nil || string(got) != content {
			t.Errorf("%q has %d bytes, want %d (%t), %v", rel, len(got), len(content), there, err)
		}
		return nil
	}))
	if n != len(want) {
		t.Errorf("%d files, want %d", n, len(want))
	}
}

// TestFilesInTarsComeBack that another program made, without anybody's hash of
// them: by that of the whole tar, which is fetched once. Then they are known.
func TestFilesInTarsComeBack(t *testing.T) {
	for name, o := range map[string]storetest.MemoryOptions{"at once": {}, "after hours": slow} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, o)
			store := &metered{Store: b.Store}
			b.Store = store
			want := files(1)
			find := tarred(b, want)
			takeIn(b, find)
			to := filepath.Join(t.TempDir(), "out")
			opts := options(b, to)
			opts.Wait = true
			b.Counts(run(b, opts).Counts, map[firn.Action]int64{firn.Restored: int64(len(want))})
			holds(t, to, want)
			if info, err := os.Stat(filepath.Join(to, "a")); err != nil || !info.ModTime().Equal(long) || info.Mode() != 0o640 {
				t.Errorf("%v, %v", info, err)
			}
			if n := store.bytes.Load(); n > find.Archive.Size {
				t.Errorf("%d bytes were fetched of a tar of %d", n, find.Archive.Size)
			}
			if n := retrievals(b); n != 1 {
				t.Errorf("%d jobs", n)
			}
			b.Counts(run(b, opts).Counts, map[firn.Action]int64{firn.Equal: int64(len(want))})
			store.bytes.Store(0)
			opts.To = t.TempDir()
			opts.Paths = []string{"a"}
			b.Counts(run(b, opts).Counts, map[firn.Action]int64{firn.Restored: 1})
			if n := store.bytes.Load(); n > 1<<20 {
				t.Errorf("%d bytes were fetched of what is known by now", n)
			}
		})
	}
}

// TestSyncKnowsWhatWasInATar: what a restore found out saves the upload.
func TestSyncKnowsWhatWasInATar(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	takeIn(b, tarred(b, files(1)))
	run(b, options(b, t.TempDir()))
	b.Write("other name", files(1)["dir/large"])
	res := b.Sync()
	if res.Counts[firn.Recorded].Files != 1 || res.Counts[firn.Sent].Files != 0 {
		t.Errorf("%+v", res.Counts)
	}
	o := options(b, t.TempDir())
	o.Paths = []string{"other name"}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
	holds(t, o.To, map[string]string{"other name": files(1)["dir/large"]})
}

// A wholesale store counts the outputs that are fetched whole, by their size.
type wholesale struct {
	firn.Store
	size   int64
	wholes atomic.Int64
}

func (w *wholesale) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	if at.End-at.Start == w.size {
		w.wholes.Add(1)
	}
	return w.Store.Output(ctx, id, at)
}

// TestFilesOfManyTarsAlternate in the order in which they are wanted: no tar is
// fetched more than once as a whole.
func TestFilesOfManyTarsAlternate(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	store := &wholesale{Store: b.Store}
	b.Store = store
	want := map[string]string{}
	for tar := range 10 {
		some := map[string]string{}
		for i := range 20 {
			name, content := fmt.Sprintf("%02d/%d", i, tar), string(storetest.Data(uint64(100*tar+i), 60_000))
			some[name], want[name] = content, content
		}
		find := tarred(b, some)
		store.size = find.Archive.Size // of all of them
		takeIn(b, find)
	}
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Concurrency = 2
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 200})
	holds(t, o.To, want)
	if n := store.wholes.Load(); n != 10 {
		t.Errorf("whole tars were fetched %d times", n)
	}
}

// TestWrongPlacesInATar: a file that isn't where it is recorded fails, and the
// others come.
func TestWrongPlacesInATar(t *testing.T) {
	for name, test := range map[string]struct {
		change func(m map[string]*catalog.FoundMember)
		fail   []string
		says   string
	}{
		"within a file": {func(m map[string]*catalog.FoundMember) { m["dir/d"].Offset++ }, []string{"dir/d"}, "has no file of 513 bytes at byte"},
		"of another size": {func(m map[string]*catalog.FoundMember) { m["dir/d"].Content.Size, m["dir/d"].Stamp.Size = 512, 512 }, []string{"dir/d"},
			"has no file of 512 bytes at byte"},
		"of another name": {func(m map[string]*catalog.FoundMember) {
			m["many/03"].Offset, m["many/04"].Offset = m["many/04"].Offset, m["many/03"].Offset
		}, []string{"many/03", "many/04"}, `has the file "0`},
		"behind the end":   {func(m map[string]*catalog.FoundMember) { m["a"].Offset = 1 << 40 }, []string{"a"}, "of an archive of"},
		"before the begin": {func(m map[string]*catalog.FoundMember) { m["a"].Offset = -512 }, []string{"a"}, "from byte -512"},
		"endless": {func(m map[string]*catalog.FoundMember) {
			m["a"].Content.Size, m["a"].Stamp.Size = 1<<62, 1<<62
		}, []string{"a"}, "of an archive of"},
	} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			want := files(1)
			find := tarred(b, want)
			members := map[string]*catalog.FoundMember{}
			for i := range find.Members {
				members[find.Members[i].Path] = &find.Members[i]
			}
			test.change(members)
			takeIn(b, find)
			for _, p := range test.fail {
				delete(want, p)
			}
			for range 2 {
				o := options(b, t.TempDir())
				var failed []string
				o.Events = func(e firn.Event) {
					if f, ok := e.(firn.FileEvent); ok && f.Action == firn.Failed {
						failed = append(failed, f.Path)
						if !strings.Contains(f.Err.Error(), test.says) {
							t.Errorf("%s: %v", f.Path, f.Err)
						}
					}
				}
				o.Concurrency = 1
				res := run(b, o)
				slices.Sort(failed)
				if !slices.Equal(failed, test.fail) || !res.Failed() {
					t.Errorf("failed: %q, want %q", failed, test.fail)
				}
				holds(t, o.To, want)
			}
		})
	}
}

// TestDamagedTars: nothing of one takes its name, whatever it is that is bad, and
// it isn't fetched for each file anew.
func TestDamagedTars(t *testing.T) {
	for name, damage := range map[string]func(*worktest.Bench, *catalog.Find){
		"in the store":        func(b *worktest.Bench, f *catalog.Find) { b.Memory.Content(f.Archive.ID)[600] ^= 1 },
		"on the way":          func(b *worktest.Bench, f *catalog.Find) { b.Store = &damaged{Store: b.Store, at: 600} },
		"without a hash":      func(b *worktest.Bench, f *catalog.Find) { f.Archive.Tree = treehash.Hash{} },
		"with another's hash": func(b *worktest.Bench, f *catalog.Find) { f.Archive.Tree = treehash.Sum(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			store := &metered{}
			find := tarred(b, map[string]string{"a": "one", "b": "two", "c": "three"})
			damage(b, &find)
			store.Store, b.Store = b.Store, store
			find.Members = append(find.Members, catalog.FoundMember{Tree: "tree", File: firn.File{Path: "empty", Kind: firn.Regular, Mode: 0o640, UID: -1, GID: -1}, Number: -1})
			takeIn(b, find)
			to := t.TempDir()
			b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Failed: 3, firn.Restored: 1})
			holds(t, to, map[string]string{"empty": ""})
			if n := store.bytes.Load(); n > 2*find.Archive.Size {
				t.Errorf("%d bytes were fetched of a tar of %d", n, find.Archive.Size)
			}
		})
	}
}

// TestNoTar: an archive that is recorded as a tar, and is something else, or ends
// early.
func TestNoTar(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	find := tarred(b, map[string]string{"a": "one", "b": "two", "c": "three"})
	cut := bytes.Clone(b.Memory.Content(find.Archive.ID))
	copy(cut[1024:], strings.Repeat("nothing", 100)) // the header of b
	find.Archive = stored(b, cut)
	takeIn(b, find)
	to := t.TempDir()
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Failed: 2, firn.Restored: 1})
	holds(t, to, map[string]string{"a": "one"})
}

// TestExistingFilesOfTars: what is in place is known by its content even if
// nobody knew that before.
func TestExistingFilesOfTars(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	takeIn(b, tarred(b, map[string]string{"a": "one", "b": "two", "c": "three"}))
	to := t.TempDir()
	must(t, os.WriteFile(filepath.Join(to, "a"), []byte("one"), 0o600))
	must(t, os.WriteFile(filepath.Join(to, "b"), []byte("TWO"), 0o600))
	want := map[firn.Action]int64{firn.Equal: 1, firn.Failed: 1, firn.Restored: 1}
	b.Counts(run(b, options(b, to)).Counts, want)
	holds(t, to, map[string]string{"a": "one", "b": "TWO", "c": "three"})
	for _, text := range []string{"one", "two", "three"} {
		_, known, err := b.Catalog.FindContent(t.Context(), b.Row.ID, firn.Content{Size: int64(len(text)), Tree: treehash.Sum([]byte(text))})
		if !known || err != nil {
			t.Errorf("%s isn't known, %v", text, err)
		}
	}
}

// TestWholeArchivesWithoutAHashOfTheirOwn have that of the archive.
func TestWholeArchivesWithoutAHashOfTheirOwn(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	find := catalog.Find{Archive: stored(b, []byte("content")), Kind: catalog.ForeignArchive, Members: []catalog.FoundMember{{
		Tree: "tree", File: firn.File{Path: "a", Kind: firn.Regular, Mode: 0o644, UID: -1, GID: -1, Stamp: firn.Stamp{Size: 7}}, Content: firn.Content{Size: 7},
	}}}
	takeIn(b, find)
	to := t.TempDir()
	before := clock.System{}.Now().Add(-time.Minute)
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 1})
	holds(t, to, map[string]string{"a": "content"})
	info, err := os.Stat(filepath.Join(to, "a"))
	if err != nil || info.ModTime().Before(before) {
		t.Errorf("a file without a recorded time has %v, %v", info.ModTime(), err)
	}
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Equal: 1})
	again, err := os.Stat(filepath.Join(to, "a"))
	if err != nil || !again.ModTime().Equal(info.ModTime()) {
		t.Errorf("then it has %v, %v", again.ModTime(), err)
	}
}

// TestTarsLeaveNothingBehind, also where a restore is interrupted while one is
// on its way, and what is left at its temporary name is no obstacle.
func TestTarsLeaveNothingBehind(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	takeIn(b, tarred(b, map[string]string{"a": "one", "b": "two"}))
	ctx, cancel := context.WithCancelCause(t.Context())
	to := t.TempDir()
	o := options(b, to)
	o.Downloader, _ = transfer.NewDownloader(&hooked{b.Store, func() { cancel(fs.ErrClosed) }}, transfer.DownloadOptions{Clock: b.Clock})
	if _, err := restore.Run(ctx, o); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("interrupted: %v", err)
	}
	names, err := os.ReadDir(to)
	if err != nil || len(names) != 0 {
		t.Errorf("left: %v, %v", names, err)
	}
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 2})
}
