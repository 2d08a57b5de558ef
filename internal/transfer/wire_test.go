package transfer

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/guard"
)

// A pipeline is a listener whose connections are made by dial.
type pipeline chan net.Conn

func (p pipeline) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipeline) Close() error { return nil }
func (p pipeline) Addr() net.Addr {
	return &net.UnixAddr{Name: "pipe", Net: "unix"}
}

// A throttled connection writes through a wire that it shares.
type throttled struct {
	net.Conn
	wire *wire
}

func (c *throttled) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		k := min(len(p), 16<<10)
		if err = c.wire.wait(context.Background(), int64(k)); err == nil {
			k, err = c.Conn.Write(p[:k])
			n += k
		}
		p = p[k:]
	}
	return n, err
}

// slowServer is a glacierd behind a wire, and how long each body took there.
type slowServer struct {
	*glacierd.Server
	mu     sync.Mutex
	bodies []time.Duration
	failed int
}

func (s *slowServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	answer := &answer{ResponseWriter: w}
	s.Server.ServeHTTP(answer, r)
	if r.ContentLength < 1 || !strings.Contains(r.URL.Path, "archives") && !strings.Contains(r.URL.Path, "multipart-uploads") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer.status/100 != 2 {
		s.failed++
		return
	}
	s.bodies = append(s.bodies, time.Since(start))
}

type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

const keyID, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

// serve starts the server and opens its vault over l.
func serve(t *testing.T, l *wire) (*slowServer, firn.Store, func()) {
	t.Helper()
	d, err := glacierd.New(glacierd.Config{
		Root: t.TempDir(), Timing: new(glacierd.Timing),
		Credentials: func(id string) (glacierd.KeyPair, bool) {
			return glacierd.KeyPair{AccessKeyID: keyID, SecretAccessKey: secret}, id == keyID
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, conns := &slowServer{Server: d}, make(pipeline)
	server := &http.Server{Handler: s}
	go server.Serve(conns)
	transport := &http.Transport{
		WriteBufferSize: 256 << 10, // as for the network
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			conns <- theirs
			return &throttled{ours, l}, nil
		},
	}
	v, err := glacier.Open(t.Context(), glacier.Config{
		Vault: "photos", Region: "eu-west-1", Endpoint: "http://glacier.test", Transport: transport,
		Credentials: glacier.StaticCredentials(keyID, secret, ""), FreshInventory: true, InstantJobs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		transport.CloseIdleConnections()
		close(conns)
		server.Close()
		v.Close()
		d.Close()
	}
	return s, v, stop
}

// TestSlowLineToARealServer: net/http, the SDK, signatures that live five
// minutes, and 1 Mbit/s: all arrives, and no body takes longer than it may,
// whether it is the line that is slow or a limit that the user set.
func TestSlowLineToARealServer(t *testing.T) {
	for i, c := range []struct {
		name         string
		rate         float64 // of the line
		limit, known int64   // below the Uploader, and as it was told
	}{
		{"slow line", mbit, 0, 0},
		{"limit", 1000 * mbit, mbit, mbit},
		{"limit that is not known", 1000 * mbit, mbit, 0},
	} {
		if testing.Short() && i > 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, store, stop := serve(t, steady(c.rate))
				defer stop()
				store = guard.Retry(guard.Limit(store, guard.LimitOptions{Upload: config.Steady(c.limit)}), guard.RetryOptions{})
				sendTree(t, store, UploadOptions{TokenOf: tokenOf, Limit: c.known}, mixed)
				longest := slices.Max(server.bodies)
				t.Logf("%d bodies, longest %v, %d failed", len(server.bodies), longest, server.failed)
				if longest > maxBody || c.known > 0 && server.failed > 0 {
					t.Errorf("a body took %v, %d failed", longest, server.failed)
				}
			})
		})
	}
}

// sendTree uploads files of these sizes at once, and checks that the store's
// inventory has them all.
func sendTree(t *testing.T, store firn.Store, opt UploadOptions, sizes []int64) {
	t.Helper()
	u, err := NewUploader(store, store.Traits(), opt)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]firn.Content{}
	var all sync.WaitGroup
	for i, size := range sizes {
		f := newFile(size, byte(i))
		job := task(f, &journal{})
		want[described(job)] = f.content()
		all.Go(func() {
			if _, err := u.Upload(t.Context(), job); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, a := range inventory(t, store) {
		if got := (firn.Content{Size: a.Size, Tree: a.Tree}); want[a.Description] != got {
			t.Errorf("%s is stored as %v", a.Description, got)
		}
		delete(want, a.Description)
	}
	if len(want) != 0 {
		t.Errorf("not stored: %v", want)
	}
}

// TestThereAndBack: what goes up in parts comes down in pieces, each of which
// the server has a hash of.
func TestThereAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, stop := serve(t, steady(1000*mbit))
		defer stop()
		sendTree(t, store, UploadOptions{PartSize: 8 * mib}, []int64{70*mib + 3})
		a := inventory(t, store)[0]
		id, err := store.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: a.ID, Tier: firn.Bulk})
		if err != nil {
			t.Fatal(err)
		}
		dl, err := NewDownloader(store, DownloadOptions{PieceSize: 4 * mib})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := dl.plan(Download{Job: id, Size: a.Size, Tree: a.Tree, Dest: &disk{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := plan.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		plan.Dest.(*disk).holds(t, newFile(a.Size, 0))
		for i, st := range plan.state {
			if st != proven {
				t.Errorf("the server gave no hash of piece %d of %d", i, plan.count())
			}
		}
	})
}

// inventory lists what the store holds.
func inventory(t *testing.T, store firn.Store) (all []firn.Archive) {
	t.Helper()
	id, err := store.StartInventory(t.Context(), firn.InventorySpec{Description: "test"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Inventory(t.Context(), id, func(a firn.Archive) error {
		all = append(all, a)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
