package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A bench is one run.
type bench struct {
	options
	dir      string
	progress io.Writer
	endpoint string

	filled, emptied time.Duration // that it took
	killed          int
	calls           int   // of firn
	peak            int64 // most memory of one of them, bytes; 0 where the system doesn't tell
	again           int   // archives that were asked for once more, after an inventory
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// pace is how many deletions a second are reckoned with when kills are planned: more
// than there will be, so that all of them find something to kill.
const pace = 3000

// measure fills the vault, and empties it.
func (b *bench) measure(ctx context.Context) error {
	b.say("filling a vault with %d archives", b.archives)
	start := time.Now()
	if err := b.fill(ctx); err != nil {
		return err
	}
	b.filled = time.Since(start)
	b.say("emptying it")
	start = time.Now()
	share := max(time.Duration(b.archives/pace)*time.Second/time.Duration(b.kills+1), 500*time.Millisecond)
	empty := []string{"store", "empty", "glacier:" + vault, "--confirm", vault, "--and-delete", "--yes", "--concurrency", fmt.Sprint(b.concurrency)}
	// A kill may come before it is recorded that there is anything to resume: the
	// command itself comes after one.
	next := empty
	for b.killed < b.kills && !b.isGone() {
		status, err := b.call(ctx, share/2+rand.N(share), empty...)
		if err != nil {
			return err
		}
		if status != killed {
			next = []string{"resume", "--now"}
			break
		}
		b.killed++
		b.say("kill %d", b.killed)
	}
	// Nor is anything left where a kill came behind the end of it.
	for status, rounds := notYet, 0; status == notYet && !b.isGone(); rounds++ {
		if rounds == maxRounds {
			return fmt.Errorf("it is not done after %d rounds", rounds)
		}
		var err error
		if status, err = b.call(ctx, 0, next...); err != nil {
			return err
		}
		if status == notYet {
			next = []string{"resume", "--now"}
			if err := pause(ctx, time.Second); err != nil { // inventories are dated to the second
				return err
			}
		}
	}
	b.emptied = time.Since(start)
	return nil
}

// isGone reports whether the server has removed the vault. While it answers requests
// it may be about to: for its clients a vault is gone before its files are.
func (b *bench) isGone() bool {
	_, err := os.Stat(filepath.Join(b.dir, "vaults", vault, "vault.db"))
	return errors.Is(err, os.ErrNotExist)
}

// maxRounds is more than inventories of the last second can take.
const maxRounds = 30

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Statuses of firn; killed stands for none.
const (
	notYet = 75
	killed = -1
)

// call runs firn, and kills it after a time; 0: never. It looks how much memory that
// takes.
func (b *bench) call(ctx context.Context, kill time.Duration, args ...string) (status int, err error) {
	b.calls++
	cmd := exec.CommandContext(ctx, b.firn, append(args, "--quiet")...)
	home := filepath.Join(b.dir, "home")
	cmd.Env = append(os.Environ(), "HOME="+home, "FIRN_HOME="+filepath.Join(home, "data"), "FIRN_CONFIG_DIR="+filepath.Join(home, "config"), "AWS_ENDPOINT_URL="+b.endpoint)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		b.watch(cmd.Process.Pid, ended)
	}()
	if kill > 0 {
		defer time.AfterFunc(kill, func() { cmd.Process.Kill() }).Stop()
	}
	err = cmd.Wait()
	close(ended)
	<-watched
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		return 0, errors.Join(err, context.Cause(ctx))
	}
	if status = cmd.ProcessState.ExitCode(); status != 0 && status != notYet && status != killed {
		return status, fmt.Errorf("firn %v: status %d\n%s", args, status, &out)
	}
	return status, nil
}

// watch looks every so often how much memory a process had at most.
func (b *bench) watch(pid int, ended <-chan struct{}) {
	for {
		b.peak = max(b.peak, peakOf(pid))
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// peakOf is the most memory that a process had, in bytes, as Linux tells it; 0
// elsewhere, and of one that is gone.
func peakOf(pid int) (bytesMost int64) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, line, _ := bytes.Cut(data, []byte("VmHWM:"))
	var kib int64
	fmt.Sscan(string(line), &kib) // nothing there is 0
	return kib << 10
}

// write prints the table.
func (b *bench) write(w io.Writer) error {
	rate := func(d time.Duration) string {
		return fmt.Sprintf("%.0f archives/s, %.1f s", float64(b.archives)/d.Seconds(), d.Seconds())
	}
	_, err := fmt.Fprintf(w, `%d archives, %d kills, %d calls of firn, %d deletions at a time.

| what | measured |
|---|---|
| filling the vault | %s |
| emptying and deleting it | %s |
| memory of firn | %d MiB |
| archives asked for again, after an inventory that listed them | %d |
`, b.archives, b.killed, b.calls, b.concurrency, rate(b.filled), rate(b.emptied), b.peak>>20, b.again)
	return err
}
