package glacierd_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
)

// serveVariable makes a child of the test binary serve the folder it names.
const serveVariable = "GLACIERD_TEST_SERVE"

// TestServeForParent is no test: it is the server that other tests kill.
func TestServeForParent(t *testing.T) {
	root := os.Getenv(serveVariable)
	if root == "" {
		t.Skip("runs as a child of other tests")
	}
	s, err := glacierd.New(glacierd.Config{Root: root, Credentials: glacierd.Credentials(key), Timing: &glacierd.Timing{}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("listening %s\n", l.Addr())
	go http.Serve(l, s)
	io.Copy(io.Discard, os.Stdin) // ends with the parent
	os.Exit(0)
}

// A child is a server in a process of its own.
type child struct {
	client
	process *exec.Cmd
}

// startChild starts a child, by another program where under names one.
func startChild(t *testing.T, root string, under ...string) child {
	t.Helper()
	args := append(under, os.Args[0], "-test.run=^TestServeForParent$")
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), serveVariable+"="+root)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); c.Process.Kill(); c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		t.Fatalf("the child says %q, %v", line, err)
	}
	base := clientOf(t, mustServe(t, root))
	base.http, base.base = &http.Client{Transport: &http.Transport{}}, "http://"+addr
	return child{base, c}
}

// mustServe gives a server that is not used but for its client's settings.
func mustServe(t *testing.T, root string) *glacierd.Server {
	t.Helper()
	s, err := glacierd.New(glacierd.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (c child) kill() {
	c.process.Process.Kill()
	c.process.Wait()
}

// A ledger is what clients were told, and so may rely on.
type ledger struct {
	mu      sync.Mutex
	stored  map[string][]byte // by archive id
	deleted map[string]bool
	doubt   map[string]bool // deleted, and no answer came
	uploads map[string]int  // open ones, with the parts that were taken
	fuse    int             // answers until enough is closed
	enough  chan struct{}
}

func newLedger() *ledger {
	return &ledger{stored: map[string][]byte{}, deleted: map[string]bool{}, doubt: map[string]bool{}, uploads: map[string]int{}}
}

// light makes the channel that is closed after so many answers.
func (l *ledger) light(answers int) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fuse, l.enough = answers, make(chan struct{})
	return l.enough
}

// note writes down what an answer said.
func (l *ledger) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	if l.fuse--; l.fuse == 0 {
		close(l.enough)
	}
}

// work uploads, in one piece and in parts, and deletes, until the server dies.
func (l *ledger) work(c client, random *rand.Rand) {
	for n := 0; ; n++ {
		body := bytes.Repeat([]byte{byte(random.Uint32())}, 1+random.IntN(3*mib/2))
		if random.IntN(3) == 0 {
			body = body[:1+random.IntN(min(len(body), 32<<10))] // small, or hardly more
		}
		if random.IntN(2) == 0 {
			r, err := c.try("POST", "/-/vaults/v/archives", uploadHeaders(body), body)
			if err != nil || r.status != 201 {
				return
			}
			l.note(func() { l.stored[r.header.Get("x-amz-archive-id")] = body })
		} else if !l.inParts(c, body) {
			return
		}
		if random.IntN(3) == 0 && !l.deleteOne(c) {
			return
		}
	}
}

func (l *ledger) inParts(c client, body []byte) bool {
	r, err := c.try("POST", uploadsPath, h{"x-amz-part-size", fmt.Sprint(mib)}, nil)
	if err != nil || r.status != 201 {
		return false
	}
	upload := r.header.Get("x-amz-multipart-upload-id")
	l.note(func() { l.uploads[upload] = 0 })
	for at := 0; at < len(body); at += mib {
		part := body[at:min(len(body), at+mib)]
		r, err := c.try("PUT", uploadsPath+"/"+upload, partHeaders(at, part), part)
		if err != nil || r.status != 204 {
			return false
		}
		l.note(func() { l.uploads[upload]++ })
	}
	r, err = c.try("POST", uploadsPath+"/"+upload, completeHeaders(body), nil)
	if err != nil || r.status != 201 {
		return false
	}
	l.note(func() {
		delete(l.uploads, upload)
		l.stored[r.header.Get("x-amz-archive-id")] = body
	})
	return true
}

