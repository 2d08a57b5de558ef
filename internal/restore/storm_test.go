package restore_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// victimVar is set where the test program is a process that is to be killed: a
// victim, as JSON.
const victimVar = "FIRN_STORM_VICTIM"

func TestMain(m *testing.M) {
	if text := os.Getenv(victimVar); text != "" {
		die(text)
		return
	}
	os.Exit(m.Run())
}

// A victim is a process that restores until it is killed.
type victim struct {
	URL, Catalog, To string
	Identity         string
	Now              time.Time
	Tiers            []firn.Tier
	RetrieveRate     int64 // bytes an hour
	// Kill is at which of its steps, requests and events, it dies, and Later how
	// long after it: 0 at once.
	Kill  int64
	Later time.Duration
}

// A testament is what it says if it lives to its end.
type testament struct {
	Steps           int64
	Done, Pending   bool
	Counts          map[firn.Action]firn.Count
	Requests, Bytes int64 // as Afford was told last
	Err             string
	Kind            firn.Kind
	Failed          []string
}

// die restores, with no more help than a command line would give.
func die(text string) {
	var v victim
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	var last testament
	err := v.restore(context.Background(), &last)
	if err != nil {
		last.Err, last.Kind = err.Error(), firn.KindOf(err)
	}
	json.NewEncoder(os.Stdout).Encode(last)
}

func (v *victim) restore(ctx context.Context, last *testament) error {
	now := clock.NewManual(v.Now)
	cat, err := catalog.Open(ctx, v.Catalog, now)
	if err != nil {
		return err
	}
	defer cat.Close()
	var steps atomic.Int64
	defer func() { last.Steps = steps.Load() }()
	step := func() {
		if steps.Add(1) == v.Kill {
			v.kill()
		}
	}
	vault, err := openVault(ctx, v.URL, http.DefaultTransport, step)
	if err != nil {
		return err
	}
	o, err := stormOptions(ctx, cat, guard.Retry(vault, guard.RetryOptions{Clock: now, Outage: 10 * time.Minute}), now, v.To)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	o.Events = func(e firn.Event) {
		step()
		if f, ok := e.(firn.FileEvent); ok && f.Action == firn.Failed {
			mu.Lock()
			defer mu.Unlock()
			last.Failed = append(last.Failed, fmt.Sprintf("%q: %v", f.Path, f.Err))
		}
	}
	o.Tiers, o.RetrieveRate = v.Tiers, v.RetrieveRate
	o.Afford = func(_ firn.Tier, all restore.Spent) error {
		last.Requests, last.Bytes = all.Requests, all.Bytes
		return nil
	}
	o.Identities = func(context.Context) (seal.Identities, error) {
		return seal.ReadIdentities(strings.NewReader(v.Identity), "identity", nil)
	}
	res, err := restore.Run(ctx, o)
	last.Done, last.Pending, last.Counts = res.Done, res.Pending(), res.Counts
	return err
}

// kill ends this process as kill -9 does.
func (v *victim) kill() {
	end := func() {
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			p.Kill()
		}
	}
	if v.Later > 0 {
		time.AfterFunc(v.Later, end)
		return
	}
	end()
	select {}
}

// stormOptions are those of a restore of all trees.
func stormOptions(ctx context.Context, cat *catalog.Catalog, store firn.Store, now clock.Clock, to string) (o restore.Options, err error) {
	row, err := cat.Register(ctx, stormStore)
	if err != nil {
		return o, err
	}
	trees, err := cat.Trees(ctx, row.ID)
	if err != nil {
		return o, err
	}
	down, err := transfer.NewDownloader(store, transfer.DownloadOptions{Clock: now, PieceSize: 1 << 20})
	return restore.Options{
		Catalog: cat, Row: row, Store: store, Downloader: down, Clock: now, Events: firn.Discard, Trees: trees, To: to, Concurrency: 4,
		Days: restore.Days{MaxRange: 4 << 20},
	}, err
}

var stormStore = catalog.StoreSpec{URL: "glacier:storm", Kind: "glacier", Identity: "storm", Name: "storm"}

// stepping tells of each request.
type stepping struct {
	http.RoundTripper
	step func()
}

func (s stepping) RoundTrip(r *http.Request) (*http.Response, error) {
	s.step()
	return s.RoundTripper.RoundTrip(r)
}

