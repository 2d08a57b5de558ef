package awschain_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/firn-archive/firn/internal/awschain"
)

// TestHere: only an answer in the form of the service counts.
func TestHere(t *testing.T) {
	for name, c := range map[string]struct {
		token, region string
		status        int
		want          string
	}{
		"a machine of Amazon's":    {"t", "eu-west-1\n", 200, "eu-west-1"},
		"a local zone's region":    {"t", "us-gov-west-1", 200, "us-gov-west-1"},
		"a portal that says hello": {"t", "<html>please log in</html>", 200, ""},
		"an old service, no token": {"", "eu-west-1", 200, ""},
		"it won't say":             {"t", "eu-west-1", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && c.token != "":
					w.Write([]byte(c.token))
				case r.URL.Path == "/latest/meta-data/placement/region" && r.Header.Get("X-Aws-Ec2-Metadata-Token") == "t":
					w.WriteHeader(c.status)
					w.Write([]byte(c.region))
				default:
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			defer server.Close()
			env := map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.URL + "/", "AWS_METADATA_SERVICE_TIMEOUT": "120"}
			if got := awschain.Here(t.Context(), func(name string) string { return env[name] }); got != c.want {
				t.Errorf("it is in %q, want %q", got, c.want)
			}
			env["AWS_EC2_METADATA_DISABLED"] = "TRUE"
			if got := awschain.Here(t.Context(), func(name string) string { return env[name] }); got != "" {
				t.Errorf("it asked all the same: %q", got)
			}
		})
	}
}

// TestHereIsNotWaitedFor: who says nothing isn't asked for long.
func TestHereIsNotWaitedFor(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	env := map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": silent.URL, "AWS_METADATA_SERVICE_TIMEOUT": "no number"}
	if got := awschain.Here(t.Context(), func(name string) string { return env[name] }); got != "" {
		t.Errorf("it is in %q", got)
	}
}
