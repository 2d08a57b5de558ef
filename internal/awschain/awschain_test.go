package awschain_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/awschain"
)

// noChain makes the machine's own configuration that of a new one.
func noChain(t *testing.T) (configFile string) {
	t.Helper()
	dir := t.TempDir()
	configFile = filepath.Join(dir, "config")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": configFile, "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"),
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
	} {
		t.Setenv(name, value)
	}
	return configFile
}

func TestLoad(t *testing.T) {
	file := noChain(t)
	if err := os.WriteFile(file, []byte("[default]\nregion = eu-west-1\n[profile other]\nregion = eu-west-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ region, profile, want string }{
		{"", "", "eu-west-1"}, {"", "other", "eu-west-2"}, {"us-east-1", "other", "us-east-1"},
	} {
		got, err := awschain.Load(t.Context(), tt.region, tt.profile)
		if err != nil || got.Region != tt.want {
			t.Errorf("%q, %q: region %q, %v, want %q", tt.region, tt.profile, got.Region, err, tt.want)
		}
	}
	if _, err := awschain.Load(t.Context(), "", "nobody"); firn.KindOf(err) != firn.Usage {
		t.Errorf("a profile that isn't there: %v", err)
	}
}

func TestTagged(t *testing.T) {
	broken := errors.New("broken")
	fails := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, broken })
	var tagged *awschain.CredentialsError
	if _, err := awschain.Tagged(fails).Retrieve(t.Context()); !errors.As(err, &tagged) || !errors.Is(err, broken) {
		t.Errorf("one that fails: %v", err)
	}
	if _, err := awschain.Tagged(nil).Retrieve(t.Context()); !errors.As(err, &tagged) {
		t.Errorf("none: %v", err)
	}
	works := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{AccessKeyID: "A"}, nil })
	if keys, err := awschain.Tagged(works).Retrieve(t.Context()); err != nil || keys.AccessKeyID != "A" {
		t.Errorf("%v, %v", keys, err)
	}
}
