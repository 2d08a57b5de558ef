package restore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn"
)

// newSmallBed gives a folder on a disk of its own, of 64 KiB
// and 64 files.
func newSmallBed(t *testing.T) *bed {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,nr_inodes=64"); err != nil {
		t.Skip("no disk of its own can be had: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, 0) })
	b := &bed{t: t, dir: dir}
	to, err := openTarget(dir)
	b.must(err)
	b.target = to
	t.Cleanup(func() { to.close() })
	return b
}

// fill leaves no room on the disk.
func (b *bed) fill() {
	b.t.Helper()
	b.must(os.Mkdir(b.name("filler"), 0o700))
	f, err := os.Create(b.name("filler/large"))
	b.must(err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		b.t.Fatal(err)
	}
	for err = nil; err == nil; {
		err = unix.Mknod(b.name(fmt.Sprint("filler/", rand.Text())), unix.S_IFREG|0o600, 0)
	}
	if !errors.Is(err, unix.ENOSPC) {
		b.t.Fatal(err)
	}
}

// TestFullDisk: what can't be written leaves the old file as it was, and is told
// apart; what is written already takes its place without more room.
func TestFullDisk(t *testing.T) {
	b := newSmallBed(t)
	b.write("f", "old text", itsTime)
	b.must(os.Symlink("old", b.name("l")))
	it := fileItem("f", "new text")
	was := b.look(it, Always)
	f := b.fetched(it, "new text")
	b.fill()

	_, err := b.create(chain("."), "other")
	if err := localError("restore", "other", err); firn.KindOf(err) != firn.Full {
		t.Errorf("a full disk: %v", err)
	}
	_, err = b.putLink(chain("."), linkItem("l", "new"), Always)
	if err := localError("restore", "l", err); firn.KindOf(err) != firn.Full || b.is("l") != "-> old" {
		t.Errorf("%v, and the link is %q", err, b.is("l"))
	}
	b.must(b.put(it.folder, f, it.file, was))
	if b.is("f") != "new text" {
		t.Errorf("there is %q", b.is("f"))
	}
	b.only(".", "f", "filler", "l")
}

// TestPipes: a pipe in a file's way keeps nobody waiting, and is neither taken
// for a leftover nor replaced.
func TestPipes(t *testing.T) {
	b := newBed(t)
	b.must(unix.Mkfifo(b.name(tempName("f")), 0o600))
	f, err := b.open(chain("."), "f", true)
	b.must(err)
	info, err := f.Stat()
	b.must(err)
	if !info.Mode().IsRegular() {
		t.Errorf("a %v was gone on with", info.Mode().Type())
	}
	b.discard(chain("."), f, "f")

	b.write("p", "old text", itsTime)
	seen, err := b.root.Lstat("p")
	b.must(err)
	b.must(os.Remove(b.name("p")))
	b.must(unix.Mkfifo(b.name("p"), 0o600))
	writer, err := os.OpenFile(b.name("p"), os.O_RDWR, 0) // so that a reader would wait
	b.must(err)
	defer writer.Close()
	if _, err := hashSeen(t.Context(), b.root, "p", seen); err == nil {
		t.Error("it was read")
	}
	if was := b.look(fileItem("p", "new text"), Always); was.stays == nil {
		t.Error("it would be replaced")
	}
	b.only(".", "p")
}
