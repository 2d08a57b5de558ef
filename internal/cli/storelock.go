package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

type storeLockOptions struct {
	app     *app
	Store   string
	File    string      // of start
	ID      firn.LockID // of complete
	Confirm string      // likewise: the vault's name
	Common  storeOptions
}

func newStoreLockCmd(a *app) *cobra.Command {
	return group("lock", "lock a vault under a policy, for good",
		newStoreLockVerb(a, "show STORE", "show a vault's lock", `Show whether STORE is locked, under which policy, and until when a lock waits to be
completed.`, runLockShow),
		newStoreLockVerb(a, "start STORE FILE", "put a lock policy in force, for a day", `Put the policy in FILE (- is standard input) in force, to try it. It goes away by itself
a day later, unless firn store lock complete, with the id that is printed, makes it stay
for good; firn store lock abort takes it away at once.

A lock policy can forbid, for example, to delete archives that are younger than some
years, to everybody and for ever. firn's own work needs deletions: old snapshots of the
catalog, and doubled archives, would stay and be charged for.`, runLockStart),
		newStoreLockCompleteCmd(a, runLockComplete),
		newStoreLockVerb(a, "abort STORE", "take away a lock that isn't completed", `Take away the policy that firn store lock start has put in force. A lock that is
completed can't be taken away by anybody.`, runLockAbort),
	)
}

