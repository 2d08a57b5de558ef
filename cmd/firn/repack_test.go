package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRepackThroughKills: a repacking that is killed again and again, with rounds
// of resume and syncs between, loses nothing, and ends with all bundles full.
func TestRepackThroughKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it kills many processes")
	}
	m := newMachine(t)
	tree := filepath.Join(m.home, "tree")
	vault := "local:" + filepath.Join(m.home, "vault")
	key, _, _ := strings.Cut(m.must(0, "key", "new"), "\n")
	store := []string{"sync", tree, vault, "--recipient", key, "--bundle-size", "2M", "--expect-changes"}
	const files = 3000
	name := func(i int) string { return filepath.Join(tree, fmt.Sprintf("d%d/f%04d", i%7, i)) }
	for i := range files {
		write(t, name(i), 3000+i, uint64(i))
	}
	m.must(0, store...)
	for i := range files {
		if i%5 != 0 {
			if err := os.Remove(name(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.must(0, store...)
	args := []string{"prune", vault, "--removed-older-than", "0d", "--repack"}
	kills, status := 0, cut
	for status == cut && kills < 60 {
		if status = m.cut(longer(60*time.Millisecond, kills), args...); status != cut {
			break
		}
		kills++
		switch kills % 6 {
		case 3:
			m.must(0, "resume")
		case 5:
			m.must(0, store...)
		}
	}
	if status != 0 || kills < 3 {
		t.Errorf("after %d kills the status is %d", kills, status)
	}
	t.Logf("%d kills", kills)
	if out := m.must(0, args...); !strings.Contains(out, "repacked 0 bundles") || strings.Contains(out, "are needed by no version") {
		t.Errorf("once more it says %s", out)
	}
	m.must(0, "catalog", "check")
	back := filepath.Join(m.home, "back")
	m.must(0, "restore", vault, "--to", back, "--wait")
	sameTree(t, tree, back)
}
