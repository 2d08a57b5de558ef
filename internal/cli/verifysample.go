package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/scan"
)

// A sampleSize is how many files a sample has. It is a pflag.Value.
type sampleSize int

// maxSample keeps a sample from becoming a restore.
const maxSample = 1000

// Set reads a number.
func (n *sampleSize) Set(s string) error {
	i, err := strconv.Atoi(s)
	if err != nil || i < 1 || i > maxSample {
		return fmt.Errorf("%q is no number from 1 to %d", s, maxSample)
	}
	*n = sampleSize(i)
	return nil
}

// String is empty for 0, so that help shows no default.
func (n *sampleSize) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.Itoa(int(*n))
}

// Type names the value in help.
func (n *sampleSize) Type() string { return "number" }

// A sampling is the bringing back of a sample.
type sampling struct {
	*verification
	dir   string // that it goes to
	files []catalog.Sampled
	trees map[int64]catalog.Tree
	all   []restore.Options // one for each tree
	keys  []string

	counts map[firn.Action]firn.Count
}

// sample brings some files back, and compares them with what is recorded. The
// files stay the same ones until all are there.
func (v *verification) sample(ctx context.Context) error {
	a, err := v.newSampling(ctx)
	if err != nil || len(a.files) == 0 {
		return err
	}
	start := v.s.env.Clock.Now()
	err = a.fetch(ctx)
	if ctx.Err() != nil || isPending(ctx, err) {
		return err
	}
	if going, lookErr := a.goingOn(ctx); going || lookErr != nil {
		return errors.Join(err, lookErr) // what was asked for is worth going on with
	}
	if err == nil || errors.Is(err, ErrPartial) {
		if err = errors.Join(err, a.compare(ctx, err != nil)); ctx.Err() != nil {
			return err
		}
		v.s.env.Events(firn.SummaryEvent{Command: "verify", Store: v.s.loc.String(), Counts: a.counts, Elapsed: v.s.env.Clock.Now().Sub(start)})
	}
	return errors.Join(err, a.end(ctx))
}

// newSampling goes on with the sample that is under way, or draws one.
func (v *verification) newSampling(ctx context.Context) (*sampling, error) {
	data, err := config.DataDir(v.app.env.Getenv)
	if err != nil {
		return nil, err
	}
	a := &sampling{
		verification: v, trees: map[int64]catalog.Tree{}, counts: map[firn.Action]firn.Count{},
		dir: filepath.Join(v.app.env.Path(data), "sample", strconv.FormatInt(v.row.ID, 10)),
	}
	trees, err := v.s.trees(ctx, v.row.ID, v.Tree)
	if err != nil {
		return nil, err
	}
	for _, t := range trees {
		a.trees[t.ID] = t
	}
	files, asked, err := v.s.catalog.Sample(ctx, v.row.ID)
	if err != nil {
		return nil, err
	}
	known := func(f catalog.Sampled) bool { _, ok := a.trees[f.Tree]; return ok }
	if asked == int64(v.Sample) && !slices.ContainsFunc(files, func(f catalog.Sampled) bool { return !known(f) }) {
		a.files = files
		return a, a.plan(ctx)
	}
	if err := a.isFree(ctx, asked); err != nil {
		return nil, err
	}
	if a.files, err = v.draw(ctx, trees); err != nil {
		return nil, err
	}
	if len(a.files) == 0 {
		v.s.ui.Notice("the store has no file that could be brought back and compared")
		return a, nil
	}
	if err := errors.Join(os.RemoveAll(a.dir), v.s.catalog.SetSample(ctx, v.row.ID, int64(v.Sample), a.files)); err != nil {
		return nil, err
	}
	return a, a.plan(ctx)
}

// isFree refuses to draw a sample while another one was asked for.
func (a *sampling) isFree(ctx context.Context, asked int64) error {
	open, err := a.s.catalog.Restores(ctx, a.row.ID, true)
	if err != nil {
		return err
	}
	for _, r := range open {
		if r.Target == a.dir || strings.HasPrefix(r.Target, a.dir+string(filepath.Separator)) {
			return &firn.Error{Op: "verify", Subject: a.s.loc.String(), Kind: firn.Usage, Err: fmt.Errorf("another sample, of %s, is under way", counted(asked, "file")),
				Hint: fmt.Sprintf("go on with it by the command that began it, or give it up with: firn restore --cancel %d", r.ID)}
		}
	}
	return nil
}

// draw chooses among all files of the trees, each as likely as any other, that
// have content, and a hash to compare it with.
func (v *verification) draw(ctx context.Context, trees []catalog.Tree) ([]catalog.Sampled, error) {
	var drawn []catalog.Sampled
	seen := 0
	for _, t := range trees {
		for e, err := range v.s.catalog.Files(ctx, catalog.ListQuery{Tree: t.ID}) {
			if err != nil {
				return nil, err
			}
			if e.Kind != firn.Regular || e.Content.Size == 0 || e.Content.Tree.IsZero() || e.Location.State != catalog.Stored {
				continue
			}
			one := catalog.Sampled{Tree: t.ID, Path: e.Path, Content: e.Content}
			if seen++; len(drawn) < int(v.Sample) {
				drawn = append(drawn, one)
			} else if i := rand.IntN(seen); i < len(drawn) {
				drawn[i] = one
			}
		}
	}
	slices.SortFunc(drawn, func(a, b catalog.Sampled) int {
		if a.Tree != b.Tree {
			return int(a.Tree - b.Tree)
		}
		return strings.Compare(a.Path, b.Path)
	})
	return drawn, nil
}

