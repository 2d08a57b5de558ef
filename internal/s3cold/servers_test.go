package s3cold_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/firn-archive/firn/bench/programs"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/testprog"
)

// A foreign server is one that others wrote, in a process of its own.
type foreign struct {
	t       *testing.T
	url     string
	made    int // prefixes
	defects map[string]string
}

// start starts a program as a server, and waits until it answers. args get its
// port.
func start(t *testing.T, path string, args func(port string) []string, env ...string) *foreign {
	program := filepath.Base(path)
	port, err := programs.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(path, args(port)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	alive, end := context.WithCancelCause(t.Context())
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		end(fmt.Errorf("%s has ended: %v", program, cmd.ProcessState))
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said: %.4000s", program, said.String())
		}
	})
	f := &foreign{t: t, url: "http://127.0.0.1:" + port}
	if err := programs.Await(alive, f.url); err != nil {
		t.Fatal(err)
	}
	return f
}

// harness gives a new prefix of the server's bucket.
func (f *foreign) harness(class s3cold.Class) func(*testing.T) storetest.Harness {
	return func(t *testing.T) storetest.Harness {
		f.made++
		prefix := fmt.Sprintf("below/store %d", f.made)
		change := func(c *s3cold.Config) {
			c.Endpoint, c.Region, c.Prefix, c.Class = f.url, "us-east-1", prefix, class
		}
		h := storetest.Harness{
			Store: open(t, nil, change),
			Missing: open(t, nil, func(c *s3cold.Config) {
				change(c)
				c.Prefix += " missing"
			}),
			// The server's clock is the machine's, which nobody can wind.
			Defects: f.defects,
			Advance: func(d time.Duration) { clock.System{}.Sleep(t.Context(), min(d, 2*time.Second)) },
		}
		if err := h.Store.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		return h
	}
}

// keepsNames is keepsNames of a store of its own.
func (f *foreign) keepsNames(t *testing.T, class s3cold.Class) {
	s := open(t, nil, func(c *s3cold.Config) {
		c.Endpoint, c.Region, c.Prefix, c.Class = f.url, "us-east-1", "strange", class
	})
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	keepsNames(t, s, func() {})
}

// TestVersitygw: a server that checks every signature and every hash. It knows one
// storage class.
func TestVersitygw(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the real clock")
	}
	root := t.TempDir()
	for _, dir := range []string{"objects/bucket", "versions"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := testprog.Built(t, "versitygw", "go -C tools/s3 build -o DIR github.com/versity/versitygw/cmd/versitygw")
	f := start(t, path, func(port string) []string {
		return []string{"--port", "127.0.0.1:" + port, "--access", accessKey, "--secret", secretKey, "--quiet", "--keep-alive",
			"posix", "--sidecar", filepath.Join(root, "versions"), filepath.Join(root, "objects")}
	})
	storetest.Run(t, f.harness(s3cold.Standard))
	t.Run("StrangeNames", func(t *testing.T) { f.keepsNames(t, s3cold.Standard) })
}

// TestMoto: a server that knows the cold classes, and thaws at once.
func TestMoto(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the real clock")
	}
	f := start(t, testprog.Find(t, "moto_server", "pip install 'moto[server]'"), func(port string) []string { return []string{"-H", "127.0.0.1", "-p", port} })
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, f.url+"/bucket", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal("no bucket: ", err)
	}
	resp.Body.Close()
	const gone = "moto 5.2 answers 500 to a part of an upload that is gone"
	f.defects = map[string]string{
		"UploadOfWrongBytes": "moto 5.2 checks no hash", "CompleteIsIdempotent": gone, "Abort": gone,
	}
	storetest.Run(t, f.harness(s3cold.DeepArchive))
	t.Run("StrangeNames", func(t *testing.T) { f.keepsNames(t, s3cold.DeepArchive) })
}
