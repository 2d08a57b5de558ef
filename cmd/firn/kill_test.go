package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// A machine is a user's machine: a home of its own, and the environment.
type machine struct {
	t    *testing.T
	home string
	env  []string
}

func newMachine(t *testing.T, env ...string) *machine {
	home := t.TempDir()
	base := []string{
		programVar + "=1", "HOME=" + home, "FIRN_HOME=" + filepath.Join(home, "data"), "FIRN_HOST=here",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"TMPDIR=" + os.TempDir(), "GOCOVERDIR=" + os.Getenv("GOCOVERDIR"),
	}
	return &machine{t, home, append(base, env...)}
}

func (m *machine) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = m.env
	return cmd
}

// run runs firn and gives its output and its exit status.
func (m *machine) run(args ...string) (string, int) {
	m.t.Helper()
	out, err := m.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	status := 0
	if exit != nil {
		status = exit.ExitCode()
	}
	return string(out), status
}

// must runs firn, which must end with the given status.
func (m *machine) must(status int, args ...string) string {
	m.t.Helper()
	out, got := m.run(args...)
	if got != status {
		m.t.Fatalf("firn %s: status %d, want %d\n%s", strings.Join(args, " "), got, status, out)
	}
	return out
}

// killed runs firn, kills it after d, and reports whether that came in time.
func (m *machine) killed(d time.Duration, args ...string) bool {
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
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.ExitCode() == -1:
		return true
	}
	m.t.Fatalf("firn %s: %v\n%s", strings.Join(args, " "), err, &out)
	return false
}

// A fuse says how long a process has until it is killed: at random, up to about what
// it takes on this machine, as busy as that is, which shows.
type fuse struct {
	random *rand.Rand
	most   time.Duration // 0: shortFuse
}

const shortFuse = 400 * time.Millisecond

func (f *fuse) time() time.Duration {
	f.most = max(f.most, shortFuse)
	return 20*time.Millisecond + time.Duration(f.random.Int64N(int64(f.most)))
}

// tooEarly notes that a process was killed before it had done anything.
func (f *fuse) tooEarly() { f.most *= 2 }

// tooLate notes that one was done before.
func (f *fuse) tooLate() { f.most /= 2 }

// longer is d, ten percent longer for each of n kills: in the end it is enough,
// however busy the machine is.
func longer(d time.Duration, n int) time.Duration {
	return time.Duration(float64(d) * math.Pow(1.1, float64(n)))
}

