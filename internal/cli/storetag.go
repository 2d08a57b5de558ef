package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/ui"
)

// The limits of tags. Source: Amazon Glacier developer guide, "Tagging your
// vaults", and API reference, "Add Tags To Vault".
const (
	maxTags     = 50  // of a vault
	maxTagKey   = 128 // characters
	maxTagValue = 255 // characters
	tagMarks    = " _./=+-@"
)

type storeTagOptions struct {
	app    *app
	Store  string
	Tags   []string // KEY=VALUE
	Remove []string
	Force  bool
	Common storeOptions
}

func newStoreTagCmd(a *app, run func(context.Context, *storeTagOptions) error) *cobra.Command {
	o := &storeTagOptions{}
	cmd := &cobra.Command{
		Use:   "tag STORE [KEY=VALUE...]",
		Short: "show, set and remove a store's tags",
		Long: `Show the tags of STORE; with KEY=VALUE set tags, and with --remove take some away. Tags
are for people and for the bill: AWS can split costs by them. A vault has 50 at most.
A key has up to 128, a value up to 255 letters, digits, blanks and _ . / = + - @.

firn has tags of its own, by which a lost machine finds its snapshots: they are left
alone, unless --force says otherwise.`,
		Example: `  firn store tag glacier:photos owner=anna project=family
  firn store tag glacier:photos --remove project`,
		Args:              takes("STORE", "[KEY=VALUE...]"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&o.Remove, "remove", nil, "take the tag `KEY` away; may be given several times")
	f.BoolVar(&o.Force, "force", false, "also change tags that firn has set for itself")
	notOfProfile(f, "remove", "force")
	o.Common.addFlags(f, false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.app, o.Store, o.Tags = a, args[0], args[1:]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// parse reads the tags that are to be set.
func (o *storeTagOptions) parse() (map[string]string, error) {
	set := map[string]string{}
	for _, arg := range o.Tags {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, wrongUsage("set tag", "%q is no KEY=VALUE; to take a tag away give --remove %s", arg, arg)
		}
		if _, twice := set[key]; twice {
			return nil, wrongUsage("set tag", "%q is given twice", key)
		}
		if why := badTag(key, value); why != "" {
			return nil, wrongUsage("set tag", "%q: %s", arg, why)
		}
		set[key] = value
	}
	for _, key := range o.Remove {
		if _, both := set[key]; both {
			return nil, wrongUsage("set tag", "%q is to be set and to be removed", key)
		}
		if why := badTag(key, ""); why != "" {
			return nil, wrongUsage("remove tag", "%q: %s", key, why)
		}
	}
	return set, nil
}

// badTag says what the service would refuse; empty: nothing. It is said before any
// request, since tags are set ten at a time.
func badTag(key, value string) string {
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(tagMarks, r)
	}
	switch {
	case strings.HasPrefix(key, "aws:"):
		return "keys that begin with aws: are the service's own"
	case key == "" || utf8.RuneCountInString(key) > maxTagKey:
		return fmt.Sprintf("a key has 1 to %d characters", maxTagKey)
	case utf8.RuneCountInString(value) > maxTagValue:
		return fmt.Sprintf("a value has %d characters at most", maxTagValue)
	case strings.ContainsFunc(key+value, odd):
		return "a tag has letters, digits, blanks and " + strings.Join(strings.Split(tagMarks[1:], ""), " ")
	}
	return ""
}

// A tagRecord is a tag of a store.
type tagRecord struct {
	Store string `json:"store"`
	Key   string `json:"key"`
	Value string `json:"value"`
	Own   bool   `json:"own,omitempty"` // firn's
}

func runStoreTag(ctx context.Context, o *storeTagOptions) error {
	set, err := o.parse()
	if err != nil {
		return err
	}
	s, err := o.app.lookAt(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	tags, err := s.store.Tags(ctx)
	if err != nil {
		return err
	}
	if err := o.check(tags, set); err != nil {
		return err
	}
	if len(o.Remove) > 0 {
		if err := s.store.RemoveTags(ctx, o.Remove...); err != nil {
			return err
		}
	}
	if len(set) > 0 {
		if err := s.store.SetTags(ctx, set); err != nil {
			return err
		}
	}
	if len(set)+len(o.Remove) > 0 {
		if tags, err = s.store.Tags(ctx); err != nil {
			return err
		}
	}
	return showTags(s, tags)
}

// check refuses what would break something, before anything is changed.
func (o *storeTagOptions) check(tags, set map[string]string) error {
	refuse := func(key, why, hint string) error {
		return &firn.Error{Op: "change tag", Subject: key, Kind: firn.Conflict, Err: errors.New(why), Hint: hint}
	}
	after := maps.Clone(tags)
	for _, key := range slices.Concat(slices.Sorted(maps.Keys(set)), o.Remove) {
		if snapshot.IsTag(key) && !o.Force {
			return refuse(key, "it is one of firn's own, by which snapshots of the catalog are found", "to change it all the same, give --force")
		}
		delete(after, key)
	}
	for _, key := range o.Remove {
		if _, ok := tags[key]; !ok {
			o.app.ui.Notice("there is no tag " + key)
		}
	}
	if n := len(after) + len(set); n > maxTags {
		return &firn.Error{Op: "set tags", Subject: "of " + o.Store, Kind: firn.Invalid, Err: fmt.Errorf("it would have %d tags, and a vault has %d at most", n, maxTags)}
	}
	return nil
}

func showTags(s *session, tags map[string]string) error {
	list := ui.NewList(s.ui, "tag",
		ui.Column[tagRecord]{Head: "key", Cell: func(r tagRecord) string { return r.Key }},
		ui.Column[tagRecord]{Head: "value", Cell: func(r tagRecord) string { return r.Value }},
		ui.Column[tagRecord]{Head: "whose", Cell: func(r tagRecord) string {
			if r.Own {
				return "firn's own"
			}
			return ""
		}},
	)
	defer list.Close()
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list.Add(tagRecord{Store: s.loc.String(), Key: key, Value: tags[key], Own: snapshot.IsTag(key)})
	}
	return nil
}
