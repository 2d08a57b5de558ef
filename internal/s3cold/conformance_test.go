package s3cold_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
)

var _ firn.Store = (*s3cold.Store)(nil)

// The key pair that tests sign with.
const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func credentials() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
	})
}

// open opens the store "bucket/photos" of a server, unless change says otherwise.
func open(t testing.TB, s *s3test.Server, change func(*s3cold.Config)) *s3cold.Store {
	t.Helper()
	cfg := s3cold.Config{
		Bucket: "bucket", Prefix: "photos", Region: "eu-west-1", Endpoint: "http://s3.test", ThawDays: 2,
		Credentials: credentials(),
	}
	if s != nil {
		cfg.Transport = s.Transport()
	}
	if change != nil {
		change(&cfg)
	}
	store, err := s3cold.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestConformance(t *testing.T) {
	thaw := 12 * time.Hour
	for name, c := range map[string]struct {
		class s3cold.Class
		o     s3test.Options
	}{
		"deep":        {s3cold.DeepArchive, s3test.Options{Thaw: thaw}},
		"at once":     {s3cold.Standard, s3test.Options{}},
		"short pages": {s3cold.Glacier, s3test.Options{Thaw: thaw, Page: 7}},
		// Other servers.
		"no conditions":     {s3cold.Glacier, s3test.Options{Thaw: thaw, NoConditions: true}},
		"no restore status": {s3cold.Glacier, s3test.Options{Thaw: thaw, NoRestoreStatus: true}},
		"versioned":         {s3cold.GlacierIR, s3test.Options{Versioned: true}},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Harness {
				now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
				c.o.Clock, c.o.Buckets = now, []string{"bucket"}
				s := s3test.New(c.o)
				h := storetest.Harness{
					Store:   open(t, s, func(cfg *s3cold.Config) { cfg.Class = c.class }),
					Missing: open(t, s, func(cfg *s3cold.Config) { cfg.Class, cfg.Prefix = c.class, "missing" }),
					Advance: now.Advance,
					Ripe:    c.o.Thaw,
				}
				if c.o.Thaw > 0 {
					h.OutputLife = 57 * time.Hour // two days, and until midnight
				}
				if err := h.Store.Create(t.Context()); err != nil {
					t.Fatal(err)
				}
				return h
			})
		})
	}
}