// newStoreLockVerb gives a command on a vault's lock.
func newStoreLockVerb(a *app, use, short, long string, run func(context.Context, *storeLockOptions) error) *cobra.Command {
	o := &storeLockOptions{app: a}
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: takes(strings.Fields(use)[1:]...)}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 && strings.HasSuffix(use, "FILE") {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return a.completeOneStore(nil, args, word)
	}
	o.Common.addFlags(cmd.Flags(), false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if len(args) > 1 {
			o.File = args[1]
		}
		if err := a.useProfile(cmd.Flags(), o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func newStoreLockCompleteCmd(a *app, run func(context.Context, *storeLockOptions) error) *cobra.Command {
	o := &storeLockOptions{app: a}
	cmd := newStoreLockVerb(a, "complete STORE ID", "lock a vault for good", `Make the lock that was started with the id ID stay. From then on NOBODY can change or
take away its policy: not you, not the owner of the account, not AWS. It goes only with
the vault, and a vault goes only when it is empty. The policy is shown, and the vault's
name is asked for.

An ID that begins with - goes behind --.`, nil)
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Confirm, "confirm", "", "the vault's `NAME`, in place of the question")
	notOfProfile(f, "confirm")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.ID = args[0], firn.LockID(args[1])
		if o.ID == "" {
			return wrongUsage("complete lock", "the lock's id is empty; firn store lock start has printed it")
		}
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// open opens the store, and its lock.
func (o *storeLockOptions) open(ctx context.Context) (*session, firn.Custodian, error) {
	s, err := o.app.lookAt(ctx, o.Store, o.Common.wire())
	if err != nil {
		return nil, nil, err
	}
	if err := s.notOfS3("read lock", "a bucket is locked with: aws s3api put-object-lock-configuration"); err != nil {
		s.close()
		return nil, nil, err
	}
	return s, s.store.Custodian(), nil
}

// The states of locks.
const (
	lockNone       = "none"
	lockInProgress = "in_progress"
	lockComplete   = "complete"
)

// A lockRecord is a vault's lock.
type lockRecord struct {
	Store   string      `json:"store"`
	State   string      `json:"state"`
	Lock    firn.LockID `json:"lock,omitempty"` // only when it was started just now
	Policy  string      `json:"policy,omitempty"`
	Created string      `json:"created,omitempty"`
	Expires string      `json:"expires,omitempty"` // of in_progress
}

func newLockRecord(s *session, l firn.Lock) lockRecord {
	r := lockRecord{Store: s.loc.String(), State: lockNone, Policy: l.Policy, Created: timeText(l.Created), Expires: timeText(l.Expires)}
	switch {
	case l.Complete:
		r.State = lockComplete
	case l.Policy != "":
		r.State = lockInProgress
	}
	return r
}

func runLockShow(ctx context.Context, o *storeLockOptions) error {
	s, vault, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	l, err := vault.Lock(ctx)
	if err != nil {
		return err
	}
	r := newLockRecord(s, l)
	s.ui.Record("lock", r)
	switch r.State {
	case lockNone:
		s.ui.Print(r.Store + " is not locked")
		return nil
	case lockComplete:
		s.ui.Print(r.Store + " is locked for good since " + r.Created + ", under this policy:")
	default:
		s.ui.Print(r.Store + " is being locked: completed before " + r.Expires + " it stays for good, else it goes by itself; under this policy:")
	}
	s.printPolicy(l.Policy)
	return nil
}

func runLockStart(ctx context.Context, o *storeLockOptions) error {
	policy, err := o.app.readPolicy(o.File)
	if err != nil {
		return err
	}
	s, vault, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	id, err := vault.StartLock(ctx, policy)
	if firn.KindOf(err) == firn.Lost {
		return &firn.Error{Op: "start lock", Subject: "of " + s.loc.String(), Kind: firn.Lost, Err: err,
			Hint: "the policy may be in force, with an id that nobody knows: take it away with firn store lock abort, and start again"}
	}
	if err != nil {
		return err
	}
	l, err := vault.Lock(ctx)
	if err != nil {
		s.ui.Warn("the lock is started, and what the store says of it can't be read: " + err.Error())
		l = firn.Lock{Policy: policy}
	}
	r := newLockRecord(s, l)
	r.Lock = id
	s.ui.Record("lock", r)
	s.ui.Print(string(id))
	s.ui.Notice("the policy is in force now, and goes by itself at " + r.Expires)
	s.ui.Notice(fmt.Sprintf("to make it stay for good, which nobody can undo: firn store lock complete %s -- %s", s.loc, id))
	s.ui.Notice("to take it away: firn store lock abort " + s.loc.String())
	o.tellFolder(s)
	return nil
}

// tellFolder says what a lock of a folder is worth.
func (o *storeLockOptions) tellFolder(s *session) {
	if s.loc.Scheme == config.Local {
		s.ui.Notice("it binds firn; whoever can write the folder can still change and delete all that is in it")
	}
}

func runLockComplete(ctx context.Context, o *storeLockOptions) error {
	s, vault, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	l, err := vault.Lock(ctx)
	if err != nil {
		return err
	}
	if l.Policy == "" {
		return &firn.Error{Op: "complete lock", Subject: "of " + s.loc.String(), Kind: firn.NotFound, Err: fmt.Errorf("no lock is in progress"),
			Hint: "one that isn't completed within a day goes by itself; start one with firn store lock start"}
	}
	if !l.Complete {
		if ok, err := o.sure(ctx, s, l); err != nil || !ok {
			return err
		}
	}
	if err := vault.CompleteLock(ctx, o.ID); err != nil {
		return err
	}
	l.Complete, l.Expires = true, time.Time{}
	if now, err := vault.Lock(ctx); err == nil {
		l = now
	}
	s.ui.Record("lock", newLockRecord(s, l))
	s.ui.Print(s.loc.String() + " is locked for good")
	o.tellFolder(s)
	return nil
}

// sure shows what is about to be for ever, and asks for the vault's name.
func (o *storeLockOptions) sure(ctx context.Context, s *session, l firn.Lock) (bool, error) {
	name := s.store.Info.Name
	if o.Confirm != "" {
		if o.Confirm != name {
			return false, wrongUsage("complete lock", "--confirm says %q, and the vault's name is %q; nothing was done", o.Confirm, name)
		}
		return true, nil
	}
	s.ui.Warn("this locks " + s.store.Info.Address + " for good: NOBODY can change or take away the policy afterwards, neither you nor AWS. The policy:")
	for line := range strings.Lines(l.Policy) {
		s.ui.Notice(strings.TrimRight(line, "\r\n"))
	}
	ok, err := s.ui.ConfirmName(ctx, "complete the lock?", name, "--confirm "+name)
	if err == nil && !ok {
		s.ui.Print("the lock is not completed")
	}
	return ok, err
}

func runLockAbort(ctx context.Context, o *storeLockOptions) error {
	s, vault, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := vault.AbortLock(ctx); err != nil {
		return err
	}
	s.ui.Record("lock", newLockRecord(s, firn.Lock{}))
	s.ui.Print(s.loc.String() + " is not locked")
	return nil
}
