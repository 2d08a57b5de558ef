package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// A world is a tree as scanned and as known, by path. Paths of directories end
// in a slash; the root is "/".
type world struct {
	seen, known map[string]firn.File
	hidden      map[string]bool // seen, but not looked at; paths as in the other side
	litter      bool            // what is hidden is
	broken      map[string]bool // directories that could not be read to the end
	mounts      map[string]bool // directories that are mount points now
	wasMounts   map[string]bool // directories that were
	left        map[string]bool // directories that are left out, but not all below
	absent      map[string]bool // not seen, and left out if they were there
	piece       int             // entries in a piece
}

// dirOf gives the directory that an entry, or a directory, is in.
func dirOf(p string) string {
	dir := path.Dir(strings.TrimSuffix(p, "/"))
	if dir == "." {
		return "/"
	}
	return dir + "/"
}

// bare is a path as firn has it.
func bare(p string) string { return strings.TrimSuffix(p, "/") }

func isDir(p string) bool { return strings.HasSuffix(p, "/") }

// plantWorld makes both sides of the same paths; missing parents are added.
func plantWorld(seen, known []string) *world {
	w := &world{
		seen: map[string]firn.File{}, known: map[string]firn.File{},
		hidden: map[string]bool{}, broken: map[string]bool{}, mounts: map[string]bool{}, wasMounts: map[string]bool{},
		left: map[string]bool{}, absent: map[string]bool{},
		piece: 2,
	}
	for _, p := range seen {
		add(w.seen, p)
	}
	for _, p := range known {
		add(w.known, p)
	}
	return w
}

func add(side map[string]firn.File, p string) {
	f := file(bare(p))
	if isDir(p) {
		f = firn.File{Path: bare(p), Kind: firn.Directory, Mode: 0o755, Stamp: firn.Stamp{ModTime: day}}
	}
	side[p] = f
	if p != "/" {
		add(side, dirOf(p))
	}
}

// sorted gives the directories of a side in walk order, each with its entries.
func sorted(side map[string]firn.File) iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		var dirs []string
		entries := map[string][]string{}
		for p := range side {
			if isDir(p) {
				dirs = append(dirs, p)
			} else {
				entries[dirOf(p)] = append(entries[dirOf(p)], p)
			}
		}
		slices.SortFunc(dirs, func(a, b string) int { return scan.Compare(bare(a), bare(b)) })
		for _, d := range dirs {
			if !yield(d, slices.Sorted(slices.Values(entries[d]))) {
				return
			}
		}
	}
}

