package wire_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
)

// TestAtAmazon: only what Amazon itself keeps has a region that one can be in.
func TestAtAmazon(t *testing.T) {
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("eu-west-1")) }))
	defer here.Close()
	env := wire.Env{Dir: t.TempDir(), Clock: clock.System{}, Events: firn.Discard, Getenv: func(name string) string {
		return map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": here.URL, "AWS_METADATA_SERVICE_TIMEOUT": "120"}[name]
	}}
	t.Setenv("AWS_ACCESS_KEY_ID", "none")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "none")
	t.Setenv("AWS_ENDPOINT_URL", "")
	for name, c := range map[string]struct {
		store, identity string
		amazon, here    bool
	}{
		"a vault":                 {"glacier:eu-west-1/v", "aws arn:aws:glacier:eu-west-1:1:vaults/v 2020", true, true},
		"a vault far away":        {"glacier:us-east-1/v", "aws arn:aws:glacier:us-east-1:1:vaults/v 2020", true, false},
		"a bucket":                {"s3:bucket/p?region=eu-west-1", "aws b/p/ 12", true, true},
		"another server's bucket": {"s3:bucket/p?region=eu-west-1", "http://127.0.0.1:9000 b/p/ 12", false, false},
		"a folder":                {"local:v", "local:12", false, false},
	} {
		loc, err := config.ParseLocation(c.store, env.Dir)
		if err != nil {
			t.Fatal(err)
		}
		s, err := wire.Open(t.Context(), env, loc, wire.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.Info.Identity = c.identity
		if a, h := s.AtAmazon(), s.IsHere(t.Context()); a != c.amazon || h != c.here {
			t.Errorf("%s: at Amazon: %t, here: %t", name, a, h)
		}
		s.Close()
	}
}
