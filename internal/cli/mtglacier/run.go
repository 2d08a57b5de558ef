package mtglacier

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// run runs the command, and gives the exit status.
func (o *Options) run(ctx context.Context, env Env) int {
	if env.Clock == nil {
		env.Clock = clock.System{}
	}
	r := &runner{Options: o, env: env}
	commands := map[Command]func(context.Context) error{
		CreateVault: r.createVault, DeleteVault: r.deleteVault, ListVaults: r.listVaults,
		Sync: r.sync, UploadFile: r.uploadFile, PurgeVault: r.purgeVault,
		Restore: r.restore, RestoreCompleted: r.restoreCompleted, CheckLocalHash: r.checkLocalHash,
		RetrieveInventory: r.retrieveInventory, DownloadInventory: r.downloadInventory,
	}
	run, ok := commands[o.Command]
	if !ok {
		return fail(env, fmt.Errorf("the command %q can't be run", o.Command))
	}
	err := run(ctx)
	if ctx.Err() != nil {
		err = errors.New("interrupted; what is done is recorded, and the same command goes on from there")
	}
	if err != nil {
		fail(r.env, err)
	}
	if err != nil || r.failed {
		return statusFailed
	}
	return statusDone
}

// A runner is one command under way.
type runner struct {
	*Options
	env Env

	mu     sync.Mutex
	failed bool // something was told to have failed
}

// at gives what to open for a name that was typed.
func (r *runner) at(name string) string {
	path, err := r.path(r.env, name)
	if err != nil { // it was opened before, when the options were checked
		return inDir(r.env, name)
	}
	return path
}

// below gives what a file of the tree is called on the disk, as it is shown: the
// root as it was typed, and the name below it.
func (r *runner) below(name string) string { return filepath.Join(r.Dir, filepath.FromSlash(name)) }

// say prints a line of its own on stdout.
func (r *runner) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.env.Stdout, clean(format, args))
}

// did prints what a worker has done. Workers have no processes of their own:
// their lines bear the number of the one that there is.
func (r *runner) did(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.env.Stdout, "PID %d %s\n", os.Getpid(), clean(format, args))
}

// started says that workers have begun.
func (r *runner) started(workers int) {
	for range workers {
		r.did("Started worker")
	}
}

// error tells of something that failed, while others go on. The status is that
// of a failure then.
func (r *runner) error(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
	fmt.Fprintf(r.env.Stderr, "ERROR: %s\n", clean(format, args))
}

// note says on stderr what is no error.
func (r *runner) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.env.Stderr, "%s\n", clean(format, args))
}

// events says what the engine has to say that somebody must know.
func (r *runner) events(e firn.Event) {
	switch e := e.(type) {
	case firn.NoticeEvent:
		if e.Warn {
			r.note("WARNING: %s", e.Text)
		} else if !e.Detail {
			r.note("%s", e.Text)
		}
	case firn.WaitEvent:
		r.note("waiting for %s", e.What)
	}
}
