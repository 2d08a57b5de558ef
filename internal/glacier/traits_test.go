package glacier_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/glacier"
)

// TestMinDuration: the service charges for 90 days, a vault in a folder nothing.
func TestMinDuration(t *testing.T) {
	for inProcess, want := range map[bool]time.Duration{false: 2160 * time.Hour, true: 0} {
		v, err := glacier.Open(t.Context(), glacier.Config{
			Vault: "photos", Region: "eu-west-1", InProcess: inProcess, Credentials: glacier.StaticCredentials("key", "secret", ""),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Traits().MinDuration; got != want {
			t.Errorf("in process %t: %v, want %v", inProcess, got, want)
		}
	}
}
