package glacier_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/glacier"
)

// hermetic hides the AWS configuration of whoever runs the tests, and sets
// what env says.
func hermetic(t *testing.T, env map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, value := range env {
		t.Setenv(name, value)
	}
}

// TestStandardChain: region, endpoint and keys come from where AWS's own tools
// look for them, and the region that was named wins.
func TestStandardChain(t *testing.T) {
	s := serve(t, nil)
	file := filepath.Join(t.TempDir(), "config")
	write := func(text string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	keys := "aws_access_key_id = " + accessKey + "\naws_secret_access_key = " + secretKey + "\n"
	for name, c := range map[string]struct {
		env    map[string]string
		cfg    glacier.Config
		region string
	}{
		"environment": {map[string]string{
			"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey,
			"AWS_REGION": "eu-north-1", "AWS_ENDPOINT_URL": "http://one.test",
		}, glacier.Config{}, "eu-north-1"},
		"the service's own endpoint": {map[string]string{
			"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey,
			"AWS_REGION": "eu-north-1", "AWS_ENDPOINT_URL": "http://other.test", "AWS_ENDPOINT_URL_GLACIER": "http://one.test",
		}, glacier.Config{}, "eu-north-1"},
		"named region": {map[string]string{
			"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey,
			"AWS_REGION": "eu-north-1", "AWS_ENDPOINT_URL": "http://one.test",
		}, glacier.Config{Region: "sa-east-1"}, "sa-east-1"},
		"profile of the environment": {map[string]string{
			"AWS_PROFILE": "archive", "AWS_CONFIG_FILE": write("[profile archive]\nregion = ca-central-1\nendpoint_url = http://one.test\n" + keys),
		}, glacier.Config{}, "ca-central-1"},
		"named profile": {map[string]string{
			"AWS_CONFIG_FILE": file,
		}, glacier.Config{Profile: "archive"}, "ca-central-1"},
		"an endpoint without a region": {map[string]string{
			"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_ENDPOINT_URL": "http://one.test",
		}, glacier.Config{}, "us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			hermetic(t, c.env)
			c.cfg.Vault, c.cfg.Transport = "photos", s.Transport()
			v, err := glacier.Open(t.Context(), c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			info, err := v.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v.Region() != c.region || info.Region != c.region || !strings.Contains(info.Address, ":"+c.region+":") {
				t.Errorf("region %s, %+v", v.Region(), info)
			}
			if !strings.HasPrefix(info.Identity, "http://one.test arn:") {
				t.Errorf("identity %q", info.Identity)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		cfg  glacier.Config
		says string
	}{
		"no region":       {nil, glacier.Config{Vault: "photos"}, "AWS_REGION"},
		"no vault":        {nil, glacier.Config{Region: "eu-west-1"}, "not a vault's name"},
		"a bad name":      {nil, glacier.Config{Region: "eu-west-1", Vault: "a/b"}, `"a/b"`},
		"dots":            {nil, glacier.Config{Region: "eu-west-1", Vault: ".."}, "not a vault's name"},
		"a long name":     {nil, glacier.Config{Region: "eu-west-1", Vault: strings.Repeat("x", 256)}, "255"},
		"no such profile": {map[string]string{"AWS_PROFILE": "nobody"}, glacier.Config{Region: "eu-west-1", Vault: "photos"}, "nobody"},
		"a bad endpoint":  {nil, glacier.Config{Region: "eu-west-1", Vault: "photos", Endpoint: "localhost:80"}, "http://127.0.0.1"},
		"no ASCII":        {nil, glacier.Config{Region: "eu-west-1", Vault: "photos", Endpoint: "https://b\u00fccher.example"}, "xn--"},
		"none by default": {map[string]string{"AWS_ENDPOINT_URL": "https://b\u00fccher.example"}, glacier.Config{Region: "eu-west-1", Vault: "photos"}, "xn--"},
	} {
		t.Run(name, func(t *testing.T) {
			hermetic(t, c.env)
			_, err := glacier.Open(t.Context(), c.cfg)
			wantKind(t, err, firn.Usage)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}

func TestNoCredentials(t *testing.T) {
	hermetic(t, nil)
	v, err := glacier.Open(t.Context(), glacier.Config{Vault: "photos", Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Describe(t.Context())
	wantKind(t, err, firn.Denied)
	if err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("%v", err)
	}
}

// TestWrongCredentials: the server's own words come through.
func TestWrongCredentials(t *testing.T) {
	s := serve(t, nil)
	for name, keys := range map[string][2]string{"unknown key": {"unknown", secretKey}, "wrong secret": {accessKey, "nonsense"}} {
		v := open(t, s, func(c *glacier.Config) { c.Credentials = glacier.StaticCredentials(keys[0], keys[1], "") })
		_, err := v.Describe(t.Context())
		wantKind(t, err, firn.Denied)
		if err == nil || !strings.Contains(err.Error(), "right") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIdentity: by default it tells the server, the vault and its making; it
// can be told otherwise.
func TestIdentity(t *testing.T) {
	s := serve(t, func(c *glacierd.Config) { c.Account = "123456789012" })
	v := create(t, s)
	info, err := v.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := "http://glacier.test arn:aws:glacier:eu-west-1:123456789012:vaults/photos "; !strings.HasPrefix(info.Identity, want) {
		t.Errorf("%q", info.Identity)
	}
	amazon := open(t, s, func(c *glacier.Config) { c.Endpoint = "" })
	if info, err = amazon.Describe(t.Context()); err != nil || !strings.HasPrefix(info.Identity, "aws arn:") {
		t.Errorf("%q, %v", info.Identity, err)
	}
	private := open(t, s, func(c *glacier.Config) { c.Endpoint = "https://vpce-1.glacier.eu-west-1.vpce.amazonaws.com" })
	if there, err := private.Describe(t.Context()); err != nil || there.Identity != info.Identity {
		t.Errorf("%q, %v", there.Identity, err)
	}
	told := open(t, s, func(c *glacier.Config) {
		c.Identify = func(i firn.StoreInfo) (string, error) { return "mine " + i.Name, nil }
	})
	if info, err := told.Describe(t.Context()); err != nil || info.Identity != "mine photos" {
		t.Errorf("%q, %v", info.Identity, err)
	}
	broken := errors.New("no disk")
	untold := open(t, s, func(c *glacier.Config) { c.Identify = func(firn.StoreInfo) (string, error) { return "", broken } })
	if _, err := untold.Describe(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// TestLabel: messages call a store what its user calls it.
func TestLabel(t *testing.T) {
	s := serve(t, nil)
	_, err := open(t, s, nil).Describe(t.Context())
	wantKind(t, err, firn.NotFound)
	if err == nil || !strings.Contains(err.Error(), "describe glacier:eu-west-1/photos: ") {
		t.Errorf("%v", err)
	}
	_, err = open(t, s, func(c *glacier.Config) { c.Label = "local:/tmp/x" }).Describe(t.Context())
	if err == nil || !strings.Contains(err.Error(), "firn store create local:/tmp/x") {
		t.Errorf("%v", err)
	}
}
