package s3cold

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// A late server's clock shows another time.
type late struct {
	*storetest.Tape
	shows time.Time
}

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.Tape.RoundTrip(r)
	answer.Header.Set("Date", l.shows.UTC().Format(http.TimeFormat))
	return answer, err
}

func section(text string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
}

// TestPutsLikeTheSDK: what firn puts by itself goes where the SDK would have sent it,
// and says and signs the same.
func TestPutsLikeTheSDK(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		cfg         Config
	}{
		"a region":             {cfg: Config{Bucket: "bucket", Region: "eu-west-1"}},
		"a name with dots":     {cfg: Config{Bucket: "the.bucket", Region: "eu-west-1"}},
		"China":                {cfg: Config{Bucket: "bucket", Region: "cn-north-1"}},
		"the old region":       {cfg: Config{Bucket: "bucket", Region: "aws-global"}},
		"FIPS":                 {map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, Config{Bucket: "bucket", Region: "us-gov-west-1"}},
		"FIPS by an old name":  {cfg: Config{Bucket: "bucket", Region: "fips-us-east-1"}},
		"dual stack":           {map[string]string{"AWS_USE_DUALSTACK_ENDPOINT": "true"}, Config{Bucket: "bucket", Region: "eu-west-1"}},
		"another server":       {cfg: Config{Bucket: "bucket", Endpoint: "http://127.0.0.1:9000"}},
		"below a path":         {cfg: Config{Bucket: "bucket", Endpoint: "https://store.example/of/s3/"}},
		"by the environment":   {map[string]string{"AWS_ENDPOINT_URL_S3": "https://store.example"}, Config{Bucket: "bucket", Region: "eu-west-1"}},
		"a session":            {map[string]string{"AWS_SESSION_TOKEN": "token"}, Config{Bucket: "bucket", Region: "eu-west-1"}},
		"a private way within": {map[string]string{"AWS_ENDPOINT_URL": "https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com"}, Config{Bucket: "bucket", Region: "us-east-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.AWS(t, c.environment)
			putBoth(t, c.cfg)
		})
	}
}

// putBoth puts an object with a name that has to be escaped both ways.
func putBoth(t *testing.T, cfg Config) {
	tape := &storetest.Tape{}
	cfg.Transport, cfg.Prefix = tape, "a b"
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	double := treehash.NewDouble()
	double.Write([]byte("alpha"))
	sums, body := double.Sums(), section("alpha")
	const key = "ümlaut+%41/=&?#.txt"
	metadata := map[string]string{metaTime: "1.5", metaDescription: "two  blanks"}

	x := s.begin(t.Context(), "put", "it")
	_, err = s.client.PutObject(x.Ctx, &sdk.PutObjectInput{
		Bucket: s.bucket(), Key: s.full(key), Body: body, ContentLength: aws.Int64(5), ChecksumSHA256: checksum(sums),
		StorageClass: "DEEP_ARCHIVE", Metadata: metadata, IfNoneMatch: aws.String("*"),
	}, preset(sums))
	if err := x.End(err); err != nil {
		t.Fatal(err)
	}
	x = s.begin(t.Context(), "put", "it")
	_, err = s.send(x, object{key: key, body: body, sums: sums, class: "DEEP_ARCHIVE", metadata: metadata, when: condition{absent: true}})
	if err := x.End(err); err != nil {
		t.Fatal(err)
	}
	tape.Same(t, "putting")
}

// TestPutsBySignedTime: where the clock of the service is another, requests are signed
// by it once an answer told.
func TestPutsBySignedTime(t *testing.T) {
	tape := &storetest.Tape{}
	there := time.Now().Add(-time.Hour)
	keys := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "secret"}, nil
	})
	s, err := Open(t.Context(), Config{Bucket: "bucket", Region: "eu-west-1", Transport: late{tape, there}, Credentials: keys})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		x := s.begin(t.Context(), "put", "it")
		_, err := s.send(x, object{key: "key", body: section("alpha")})
		if err := x.End(err); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []time.Time{time.Now(), there} {
		at, err := time.Parse("20060102T150405Z", tape.Requests[i].Header.Get("X-Amz-Date"))
		if err != nil || at.Sub(want).Abs() > time.Minute {
			t.Errorf("request %d was signed at %v, %v; want %v", i, at, err, want)
		}
	}
}
