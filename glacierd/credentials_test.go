package glacierd_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/firn-archive/firn/glacierd"
)

func TestLoadOrMakeCredentials(t *testing.T) {
	root := t.TempDir()
	made, isNew, err := glacierd.LoadOrMakeCredentials(root)
	if err != nil || !isNew || len(made.AccessKeyID) != 20 || len(made.SecretAccessKey) != 40 {
		t.Fatalf("made %+v, %v, %v", made, isNew, err)
	}
	info, err := os.Stat(filepath.Join(root, "+account", "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: others can read the secret", info.Mode())
	}
	again, isNew, err := glacierd.LoadOrMakeCredentials(root)
	if err != nil || isNew || again != made {
		t.Errorf("loaded %+v, %v, %v; want %+v", again, isNew, err, made)
	}
	other, _, err := glacierd.LoadOrMakeCredentials(t.TempDir())
	if err != nil || other.AccessKeyID == made.AccessKeyID || other.SecretAccessKey == made.SecretAccessKey {
		t.Errorf("two roots share a key: %+v, %v", other, err)
	}
}

func TestReadCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	for text, want := range map[string]glacierd.KeyPair{
		"[default]\naws_access_key_id = A\naws_secret_access_key=S\n":                                                  {AccessKeyID: "A", SecretAccessKey: "S"},
		"# mine\r\n[x]\r\nAWS_SECRET_ACCESS_KEY = a/b+c==\r\naws_access_key_id=A\r\naws_session_token = t\r\nregion=x": {AccessKeyID: "A", SecretAccessKey: "a/b+c==", SessionToken: "t"},
		"[one]\naws_access_key_id = 1\naws_secret_access_key = s1\n[two]\naws_access_key_id = 2\n":                     {AccessKeyID: "1", SecretAccessKey: "s1"},
		"aws_access_key_id = A\n": {},
		"":                        {},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := glacierd.ReadCredentials(path)
		if got != want && want != (glacierd.KeyPair{}) || (err != nil) != (want == glacierd.KeyPair{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "aws_access_key_id")) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := glacierd.ReadCredentials(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
