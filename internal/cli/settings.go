package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/config"
)

// Kinds of options, where profiles are concerned.
var (
	// notInFile are those of firn sync that are for one run, or have another name
	// in a profile.
	notInFile = []string{"all", "dry-run", "expect-changes", "help", "tree", "tree-moved", "unencrypted", "recipient", "identity", "yes", "endpoint-url"}
	// notOfSync are those of other commands that a profile may have.
	notOfSync = []string{"limit-download", "tier"}
	// files have values that are names of files.
	files = []string{"exclude-from", "identity", "journal", "passphrase-file"}
	// summed are those of a tree, its profile and the command line together, in
	// such an order that the nearer one wins: of rules the first that matches
	// decides, of patterns the last.
	summed = []string{"filter", "include", "exclude", "exclude-from", "exclude-regexp"}
	// listed may be given more than once.
	listed = append([]string{"recipient"}, summed...)
)

// notInProfiles marks options that mean something else than the option of firn
// sync of the same name: what a profile says is about that one.
const notInProfiles = "not-in-profiles"

// notOfProfile marks options of a command that no profile sets.
func notOfProfile(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f.Lookup(name).Annotations = map[string][]string{notInProfiles: {}}
	}
}

// configPath is where the profiles are.
func (a *app) configPath() (string, error) {
	dir, err := config.ConfigDir(a.env.Getenv)
	if err != nil {
		return "", err
	}
	return filepath.Join(a.env.Path(dir), config.FileName), nil
}

// profiles reads the user's profiles.
func (a *app) profiles() (*config.File, error) {
	path, err := a.configPath()
	if err != nil {
		return nil, err
	}
	return config.ReadFile(path, a.env.Getenv, a.profileKeys())
}

// profileKeys are the options that a profile may have: those of firn sync and a
// few others, and in a tree those that filter.
func (a *app) profileKeys() config.Keys {
	var keys config.Keys
	add := func(to *[]string, name string) { *to = append(*to, strings.ReplaceAll(name, "-", "_")) }
	newSyncCmd(a, nil).Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(notInFile, f.Name) {
			add(&keys.Profile, f.Name)
		}
	})
	for _, name := range notOfSync {
		add(&keys.Profile, name)
	}
	filters := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(filterOptions).addFlags(filters, a)
	filters.VisitAll(func(f *pflag.Flag) { add(&keys.Tree, f.Name) })
	keys.Keep = ruleKeys()
	return keys
}

// A settings puts the options of profiles where those of the command line are
// kept.
type settings struct {
	app   *app
	file  *config.File
	flags *pflag.FlagSet
	given map[string]bool // by the command line, or something nearer than what comes
}

// newSettings takes what is set in flags as given by the command line.
func (a *app) newSettings(file *config.File, flags *pflag.FlagSet) *settings {
	s := &settings{app: a, file: file, flags: flags, given: map[string]bool{}}
	flags.Visit(func(f *pflag.Flag) { s.given[f.Name] = true })
	return s
}

// fork gives settings that can be added to without changing these.
func (s *settings) fork() *settings {
	f := *s
	f.given = map[string]bool{}
	for name := range s.given {
		f.given[name] = true
	}
	return &f
}

// add sets options that aren't set by something nearer: first call it for a
// tree, then for its profile. Options that the command doesn't have are not for
// it. Errors: Usage, with the line.
func (s *settings) add(options []config.Option) error {
	var set []string
	for _, o := range options {
		name := o.Flag()
		flag := s.flags.Lookup(name)
		if flag == nil || flag.Annotations[notInProfiles] != nil || s.given[name] && !slices.Contains(summed, name) {
			continue
		}
		if err := s.set(flag, o); err != nil {
			return &firn.Error{Op: "read", Subject: fmt.Sprintf("%s, line %d", s.file.Path, o.Line), Kind: firn.Usage,
				Err: fmt.Errorf("%s: %w", o.Key, err), Hint: "what it can be says: firn sync --help"}
		}
		set = append(set, name)
	}
	for _, name := range set {
		s.given[name] = true
	}
	return nil
}

// addProfile adds all that a profile itself says.
func (s *settings) addProfile(p *config.Profile) error {
	options := slices.Clone(p.Options)
	if len(p.Recipients) > 0 {
		options = append(options, config.Option{Key: "recipient", Values: p.Recipients, Line: p.Line})
	}
	if p.IdentityFile != "" {
		options = append(options, config.Option{Key: "identity", Values: []string{p.IdentityFile}, Line: p.Line})
	}
	return s.add(options)
}