// write fills a file with pseudo-random bytes.
func write(t *testing.T, path string, size int, seed uint64) {
	t.Helper()
	var key [32]byte
	copy(key[:], fmt.Sprintf("%d", seed))
	data := make([]byte, size)
	rand.NewChaCha8(key).Read(data)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A stored is what a store holds: archives by token, and open uploads.
type stored struct {
	archives map[firn.Token][]firn.Archive
	uploads  int
}

// checkOnce looks whether each archive, and each content, is there once, and no
// upload is open.
func (s stored) checkOnce(t *testing.T) {
	t.Helper()
	if s.uploads > 0 {
		t.Errorf("%d uploads left open", s.uploads)
	}
	contents := map[string]int{}
	for token, archives := range s.archives {
		if len(archives) != 1 {
			t.Errorf("%d archives with the token %s", len(archives), token)
		}
		for _, a := range archives {
			contents[a.Tree.String()]++
		}
	}
	for hash, n := range contents {
		if n != 1 {
			t.Errorf("content %s is stored %d times", hash, n)
		}
	}
}

// inspect looks into a store, past firn's catalog.
func inspect(t *testing.T, store firn.Store) stored {
	t.Helper()
	s := stored{archives: map[firn.Token][]firn.Archive{}}
	for _, err := range store.Uploads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s.uploads++
	}
	job, err := store.StartInventory(t.Context(), firn.InventorySpec{Description: "test"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Inventory(t.Context(), job, func(a firn.Archive) error {
		token, ok := describe.TokenOf(a.Description)
		if !ok {
			t.Errorf("an archive without token: %s", a.Description)
		}
		s.archives[token] = append(s.archives[token], a)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sameTree fails unless both folders hold the same files, times and modes.
func sameTree(t *testing.T, want, got string) {
	t.Helper()
	a, b := listing(t, want), listing(t, got)
	for path, entry := range a {
		if b[path] != entry {
			t.Errorf("%s: %s, want %s", path, b[path], entry)
		}
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			t.Errorf("%s: not in the original", path)
		}
	}
}

func listing(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		entry := fmt.Sprintf("%v %v", info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			entry += fmt.Sprintf(" %d bytes %x", len(data), firnHash(data))
		}
		out[rel] = entry
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestKilledSyncStoresEverythingOnce kills sync twenty times at random moments.
// After the last run nothing is missing, nothing is stored twice, and no upload
// is left open.
func TestKilledSyncStoresEverythingOnce(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 5
	}
	m := newMachine(t)
	tree, vault := filepath.Join(m.home, "tree"), filepath.Join(m.home, "vault")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	batch := 0
	more := func() {
		batch++
		write(t, filepath.Join(tree, fmt.Sprintf("large%d", batch)), 66<<20+batch, uint64(batch))
		for i := range 100 {
			write(t, filepath.Join(tree, fmt.Sprintf("dir%d/file%d", batch, i)), 1000+i, uint64(batch*1000+i))
		}
	}
	more()
	for killed := 0; killed < kills; {
		d := time.Duration(20+random.IntN(400)) * time.Millisecond
		if m.killed(d, "sync", "--quiet", "--part-size", "1", tree, "local:"+vault) {
			killed++
		} else if batch < 8 {
			more()
		} else {
			write(t, filepath.Join(tree, fmt.Sprintf("more%d", killed)), 5000, random.Uint64())
		}
	}
	m.must(0, "sync", tree, "local:"+vault)
	if out := m.must(0, "sync", tree, "local:"+vault); !strings.Contains(out, "nothing to send") {
		t.Errorf("a further sync: %s", out)
	}
	m.must(0, "status")

	store := openLocal(t, vault)
	s := inspect(t, store)
	s.checkOnce(t)
	out := filepath.Join(m.home, "out")
	m.must(0, "restore", "local:"+vault, "--to", out, "--wait")
	sameTree(t, tree, out)
}

func openLocal(t *testing.T, vault string) firn.Store {
	t.Helper()
	env := wire.Env{Getenv: os.Getenv, Clock: clock.System{}, Events: firn.Discard}
	store, err := wire.Open(context.Background(), env, config.Location{Scheme: config.Local, Dir: vault}, wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// A laggingServer is the service with its day's lag, on a clock of the test.
type laggingServer struct {
	*httptest.Server
	clock  *clock.Manual
	faults *glacierd.Faults
	env    []string
}

func newLaggingServer(t *testing.T) *laggingServer {
	t.Helper()
	s := &laggingServer{clock: clock.NewManual(time.Now()), faults: glacierd.NewFaults(1)}
	keys := glacierd.KeyPair{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}
	server, err := glacierd.New(glacierd.Config{
		Root: t.TempDir(), Clock: s.clock, Faults: s.faults,
		Credentials: func(id string) (glacierd.KeyPair, bool) { return keys, id == keys.AccessKeyID },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(server)
	t.Cleanup(func() { s.Close(); server.Close() })
	s.env = []string{"AWS_ENDPOINT_URL=" + s.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=" + keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + keys.SecretAccessKey}
	return s
}

// TestDoublesAreListedAndResolved: with a day's inventory lag a lost answer may
// leave a second copy. It is listed by status, and the next inventory that is
// dated after it resolves it.
func TestDoublesAreListedAndResolved(t *testing.T) {
	for name, flags := range map[string][]string{"files": {"--no-bundle"}, "bundles": {"--bundle-below", "4K", "--bundle-size", "8K"}} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "bundles" {
				t.Skip("bundles go through the same code, and more")
			}
			doubles(t, flags)
		})
	}
}

func doubles(t *testing.T, flags []string) {
	server := newLaggingServer(t)
	m := newMachine(t, server.env...)
	tree := filepath.Join(m.home, "tree")
	for i := range 30 {
		write(t, filepath.Join(tree, fmt.Sprintf("f%02d", i)), 2000+i, uint64(i))
	}
	m.must(0, "store", "create", "glacier:v")
	lost, err := server.faults.Add(mustFault(t, "lost-answer op=UploadArchive nth=5 times=3"))
	if err != nil {
		t.Fatal(err)
	}
	m.must(0, append([]string{"sync", tree, "glacier:v"}, flags...)...)
	if lost.Struck() != 3 {
		t.Fatalf("%d answers were lost, want 3", lost.Struck())
	}
	if out := m.must(75, "status", "glacier:v"); strings.Count(out, "may be stored twice") != 3 {
		t.Errorf("status doesn't list three doubles:\n%s", out)
	}
	// A day later there is an inventory, and some hours later its list.
	server.clock.Advance(49 * time.Hour)
	m.must(75, "store", "refresh", "glacier:v")
	server.clock.Advance(6 * time.Hour)
	m.must(0, "store", "refresh", "glacier:v")
	m.must(0, "status", "glacier:v")
	server.clock.Advance(49 * time.Hour)
	// One of them is a snapshot of the catalog.
	archives := map[bool]string{true: "in 31 archives", false: "in 11 archives"}[len(flags) == 1]
	if out := m.must(0, "store", "show", "glacier:v"); !strings.Contains(out, archives) {
		t.Errorf("after all:\n%s", out)
	}
	out := filepath.Join(m.home, "out")
	m.must(75, "restore", "glacier:v", "--to", out)
	server.clock.Advance(13 * time.Hour)
	m.must(0, "restore", "glacier:v", "--to", out)
	sameTree(t, tree, out)
}

func mustFault(t *testing.T, spec string) glacierd.Fault {
	t.Helper()
	f, err := glacierd.ParseFault(spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTwoSyncsAtOnceStoreOnce: the second is told that the tree is locked, and
// no file goes up twice.
func TestTwoSyncsAtOnceStoreOnce(t *testing.T) {
	m := newMachine(t)
	tree, vault := filepath.Join(m.home, "tree"), filepath.Join(m.home, "vault")
	for i := range 40 {
		write(t, filepath.Join(tree, fmt.Sprintf("f%02d", i)), 3000+i, uint64(i))
	}
	m.must(0, "store", "create", "local:"+vault)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { m.run("sync", "--no-bundle", tree, "local:"+vault) }) // two are told that it is locked
	}
	wg.Wait()
	m.must(0, "sync", "--no-bundle", tree, "local:"+vault)
	if s := inspect(t, openLocal(t, vault)); len(s.archives) != 41 {
		t.Errorf("%d archives, want 40 and a snapshot", len(s.archives))
	}
}

// firnHash is the content's hash, by firn's own means: what matters here is
// that both sides are equal.
func firnHash(data []byte) string { return treehash.Sum(data).String() }
