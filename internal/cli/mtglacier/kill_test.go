package mtglacier

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/heap"
)

// asProgram makes the test program mtglacier.
const asProgram = "TEST_AS_MTGLACIER"

func TestMain(m *testing.M) {
	heap.Set() // as in firn, since both the program and the server are measured
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	os.Exit(Main(context.Background(), os.Args[1:], Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Dir: dir, Clock: clock.System{}}))
}

// TestKills: a sync that is killed again and again stores every file, sends no part
// of a large one twice that was recorded, and no archive in the vault is one that
// neither the journal nor the catalog knows.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts many processes")
	}
	b := made(t)
	const files, kills = 200, 20
	for i := range files {
		b.write(fmt.Sprintf("tree/%03d", i), fmt.Sprintf("file %d\n", i))
	}
	b.write("tree/big", strings.Repeat("0123456789abcdef", 12*mib/16))
	var victim atomic.Pointer[os.Process]
	var left atomic.Int64
	b.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if p := victim.Load(); p != nil && r.Method != http.MethodGet && left.Add(-1) == 0 {
			p.Kill()
		}
		return false
	})
	random := rand.New(rand.NewPCG(1, 2))
	for range kills {
		left.Store(1 + random.Int64N(25))
		cmd := b.program(syncing3 + " --partsize=1 --concurrency=3")
		b.must(cmd.Start())
		victim.Store(cmd.Process)
		cmd.Wait()
		victim.Store(nil)
	}
	if out, err := b.program(syncing3 + " --partsize=1").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.checkAccounted(files + 1)
}

// program is mtglacier as a process of its own.
func (b *bench) program(line string) *exec.Cmd {
	b.t.Helper()
	cmd := exec.Command(os.Args[0], append(strings.Fields(line), "--config=glacier.cfg")...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), asProgram+"=1", "HOME="+b.home, "FIRN_HOME="+b.home, "MTGLACIER_FAKE_HOST="+b.host)
	return cmd
}

// checkAccounted checks that the journal has so many files, all of whose archives
// are in the vault, and that the catalog knows what else is there.
func (b *bench) checkAccounted(files int) {
	b.t.Helper()
	j, err := (&runner{Options: &Options{Journal: "journal", Filter: filter.New(filter.Options{KeepLitter: true})}, env: b.env(nil, nil)}).readJournal(true)
	b.must(err)
	named := 0
	for range j.state.Files() {
		named++
	}
	if named != files {
		b.t.Errorf("the journal has %d files, not %d", named, files)
	}
	cat := b.catalog()
	defer cat.Close()
	stores, err := cat.Stores(b.t.Context())
	b.must(err)
	intents, err := cat.OpenIntents(b.t.Context(), stores[0].ID)
	b.must(err)
	doubtful := map[firn.Token]bool{}
	for _, in := range intents {
		doubtful[in.Token] = true
	}
	doubts, err := cat.Doubts(b.t.Context(), stores[0].ID)
	b.must(err)
	for _, d := range doubts {
		doubtful[d.Token] = true
	}
	there := map[string]bool{}
	b.each(func(a firn.Archive) error {
		there[string(a.ID)] = true
		token, _ := describe.TokenOf(a.Description)
		if !j.has(string(a.ID)) && !doubtful[token] {
			b.t.Errorf("archive %s of %s is known to nobody", a.ID, describe.Decode(a.Description).Path)
		}
		return nil
	})
	for rec := range j.state.All() {
		if !there[rec.Archive] {
			b.t.Errorf("archive %s of %s is not in the vault", rec.Archive, rec.Path)
		}
	}
	b.t.Logf("%d archives, %d lines, %d in doubt", len(there), j.state.Len(), len(doubtful))
}

// each reads an inventory of the vault as it is, two virtual days later.
func (b *bench) each(each func(firn.Archive) error) {
	b.t.Helper()
	s := b.session()
	defer s.close()
	b.service.Advance(48 * time.Hour)
	id, err := s.store.StartInventory(b.t.Context(), firn.InventorySpec{})
	b.must(err)
	b.service.Advance(6 * time.Hour)
	_, err = s.store.Inventory(b.t.Context(), id, each)
	b.must(err)
}
