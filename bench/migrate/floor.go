package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/treehash"
)

// theFloor makes this program be the floor: -the-floor ENDPOINT N SIZE CONCURRENCY.
const theFloor = "-the-floor"

// A floor moves archives as plainly as can be, from one lean vault to another: it asks
// for each, reads it, hashes it once, and sends it on. It signs and records nothing, tries
// nothing again and can't go on after a kill. On one machine with the servers no program
// that moves archives through this one is much faster.
type floor struct {
	endpoint string
	client   *http.Client
}

// floorMain is the floor, in a process of its own.
func floorMain() {
	if len(os.Args) != 6 || os.Args[1] != theFloor {
		return
	}
	if err := moveAll(os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// moveAll moves so many archives of so many bytes, so many at a time.
func moveAll(endpoint string, numbers []string) error {
	var n [3]int
	for i, text := range numbers {
		var err error
		if n[i], err = strconv.Atoi(text); err != nil {
			return err
		}
	}
	archives, size, concurrency := n[0], n[1], n[2]
	f := &floor{endpoint + "/-/vaults/", &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 2 * concurrency, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10, DisableCompression: true,
	}}}
	next := make(chan int)
	g, ctx := errgroup.WithContext(context.Background())
	for range concurrency {
		g.Go(func() error {
			body := make([]byte, size)
			for i := range next {
				if err := f.move(ctx, i, body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i := range archives {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	return g.Wait()
}

// move moves one archive, by way of body, which has room for it.
func (f *floor) move(ctx context.Context, archive int, body []byte) error {
	asked := fmt.Sprintf(`{"Type":"archive-retrieval","ArchiveId":"%d"}`, archive)
	answer, err := f.do(ctx, http.MethodPost, source+"/jobs", strings.NewReader(asked), nil)
	if err != nil {
		return err
	}
	answer.Body.Close()
	output, err := f.do(ctx, http.MethodGet, source+"/jobs/"+answer.Header.Get("x-amz-job-id")+"/output", nil, nil)
	if err != nil {
		return err
	}
	defer output.Body.Close()
	d := treehash.NewDouble()
	if err := readHashed(d, output.Body, body); err != nil {
		return err
	}
	sums := d.Sums()
	if came := sums.Tree.String(); came != output.Header.Get("x-amz-sha256-tree-hash") {
		return fmt.Errorf("archive %d came with the tree hash %s", archive, came)
	}
	stored, err := f.do(ctx, http.MethodPost, target+"/archives", bytes.NewReader(body), map[string]string{
		"x-amz-sha256-tree-hash": sums.Tree.String(), "x-amz-content-sha256": hex.EncodeToString(sums.Linear[:]),
	})
	if err != nil {
		return err
	}
	return stored.Body.Close()
}

// readHashed fills body, and hashes it while its bytes are in the processor's cache.
func readHashed(d io.Writer, from io.Reader, body []byte) error {
	for len(body) > 0 {
		n, err := from.Read(body)
		d.Write(body[:n])
		if body = body[n:]; err != nil && len(body) > 0 {
			return err
		}
	}
	return nil
}

// do makes a request, whose answer must be a good one.
func (f *floor) do(ctx context.Context, method, path string, body io.Reader, headers map[string]string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, f.endpoint+path, body)
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		q.Header.Set(name, value)
	}
	answer, err := f.client.Do(q)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		defer answer.Body.Close()
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, why)
	}
	return answer, nil
}

// floor measures the floor, between servers of its own.
func (b *bench) floor(ctx context.Context) (took taking, err error) {
	servers, err := b.lean(ctx)
	defer func() { servers.stop() }()
	if err != nil {
		return took, err
	}
	self, err := os.Executable()
	if err != nil {
		return took, err
	}
	b.say("moving them as plainly as can be")
	cmd := exec.CommandContext(ctx, self, theFloor, servers.endpoint, strconv.Itoa(b.archives), strconv.Itoa(b.size), strconv.Itoa(b.concurrency))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if took.Usage, err = usage.Good(cmd); err != nil {
		return took, fmt.Errorf("%w\n%s", err, &said)
	}
	took.from = servers.stop()
	return took, checkLean(servers, b.archives)
}
