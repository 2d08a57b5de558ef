package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/price"
)

// A ledger adds up what a server was asked for, as a bill of the service would.
type ledger struct {
	http.Handler
	mu       sync.Mutex
	requests int64 // that started a retrieval
	sent     int64 // bytes of outputs
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counted := &countedAnswer{ResponseWriter: w}
	l.Handler.ServeHTTP(counted, r)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs") && counted.status == http.StatusAccepted:
		l.requests++
	case strings.HasSuffix(r.URL.Path, "/output"):
		l.sent += counted.bytes
	}
}

type countedAnswer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (c *countedAnswer) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *countedAnswer) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

func (c *countedAnswer) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// planned is what a plan says to programs.
type planned struct {
	Type          string
	Requests      int64
	RetrieveBytes int64  `json:"retrieve_bytes"`
	DownloadBytes int64  `json:"download_bytes"`
	Cost          string `json:"cost_usd"`
	Tier          string
}

func planOf(t *testing.T, out string) (p planned) {
	t.Helper()
	for line := range strings.Lines(out) {
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		if p.Type == "plan" {
			return p
		}
	}
	t.Fatalf("no plan in %q", out)
	return p
}

// bytesIn is how many bytes of its archive a job brings, as job list has it.
func bytesIn(t *testing.T, line string) int64 {
	t.Helper()
	var j struct {
		Type, Kind  string
		ArchiveSize int64 `json:"archive_size"`
		From, To    *int64
	}
	if err := json.Unmarshal([]byte(line), &j); err != nil {
		t.Fatal(err)
	}
	switch {
	case j.Kind != "retrieval":
		return 0
	case j.From != nil && j.To != nil:
		return *j.To - *j.From
	}
	return j.ArchiveSize
}

// TestThePriceIsThatOfTheServersLog: the plan's requests, bytes and dollars, of a
// restore of all and of some members of bundles, plain and encrypted, are what the
// server's requests add up to.
func TestThePriceIsThatOfTheServersLog(t *testing.T) {
	for name, c := range map[string]struct {
		sync  []string
		paths []string
	}{
		"single files": {sync: []string{"--no-bundle"}},
		"bundles":      {sync: []string{"--bundle-below", "2M", "--bundle-size", "8M"}},
		"members":      {sync: []string{"--bundle-below", "2M", "--bundle-size", "32M"}, paths: []string{"d0/f00", "d1/f07", "d2"}},
		"encrypted":    {sync: []string{"--bundle-below", "2M", "--bundle-size", "32M", "--recipient", "?", "--identity", "?"}, paths: []string{"d0/f00", "d1", "large0"}},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "members" {
				t.Skip("one kind of tree has the code of all")
			}
			log := &ledger{}
			now := clock.NewManual(time.Now())
			keys := glacierd.KeyPair{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}
			server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: now, Credentials: func(id string) (glacierd.KeyPair, bool) { return keys, id == keys.AccessKeyID }})
			if err != nil {
				t.Fatal(err)
			}
			log.Handler = server
			web := httptest.NewServer(log)
			t.Cleanup(func() { web.Close(); server.Close() })
			m := newMachine(t, "AWS_ENDPOINT_URL="+web.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey)
			tree, out, identity := filepath.Join(m.home, "tree"), filepath.Join(m.home, "out"), filepath.Join(m.home, "identity")
			recipient := strings.TrimSpace(m.stdout("key", "new", identity))
			for i := range 12 {
				for dir := range 3 {
					write(t, filepath.Join(tree, fmt.Sprintf("d%d/f%02d", dir, i)), 900_000+i*dir, uint64(3*i+dir))
				}
			}
			for i := range 2 {
				write(t, filepath.Join(tree, fmt.Sprintf("large%d", i)), 9<<20+i, uint64(100+i))
			}
			sync := append([]string{"sync", tree, "glacier:v"}, c.sync...)
			for i, arg := range sync {
				if arg == "?" {
					sync[i] = map[string]string{"--recipient": recipient, "--identity": identity}[sync[i-1]]
				}
			}
			m.must(0, "store", "create", "glacier:v")
			m.must(0, sync...)
			args := append(append([]string{"restore", "glacier:v"}, c.paths...), "--to", out, "--concurrency", "1", "--identity", identity)
			p := planOf(t, m.stdout(append(args, "--dry-run", "--json")...))
			before := log.requests
			m.must(75, args...)
			now.Advance(13 * time.Hour)
			m.must(0, args...)
			retrieved := int64(0)
			for line := range strings.Lines(m.stdout("job", "list", "glacier:v", "--all", "--json")) {
				retrieved += bytesIn(t, line)
			}
			if got := log.requests - before; got != p.Requests || retrieved != p.RetrieveBytes || p.Requests == 0 {
				t.Errorf("planned %d requests of %d bytes, the server had %d of %d", p.Requests, p.RetrieveBytes, got, retrieved)
			}
			bill := price.Vault("us-east-1").Bill(firn.Tier(p.Tier), price.Need{Requests: log.requests - before, Retrieve: retrieved, Transfer: log.sent}).Total().Amount
			plan, err := price.Parse(p.Cost)
			if err != nil || (plan+price.Dollar/200)/(price.Dollar/100) != (bill+price.Dollar/200)/(price.Dollar/100) {
				t.Errorf("planned $%s, the server's requests are $%s; %v", p.Cost, bill, err)
			}
			if log.sent > p.DownloadBytes || log.sent < p.DownloadBytes-p.DownloadBytes/20 {
				t.Errorf("planned to download %d bytes, the server sent %d", p.DownloadBytes, log.sent)
			}
		})
	}
}
