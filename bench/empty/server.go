package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// vault is the vault that is filled and emptied.
const vault = "bench"

// Keys that the server takes from its environment, as its clients do.
const keyID, secret = "AKIDBENCH", "secret"

// serve starts the server, and gives what stops it. What it logs of requests is in
// a file.
func (b *bench) serve(ctx context.Context) (stop func() error, err error) {
	log, err := os.Create(b.log())
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.firn, "serve", filepath.Join(b.dir, "vaults"), "--json", "--listen", "127.0.0.1:0", "--job-delay", "0", "--inventory-every", "0", "--log-requests")
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=")
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	out := bufio.NewReaderSize(pipe, 1<<20)
	line, err := out.ReadBytes('\n')
	var said struct{ Endpoint string }
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	b.endpoint = said.Endpoint
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(log, out)
		copied <- cmp.Or(err, log.Close())
	}()
	return func() error {
		cmd.Process.Signal(os.Interrupt)
		err := <-copied
		return cmp.Or(err, cmd.Wait())
	}, err
}

func (b *bench) log() string { return filepath.Join(b.dir, "requests") }

// fill makes the vault, and uploads archives.
func (b *bench) fill(ctx context.Context) error {
	// The SDK finds keys in the environment alone.
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	store, err := wire.Open(ctx, wire.Env{Getenv: os.Getenv, Clock: clock.System{}, Events: firn.Discard}, config.Location{Scheme: config.Glacier, Vault: vault, Region: "us-east-1"}, wire.Options{Endpoint: b.endpoint})
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Create(ctx); err != nil {
		return err
	}
	content := []byte{'x'}
	d := treehash.NewDouble()
	d.Write(content)
	sums := d.Sums()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range b.archives {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			_, err := store.UploadArchive(ctx, fmt.Sprintf("photos/2012/summer-holidays/img_%07d.jpg", i), io.NewSectionReader(bytes.NewReader(content), 0, 1), sums)
			return err
		})
	}
	return g.Wait()
}

// check looks at what the server, which has ended, left. The vault must be gone. By
// its log an archive may be asked for again only after an inventory was read that is
// newer, and all must have been asked for.
func (b *bench) check() error {
	if !b.isGone() {
		return errors.New("the vault is there still")
	}
	f, err := os.Open(b.log())
	if err != nil {
		return err
	}
	defer f.Close()
	asked := make(map[string]int, b.archives) // id: inventories that were read before it was asked for
	lists := 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var said struct{ Text string }
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			return fmt.Errorf("the server said %q: %w", lines.Bytes(), err)
		}
		switch {
		case strings.Contains(said.Text, "GetJobOutput"):
			lists++
		case strings.Contains(said.Text, "DeleteArchive"):
			id := archiveOf(said.Text)
			if before, twice := asked[id]; twice {
				if before == lists {
					return fmt.Errorf("archive %s was asked for twice, and no inventory lies between", id)
				}
				b.again++
			}
			asked[id] = lists
		}
	}
	if len(asked) != b.archives && lines.Err() == nil {
		return fmt.Errorf("the server was asked to delete %d archives, of %d", len(asked), b.archives)
	}
	return lines.Err()
}

// archiveOf finds the archive's id in a line of the log, behind its path.
func archiveOf(line string) string {
	_, after, _ := strings.Cut(line, "/archives/")
	id, _, _ := strings.Cut(after, `"`)
	return id
}