func (l *ledger) deleteOne(c client) bool {
	id := l.choose()
	r, err := c.try("DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	if err != nil || r.status != 204 {
		return false
	}
	l.note(func() { l.deleted[id] = true })
	return true
}

// choose picks an archive to delete, which is in doubt from then on.
func (l *ledger) choose() (id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id = range l.stored {
		if !l.deleted[id] && !l.doubt[id] {
			break
		}
	}
	l.doubt[id] = true
	return id
}

// TestKilled kills a server at random moments of its work. Whatever it has
// acknowledged is there afterwards, whole; all that is there has its bytes; and
// no bytes are left that belong to nothing.
func TestKilled(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	root := t.TempDir()
	_, setup := open(t, glacierd.Config{Root: root})
	setup.createVault("v")
	l := newLedger()
	for round := range rounds {
		random := rand.New(rand.NewPCG(uint64(round), uint64(time.Now().UnixNano())))
		c := startChild(t, root)
		enough := l.light(1 + random.IntN(100))
		var wg sync.WaitGroup
		for range 4 {
			own := rand.New(rand.NewPCG(random.Uint64(), 0))
			wg.Go(func() { l.work(c.client, own) })
		}
		stopped := make(chan struct{})
		go func() { wg.Wait(); close(stopped) }()
		select {
		case <-enough: // one worker has an answer, the others are anywhere in a request
		case <-stopped:
			t.Fatal("the server refused something before it was killed")
		}
		c.kill()
		<-stopped
		l.check(t, root)
	}
	if len(l.stored) < rounds || len(l.deleted) == 0 {
		t.Errorf("too little was done to mean anything: %d stored, %d deleted", len(l.stored), len(l.deleted))
	}
}

