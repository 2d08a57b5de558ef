package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/filter"
)

// filterOptions are those of every command that looks at a directory.
type filterOptions struct {
	Rules                []filter.Rule
	From                 []string // names of files
	Regexps              regexpList
	MinSize, MaxSize     sizeLimit
	OlderThan, NewerThan ageLimit
	OneVolume            bool
	Caches               bool
	KeepLitter           bool
}

func (o *filterOptions) addFlags(f *pflag.FlagSet, a *app) {
	list := func(read func(string) ([]filter.Rule, error)) *ruleList { return &ruleList{&o.Rules, read} }
	one := func(rule func(string) filter.Rule) func(string) ([]filter.Rule, error) {
		return func(s string) ([]filter.Rule, error) { return []filter.Rule{rule(s)}, nil }
	}
	o.OlderThan.clock, o.NewerThan.clock = a.env.Clock, a.env.Clock
	f.Var(list(filter.ParseRules), "filter", "keep and leave out by `RULES` such as '+*.jpg -': the first that matches decides, also among the next two")
	f.Var(list(one(filter.Include)), "include", "a rule that keeps what matches `PATTERN`")
	f.Var(list(one(filter.Exclude)), "exclude", "a rule that leaves out what matches `PATTERN`")
	f.StringArrayVar(&o.From, "exclude-from", nil, "leave out by the patterns in `FILE`, which is written like a .gitignore")
	f.Var(&o.Regexps, "exclude-regexp", "leave out files whose path has a match of `REGEXP`")
	f.Var(&o.MinSize, "min-size", "leave out files below `BYTES`, such as 500K or 2M")
	f.Var(&o.MaxSize, "max-size", "leave out files above `BYTES`")
	f.Var(&o.OlderThan, "older-than", "keep only files modified longer than `AGE` ago (12h, 3d, 2w, 1y), or before a day (2026-11-21)")
	f.Var(&o.NewerThan, "newer-than", "keep only files modified within `AGE`, or on a day or later")
	f.BoolVar(&o.OneVolume, "one-file-system", false, "leave out directories on other file systems")
	f.BoolVar(&o.Caches, "exclude-caches", false, "leave out directories with a "+filter.CacheTag)
	f.BoolVar(&o.KeepLitter, "no-default-excludes", false, "keep what NAS and desktop systems leave behind, such as @eaDir and .DS_Store")
}

// read checks the options, and reads the files that they name.
func (o *filterOptions) read(a *app) (filter.Options, error) {
	out := filter.Options{
		Rules: o.Rules, Regexps: o.Regexps.list,
		MinSize: int64(o.MinSize.byteSize), MaxSize: int64(o.MaxSize.byteSize),
		OlderThan: o.OlderThan.time, NewerThan: o.NewerThan.time,
		OneVolume: o.OneVolume, Caches: o.Caches, KeepLitter: o.KeepLitter,
	}
	switch {
	case out.MaxSize > 0 && out.MinSize > out.MaxSize:
		return out, wrongUsage("filter", "no file is both of --min-size %s and of --max-size %s", o.MinSize.text, o.MaxSize.text)
	case !out.OlderThan.IsZero() && !out.NewerThan.Before(out.OlderThan):
		return out, wrongUsage("filter", "no file is both --older-than %s and --newer-than %s", o.OlderThan.text, o.NewerThan.text)
	}
	for _, name := range o.From {
		patterns, err := readPatterns(a.env.Path(name), name)
		if err != nil {
			return out, err
		}
		out.Patterns = append(out.Patterns, patterns...)
	}
	if len(o.Rules) > 0 && !slices.ContainsFunc(o.Rules, func(r filter.Rule) bool { return r.Excludes() }) {
		a.ui.Warn("all rules include, so they leave nothing out: what no rule matches is kept; end them with --filter - to keep only what they name")
	}
	return out, nil
}

// readPatterns reads a file of patterns, which the user calls name.
func readPatterns(path, name string) ([]filter.Pattern, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &firn.Error{Op: "read patterns", Subject: name, Kind: firn.Local, Err: cause(err)}
	}
	defer f.Close()
	patterns, err := filter.ReadPatterns(f, name)
	if err != nil {
		return nil, &firn.Error{Op: "read patterns", Kind: firn.Usage, Err: cause(err), Hint: "give a file with one pattern a line, as git describes them for .gitignore"}
	}
	return patterns, nil
}

// filterOf gives the filter for one directory.
func (a *app) filterOf(o filter.Options, root string) *filter.Filter {
	o.Root = root
	if own, err := config.DataDir(a.env.Getenv); err == nil && within(own, root) {
		rel, err := filepath.Rel(resolved(root), resolved(own))
		if err == nil && rel != "." {
			o.Own = filepath.ToSlash(rel)
		}
	}
	return filter.New(o)
}

// A ruleList is an option that adds rules to a list, which it may share with
// others so that they stay in the order of the command line. It is a
// pflag.Value.
type ruleList struct {
	rules *[]filter.Rule
	read  func(string) ([]filter.Rule, error)
}

// Set adds rules.
func (l *ruleList) Set(s string) error {
	rules, err := l.read(s)
	*l.rules = append(*l.rules, rules...)
	return err
}

// String is empty, so that help shows no default.
func (l *ruleList) String() string { return "" }

// Type names the value in help.
func (l *ruleList) Type() string { return "rules" }

// A regexpList is an option that is given once for each expression. It is a
// pflag.Value.
type regexpList struct{ list []*regexp.Regexp }

// Set adds an expression.
func (l *regexpList) Set(s string) error {
	re, err := regexp.Compile(s)
	if err != nil {
		return fmt.Errorf("%w; the syntax is that of https://go.dev/s/re2syntax", err)
	}
	if re.MatchString("") {
		return fmt.Errorf("%q matches even an empty path, and so would leave out all", s)
	}
	l.list = append(l.list, re)
	return nil
}

// String is empty, so that help shows no default.
func (l *regexpList) String() string { return "" }

// Type names the value in help.
func (l *regexpList) Type() string { return "regexp" }

// A sizeLimit is a number of bytes of at least 1. It is a pflag.Value.
type sizeLimit struct {
	byteSize
	text string // as it was given
}

// Set reads a size.
func (l *sizeLimit) Set(s string) error {
	if err := l.byteSize.Set(s); err != nil {
		return err
	}
	if l.byteSize == 0 {
		return fmt.Errorf("%q is no limit: give at least 1 byte", s)
	}
	l.text = s
	return nil
}

// String is empty for 0, so that help shows no default.
func (l *sizeLimit) String() string { return l.text }

// An ageLimit is a time of the past: how long ago it is, or a day, which is
// meant from its beginning on. It is a pflag.Value.
type ageLimit struct {
	time  time.Time
	text  string // as it was given
	clock clock.Clock
}

// Set reads a time.
func (l *ageLimit) Set(s string) error {
	now := l.clock.Now()
	t, ok := timeAgo(s, now)
	if !ok {
		var err error
		if t, err = time.ParseInLocation(time.DateOnly, s, now.Location()); err != nil {
			return fmt.Errorf("%q is no age; write for example 12h, 3d, 2w or 1y, or a day as in 2026-11-21", s)
		}
	}
	l.time, l.text = t, s
	return nil
}

// String gives what was set.
func (l *ageLimit) String() string { return l.text }

// Type names the value in help.
func (l *ageLimit) Type() string { return "age" }
