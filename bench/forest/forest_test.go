package forest

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// small is a plan that is grown quickly, and has some of everything.
var small = Plan{Seed: 1, Files: 3000, Folders: 60, Size: 40}

func grow(t *testing.T, p Plan) (root string, s Survey) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "tree")
	if err := p.Grow(root); err != nil {
		t.Fatal(err)
	}
	return root, look(t, root)
}

func look(t *testing.T, root string) Survey {
	t.Helper()
	s, err := Look(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAPlanGrowsTheSameTree(t *testing.T) {
	p := Plan{Seed: 7, Files: 300, Folders: 20, Size: 10}
	root, one := grow(t, p)
	other, two := grow(t, p)
	for _, line := range one.Differences(two) {
		if !strings.Contains(line, ".link") { // whose time is the real one
			t.Errorf("grown: %s", line)
		}
	}
	for _, root := range []string{root, other} {
		if err := p.Change(root); err != nil {
			t.Fatal(err)
		}
	}
	one, two = look(t, root), look(t, other)
	for _, s := range []Survey{one, two} {
		for i := range s {
			if !s[i].Mode.IsRegular() {
				s[i].ModTime = time.Time{} // the real one
			}
		}
	}
	if d := one.Differences(two); len(d) > 0 {
		t.Errorf("changed: %s", d)
	}
	p.Seed++
	if _, s := grow(t, p); len(one.Differences(s)) < p.Files {
		t.Error("another seed makes the same tree")
	}
}

func TestGrowMakesSomeOfEverything(t *testing.T) {
	root, s := grow(t, small)
	found := map[string]int{}
	branches := map[string]int{}
	for _, e := range s {
		branch, _, _ := strings.Cut(e.Path, string(filepath.Separator))
		switch {
		case e.Mode.IsDir():
			found["folders"]++
			continue
		case e.Target != "":
			found["links"]++
			continue
		}
		branches[branch]++
		found["files"]++
		if e.Size == 0 {
			found["empty"]++
		}
		if e.Alias != "" {
			found["hard links"]++
		}
		if e.Size > 2*small.Size {
			found["sizable"]++
		}
		if e.ModTime.Unix() < 0 {
			found["before 1970"]++
		}
		if e.ModTime.Nanosecond()%1000 > 0 {
			found["with nanoseconds"]++
		}
		if strings.Contains(e.Path, "\n") {
			found["newlines"]++
		}
		if strings.ToValidUTF8(e.Path, "") != e.Path {
			found["no UTF-8"]++
		}
	}
	for what, n := range map[string][2]int{
		"files": {3000, 3000}, "folders": {72, 80}, "links": {5, 25}, "empty": {5, 25}, "sizable": {2, 15}, "hard links": {2, 15},
		"before 1970": {100, 450}, "with nanoseconds": {2500, 3000}, "newlines": {5, 3000}, "no UTF-8": {5, 3000},
	} {
		if !takesAnyByte() && (what == "newlines" || what == "no UTF-8") || runtime.GOOS == "windows" && what == "hard links" {
			continue
		}
		if found[what] < n[0] || found[what] > n[1] {
			t.Errorf("%d %s, not %d to %d", found[what], what, n[0], n[1])
		}
	}
	for branch, n := range branches {
		if n < 280 || n > 320 {
			t.Errorf("%q has %d files, not a 10th", branch, n)
		}
	}
	contents := s.News(nil)
	if twice := contents.AllBytes - contents.Bytes; twice < 5*small.Size || twice > 100*small.Size {
		t.Errorf("%d bytes are in more than one file", twice)
	}
	if err := small.Grow(root); err == nil {
		t.Error("a second tree grew over the first")
	}
}

func TestHugeFilesAreLargerThanBundlesTake(t *testing.T) {
	p := small
	g := gardener{Plan: p}
	for file := range 10 * perHuge {
		if p.size(file) == MaxFile {
			if n := len(g.content(file, 0)); n != MaxFile && !p.one(twins, file, perTwin) {
				t.Errorf("%d bytes", n)
			}
			return
		}
	}
	t.Error("no file is huge")
}

func TestChangeChangesAFewInAHundred(t *testing.T) {
	root, before := grow(t, small)
	if err := small.Change(root); err != nil {
		t.Fatal(err)
	}
	after := look(t, root)
	for i := range after { // the branch gets its name back
		if rest, ok := strings.CutPrefix(after[i].Path, small.branch(0)+", renamed"); ok {
			after[i].Path = small.branch(0) + rest
		}
	}
	counts := map[string]int{}
	for _, line := range before.Differences(sorted(after)) {
		for _, what := range []string{" is missing", "should not be there", "other content", "bytes, not", "mode ", "mtime "} {
			if strings.Contains(line, what) {
				counts[what]++
				break
			}
		}
	}
	// A mode that differs hides what else does.
	for what, n := range map[string][2]int{
		" is missing": {20, 45}, "should not be there": {1, 10}, "other content": {3, 30},
		"bytes, not": {3, 25}, "mode ": {5, 40}, "mtime ": {15, 80},
	} {
		if counts[what] < n[0] || counts[what] > n[1] {
			t.Errorf("%s: %d, not %d to %d", what, counts[what], n[0], n[1])
		}
	}
	if news := after.News(before); news.Contents < 15 || news.Contents > 50 {
		t.Errorf("%d contents are new", news.Contents)
	}
}

func TestEachFateHasAShare(t *testing.T) {
	var all uint64
	for i, f := range fatesOf() {
		if f.share == 0 {
			t.Errorf("fate %d meets nobody", i)
		}
		all += f.share
	}
	if all+swapped > 50 {
		t.Errorf("%d of 1,000 files change: more, and sync takes it for a disaster", all+swapped)
	}
}

func TestNamesAreValidAndDiffer(t *testing.T) {
	for _, p := range []Plan{small, {Seed: 2, Files: 50000, Folders: 20000, Size: 1}, {Seed: 3, Files: 11, Folders: 11, Size: 1}} {
		seen := map[string]bool{}
		take := func(path string) {
			if base := filepath.Base(path); seen[path] || len(base) > 245 || strings.ContainsAny(base, "/\x00") {
				t.Errorf("%q: seen %v, %d bytes", path, seen[path], len(base))
			}
			seen[path] = true
		}
		for n := range p.Folders {
			take(p.folder(n))
		}
		for n := range p.Files {
			take(p.name(fileNames, n))
		}
	}
}

func TestCheck(t *testing.T) {
	for _, p := range []Plan{{}, {Files: 20, Folders: 9, Size: 1}, {Files: 9, Folders: 10, Size: 1}, {Files: 20, Folders: 10}} {
		if p.Check() == nil || p.Grow(filepath.Join(t.TempDir(), "tree")) == nil {
			t.Errorf("%+v: no error", p)
		}
	}
}
