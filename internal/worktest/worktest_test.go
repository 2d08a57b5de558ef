package worktest_test

import (
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

func TestBenchTellsWhatHappened(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	b.Write("dir/b", "2")
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 2})
	if got := b.Files(firn.Sent); len(got) != 2 {
		t.Errorf("sent %q", got)
	}
	if got := b.Files(firn.Sent); len(got) != 0 {
		t.Errorf("told twice: %q", got)
	}
	if got := b.Stored(); got["a"] != 1 || got["dir/b"] != 1 || len(got) != 2 {
		t.Errorf("stored %v", got)
	}
	if tree := b.Tree(); tree.Files != 2 || tree.Name != "tree" {
		t.Errorf("tree %+v", tree)
	}
}
