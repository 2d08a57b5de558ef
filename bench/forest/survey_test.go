package forest

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sorted puts entries in the order of a survey.
func sorted(s Survey) Survey {
	slices.SortFunc(s, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return s
}

func TestDifferences(t *testing.T) {
	at := time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)
	file := Entry{Path: "file", Mode: 0o644, Size: 3, ModTime: at, Hash: [32]byte{1}}
	link := Entry{Path: "link", Mode: fs.ModeSymlink, ModTime: at, Target: "x"}
	with := func(e Entry, change func(*Entry)) Survey { change(&e); return Survey{e} }
	for name, c := range map[string]struct {
		other Survey
		want  []string
	}{
		"same":    {Survey{file, link}, nil},
		"none":    {nil, []string{`"file" is missing`, `"link" is missing`}},
		"first":   {Survey{link}, []string{`"file" is missing`}},
		"more":    {Survey{{Path: "a"}, file, {Path: "k"}, link, {Path: "z"}}, []string{`"a" should not be there`, `"k" should not be there`, `"z" should not be there`}},
		"mode":    {append(with(file, func(e *Entry) { e.Mode = 0o600 }), link), []string{`"file" has mode -rw-------, not -rw-r--r--`}},
		"kind":    {append(with(file, func(e *Entry) { e.Mode |= fs.ModeDir }), link), []string{`"file" has mode drw-r--r--, not -rw-r--r--`}},
		"size":    {append(with(file, func(e *Entry) { e.Size = 4 }), link), []string{`"file" has 4 bytes, not 3`}},
		"content": {append(with(file, func(e *Entry) { e.Hash[31] = 1 }), link), []string{`"file" has other content: SHA-256 01` + strings.Repeat("0", 60) + `01, not 01` + strings.Repeat("0", 62)}},
		"mtime":   {append(with(file, func(e *Entry) { e.ModTime = at.Add(1) }), link), []string{`"file" has mtime 2020-01-02T03:04:05.000000007Z, not 2020-01-02T03:04:05.000000006Z`}},
		"alias":   {append(with(file, func(e *Entry) { e.Alias = "a" }), link), []string{`"file" has as the first name of its file "a", not ""`}},
		"target":  {append(Survey{file}, with(link, func(e *Entry) { e.Target = "y" })...), []string{`"link" has target "y", not "x"`}},
	} {
		if d := cmp.Diff(c.want, Survey{file, link}.Differences(c.other)); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
}

func TestNews(t *testing.T) {
	file := func(size int64, hash byte) Entry { return Entry{Size: size, Hash: [32]byte{hash}} }
	before := Survey{file(0, 0), file(1, 1), file(2, 2)}
	after := Survey{file(0, 0), file(0, 9), file(2, 2), file(5, 5), file(7, 7), file(5, 5)}
	if got, want := after.News(before), (News{Contents: 2, Bytes: 12, AllBytes: 17}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := before.News(nil), (News{Contents: 2, Bytes: 3, AllBytes: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if files, bytes := after.Files(); files != 6 || bytes != 19 {
		t.Errorf("%d files, %d bytes", files, bytes)
	}
}

func TestLookNamesWhatItCannotRead(t *testing.T) {
	if _, err := Look(filepath.Join(t.TempDir(), "nowhere")); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("%v", err)
	}
}
