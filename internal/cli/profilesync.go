package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

// profiles gives the profiles that the arguments of sync name; nil where these
// are directories and a store.
func (o *syncOptions) profiles(args []string) (*config.File, []*config.Profile, error) {
	if o.All && len(args) > 0 {
		return nil, nil, wrongUsage("sync", "--all stands for all profiles, and %q is one argument too many", args[0])
	}
	if !o.All && len(args) == 0 {
		return nil, nil, wrongUsage("sync", "DIR is missing, or the name of a profile, or --all")
	}
	if !o.All && strings.Contains(args[len(args)-1], ":") {
		if len(args) == 1 {
			return nil, nil, wrongUsage("sync", "DIR is missing: say what is to be archived in %s", args[0])
		}
		return nil, nil, nil
	}
	file, err := o.app.profiles()
	if err != nil {
		return nil, nil, err
	}
	var found []*config.Profile
	if found = file.Profiles; o.All && len(found) == 0 {
		_, err := file.Profile("--all")
		return nil, nil, &firn.Error{Op: "sync", Kind: firn.Usage, Err: errors.Unwrap(err), Hint: "see how one is written with: firn profile example"}
	}
	if !o.All {
		if found, err = named(file, args); err != nil || found == nil {
			return nil, nil, err
		}
	}
	for _, p := range found {
		if err := o.app.checkProfile(file, p); err != nil {
			return nil, nil, err
		}
	}
	return file, found, nil
}

// named gives the profiles that all of the arguments name; nil where only the
// last one does, and is the store.
func named(file *config.File, args []string) (found []*config.Profile, err error) {
	for _, name := range args {
		p, err := file.Profile(name)
		switch {
		case err != nil && len(args) == 1:
			return nil, &firn.Error{Op: "sync", Kind: firn.Usage, Err: fmt.Errorf("STORE is missing, or %q is no profile; %w", name, errors.Unwrap(err))}
		case err == nil && slices.Contains(found, p):
			return nil, wrongUsage("sync", "the profile %s is there twice", name)
		case err == nil:
			found = append(found, p)
		}
	}
	last := args[len(args)-1]
	switch {
	case len(found) == len(args):
		return found, nil
	case len(found) == 0 || len(found) == 1 && found[0].Name == last:
		return nil, nil
	}
	return nil, wrongUsage("sync", "%s is a profile, but not all of these are; sync profiles and directories one by one, and write ./%s for a directory", found[0].Name, found[0].Name)
}

