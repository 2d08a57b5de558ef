package glacier_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/glacier"
)

var _ firn.Store = (*glacier.Vault)(nil)

// The key pair that tests sign with.
const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// serve starts a server that does everything at once, unless change says
// otherwise.
func serve(t testing.TB, change func(*glacierd.Config)) *glacierd.Server {
	t.Helper()
	cfg := glacierd.Config{
		Root:   t.TempDir(),
		Timing: new(glacierd.Timing),
		Credentials: func(id string) (glacierd.KeyPair, bool) {
			return glacierd.KeyPair{AccessKeyID: accessKey, SecretAccessKey: secretKey}, id == accessKey
		},
	}
	if change != nil {
		change(&cfg)
	}
	s, err := glacierd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// open opens the vault "photos" of a server, unless change says otherwise.
func open(t testing.TB, s *glacierd.Server, change func(*glacier.Config)) *glacier.Vault {
	t.Helper()
	cfg := glacier.Config{
		Vault:          "photos",
		Region:         "eu-west-1",
		Endpoint:       "http://glacier.test",
		Credentials:    glacier.StaticCredentials(accessKey, secretKey, ""),
		FreshInventory: true,
		InstantJobs:    true,
	}
	if s != nil {
		cfg.Transport = s.Transport()
	}
	if change != nil {
		change(&cfg)
	}
	v, err := glacier.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// create opens the vault and creates it.
func create(t testing.TB, s *glacierd.Server) *glacier.Vault {
	t.Helper()
	v := open(t, s, nil)
	if err := v.Create(context.Background()); err != nil {
		t.Fatal(err)
	}
	return v
}

// arm plans a fault, and fails the test at its end where it didn't strike.
func arm(t testing.TB, faults *glacierd.Faults, f glacierd.Fault) {
	t.Helper()
	armed, err := faults.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if armed.Struck() == 0 {
			t.Errorf("never struck: %+v", f)
		}
	})
}

// answer is a server with one answer for everything.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	header := a.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		StatusCode: a.status, Header: header, ContentLength: int64(len(a.body)),
		Body: io.NopCloser(strings.NewReader(a.body)),
	}, nil
}

// with opens the vault on a transport.
func with(t testing.TB, transport http.RoundTripper) *glacier.Vault {
	return open(t, nil, func(c *glacier.Config) { c.Transport = transport })
}

// wantKind fails the test where err isn't of a kind.
func wantKind(t testing.TB, err error, kind firn.Kind) {
	t.Helper()
	if err == nil || firn.KindOf(err) != kind {
		t.Errorf("%v: %v; want %v", firn.KindOf(err), err, kind)
	}
}
