package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/ui"
)

type profileOptions struct {
	app *app
	Arg string // the name of a profile, or of a file; may be empty
}

// profileVerb is what the commands on profiles run.
type profileVerb func(context.Context, *profileOptions) error

func newProfileCmd(a *app) *cobra.Command {
	return group("profile", "list, show and check profiles, or see how one is written",
		newProfileVerb(a, "list", "", "list the profiles", `List the profiles in config.toml: their names, stores and directories. The file is
in $XDG_CONFIG_HOME/firn, by default ~/.config/firn; on macOS in
~/Library/Application Support/firn, on Windows in %APPDATA%\firn; FIRN_CONFIG_DIR
names another folder. docs/profiles.md tells all about it.`, runProfileList),
		newProfileVerb(a, "show", "NAME", "show what a profile says", `Show what the profile NAME says, with all paths as they are understood. Of the
addresses of hooks only the host is shown: the rest may be secret.`, runProfileShow),
		newProfileVerb(a, "check", "[FILE]", "check the file of profiles", `Check all profiles, or those in FILE: keys, values, names of trees. Of directories
that are not there it warns only, since a disk may be away.`, runProfileCheck),
		newProfileVerb(a, "example", "", "write an example of a file of profiles", `Write a config.toml with remarks, to begin with.`, runProfileExample),
		newProfileVerb(a, "convert", "FILE", "make profiles of a file of glaciersync's", `Make a config.toml of the ini file that glaciersync.py had as its -c, and write it to
stdout. Keys of AWS are not copied: put them into ~/.aws/credentials.`, runProfileConvert),
	)
}

func newProfileVerb(a *app, verb, arg, short, long string, run profileVerb) *cobra.Command {
	o := &profileOptions{app: a}
	cmd := &cobra.Command{Use: strings.TrimSpace(verb + " " + arg), Short: short, Long: long, Args: takes(nonEmpty(arg)...)}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) > 0 || arg == "":
			return nil, cobra.ShellCompDirectiveNoFileComp
		case arg == "NAME":
			return a.profileNames(), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	if verb == "convert" {
		cmd.Example = "  firn profile convert glaciersync.ini > ~/.config/firn/config.toml"
	}
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Arg = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

func nonEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

// profileNames gives the names of the profiles, for completion: what is wrong
// with the file is for a command to say.
func (a *app) profileNames() []string {
	file, err := a.profiles()
	if err != nil {
		return nil
	}
	names := make([]string, len(file.Profiles))
	for i, p := range file.Profiles {
		names[i] = p.Name
	}
	return names
}

