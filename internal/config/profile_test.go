package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

// someKeys stand for the options of the command line.
var someKeys = config.Keys{
	Profile: []string{"filter", "exclude", "exclude_from", "limit_upload", "part_size", "low_priority", "newer_than", "concurrency"},
	Tree:    []string{"filter", "exclude", "exclude_from", "newer_than"},
}

func home(k string) string {
	return map[string]string{"HOME": "/home/me", "USERPROFILE": "/home/me"}[k]
}

func parse(text string) (*config.File, error) {
	return config.Parse([]byte(text), "/home/me/.config/firn/config.toml", home, someKeys)
}

func TestParseProfiles(t *testing.T) {
	f, err := parse(`# all that there is
[profile.home]
store = "glacier:photos"
region = 'eu-west-1'
aws_profile = "backup"
endpoint = "https://glacier.example:8443"
recipients = ["age1abc", "age1def"]
identity_file = "keys/id.txt"
limit_upload = "08:00,500K 23:00,off"
part_size = 1_28
low_priority = true
exclude = [
  "*.tmp", # with a remark
  "a b/",
]
newer_than = 2026-11-21
before = ["~/bin/dump", "--all", "~"]
after = "rm -rf /var/tmp/dump"
on_success = "https://example.org/done?x=1"
hook_timeout = "90m"

[[profile.home.tree]]
path = "~/photos"

[[profile.home.tree]]
path = "../../docs"
name = "documents"
filter = "-*.iso"
after = "true"

[profile]
usb = { store = "local:../vault", tree = [{ path = "/data" }] }

[profile.cold]
store = "s3:my-bucket/a/b"
region = "us-east-1"
class = "DEEP_ARCHIVE"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []*config.Profile{
		{
			Name: "home", Line: 2, Store: "glacier:eu-west-1/photos", AWSProfile: "backup", Endpoint: "https://glacier.example:8443",
			Recipients: []string{"age1abc", "age1def"}, IdentityFile: "/home/me/.config/firn/keys/id.txt",
			Options: []config.Option{
				{Key: "limit_upload", Values: []string{"08:00,500K 23:00,off"}, Line: 9},
				{Key: "part_size", Values: []string{"128"}, Line: 10},
				{Key: "low_priority", Values: []string{"true"}, Line: 11},
				{Key: "exclude", Values: []string{"*.tmp", "a b/"}, Line: 12},
				{Key: "newer_than", Values: []string{"2026-11-21"}, Line: 16},
			},
			Hooks: config.Hooks{
				Before:    config.Hook{Args: []string{"/home/me/bin/dump", "--all", "~"}},
				After:     config.Hook{Shell: "rm -rf /var/tmp/dump"},
				OnSuccess: config.Hook{URL: "https://example.org/done?x=1"},
				Timeout:   90 * time.Minute,
			},
			Trees: []config.Tree{
				{Path: "/home/me/photos", Line: 22},
				{Path: "/home/me/docs", Name: "documents", Line: 25, Options: []config.Option{{Key: "filter", Values: []string{"-*.iso"}, Line: 28}},
					After: config.Hook{Shell: "true"}},
			},
		},
		{Name: "usb", Line: 32, Store: "local:/home/me/.config/vault", Hooks: config.Hooks{Timeout: time.Hour}, Trees: []config.Tree{{Path: "/data", Line: 32}}},
		{Name: "cold", Line: 34, Store: "s3:my-bucket/a/b?region=us-east-1", Class: "DEEP_ARCHIVE", Hooks: config.Hooks{Timeout: time.Hour}},
	}
	if diff := cmp.Diff(want, f.Profiles); diff != "" && runtime.GOOS != "windows" {
		t.Error(diff)
	}
	first := f.Profiles[0]
	if h := first.HooksOf(first.Trees[1]); h.After.Shell != "true" || len(h.Before.Args) != 3 {
		t.Errorf("the hooks of the second tree: %+v", h)
	}
	if loc, err := first.Location(); err != nil || loc.Region != "eu-west-1" || loc.Vault != "photos" {
		t.Errorf("the store: %+v, %v", loc, err)
	}
	if loc, err := f.Profiles[2].Location(); err != nil || loc.Bucket != "my-bucket" || loc.Prefix != "a/b" || loc.Region != "us-east-1" {
		t.Errorf("a store in S3: %+v, %v", loc, err)
	}
	if first.Options[0].Flag() != "limit-upload" {
		t.Errorf("the option is %s", first.Options[0].Flag())
	}
}

func TestParseProfilesRefuses(t *testing.T) {
	for text, want := range map[string][]string{
		"[profile.a]\nstore = \"local:/v\"\nlimt_upload = 1":                                    {"line 3", `unknown key "limt_upload"`, "did you mean limit_upload?"},
		"[profile.a]\nstor = \"local:/v\"":                                                      {"line 2", `unknown key "stor"`, "did you mean store?", "has no store"},
		"[profile.a]\nstore = \"local:/v\"\nxyzzy = 1":                                          {"line 3", `unknown key "xyzzy"`, "firn profile example"},
		"[profiles.a]\nstore = \"local:/v\"":                                                    {"line 1", `unknown key "profiles"`, "did you mean profile?"},
		"store = \"local:/v\"":                                                                  {"line 1", `unknown key "store"`},
		"profile = 1":                                                                           {"profile is no table"},
		"[profile]\nstore = 1":                                                                  {"line 2", "write [profile.store]"},
		"[profile.\"a b\"]\nstore = \"local:/v\"":                                               {`"a b" can't be the name`},
		"[profile.a]\n":                                                                         {"the profile a has no store"},
		"[profile.a]\nstore = 1":                                                                {"store is no text"},
		"[profile.a]\nstore = \"\"":                                                             {"store is empty"},
		"[profile.a]\nstore = \"photos\"":                                                       {"not the name of a store"},
		"[profile.a]\nstore = \"ftp:x\"":                                                        {`unknown kind of store "ftp"`},
		"[profile.a]\nstore = \"local:\"":                                                       {"names no folder"},
		"[profile.a]\nstore = \"local:~you/x\"":                                                 {"another user's home"},
		"[profile.a]\nstore = \"local:/v\"\nregion = \"eu-west-1\"":                             {"has no region"},
		"[profile.a]\nstore = \"glacier:eu-west-1/x\"\nregion = \"us-east-1\"":                  {"two regions"},
		"[profile.a]\nstore = \"glacier:x\"\nregion = \"Mars\"":                                 {`"Mars" is not the name of a region`},
		"[profile.a]\nstore = \"glacier:x\"\nclass = \"GLACIER\"":                               {"only stores in S3"},
		"[profile.a]\nstore = \"s3:bucket\"\nclass = \"FROZEN\"":                                {`"FROZEN" is no storage class`, "DEEP_ARCHIVE"},
		"[profile.a]\nstore = \"s3:B\"":                                                         {`"B" is not the name of a bucket`},
		"[profile.a]\nstore = \"glacier:x\"\nendpoint = \"glacier.example\"":                    {"not the address of a server"},
		"[profile.a]\nstore = \"glacier:x\"\nendpoint = \"https://b\u00fccher.example\"":        {"profile a", "with xn--"},
		"[profile.a]\nstore = \"local:/v\"\n[[profile.a.tree]]\nname = \"x\"":                   {"line 3", "has no path"},
		"[profile.a]\nstore = \"local:/v\"\n[profile.a.tree]\npath = \"x\"":                     {"line 3", "two brackets"},
		"[profile.a]\nstore = \"local:/v\"\ntree = [1]":                                         {"a tree is a table"},
		"[profile.a]\nstore = \"local:/v\"\n[[profile.a.tree]]\npath = \"x\"\nlimit_upload = 1": {"line 5", "can't be set for one tree"},
		"[profile.a]\nstore = \"local:/v\"\n[[profile.a.tree]]\npath = \"x\"\nfiltr = 1":        {"line 5", "did you mean filter?"},
		"[profile.a]\nstore = \"local:/v\"\nfilter = []":                                        {"empty list"},
		"[profile.a]\nstore = \"local:/v\"\nfilter = [[1]]":                                     {"neither a text"},
		"[profile.a]\nstore = \"local:/v\"\nfilter = { a = 1 }":                                 {"neither a text"},
		"[profile.a]\nstore = \"local:/v\"\nfilter.a = 1":                                       {"neither a text"},
		"[profile.a]\nstore = \"local:/v\"\nbefore = []":                                        {"before is empty"},
		"[profile.a]\nstore = \"local:/v\"\nbefore = [1]":                                       {"before is no text"},
		"[profile.a]\nstore = \"local:/v\"\nbefore = 1":                                         {"before is no text"},
		"[profile.a]\nstore = \"local:/v\"\nbefore = \"http://\"":                               {"no address"},
		"[profile.a]\nstore = \"local:/v\"\nhook_timeout = \"soon\"":                            {"no duration"},
		"[profile.a]\nstore = \"local:/v\"\nhook_timeout = \"-1s\"":                             {"no duration"},
		"[profile.a]\nstore = \"local:/v\"\nstore = \"local:/w\"":                               {"line 3"},
		"[profile.a]\nstore = \"local:/v\"\n\n[profile.a]\n":                                    {"line 4"},
		"[profile.a\n":               {"line 1"},
		"[profile.a]\nstore":         {"line 2"},
		"x = \"\xff\"":               {"line 1", "UTF-8"},
		strings.Repeat("#", 1<<20+1): {"mebibyte"},
	} {
		_, err := parse(text)
		if firn.KindOf(err) != firn.Usage {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v, want %q", text, err, w)
			}
		}
	}
}

