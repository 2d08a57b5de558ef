package catalog_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
)

// childVariable makes the test program a worker on the catalog that it names.
const childVariable = "FIRN_TEST_CATALOG_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		work(path, os.Args[1])
		return
	}
	os.Exit(m.Run())
}

// A worker makes random calls and says on standard output what was answered.
type worker struct {
	cat   *catalog.Catalog
	store catalog.Store
	run   catalog.Run
	rand  *rand.Rand
	said  *sync.Mutex
}

// work runs a few workers of a name until the process is killed, or each has
// done its share.
func work(path, name string) {
	ctx := context.Background()
	cat, err := catalog.Open(ctx, path, clock.System{})
	must(err)
	cat.SetSizes(50, 5, 10)
	store, err := cat.Register(ctx, catalog.StoreSpec{URL: "local:/v", Kind: "local", Identity: "one"})
	must(err)
	var all sync.WaitGroup
	var said sync.Mutex
	for i := range 3 {
		tree, err := cat.Bind(ctx, store.ID, fmt.Sprint(name, i), "h", "/"+name)
		must(err)
		run, err := cat.BeginRun(ctx, store.ID, tree.ID, "sync")
		must(err)
		w := worker{cat, store, run, rand.New(rand.NewPCG(uint64(run.ID), uint64(i))), &said}
		all.Go(func() {
			for range 60 {
				w.step(ctx)
			}
		})
	}
	all.Wait()
	must(cat.Close())
}

func must(err error) {
	if err != nil {
		fmt.Println("failed", strconv.Quote(err.Error()))
		os.Exit(1)
	}
}

func (w *worker) say(words ...any) {
	w.said.Lock()
	defer w.said.Unlock()
	fmt.Println(words...)
}

// step makes one call, or the calls of one upload.
func (w *worker) step(ctx context.Context) {
	path := fmt.Sprintf("d%d/f%d", w.rand.IntN(4), w.rand.IntN(6))
	switch w.rand.IntN(11) {
	case 8, 9:
		w.bundle(ctx, path)
	case 10:
		w.prune(ctx)
	case 0:
		_, err := w.cat.Record(ctx, w.run, []catalog.Change{directory(""), directory("d1"), symlink("d1/link", "x"), directory(path)})
		must(err)
	case 1:
		_, err := w.cat.Remove(ctx, w.run, []string{path, "d2"})
		must(err)
	case 2:
		must(w.cat.EndRun(ctx, w.run, catalog.Outcome{Complete: true}))
		run, err := w.cat.BeginRun(ctx, w.run.Store, w.run.Tree, "sync")
		must(err)
		w.run = run
	default:
		w.upload(ctx, regular(path, strings.Repeat("x", 1+w.rand.IntN(100))))
	}
}

func (w *worker) upload(ctx context.Context, ch catalog.Change) {
	in := []catalog.Intent{{Store: w.store.ID, Run: w.run.ID, Token: firn.NewToken(), Kind: catalog.FileArchive, Tree: w.run.Tree, File: ch.File, Size: ch.Content.Size}}
	id := in[0].Token.String()
	must(w.cat.Intend(ctx, in))
	w.say("intended", id)
	if w.rand.IntN(2) == 0 {
		must(w.cat.UploadOpened(ctx, in[0].ID, "upload", 1<<20))
		must(w.cat.PartDone(ctx, in[0].ID, firn.Part{Size: ch.Content.Size, Tree: ch.Content.Tree}))
		w.say("part", id)
		must(w.cat.UploadCompleting(ctx, in[0].ID, ch.Content.Size, ch.Content.Tree))
	}
	switch w.rand.IntN(6) {
	case 0:
		must(w.cat.Doubtful(ctx, in[0].ID, epoch))
		must(w.cat.Retry(ctx, in[0].ID))
		w.say("doubted", id)
	case 1:
		must(w.cat.Drop(ctx, in[0].ID, "no reason"))
		w.say("dropped", id)
		return
	}
	must(w.cat.Stored(ctx, in[0].ID, firn.Archive{ID: firn.ArchiveID(id), Size: ch.Content.Size, Tree: ch.Content.Tree}, w.run, &ch))
	w.say("stored", id)
}

// bundle takes a bundle of two files, sealed or not, from its intent to its
// outcome.
func (w *worker) bundle(ctx context.Context, path string) {
	members := bundled(regular(path, strings.Repeat("y", 1+w.rand.IntN(100))), directory("d1"), regular("d3/g"+path[1:2], strings.Repeat("z", 1+w.rand.IntN(100))))
	in, run := newBundle(), w.run
	if w.rand.IntN(2) == 0 {
		run.Recipients = catalog.Recipients{1}
		in.Seal = &catalog.Sealing{Header: []byte("header"), Recipients: run.Recipients}
	}
	id := in.Token.String()
	switch err := w.cat.IntendBundle(ctx, &in, run, members); {
	case firn.KindOf(err) == firn.Conflict:
		return // this run has recorded one of them
	default:
		must(err)
	}
	w.say("intended", id)
	if w.rand.IntN(4) == 0 {
		must(w.cat.Drop(ctx, in.ID, "no reason"))
		w.say("dropped", id)
		return
	}
	must(w.cat.Stored(ctx, in.ID, firn.Archive{ID: firn.ArchiveID(id), Size: in.Size}, run, nil))
	w.say("stored", id)
}

