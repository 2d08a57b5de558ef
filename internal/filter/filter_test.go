package filter

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// TestEachOption: what each of them leaves out, alone.
func TestEachOption(t *testing.T) {
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	file := func(path string, size int64, mod time.Time) *firn.File {
		f := fileAt(path)
		f.Stamp = firn.Stamp{Size: size, ModTime: mod}
		return f
	}
	link := &firn.File{Path: "link", Kind: firn.Symlink}
	all := []*firn.File{
		file("a.o", 0, day.Add(-1)), file("b.c", 10, day), file("d/", 0, day.Add(-time.Hour)), file("d/c", 11, day.Add(1)),
		link, file(".DS_Store", 1, day), file("@eaDir/", 0, day), file("x/lost+found/", 0, day),
	}
	tests := []struct {
		name string
		o    Options
		out  string // what is left out beside the default list
	}{
		{"nothing", Options{}, ""},
		{"rules", Options{Rules: []Rule{Exclude("*.o"), Exclude("d/")}}, "a.o d d/c"},
		{"patterns", Options{Patterns: mustRead(t, "*.o\nd/\n")}, "a.o d"},
		{"regexps", Options{Regexps: []*regexp.Regexp{regexp.MustCompile(`\.o$`), regexp.MustCompile(`^d/$`)}}, "a.o d"},
		{"min size", Options{MinSize: 10}, "a.o"},
		{"max size", Options{MaxSize: 10}, "d/c"},
		{"older than", Options{OlderThan: day}, "b.c d/c"},
		{"newer than", Options{NewerThan: day}, "a.o"},
		{"any of them", Options{MinSize: 10, Rules: []Rule{Include("a.o"), Exclude("b.c")}}, "a.o b.c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			f := New(tt.o)
			for _, file := range all {
				switch v := f.Judge(file); {
				case v.Leave != (v.Reason != ""):
					t.Errorf("%s: %+v", file.Path, v)
				case v.Leave && !v.Litter:
					got = append(got, file.Path)
				case v.Litter != isLitter([]byte(file.Path[strings.LastIndexByte(file.Path, '/')+1:]), file.Kind == firn.Directory):
					t.Errorf("%s: litter %t", file.Path, v.Litter)
				}
			}
			if s := strings.Join(got, " "); s != tt.out {
				t.Errorf("left out %q, want %q", s, tt.out)
			}
		})
	}
}

// TestLitter: the list is what it says, in both directions, and can be kept.
func TestLitter(t *testing.T) {
	keep := New(Options{KeepLitter: true})
	list := Litter()
	if !slices.IsSorted(list) || !slices.Contains(list, "@eaDir/") || !slices.Contains(list, "Thumbs.db") {
		t.Errorf("the list is %q", list)
	}
	for _, name := range list {
		f := New(Options{})
		for _, path := range []string{name, "a/b/" + name} {
			if v := f.Judge(fileAt(path)); !v.Leave || !v.Litter || v.Below {
				t.Errorf("%s: %+v", path, v)
			}
			if v := keep.Judge(fileAt(path)); v.Leave {
				t.Errorf("%s is left out although it is to be kept", path)
			}
		}
		other, wasDir := strings.CutSuffix(name, "/")
		if !wasDir {
			other += "/"
		}
		for _, path := range []string{other, "x" + name, other + "x"} {
			if v := f.Judge(fileAt(path)); v.Leave {
				t.Errorf("%s is left out", path)
			}
		}
	}
}