// check compares the vault with the ledger, through a server of its own.
func (l *ledger) check(t *testing.T, root string) {
	t.Helper()
	s, err := glacierd.New(glacierd.Config{Root: root, Credentials: glacierd.Credentials(key), Timing: &glacierd.Timing{}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := clientOf(t, s)
	there := map[string]bool{}
	files := 0
	for _, a := range c.inventory("v", c.job("v", "Type", "inventory-retrieval")).ArchiveList {
		there[a.ArchiveId] = true
		out := c.output("v", c.job("v", "Type", "archive-retrieval", "ArchiveId", a.ArchiveId))
		if want, ok := l.stored[a.ArchiveId]; ok && !bytes.Equal(out.body, want) || out.header.Get("x-amz-sha256-tree-hash") != a.SHA256TreeHash {
			t.Errorf("archive %.30s: %d bytes that differ", a.ArchiveId, len(out.body))
		}
		if l.deleted[a.ArchiveId] {
			t.Errorf("archive %.30s was deleted", a.ArchiveId)
		}
		if l.doubt[a.ArchiveId] {
			delete(l.doubt, a.ArchiveId) // that deletion has not happened
		}
	}
	for id := range l.stored {
		if !there[id] && !l.deleted[id] && !l.doubt[id] {
			t.Errorf("archive %.30s was stored and is gone", id)
		}
		if !there[id] {
			l.deleted[id] = true
		}
	}
	for _, u := range pages(c, uploadsPath+"?", "UploadsList", 50) {
		id := u.(map[string]any)["MultipartUploadId"].(string)
		parts := len(c.get(uploadsPath + "/" + id)["Parts"].([]any))
		if told, ok := l.uploads[id]; ok && parts < told {
			t.Errorf("upload %.30s has %d parts, %d were taken", id, parts, told)
		}
	}
	// No request goes over a tidy, so look at the rows for what files there should be.
	files = filesExpected(t, root)
	if got := bodies(t, root); len(got) < files {
		t.Errorf("%d files for %d bodies", len(got), files)
	}
	l.noOrphans(t, root)
}

// rows asks vault.db for a number.
func rows(t *testing.T, root, query string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(root, "v", "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// filesExpected counts the files that rows speak of.
func filesExpected(t *testing.T, root string) int {
	return rows(t, root, `SELECT (SELECT count(*) FROM archive WHERE deleted IS NULL AND part_size = 0)
		+ (SELECT count(*) FROM part WHERE file <> '' AND (key >> 14) IN
			(SELECT number FROM archive WHERE deleted IS NULL UNION SELECT number FROM upload WHERE ended IS NULL))`)
}

// noOrphans makes sure that each file is of an archive, of an open upload, or
// is known as garbage.
func (l *ledger) noOrphans(t *testing.T, root string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(root, "v", "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	base := filepath.Join(root, "v", "archives")
	for _, path := range bodies(t, root) {
		rel, err := filepath.Rel(base, path)
		if err != nil {
			t.Fatal(err)
		}
		var million, thousand, one, number int
		if _, small, ok := strings.Cut(rel, "vault.db:"); ok {
			number, err = strconv.Atoi(small)
		} else {
			_, err = fmt.Sscanf(filepath.ToSlash(rel), "%d/%d/%d", &million, &thousand, &one)
			number = million*1e6 + thousand*1e3 + one
		}
		if err != nil {
			t.Fatalf("%s: %v", rel, err)
		}
		var known int
		err = db.QueryRow(`SELECT (SELECT count(*) FROM archive WHERE number = ?1 AND deleted IS NULL)
			+ (SELECT count(*) FROM upload WHERE number = ?1 AND ended IS NULL)
			+ (SELECT count(*) FROM garbage WHERE number = ?1)`, number).Scan(&known)
		if err != nil || known == 0 {
			t.Errorf("%s belongs to nothing (%v)", rel, err)
		}
	}
}

// Two processes write into one vault at the same time.
func TestTwoProcesses(t *testing.T) {
	root := t.TempDir()
	_, here := open(t, glacierd.Config{Root: root, Timing: &glacierd.Timing{}})
	here.createVault("v")
	there := startChild(t, root)
	l := newLedger()
	upload := here.initiate("v", mib, "by both")
	whole := pattern(8 * mib)
	var wg sync.WaitGroup
	for i, c := range []client{here, there.client, here, there.client} {
		wg.Go(func() {
			for n := range 15 {
				body := fmt.Appendf(nil, "archive %d of worker %d", n, i)
				id := c.upload("v", body, "")
				l.note(func() { l.stored[id] = body })
			}
			for at := i * mib; at < len(whole); at += 4 * mib {
				c.part("v", upload, at, whole[at:at+mib])
			}
		})
	}
	wg.Wait()
	r := there.do(201, "POST", uploadsPath+"/"+upload, completeHeaders(whole), nil)
	l.stored[r.header.Get("x-amz-archive-id")] = whole
	if len(l.stored) != 61 {
		t.Fatalf("%d different ids, want 61", len(l.stored))
	}
	for id, want := range l.stored {
		if got := here.output("v", there.job("v", "Type", "archive-retrieval", "ArchiveId", id)).body; !bytes.Equal(got, want) {
			t.Errorf("%q came back, want %q", got, want)
		}
		there.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
		here.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	}
	if n := here.get("/-/vaults/v")["NumberOfArchives"]; n != 0.0 {
		t.Errorf("%v archives are left", n)
	}
	there.do(204, "DELETE", "/-/vaults/v", nil, nil)
	here.do(404, "GET", "/-/vaults/v", nil, nil)
}

// A process that ends in order leaves nothing for others to clean up.
func TestOrderlyEnd(t *testing.T) {
	root := t.TempDir()
	s, err := glacierd.New(glacierd.Config{Root: root, Credentials: glacierd.Credentials(key)})
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, s)
	c.createVault("v")
	c.upload("v", []byte("x"), "")
	if n := rows(t, root, "SELECT count(*) FROM lease"); n != 1 {
		t.Errorf("%d leases while it works, want 1", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, root, "SELECT count(*) FROM lease"); n != 0 {
		t.Errorf("%d leases afterwards", n)
	}
	if n := rows(t, root, "SELECT next_number FROM vault"); n != 2 {
		t.Errorf("next number %d, want 2", n)
	}
	locks, err := os.ReadDir(filepath.Join(root, "v", "writers"))
	if err != nil || len(locks) != 0 {
		t.Errorf("lock files: %v, %v", locks, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if _, err := c.try("GET", "/-/vaults", nil, nil); err == nil {
		t.Error("a closed server answers")
	}
}