// prune forgets the old versions of the worker's tree, and deletes what then
// nothing refers to.
func (w *worker) prune(ctx context.Context) {
	var old []catalog.Entry
	for e, err := range w.cat.Files(ctx, catalog.ListQuery{Tree: w.run.Tree, All: true}) {
		must(err)
		if e.Until != 0 {
			old = append(old, e)
		}
	}
	_, err := w.cat.Retire(ctx, w.run, catalog.Retirement{Why: "old"}, old)
	must(err)
	_, err = w.cat.QueueDeletions(ctx, w.run)
	must(err)
	for d, err := range w.cat.Deletions(ctx, w.store.ID, time.Now().Add(time.Hour)) {
		must(err)
		switch err := w.cat.DeletionAsked(ctx, d.Archive); firn.KindOf(err) {
		case firn.NotFound, firn.Conflict: // another worker was faster
			continue
		default:
			must(err)
		}
		must(w.cat.MarkDeleted(ctx, w.run, d.Archive))
		w.say("deleted", string(d.Remote))
	}
}

// start starts a worker process and gives what it says, line by line, into
// each until that answers false; then it is killed.
func start(t *testing.T, path, name string, each func(line string) bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], name)
	cmd.Env = append(os.Environ(), childVariable+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "failed") {
			t.Error(lines.Text())
		}
		if !each(lines.Text()) {
			cmd.Process.Kill()
		}
	}
	cmd.Wait() // killed or done
}

// TestKilled kills a working process again and again, and finds each time
// that all it was told is recorded is there, and that the rows agree.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	kills, said := 0, []string{}
	for round := range 12 {
		left := rand.IntN(40)
		start(t, path, "a", func(line string) bool {
			said = append(said, line)
			left--
			if left == 0 {
				kills++
			}
			return left > 0
		})
		cat := open(t, path, clock.System{})
		checkSaid(t, cat, said)
		checkInvariants(t, cat)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		check(t, cat.Close())
	}
	if kills == 0 {
		t.Error("no process was killed")
	}
}

// TestTwoProcesses lets two processes work on one catalog.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	var said [2][]string
	var both sync.WaitGroup
	for i, name := range []string{"a", "b"} {
		both.Go(func() {
			start(t, path, name, func(line string) bool {
				said[i] = append(said[i], line)
				return true
			})
		})
	}
	both.Wait()
	cat := open(t, path, clock.System{})
	for _, lines := range said {
		if len(lines) < 100 {
			t.Errorf("a process said only %d lines", len(lines))
		}
		checkSaid(t, cat, lines)
	}
	checkInvariants(t, cat)
}

// checkSaid looks for what a worker was told to be durable.
func checkSaid(t *testing.T, cat *catalog.Catalog, lines []string) {
	t.Helper()
	for _, line := range lines {
		verb, id, _ := strings.Cut(line, " ")
		token, err := firn.ParseToken(id)
		check(t, err)
		rows, err := cat.Query(t.Context(), `SELECT state, coalesce(remote, ''), (SELECT count(*) FROM part WHERE archive = a.id), (SELECT count(*) FROM doubt WHERE archive = a.id)
			FROM archive a WHERE token = ?`, token[:])
		check(t, err)
		if len(rows) != 1 {
			t.Errorf("%s: %d rows", line, len(rows))
			continue
		}
		state, remote, parts, doubts := rows[0][0].(int64), rows[0][1], rows[0][2].(int64), rows[0][3].(int64)
		ok := map[string]bool{
			"intended": true,
			"part":     parts == 1 || state >= 10 || doubts == 1,
			"doubted":  doubts == 1,
			"dropped":  state == 20,
			"stored":   (state == 10 || state == 22) && remote == id,
			"deleted":  state == 22 && remote == id,
		}
		if !ok[verb] {
			t.Errorf("%s: state %d, id %v, %d parts, %d doubts", line, state, remote, parts, doubts)
		}
	}
}

