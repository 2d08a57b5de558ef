package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// A bench is one run.
type bench struct {
	options
	dir      string
	progress io.Writer
	from, at *server // the source and the target; lean ones are both in one
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// leastSize of an archive: its number, which makes its content another than all.
const leastSize = 8

// fillers is how many archives are uploaded at a time to fill the source.
const fillers = 32

// A taking is what a migration took.
type taking struct {
	usage.Usage               // of firn migrate
	from, at    time.Duration // processor time of the servers
}

// measure fills the source, and moves what is in it.
func (b *bench) measure(ctx context.Context) (took taking, err error) {
	defer func() { b.from.stop(); b.at.stop() }()
	if err := b.prepare(ctx); err != nil {
		return took, err
	}
	if err := b.configure(); err != nil {
		return took, err
	}
	b.say("moving them")
	cmd := b.client(ctx, "migrate", source, target, "--yes", "--wait", "--poll", "1s", "--quiet", "--no-bundle", "--concurrency", fmt.Sprint(b.concurrency))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if took.Usage, err = usage.Good(cmd); err != nil {
		return took, fmt.Errorf("%w\n%s", err, &said)
	}
	took.from, took.at = b.from.stop(), b.at.stop()
	if b.leanly {
		return took, checkLean(b.at, b.archives)
	}
	return took, b.check(ctx)
}

// prepare starts the servers, and fills the source, which is another process then than
// the one that was filled.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.leanly {
		b.from, err = b.lean(ctx)
		b.at = b.from
		return err
	}
	b.say("filling a vault with %d archives of %d bytes", b.archives, b.size)
	if err := b.serve(ctx); err != nil {
		return err
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	b.from.stop()
	b.at.stop()
	return b.serve(ctx)
}

// serve starts both servers.
func (b *bench) serve(ctx context.Context) (err error) {
	if err := os.MkdirAll(filepath.Join(b.dir, "stores"), 0o777); err != nil {
		return err
	}
	if b.from, err = b.vaults(ctx, source); err != nil {
		return err
	}
	if b.to == toS3 {
		b.at, err = b.s3(ctx, target)
	} else {
		b.at, err = b.vaults(ctx, target)
	}
	return err
}

// fill makes the vault, and uploads archives as mt-aws-glacier described them.
func (b *bench) fill(ctx context.Context) error {
	keys := map[string]string{"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1"}
	for name, value := range keys { // the SDK finds them in the environment alone
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	env := wire.Env{Getenv: os.Getenv, Clock: clock.System{}, Events: firn.Discard}
	store, err := wire.Open(ctx, env, config.Location{Scheme: config.Glacier, Vault: source, Region: "us-east-1"}, wire.Options{Endpoint: b.from.endpoint})
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Create(ctx); err != nil {
		return err
	}
	content := make([]byte, b.size)
	rand.NewChaCha8([32]byte{1}).Read(content)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fillers)
	for i := range b.archives {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return upload(ctx, store, i, content) })
	}
	return g.Wait()
}

// upload stores an archive: a content with its number at the front.
func upload(ctx context.Context, store firn.Store, number int, content []byte) error {
	data := bytes.Clone(content)
	binary.LittleEndian.PutUint64(data, uint64(number))
	d := treehash.NewDouble()
	d.Write(data)
	_, err := store.UploadArchive(ctx, described(number), io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), d.Sums())
	return err
}

// described is the description of an archive, as mt-aws-glacier makes it.
func described(number int) string {
	meta := fmt.Sprintf(`{"filename":"photos/%03d/img_%06d.jpg","mtime":"20130102T030405Z"}`, number/1000, number)
	return "mt2 " + base64.RawURLEncoding.EncodeToString([]byte(meta))
}

func (b *bench) home() string { return filepath.Join(b.dir, "home") }

// configure writes the profiles of both stores.
func (b *bench) configure() error {
	to, class := "glacier:us-east-1/"+target, ""
	if b.to == toS3 {
		to, class = "s3:"+target+"/p?region=us-east-1", "class = \"STANDARD\"\n"
	}
	text := fmt.Sprintf("[profile.%s]\nstore = %q\nendpoint = %q\n\n[profile.%s]\nstore = %q\nendpoint = %q\n%s",
		source, "glacier:us-east-1/"+source, b.from.endpoint, target, to, b.at.endpoint, class)
	if err := os.MkdirAll(b.home(), 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.home(), "config.toml"), []byte(text), 0o666)
}

// client is firn with a catalog that knows nothing.
func (b *bench) client(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.firn, args...)
	cmd.Env = append(os.Environ(), "HOME="+b.home(), "FIRN_HOME="+filepath.Join(b.home(), "data"), "FIRN_CONFIG_DIR="+b.home(),
		"AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION=us-east-1", "AWS_SESSION_TOKEN=", "AWS_PROFILE=", "AWS_ENDPOINT_URL=")
	return cmd
}

// check looks whether the target holds as many archives of that size.
func (b *bench) check(ctx context.Context) error {
	there, err := b.small(ctx)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(b.folder(target), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() == int64(b.size) {
			there++
		}
		return err
	})
	if err == nil && there != b.archives {
		err = fmt.Errorf("%d of %d archives are in the target", there, b.archives)
	}
	return err
}

// small counts the archives of that size which lie in the target's database.
func (b *bench) small(ctx context.Context) (n int, err error) {
	path := filepath.Join(b.folder(target), target, "vault.db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, nil // the target is no vault
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM small WHERE length(body) = ?", b.size).Scan(&n)
	return n, err
}

// write prints the table.
func (b *bench) write(w io.Writer, took, least taking) error {
	n, gib := float64(b.archives), float64(b.archives)*float64(b.size)/(1<<30)
	each := func(d time.Duration) float64 { return d.Seconds() * 1e6 / n }
	servers := fmt.Sprintf("%.0f CPU µs an archive at the source, %.0f at the target", each(took.from), each(took.at))
	if b.leanly {
		servers = fmt.Sprintf("%.0f CPU µs an archive, source and target together", each(took.from))
	}
	_, err := fmt.Fprintf(w, `On %s; %d archives of %d bytes from %s, %d at a time.

| what | measured |
|---|---|
| moving | %.0f archives/s, %.1f s |
| bytes | %.0f MiB/s |
| processor | %.0f CPU µs an archive, %.2f CPU s/GiB |
| of the servers | %s |
| peak memory | %s |
`, usage.Machine(), b.archives, b.size, b.between(), b.concurrency,
		n/took.Wall.Seconds(), took.Wall.Seconds(), gib*1024/took.Wall.Seconds(), each(took.CPU), took.CPU.Seconds()/gib,
		servers, took.MemoryText())
	if err == nil && b.leanly {
		_, err = fmt.Fprintf(w, "| moving as plainly as can be, in the same run | %.0f archives/s; %.0f CPU µs an archive, and %.0f of the servers |\n",
			n/least.Wall.Seconds(), each(least.CPU), each(least.from))
	}
	return err
}

// between says what was measured with.
func (b *bench) between() string {
	switch {
	case b.leanly:
		return "one to another of two lean vaults, which keep nothing"
	case b.to == toS3:
		return "a vault of `firn serve` to versitygw"
	}
	return "a vault of `firn serve` to a vault of `firn serve`"
}