// syncProfiles syncs profiles one after the other. What is wrong with one stops
// only that.
func (o *syncOptions) syncProfiles(ctx context.Context, file *config.File, profiles []*config.Profile, flags *pflag.FlagSet) error {
	o.Filter.Rules, o.Filter.Regexps.list = slices.Clip(o.Filter.Rules), slices.Clip(o.Filter.Regexps.list)
	if o.Journal != "" && len(profiles) > 1 {
		return wrongUsage("sync", "--journal has the names of one directory, and %d profiles are given; sync them one by one, each with a journal of its own", len(profiles))
	}
	if o.Store.Endpoint != "" && len(profiles) > 1 {
		return wrongUsage("sync", "--endpoint-url is the address of one store, and %d profiles are given; write down each one's as its endpoint", len(profiles))
	}
	o.about = []string{"--tree", o.Tree}
	for _, p := range profiles {
		o.about = append(o.about, p.Name)
	}
	said := *o // by the command line
	base := o.app.newSettings(file, flags)
	reload := o.app.startReload(ctx)
	defer reload.stop()
	var errs []error
	for _, p := range profiles {
		*o = said
		r := &profileRun{syncOptions: o, file: file, profile: p, settings: base.fork(), reload: reload}
		errs = append(errs, r.run(ctx))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// A profileRun is the sync of one profile.
type profileRun struct {
	*syncOptions
	file     *config.File
	profile  *config.Profile
	settings *settings // those of the command line
	reload   *reload
	counts   map[firn.Action]firn.Count // of all trees
	tree     map[firn.Action]firn.Count // of the tree under way
}

// run syncs the profile, and calls the hooks of the whole run. After an
// interrupt there are none: who made it knows.
func (r *profileRun) run(ctx context.Context) error {
	r.counts = map[firn.Action]firn.Count{}
	trees, err := r.choose()
	if err == nil {
		err = r.sync(ctx, trees)
	}
	if ctx.Err() == nil {
		r.ended(ctx, err)
	}
	return err
}

// choose gives the trees that are wanted: all, or the one that --tree names.
func (r *profileRun) choose() ([]config.Tree, error) {
	if len(r.profile.Trees) == 0 {
		return nil, wrongUsage("sync", "the profile %s has no tree; name a directory in %s, or give one: firn sync DIR %s", r.profile.Name, r.file.Path, r.profile.Name)
	}
	if r.Tree == "" {
		return r.profile.Trees, nil
	}
	var names []string
	for _, t := range r.profile.Trees {
		if profileTreeName(t) == r.Tree {
			return []config.Tree{t}, nil
		}
		names = append(names, profileTreeName(t))
	}
	return nil, wrongUsage("sync", "the profile %s has no tree %s; it has %s", r.profile.Name, r.Tree, strings.Join(names, ", "))
}

// sync opens the store and syncs the trees.
func (r *profileRun) sync(ctx context.Context, trees []config.Tree) error {
	before := *r.syncOptions
	if err := r.settings.fork().addProfile(r.profile); err != nil {
		return err
	}
	r.To, r.Tree, r.names = r.profile.Name, "", map[string]string{}
	for _, t := range trees {
		if _, twice := r.names[t.Path]; twice {
			return wrongUsage("sync", "the profile %s has the directory %s twice", r.profile.Name, t.Path)
		}
		r.names[t.Path] = profileTreeName(t)
		r.Dirs = append(r.Dirs, t.Path)
	}
	if err := r.check(); err != nil {
		return err
	}
	j, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer j.s.close()
	r.watch(j)
	defer r.reload.follow(r.profile.Name, r.settings.given["limit-upload"], j.s.limit)()
	var errs []error
	for _, t := range trees {
		r.Filter = before.Filter
		err := r.syncTree(ctx, j, t)
		errs = append(errs, err)
		if ctx.Err() != nil || !ofTree(err) {
			return errors.Join(errs...) // what fails is the store or the catalog, for all
		}
	}
	return r.Change.outcome(errors.Join(append(errs, r.end(ctx, j))...))
}

// watch notes what the summaries of the trees count.
func (r *profileRun) watch(j *syncJob) {
	sink := j.s.env.Events
	j.s.env.Events = func(e firn.Event) {
		if sum, ok := e.(firn.SummaryEvent); ok {
			r.tree = sum.Counts
			for action, n := range sum.Counts {
				all := r.counts[action]
				r.counts[action] = firn.Count{Files: all.Files + n.Files, Bytes: all.Bytes + n.Bytes}
			}
		}
		sink(e)
	}
}

// syncTree syncs one tree between its hooks. Its filters are those of the tree
// and of the profile.
func (r *profileRun) syncTree(ctx context.Context, j *syncJob, t config.Tree) error {
	s := r.settings.fork()
	if err := errors.Join(s.add(t.Options), s.add(filters(r.profile.Options, r.app))); err != nil {
		return err
	}
	left, err := r.Filter.read(r.app)
	if err != nil {
		return err
	}
	r.tree = nil
	// The hooks come under the lock: what they make or take away, another sync
	// of the tree may be using.
	return r.locked(ctx, j, t.Path, func() error {
		if err := r.before(ctx, t); err != nil {
			return err
		}
		err := r.syncLocked(ctx, j, r.app.filterOf(left, t.Path), t.Path)
		r.after(ctx, t, err)
		return err
	})
}

// filters gives those options that filter.
func filters(options []config.Option, a *app) []config.Option {
	keys := a.profileKeys().Tree
	return slices.DeleteFunc(slices.Clone(options), func(o config.Option) bool { return !slices.Contains(keys, o.Key) })
}
