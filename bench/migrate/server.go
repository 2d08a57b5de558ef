package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Keys that the servers take.
const keyID, secret = "AKIDBENCH", "benchsecret"

// The names of the two stores, which are also those of their profiles.
const source, target = "old", "new"

// serve starts both servers, and gives what stops those that started.
func (b *bench) serve(ctx context.Context) (stop func(), err error) {
	if err := os.Mkdir(filepath.Join(b.dir, "stores"), 0o777); err != nil {
		return func() {}, err
	}
	from, stopFrom, err := b.vaults(ctx, source)
	if err != nil {
		return stopFrom, err
	}
	b.from = from
	start := b.vaults
	if b.to == toS3 {
		start = b.s3
	}
	at, stopTo, err := start(ctx, target)
	b.at = at
	return func() { stopTo(); stopFrom() }, err
}

// folder is where a server keeps what it is given.
func (b *bench) folder(name string) string { return filepath.Join(b.dir, "stores", name) }

// vaults starts firn serve.
func (b *bench) vaults(ctx context.Context, name string) (endpoint string, stop func(), err error) {
	stop = func() {}
	cmd := exec.CommandContext(ctx, b.firn, "serve", b.folder(name), "--json", "--listen", "127.0.0.1:0", "--job-delay", "0", "--inventory-every", "0")
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=")
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", stop, err
	}
	stop = func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }
	out := bufio.NewReader(pipe)
	line, err := out.ReadBytes('\n')
	var said struct{ Endpoint string }
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil || said.Endpoint == "" {
		return "", stop, fmt.Errorf("firn serve said %q, %v", line, err)
	}
	go io.Copy(io.Discard, out)
	return said.Endpoint, stop, nil
}

// s3 starts versitygw, with a bucket.
func (b *bench) s3(ctx context.Context, name string) (endpoint string, stop func(), err error) {
	stop = func() {}
	objects, sidecar := b.folder(name), filepath.Join(b.dir, "sidecar")
	for _, dir := range []string{filepath.Join(objects, target), sidecar} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return "", stop, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", stop, err
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(ctx, b.server, "--port", address, "--access", keyID, "--secret", secret, "--quiet", "--keep-alive", "posix", "--sidecar", sidecar, objects)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", stop, err
	}
	stop = func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }
	endpoint = "http://" + address
	for range 100 {
		if resp, err := http.Get(endpoint); err == nil {
			resp.Body.Close()
			return endpoint, stop, nil
		}
		select {
		case <-ctx.Done():
			return "", stop, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return "", stop, fmt.Errorf("versitygw does not answer at %s", endpoint)
}
