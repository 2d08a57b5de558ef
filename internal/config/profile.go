package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
)

// A File is a configuration that was read: the profiles of a user, in the order
// of the file.
type File struct {
	Path     string
	Profiles []*Profile
}

// A Profile is a named store, with the trees that go there and how.
type Profile struct {
	Name  string
	Line  int    // where it begins
	Store string // a location: absolute, and with its region, where one is given

	// AWSProfile is a profile of the AWS configuration, Endpoint the address of
	// the service, Class the storage class of S3; each may be empty.
	AWSProfile, Endpoint, Class string

	Recipients   []string // age public keys that archives are encrypted to
	IdentityFile string   // absolute; the age identity that opens them
	Trees        []Tree
	Options      []Option
	Keep         []Option // rules of firn prune, from the table keep
	Hooks        Hooks    // Before and After are those of trees without their own
}

// A Tree is one directory of a profile.
type Tree struct {
	Path          string // absolute
	Name          string // in the store; empty for the directory's base name
	Line          int
	Options       []Option
	Before, After Hook // zero: the profile's
}

// An Option is a setting that also the command line has, under the same name
// but with dashes.
type Option struct {
	Key    string   // with underscores, as in the file
	Values []string // one, or those of a list
	Line   int
}

// Flag is the name of the option on the command line.
func (o Option) Flag() string { return strings.ReplaceAll(o.Key, "_", "-") }

// Hooks are what is called around a sync, and when a restore is over.
type Hooks struct {
	Before, After                   Hook // of each tree
	OnSuccess, OnPartial, OnFailure Hook // of a whole run
	OnReady                         Hook // of a restore
	Timeout                         time.Duration
}

// A Hook is one of: a command with its arguments, a line for the shell, an
// address that a message is posted to. The zero value is none.
type Hook struct {
	Args  []string
	Shell string
	URL   string
}

// IsZero reports whether there is no hook.
func (h Hook) IsZero() bool { return len(h.Args) == 0 && h.Shell == "" && h.URL == "" }

// DefaultHookTimeout is how long a command may run: dumps of databases take
// their time.
const DefaultHookTimeout = time.Hour

// Keys are the names of the options that a file may hold, with underscores: in
// a profile, in one of its trees, and in its table keep.
type Keys struct{ Profile, Tree, Keep []string }

