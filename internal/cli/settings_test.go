package cli

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/filter"
)

// parsed runs the command line of a sync up to where the profile's options come,
// and gives where they go.
func parsed(t *testing.T, a *app, file *config.File, args ...string) (*syncOptions, *settings) {
	t.Helper()
	var o *syncOptions
	cmd := newSyncCmd(a, func(_ context.Context, got *syncOptions) error {
		o = got
		return nil
	})
	root := newRootCmd(a)
	for _, c := range root.Commands() {
		if c.Name() == "sync" {
			root.RemoveCommand(c)
		}
	}
	root.AddCommand(cmd)
	root.SetArgs(append([]string{"sync", "dir", "local:v"}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o, a.newSettings(file, cmd.Flags())
}

func options(pairs ...string) (all []config.Option) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, config.Option{Key: pairs[i], Values: strings.Split(pairs[i+1], "|"), Line: i})
	}
	return all
}

// TestPrecedence: what the command line says holds before what a tree says, and
// that before the profile.
func TestPrecedence(t *testing.T) {
	a := &app{env: testEnv(t)}
	file := &config.File{Path: filepath.Join(a.env.Dir, "conf", config.FileName)}
	o, s := parsed(t, a, file, "--exclude", "cmd", "--max-size", "1M", "--concurrency", "7", "--exclude-from", "/cmd", "--one-file-system=false")
	tree := options("exclude", "tree1|tree2", "min_size", "3K", "max_size", "3M", "exclude_from", "tree", "one_file_system", "true")
	profile := &config.Profile{
		Options: options("exclude", "profile", "min_size", "5K", "max_size", "5M", "exclude_from", "profile", "concurrency", "9", "lock_wait", "5m",
			"limit_upload", "08:00,1M 09:00,off", "low_priority", "true", "limit_download", "1K"),
		Recipients: []string{"r1", "r2"}, IdentityFile: "/id",
	}
	if err := s.add(tree); err != nil {
		t.Fatal(err)
	}
	if err := s.addProfile(profile); err != nil {
		t.Fatal(err)
	}
	want := []filter.Rule{filter.Exclude("cmd"), filter.Exclude("tree1"), filter.Exclude("tree2"), filter.Exclude("profile")}
	if !reflect.DeepEqual(o.Filter.Rules, want) {
		t.Errorf("the rules are %+v, want %+v", o.Filter.Rules, want)
	}
	conf := filepath.Dir(file.Path)
	if diff := cmp.Diff([]string{filepath.Join(conf, "profile"), filepath.Join(conf, "tree"), "/cmd"}, o.Filter.From); diff != "" {
		t.Error(diff)
	}
	if o.Filter.MinSize.text != "3K" || o.Filter.MaxSize.text != "1M" || o.Filter.OneVolume {
		t.Errorf("the filters are %+v", o.Filter)
	}
	if o.Concurrency != 7 || o.LockWait != 5*time.Minute || !o.LowPriority || o.Store.LimitUpload.Slowest() != 1<<20 {
		t.Errorf("the options are %+v", o)
	}
	if !slices.Equal(o.Seal.Recipients, []string{"r1", "r2"}) || o.Seal.Identity != "/id" {
		t.Errorf("it is encrypted for %q, %s", o.Seal.Recipients, o.Seal.Identity)
	}
	o, s = parsed(t, a, file, "--recipient", "mine")
	if err := s.addProfile(profile); err != nil || !slices.Equal(o.Seal.Recipients, []string{"mine"}) {
		t.Errorf("it is encrypted for %q; %v", o.Seal.Recipients, err)
	}
}

func TestWrongOptionsSayWhere(t *testing.T) {
	a := &app{env: testEnv(t)}
	_, s := parsed(t, a, &config.File{Path: "/c.toml"})
	for _, c := range []struct {
		option config.Option
		want   string
	}{
		{config.Option{Key: "part_size", Values: []string{"6000"}, Line: 7}, "/c.toml, line 7: part_size: "},
		{config.Option{Key: "concurrency", Values: []string{"1", "2"}, Line: 8}, "/c.toml, line 8: concurrency: it takes one value"},
		{config.Option{Key: "exclude_from", Values: []string{"~you/x"}, Line: 9}, "line 9: exclude_from: "},
		{config.Option{Key: "low_priority", Values: []string{"perhaps"}, Line: 10}, "line 10: low_priority: "},
	} {
		if err := s.add([]config.Option{c.option}); firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.option, err)
		}
	}
}

// TestProfileKeys: what is for one run, or has another name, is no key.
func TestProfileKeys(t *testing.T) {
	keys := (&app{env: testEnv(t)}).profileKeys()
	for _, key := range []string{"limit_upload", "low_priority", "filter", "lock_wait", "concurrency", "limit_download", "outage"} {
		if !slices.Contains(keys.Profile, key) {
			t.Errorf("%s is no key", key)
		}
	}
	for _, key := range []string{"all", "dry_run", "tree", "tree_moved", "expect_changes", "recipient", "json", "state"} {
		if slices.Contains(keys.Profile, key) {
			t.Errorf("%s is a key", key)
		}
	}
	if !slices.Contains(keys.Tree, "exclude_from") || slices.Contains(keys.Tree, "concurrency") {
		t.Errorf("the keys of trees are %q", keys.Tree)
	}
}
