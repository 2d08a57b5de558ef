package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/firn-archive/firn/internal/config"
)

// TestProfileText: what is written reads the same, but for the hooks, and has
// no secret.
func TestProfileText(t *testing.T) {
	const text = `[profile.home]
store = "glacier:photos"
region = 'eu-west-1'
aws_profile = "123"
endpoint = "https://me:hunter2@glacier.example:8443"
recipients = ["age1abc"]
identity_file = "keys/id.txt"
limit_upload = "08:00,500K 23:00,off"
part_size = 1_28
low_priority = true
exclude = ["*.tmp", "a \"b\"\\/", "0123", "7"]
newer_than = 2026-11-21
before = ["~/bin/dump", "--password", "hunter2"]
after = "curl -u me:hunter2 https://example.org"
on_success = "https://example.org/hunter2"
on_partial = "hunter2"
on_failure = "hunter2"
on_ready = "hunter2"
hook_timeout = "90m"

[[profile.home.tree]]
path = "~/photos"

[[profile.home.tree]]
path = "../../docs \u00e9"
name = "true"
filter = "-*.iso"
before = "hunter2"
after = "hunter2"
`
	read := func(text string) *config.Profile {
		t.Helper()
		f, err := parse(text)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		return f.Profiles[0]
	}
	want := read(text)
	again := want.Text()
	if strings.Contains(again, "hunter2") {
		t.Errorf("a secret is in:\n%s", again)
	}
	want.Endpoint = "https://glacier.example:8443"
	want.Hooks = config.Hooks{Timeout: config.DefaultHookTimeout}
	for i := range want.Trees {
		want.Trees[i].Before, want.Trees[i].After = config.Hook{}, config.Hook{}
	}
	lines := []cmp.Option{
		cmpopts.IgnoreFields(config.Profile{}, "Line"), cmpopts.IgnoreFields(config.Tree{}, "Line"), cmpopts.IgnoreFields(config.Option{}, "Line"),
	}
	if diff := cmp.Diff(want, read(again), lines...); diff != "" {
		t.Errorf("read again (-want +got):\n%s\n%s", diff, again)
	}
}
