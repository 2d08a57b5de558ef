package wire_test

import (
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
)

// TestPrices: a folder charges nothing, and a vault what its region says,
// wherever that is named.
func TestPrices(t *testing.T) {
	env := environment(t)
	if p := openLocal(t, env, filepath.Join(t.TempDir(), "vault")).Prices(); !p.Free {
		t.Errorf("a folder charges %+v", p)
	}
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing")
	for region, exact := range map[string]bool{"": true, "us-east-1": true, "eu-west-1": false} {
		loc := config.Location{Scheme: config.Glacier, Region: region, Vault: "photos"}
		s, err := wire.Open(t.Context(), env, loc, wire.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if p := s.Prices(); p.Free || p.Exact() != exact {
			t.Errorf("in %q: exact %t for %q, free %t", region, p.Exact(), p.For, p.Free)
		}
	}
}
