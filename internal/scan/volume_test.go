//go:build unix

package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn"
)

// write makes a file and the folders above it.
func write(t *testing.T, root, path, content string) {
	t.Helper()
	name := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// walkDisk walks a real tree with the real limits, and joins pieces.
func walkDisk(t *testing.T, root string) []*Dir {
	t.Helper()
	v, err := openVolume(root)
	if err != nil {
		t.Fatal(err)
	}
	return gather(t, v, Options{}, defaultLimits)
}

// TestMetadata: what the system says of a file arrives unchanged.
func TestMetadata(t *testing.T) {
	root := t.TempDir()
	write(t, root, "d/file", "four")
	file := filepath.Join(root, "d/file")
	mtime := time.Unix(-86400, 123456789)
	must(t, os.Chmod(filepath.Join(root, "d"), 0o755)) // whatever the umask is
	must(t, os.Chmod(file, 0o640|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
	must(t, os.Link(file, filepath.Join(root, "d/hard")))
	must(t, os.Symlink("/no/where\n", filepath.Join(root, "d/link")))
	must(t, os.Symlink(strings.Repeat("x", 3000), filepath.Join(root, "d/long")))
	must(t, os.Chtimes(file, mtime, mtime))
	must(t, os.Chtimes(filepath.Join(root, "d"), mtime, mtime))

	dirs := walkDisk(t, root)
	d := dirs[1]
	names := []string{}
	for _, f := range d.Files {
		names = append(names, f.Path)
	}
	if want := []string{"d/file", "d/hard", "d/link", "d/long"}; !slices.Equal(names, want) {
		t.Fatalf("files %q, want %q", names, want)
	}
	var st unix.Stat_t
	must(t, unix.Lstat(file, &st))
	want := firn.File{
		Path: "d/file",
		Kind: firn.Regular,
		Stamp: firn.Stamp{
			Size: 4, ModTime: mtime, Changed: time.Unix(st.Ctim.Unix()),
			Inode: uint64(st.Ino), Device: uint64(st.Dev),
		},
		Mode: 0o640 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky,
		UID:  os.Getuid(), GID: os.Getgid(), Links: 2,
	}
	if diff := gocmp.Diff(want, d.Files[0]); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	if link := d.Files[2]; link.Kind != firn.Symlink || link.Target != "/no/where\n" {
		t.Errorf("link: %+v", link)
	}
	if long := d.Files[3]; len(long.Target) != 3000 {
		t.Errorf("long link: %d bytes of target", len(long.Target))
	}
	if d.File.Kind != firn.Directory || d.File.Mode != 0o755 || !d.File.Stamp.ModTime.Equal(mtime) || d.Mount {
		t.Errorf("directory: %+v", d.File)
	}
	if dirs[0].File.Path != "" || dirs[0].File.Kind != firn.Directory || dirs[0].Mount {
		t.Errorf("root: %+v", dirs[0].File)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSpecialFiles: what has no content is skipped, and never opened: to open
// a pipe would hang.
func TestSpecialFiles(t *testing.T) {
	root := t.TempDir()
	must(t, unix.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	t.Chdir(root) // names of sockets are short
	l, err := net.Listen("unix", "socket")
	must(t, err)
	defer l.Close()
	want := []Skip{{Path: "pipe", Reason: "a named pipe"}, {Path: "socket", Reason: "a socket"}}
	if diff := gocmp.Diff(want, walkDisk(t, root)[0].Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if devices := walkDisk(t, "/dev")[0].Skipped; !slices.Contains(devices, Skip{Path: "null", Reason: "a device"}) {
		t.Errorf("of /dev was skipped: %v", devices)
	}
}

// TestNames: a name is bytes.
func TestNames(t *testing.T) {
	root := t.TempDir()
	want := []string{"/", "\x01", "\n", " ", "a b", "back\\slash", strings.Repeat("n", 255), "é", "\xff\xfe"}
	for _, name := range want[1:] {
		write(t, root, name, "")
	}
	if diff := gocmp.Diff(want, lines(walkDisk(t, root))); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// TestLargeDirectory comes in pieces, without any loss.
func TestLargeDirectory(t *testing.T) {
	root := t.TempDir()
	n := 2*defaultLimits.piece + 100
	for i := range n {
		write(t, root, fmt.Sprintf("%05d", i), "")
	}
	write(t, root, "00000d/x", "")
	dirs := walkDisk(t, root)
	if len(dirs) != 2 || len(dirs[0].Files) != n || !slices.IsSortedFunc(dirs[0].Files, func(a, b firn.File) int { return strings.Compare(a.Path, b.Path) }) {
		t.Errorf("%d directories, the first with %d files; want 2, %d in order", len(dirs), len(dirs[0].Files), n)
	}
}

// TestBeyondPathMax: trees may be deeper than a path in a system call can be.
func TestBeyondPathMax(t *testing.T) {
	root := t.TempDir()
	name := strings.Repeat("d", 200)
	fd, err := unix.Open(root, openFlags, 0)
	must(t, err)
	const depth = 30
	for range depth {
		must(t, unix.Mkdirat(fd, name, 0o755))
		sub, err := unix.Openat(fd, name, openFlags, 0)
		must(t, err)
		must(t, unix.Close(fd))
		fd = sub
	}
	must(t, unix.Symlinkat("target", fd, "bottom"))
	must(t, unix.Close(fd))
	dirs := walkDisk(t, root)
	if len(dirs) != depth+1 {
		t.Fatalf("%d directories, want %d", len(dirs), depth+1)
	}
	bottom := dirs[depth]
	if len(bottom.Files) != 1 || bottom.Files[0].Target != "target" || len(bottom.Files[0].Path) != depth*201+len("bottom") {
		t.Errorf("at the bottom: %+v, error %v", bottom.Files, bottom.Err)
	}
}

// TestLinksAreNotFollowed: a folder that a link replaced, after it was seen to
// be one, is not opened, in neither way.
func TestLinksAreNotFollowed(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, outside, "d/secret", "")
	write(t, root, "real/d/x", "")
	must(t, os.Symlink(outside, filepath.Join(root, "out")))
	must(t, os.Symlink("real", filepath.Join(root, "in")))
	v, err := openVolume(root)
	must(t, err)
	defer v.close()
	ways := map[string]func(string) (folder, error){
		"open":         v.open,
		"openStepwise": v.(unixVolume).openStepwise,
	}
	for name, open := range ways {
		for _, path := range []string{"out", "out/d", "in", "in/d", "real/x/d"} {
			if d, err := open(path); err == nil {
				t.Errorf("%s(%q) went through a link", name, path)
				d.close()
			}
		}
		for _, path := range []string{"real", "real/d"} {
			d, err := open(path)
			if err != nil {
				t.Errorf("%s(%q): %v", name, path, err)
				continue
			}
			d.close()
		}
	}
	if diff := gocmp.Diff([]string{"/", "in", "out", "real/", "real/d/", "real/d/x"}, lines(walkDisk(t, root))); diff != "" {
		t.Errorf("walked (-want +got):\n%s", diff)
	}
}

func TestRoots(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "")
	write(t, dir, "tree/x", "")
	must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	must(t, os.Symlink("tree", filepath.Join(dir, "link")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	tests := []struct {
		root string
		want []string
		kind firn.Kind
		says string
	}{
		{root: "tree", want: []string{"/", "x"}},
		{root: "tree/", want: []string{"/", "x"}},
		{root: "link", want: []string{"/", "x"}},
		{root: "empty", want: []string{"/"}},
		{root: "missing", kind: firn.NotFound, says: "no such directory; check the path, and whether the disk is mounted"},
		{root: "dangling", kind: firn.NotFound, says: "no such directory"},
		{root: "file", kind: firn.Usage, says: "not a directory; name the directory that holds it: " + dir},
		{root: "loop", kind: firn.Local, says: "too many levels of symbolic links"},
	}
	for _, tt := range tests {
		t.Run(tt.root, func(t *testing.T) {
			root := dir + "/" + tt.root
			var got []*Dir
			for d, err := range Walk(t.Context(), root, Options{}) {
				if d == nil {
					if firn.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), root) {
						t.Errorf("%v: want kind %v, %q and the root", err, tt.kind, tt.says)
					}
					continue
				}
				got = append(got, d)
			}
			if diff := gocmp.Diff(tt.want, lines(got)); diff != "" {
				t.Errorf("walked (-want +got):\n%s", diff)
			}
		})
	}
}

// asOther is set in a process that walks a tree as another user.
const asOther = "FIRN_TEST_WALK_AS_OTHER"

// TestPermission: what firn's user may not read is told, and passed over. The
// superuser may read all, so the walk happens in a process of another user.
func TestPermission(t *testing.T) {
	if root := os.Getenv(asOther); root != "" {
		checkPermission(t, root)
		return
	}
	root := t.TempDir()
	must(t, os.Chmod(filepath.Dir(root), 0o755)) // so that others come this far
	write(t, root, "a/x", "")
	write(t, root, "closed/x", "")
	write(t, root, "names only/x", "")
	write(t, root, "z/x", "")
	must(t, os.Chmod(filepath.Join(root, "closed"), 0o300))
	must(t, os.Chmod(filepath.Join(root, "names only"), 0o444))
	t.Cleanup(func() {
		os.Chmod(filepath.Join(root, "closed"), 0o755)
		os.Chmod(filepath.Join(root, "names only"), 0o755)
	})
	if os.Getuid() != 0 {
		checkPermission(t, root)
		return
	}
	runAsOther(t, root)
}

// runAsOther runs this test once more as nobody.
func runAsOther(t *testing.T, root string) {
	binary, err := os.ReadFile(os.Args[0]) // its folder is closed to others
	must(t, err)
	exe := filepath.Join(t.TempDir(), "test")
	must(t, os.WriteFile(exe, binary, 0o755))
	cmd := exec.Command(exe, "-test.run=^TestPermission$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), asOther+"="+root, "TMPDIR="+os.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestPermission") {
		t.Errorf("as another user: %v\n%s", err, out)
	}
}

func checkPermission(t *testing.T, root string) {
	dirs := walkDisk(t, root)
	want := []string{"/", "a/", "a/x", "closed/", "names only/", "z/", "z/x"}
	if diff := gocmp.Diff(want, lines(dirs)); diff != "" {
		t.Fatalf("walked (-want +got):\n%s", diff)
	}
	closed := dirs[2]
	if !errors.Is(closed.Err, fs.ErrPermission) || closed.File.Mode != 0o300 {
		t.Errorf("closed: error %v, %+v", closed.Err, closed.File)
	}
	if got := fmt.Sprint(closed.Err); got != "read directory closed: permission denied; allow firn's user to read it, or leave it out" {
		t.Errorf("says %q", got)
	}
	skipped := dirs[3].Skipped
	if len(skipped) != 1 || skipped[0].Path != "names only/x" || !skipped[0].Unseen || !errors.Is(skipped[0].Err, fs.ErrPermission) {
		t.Errorf("names only: skipped %v", skipped)
	}
}

// TestCancelledBefore: a walk that is cancelled before it starts says so.
func TestCancelledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range Walk(ctx, t.TempDir(), Options{}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
}