// plan makes the restores.
func (a *sampling) plan(ctx context.Context) error {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return &firn.Error{Op: "make", Subject: a.dir, Kind: firn.Local, Err: cause(err)}
	}
	real, err := filepath.EvalSymlinks(a.dir)
	if err != nil {
		return &firn.Error{Op: "look at", Subject: a.dir, Kind: firn.Local, Err: cause(err)}
	}
	a.dir = real // as restores are known
	o := a.restore()
	for i := 0; i < len(a.files); {
		tree := a.trees[a.files[i].Tree]
		r, err := o.options(ctx, a.s, &storeTrees{store: a.row}, []catalog.Tree{tree}, a.folder(tree.ID))
		if err != nil {
			return err
		}
		for ; i < len(a.files) && a.files[i].Tree == tree.ID; i++ {
			r.Paths = append(r.Paths, a.files[i].Path)
		}
		r.Events = a.transfersOnly
		key, err := restore.Key(r)
		if err != nil {
			return err
		}
		a.all, a.keys = append(a.all, r), append(a.keys, key)
	}
	return nil
}

// folder is where the files of a tree go.
func (a *sampling) folder(tree int64) string {
	return filepath.Join(a.dir, strconv.FormatInt(tree, 10))
}

// restore gives the options of firn restore that this command has.
func (a *sampling) restore() *restoreOptions {
	return &restoreOptions{
		app: a.app, From: a.With, To: a.dir, Tiers: a.Tiers, Consent: a.Consent, Overwrite: restoreNever, Wait: a.Wait,
		Seal: a.Seal, Store: a.verifyOptions.Store, Concurrency: a.Concurrency,
	}
}

// restoreNever leaves what is there.
const restoreNever = overwriteChoice(restore.Never)

// fetch brings the files back.
func (a *sampling) fetch(ctx context.Context) error {
	b := &restoreBill{restoreOptions: a.restore(), s: a.s, prices: a.s.store.HeldPrices()}
	var errs []error
	for i := range a.all {
		err := b.begin(ctx, &a.all[i], a.keys[i])
		var res restore.Result
		if err == nil {
			res, err = restore.Run(ctx, a.all[i])
		}
		if err == nil && res.Pending() {
			a.app.expect(res.Ready)
			a.s.ui.Notice("the sample: " + pendingText(res.Ready, a.s.env.Clock.Now()))
		}
		errs = append(errs, errors.Join(err, statusOfResult(res)))
		if ctx.Err() != nil || err != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// transfersOnly passes on what moves, and what fails.
func (a *sampling) transfersOnly(e firn.Event) {
	if f, ok := e.(firn.FileEvent); ok && f.Action != firn.Failed {
		a.s.env.Events(firn.TransferEvent{Path: f.Path, Ended: true})
		return
	}
	a.s.env.Events(e)
}

// goingOn reports whether any of the restores is open.
func (a *sampling) goingOn(ctx context.Context) (bool, error) {
	for _, key := range a.keys {
		r, found, err := a.s.catalog.OpenRestore(ctx, a.row.ID, key)
		if err != nil || found && r.State == catalog.RestoreGoing {
			return found, err
		}
	}
	return false, nil
}

// compare reads what came back. Told: it was told that not all did.
func (a *sampling) compare(ctx context.Context, told bool) error {
	differs := false
	for _, f := range a.files {
		got, err := a.hashOf(ctx, f)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e := firn.FileEvent{Action: firn.Verified, Tree: a.trees[f.Tree].Name, Path: f.Path, Size: f.Content.Size}
		switch {
		case errors.Is(err, fs.ErrNotExist) && told:
			continue
		case errors.Is(err, fs.ErrNotExist):
			e.Action, e.Err, differs = firn.Failed, errors.New("it didn't come back"), true
		case err != nil:
			e.Action, e.Err, differs = firn.Failed, err, true
		case got != f.Content:
			e.Action, e.Reason, differs = firn.Differs, "the store gave other content than was recorded when the sample was drawn", true
		}
		n := a.counts[e.Action]
		a.counts[e.Action] = firn.Count{Files: n.Files + 1, Bytes: n.Bytes + e.Size}
		a.s.env.Events(e)
	}
	if differs {
		return ErrPartial
	}
	return nil
}

func (a *sampling) hashOf(ctx context.Context, s catalog.Sampled) (firn.Content, error) {
	root, err := scan.OpenRoot(a.folder(s.Tree))
	if err != nil {
		return firn.Content{}, err
	}
	defer root.Close()
	f, err := root.Open(s.Path)
	if err != nil {
		return firn.Content{}, err
	}
	defer f.Close()
	return scan.Hash(ctx, f)
}

// end removes what came back, and lets the next sample be another one.
func (a *sampling) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if err := os.RemoveAll(a.dir); err != nil {
		return &firn.Error{Op: "remove", Subject: a.dir, Kind: firn.Local, Err: cause(err)}
	}
	_ = os.Remove(filepath.Dir(a.dir)) // unless another store's is in it
	return a.s.catalog.SetSample(ctx, a.row.ID, 0, nil)
}
