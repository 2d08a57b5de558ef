package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// longAgo is when the archives were made that move.
const longAgo = 120 * 24 * time.Hour

// when is the time of all files, but of those whose descriptions have none.
var when = time.Date(2013, 1, 2, 3, 4, 5, 0, time.UTC)

// A strangerVault is what five programs left in a vault: descriptions and contents
// by their number.
type strangerVault struct{ archives int }

// name is the path by which an archive's maker called it.
func (strangerVault) name(i int) string {
	program := [...]string{"mt2", "mt1", "fastglacier", "cloudberry", "plain"}[i%5]
	return fmt.Sprintf("%s/dir%d/fïle%d", program, i/100, i)
}

// description is as each of the programs writes it.
func (v strangerVault) description(i int) string {
	name := v.name(i)
	encoded := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	twice := func(s string) string { // UTF-8 of bytes taken for Latin-1
		var out []rune
		for _, b := range []byte(s) {
			out = append(out, rune(b))
		}
		return string(out)
	}
	stamp := when.Format("20060102T150405Z")
	switch i % 5 {
	case 0:
		return "mt2 " + encoded(`{"filename":"`+name+`","mtime":"`+stamp+`"}`)
	case 1:
		return "mt1 " + encoded(twice(`{"filename":"`+name+`","mtime":"`+stamp+`"}`))
	case 2:
		return "<m><v>2</v><p>" + base64.StdEncoding.EncodeToString([]byte(name)) + "</p><lm>" + stamp + "</lm></m>"
	case 3:
		return `{"Path":"` + strings.ReplaceAll(name, "ï", "+AO8-") + `","UTCDateModified":"` + stamp + `","Flags":0}`
	}
	return strings.ReplaceAll(name, "ï", "i")
}

// path is where a restore puts an archive.
func (v strangerVault) path(i int) string {
	if i%5 == 4 {
		return strings.ReplaceAll(v.name(i), "ï", "i")
	}
	return v.name(i)
}

// content is another for each archive: mostly small, some large, one in parts.
func (v strangerVault) content(i int) []byte {
	size := 10 + i%1500
	switch {
	case i == 7:
		size = 40<<20 + 1
	case i%500 == 3:
		size = 2 << 20
	}
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}).Read(data)
	copy(data, fmt.Sprintf("%08d", i))
	return data
}

