package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lowered, where it is set, makes TestLowerPriority lower its own priority.
const lowered = "FIRN_TEST_LOW_PRIORITY"

// TestLowerPriority runs in a process of its own, since nobody but root can take
// it back.
func TestLowerPriority(t *testing.T) {
	if os.Getenv(lowered) == "" {
		alone := exec.Command(os.Args[0], "-test.run=^TestLowerPriority$")
		alone.Env = append(os.Environ(), lowered+"=1")
		if out, err := alone.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := lowerPriority(); err != nil {
		t.Fatal(err)
	}
	threads, err := filepath.Glob("/proc/self/task/*")
	if err != nil || len(threads) < 2 {
		t.Fatalf("threads %v, %v", threads, err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(filepath.Base(thread))
		if err != nil {
			t.Fatal(err)
		}
		stat, err := os.ReadFile(filepath.Join(thread, "stat"))
		if err != nil {
			continue // it has ended
		}
		// Fields are counted behind the name, which may have blanks.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		io, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, uintptr(id), 0)
		if got := fmt.Sprintf("%s %d", fields[16], io>>13); errno == 0 && got != "19 3" {
			t.Errorf("thread %d has niceness and class %s", id, got)
		}
	}
}
