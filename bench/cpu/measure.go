package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/firn-archive/firn/bench/usage"
)

// A bench is one run of the measurements.
type bench struct {
	options
	dir      string
	progress io.Writer
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// hashCommand makes this program hash SIZE bytes and end, so that the bare cost
// is read from a process too.
const hashCommand = "-hash-twice"

// leaf is the unit of the tree hash. Source: Amazon Glacier developer guide,
// "Computing checksums".
const leaf = 1 << 20

// hashTwice hashes so many bytes from memory, by leaf and as a whole.
func hashTwice(size string) error {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	block := make([]byte, leaf)
	rand.NewChaCha8([32]byte{}).Read(block) // never fails
	linear := sha256.New()
	for ; n > 0; n -= leaf {
		part := block[:min(n, leaf)]
		sha256.Sum256(part)
		linear.Write(part)
	}
	linear.Sum(nil)
	return nil
}

// largeFile measures the upload of one file, and hashing as much.
func (b *bench) largeFile(ctx context.Context, r *results) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	source := filepath.Join(b.dir, "large")
	b.say("making a file of %d MiB", b.size>>20)
	if err := makeFile(filepath.Join(source, "file"), b.size); err != nil {
		return err
	}
	server, err := b.serve(ctx)
	if err != nil {
		return err
	}
	defer server.stop()
	for round := range b.rounds {
		b.say("large file, round %d of %d", round+1, b.rounds)
		hashed, err := usage.Good(command(ctx, self, hashCommand, strconv.FormatInt(b.size, 10)))
		if err != nil {
			return err
		}
		store := fmt.Sprintf("glacier:bench%d", round)
		if err := server.run(b.client(ctx, round, "store", "create", store)); err != nil {
			return err
		}
		sent, err := usage.Good(server.point(b.client(ctx, round, "sync", "--quiet", source, store)))
		if err != nil {
			return err
		}
		r.hash, r.sync = append(r.hash, hashed), append(r.sync, sent)
	}
	return nil
}

// manyFiles measures first and second syncs of a tree to local stores.
func (b *bench) manyFiles(ctx context.Context, r *results) error {
	var err error
	if r.files, err = countFiles(b.tree); err != nil {
		return err
	}
	for round := range b.rounds {
		b.say("%d files of %s, round %d of %d", r.files, b.tree, round+1, b.rounds)
		store := "local:" + filepath.Join(b.dir, fmt.Sprintf("tree%d", round))
		first, err := usage.Good(b.client(ctx, b.rounds+round, "sync", "--quiet", b.tree, store))
		if err != nil {
			return err
		}
		again, err := usage.Good(b.client(ctx, b.rounds+round, "sync", "--quiet", b.tree, store))
		if err != nil {
			return err
		}
		r.first, r.again = append(r.first, first), append(r.again, again)
	}
	return nil
}

// client is a firn on a machine of its own: its catalog is used by nobody else.
func (b *bench) client(ctx context.Context, machine int, args ...string) *exec.Cmd {
	home := filepath.Join(b.dir, fmt.Sprintf("machine%d", machine))
	cmd := command(ctx, b.firn, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.Env = append(cmd.Env, keyPair...)
	return cmd
}

// keyPair is what requests are signed with.
var keyPair = []string{"AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_REGION=us-east-1", "AWS_SESSION_TOKEN=", "AWS_PROFILE="}

// A server is a firn serve in a process of its own.
type server struct {
	cmd      *exec.Cmd
	endpoint string
}

func (b *bench) serve(ctx context.Context) (*server, error) {
	cmd := command(ctx, b.firn, "serve", "--json", "--listen", "127.0.0.1:0", filepath.Join(b.dir, "vaults"))
	cmd.Env = append(os.Environ(), keyPair...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var said struct{ Endpoint string }
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("firn serve did not say where it is: %w", err)
	}
	s.endpoint = said.Endpoint
	return s, nil
}

// stop ends the server; what it stored goes with the folder.
func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// point makes a client talk to the server.
func (s *server) point(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Env, "AWS_ENDPOINT_URL_GLACIER="+s.endpoint)
	return cmd
}

func (s *server) run(cmd *exec.Cmd) error {
	if err := s.point(cmd).Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}

// makeFile makes a file of random bytes, which are on disk when it returns, so
// that nothing is left to be written while others are measured.
func makeFile(name string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{1}), size); err != nil {
		return err
	}
	return f.Sync()
}

// countFiles counts what firn sends of a tree: its regular files.
func countFiles(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	return n, err
}