// scanned plays a scan.
func (w *world) scanned(yield func(*scan.Dir, error) bool) {
	for d, entries := range sorted(w.seen) {
		for h := range w.hidden {
			if d == dirOf(h) && h != "/" {
				entries = append(entries, h)
			}
		}
		slices.SortFunc(entries, func(a, b string) int { return strings.Compare(bare(a), bare(b)) })
		pieces := slices.Collect(slices.Chunk(entries, w.piece))
		pieces = append(pieces, nil)[:max(1, len(pieces))]
		for i, piece := range pieces {
			out := &scan.Dir{File: w.seen[d], Mount: w.mounts[d], Left: w.left[d], First: i == 0, More: i < len(pieces)-1}
			if w.broken[d] && i == 0 {
				out.Err = fs.ErrPermission
			}
			for _, p := range piece {
				if w.hidden[p] {
					out.Skipped = append(out.Skipped, scan.Skip{Path: bare(p), Unseen: true, Litter: w.litter})
				} else {
					out.Files = append(out.Files, w.seen[p])
				}
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// recorded plays a catalog.
func (w *world) recorded(yield func(*Known, error) bool) {
	for d, entries := range sorted(w.known) {
		self := entry(w.known[d])
		pieces := slices.Collect(slices.Chunk(entries, w.piece+1))
		pieces = append(pieces, nil)[:max(1, len(pieces))]
		for i, piece := range pieces {
			out := &Known{Path: bare(d), More: i < len(pieces)-1}
			if i == 0 {
				out.Self, out.Mount = &self, w.wasMounts[d]
			}
			for _, p := range piece {
				out.Entries = append(out.Entries, entry(w.known[p]))
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// decisions merges, and gives the action for each path, with its kind of path.
func (w *world) decisions(t interface{ Errorf(string, ...any) }, opts Options) (map[string]Action, error) {
	got := map[string]Action{}
	put := func(p string, a Action) {
		if before, twice := got[p]; twice {
			t.Errorf("%q is decided twice: %v and %v", p, before, a)
		}
		got[p] = a
	}
	for d, err := range Merge(w.scanned, w.recorded, opts) {
		if err != nil {
			return got, err
		}
		if d.Self.File != nil || d.Self.Known != nil {
			put(d.Path+"/", d.Self.Action)
		}
		for _, e := range d.Entries {
			if e.File != nil {
				put(e.File.Path, e.Action)
			} else {
				put(e.Known.File.Path, e.Action)
			}
		}
	}
	return got, nil
}

// expected is what the rules say, path by path, with all of both sides at hand.
func (w *world) expected(opts Options) map[string]Action {
	want := map[string]Action{}
	for p := range w.known {
		if _, ok := w.seen[p]; !ok {
			want[p] = Removed
			if w.mayExist(p, opts) || w.absent[p] {
				want[p] = Unseen
			}
		}
	}
	for p, f := range w.seen {
		if k, ok := w.known[p]; ok {
			e := entry(k)
			want[p], _ = opts.Judge(&f, &e)
		} else {
			want[p], _ = opts.Judge(&f, nil)
		}
		if was := w.wasMounts[p] && w.isKnown(p); was != w.mounts[p] && isDir(p) {
			switch {
			case was && !opts.Unmounted:
				want[p] = Unseen
			case want[p] == Unchanged:
				want[p] = Record
			}
		}
	}
	// A directory stays where anything in it does.
	for p := range w.known {
		for d := p; want[p] == Unseen && d != "/"; d = dirOf(d) {
			if want[dirOf(d)] == Removed {
				want[dirOf(d)] = Unseen
			}
		}
	}
	for p := range w.left {
		if !w.keepsBelow(p) {
			delete(want, p)
		}
	}
	return want
}

// keepsBelow tells whether anything below a directory was seen and not left
// out.
func (w *world) keepsBelow(dir string) bool {
	for p := range w.seen {
		if p != dir && strings.HasPrefix(p, dir) && !w.left[p] {
			return true
		}
	}
	return false
}

// leftOut plays a filter that is asked about what isn't there.
func (w *world) leftOut(f *firn.File) bool {
	if f.Kind == firn.Directory {
		return w.absent[f.Path+"/"]
	}
	return w.absent[f.Path]
}

func (w *world) isKnown(p string) bool { _, ok := w.known[p]; return ok }

// mayExist tells whether a path that was not seen may exist.
func (w *world) mayExist(p string, opts Options) bool {
	for at := p; ; at = dirOf(at) {
		if isDir(at) && w.wasMounts[at] && w.isKnown(at) && !w.mounts[at] && !opts.Unmounted {
			return true
		}
		if at == "/" {
			break
		}
	}
	for at := p; at != "/"; at = dirOf(at) {
		if _, ok := w.seen[dirOf(at)]; ok {
			return w.broken[dirOf(at)] || w.hidden[at] || w.hidden[bare(at)] || w.hidden[bare(at)+"/"]
		}
	}
	return true
}

// slashed names directories as decisions does.
func slashed(want map[string]Action) map[string]Action {
	out := map[string]Action{}
	for p, a := range want {
		if isDir(p) {
			p = bare(p) + "/"
		}
		out[p] = a
	}
	return out
}

func TestMergeAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		opts := Options{Empty: true, Unmounted: rapid.Bool().Draw(t, "unmounted"), LeftOut: w.leftOut}
		got, err := w.decisions(t, opts)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(slashed(w.expected(opts)), got); diff != "" {
			t.Errorf("decisions (-model +merge):\n%s", diff)
		}
	})
}

// drawWorld draws two trees that have much in common.
func drawWorld(t *rapid.T) *world {
	name := rapid.SampledFrom([]string{"a", "b", "a b", "a.", "\x01", "é"})
	pathOf := rapid.Custom(func(t *rapid.T) string {
		p := strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "names"), "/")
		if rapid.Bool().Draw(t, "dir") {
			p += "/"
		}
		return p
	})
	draw := func(label string) []string { return rapid.SliceOfN(pathOf, 0, 20).Draw(t, label) }
	both := draw("both")
	w := plantWorld(unique(append(draw("seen"), both...)), unique(append(draw("known"), both...)))
	add(w.seen, "/")
	w.piece = rapid.IntRange(1, 4).Draw(t, "piece")
	for _, p := range slices.Sorted(maps.Keys(w.known)) {
		_, seen := w.seen[p]
		switch n := rapid.IntRange(0, 9).Draw(t, "fate of "+p); {
		case n == 0 && seen && isDir(p):
			w.broken[p] = true
		case n == 1 && seen && isDir(p):
			w.mounts[p] = p != "/"
		case n < 3 && isDir(p):
			w.wasMounts[p] = p != "/"
		case n == 4 && !seen && !w.isSeen(other(p)) && w.isSeen(dirOf(p)):
			w.hidden[p] = true
		case n == 5 && seen && !isDir(p):
			f := w.seen[p]
			f.Stamp.Size++
			w.seen[p] = f
		case n == 6:
			w.absent[p] = !seen
		}
	}
	for _, p := range slices.Sorted(maps.Keys(w.seen)) {
		if isDir(p) && p != "/" && rapid.IntRange(0, 3).Draw(t, "is left out "+p) == 0 {
			w.left[p] = true
		}
	}
	return w
}

func (w *world) isSeen(p string) bool { _, ok := w.seen[p]; return ok }

// other is the same path as a directory, or as a file.
func other(p string) string {
	if isDir(p) {
		return bare(p)
	}
	return p + "/"
}

// unique drops files whose path is needed for a directory.
func unique(paths []string) []string {
	dirs := map[string]bool{}
	for _, p := range paths {
		for d := dirOf(p); d != "/"; d = dirOf(d) {
			dirs[d] = true
		}
		dirs[p] = dirs[p] || isDir(p)
	}
	return slices.DeleteFunc(paths, func(p string) bool { return !isDir(p) && dirs[p+"/"] })
}

// TestMerge shows the rules one by one.
func TestMerge(t *testing.T) {
	tests := []struct {
		name        string
		seen, known []string
		change      func(*world)
		opts        Options
		want        string // action and path, but what is unchanged
	}{
		{name: "nothing to do", seen: []string{"a", "d/b"}, known: []string{"a", "d/b"}},
		{name: "first sync", seen: []string{"a", "d/b", "e/"}, want: "record /, new a, record d/, new d/b, record e/"},
		{name: "removed", seen: []string{"a"}, known: []string{"a", "b", "d/e/x"}, want: "removed b, removed d/, removed d/e/, removed d/e/x"},
		{name: "file becomes directory", seen: []string{"a/x", "b"}, known: []string{"a", "b"}, want: "removed a, record a/, new a/x"},
		{name: "directory becomes file", seen: []string{"a", "b"}, known: []string{"a/x", "b"}, want: "new a, removed a/, removed a/x"},
		{name: "unreadable directory", seen: []string{"a", "d/"}, known: []string{"a", "d/x", "d/e/y"},
			change: func(w *world) { w.broken["d/"] = true }, want: "unseen d/e/, unseen d/e/y, unseen d/x"},
		{name: "left out", seen: []string{"a"}, known: []string{"a", "b", "d/e/y", "z"},
			change: func(w *world) { w.hidden["d/"], w.hidden["b"] = true, true }, want: "unseen b, unseen d/, unseen d/e/, unseen d/e/y, removed z"},
		{name: "directories left out, files not", seen: []string{"a", "d/e/x", "f/g/"}, known: []string{"a", "f/y", "z"},
			change: func(w *world) { w.left["d/"], w.left["d/e/"], w.left["f/"], w.left["f/g/"] = true, true, true, true },
			want:   "record d/, record d/e/, new d/e/x, removed f/y, removed z"},
		{name: "unreadable, all the same some is seen", seen: []string{"a", "d/e/x"}, known: []string{"a", "d/e/x", "d/e/y", "d/f/z"},
			change: func(w *world) { w.broken["d/"] = true }, want: "removed d/e/y, unseen d/f/, unseen d/f/z"},
		{name: "volume is not mounted", seen: []string{"a", "usb/"}, known: []string{"a", "usb/x", "usb/d/y"},
			change: func(w *world) { w.wasMounts["usb/"] = true }, want: "unseen usb/, unseen usb/d/, unseen usb/d/y, unseen usb/x"},
		{name: "other files below an unmounted volume", seen: []string{"usb/d/z"}, known: []string{"usb/x", "usb/d/y"},
			change: func(w *world) { w.wasMounts["usb/"] = true }, want: "unseen usb/, unseen usb/d/y, new usb/d/z, unseen usb/x"},
		{name: "mount point is gone, and the folder it was in", seen: []string{"a"}, known: []string{"a", "media/usb/x", "media/v/y", "media/z"},
			change: func(w *world) { w.wasMounts["media/usb/"] = true },
			want:   "unseen media/, unseen media/usb/, unseen media/usb/x, removed media/v/, removed media/v/y, removed media/z"},
		{name: "unmounted for good", seen: []string{"a", "usb/"}, known: []string{"a", "usb/x"}, opts: Options{Unmounted: true},
			change: func(w *world) { w.wasMounts["usb/"] = true }, want: "record usb/, removed usb/x"},
		{name: "mounted for the first time", seen: []string{"usb/y"}, known: []string{"usb/x"},
			change: func(w *world) { w.mounts["usb/"] = true }, want: "record usb/, removed usb/x, new usb/y"},
		{name: "still mounted", seen: []string{"usb/y"}, known: []string{"usb/x"},
			change: func(w *world) { w.mounts["usb/"], w.wasMounts["usb/"] = true, true }, want: "removed usb/x, new usb/y"},
		{name: "emptied on purpose", seen: []string{"/"}, known: []string{"a", "d/b"}, opts: Options{Empty: true}, want: "removed a, removed d/, removed d/b"},
		{name: "empty as ever", seen: []string{"/", "d/"}, known: []string{"/", "e/"}, want: "record d/, removed e/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := plantWorld(tt.seen, tt.known)
			if tt.change != nil {
				tt.change(w)
			}
			got, err := w.decisions(t, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, p := range slices.Sorted(maps.Keys(got)) {
				if got[p] != Unchanged {
					lines = append(lines, fmt.Sprint(got[p], " ", p))
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(lines, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRemovedLast: a directory is removed after everything in it.
func TestRemovedLast(t *testing.T) {
	w := plantWorld([]string{"a", "z/y"}, []string{"a", "d/e/f/x", "d/y", "z/y"})
	var order []string
	for d, err := range Merge(w.scanned, w.recorded, Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.Entries {
			if e.Action == Removed {
				order = append(order, e.Known.File.Path)
			}
		}
		if d.Self.Action == Removed {
			order = append(order, d.Path+"/")
		}
	}
	if want := []string{"d/y", "d/e/f/x", "d/e/f/", "d/e/", "d/"}; !slices.Equal(order, want) {
		t.Errorf("removed %q, want %q", order, want)
	}
}

// TestGuard: a tree that holds no file is not taken as emptied.
func TestGuard(t *testing.T) {
	manyDirs := []string{"/"}
	for i := range 2 * lookahead {
		manyDirs = append(manyDirs, fmt.Sprintf("d%03d/", i))
	}
	tests := []struct {
		name        string
		seen, known []string
		change      func(*world)
		refused     bool
	}{
		{name: "empty", seen: []string{"/"}, known: []string{"a"}, refused: true},
		{name: "a fresh disk", seen: []string{"lost+found/"}, known: []string{"d/e/a"}, refused: true},
		{name: "nothing at all", known: []string{"a"}, refused: true},
		{name: "catalog of many directories", seen: []string{"/"}, known: append([]string{"z/x"}, manyDirs...), refused: true},
		{name: "never held a file", seen: []string{"/"}, known: []string{"d/"}},
		{name: "new and empty", seen: []string{"/"}},
		{name: "one file", seen: []string{"d/e/f/x"}, known: []string{"a"}},
		{name: "many directories", seen: manyDirs, known: []string{"a"}},
		{name: "all left out", seen: []string{"/"}, known: []string{"a"}, change: func(w *world) { w.hidden["a"] = true }},
		{name: "a fresh disk with litter", seen: []string{"/"}, known: []string{"a"}, change: func(w *world) { w.hidden["lost+found/"], w.litter = true, true }, refused: true},
		{name: "unreadable", seen: []string{"/"}, known: []string{"a"}, change: func(w *world) { w.broken["/"] = true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := plantWorld(tt.seen, tt.known)
			if tt.change != nil {
				tt.change(w)
			}
			got, err := w.decisions(t, Options{})
			if refused := errors.Is(err, ErrEmpty); refused != tt.refused || err != nil && !refused {
				t.Errorf("ended with %v; want refused %t", err, tt.refused)
			}
			if tt.refused && len(got) > 0 {
				t.Errorf("decided before it refused: %v", got)
			}
		})
	}
}

// TestErrors: an error of either side ends the merge, and nothing that it hid
// is taken for removed.
func TestErrors(t *testing.T) {
	paths := []string{"a", "b", "c", "d/x", "e/f/y", "z"}
	broken := errors.New("broken")
	for stop := range 12 {
		for _, side := range []string{"seen", "known"} {
			w := plantWorld(paths, paths)
			seen, known := iter.Seq2[*scan.Dir, error](w.scanned), iter.Seq2[*Known, error](w.recorded)
			if side == "seen" {
				seen = breakAfter(seen, stop, broken)
			} else {
				known = breakAfter(known, stop, broken)
			}
			var last error
			for d, err := range Merge(seen, known, Options{}) {
				if last != nil {
					t.Errorf("%s after %d: more comes after the error", side, stop)
				}
				if last = err; err != nil {
					continue
				}
				for _, e := range append(d.Entries, d.Self) {
					if e.Action != Unchanged {
						t.Errorf("%s after %d: %v %+v", side, stop, e.Action, e)
					}
				}
			}
			if stop < 5 && !errors.Is(last, broken) {
				t.Errorf("%s after %d: ended with %v", side, stop, last)
			}
		}
	}
}

// breakAfter ends a sequence with an error.
func breakAfter[T any](s iter.Seq2[*T, error], n int, err error) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		i := 0
		for v := range s {
			if i == n {
				yield(nil, err)
				return
			}
			if i++; !yield(v, nil) {
				return
			}
		}
	}
}

// TestDisorder: a side that is not sorted is noticed.
func TestDisorder(t *testing.T) {
	dir := func(path string, names ...string) *scan.Dir {
		d := &scan.Dir{File: firn.File{Path: path, Kind: firn.Directory}, First: true}
		for _, n := range names {
			d.Files = append(d.Files, file(n))
		}
		return d
	}
	known := func(path string, names ...string) *Known {
		k := &Known{Path: path}
		for _, n := range names {
			k.Entries = append(k.Entries, entry(file(n)))
		}
		return k
	}
	unfinished := dir("", "a")
	unfinished.More = true
	tests := []struct {
		name  string
		seen  []*scan.Dir
		known []*Known
		says  string
	}{
		{"known entries", []*scan.Dir{dir("", "a", "b")}, []*Known{known("", "b", "a")}, "out of order"},
		{"seen entries", []*scan.Dir{dir("", "b", "a")}, []*Known{known("", "a", "b")}, "out of order"},
		{"entry twice", []*scan.Dir{dir("", "a")}, []*Known{known("", "a", "a")}, "out of order"},
		{"known directories", []*scan.Dir{dir("", "x"), dir("a"), dir("b")}, []*Known{known(""), known("b"), known("a")}, "out of order"},
		{"directory twice", []*scan.Dir{dir("", "x"), dir("a"), dir("a")}, nil, "out of order"},
		{"piece is missing", []*scan.Dir{unfinished}, nil, "broke off"},
		{"piece of another directory", []*scan.Dir{unfinished, dir("a")}, nil, "broke off"},
	}
	for _, tt := range tests {
		var last error
		for _, err := range Merge(all(tt.seen), all(tt.known), Options{}) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), tt.says) {
			t.Errorf("%s: ended with %v, want %q", tt.name, last, tt.says)
		}
	}
}

func all[T any](vs []*T) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for _, v := range vs {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// TestHandful: however large a directory and its pieces are, few decisions
// come at a time.
func TestHandful(t *testing.T) {
	known := &Known{}
	for i := range 3 * most {
		known.Entries = append(known.Entries, entry(file(fmt.Sprintf("%06d", i))))
	}
	n := 0
	for d, err := range Merge(all([]*scan.Dir{{First: true}}), all([]*Known{known}), Options{Empty: true}) {
		if err != nil || len(d.Entries) > most {
			t.Fatalf("%d decisions at a time, %v", len(d.Entries), err)
		}
		n += len(d.Entries)
	}
	if n != 3*most {
		t.Errorf("%d decisions, want %d", n, 3*most)
	}
}

// TestBreak: a consumer may stop at any time.
func TestBreak(t *testing.T) {
	w := plantWorld([]string{"a", "b", "d/x"}, []string{"a", "c", "e/y"})
	for stop := range 6 {
		n := 0
		for range Merge(w.scanned, w.recorded, Options{}) {
			if n++; n > stop {
				break
			}
		}
	}
}

// TestPassesOn: what the scan says beside its files arrives with the directory.
func TestPassesOn(t *testing.T) {
	skips := []scan.Skip{{Path: "s", Reason: "a socket"}}
	d := &scan.Dir{File: firn.File{Kind: firn.Directory}, Skipped: skips, Err: fs.ErrPermission, Mount: true}
	n := 0
	for got, err := range Merge(all([]*scan.Dir{d}), all[Known](nil), Options{}) {
		if n++; err != nil || !slices.Equal(got.Skipped, skips) || got.Err != fs.ErrPermission || !got.Mount || got.Self.Action != Record {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if n != 1 {
		t.Errorf("%d directories", n)
	}
}