// completeProfileOrDir completes the name of a profile, or a directory.
func (a *app) completeProfileOrDir(word string) ([]string, cobra.ShellCompDirective) {
	found := slices.DeleteFunc(a.profileNames(), func(name string) bool { return !strings.HasPrefix(name, word) })
	if len(found) == 0 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return append(found, a.completeFolder("", word)...), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// The records of profile list and show.
type (
	profileRecord struct {
		Name       string              `json:"name"`
		Store      string              `json:"store"`
		AWSProfile string              `json:"aws_profile,omitempty"`
		Endpoint   string              `json:"endpoint,omitempty"`
		Class      string              `json:"class,omitempty"`
		Recipients []string            `json:"recipients,omitempty"`
		Identity   string              `json:"identity_file,omitempty"`
		Trees      []profileTreeRecord `json:"trees"`
		Options    map[string][]string `json:"options,omitempty"`
		Keep       map[string][]string `json:"keep,omitempty"` // rules of firn prune
	}
	profileTreeRecord struct {
		Tree string `json:"tree"`
		ui.Path
		Options map[string][]string `json:"options,omitempty"`
	}
)

func newProfileRecord(p *config.Profile) profileRecord {
	r := profileRecord{Name: p.Name, Store: p.Store, AWSProfile: p.AWSProfile, Endpoint: p.Endpoint, Class: p.Class,
		Recipients: p.Recipients, Identity: p.IdentityFile, Trees: []profileTreeRecord{}, Options: optionsByKey(p.Options), Keep: optionsByKey(p.Keep)}
	for _, t := range p.Trees {
		r.Trees = append(r.Trees, profileTreeRecord{profileTreeName(t), ui.NewPath(t.Path), optionsByKey(t.Options)})
	}
	return r
}

func optionsByKey(options []config.Option) map[string][]string {
	byKey := map[string][]string{}
	for _, o := range options {
		byKey[o.Key] = o.Values
	}
	return byKey
}

func runProfileList(_ context.Context, o *profileOptions) error {
	file, err := o.app.profiles()
	if err != nil {
		return err
	}
	if len(file.Profiles) == 0 {
		o.app.ui.Print("no profile yet; see how one is written with: firn profile example > " + file.Path)
		return nil
	}
	list := ui.NewList(o.app.ui, "profile",
		ui.Column[profileRecord]{Head: "name", Cell: func(r profileRecord) string { return r.Name }},
		ui.Column[profileRecord]{Head: "store", Cell: func(r profileRecord) string { return r.Store }},
		ui.Column[profileRecord]{Head: "directories", Cell: func(r profileRecord) string {
			var dirs []string
			for _, t := range r.Trees {
				dirs = append(dirs, t.Path.Path)
			}
			return strings.Join(dirs, ", ")
		}},
	)
	defer list.Close()
	for _, p := range file.Profiles {
		list.Add(newProfileRecord(p))
	}
	return nil
}

func runProfileShow(_ context.Context, o *profileOptions) error {
	_, p, err := o.app.profileOf(o.Arg)
	if err != nil {
		return err
	}
	u := o.app.ui
	u.Record("profile", newProfileRecord(p))
	u.Print(p.Name + ": " + p.Store)
	line := func(indent, key string, values ...string) {
		if text := strings.Join(values, ", "); text != "" {
			u.Print(indent + key + ": " + text)
		}
	}
	line("  ", "aws_profile", p.AWSProfile)
	line("  ", "endpoint", p.Endpoint)
	line("  ", "class", p.Class)
	line("  ", "recipients", p.Recipients...)
	line("  ", "identity_file", p.IdentityFile)
	for _, option := range p.Options {
		line("  ", option.Key, option.Values...)
	}
	for _, rule := range p.Keep {
		line("  ", "keep "+rule.Key, rule.Values...)
	}
	showHooks(line, "  ", p.Hooks)
	for _, t := range p.Trees {
		line("  ", "tree "+profileTreeName(t), t.Path)
		for _, option := range t.Options {
			line("    ", option.Key, option.Values...)
		}
		showHooks(line, "    ", config.Hooks{Before: t.Before, After: t.After})
	}
	return nil
}

func showHooks(line func(indent, key string, values ...string), indent string, h config.Hooks) {
	line(indent, "before", hookText(h.Before))
	line(indent, "after", hookText(h.After))
	line(indent, "on_success", hookText(h.OnSuccess))
	line(indent, "on_partial", hookText(h.OnPartial))
	line(indent, "on_failure", hookText(h.OnFailure))
	line(indent, "on_ready", hookText(h.OnReady))
}

// hookText tells of a hook. The path of an address is often a password.
func hookText(h config.Hook) string {
	switch {
	case h.URL != "":
		u, err := url.Parse(h.URL)
		if err != nil {
			return "an address"
		}
		return u.Scheme + "://" + u.Host + "/..."
	case h.Shell != "":
		return h.Shell
	}
	return strings.Join(h.Args, " ")
}

func runProfileCheck(_ context.Context, o *profileOptions) error {
	path, err := o.app.configPath()
	if o.Arg != "" {
		path, err = o.app.env.Path(o.Arg), nil
	}
	if err != nil {
		return err
	}
	file, err := config.ReadFile(path, o.app.env.Getenv, o.app.profileKeys())
	if err != nil {
		return err
	}
	if len(file.Profiles) == 0 {
		return &firn.Error{Op: "check profiles", Subject: path, Kind: firn.NotFound, Err: errors.New("there are none"), Hint: "see how one is written with: firn profile example"}
	}
	var errs []error
	for _, p := range file.Profiles {
		errs = append(errs, o.app.checkProfile(file, p))
		for _, t := range p.Trees {
			if err := isDirectory(t.Path); err != nil {
				o.app.ui.Warn(p.Name + ": " + err.Error())
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	noun := "profiles"
	if len(file.Profiles) == 1 {
		noun = "profile"
	}
	o.app.ui.Print(fmt.Sprintf("%s: %d %s, and nothing is wrong", path, len(file.Profiles), noun))
	return nil
}

func runProfileExample(_ context.Context, o *profileOptions) error {
	o.app.ui.Raw(config.Example)
	return nil
}

func runProfileConvert(_ context.Context, o *profileOptions) error {
	data, err := os.ReadFile(o.app.env.Path(o.Arg))
	if err != nil {
		return &firn.Error{Op: "read", Subject: o.Arg, Kind: firn.Local, Err: cause(err)}
	}
	out, notes, err := config.ConvertGlaciersync(data, o.Arg, o.app.profileKeys())
	if err != nil {
		return err
	}
	for _, n := range notes {
		o.app.ui.Warn(n)
	}
	o.app.ui.Raw(out)
	return nil
}
