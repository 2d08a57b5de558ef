package awschain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

func TestReadBoto(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"etc":   "[Credentials]\naws_access_key_id = ETC\naws_secret_access_key = etc/secret\n",
		"home":  "# mine\n[Boto]\naws_access_key_id = NOT THIS\n\n[Credentials]\nAWS_Access_Key_ID: HOME ; of last year\naws_secret_access_key=a=b:c/d\naws_security_token = tok\n",
		"half":  "[Credentials]\naws_access_key_id = HALF\n",
		"none":  "[Boto]\ndebug = 0\n",
		"odd":   "\ufeff[Credentials] ; mine\r\naws_access_key_id\t=\tODD\r\naws_secret_access_key = odd\r\n[Credentials]x]\n[profile p]\naws_access_key_id = NOT\n[ Boto\naws_secret_access_key = NOT\n[]\naws_access_key_id = NOT\n=\n:\n[\n",
		"long":  "[Boto]\nx = " + strings.Repeat("x", 100_000) + "\n[Credentials]\naws_access_key_id = LONG\naws_secret_access_key = s\n",
		"blank": "[Credentials]\n  aws_access_key_id = CONTINUED\nnonsense\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		files []string
		want  BotoKeys
		ok    bool
	}{
		{[]string{"missing"}, BotoKeys{}, false},
		{[]string{"etc"}, BotoKeys{"ETC", "etc/secret", ""}, true},
		{[]string{"etc", "home"}, BotoKeys{"HOME", "a=b:c/d", "tok"}, true},
		{[]string{"etc", "none", "blank", "missing"}, BotoKeys{"ETC", "etc/secret", ""}, true},
		{[]string{"half"}, BotoKeys{"HALF", "", ""}, false},
		{[]string{"odd"}, BotoKeys{"ODD", "odd", ""}, true},
		{[]string{"long"}, BotoKeys{"LONG", "s", ""}, true},
	} {
		var files []string
		for _, f := range c.files {
			files = append(files, filepath.Join(dir, f))
		}
		if got, ok, err := readBoto(files); got != c.want || ok != c.ok || err != nil {
			t.Errorf("%v: %+v, %t, %v; want %+v, %t", c.files, got, ok, err, c.want, c.ok)
		}
	}
	if _, _, err := readBoto([]string{dir}); firn.KindOf(err) != firn.Local {
		t.Errorf("a folder: %v", err)
	}
}

func TestBotoVariables(t *testing.T) {
	home := t.TempDir()
	write := func(name, id string) string {
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, []byte("[Credentials]\naws_access_key_id="+id+"\naws_secret_access_key=s\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(".boto", "HOME")
	write("one", "ONE")
	two := write("two", "TWO")
	for _, c := range []struct {
		vars map[string]string
		want string
	}{
		{map[string]string{}, "HOME"},
		{map[string]string{"BOTO_CONFIG": "~/one"}, "ONE"},
		{map[string]string{"BOTO_CONFIG": "~/one", "BOTO_PATH": two}, "ONE"},
		{map[string]string{"BOTO_PATH": "~/one" + string(filepath.ListSeparator) + two}, "TWO"},
		{map[string]string{"BOTO_PATH": filepath.Join(home, "missing")}, ""},
		{map[string]string{"BOTO_CONFIG": filepath.Join(home, "missing")}, ""},
	} {
		c.vars["HOME"] = home
		keys, ok, err := Boto(func(name string) string { return c.vars[name] })
		if keys.ID != c.want || ok != (c.want != "") || err != nil {
			t.Errorf("%v: %+v, %t, %v", c.vars, keys, ok, err)
		}
	}
}

// TestBotoUnreadable: a file that only root may read is passed over, as boto does.
func TestBotoUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads all")
	}
	path := filepath.Join(t.TempDir(), "boto.cfg")
	if err := os.WriteFile(path, []byte("[Credentials]\naws_access_key_id = A\naws_secret_access_key = s\n"), 0); err != nil {
		t.Fatal(err)
	}
	if keys, ok, err := readBoto([]string{path}); ok || err != nil {
		t.Errorf("%+v, %t, %v", keys, ok, err)
	}
}

// TestHasSharedKeys: boto prefers the profile default of the shared credentials.
func TestHasSharedKeys(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, ".aws", "credentials")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"HOME": home}
	for text, want := range map[string]bool{
		"[default]\naws_access_key_id = A\naws_secret_access_key = s\n": true,
		"[other]\naws_access_key_id = A\naws_secret_access_key = s\n":   false,
		"[default]\naws_access_key_id = A\n":                            false,
		"":                                                              false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"", file} {
			vars["AWS_SHARED_CREDENTIALS_FILE"] = name
			if got := HasSharedKeys(func(name string) string { return vars[name] }); got != want {
				t.Errorf("%q by %q: %t", text, name, got)
			}
		}
	}
	vars["AWS_SHARED_CREDENTIALS_FILE"] = filepath.Join(home, "missing")
	if HasSharedKeys(func(name string) string { return vars[name] }) {
		t.Error("there is none")
	}
}
