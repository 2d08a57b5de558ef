package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/firn-archive/firn/bench/programs"
)

// Keys that the servers take.
const keyID, secret = "AKIDBENCH", "benchsecret"

// The names of the two stores, which are also those of their profiles.
const source, target = "old", "new"

// A server is one that runs.
type server struct {
	cmd      *exec.Cmd
	endpoint string
	said     bytes.Buffer  // what it printed after where it is, once it has ended
	ended    chan struct{} // closed when all of that is there; nil of one that isn't listened to
}

// stop ends a server in order, and gives the processor time that it took since it
// started; 0 of none.
func (s *server) stop() time.Duration {
	if s == nil || s.cmd.Process == nil {
		return 0
	}
	if s.cmd.ProcessState == nil {
		s.cmd.Process.Signal(os.Interrupt)
		if s.ended != nil {
			<-s.ended
		}
		s.cmd.Wait()
	}
	return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
}

// folder is where a server keeps what it is given.
func (b *bench) folder(name string) string { return filepath.Join(b.dir, "stores", name) }

// vaults starts firn serve. It gives a server to stop also where it fails.
func (b *bench) vaults(ctx context.Context, name string) (*server, error) {
	cmd := exec.CommandContext(ctx, b.firn, "serve", b.folder(name), "--json", "--listen", "127.0.0.1:0", "--job-delay", "0", "--inventory-every", "0")
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=")
	return start(cmd)
}

// start starts a server that says first of all where it is. It gives one to stop also
// where that fails.
func start(cmd *exec.Cmd) (*server, error) {
	cmd.Stderr = os.Stderr
	s := &server{cmd: cmd}
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return s, err
	}
	out := bufio.NewReader(pipe)
	line, err := out.ReadBytes('\n')
	var said struct{ Endpoint string }
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil || said.Endpoint == "" {
		return s, fmt.Errorf("%s said %q, %v", cmd.Args[:2], line, err)
	}
	s.endpoint, s.ended = said.Endpoint, make(chan struct{})
	go func() {
		defer close(s.ended)
		io.Copy(&s.said, out)
	}()
	return s, nil
}

// s3 starts versitygw, with a bucket. It gives a server to stop also where it fails.
func (b *bench) s3(ctx context.Context, name string) (*server, error) {
	s := &server{cmd: &exec.Cmd{}}
	objects, sidecar := b.folder(name), filepath.Join(b.dir, "sidecar")
	for _, dir := range []string{filepath.Join(objects, target), sidecar} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return s, err
		}
	}
	port, err := programs.FreePort()
	if err != nil {
		return s, err
	}
	address := net.JoinHostPort("127.0.0.1", port)
	s.cmd = exec.CommandContext(ctx, b.server, "--port", address, "--access", keyID, "--secret", secret, "--quiet", "--keep-alive", "posix", "--sidecar", sidecar, objects)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return s, err
	}
	s.endpoint = "http://" + address
	if err := programs.Await(ctx, s.endpoint); err != nil {
		return s, fmt.Errorf("versitygw does not answer: %w", err)
	}
	return s, nil
}
