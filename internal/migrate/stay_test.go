package migrate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
)

// A snail is a store whose bytes take their time, by the clock.
type snail struct {
	firn.Store
	clock *clock.Manual
	perMB time.Duration
}

func (s *snail) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := s.Store.Output(ctx, id, at)
	if err == nil {
		s.clock.Advance(time.Duration(float64(at.Len()) / (1 << 20) * float64(s.perMB)))
	}
	return out, err
}

// TestCopiesStay: what has thawed in the source, and that a slow line has not moved
// yet, is asked to stay, and thaws once; what is moved in time isn't.
func TestCopiesStay(t *testing.T) {
	for name, test := range map[string]struct {
		files, size int
		perMB       time.Duration
		bundling    migrate.Bundling
		stays       bool
	}{
		"slow":          {16, 1 << 20, 10 * time.Hour, migrate.Bundling{}, true},
		"slow, bundled": {160, 100 << 10, 10 * time.Hour, migrate.Bundling{Below: 2 << 20, Size: 64 << 20}, true},
		"in time":       {16, 1 << 20, time.Minute, migrate.Bundling{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, storetest.MemoryOptions{})
			server := s3test.New(s3test.Options{Clock: r.Clock, Thaw: 12 * time.Hour, Buckets: []string{"bucket"}})
			cold, err := s3cold.Open(t.Context(), s3cold.Config{
				Bucket: "bucket", Prefix: "p", Region: "us-east-1", Endpoint: "http://s3.test", Transport: server.Transport(), Class: s3cold.DeepArchive,
				Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret"}, nil
				}),
			})
			r.must(err)
			r.must(cold.Create(t.Context()))
			r.Store = cold
			r.Row, err = r.Catalog.Register(t.Context(), catalog.StoreSpec{URL: "s3:bucket/p", Kind: "s3", Identity: "s3", Name: "p", Class: string(s3cold.DeepArchive)})
			r.must(err)
			want := map[string]string{}
			for i := range test.files {
				path, data := fmt.Sprintf("f%03d", i), string(storetest.Data(uint64(i), test.size))
				r.Write(path, data)
				want[path] = data
			}
			r.Sync()
			o := r.options()
			o.From.Store, o.Concurrency, o.Wait = &snail{cold, r.Clock, test.perMB}, 1, true
			o.Bundling = test.bundling
			o.Bundling.Spool = r.spool
			if res := r.migrate(o); !res.Done {
				t.Fatalf("%+v; %q", res, r.Notices())
			}
			r.expect(r.restored(nil), want)
			ledger, err := r.Catalog.Ledger(t.Context(), r.Row.ID, r.Clock.Now().AddDate(0, -3, 0), r.Clock.Now().AddDate(0, 1, 0))
			r.must(err)
			calls := map[catalog.Op]int64{}
			for _, one := range ledger.Charges {
				calls[one.Op] += one.Calls
			}
			if calls[catalog.CopyOp] != int64(test.files) || calls[catalog.ExtendOp] > 0 != test.stays || calls[catalog.ExtendOp] > 3*int64(test.files) {
				t.Errorf("asked %v times", calls)
			}
			if asked := int64(server.Calls()["POST restore"]); asked != calls[catalog.CopyOp]+calls[catalog.ExtendOp] {
				t.Errorf("the ledger has %v, the server %d", calls, asked)
			}
		})
	}
}