func openVault(ctx context.Context, url string, on http.RoundTripper, step func()) (*glacier.Vault, error) {
	return glacier.Open(ctx, glacier.Config{
		Vault: "storm", Region: "us-east-1", Endpoint: url, Transport: stepping{on, step},
		Credentials: glacier.StaticCredentials("AKIDTEST", "secret", ""),
	})
}

// A storm is a server with the service's hours and all its faults, and what was
// archived there.
type storm struct {
	*worktest.Bench
	random   *rand.Rand
	url      string
	faults   *glacierd.Faults
	calm     *glacier.Vault // the same vault, without faults
	path     string         // of the catalog
	identity []byte

	paths map[firn.ArchiveID][]string // of files with archives of their own
	there map[firn.ArchiveID]bool     // which of them were in place before a process began
	jobs  map[firn.JobID]firn.Job     // all that ever were
	asked map[asking]int              // by what it was
}

// An asking is what a job was asked for.
type asking struct {
	archive firn.ArchiveID
	at      firn.Range
}

// seedVar lets a storm be another one: a number, or "random".
const seedVar = "FIRN_STORM_SEED"

// stormSeed is the same each time unless seedVar says otherwise. When a process
// dies depends on the machine, too.
func stormSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv(seedVar)
	switch text {
	case "":
		return 20261122
	case "random":
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	must(t, err)
	return seed
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	seed := stormSeed(t)
	t.Logf("seed %d", seed)
	s := &storm{
		Bench: worktest.New(t, storetest.MemoryOptions{}), random: rand.New(rand.NewPCG(seed, 0)), faults: glacierd.NewFaults(seed),
		paths: map[firn.ArchiveID][]string{}, there: map[firn.ArchiveID]bool{}, jobs: map[firn.JobID]firn.Job{}, asked: map[asking]int{},
	}
	root := t.TempDir()
	serve := func(faults *glacierd.Faults) *glacierd.Server {
		server, err := glacierd.New(glacierd.Config{Root: root, Clock: s.Clock, Faults: faults, Credentials: func(id string) (glacierd.KeyPair, bool) {
			return glacierd.KeyPair{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}, id == "AKIDTEST"
		}})
		must(t, err)
		t.Cleanup(func() { server.Close() })
		return server
	}
	web := httptest.NewServer(serve(s.faults))
	t.Cleanup(web.Close)
	s.url = web.URL
	var err error
	s.calm, err = openVault(t.Context(), "http://glacier.test", serve(nil).Transport(), func() {})
	must(t, err)
	t.Cleanup(func() { s.calm.Close() })
	must(t, s.calm.Create(t.Context()))

	s.path = filepath.Join(t.TempDir(), "catalog.db")
	s.Catalog, err = catalog.Open(t.Context(), s.path, s.Clock)
	must(t, err)
	t.Cleanup(func() { s.Catalog.Close() })
	s.Row, err = s.Catalog.Register(t.Context(), stormStore)
	must(t, err)
	s.Store = guard.Retry(s.calm, guard.RetryOptions{Clock: s.Clock})
	return s
}

// archive makes a tree of some thousand files and archives it: bundles and files
// of their own, a part of each encrypted.
func (s *storm) archive(files int) {
	s.T.Helper()
	s.Bundle(4<<10, 1<<20)
	s.grow("plain", files/2)
	s.Sync()
	s.Clock.Advance(time.Hour)
	file, recipient, err := seal.NewIdentity(s.Clock.Now(), false)
	must(s.T, err)
	recipients, err := seal.ParseRecipients([]string{recipient})
	must(s.T, err)
	s.identity, s.Recipients = file, &recipients
	s.grow("sealed", files-files/2)
	s.Sync()
	s.Clock.Advance(time.Hour)
	for e, err := range s.Catalog.Files(s.T.Context(), catalog.ListQuery{Tree: s.Tree().ID}) {
		must(s.T, err)
		if e.Kind == firn.Regular && e.Location.Kind != catalog.BundleArchive {
			s.paths[e.Location.Remote] = append(s.paths[e.Location.Remote], e.Path)
		}
	}
}

// bytes is how much is in the store.
func (s *storm) bytes() int64 {
	s.T.Helper()
	row, err := s.Catalog.Register(s.T.Context(), stormStore)
	must(s.T, err)
	return row.Bytes
}