func (s *settings) set(flag *pflag.Flag, o config.Option) error {
	values := slices.Clone(o.Values)
	if len(values) > 1 && !slices.Contains(listed, flag.Name) {
		return errors.New("it takes one value, and no list")
	}
	if slices.Contains(files, flag.Name) {
		for i, name := range values {
			path, err := s.file.Resolve(name, s.app.env.Getenv)
			if err != nil {
				return err
			}
			values[i] = path
		}
	}
	if list, ok := flag.Value.(pflag.SliceValue); ok {
		return list.Replace(append(values, list.GetSlice()...)) // before what is nearer
	}
	for _, v := range values {
		if err := flag.Value.Set(v); err != nil {
			return err
		}
	}
	return nil
}

// useProfile sets the options that a profile has for a command and that its
// command line doesn't give, where store is the name of one. Where the command
// is about one directory, and that is a tree of the profile, its filters count
// too.
func (a *app) useProfile(flags *pflag.FlagSet, store string, dirs ...string) error {
	if strings.Contains(store, ":") {
		return nil
	}
	file, p, err := a.profileOf(store)
	if err != nil {
		return err
	}
	s := a.newSettings(file, flags)
	isTree := func(t config.Tree) bool { return len(dirs) == 1 && t.Path == dirs[0] }
	if !slices.ContainsFunc(p.Trees, isTree) {
		s.given["journal"] = true // that of the profile's directory is no other's
	}
	for _, t := range p.Trees {
		if isTree(t) {
			if err := s.add(t.Options); err != nil {
				return err
			}
		}
	}
	return s.addProfile(p)
}

// profileOf finds the profile that a store is called by. A name that is neither
// a store's nor a profile's is an error that tells of both.
func (a *app) profileOf(store string) (*config.File, *config.Profile, error) {
	file, err := a.profiles()
	if err != nil {
		return nil, nil, err
	}
	p, err := file.Profile(store)
	var none *firn.Error
	if errors.As(err, &none) {
		hint := "write " + config.Forms
		if len(file.Profiles) > 0 && none.Hint != "" {
			hint = none.Hint
		}
		return nil, nil, &firn.Error{Op: "find store", Subject: store, Kind: firn.Usage, Err: fmt.Errorf("it is neither a store nor a profile; %w", none.Err), Hint: hint}
	}
	return file, p, err
}

// resolve finds the store that a command names: by a location, or by a profile.
func (a *app) resolve(store string) (config.Location, *config.Profile, error) {
	if strings.Contains(store, ":") {
		loc, err := config.ParseLocation(store, a.env.Dir)
		return loc, nil, err
	}
	_, p, err := a.profileOf(store)
	if err != nil {
		return config.Location{}, nil, err
	}
	loc, err := p.Location()
	return loc, p, err
}

// mayStorePlain refuses to store what is not encrypted by way of a profile whose
// archives are to be.
func (s *session) mayStorePlain(op string) error {
	if s.profile == nil || len(s.profile.Recipients) == 0 {
		return nil
	}
	return &firn.Error{Op: op, Subject: s.profile.Name, Kind: firn.Usage, Err: errors.New("the profile has recipients, and this command can't encrypt"),
		Hint: "to store it all the same, for everybody to read who gets at the store, name the store itself: " + s.loc.String()}
}

// checkProfile finds what is wrong with a profile that only the command line can
// know: values of options, names of trees.
func (a *app) checkProfile(file *config.File, p *config.Profile) error {
	if err := a.newSettings(file, newPruneCmd(a, nil).Flags()).add(ruleOptions(p)); err != nil {
		return err
	}
	names := map[string]string{}
	for _, t := range append([]config.Tree{{}}, p.Trees...) {
		for _, cmd := range []*cobra.Command{newSyncCmd(a, nil), newRestoreCmd(a, nil)} {
			s := a.newSettings(file, cmd.Flags())
			if err := s.add(t.Options); err != nil {
				return err
			}
			if err := s.addProfile(p); err != nil {
				return err
			}
		}
		if t.Path == "" {
			continue // the profile alone
		}
		name := profileTreeName(t)
		wrong := func(format string, args ...any) error {
			return &firn.Error{Op: "read", Subject: fmt.Sprintf("%s, line %d", file.Path, t.Line), Kind: firn.Usage, Err: fmt.Errorf(format, args...), Hint: "give the tree another name, with name = \"...\""}
		}
		if err := describe.CheckTree(name); err != nil {
			return wrong("%q can't be the name of a tree: %w", name, err)
		}
		if other, taken := names[name]; taken {
			return wrong("%s and %s have the same name, %s", other, t.Path, name)
		}
		names[name] = t.Path
	}
	return nil
}

// profileTreeName is what a tree of a profile is called in the store.
func profileTreeName(t config.Tree) string {
	if t.Name != "" {
		return t.Name
	}
	return defaultTreeName(t.Path)
}
