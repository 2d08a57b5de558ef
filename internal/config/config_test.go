package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

func TestParseLocation(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"glacier:photos", "glacier:photos"},
		{"glacier:eu-west-1/photos.2", "glacier:eu-west-1/photos.2"},
		{"local:/mnt/disk/", "local:/mnt/disk"},
		{"s3:my-bucket", "s3:my-bucket"},
		{"s3://my-bucket/a b/c/?region=eu-west-1", "s3:my-bucket/a b/c?region=eu-west-1"},
		{"local:v", "local:/home/me/v"},
		{"local:../with space:and colon", "local:/home/with space:and colon"},
	} {
		got, err := config.ParseLocation(c.in, "/home/me")
		if err != nil || got.String() != filepath.FromSlash(c.want) {
			t.Errorf("%s: %v, %v, want %s", c.in, got, err, c.want)
		}
		again, err := config.ParseLocation(got.String(), "/elsewhere")
		if err != nil || again != got {
			t.Errorf("%s read again: %v, %v", got, again, err)
		}
	}
}

func TestParseLocationRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "not the name of a store",
		"photos":                              "write glacier:VAULT",
		"ftp:x":                               `"ftp"`,
		"glacier:":                            "vault",
		"glacier:a b":                         `"a b"`,
		"glacier:EU/x":                        "region",
		"glacier:eu-west-1/":                  "vault",
		"glacier:a/b/c":                       "region",
		"local:":                              "no folder",
		"s3:":                                 "bucket",
		"s3:a_b c/x":                          "bucket",
		"s3:bucket/a//b":                      "a/b",
		"s3:bucket/../b":                      "a/b",
		"s3:bucket/.firn":                     "a/b",
		"s3:bucket/a?class=GLACIER":           "no ?",
		"s3:bucket/a?region=Mars":             "region",
		"glacier:" + strings.Repeat("x", 256): "255",
	} {
		_, err := config.ParseLocation(in, "/")
		if firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want one with %q", in, err, want)
		}
	}
}

func TestDataDirFollowsTheEnvironment(t *testing.T) {
	env := map[string]string{}
	get := func(k string) string { return env[k] }
	if _, err := config.DataDir(get); firn.KindOf(err) != firn.Usage {
		t.Errorf("without any: %v", err)
	}
	env["HOME"], env["LOCALAPPDATA"] = "/home/me", "/home/me/local"
	if dir, err := config.DataDir(get); err != nil || !strings.HasPrefix(dir, "/home/me") || filepath.Base(dir) != "firn" {
		t.Errorf("with a home: %q, %v", dir, err)
	}
	env["XDG_DATA_HOME"] = "relative/is/invalid"
	if dir, _ := config.DataDir(get); strings.HasPrefix(dir, "relative") {
		t.Errorf("relative XDG_DATA_HOME taken: %q", dir)
	}
	env["XDG_DATA_HOME"] = "/data"
	if dir, _ := config.DataDir(get); dir != filepath.Join("/data", "firn") {
		t.Errorf("with XDG_DATA_HOME: %q", dir)
	}
	env["FIRN_HOME"] = "/mine"
	if dir, _ := config.DataDir(get); dir != "/mine" {
		t.Errorf("with FIRN_HOME: %q", dir)
	}
}