// grow makes about n files of all kinds in a folder.
func (s *storm) grow(dir string, n int) {
	s.T.Helper()
	text := func(size int) string { return string(storetest.Data(s.random.Uint64(), size)) }
	at := func(name string) string { return filepath.Join(s.Root, dir, name) }
	single, large := max(10, n/20), 2
	for i := range n {
		name := fmt.Sprintf("%s/d%02d/e%d/f%05d", dir, i%37, i%5, i)
		switch {
		case i < single:
			s.Write(name, text(4<<10+s.random.IntN(4<<10)))
		case i < single+large:
			s.Write(name, text(9<<20+i))
		case i%50 == 0:
			s.Write(name, "")
		case i%50 == 1:
			must(s.T, os.MkdirAll(filepath.Dir(filepath.Join(s.Root, name)), 0o755))
			must(s.T, os.Symlink("../f", filepath.Join(s.Root, name)))
		case i%50 == 2:
			s.Write(name, text(1+s.random.IntN(3000)))
			must(s.T, os.Link(filepath.Join(s.Root, name), at(fmt.Sprintf("hard%05d", i))))
		case i%50 == 3:
			s.Write(name, text(1000))
			must(s.T, os.Chmod(filepath.Join(s.Root, name), 0o400))
		default:
			s.Write(name, text(1+s.random.IntN(3000)))
		}
	}
	for i, name := range []string{"new\nline", "not\xffutf-8", " blank ", "-dash", "*", strings.Repeat("long", 60), "quote\"'\\", ".firn-0123456789abcdef.parts"} {
		s.Write(dir+"/odd/"+name, text(100*(i+1)))
		s.Write(fmt.Sprintf("%s/odd %s/twin", dir, name[:1]), text(100))
	}
	must(s.T, os.MkdirAll(at("nothing/in/here"), 0o750))
	s.Write(dir+"/twin one", strings.Repeat("twins", 2000))
	s.Write(dir+"/twin two", strings.Repeat("twins", 2000))
	must(s.T, os.Chmod(at("d05/e0"), 0o555))
	s.T.Cleanup(func() { os.Chmod(at("d05/e0"), 0o755) })
}

// blow arms every fault that the server has.
func (s *storm) blow() {
	s.T.Helper()
	for _, spec := range []string{
		"timeout", "late-signature", // of uploads: there are none, and they do no harm
		"internal p=0.01", "unavailable p=0.01", "throttle p=0.01", "slow p=0.01 delay=1ms", "clock-skew p=0.01",
		"lost-answer p=0.03 op=InitiateJob", "lost-answer p=0.01", "reset p=0.01", "reset p=0.02 after=10",
		"truncate p=0.02", "truncate p=0.01 after=1000", "corrupt p=0.01 after=100",
		"expired-job p=0.01", "failed-job p=0.03", "no-capacity p=0.1", "no-longer-supported p=0.002",
	} {
		f, err := glacierd.ParseFault(spec)
		must(s.T, err)
		_, err = s.faults.Add(f)
		must(s.T, err)
	}
}

