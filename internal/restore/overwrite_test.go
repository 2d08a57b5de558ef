package restore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

var itsTime = time.Date(2015, 3, 4, 5, 6, 7, 0, time.UTC)

// A bed is a folder to restore to.
type bed struct {
	t *testing.T
	*target
	dir string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir()}
	to, err := openTarget(b.dir)
	b.must(err)
	b.target = to
	t.Cleanup(func() { to.close() })
	return b
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) name(p string) string { return filepath.Join(b.dir, p) }

func (b *bed) write(p, text string, mtime time.Time) {
	b.t.Helper()
	b.must(os.WriteFile(b.name(p), []byte(text), 0o644))
	b.must(os.Chtimes(b.name(p), mtime, mtime))
}

// is tells what has a name: a file's text, a link's target, or what else it is.
func (b *bed) is(p string) string {
	b.t.Helper()
	info, err := os.Lstat(b.name(p))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "nothing"
	case err != nil:
		b.t.Fatal(err)
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := os.Readlink(b.name(p))
		b.must(err)
		return "-> " + target
	case !info.Mode().IsRegular():
		return info.Mode().Type().String()
	}
	text, err := os.ReadFile(b.name(p))
	b.must(err)
	return string(text)
}

// only fails where there is anything else in a folder, such as a temporary file.
func (b *bed) only(dir string, names ...string) {
	b.t.Helper()
	list, err := os.ReadDir(b.name(dir))
	b.must(err)
	var got []string
	for _, one := range list {
		got = append(got, one.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		b.t.Errorf("there is %q, want %q", got, names)
	}
}

// fileItem is a file that is to be restored.
func fileItem(p, text string) item {
	size := int64(len(text))
	return item{
		from: p, folder: chain(path.Dir(p)), content: firn.Content{Size: size, Tree: treehash.Sum([]byte(text))},
		file: firn.File{Path: p, Kind: firn.Regular, Mode: 0o640, UID: -1, GID: -1, Stamp: firn.Stamp{Size: size, ModTime: itsTime}},
	}
}

func linkItem(p, target string) firn.File {
	return firn.File{Path: p, Kind: firn.Symlink, UID: -1, GID: -1, Target: target, Stamp: firn.Stamp{ModTime: itsTime}}
}

func (b *bed) look(it item, o Overwrite) standing {
	b.t.Helper()
	d, err := b.in(it.folder, search)
	b.must(err)
	defer b.dirs.give(d)
	was, err := lookAt(b.t.Context(), d.Root, path.Base(it.file.Path), it, o)
	b.must(err)
	return was
}

// fetched is the temporary file, whole.
func (b *bed) fetched(it item, text string) *os.File {
	b.t.Helper()
	f, err := b.create(it.folder, it.file.Path)
	b.must(err)
	_, err = f.WriteString(text)
	b.must(err)
	b.must(b.dressNew(it.folder, f, it.file))
	return f
}

func TestParseOverwrite(t *testing.T) {
	for _, s := range []string{"never", "changed", "always"} {
		if o, err := ParseOverwrite(s); string(o) != s || err != nil {
			t.Errorf("%q: %q, %v", s, o, err)
		}
	}
	for _, s := range []string{"", "Never", "ask"} {
		if _, err := ParseOverwrite(s); firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), "never, changed, always") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestOverwrite: what is in a file's place, and what becomes of it.
func TestOverwrite(t *testing.T) {
	const text = "the text"
	for place, test := range map[string]struct {
		make                   func(b *bed)
		never, changed, always string // what is there in the end, or why it stays
	}{
		"nothing":            {func(*bed) {}, text, text, text},
		"the same":           {func(b *bed) { b.write("f", text, time.Now()) }, "equal", "equal", "equal"},
		"another":            {func(b *bed) { b.write("f", "an older text", itsTime) }, "exists already, with other content", text, text},
		"as large":           {func(b *bed) { b.write("f", "THE TEXT", itsTime.Add(1)) }, "exists already, with other content", text, text},
		"as large, as old":   {func(b *bed) { b.write("f", "THE TEXT", itsTime) }, "exists already, with other content", "equal", text},
		"empty":              {func(b *bed) { b.write("f", "", itsTime) }, "exists already, with other content", text, text},
		"a link":             {func(b *bed) { b.must(os.Symlink("other", b.name("f"))) }, "exists already", text, text},
		"a link to the same": {func(b *bed) { b.write("other", text, itsTime); b.must(os.Symlink("other", b.name("f"))) }, "exists already", text, text},
		"a folder":           {func(b *bed) { b.must(os.Mkdir(b.name("f"), 0o700)) }, "f is a folder", "f is a folder", "f is a folder"},
	} {
		for policy, want := range map[Overwrite]string{Never: test.never, "": test.never, Changed: test.changed, Always: test.always} {
			t.Run(place+"/"+string(policy), func(t *testing.T) {
				b := newBed(t)
				test.make(b)
				before, it := b.is("f"), fileItem("f", text)
				was := b.look(it, policy)
				switch {
				case was.state == isEqual:
					if want != "equal" {
						t.Errorf("equal, want %s", want)
					}
					return
				case was.stays != nil:
					if !strings.Contains(was.stays.Error(), want) || b.is("f") != before {
						t.Errorf("%v, and there is %q", was.stays, b.is("f"))
					}
					return
				}
				b.must(b.put(it.folder, b.fetched(it, text), it.file, was))
				if got := b.is("f"); got != want {
					t.Errorf("there is %q, want %q", got, want)
				}
				if got := b.is("other"); got != "nothing" && got != text {
					t.Errorf("what the link led to is %q", got)
				}
				if names, _ := filepath.Glob(b.name(".firn-*")); len(names) > 0 {
					t.Errorf("left over: %q", names)
				}
			})
		}
	}
}

// TestOverwriteLinks: the same for the place of a symbolic link.
func TestOverwriteLinks(t *testing.T) {
	for place, test := range map[string]struct {
		make        func(b *bed)
		never, more string
	}{
		"nothing":      {func(*bed) {}, "-> to", "-> to"},
		"the same":     {func(b *bed) { b.must(os.Symlink("to", b.name("l"))) }, "-> to", "-> to"},
		"another link": {func(b *bed) { b.must(os.Symlink("elsewhere", b.name("l"))) }, "exists already", "-> to"},
		"a file":       {func(b *bed) { b.write("l", "text", itsTime) }, "exists already", "-> to"},
		"a folder":     {func(b *bed) { b.must(os.Mkdir(b.name("l"), 0o700)) }, "is a folder", "is a folder"},
	} {
		for policy, want := range map[Overwrite]string{Never: test.never, Changed: test.more, Always: test.more} {
			t.Run(place+"/"+string(policy), func(t *testing.T) {
				b := newBed(t)
				test.make(b)
				before, file := b.is("l"), linkItem("l", "to")
				b.must(os.WriteFile(b.name(tempName("l")), nil, 0o600)) // of a killed run
				made, err := b.putLink(chain("."), file, policy)
				if err != nil {
					if !strings.Contains(err.Error(), want) || b.is("l") != before {
						t.Errorf("%v, and there is %q", err, b.is("l"))
					}
					return
				}
				if got := b.is("l"); got != want || made != (before != want) {
					t.Errorf("there is %q, want %q; made: %v", got, want, made)
				}
				again, err := b.putLink(chain("."), file, policy)
				b.must(err)
				if again {
					t.Error("it was made once more")
				}
				b.only(".", "l")
			})
		}
	}
}

// meanwhile is what others may do to a file while its replacement is fetched.
func meanwhile() map[string]func(b *bed) {
	return map[string]func(b *bed){
		"written":  func(b *bed) { b.write("f", "written meanwhile", itsTime) },
		"as large": func(b *bed) { b.write("f", "OLD TEXT", itsTime.Add(time.Hour)) },
		"another file": func(b *bed) {
			b.must(os.Remove(b.name("f")))
			b.write("f2", "old text", itsTime)
			b.must(os.Rename(b.name("f2"), b.name("f")))
		},
		"a link":         func(b *bed) { b.must(os.Remove(b.name("f"))); b.must(os.Symlink("other", b.name("f"))) },
		"a folder":       func(b *bed) { b.must(os.Remove(b.name("f"))); b.must(os.Mkdir(b.name("f"), 0o700)) },
		"a full folder":  func(b *bed) { b.must(os.Remove(b.name("f"))); b.must(os.MkdirAll(b.name("f/full"), 0o700)) },
		"a dead link":    func(b *bed) { b.must(os.Remove(b.name("f"))); b.must(os.Symlink("f", b.name("f"))) },
		"a link outside": func(b *bed) { b.must(os.Remove(b.name("f"))); b.must(os.Symlink("/etc/passwd", b.name("f"))) },
	}
}

// TestWrittenMeanwhile: what somebody wrote since it was compared stays, whether
// names can be exchanged or not, and whether that shows before they are or only
// after it.
func TestWrittenMeanwhile(t *testing.T) {
	cant := func(*dir, string, string) error { return errors.ErrUnsupported }
	for way, replace := range map[string]func(d *dir, tmp, name string, seen fs.FileInfo) error{
		"exchanged": func(d *dir, tmp, name string, seen fs.FileInfo) error { return replace(d, tmp, name, seen, swapNames) },
		"renamed":   func(d *dir, tmp, name string, seen fs.FileInfo) error { return replace(d, tmp, name, seen, cant) },
		"seen late": func(d *dir, tmp, name string, seen fs.FileInfo) error { return swapOver(d, tmp, name, seen, swapNames) },
	} {
		for how, change := range meanwhile() {
			t.Run(way+"/"+how, func(t *testing.T) {
				b := newBed(t)
				b.write("f", "old text", itsTime)
				if how == "another file" {
					keep, err := os.Open(b.name("f")) // so that its number isn't used again
					b.must(err)
					defer keep.Close()
				}
				it := fileItem("f", "new text")
				was := b.look(it, Always)
				f := b.fetched(it, "new text")
				change(b)
				want := b.is("f")
				d, err := b.in(it.folder, write)
				b.must(err)
				defer b.dirs.give(d)
				err = replace(d, tempName("f"), "f", was.info)
				if errors.Is(err, errors.ErrUnsupported) {
					t.Skip("no names are exchanged here")
				}
				if err == nil || !strings.Contains(err.Error(), "changed by another program meanwhile") || b.is("f") != want {
					t.Errorf("%v, and there is %q, want %q", err, b.is("f"), want)
				}
				b.discard(it.folder, f, "f")
				b.only(".", "f")
			})
		}
	}
}

// TestWhatCantBeChangedBack is still there, and the error says where.
func TestWhatCantBeChangedBack(t *testing.T) {
	b := newBed(t)
	b.write("f", "old text", itsTime)
	it := fileItem("f", "new text")
	was := b.look(it, Always)
	f := b.fetched(it, "new text")
	b.write("f", "written meanwhile", itsTime)
	d, err := b.in(it.folder, write)
	b.must(err)
	defer b.dirs.give(d)
	swaps := 0
	err = swapOver(d, tempName("f"), "f", was.info, func(d *dir, a, other string) error {
		if swaps++; swaps == 2 {
			return errors.New("the disk is gone")
		}
		return errors.Join(os.Rename(b.name(a), b.name("x")), os.Rename(b.name(other), b.name(a)), os.Rename(b.name("x"), b.name(other)))
	})
	if err == nil || !strings.Contains(err.Error(), tempName("f")) || b.is(tempName("f")) != "written meanwhile" {
		t.Errorf("%v, and there is %q", err, b.is(tempName("f")))
	}
	b.discard(it.folder, f, "f")
	if b.is(tempName("f")) != "written meanwhile" {
		t.Errorf("discarded: there is %q", b.is(tempName("f")))
	}
}

// TestRemovedMeanwhile: then the name is free.
func TestRemovedMeanwhile(t *testing.T) {
	b := newBed(t)
	b.write("f", "old text", itsTime)
	it := fileItem("f", "new text")
	was := b.look(it, Changed)
	b.must(os.Remove(b.name("f")))
	b.must(b.put(it.folder, b.fetched(it, "new text"), it.file, was))
	if b.is("f") != "new text" {
		t.Errorf("there is %q", b.is("f"))
	}
	b.only(".", "f")
}

// TestCreatedMeanwhile: what came where nothing was stays.
func TestCreatedMeanwhile(t *testing.T) {
	for how, change := range meanwhile() {
		b := newBed(t)
		it := fileItem("f", "new text")
		was := b.look(it, Always)
		f := b.fetched(it, "new text")
		b.write("f", "somebody's", itsTime)
		change(b)
		want := b.is("f")
		err := b.put(it.folder, f, it.file, was)
		if err == nil || !strings.Contains(err.Error(), "exists already") || b.is("f") != want {
			t.Errorf("%s: %v, and there is %q", how, err, b.is("f"))
		}
		b.only(".", "f")
	}
}

// TestRenameOver is the way where names can't be exchanged.
func TestRenameOver(t *testing.T) {
	b := newBed(t)
	b.write("f", "old", itsTime)
	b.must(os.Chmod(b.name("f"), 0o400))
	b.write("tmp", "new", itsTime)
	info, err := os.Lstat(b.name("f"))
	b.must(err)
	b.must(renameOver(b.root, "tmp", "f", info))
	if b.is("f") != "new" {
		t.Errorf("there is %q", b.is("f"))
	}
	b.only(".", "f")
}

// TestKilledBetweenTheNames: of a run that was killed after it exchanged names
// the next one finds the file in place, and drops what it replaced.
func TestKilledBetweenTheNames(t *testing.T) {
	b := newBed(t)
	it := fileItem("dir/f", "new text")
	b.must(os.Mkdir(b.name("dir"), 0o700))
	b.write("dir/f", "new text", itsTime)
	b.write("dir/"+tempName("dir/f"), "old text", itsTime)
	if was := b.look(it, Always); was.state != isEqual {
		t.Fatalf("it is %v", was)
	}
	b.must(b.tidy(it))
	b.only("dir", "f")
}

// TestOverwriteByAnotherName: a hard link takes the place of what was compared.
func TestOverwriteByAnotherName(t *testing.T) {
	b := newBed(t)
	b.must(os.Mkdir(b.name("dir"), 0o700))
	b.write("first", "new text", itsTime)
	b.write("dir/f", "old", itsTime)
	it := fileItem("dir/f", "new text")
	was := b.look(it, Always)
	b.must(b.putName("first", it.folder, it.file, was))
	one, err := os.Stat(b.name("first"))
	b.must(err)
	other, err := os.Stat(b.name("dir/f"))
	b.must(err)
	if !os.SameFile(one, other) {
		t.Error("they are two files")
	}
	b.write("dir/g", "old", itsTime)
	it = fileItem("dir/g", "new text")
	was = b.look(it, Always)
	b.write("dir/g", "written meanwhile", itsTime)
	if err := b.putName("first", it.folder, it.file, was); err == nil || b.is("dir/g") != "written meanwhile" {
		t.Errorf("%v, and there is %q", err, b.is("dir/g"))
	}
	b.only("dir", "f", "g")
}

// TestReplacingAFileWithOtherNames: its other names keep the old content, and
// none of them is found to have been written to when the first is replaced.
func TestReplacingAFileWithOtherNames(t *testing.T) {
	b := newBed(t)
	b.write("a", "old", itsTime)
	b.must(os.Link(b.name("a"), b.name("b")))
	b.must(os.Link(b.name("a"), b.name("c")))
	first, second := fileItem("a", "new a"), fileItem("b", "new b")
	wasFirst, wasSecond := b.look(first, Always), b.look(second, Always)
	b.must(b.put(first.folder, b.fetched(first, "new a"), first.file, wasFirst))
	b.must(b.put(second.folder, b.fetched(second, "new b"), second.file, wasSecond))
	if b.is("a") != "new a" || b.is("b") != "new b" || b.is("c") != "old" {
		t.Errorf("%q, %q, %q", b.is("a"), b.is("b"), b.is("c"))
	}
}

// A meddler is a context that does something when it is asked for the second
// time, which is while a file is read.
type meddler struct {
	context.Context
	asked int
	do    func()
}

func (m *meddler) Err() error {
	if m.asked++; m.asked == 2 {
		m.do()
	}
	return m.Context.Err()
}

// TestAFileThatChangesWhileItIsRead is not taken for anything.
func TestAFileThatChangesWhileItIsRead(t *testing.T) {
	b := newBed(t)
	text := strings.Repeat("x", 1<<20)
	b.write("f", text, itsTime)
	it := fileItem("f", text)
	if was := b.look(it, Always); was.state != isEqual {
		t.Errorf("it is %v", was)
	}
	m := &meddler{Context: t.Context(), do: func() { b.write("f", "Y"+text[1:], itsTime.Add(time.Second)) }}
	if was, err := lookAt(m, b.root, "f", it, Always); err == nil || !strings.Contains(err.Error(), "meanwhile") || m.asked < 2 {
		t.Errorf("%v, %v", was, err)
	}
}

// TestLinksRacedIntoTheWay: while somebody changes a file and the folder that it
// is in for links outside and back, nothing outside is written, changed or
// removed.
func TestLinksRacedIntoTheWay(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a right there that few have")
	}
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "f"), []byte("outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(outside, "f"))
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t)
	b.must(os.Mkdir(b.name("dir"), 0o700))
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			os.Remove(b.name("dir/f"))
			os.Symlink(filepath.Join(outside, "f"), b.name("dir/f"))
			os.Rename(b.name("dir"), b.name("aside"))
			os.Symlink(outside, b.name("dir"))
			os.Remove(b.name("dir"))
			os.Rename(b.name("aside"), b.name("dir"))
		}
	}()
	for range 300 {
		to, err := openTarget(b.dir)
		b.must(err)
		it := fileItem("dir/f", "the text")
		race(t, to, it)
		to.close()
	}
	stop.Store(true)
	<-done
	after, err := os.Stat(filepath.Join(outside, "f"))
	if err != nil || !os.SameFile(before, after) || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("outside: %v, %v", after, err)
	}
	if text, err := os.ReadFile(filepath.Join(outside, "f")); string(text) != "outside" {
		t.Errorf("outside there is %q, %v", text, err)
	}
	if names, _ := os.ReadDir(outside); len(names) != 1 {
		t.Errorf("outside: %v", names)
	}
}

// race restores a file and a link to it, as far as it goes.
func race(t *testing.T, to *target, it item) {
	d, err := to.in(it.folder, search)
	if err != nil {
		return
	}
	was, err := lookAt(t.Context(), d.Root, path.Base(it.file.Path), it, Always)
	to.dirs.give(d)
	if err != nil || was.state == isEqual || was.stays != nil {
		return
	}
	f, err := to.open(it.folder, it.file.Path, true)
	if err != nil {
		return
	}
	f.WriteString("the text")
	if err := to.dressNew(it.folder, f, it.file); err != nil {
		to.discard(it.folder, f, it.file.Path)
		return
	}
	to.put(it.folder, f, it.file, was)
	to.tidy(it)
	to.putLink(it.folder, linkItem("dir/f", "elsewhere"), Always)
}
