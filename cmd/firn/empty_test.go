package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// A deletionLog is what a server's log says of deletions.
type deletionLog struct {
	mu      sync.Mutex
	lists   int            // inventories that were read
	asked   map[string]int // archive: lists when it was last asked for
	again   int            // archives that were asked for once more, after a further list
	wrong   []string       // archives that were asked for once more without one
	n       int            // deletions
	target  int            // of n, at which reached is called; 0: none
	reached func()
}

func (l *deletionLog) line(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case strings.Contains(line, " GetJobOutput "):
		l.lists++
	case strings.Contains(line, " DeleteArchive "):
		_, after, _ := strings.Cut(line, "/archives/")
		id, _, _ := strings.Cut(after, `"`)
		before, twice := l.asked[id]
		if twice && before == l.lists {
			l.wrong = append(l.wrong, id)
		} else if twice {
			l.again++
		}
		l.asked[id] = l.lists
		if l.n++; l.n == l.target {
			l.reached()
		}
	}
}

// kill runs a command, and kills it when so many deletions more were asked for: at
// that line of the log, so that few more are. It gives the exit status: -1 where it
// was killed.
func (l *deletionLog) kill(t *testing.T, more int, cmd *exec.Cmd) int {
	t.Helper()
	l.mu.Lock()
	if err := cmd.Start(); err != nil {
		l.mu.Unlock()
		t.Fatal(err)
	}
	l.target, l.reached = l.n+more, func() { cmd.Process.Kill() }
	l.mu.Unlock()
	cmd.Wait() // the state tells
	return cmd.ProcessState.ExitCode()
}

// fillVault makes a vault and uploads archives of a byte to it.
func fillVault(t *testing.T, endpoint, vault string, archives int) {
	t.Helper()
	env := wire.Env{Getenv: os.Getenv, Clock: clock.System{}, Events: firn.Discard}
	store, err := wire.Open(t.Context(), env, config.Location{Scheme: config.Glacier, Vault: vault, Region: "us-east-1"}, wire.Options{Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := treehash.NewDouble()
	d.Write([]byte{'x'})
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(64)
	for i := range archives {
		g.Go(func() error {
			_, err := store.UploadArchive(ctx, fmt.Sprint("archive ", i), io.NewSectionReader(bytes.NewReader([]byte{'x'}), 0, 1), d.Sums())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestKilledEmptyAsksForNothingTwice kills store empty twenty times, with a day's
// lag of inventories. In the end rounds of resume have deleted every archive and the
// vault, and none was asked for twice unless a later inventory listed it.
func TestKilledEmptyAsksForNothingTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a vault with thousands of archives")
	}
	const kills, archives = 20, 20_000
	const doubtful = 300 // so many or less are not asked for again after a kill
	log := &deletionLog{asked: map[string]int{}}
	service := clock.NewManual(time.Now())
	root := t.TempDir()
	keys := glacierd.KeyPair{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}
	server, err := glacierd.New(glacierd.Config{Root: root, Clock: service, Credentials: glacierd.Credentials(keys), Log: log.line})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { web.Close(); server.Close() })
	t.Setenv("AWS_ACCESS_KEY_ID", keys.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey)
	fillVault(t, web.URL, "v", archives)
	m := newMachine(t, "AWS_ENDPOINT_URL="+web.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey)

	service.Advance(25 * time.Hour)
	m.must(75, "store", "empty", "glacier:v", "--confirm", "v", "--and-delete")
	service.Advance(5 * time.Hour)
	for killed := range kills {
		cmd := m.command("resume", "--quiet", "--now")
		if status := log.kill(t, 1+rand.IntN(archives/kills-doubtful), cmd); status != -1 {
			t.Fatalf("call %d ended with status %d before it was killed", killed, status)
		}
	}
	rounds := 0
	for status := 75; status != 0; rounds++ {
		var out string
		if out, status = m.run("resume", "--now"); status != 0 && status != 75 || rounds > 40 {
			t.Fatalf("round %d: status %d\n%s", rounds, status, out)
		}
		service.Advance(6 * time.Hour)
	}
	t.Logf("%d deletions of %d archives, %d of them again, %d rounds", log.n, archives, log.again, rounds)
	if len(log.asked) != archives || len(log.wrong) > 0 {
		t.Errorf("%d archives were asked for, of %d; twice without an inventory: %q", len(log.asked), archives, log.wrong)
	}
	if _, err := os.Stat(filepath.Join(root, "v", "vault.db")); !os.IsNotExist(err) {
		t.Errorf("the vault is there still: %v", err)
	}
	if out := m.must(0, "status"); strings.Contains(out, "glacier:v") {
		t.Errorf("it is known still: %s", out)
	}
}
