package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

func TestConvertGlaciersync(t *testing.T) {
	const ini = `; an example
[global]
aws_access_key: AKIAIOSFODNN7EXAMPLE
aws_secret_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
aws_region_name = eu-west-1
database_dir = /var/lib/glaciersync

[DEFAULT]
base = /home/me

[my photos]
vault_name = photos ; the old one
archive_byte_size_threshold = 1048576
path2 = %(base)s/pic "x"
path = %(base)s/photos
pathold = /mnt/photos/
path3 = C:\Users\me\100% mine

[empty]
vault_name = not a vault
colour = blue
`
	known := config.Keys{Profile: []string{"bundle_below"}}
	out, notes, err := config.ConvertGlaciersync([]byte(ini), "/etc/glaciersync.ini", known)
	if err != nil {
		t.Fatal(err)
	}
	want := `# Made from glaciersync.ini of glaciersync.

[profile.my-photos]
store = "glacier:eu-west-1/photos"
bundle_below = 1048577 # glaciersync's archive_byte_size_threshold

[[profile.my-photos.tree]]
path = "/home/me/photos"

[[profile.my-photos.tree]]
path = "/home/me/pic \"x\""

[[profile.my-photos.tree]]
path = "C:\\Users\\me\\100% mine"

[[profile.my-photos.tree]]
path = "/mnt/photos/"
name = "photos-2" # there is another photos

[profile.empty]
# store = "glacier:VAULT"
bundle_below = 1 # glaciersync's archive_byte_size_threshold
`
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Error(diff)
	}
	all := strings.Join(notes, "\n")
	for _, part := range []string{"~/.aws/credentials", "database_dir", `"my photos" is called my-photos`, "names no path", "colour is not known", "no vault_name"} {
		if !strings.Contains(all, part) {
			t.Errorf("the notes lack %q:\n%s", part, all)
		}
	}
	for _, secret := range []string{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI"} {
		if strings.Contains(string(out)+all, secret) {
			t.Errorf("%s is copied", secret)
		}
	}
	photos, _, _ := strings.Cut(string(out), "[profile.empty]")
	if f, err := config.Parse([]byte(photos), "/c", home, known); err != nil || len(f.Profiles[0].Trees) != 4 {
		t.Errorf("read again: %+v, %v", f, err)
	}
	out, _, err = config.ConvertGlaciersync([]byte(ini), "x", config.Keys{})
	if err != nil || strings.Contains(string(out), "bundle_below") {
		t.Errorf("without bundles: %s, %v", out, err)
	}
}

func TestConvertGlaciersyncRefuses(t *testing.T) {
	for ini, want := range map[string]string{
		"":                       "no profile",
		"[global]\n":             "no profile",
		"a = b":                  "line 1: this setting stands before",
		"[x]\nnonsense":          `line 2: "nonsense" is neither`,
		"[]\n":                   "is no section",
		"[x\n":                   "is no section",
		"[x]\na = %(b)s":         `"b", which is not there`,
		"[x]\na = %(a)s":         "refers to itself",
		"[x]\na = %(b)s\nb=\xff": "no UTF-8",
		"[x]\npath = " + strings.Repeat("%(b)s", 1000) + "\nb = " + strings.Repeat("x", 1000): "too long",
	} {
		if _, _, err := config.ConvertGlaciersync([]byte(ini), "f.ini", config.Keys{}); firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", ini, err, want)
		}
	}
}

func FuzzConvertGlaciersync(f *testing.F) {
	for _, s := range []string{"[a]\npath = /x\n continued\nvault_name: v", "[a]\nx = %(y)s %%\ny = %", "[DEFAULT]\na=b\n[c]\npathx=%(a)s\nrem x", "   \f", "[ü\"\\\x01]\npath=\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ini string) {
		out, _, err := config.ConvertGlaciersync([]byte(ini), "f.ini", config.Keys{Profile: []string{"bundle_below"}})
		if err != nil {
			return
		}
		// A store or a path may be wrong, but what comes out is TOML.
		if err := toml.Unmarshal(out, &map[string]any{}); err != nil {
			t.Errorf("%v in:\n%s", err, out)
		}
	})
}
