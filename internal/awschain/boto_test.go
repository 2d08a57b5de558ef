package awschain

import (
	"os"
	"path/filepath"
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
		{map[string]string{"BOTO_CONFIG": "~/one", "BOTO_PATH": two}, "TWO"},
		{map[string]string{"BOTO_CONFIG": filepath.Join(home, "missing")}, ""},
	} {
		c.vars["HOME"] = home
		keys, ok, err := Boto(func(name string) string { return c.vars[name] })
		if keys.ID != c.want || ok != (c.want != "") || err != nil {
			t.Errorf("%v: %+v, %t, %v", c.vars, keys, ok, err)
		}
	}
}
