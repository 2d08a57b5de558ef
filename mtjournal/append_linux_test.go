package mtjournal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain is also the child of TestFullDisk.
func TestMain(m *testing.M) {
	if path := os.Getenv("MTJOURNAL_TEST_LIMIT"); path != "" {
		os.Exit(appendUntilLimit(path))
	}
	os.Exit(m.Run())
}

// appendUntilLimit appends to a journal of at most 1,000 bytes until that fails,
// and prints why. The kernel takes a piece of the last line first.
func appendUntilLimit(path string) int {
	limit := syscall.Rlimit{Cur: 1000, Max: 1000}
	a, err := OpenAppend(path)
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
	}
	for err == nil {
		err = a.Append(small("a"))
	}
	os.Stdout.WriteString(err.Error())
	return 0
}

// TestFullDisk: the kernel's short writes leave whole lines.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "MTJOURNAL_TEST_LIMIT="+path)
	said, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "the journal is as it was before"; !strings.Contains(string(said), want) {
		t.Errorf("it said %q", said)
	}
	has(t, path, strings.Repeat(smallLine("a"), 1000/len(smallLine("a"))))
}
