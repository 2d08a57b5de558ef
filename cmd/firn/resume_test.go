package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKilledSyncIsFinishedByResume kills a sync, and the rounds of resume that go
// on with it, at random moments. In the end a round has sent what was left, once,
// and nothing is pending.
func TestKilledSyncIsFinishedByResume(t *testing.T) {
	kills := 12
	if testing.Short() {
		kills = 3
	}
	m := newMachine(t)
	tree, vault := filepath.Join(m.home, "tree"), filepath.Join(m.home, "vault")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	fuse := &fuse{random: random}
	batch := 0
	more := func() {
		batch++
		write(t, filepath.Join(tree, fmt.Sprintf("large%d", batch)), 24<<20+batch, uint64(batch))
		for i := range 50 {
			write(t, filepath.Join(tree, fmt.Sprintf("dir%d/file%d", batch, i)), 1000+i, uint64(batch*1000+i))
		}
	}
	isPending := func() bool {
		out, _ := m.run("status")
		return strings.Contains(out, "firn resume goes on with: firn sync ")
	}
	for killed := 0; killed < kills; {
		more()
		if !m.killed(fuse.time(), "sync", "--quiet", "--part-size", "1", tree, "local:"+vault) {
			fuse.tooLate()
			continue
		}
		if !isPending() {
			fuse.tooEarly()
			continue
		}
		for killed++; killed < kills && m.killed(fuse.time(), "resume", "--quiet"); killed++ {
			if !isPending() {
				break // it was killed behind its end
			}
		}
	}
	if out := m.must(0, "resume"); isPending() {
		t.Errorf("still pending after a round:\n%s", out)
	}
	if out := m.must(0, "resume"); !strings.Contains(out, "nothing is pending") {
		t.Errorf("a further round: %s", out)
	}
	if out := m.must(0, "sync", tree, "local:"+vault); !strings.Contains(out, "nothing to send") {
		t.Errorf("a sync afterwards: %s", out)
	}
	m.must(0, "status")
	s := inspect(t, openLocal(t, vault))
	if s.uploads > 0 {
		t.Errorf("%d uploads left open", s.uploads)
	}
	for token, archives := range s.archives {
		if len(archives) != 1 {
			t.Errorf("%d archives with the token %s", len(archives), token)
		}
	}
}

// TestResumeBringsARestoreBack over the service's hours, by rounds alone.
func TestResumeBringsARestoreBack(t *testing.T) {
	server := newLaggingServer(t)
	m := newMachine(t, server.env...)
	tree, out := filepath.Join(m.home, "tree"), filepath.Join(m.home, "out")
	for i := range 40 {
		write(t, filepath.Join(tree, fmt.Sprintf("f%02d", i)), 2000+i, uint64(i))
	}
	m.must(0, "store", "create", "glacier:v")
	m.must(0, "sync", tree, "glacier:v")
	m.must(75, "restore", "glacier:v", "--to", out)
	m.must(75, "resume")
	server.clock.Advance(time.Hour)
	if said := m.must(75, "resume"); !strings.Contains(said, "not done yet: firn restore glacier:v --to ") {
		t.Errorf("after an hour: %s", said)
	}
	server.clock.Advance(12 * time.Hour)
	m.must(0, "resume")
	sameTree(t, tree, out)
	if said := m.must(0, "resume"); !strings.Contains(said, "nothing is pending") {
		t.Errorf("a further round: %s", said)
	}
	m.must(0, "status")
}
