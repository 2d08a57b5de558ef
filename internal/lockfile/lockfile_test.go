package lockfile_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/firn-archive/firn/internal/lockfile"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("LOCKFILE_TEST_HOLD"); path != "" {
		holdUntilKilled(path)
	}
	os.Exit(m.Run())
}

func holdUntilKilled(path string) {
	if _, err := lockfile.Acquire(path, "the child"); err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString("held\n")
	select {}
}

func TestSecondIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := lockfile.Acquire(path, "sync of photos, pid 7")
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockfile.Acquire(path, "another")
	if !errors.Is(err, lockfile.ErrHeld) || !strings.Contains(err.Error(), "sync of photos, pid 7") {
		t.Errorf("second: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	l, err = lockfile.Acquire(path, "third")
	if err != nil {
		t.Fatalf("after Unlock: %v", err)
	}
	l.Unlock()
}

func TestKilledHolderLeavesNoLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "LOCKFILE_TEST_HOLD="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 5)); n == 0 {
		t.Fatalf("the child holds nothing: %v", err)
	}
	if _, err := lockfile.Acquire(path, ""); !errors.Is(err, lockfile.ErrHeld) {
		t.Errorf("while the child lives: %v", err)
	}
	child.Process.Kill()
	child.Wait()
	l, err := lockfile.Acquire(path, "")
	if err != nil {
		t.Fatalf("after its death: %v", err)
	}
	l.Unlock()
}

// TestRemovedFile: who removes the file of a lock that he holds lets nobody in beside
// the next holder, whoever had it open by then.
func TestRemovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var holders, taken atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for taken.Load() < 500 && !t.Failed() {
				l, err := lockfile.Acquire(path, "")
				if errors.Is(err, lockfile.ErrHeld) {
					runtime.Gosched()
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				taken.Add(1)
				if holders.Add(1) > 1 {
					t.Error("two hold it")
				}
				runtime.Gosched()
				holders.Add(-1)
				os.Remove(path)
				l.Unlock()
			}
		})
	}
	all.Wait()
}
