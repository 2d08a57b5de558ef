package mtglacier

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCheckCannotOpen: a file that may not be read is an error, and the others are
// compared all the same.
func TestCheckCannotOpen(t *testing.T) {
	b := newBench(t)
	b.write("tree/a", "a")
	closed := filepath.Join(b.dir, "tree/closed")
	// For root, only the kernel has files that nobody may read.
	const ofKernel = "/proc/sys/vm/compact_memory"
	b.must(os.WriteFile(closed, []byte("c"), 0))
	if f, err := os.Open(closed); err == nil {
		f.Close()
		b.must(os.Remove(closed), os.Symlink(ofKernel, closed))
	}
	if f, err := os.Open(closed); err == nil {
		f.Close()
		t.Skip("there is no file that may not be read")
	}
	if _, err := os.Stat(closed); err != nil {
		t.Skip(err)
	}
	const hash = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" // of "a"
	b.write("journal", "B\t1\tCREATED\tC\t1\tNONE\t"+hash+"\tclosed\nB\t1\tCREATED\tA\t1\t1352924178\t"+hash+"\ta\n")
	b.fails("check-local-hash --dir tree --journal journal", "1 files are not what the journal says")
	lines := strings.Split(b.stdout, "\n")[2:]
	want := []string{"CANNOT OPEN file closed: permission denied", "OK a 1 " + hash, "TOTALS:", "1 OK", "0 MODIFICATION TIME MISSMATCHES",
		"0 TREEHASH MISSMATCH", "0 SIZE MISSMATCH", "0 ZERO SIZE", "0 MISSED", "1 ERRORS", ""}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

// TestCheckOrder: many files are told of in the order of the journal, however
// many are read at once.
func TestCheckOrder(t *testing.T) {
	b := newBench(t)
	const hash = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" // of "a"
	var journal, want strings.Builder
	for i := range 200 {
		name := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		b.write("tree/"+name, "a")
		journal.WriteString("1355666755 CREATED " + name + " 1 " + hash + " " + name + "\n") // version 0: no time
		want.WriteString("OK " + name + " 1 " + hash + "\n")
	}
	b.write("journal", journal.String())
	lines := b.ok("check-local-hash --dir tree --journal journal")
	if got := strings.Join(lines[:200], "\n") + "\n"; got != want.String() {
		t.Errorf("got\n%s", got)
	}
	if lines[201] != "200 OK" {
		t.Errorf("%q", lines[200:])
	}
}
