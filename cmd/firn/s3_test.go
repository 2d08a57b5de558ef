package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/wire"
)

// A bucketServer is an S3 whose clock is ahead of the machine's.
type bucketServer struct {
	*s3test.Server
	ahead atomic.Int64
	env   []string
}

// Now is the server's time.
func (b *bucketServer) Now() time.Time {
	return clock.System{}.Now().Add(time.Duration(b.ahead.Load()))
}

// newBucketServer starts one with the bucket "bucket", where what is cold can be read
// twelve hours after it was asked for.
func newBucketServer(t *testing.T) *bucketServer {
	t.Helper()
	b := &bucketServer{}
	b.Server = s3test.New(s3test.Options{Buckets: []string{"bucket"}, Clock: b, Thaw: 12 * time.Hour})
	listening := httptest.NewServer(b.Server)
	t.Cleanup(listening.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": listening.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value) // for this process, which looks into the store
		b.env = append(b.env, name+"="+value)
	}
	return b
}

// openBucket opens a store past firn's catalog.
func openBucket(t *testing.T, prefix string) firn.Store {
	t.Helper()
	env := wire.Env{Getenv: os.Getenv, Clock: clock.System{}, Events: firn.Discard}
	store, err := wire.Open(context.Background(), env, config.Location{Scheme: config.S3, Bucket: "bucket", Prefix: prefix}, wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// TestKilledSyncToS3StoresEverythingOnce kills sync at random moments, and then the
// restore of what it stored. Nothing is missing, nothing is stored twice, and no
// upload is left open.
func TestKilledSyncToS3StoresEverythingOnce(t *testing.T) {
	kills := 15
	if testing.Short() {
		kills = 4
	}
	b := newBucketServer(t)
	m := newMachine(t, b.env...)
	const name = "s3:bucket/a/b"
	tree := filepath.Join(m.home, "tree")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	m.must(0, "store", "create", name, "--class", "GLACIER")
	write(t, filepath.Join(tree, "large"), 66<<20+1, 1)
	for killed := 0; killed < kills; {
		for i := range 30 {
			write(t, filepath.Join(tree, fmt.Sprintf("dir%d/file%d", killed, i)), 1000+i, random.Uint64())
		}
		write(t, filepath.Join(tree, fmt.Sprintf("middle%d", killed)), 2<<20, random.Uint64())
		if m.killed(time.Duration(20+random.IntN(300))*time.Millisecond, "sync", "--quiet", "--part-size", "8", tree, name) {
			killed++
		} else {
			write(t, filepath.Join(tree, "large"), 66<<20+killed, random.Uint64())
		}
	}
	m.must(0, "sync", tree, name)
	if out := m.must(0, "sync", tree, name); !strings.Contains(out, "nothing to send") {
		t.Errorf("a further sync: %s", out)
	}
	b.checkOnce(t, inspect(t, openBucket(t, "a/b")))

	out := filepath.Join(m.home, "out")
	restore := []string{"restore", name, "--to", out, "--yes"}
	killedRestores(m, random, kills/3, restore)
	m.wait(t, retrieval.AnswerTime+time.Minute) // what a kill cut off is found by then, or asked for again
	m.must(75, restore...)
	b.ahead.Add(int64(13 * time.Hour))
	m.wait(t, 13*time.Hour)
	killedRestores(m, random, kills/3, restore)
	m.must(0, restore...)
	sameTree(t, tree, out)
	m.must(0, "verify", name)
}

// killedRestores kills a restore some times, unless it comes to its end before, for
// now or for good.
func killedRestores(m *machine, random *rand.Rand, kills int, command []string) {
	m.t.Helper()
	for range kills {
		cmd := m.command(command...)
		if err := cmd.Start(); err != nil {
			m.t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(20+random.IntN(200))*time.Millisecond, func() { cmd.Process.Kill() })
		cmd.Wait()
		timer.Stop()
		if code := cmd.ProcessState.ExitCode(); code != -1 && code != 0 && code != 75 { // -1: it was killed
			m.t.Fatalf("%v: status %d", command, code)
		}
	}
}

// checkOnce looks whether each archive is there once, and lists lie beside the
// snapshots.
func (b *bucketServer) checkOnce(t *testing.T, s stored) {
	t.Helper()
	s.checkOnce(t)
	lists := 0
	for _, key := range b.Keys("bucket") {
		if strings.Contains(key, "/.firn/lists/") {
			lists++
		}
	}
	if lists == 0 || lists%2 != 0 {
		t.Errorf("%d lists of files lie beside snapshots", lists)
	}
}
