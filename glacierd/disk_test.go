package glacierd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/testprog"
)

// A body whose bytes the disk does not take is not acknowledged, and nothing
// of it is kept; the next one is none the worse. The kernel is made to fail by
// strace, at one file.
func TestDiskErrors(t *testing.T) {
	strace := testprog.Need(t, "strace")
	for _, c := range []struct {
		name, inject string
		file         string // below the vault's folder
	}{
		{"sync of a body", "fsync:error=EIO", "archives/000/000/001"},
		{"full disk", "write:error=ENOSPC", "archives/000/000/001"},
		{"sync of a folder", "fsync:error=EIO:when=1", "archives/000/000"},
		{"new file", "openat:error=ENOSPC", "archives/000/000/001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			_, setup := open(t, glacierd.Config{Root: root})
			setup.createVault("v")
			call, _, _ := strings.Cut(c.inject, ":")
			child := startChild(t, root, strace, "-f", "-qq", "-o", "/dev/null", "-P", filepath.Join(root, "v", c.file), "-e", "trace="+call, "-e", "inject="+c.inject)
			body := pattern(mib)
			child.refuse(500, "ServiceUnavailableException", filepath.Base(c.file), "POST", "/-/vaults/v/archives", uploadHeaders(body), body)
			child.insist("POST", "/-/vaults/v/archives", uploadHeaders(body), body)
			if n := child.get("/-/vaults/v")["NumberOfArchives"]; n != 1.0 {
				t.Errorf("%v archives, want 1", n)
			}
			if files := bodies(t, root); len(files) != 1 {
				t.Errorf("bodies: %q", files)
			}
		})
	}
}

// insist repeats a request until it succeeds: strace counts by thread, so that
// what is to fail once may fail once more in another one.
func (c client) insist(method, path string, headers h, body []byte) {
	c.t.Helper()
	var r response
	var err error
	for range 50 {
		if r, err = c.try(method, path, headers, body); err == nil && r.status < 300 {
			return
		}
	}
	c.t.Fatalf("%s %s: %d %s, %v", method, path, r.status, r.body, err)
}

// A part that the disk does not take is missing, and can be sent again.
func TestDiskErrorInPart(t *testing.T) {
	strace := testprog.Need(t, "strace")
	root := t.TempDir()
	_, setup := open(t, glacierd.Config{Root: root})
	setup.createVault("v")
	upload := setup.initiate("v", mib, "")
	folder, err := filepath.Abs(filepath.Join(root, "v", "archives", "000", "000", "001"))
	if err != nil {
		t.Fatal(err)
	}
	child := startChild(t, root, strace, "-f", "-qq", "-o", "/dev/null", "-P", filepath.Join(folder, "00001"), "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1")
	whole := pattern(2 * mib)
	child.part("v", upload, 0, whole[:mib])
	child.refuse(500, "ServiceUnavailableException", "00001", "PUT", uploadsPath+"/"+upload, partHeaders(mib, whole[mib:]), whole[mib:])
	if parts := fmt.Sprint(child.get(uploadsPath + "/" + upload)["Parts"]); !strings.Contains(parts, "0-1048575") || strings.Contains(parts, "1048576-") {
		t.Errorf("parts %s", parts)
	}
	if _, err := os.Stat(filepath.Join(folder, "00001")); !os.IsNotExist(err) {
		t.Errorf("the part that failed: %v", err)
	}
	child.insist("PUT", uploadsPath+"/"+upload, partHeaders(mib, whole[mib:]), whole[mib:])
	child.do(201, "POST", uploadsPath+"/"+upload, completeHeaders(whole), nil)
}
