package scan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
)

// tiny limits make pieces and waits of small trees.
var tiny = limits{piece: 3, ahead: 4}

// A reporter is a test, or a try of a property.
type reporter interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// gather walks a volume and joins the pieces of each directory.
func gather(t reporter, v volume, opts Options, lim limits) []*Dir {
	t.Helper()
	var dirs []*Dir
	more := false
	err := walk(context.Background(), v, opts, lim, func(d *Dir) bool {
		if d.First == more {
			t.Errorf("%q: First is %t after a piece with More %t", d.File.Path, d.First, more)
		}
		more = d.More
		if len(d.Files)+len(d.Skipped) > lim.piece {
			t.Errorf("%q: a piece of %d entries", d.File.Path, len(d.Files)+len(d.Skipped))
		}
		if d.First {
			dirs = append(dirs, d)
			return true
		}
		whole := dirs[len(dirs)-1]
		if whole.File.Path != d.File.Path {
			t.Errorf("a piece of %q follows one of %q", d.File.Path, whole.File.Path)
		}
		whole.Files = append(whole.Files, d.Files...)
		whole.Skipped = append(whole.Skipped, d.Skipped...)
		whole.Err = cmp.Or(whole.Err, d.Err)
		return true
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	if more {
		t.Errorf("the last piece has More")
	}
	return dirs
}

// lines renders directories, each with its files.
func lines(dirs []*Dir) (out []string) {
	for _, d := range dirs {
		out = append(out, d.File.Path+"/")
		for _, f := range d.Files {
			out = append(out, f.Path)
		}
	}
	return out
}

// key is a directory's place in a catalog, where BLOBs are sorted by bytes.
func key(dir string) []byte { return bytes.ReplaceAll([]byte(dir), []byte("/"), []byte{0}) }

// catalogOrder renders a volume as a catalog lists it: ORDER BY key, name.
func (m *memory) catalogOrder() (out []string) {
	var dirs []string
	for p, f := range m.files {
		if f.Kind == firn.Directory {
			dirs = append(dirs, p)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return bytes.Compare(key(a), key(b)) })
	for _, dir := range dirs {
		out = append(out, dir+"/")
		for _, name := range slices.Sorted(slices.Values(m.below[dir])) {
			if p := join(dir, []byte(name)); m.files[p].Kind == firn.Regular {
				out = append(out, p)
			}
		}
	}
	return out
}

func TestOrder(t *testing.T) {
	m := plant(
		"b", "a/b", "a b/x", "a.b/x", "a\x01/x", "\x01x", "a/b c", "A", "aa/x", "a/\x01/x", "a/ /x",
		"ä/x", "\xff/x", "a\xff/x", "a/b\n/x", ".x/y", "-/-", "~", "a0/x", "a!/x", "é", "e\u0301/x", "empty/",
	)
	if diff := gocmp.Diff(m.catalogOrder(), lines(gather(t, m, Options{}, tiny))); diff != "" {
		t.Errorf("order (-catalog +scan):\n%s", diff)
	}
}

// TestOrderAlways: whatever the tree is, and whichever worker is quicker, it
// comes whole and in the catalog's order.
func TestOrderAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := plant(drawPaths(t)...)
		m.slow = true
		opts := Options{Workers: rapid.IntRange(1, 5).Draw(t, "workers")}
		lim := limits{piece: rapid.IntRange(1, 9).Draw(t, "piece"), ahead: rapid.IntRange(1, 20).Draw(t, "ahead")}
		if diff := gocmp.Diff(m.catalogOrder(), lines(gather(t, m, opts, lim))); diff != "" {
			t.Fatalf("order (-catalog +scan):\n%s", diff)
		}
	})
}

// drawPaths draws files, some of which may turn out to be directories.
func drawPaths(t *rapid.T) (paths []string) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune("ab \x01.é")), 1, 3, -1)
	for range rapid.IntRange(0, 40).Draw(t, "files") {
		paths = append(paths, strings.Join(rapid.SliceOfN(name, 1, 5).Draw(t, "path"), "/"))
	}
	slices.Sort(paths)
	slices.Reverse(paths) // a/b before a: so a is a directory
	return paths
}

