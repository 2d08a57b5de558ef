package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	const when = "20130102T030405Z"
	switch i % 5 {
	case 0:
		return "mt2 " + encoded(`{"filename":"`+name+`","mtime":"`+when+`"}`)
	case 1:
		return "mt1 " + encoded(twice(`{"filename":"`+name+`","mtime":"`+when+`"}`))
	case 2:
		return "<m><v>2</v><p>" + base64.StdEncoding.EncodeToString([]byte(name)) + "</p><lm>" + when + "</lm></m>"
	case 3:
		return `{"Path":"` + strings.ReplaceAll(name, "ï", "+AO8-") + `","UTCDateModified":"` + when + `","Flags":0}`
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
	env := wire.Env{Getenv: os.Getenv, Clock: clock.System{}, Events: firn.Discard}
	store, err := wire.Open(t.Context(), env, config.Location{Scheme: config.Glacier, Vault: vault, Region: "us-east-1"}, wire.Options{Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// killedOr runs firn, kills it after d, and reports whether that came in time; else
// it gives the status.
func (m *machine) killedOr(d time.Duration, args ...string) (killed bool, status int, said string) {
	m.t.Helper()
	var out bytes.Buffer
	cmd := m.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	kill := time.AfterFunc(d, func() { cmd.Process.Kill() })
	defer kill.Stop()
	err := cmd.Wait()
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

// TestKilledMigrationMovesEverythingOnce moves a vault that five other programs
// filled to S3, and is killed twenty times on the way. In the end every name and
// byte is there, once; then the vault is emptied and deleted.
func TestKilledMigrationMovesEverythingOnce(t *testing.T) {
	v, kills := strangerVault{10_000}, 20
	if testing.Short() {
		v, kills = strangerVault{600}, 5
	}
	service := clock.NewManual(time.Now().Add(-longAgo)) // so that nothing is charged for the deletion
	keys := glacierd.KeyPair{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: service, Credentials: glacierd.Credentials(keys)})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { web.Close(); server.Close() })
	s3 := httptest.NewServer(s3test.New(s3test.Options{Buckets: []string{"bucket"}}))
	t.Cleanup(s3.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", keys.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey)
	vault := openVault(t, web.URL, "v")
	v.fill(t, vault)
	m := newMachine(t, "AWS_ENDPOINT_URL_GLACIER="+web.URL, "AWS_ENDPOINT_URL_S3="+s3.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey)
	service.Advance(longAgo + 25*time.Hour)

	migrate := []string{"migrate", "glacier:v", "s3:bucket/p", "--quiet", "--yes", "--bundle-below", "1K", "--bundle-size", "256K"}
	m.must(75, migrate...) // the inventory
	service.Advance(5 * time.Hour)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for killed := 0; killed < kills; {
		yes, status, said := m.killedOr(time.Duration(100+random.IntN(900))*time.Millisecond, migrate...)
		switch {
		case yes:
			killed++
			if random.IntN(3) == 0 {
				service.Advance(13 * time.Hour)
			}
		case status == 75:
			service.Advance(13 * time.Hour)
		case status == 0:
			t.Logf("killed %d times before it was done", killed)
			killed = kills
		default:
			t.Fatalf("status %d: %s", status, said)
		}
	}
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
