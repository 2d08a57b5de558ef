package mtglacier

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigLines(t *testing.T) {
	const data = "# region: eu-west-1, us-east-1 etc\n" +
		"key=KEY\n" +
		"  secret \t=  a b=c#d \t\n" +
		"\n" +
		" \t \r\n" +
		"  # a comment\n" +
		"vault=\n" +
		"region = eu-west-1\r\n" +
		"dry-run\n" +
		"follow \r\n" +
		"to-vault=\"v\"\n" +
		"new=0"
	got, err := parseConfig([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	var want []setting
	for _, s := range [][3]string{
		{"key", "key", "KEY"}, {"secret", "secret", "a b=c#d"}, {"vault", "vault", ""}, {"region", "region", "eu-west-1"}, {"dry-run", "dry-run", "1"},
		{"follow", "follow", "1"}, {"vault", "to-vault", `"v"`}, {"new", "new", "0"},
	} {
		want = append(want, setting{name: s[0], as: s[1], value: s[2], inConfig: true})
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(setting{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[4].on() != true || got[7].on() != false {
		t.Error("flags are on with 1, and off with 0")
	}
}

func TestBadConfigLines(t *testing.T) {
	for data, want := range map[string]string{
		"key=K\n-vault=v\n": "Cannot parse line in config file: line 2 is neither name=value nor name",
		"va ult\n":          "Cannot parse line in config file: line 1 is neither name=value nor name",
		"=v":                "Cannot parse line in config file: line 1 is neither name=value nor name",
		"key: K":            "Cannot parse line in config file: line 1 is neither name=value nor name",
		"vault v":           "Cannot parse line in config file: line 1 is neither name=value nor name",
		"unknown=1":         `Unknown option in config file: "unknown"`,
		"vaul=v":            `Unknown option in config file: "vaul"`,
		"filter=+a -":       `Option "filter" cannot be given in the config file`,
		"include=a":         `Option "include" cannot be given in the config file`,
		"exclude=a":         `Option "exclude" cannot be given in the config file`,
		"a\nb":              "Unknown option in config file: line 1\nUnknown option in config file: line 2",
	} {
		if _, err := parseConfig([]byte(data)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", data, err)
		}
	}
}

// TestConfigCounts: the config file is asked where the command line says nothing,
// and only for what the command uses.
func TestConfigCounts(t *testing.T) {
	const access = "key=" + testKey + "\nsecret=" + testSecret + "\nregion=us-east-1\n"
	tests := []struct {
		name, config string
		args         []string
		want         func(*Options) bool
	}{
		{"of other commands", "stdin\nsegment-size=5\nformat=x\nnew-journal=/\n", nil, func(o *Options) bool { return !o.Stdin && o.SegmentSize == 0 }},
		{"twice", "concurrency=2\nconcurrency=3\n", nil, func(o *Options) bool { return o.Concurrency == 3 }},
		{"a flag", "dry-run\n", nil, func(o *Options) bool { return o.DryRun }},
		{"no flag", "dry-run=0\n", nil, func(o *Options) bool { return !o.DryRun }},
		{"a flag over it", "dry-run=0\n", []string{"--dry-run"}, func(o *Options) bool { return o.DryRun }},
		{"detect alone", "detect=mtime\n", nil, func(o *Options) bool { return o.Detect == DetectMtime && o.New }},
		{"a number over it", "partsize=1\n", []string{"--partsize=2"}, func(o *Options) bool { return o.PartSize == 2 }},
		{"a wrong value that isn't used", "concurrency=many\n", []string{"--concurrency=2"}, func(o *Options) bool { return o.Concurrency == 2 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			env := testEnv(t)
			if err := os.WriteFile(filepath.Join(env.Dir, "cfg"), []byte(access+"vault=v\njournal=j\ndir=tree\n"+test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			o, notes, err := parse(append([]string{"sync", "--config=cfg"}, test.args...), env)
			if err != nil || notes != nil || !test.want(o) {
				t.Errorf("%v, %q, %+v", err, notes, o)
			}
		})
	}
	env := testEnv(t)
	if err := os.WriteFile(filepath.Join(env.Dir, "cfg"), []byte(access+"vault=v\njournal=j\ndir=none\nto-dir=none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, notes, err := parse([]string{"purge-vault", "--config=cfg"}, env); err != nil || notes != nil {
		t.Errorf("a folder in the config file, for purge-vault: %v, %q", err, notes)
	}
	o, _, err := parse([]string{"upload-file", "--config=cfg", "--filename=other.txt", "--set-rel-filename=x"}, env)
	if err != nil || o.RelFilename != "x" {
		t.Errorf("a folder in the config file, a name on the command line: %v", err)
	}
	_, _, err = parse([]string{"sync", "--config=cfg"}, env)
	if err == nil || !strings.Contains(err.Error(), `"to-dir" in the config file`) {
		t.Errorf("the config file isn't blamed: %v", err)
	}
}

// FuzzConfig: what isn't a config file is an error, and never a panic.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("key=K\nvault = v \r\n# x\n\ndry-run\n"))
	f.Add([]byte("\xef\xbb\xbfkey=\xff\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, err := parseConfig(data)
		if err != nil && settings != nil {
			t.Error("an error, and settings")
		}
		for _, s := range settings {
			if strings.TrimSpace(s.as) != s.as || s.as == "" || strings.Contains(s.value, "\n") {
				t.Errorf("%+v", s)
			}
		}
	})
}