// checkInvariants checks what holds between commits: each query finds rows
// that contradict each other.
func checkInvariants(t *testing.T, cat *catalog.Catalog) {
	t.Helper()
	for what, query := range map[string]string{
		"damaged":                       "SELECT * FROM pragma_integrity_check WHERE integrity_check != 'ok'",
		"missing parents":               "SELECT * FROM pragma_foreign_key_check",
		"open archive without intent":   "SELECT * FROM archive WHERE state < 10 AND id NOT IN (SELECT archive FROM intent)",
		"intent of a settled archive":   "SELECT * FROM intent i JOIN archive a ON a.id = i.archive WHERE a.state >= 10",
		"parts without upload":          "SELECT * FROM part WHERE archive NOT IN (SELECT archive FROM intent WHERE upload IS NOT NULL)",
		"stored archive without id":     "SELECT * FROM archive WHERE state IN (10, 21, 22) AND (remote IS NULL OR tree IS NULL OR settled IS NULL)",
		"stored file without location":  "SELECT * FROM archive WHERE state = 10 AND kind = 'file' AND id NOT IN (SELECT archive FROM location)",
		"location of no archive":        "SELECT * FROM location WHERE archive NOT IN (SELECT id FROM archive WHERE state >= 10 OR kind = 'bundle')",
		"location not in the index":     "SELECT archive, member FROM location WHERE tree IS NOT NULL EXCEPT SELECT archive, member FROM (SELECT * FROM by_tree UNION ALL SELECT * FROM by_tree_new)",
		"indexed twice":                 "SELECT * FROM by_tree JOIN by_tree_new USING (h64, archive, member)",
		"archive not in the index":      "SELECT id FROM archive WHERE remote IS NOT NULL EXCEPT SELECT archive FROM (SELECT * FROM by_remote UNION ALL SELECT * FROM by_remote_new)",
		"file without location":         "SELECT * FROM file WHERE mode & 61440 = 32768 AND size > 0 AND (archive, member) NOT IN (SELECT archive, member FROM location)",
		"file of another size":          "SELECT * FROM file f JOIN location l ON (l.archive, l.member) = (f.archive, f.member) WHERE f.size != l.size",
		"file that is no file":          "SELECT * FROM file WHERE (name = x'') != (mode & 61440 = 16384)",
		"file in no directory":          "SELECT * FROM file WHERE dir NOT IN (SELECT id FROM dir)",
		"version in no directory":       "SELECT * FROM version WHERE dir NOT IN (SELECT id FROM dir)",
		"version that ended too soon":   "SELECT * FROM version WHERE until <= since",
		"versions that overlap":         "SELECT * FROM version a JOIN version b ON a.dir = b.dir AND a.name = b.name AND a.since < b.since AND a.until > b.since",
		"old version that is current":   "SELECT * FROM version v JOIN file f USING (dir, name) WHERE f.since < v.until",
		"wrong totals of a tree":        "SELECT id, files, bytes, dirs, links FROM tree EXCEPT SELECT t.id, count(f.mode) FILTER (WHERE f.mode & 61440 = 32768), coalesce(sum(f.size) FILTER (WHERE f.mode & 61440 = 32768), 0), count(f.mode) FILTER (WHERE f.mode & 61440 = 16384), count(f.mode) FILTER (WHERE f.mode & 61440 = 40960) FROM tree t LEFT JOIN dir d ON d.tree = t.id LEFT JOIN file f ON f.dir = d.id GROUP BY t.id",
		"wrong totals of a store":       "SELECT id, archives, bytes FROM store EXCEPT SELECT s.id, count(a.id), coalesce(sum(a.size), 0) FROM store s LEFT JOIN archive a ON a.store = s.id AND a.state = 10 GROUP BY s.id",
		"directory without its parents": "SELECT * FROM dir d WHERE length(key) > 0 AND NOT EXISTS (SELECT 1 FROM dir r WHERE r.tree = d.tree AND r.key = x'')",
		"seal of no archive":            "SELECT archive FROM seal WHERE archive NOT IN (SELECT id FROM archive WHERE state != 20)",
		"seal of a bundle that is open": "SELECT archive FROM intent WHERE (file_key IS NOT NULL) != (archive IN (SELECT archive FROM seal))",
		"current version deleted":       "SELECT * FROM file f JOIN archive a ON a.id = f.archive WHERE a.state = 22",
		"old version deleted":           "SELECT * FROM version f JOIN archive a ON a.id = f.archive WHERE a.state = 22",
		"queued, and referred to":       "SELECT * FROM deletion WHERE state > 0 AND archive IN (SELECT archive FROM file UNION SELECT archive FROM version)",
		"queued, and not stored":        "SELECT * FROM deletion d JOIN archive a ON a.id = d.archive WHERE d.state > 0 AND a.state != 10",
		"runs that go back in time":     "SELECT * FROM run a JOIN run b ON b.id = a.id + 1 WHERE (b.started, b.started_ns) <= (a.started, a.started_ns)",
	} {
		rows, err := cat.Query(t.Context(), query)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if len(rows) > 0 {
			t.Errorf("%s: %d rows, such as %v", what, len(rows), rows[0])
		}
	}
	if lines, _ := faults(t, cat); len(lines) > 0 {
		t.Errorf("Check finds %q", lines)
	}
}