// run starts a process. It gives what it said, or nothing where it was killed.
func (s *storm) run(v victim) (last testament, killed bool) {
	s.T.Helper()
	for archive, paths := range s.paths {
		s.there[archive] = !slices.ContainsFunc(paths, func(p string) bool {
			_, err := os.Lstat(filepath.Join(v.To, p))
			return err != nil
		})
	}
	v.URL, v.Catalog, v.Identity, v.Now = s.url, s.path, string(s.identity), s.Clock.Now()
	text, err := json.Marshal(v)
	must(s.T, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimVar+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 {
		return last, true
	}
	must(s.T, errors.Join(err, json.Unmarshal(out, &last)))
	return last, false
}

// count looks what the server has been asked for, which must be nothing that it
// was getting ready, or had ready, at that time.
func (s *storm) count() {
	s.T.Helper()
	jobs, err := storetest.Collect(s.calm.Jobs(s.T.Context()))
	must(s.T, err)
	live := map[asking]int{}
	for _, j := range jobs {
		what := asking{j.Archive, j.Range}
		if _, seen := s.jobs[j.ID]; !seen {
			s.asked[what]++
			if s.there[j.Archive] {
				s.T.Errorf("%q was asked for when it was in place", s.paths[j.Archive])
			}
		}
		s.jobs[j.ID] = j
		if j.State == firn.JobFailed {
			continue
		}
		if live[what]++; live[what] > 1 {
			s.T.Errorf("%q was asked for while it was on its way: bytes %d to %d", s.paths[j.Archive], j.Range.Start, j.Range.End)
		}
	}
}

// TestRestoreLivesThroughAStorm kills a restore of 10,000 files fifty times, lets
// all its jobs expire three times, acts out every fault of the server, and takes a
// week of the service's time. In the end all is there, and nothing was asked for
// that was on its way or could be fetched.
func TestRestoreLivesThroughAStorm(t *testing.T) {
	files, kills, expiries, week := 10_000, 50, 3, 7*24*time.Hour
	if testing.Short() {
		files, kills, expiries, week = 400, 8, 1, 2*24*time.Hour
	}
	s := newStorm(t)
	s.archive(files)
	v := victim{To: filepath.Join(t.TempDir(), "out"), RetrieveRate: s.bytes() / int64(week.Hours()*0.4)}
	must(t, s.Catalog.Close())
	s.blow()
	tiers := [][]firn.Tier{{firn.Bulk}, {firn.Standard}, {firn.Expedited, firn.Bulk}}
	began, steps, runs := s.Clock.Now(), int64(100), 0
	for killed, expired := 0, 0; ; runs++ {
		v.Tiers, v.Kill = tiers[s.random.IntN(len(tiers))], 0
		if killed < kills {
			v.Kill, v.Later = 1+s.random.Int64N(steps), time.Duration(s.random.IntN(5))*time.Millisecond
		}
		spent := s.Clock.Now().Sub(began)
		if killed >= kills && expired >= expiries && spent >= week {
			v.RetrieveRate = 0 // that was it
		}
		last, dead := s.run(v)
		s.count()
		switch {
		case dead:
			killed++
		case last.Err != "":
			t.Logf("run %d: %s: %s", runs, last.Kind, last.Err)
		case last.Counts[firn.Failed].Files > 0:
			t.Fatalf("run %d: %+v", runs, last)
		}
		if !dead {
			steps = max(20, cmp.Or(last.Steps, steps))
		}
		if last.Done {
			t.Logf("%d runs, %d kills, %d times expired, %v, %+v, %d jobs of %d askings", runs, killed, expired, spent, last, len(s.jobs), len(s.asked))
			if killed < kills || expired < expiries || spent < week {
				t.Errorf("the restore was over before the storm was")
			}
			break
		}
		switch hours := time.Duration(s.random.IntN(300)) * time.Minute; {
		case dead && s.random.IntN(2) == 0: // another process at once
		case expired < expiries && spent > week*time.Duration(expired+1)/time.Duration(expiries+2):
			expired++
			s.Clock.Advance(12*time.Hour + 25*time.Hour)
		default:
			s.Clock.Advance(hours)
		}
		if runs > 1000 {
			t.Fatal("it doesn't end")
		}
	}
	s.isOver(v.To)
}

// isOver checks what is there after the storm.
func (s *storm) isOver(to string) {
	t := s.T
	t.Helper()
	t.Cleanup(func() {
		filepath.WalkDir(to, func(p string, _ os.DirEntry, _ error) error { os.Chmod(p, 0o700); return nil })
	})
	if got, want := forestOf(t, to), forestOf(t, s.Root); got != want {
		t.Errorf("restored is not what was archived: %s", firstDifference(got, want))
	}
	cat, err := catalog.Open(t.Context(), s.path, s.Clock)
	must(t, err)
	defer cat.Close()
	all, err := cat.Restores(t.Context(), 0, false)
	if err != nil || len(all) != 1 || all[0].State != catalog.RestoreDone {
		t.Errorf("the catalog has %+v, %v", all, err)
	}
	_, err = cat.Check(t.Context(), func(f catalog.Fault) error { t.Errorf("the catalog's check: %+v", f); return nil })
	must(t, err)
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("%q, want %q", a[i], b[i])
		}
	}
	return fmt.Sprintf("%d entries, want %d", len(a), len(b))
}

// forestOf is listing, with contents and with what is one file under two names.
func forestOf(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	out.WriteString(listing(t, root))
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		fmt.Fprintf(&out, "%s %v\n", rel, treehash.Sum(data))
		var i int
		if _, err := fmt.Sscanf(d.Name(), "hard%d", &i); err == nil {
			a, err := os.Stat(name)
			b, other := os.Stat(filepath.Join(filepath.Dir(name), fmt.Sprintf("d%02d/e%d/f%05d", i%37, i%5, i)))
			fmt.Fprintf(&out, "one file: %t\n", err == nil && other == nil && os.SameFile(a, b))
		}
		return nil
	})
	must(t, err)
	return out.String()
}