// profileName is short and needs no quotes, neither in TOML nor in a shell, and
// can't be taken for a store or an option.
var profileName = name{regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`), 1, 64}

// ReadFile reads the profiles in a file. One that doesn't exist has none.
// Errors: Usage, several of them joined, each with its line; Local; Denied
// where everybody may write to the file, whose commands would be run.
func ReadFile(path string, getenv func(string) string, keys Keys) (*File, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{Path: path}, nil
	}
	if err != nil {
		return nil, &firn.Error{Op: "read", Subject: path, Kind: firn.Local, Err: cause(err)}
	}
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 {
		return nil, &firn.Error{Op: "read", Subject: path, Kind: firn.Denied, Err: errors.New("everybody on this machine may change it, and so the commands that it names"),
			Hint: "run: chmod o-w " + path}
	}
	return Parse(data, path, getenv, keys)
}

// cause is what is wrong with a path, without the path.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// Parse reads the content of a file that lies at path, which relative paths in
// it start from. Errors: Usage.
func Parse(data []byte, path string, getenv func(string) string, keys Keys) (*File, error) {
	r := &profileReader{path: path, home: Home(getenv), keys: keys}
	root, line, err := parseDocument(data)
	if err != nil {
		r.wrong(line, "", "%v", err)
		return nil, r.errs[0]
	}
	f := &File{Path: path}
	for _, field := range root.fields {
		switch {
		case field.key != "profile":
			r.unknown(field, []string{"profile"})
		case field.value.table == nil:
			r.wrong(field.line, "", "profile is no table")
		default:
			f.Profiles = r.profiles(field.value.table)
		}
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return f, nil
}

// Profile gives the profile of that name. Errors: NotFound, which names those
// that there are.
func (f *File) Profile(name string) (*Profile, error) {
	names := make([]string, len(f.Profiles))
	for i, p := range f.Profiles {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
	}
	e := &firn.Error{Op: "find profile", Subject: name, Kind: firn.NotFound}
	switch near := nearest(name, names); {
	case len(names) == 0:
		e.Err = fmt.Errorf("there are no profiles in %s", f.Path)
		e.Hint = "see how one is written with: firn profile example"
	case near != "":
		e.Err = fmt.Errorf("the profiles are: %s", strings.Join(names, ", "))
		e.Hint = "did you mean " + near + "?"
	default:
		e.Err = fmt.Errorf("the profiles are: %s", strings.Join(names, ", "))
	}
	return nil, e
}

// Location gives the profile's store. Errors: Usage, of a store that is not
// built yet.
func (p *Profile) Location() (Location, error) { return ParseLocation(p.Store, "") }

// HooksOf gives the hooks of one tree: its own before those of the profile.
func (p *Profile) HooksOf(t Tree) Hooks {
	h := p.Hooks
	if !t.Before.IsZero() {
		h.Before = t.Before
	}
	if !t.After.IsZero() {
		h.After = t.After
	}
	return h
}

// A profileReader makes profiles of tables, and gathers what is wrong.
type profileReader struct {
	path string
	home string
	keys Keys
	errs []error
}

// seeExample is what to do where nothing better is known.
const seeExample = "see how it is written with: firn profile example"

func (r *profileReader) wrong(line int, hint, format string, args ...any) {
	if hint == "" {
		hint = seeExample
	}
	subject := r.path
	if line > 0 {
		subject = fmt.Sprintf("%s, line %d", r.path, line)
	}
	r.errs = append(r.errs, &firn.Error{Op: "read", Subject: subject, Kind: firn.Usage, Err: fmt.Errorf(format, args...), Hint: hint})
}

func (r *profileReader) unknown(f *field, known []string) {
	hint := ""
	if near := nearest(f.key, known); near != "" {
		hint = "did you mean " + near + "?"
	}
	r.wrong(f.line, hint, "unknown key %q", f.key)
}

func (r *profileReader) profiles(t *table) (all []*Profile) {
	for _, f := range t.fields {
		switch {
		case f.value.table == nil:
			r.wrong(f.line, "", "profile.%s is no table; write [profile.%s]", f.key, f.key)
		case !profileName.allows(f.key):
			r.wrong(f.line, "", "%q can't be the name of a profile: it has up to 64 letters, digits, and any of _ and -", f.key)
		default:
			all = append(all, r.profile(f))
		}
	}
	return all
}

// The keys of profiles and trees beside the options.
var (
	hookKeys    = []string{"before", "after"}
	profileKeys = append([]string{"store", "region", "aws_profile", "endpoint", "class", "recipients", "identity_file", "tree", "keep",
		"on_success", "on_partial", "on_failure", "on_ready", "hook_timeout"}, hookKeys...)
	treeKeys = append([]string{"path", "name"}, hookKeys...)
)

func (r *profileReader) profile(f *field) *Profile {
	p := &Profile{Name: f.key, Line: f.line, Hooks: Hooks{Timeout: DefaultHookTimeout}}
	var region string
	texts := map[string]*string{"store": &p.Store, "region": &region, "aws_profile": &p.AWSProfile, "endpoint": &p.Endpoint, "class": &p.Class}
	hooks := map[string]*Hook{"before": &p.Hooks.Before, "after": &p.Hooks.After, "on_success": &p.Hooks.OnSuccess, "on_partial": &p.Hooks.OnPartial,
		"on_failure": &p.Hooks.OnFailure, "on_ready": &p.Hooks.OnReady}
	for _, f := range f.value.table.fields {
		switch {
		case texts[f.key] != nil:
			*texts[f.key] = r.text(f)
		case hooks[f.key] != nil:
			*hooks[f.key] = r.hook(f)
		case f.key == "recipients":
			p.Recipients = r.texts(f)
		case f.key == "identity_file":
			p.IdentityFile = r.file(f, r.text(f))
		case f.key == "hook_timeout":
			p.Hooks.Timeout = r.duration(f)
		case f.key == "tree":
			p.Trees = r.trees(f)
		case f.key == "keep":
			p.Keep = r.rules(f)
		case slices.Contains(r.keys.Profile, f.key):
			p.Options = append(p.Options, r.option(f))
		default:
			r.unknown(f, append(slices.Clone(profileKeys), r.keys.Profile...))
		}
	}
	r.place(p, region)
	return p
}

// rules reads the table of rules by which versions are kept.
func (r *profileReader) rules(f *field) (rules []Option) {
	if f.value.table == nil {
		r.wrong(f.line, "", "keep is no table; write [profile.NAME.keep]")
		return nil
	}
	for _, rule := range f.value.table.fields {
		if slices.Contains(r.keys.Keep, rule.key) {
			rules = append(rules, r.option(rule))
		} else {
			r.unknown(rule, r.keys.Keep)
		}
	}
	return rules
}

func (r *profileReader) trees(f *field) (all []Tree) {
	if f.value.table != nil {
		r.wrong(f.line, "write [[profile.NAME.tree]], with two brackets", "tree is a list of tables")
		return nil
	}
	for _, v := range f.value.items {
		if v.table == nil {
			r.wrong(f.line, "", "a tree is a table with a path")
			continue
		}
		all = append(all, r.tree(v.table))
	}
	return all
}

func (r *profileReader) tree(t *table) Tree {
	tree := Tree{Line: t.line}
	for _, f := range t.fields {
		switch {
		case f.key == "path":
			tree.Path = r.file(f, r.text(f))
		case f.key == "name":
			tree.Name = r.text(f)
		case f.key == "before":
			tree.Before = r.hook(f)
		case f.key == "after":
			tree.After = r.hook(f)
		case slices.Contains(r.keys.Tree, f.key):
			tree.Options = append(tree.Options, r.option(f))
		case slices.Contains(r.keys.Profile, f.key) || slices.Contains(profileKeys, f.key):
			r.wrong(f.line, "write it in the profile itself, above its trees", "%s can't be set for one tree", f.key)
		default:
			r.unknown(f, append(slices.Clone(treeKeys), r.keys.Tree...))
		}
	}
	if t.get("path") == nil {
		r.wrong(t.line, "", "this tree has no path")
	}
	return tree
}