// TestParseGathersWhatIsWrong: one look at a file finds all that is wrong.
func TestParseGathersWhatIsWrong(t *testing.T) {
	_, err := parse("[profile.a]\nx = 1\ny = 2\n[profile.b]\nz = 3\n")
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 5 {
		t.Fatalf("%v", err)
	}
}

func TestProfileByName(t *testing.T) {
	f, err := parse("[profile.home]\nstore = \"local:/v\"\n[profile.work]\nstore = \"local:/w\"")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := f.Profile("work"); err != nil || p.Store != filepath.FromSlash("local:/w") {
		t.Errorf("%+v, %v", p, err)
	}
	for name, want := range map[string]string{"hom": "did you mean home?", "xyzzy": "the profiles are: home, work"} {
		if _, err := f.Profile(name); firn.KindOf(err) != firn.NotFound || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&config.File{Path: "/c"}).Profile("x"); !strings.Contains(err.Error(), "no profiles in /c") {
		t.Errorf("%v", err)
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if f, err := config.ReadFile(path, home, someKeys); err != nil || len(f.Profiles) != 0 || f.Path != path {
		t.Errorf("none: %+v, %v", f, err)
	}
	if err := os.WriteFile(path, []byte("\ufeff[profile.a]\r\nstore = \"local:v\"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := config.ReadFile(path, home, someKeys)
	if err != nil || len(f.Profiles) != 1 || f.Profiles[0].Store != "local:"+filepath.Join(filepath.Dir(path), "v") {
		t.Errorf("one: %+v, %v", f, err)
	}
	if got, err := f.Resolve("list", home); err != nil || got != filepath.Join(filepath.Dir(path), "list") {
		t.Errorf("a file beside it: %q, %v", got, err)
	}
	if _, err := f.Resolve("~/list", func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "HOME") {
		t.Errorf("without a home: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadFile(path, home, someKeys); firn.KindOf(err) != firn.Denied || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("one that all may write: %v", err)
	}
	if _, err := config.ReadFile(filepath.Dir(path), home, someKeys); firn.KindOf(err) != firn.Local {
		t.Errorf("a folder: %v", err)
	}
}

func TestConfigDir(t *testing.T) {
	env := map[string]string{"HOME": "/home/me", "APPDATA": "/home/me/roaming", "XDG_CONFIG_HOME": "relative"}
	get := func(k string) string { return env[k] }
	if dir, err := config.ConfigDir(get); err != nil || !strings.HasPrefix(dir, "/home/me") || filepath.Base(dir) != "firn" {
		t.Errorf("with a home: %q, %v", dir, err)
	}
	env["XDG_CONFIG_HOME"] = "/conf"
	if dir, _ := config.ConfigDir(get); dir != filepath.Join("/conf", "firn") {
		t.Errorf("with XDG_CONFIG_HOME: %q", dir)
	}
	env["FIRN_CONFIG_DIR"] = "/mine"
	if dir, _ := config.ConfigDir(get); dir != "/mine" {
		t.Errorf("with FIRN_CONFIG_DIR: %q", dir)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(config.Example))
	for _, s := range []string{
		"", "a.b.c = 1\n[a.b]\nd = 2", "[[profile.a.tree]]\n[[profile.a.tree]]\n[profile.a.tree.x]", "profile.a.store = 'local:x'",
		"[profile]\na = { store = 'local:x', tree = [ { path = 'x', filter = [1, 2.5, true, 1979-05-27T07:32:00Z] }, ] }",
		"a = [[[]]]\n\"\" = 1", "[profile.a]\nstore = \"\"\"x\"\"\"", "a = {b.c = 1, b.d = 2}",
	} {
		f.Add(s)
	}
	keys := config.Keys{Profile: slices.Concat(someKeys.Profile, []string{"exclude_caches"}), Tree: someKeys.Tree}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := config.Parse([]byte(text), "/c/config.toml", home, keys)
		if err != nil {
			if firn.KindOf(err) != firn.Usage {
				t.Errorf("%v", err)
			}
			return
		}
		for _, p := range file.Profiles {
			if p.Name == "" || p.Store == "" || p.Line < 1 || p.Line > 1+strings.Count(text, "\n") {
				t.Errorf("%+v", p)
			}
			for _, tree := range p.Trees {
				if !filepath.IsAbs(tree.Path) {
					t.Errorf("%+v", tree)
				}
			}
		}
	})
}