// TestUnfinished: what a restore has not finished is left out whatever is kept,
// on disks too that don't tell upper from lower case.
func TestUnfinished(t *testing.T) {
	for path, want := range map[string]bool{
		".firn-0123456789abcdef.part": true, "a/b/.firn-0123456789abcdef.part": true, ".firn-restore.part": true, ".FIRN-0123456789ABCDEF.part": true, ".firn-Restore.PART": true,

		".firn-0123456789abcdeg.part": false, ".firn-0123456789abcde.part": false, ".firn-0123456789abcdef0.part": false, "firn-0123456789abcdef.part": false,
		".firn-0123456789abcdef.part2": false, ".firn-0123456789abcdef_part": false, ".firn-restores.part": false, ".firn-.part": false, ".firn.part": false, ".part": false, ".": false,
		"x.firn-restore.part": false, ".firn-restore.part/": false, ".firn-0123456789abcdef.part/x": false,
	} {
		for _, keep := range []bool{false, true} {
			if v := New(Options{KeepLitter: keep}).Judge(fileAt(path)); v.Leave != want || v.Litter != want || (v.Reason == UnfinishedReason) != want {
				t.Errorf("%s: %+v", path, v)
			}
		}
	}
	name := []byte(".firn-0123456789abcdef.part")
	if n := testing.AllocsPerRun(100, func() { IsUnfinished(name) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestLitterIsDocumented: the manual has the same list.
func TestLitterIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## The default list\n")
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		rows = append(rows, row[1])
	}
	slices.Sort(rows)
	if diff := cmp.Diff(Litter(), rows); diff != "" {
		t.Errorf("docs/filters.md (-list +document):\n%s", diff)
	}
}

// TestCovers: what isn't there is judged by what is left of it.
func TestCovers(t *testing.T) {
	f := New(Options{
		Rules:    []Rule{Exclude("/pruned/"), Include("*.gz"), Exclude("/kept/")},
		Patterns: mustRead(t, "ignored/\n"),
		MaxSize:  100,
	})
	big := fileAt("big")
	big.Stamp.Size = 101
	for _, tt := range []struct {
		file *firn.File
		want bool
	}{
		{&firn.File{Kind: firn.Directory}, false}, // the root
		{fileAt("a"), false}, {fileAt("d/"), false}, {fileAt("d/a"), false}, {big, true},
		{fileAt("pruned/"), true}, {fileAt("pruned/a.gz"), true}, {fileAt("pruned/d/e/a"), true},
		{fileAt("kept/"), true}, {fileAt("kept/a"), true}, {fileAt("kept/a.gz"), false}, {fileAt("kept/d/a.gz"), false},
		{fileAt("d/ignored/e/a.gz"), true}, {fileAt("@eaDir/x/y"), true},
	} {
		if got := f.Covers(tt.file); got != tt.want {
			t.Errorf("%q: %t", tt.file.Path, got)
		}
	}
	var none *Filter
	if none.Covers(fileAt("@eaDir/x")) || none.Scan().Filter != nil {
		t.Error("no filter leaves something out")
	}
}

// TestCaches: a directory is a cache by a regular file with the signature, and
// by nothing that looks like it.
func TestCaches(t *testing.T) {
	root := t.TempDir()
	tags := map[string]string{
		"cache": CacheSignature, "long/cache": CacheSignature + "\n# by a program\n",
		"short": CacheSignature[:20], "other": strings.ToUpper(CacheSignature), "empty": "",
	}
	for dir, text := range tags {
		write(t, filepath.Join(root, dir, CacheTag), text)
	}
	write(t, filepath.Join(root, "named", "cachedir.tag.txt"), CacheSignature)
	for dir, make := range map[string]func(name string) error{
		"link": func(name string) error { return os.Symlink("../cache/"+CacheTag, name) },
		"dir":  func(name string) error { return os.Mkdir(name, 0o755) },
	} {
		name := filepath.Join(root, dir, CacheTag)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := make(name); err != nil {
			t.Fatal(err)
		}
	}
	f := New(Options{Caches: true, Root: root})
	for dir, want := range map[string]bool{
		"cache/": true, "long/cache/": true, "long/": false, "short/": false, "other/": false, "empty/": false,
		"named/": false, "link/": false, "dir/": false, "missing/": false, "cache": false,
	} {
		if got := f.Judge(fileAt(dir)).Leave; got != want {
			t.Errorf("%s: left out %t", dir, got)
		}
	}
	if New(Options{Root: root}).Judge(fileAt("cache/")).Leave {
		t.Error("a cache is left out unasked")
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLongPaths: paths beyond the usual length are judged as all others.
func TestLongPaths(t *testing.T) {
	dir := strings.Repeat("long/", 1000)
	f := New(Options{Rules: []Rule{Include("**/long/*.gz"), Exclude("")}})
	for path, want := range map[string]bool{dir + "a.gz": false, dir + "a.o": true, strings.Repeat("x", usualPath-1) + "/": true} {
		if got := f.Judge(fileAt(path)).Leave; got != want {
			t.Errorf("%d bytes: left out %t", len(path), got)
		}
	}
}

// TestJudgeDoesNotAllocate: it is asked of each of a million files.
func TestJudgeDoesNotAllocate(t *testing.T) {
	f := New(Options{Rules: twentyRules(), Patterns: mustRead(t, "*.o\n/a/**/b\n")})
	file := fileAt("pictures/2019/summer/IMG_0001.jpg")
	if n := testing.AllocsPerRun(100, func() { f.Judge(file) }); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}

// TestScanWithFilter: a walk leaves out what the filter says, and looks below
// directories that are left out themselves.
func TestScanWithFilter(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a.gz", "a.o", "d/e/b.gz", "d/b.o", "f/c.o", "@eaDir/d.gz", "p/e.gz"} {
		write(t, filepath.Join(root, name), "x")
	}
	f := New(Options{Rules: append([]Rule{Exclude("/p/")}, Include("*.gz"), Exclude(""))})
	var dirs, files, skipped []string
	for d, err := range scan.Walk(t.Context(), root, f.Scan()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Left {
			dirs = append(dirs, d.File.Path)
		}
		for _, file := range d.Files {
			files = append(files, file.Path)
		}
		for _, s := range d.Skipped {
			skipped = append(skipped, s.Path)
		}
	}
	for _, tt := range []struct{ what, got, want string }{
		{"directories left out themselves", strings.Join(dirs, " "), "d d/e f"},
		{"files", strings.Join(files, " "), "a.gz d/e/b.gz"},
		{"skipped", strings.Join(skipped, " "), "@eaDir a.o p d/b.o f/c.o"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, tt.got, tt.want)
		}
	}
}