// fill makes the vault.
func (v strangerVault) fill(t *testing.T, store firn.Store) {
	t.Helper()
	if err := store.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(32)
	for i := range v.archives {
		g.Go(func() error {
			data := v.content(i)
			d := treehash.NewDouble()
			d.Write(data)
			_, err := store.UploadArchive(ctx, v.description(i), io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), d.Sums())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// openVault opens a vault of a server.
func openVault(t *testing.T, endpoint, vault string) firn.Store {
	t.Helper()
	return openStore(t, endpoint, config.Location{Scheme: config.Glacier, Vault: vault, Region: "us-east-1"})
}

// openStore opens a store of a server.
func openStore(t *testing.T, endpoint string, loc config.Location) firn.Store {
	t.Helper()
	env := wire.Env{Getenv: os.Getenv, Clock: clock.System{}, Events: firn.Discard}
	store, err := wire.Open(t.Context(), env, loc, wire.Options{Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// A reaper kills a process at one of its requests: before a server has done what it
// asks, or before the answer goes.
type reaper struct {
	mu      sync.Mutex
	process *os.Process // nil: nobody is to be killed
	left    int         // requests
	late    bool
}

// around gives a server that the reaper stands before.
func (r *reaper) around(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.left--
		strikes := r.process != nil && r.left == 0
		if strikes && !r.late {
			r.process.Kill()
			r.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		r.mu.Unlock()
		server.ServeHTTP(w, q)
		if strikes {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.process != nil {
				r.process.Kill()
			}
		}
	})
}

// run runs firn, kills it at one of its requests, and reports whether it came to
// that; else it gives the status.
func (r *reaper) run(m *machine, requests int, late bool, args ...string) (killed bool, status int, said string) {
	m.t.Helper()
	var out bytes.Buffer
	cmd := m.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	r.mu.Lock()
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	r.process, r.left, r.late = cmd.Process, requests, late
	r.mu.Unlock()
	err := cmd.Wait()
	r.mu.Lock()
	r.process = nil
	r.mu.Unlock()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return exit != nil && exit.ExitCode() == -1, cmd.ProcessState.ExitCode(), out.String()
}

// wait lets time pass for the jobs that were asked for, by this machine's clock, too.
func (m *machine) wait(t *testing.T, d time.Duration) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(m.home, "data", "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE job SET asked = asked - ?", int64(d/time.Second)); err != nil {
		t.Fatal(err)
	}
}

// archivesVar says how many archives the killed migration has. That of ten thousand takes
// two minutes on two busy cores:
//
//	FIRN_MIGRATE_ARCHIVES=10000 go test -run TestKilledMigrationMovesEverythingOnce -timeout 40m ./cmd/firn
const archivesVar = "FIRN_MIGRATE_ARCHIVES"

// TestKilledMigrationMovesEverythingOnce moves a vault that five other programs
// filled to S3, and is killed twenty times on the way. In the end every name and
// byte is there, once; then the vault is emptied and deleted, and other machines
// have all of it from S3 alone.
func TestKilledMigrationMovesEverythingOnce(t *testing.T) {
	v, kills := strangerVault{1000}, 20
	if testing.Short() {
		v, kills = strangerVault{200}, 4
	}
	if n, err := strconv.Atoi(os.Getenv(archivesVar)); err == nil {
		v.archives = n
	}
	service := clock.NewManual(time.Now().Add(-longAgo)) // so that nothing is charged for the deletion
	keys := glacierd.KeyPair{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: service, Credentials: glacierd.Credentials(keys)})
	if err != nil {
		t.Fatal(err)
	}
	r := &reaper{}
	web := httptest.NewServer(r.around(server))
	t.Cleanup(func() { web.Close(); server.Close() })
	s3 := httptest.NewServer(r.around(s3test.New(s3test.Options{Buckets: []string{"bucket"}})))
	t.Cleanup(s3.Close)
	for _, each := range []*httptest.Server{web, s3} {
		each.Config.ErrorLog = log.New(io.Discard, "", 0) // who was killed broke off
	}
	t.Setenv("AWS_ACCESS_KEY_ID", keys.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey)
	vault := openVault(t, web.URL, "v")
	v.fill(t, vault)
	env := []string{"AWS_ENDPOINT_URL_GLACIER=" + web.URL, "AWS_ENDPOINT_URL_S3=" + s3.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=" + keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + keys.SecretAccessKey}
	m := newMachine(t, env...)
	service.Advance(longAgo + 25*time.Hour)

	migrate := []string{"migrate", "glacier:v", "s3:bucket/p", "--quiet", "--yes", "--bundle-below", "300", "--bundle-size", "256K"}
	m.must(75, migrate...) // the inventory
	service.Advance(5 * time.Hour)
	killMigration(t, m, r, service, kills, v.archives/kills, migrate)
	for tries := 0; ; tries++ {
		said, status := m.run(migrate...)
		if status == 0 {
			break
		}
		if status != 75 || tries == 20 {
			t.Fatalf("status %d: %s", status, said)
		}
		service.Advance(13 * time.Hour)
		m.wait(t, 13*time.Hour)
	}
	m.must(0, "catalog", "check")
	v.check(t, m)
	if said := m.must(0, migrate...); strings.Contains(said, "failed") {
		t.Errorf("once more: %s", said)
	}
	finish(t, m, service, vault)
	v.recovered(t, newMachine(t, env...), 0)
	deleteSnapshots(t, m, openStore(t, s3.URL, config.Location{Scheme: config.S3, Bucket: "bucket", Prefix: "p", Region: "us-east-1"}))
	v.recovered(t, newMachine(t, env...), 3) // the store says that there were some
}

// killMigration runs a migration until it was killed so often, each time at one of so
// many requests.
func killMigration(t *testing.T, m *machine, r *reaper, service *clock.Manual, kills, most int, args []string) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for killed, calls := 0, 0; killed < kills; calls++ {
		yes, status, said := r.run(m, 1+random.IntN(most), random.IntN(2) == 0, args...)
		switch {
		case yes:
			if killed++; random.IntN(4) == 0 {
				service.Advance(13 * time.Hour)
			}
		case status == 75 && calls < 10*kills:
			service.Advance(13 * time.Hour)
		default:
			t.Fatalf("killed %d times of %d; status %d: %s", killed, kills, status, said)
		}
	}
}

// recovered compares what a machine has back that knows nothing but the store, and to
// which that has given all that it has, with a status.
func (v strangerVault) recovered(t *testing.T, m *machine, want int) {
	t.Helper()
	for tries := 1; ; tries++ { // a snapshot has its time, too
		said, status := m.run("recover", "s3:bucket/p", "--yes", "--quiet")
		if status == want {
			break
		}
		if status != 75 || tries == 5 {
			t.Fatalf("recover: status %d: %s", status, said)
		}
	}
	m.must(0, "catalog", "check")
	v.check(t, m)
}

// deleteSnapshots deletes what a machine knows of as snapshots.
func deleteSnapshots(t *testing.T, m *machine, store firn.Store) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(m.home, "data", "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT remote FROM archive a JOIN store s ON s.id = a.store WHERE s.url LIKE 's3:%' AND a.kind = 'catalog' AND a.state = 10")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var id firn.ArchiveID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		if err := store.DeleteArchive(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil || n == 0 {
		t.Fatalf("%d snapshots, %v", n, err)
	}
}

// check compares what comes back from S3 with what was in the vault.
func (v strangerVault) check(t *testing.T, m *machine) {
	t.Helper()
	out := filepath.Join(m.home, "out")
	for tries := 1; ; tries++ { // it thaws at once
		said, status := m.run("restore", "s3:bucket/p", "--to", out, "--yes", "--quiet")
		if status == 0 {
			break
		}
		if status != 75 || tries == 5 {
			t.Fatalf("restore: status %d: %s", status, said)
		}
	}
	names := map[string]bool{}
	for i := range v.archives {
		path := v.path(i)
		names[path] = true
		data, err := os.ReadFile(filepath.Join(out, path))
		if err != nil || !bytes.Equal(data, v.content(i)) {
			t.Errorf("%s: %d bytes that differ, or %v", path, len(data), err)
		}
		if info, err := os.Stat(filepath.Join(out, path)); i%5 != 4 && (err != nil || !info.ModTime().Equal(when)) {
			t.Errorf("%s is not of its time: %v, %v", path, info, err)
		}
	}
	for path, entry := range listing(t, out) {
		if !names[path] && !strings.HasPrefix(entry, "d") {
			t.Errorf("%s was never in the vault", path)
		}
	}
	if list := m.must(0, "archive", "list", "s3:bucket/p", "--json"); strings.Count(list, `"state":"stored"`) > v.archives {
		t.Errorf("%d archives of %d", strings.Count(list, `"state":"stored"`), v.archives)
	}
}

// finish empties and deletes the vault, over the service's days.
func finish(t *testing.T, m *machine, service *clock.Manual, vault firn.Store) {
	t.Helper()
	service.Advance(25 * time.Hour)
	said := ""
	for range 10 {
		var status int
		said, status = m.run("migrate", "--finish", "glacier:v", "s3:bucket/p", "--confirm", "v", "--quiet", "--yes")
		switch status {
		case 0:
			if _, err := vault.Describe(t.Context()); firn.KindOf(err) != firn.NotFound {
				t.Errorf("the vault after that: %v", err)
			}
			return
		case 75:
			service.Advance(25 * time.Hour)
			m.wait(t, 25*time.Hour)
		default:
			t.Fatalf("status %d: %s", status, said)
		}
	}
	t.Errorf("the vault is still there after ten days: %s", said)
}
