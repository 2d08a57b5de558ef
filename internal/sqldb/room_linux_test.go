package sqldb_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn/internal/sqldb"
)

// TestRoomOnAFullDisk: what a log can't have it gives back, and writes go on.
func TestRoomOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("no small file system can be mounted: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "x.db")
	db := open(t, path, options)
	for k := range sqldb.RoomAfter + 20 {
		if err := insert(db, k, strings.Repeat("v", 100)); err != nil {
			t.Fatalf("write %d: %v", k, err)
		}
	}
	if n := logSize(t, path); n > 1<<20 {
		t.Errorf("the log has %d bytes", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 1<<20), 0o600); err != nil {
		t.Errorf("the room that there was is gone: %v", err)
	}
}