func TestCompare(t *testing.T) {
	name := rapid.StringOf(rapid.SampledFrom([]rune("a/ \x01.é")))
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if got, want := cmp.Compare(Compare(a, b), 0), bytes.Compare(key(a), key(b)); got != want {
			t.Errorf("Compare(%q, %q) = %d, keys say %d", a, b, got, want)
		}
	})
}

func TestSkipped(t *testing.T) {
	m := plant("a", "s=", "d/s=", "d/x")
	dirs := gather(t, m, Options{}, tiny)
	want := [][]Skip{{{Path: "s=", Reason: "a socket"}}, {{Path: "d/s=", Reason: "a socket"}}}
	if diff := gocmp.Diff(want, [][]Skip{dirs[0].Skipped, dirs[1].Skipped}); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

func TestFilter(t *testing.T) {
	m := plant("a.o", "a.c", "tmp/x", "src/a.o", "src/tmp/y", "src/b.c")
	opts := Options{Filter: func(f *firn.File) Verdict {
		return Verdict{Leave: strings.HasSuffix(f.Path, ".o") || strings.HasSuffix(f.Path, "tmp"), Reason: "rubbish"}
	}}
	dirs := gather(t, m, opts, tiny)
	if diff := gocmp.Diff([]string{"/", "a.c", "src/", "src/b.c"}, lines(dirs)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	want := []Skip{{Path: "a.o", Reason: "rubbish", Unseen: true}, {Path: "tmp", Reason: "rubbish", Unseen: true}}
	if diff := gocmp.Diff(want, dirs[0].Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

// TestFilterLooksBelow: a directory that is left out itself is looked into, in
// its place; a file that a filter would look below is just left out.
func TestFilterLooksBelow(t *testing.T) {
	m := plant("a/x", "a\x01/x", "a!/x", "a.o", "a/b/y", "b/x", "c/d/e/z", "k/x")
	opts := Options{Filter: func(f *firn.File) Verdict {
		return Verdict{Leave: !strings.HasSuffix(f.Path, "x") && f.Path != "k", Below: f.Path != "c/d", Reason: "rubbish"}
	}}
	var got, left []string
	for _, d := range gather(t, m, opts, tiny) {
		got = append(got, lines([]*Dir{d})...)
		if d.Left {
			left = append(left, d.File.Path)
		}
		for _, s := range d.Skipped {
			got = append(got, "-"+s.Path)
		}
	}
	if diff := gocmp.Diff([]string{"/", "-a.o", "a/", "a/x", "a/b/", "-a/b/y", "a\x01/", "a\x01/x", "a!/", "a!/x", "b/", "b/x", "c/", "-c/d", "k/", "k/x"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]string{"a", "a/b", "a\x01", "a!", "b", "c"}, left); diff != "" {
		t.Errorf("left out themselves (-want +got):\n%s", diff)
	}
}

// TestOneVolume: directories on other volumes are left out, and the filter is
// not asked about them.
func TestOneVolume(t *testing.T) {
	m := plant("a/b/c/x", "a/y", "d/x")
	m.device["a/b"] = 2
	opts := Options{OneVolume: true, Filter: func(f *firn.File) Verdict {
		if f.Path == "a/b" {
			t.Error("the filter was asked about another volume")
		}
		return Verdict{}
	}}
	dirs := gather(t, m, opts, tiny)
	if diff := gocmp.Diff([]string{"/", "a/", "a/y", "d/", "d/x"}, lines(dirs)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	want := []Skip{{Path: "a/b", Reason: "on another volume", Unseen: true}}
	if diff := gocmp.Diff(want, dirs[1].Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

func TestMount(t *testing.T) {
	m := plant("a/b/c/x", "d/x")
	m.device["a/b"] = 2
	for _, d := range gather(t, m, Options{}, tiny) {
		if want := d.File.Path == "a/b"; d.Mount != want {
			t.Errorf("%q: Mount is %t", d.File.Path, d.Mount)
		}
	}
}

// TestFaults: each call fails on its own path; all else comes through.
func TestFaults(t *testing.T) {
	tests := []struct {
		name     string
		call, on string
		err      error
		missing  []string // paths that don't come
		unseen   []string // skips with Unseen
		dirErr   string   // path of the directory with Err
	}{
		{name: "unreadable directory", call: "open", on: "d", err: fs.ErrPermission,
			missing: []string{"d/a", "d/b", "d/c", "d/d", "d/e/", "d/e/f"}, dirErr: "d"},
		{name: "directory fails to say what it is", call: "self", on: "d", err: syscall.EIO,
			missing: []string{"d/a", "d/b", "d/c", "d/d", "d/e/", "d/e/f"}, dirErr: "d"},
		{name: "list breaks off", call: "list", on: "d/e", err: syscall.EIO,
			missing: []string{"d/e/f"}, dirErr: "d/e"},
		{name: "unreadable file", call: "stat", on: "d/b", err: syscall.EIO,
			missing: []string{"d/b"}, unseen: []string{"d/b"}},
		{name: "unreadable entry that is a directory", call: "stat", on: "d/e", err: syscall.EACCES,
			missing: []string{"d/e/", "d/e/f"}, unseen: []string{"d/e"}},
		{name: "file vanishes", call: "stat", on: "d/b", err: syscall.ENOENT, missing: []string{"d/b"}},
		{name: "directory vanishes before it is looked at", call: "stat", on: "d", err: syscall.ENOENT,
			missing: []string{"d/", "d/a", "d/b", "d/c", "d/d", "d/e/", "d/e/f"}},
		{name: "directory vanishes before it is opened", call: "open", on: "d", err: syscall.ENOENT,
			missing: []string{"d/", "d/a", "d/b", "d/c", "d/d", "d/e/", "d/e/f"}},
		{name: "directory vanishes once it is open", call: "self", on: "d", err: syscall.ENOENT,
			missing: []string{"d/", "d/a", "d/b", "d/c", "d/d", "d/e/", "d/e/f"}},
		{name: "directory becomes a link", call: "open", on: "d/e", err: syscall.ELOOP,
			missing: []string{"d/e/f"}, dirErr: "d/e"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := plant("a", "b", "d/a", "d/b", "d/c", "d/d", "d/e/f", "g/h")
			want := slices.DeleteFunc(m.catalogOrder(), func(p string) bool { return slices.Contains(tt.missing, p) })
			struck := false
			m.fail = func(call, p string) error {
				if call == tt.call && p == tt.on {
					struck = true
					return &fs.PathError{Op: call, Path: "/somewhere/" + p, Err: tt.err}
				}
				return nil
			}
			dirs := gather(t, m, Options{}, tiny)
			if !struck {
				t.Fatal("the fault never struck")
			}
			if diff := gocmp.Diff(want, lines(dirs)); diff != "" {
				t.Errorf("came (-want +got):\n%s", diff)
			}
			var unseen []string
			for _, d := range dirs {
				for _, s := range d.Skipped {
					checkProblem(t, s.Err, s.Path, tt.err)
					if s.Unseen {
						unseen = append(unseen, s.Path)
					}
				}
				if d.File.Path == tt.dirErr && tt.dirErr != "" {
					checkProblem(t, d.Err, d.File.Path, tt.err)
				} else if d.Err != nil {
					t.Errorf("%q: %v", d.File.Path, d.Err)
				}
			}
			if !slices.Equal(unseen, tt.unseen) {
				t.Errorf("unseen %q, want %q", unseen, tt.unseen)
			}
		})
	}
}

func checkProblem(t *testing.T, err error, subject string, cause error) {
	t.Helper()
	var e *firn.Error
	if !errors.As(err, &e) || e.Kind != firn.Local || e.Subject != subject || !errors.Is(err, cause) {
		t.Errorf("%q: %v: want kind local, the path, and the cause %q", subject, err, cause)
	}
	if strings.Contains(err.Error(), "somewhere") {
		t.Errorf("%v: names the path twice", err)
	}
}

// TestLaterPieces: what goes wrong after the first piece of a large directory.
func TestLaterPieces(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int // files that come
	}{
		{nil, 10},
		{syscall.EIO, 3},
		{syscall.ENOENT, 3}, // the rest was there: nobody can say what became of it
	} {
		m := plant()
		for i := range 10 {
			m.add(fmt.Sprintf("d/%d", i), firn.Regular)
		}
		m.add("d/x/y", firn.Regular)
		opened := 0
		m.fail = func(call, p string) error {
			if call == "open" && p == "d" {
				if opened++; opened > 1 {
					return tt.err
				}
			}
			return nil
		}
		d := gather(t, m, Options{}, tiny)[1]
		if len(d.Files) != tt.want || (d.Err == nil) != (tt.err == nil) || !errors.Is(d.Err, tt.err) {
			t.Errorf("opened again: %v: %d files, error %v; want %d", tt.err, len(d.Files), d.Err, tt.want)
		}
	}
}

// TestReadAhead: no more is read ahead than the limits say, and what was read
// is enough to keep the consumer busy.
func TestReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := plant()
		for i := range 500 {
			m.add(fmt.Sprintf("%03d/%d/x", i/10, i%10), firn.Regular)
		}
		lim := limits{piece: 5, ahead: 20}
		const workers = 3
		handed := 0
		walk(t.Context(), m, Options{Workers: workers}, lim, func(d *Dir) bool {
			synctest.Wait() // until all workers rest
			if handed += len(d.Files); d.First {
				handed++
			}
			// Directories whose turn will come were looked at, but not read.
			const named = 50 + 10
			if ahead := int(m.looked.Load()) - handed; ahead > named+lim.ahead+workers*lim.piece {
				t.Errorf("at %q: %d entries read ahead", d.File.Path, ahead)
			}
			return true
		})
	})
}

// TestEnd: however a walk ends, its workers are gone and the volume is closed.
func TestEnd(t *testing.T) {
	var paths []string
	for i := range 50 {
		paths = append(paths, fmt.Sprintf("%d/%d/x", i/7, i))
	}
	all := len(gather(t, plant(paths...), Options{}, tiny))
	for stop := 1; stop <= all; stop++ {
		synctest.Test(t, func(t *testing.T) { breakOff(t, plant(paths...), stop) })
		synctest.Test(t, func(t *testing.T) { cancelAfter(t, plant(paths...), stop) })
	}
}

// breakOff takes some directories, and no more.
func breakOff(t *testing.T, m *memory, stop int) {
	n := 0
	err := walk(t.Context(), m, Options{}, tiny, func(*Dir) bool { n++; return n < stop })
	if err != nil || n != stop || !m.closed {
		t.Errorf("broken off after %d: got %d, %v, closed %t", stop, n, err, m.closed)
	}
}

// cancelAfter takes some directories, and cancels.
func cancelAfter(t *testing.T, m *memory, stop int) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	n := 0
	err := walk(ctx, m, Options{}, tiny, func(*Dir) bool {
		if n++; n == stop {
			cancel(enough)
			synctest.Wait()
		}
		return true
	})
	synctest.Wait()
	if n != stop || !errors.Is(err, enough) || !m.closed {
		t.Errorf("cancelled at %d: %d came, ended with %v, closed %t", stop, n, err, m.closed)
	}
}

// TestRootVanishes: a root that is gone once the walk begins is an error, not
// an empty tree.
func TestRootVanishes(t *testing.T) {
	m := plant("a")
	m.fail = func(string, string) error { return fs.ErrNotExist }
	err := walk(t.Context(), m, Options{}, tiny, func(d *Dir) bool { t.Errorf("%q came", d.File.Path); return true })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ended with %v", err)
	}
}
