package restore

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/firn-archive/firn"
)

// TestLeftovers: what an earlier process fetched is found again if it is surely
// its file, and only if it is wanted.
func TestLeftovers(t *testing.T) {
	const text = "pieces that were fetched"
	for what, test := range map[string]struct {
		make func(b *bed, name string)
		kept bool
	}{
		"our file": {func(b *bed, name string) { b.must(os.WriteFile(name, []byte(text), 0o600)) }, true},
		"dressed": {func(b *bed, name string) {
			b.must(os.WriteFile(name, []byte(text), 0o600))
			b.must(os.Chmod(name, 0o755))
		}, true},
		"nothing":        {func(*bed, string) {}, false},
		"a link":         {func(b *bed, name string) { b.must(os.Symlink("precious", name)) }, false},
		"another's name": {func(b *bed, name string) { b.must(os.Link(b.name("precious"), name)) }, false},
		"a folder":       {func(b *bed, name string) { b.must(os.Mkdir(name, 0o700)) }, false},
	} {
		for _, keep := range []bool{false, true} {
			b := newBed(t)
			b.write("precious", text, itsTime)
			test.make(b, b.name(tempName("f")))
			f, err := b.open(chain("."), "f", keep)
			b.must(err)
			got, err := io.ReadAll(f)
			b.must(err)
			if want := test.kept && keep; (string(got) == text) != want || !want && len(got) > 0 {
				t.Errorf("%s, keep %v: it holds %q", what, keep, got)
			}
			if _, err := f.WriteAt([]byte("X"), 0); err != nil {
				t.Errorf("%s, keep %v: %v", what, keep, err)
			}
			if b.is("precious") != text {
				t.Errorf("%s, keep %v: another file is %q", what, keep, b.is("precious"))
			}
			b.discard(chain("."), f, "f")
			b.only(".", "precious")
		}
	}
}

// TestOthersLeftovers: a file that others may write to isn't gone on with: they
// could change it after it was verified.
func TestOthersLeftovers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such modes, and owners follow from the folder")
	}
	for what, change := range map[string]func(name string) error{
		"for all":       func(name string) error { return os.Chmod(name, 0o666) },
		"for the group": func(name string) error { return os.Chmod(name, 0o620) },
		"another's":     func(name string) error { return os.Chown(name, 12345, -1) },
	} {
		b := newBed(t)
		name := b.name(tempName("f"))
		b.must(os.WriteFile(name, []byte("theirs"), 0o600))
		if err := change(name); err != nil {
			t.Logf("%s: %v", what, err) // only root may give a file away
			continue
		}
		theirs, err := os.OpenFile(name, os.O_RDWR, 0)
		b.must(err)
		f, err := b.open(chain("."), "f", true)
		b.must(err)
		_, err = theirs.WriteAt([]byte("evil"), 0)
		b.must(err)
		if got, err := io.ReadAll(f); err != nil || len(got) != 0 {
			t.Errorf("%s: it holds %q, %v", what, got, err)
		}
		theirs.Close()
		f.Close()
	}
}

// TestALeftoverThatIsTooLong: of what another version left no more stays than
// belongs to the file.
func TestALeftoverThatIsTooLong(t *testing.T) {
	b := newBed(t)
	it := fileItem("f", "short")
	b.must(os.WriteFile(b.name(tempName("f")), []byte("what was longer"), 0o600))
	f, err := b.open(it.folder, "f", true)
	b.must(err)
	_, err = f.WriteAt([]byte("short"), 0)
	b.must(err)
	b.must(b.dressNew(it.folder, f, it.file))
	b.must(b.put(it.folder, f, it.file, standing{}))
	if b.is("f") != "short" {
		t.Errorf("there is %q", b.is("f"))
	}
}

// TestInPlace: the directory of a tree isn't made, nor marked, nor taken for one
// that an earlier restore made.
func TestInPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	if _, err := openInPlace(dir); firn.KindOf(err) != firn.NotFound {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("it was made")
	}
	to, err := openTarget(dir) // one that is killed leaves its mark
	if err != nil {
		t.Fatal(err)
	}
	to.close()
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	to, err = openInPlace(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer to.close()
	if err := to.finish(&firn.File{Kind: firn.Directory, Mode: 0o500, UID: -1, GID: -1, Stamp: firn.Stamp{ModTime: itsTime}}); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(dir)
	if err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("it was changed: %v, %v, %v", before, after, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openInPlace(filepath.Join(dir, "file")); err == nil {
		t.Error("a file was opened as a folder")
	}
}
