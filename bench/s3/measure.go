package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/firn-archive/firn/bench/programs"
	"github.com/firn-archive/firn/bench/usage"
)

// A bench is one run of the measurements.
type bench struct {
	options
	dir      string
	endpoint string
	progress io.Writer
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// What is stored, and how it is signed.
const (
	bucket     = "bench"
	key        = "bench"
	secret     = "benchsecret"
	largeBytes = 1 << 20
	smallBytes = 10 << 10
)

// serve starts the server, and gives what ends it. It keeps what it knows of an object
// in extended attributes, as it does of itself: in files beside (--sidecar) each
// object costs the server four times the processor, and that would be measured.
func (b *bench) serve(ctx context.Context) (stop func(), err error) {
	objects := filepath.Join(b.dir, "objects")
	if err := os.MkdirAll(filepath.Join(objects, bucket), 0o777); err != nil {
		return nil, err
	}
	port, err := programs.FreePort()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", port)
	cmd := exec.CommandContext(ctx, b.server, "--port", address, "--access", key, "--secret", secret, "--quiet", "--keep-alive", "posix", objects)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.endpoint = "http://" + address
	alive, end := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		end(fmt.Errorf("it has ended, %v", cmd.ProcessState))
		close(ended)
	}()
	stop = func() {
		cmd.Process.Kill()
		<-ended
	}
	if err := programs.Await(alive, b.endpoint); err != nil {
		stop()
		return nil, fmt.Errorf("versitygw does not answer: %w", err)
	}
	return stop, nil
}

// measure syncs both trees, as often as there are rounds, each time to a store that
// is empty and by a firn that knows nothing.
func (b *bench) measure(ctx context.Context) (*results, error) {
	r := &results{machine: usage.Machine(), options: b.options}
	large, small := filepath.Join(b.dir, "large"), filepath.Join(b.dir, "small")
	b.say("making %d files of 1 MiB, and %d of 10 KiB", b.large, b.small)
	if err := makeTree(large, b.large, largeBytes); err != nil {
		return nil, err
	}
	if err := makeTree(small, b.small, smallBytes); err != nil {
		return nil, err
	}
	for round := range b.rounds {
		b.say("round %d of %d", round+1, b.rounds)
		for _, one := range []struct {
			tree         string
			into, rclone *[]usage.Usage
		}{{large, &r.large, &r.rcloneLarge}, {small, &r.small, &r.rcloneSmall}} {
			name := fmt.Sprintf("%s%d", filepath.Base(one.tree), round)
			u, err := b.sync(ctx, name, one.tree)
			if err != nil {
				return nil, err
			}
			*one.into = append(*one.into, u)
			if b.rclone == "" {
				continue
			}
			if u, err = b.copy(ctx, "rclone-"+name, one.tree); err != nil {
				return nil, err
			}
			*one.rclone = append(*one.rclone, u)
		}
	}
	return r, nil
}

// sync makes a store and syncs a tree to it, and looks whether all of it is there.
func (b *bench) sync(ctx context.Context, name, tree string) (usage.Usage, error) {
	store := "s3:" + bucket + "/" + name + "?region=us-east-1"
	if out, err := b.client(ctx, name, "store", "create", "--class", "STANDARD", store).CombinedOutput(); err != nil {
		return usage.Usage{}, fmt.Errorf("create %s: %w\n%s", store, err, out)
	}
	cmd := b.client(ctx, name, "sync", "--quiet", "--no-bundle", "--concurrency", fmt.Sprint(b.concurrency), tree, store)
	cmd.Stderr = os.Stderr
	u, err := usage.Good(cmd)
	if err == nil {
		err = b.check(tree, filepath.Join(name, filepath.Base(tree)))
	}
	return u, err
}

// copy has rclone copy a tree, as many files at a time, and looks whether all of it
// is there.
func (b *bench) copy(ctx context.Context, name, tree string) (usage.Usage, error) {
	concurrency := fmt.Sprint(b.concurrency)
	cmd := exec.CommandContext(ctx, b.rclone, "copy", "--quiet", "--transfers", concurrency, "--checkers", concurrency, "--s3-no-check-bucket", tree, ":s3:"+bucket+"/"+name)
	cmd.Env = append(os.Environ(), "RCLONE_CONFIG="+os.DevNull, "RCLONE_S3_PROVIDER=Other", "RCLONE_S3_ENDPOINT="+b.endpoint,
		"RCLONE_S3_REGION=us-east-1", "AWS_CA_BUNDLE=", "RCLONE_S3_ACCESS_KEY_ID="+key, "RCLONE_S3_SECRET_ACCESS_KEY="+secret)
	cmd.Stderr = os.Stderr
	u, err := usage.Good(cmd)
	if err == nil {
		err = b.check(tree, name)
	}
	return u, err
}

// check looks whether all files of a tree are at a place of the bucket.
func (b *bench) check(tree, place string) error {
	want, err := countFiles(tree)
	if err != nil {
		return err
	}
	stored, err := countFiles(filepath.Join(b.dir, "objects", bucket, place))
	if err == nil && stored != want {
		err = fmt.Errorf("%d of %d files are there", stored, want)
	}
	return err
}

// client is a firn on a machine of its own: its catalog is used by nobody else.
func (b *bench) client(ctx context.Context, machine string, args ...string) *exec.Cmd {
	home := filepath.Join(b.dir, "machines", machine)
	cmd := exec.CommandContext(ctx, b.firn, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home,
		"AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION=us-east-1", "AWS_SESSION_TOKEN=", "AWS_PROFILE=",
		"AWS_ENDPOINT_URL="+b.endpoint)
	return cmd
}

// perFolder is how many files a folder has.
const perFolder = 100

// makeTree makes files of random bytes, no two the same.
func makeTree(dir string, files, size int) error {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, size)
	random.Read(data)
	for i := range files {
		binary.LittleEndian.PutUint64(data, random.Uint64())
		folder := filepath.Join(dir, fmt.Sprintf("%03d", i/perFolder))
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%02d.bin", i%perFolder)), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// countFiles counts the files in the folders of a folder.
func countFiles(dir string) (int, error) {
	all, err := filepath.Glob(filepath.Join(dir, "*", "*.bin"))
	return len(all), err
}
