package s3cold

import (
	"cmp"
	"context"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"github.com/firn-archive/firn/internal/exchange"
	"github.com/firn-archive/firn/treehash"
)

// An object is one to be put in a single request.
type object struct {
	key         string
	body        *io.SectionReader
	sums        treehash.Sums
	contentType string            // empty: of bytes of any kind
	class       string            // empty: STANDARD
	metadata    map[string]string // none of which is empty
	when        condition
}

// signer makes what signs the requests that put objects in a bucket, and knows where
// they go. Source: Amazon S3 API reference, "PutObject".
func (s *service) signer(ctx context.Context, bucket string) *exchange.Signer {
	o := s.client.Options()
	region, certified := exchange.Region(o.Region)
	to, err := o.EndpointResolverV2.ResolveEndpoint(ctx, sdk.EndpointParameters{
		Bucket: &bucket, Region: &region, Endpoint: o.BaseEndpoint,
		UseFIPS:        aws.Bool(certified || o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack:   aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		ForcePathStyle: &o.UsePathStyle, Accelerate: &o.UseAccelerate,
		UseArnRegion: &o.UseARNRegion, DisableMultiRegionAccessPoints: &o.DisableMultiRegionAccessPoints,
	}.WithDefaults())
	return exchange.NewSigner(s.http, o.Credentials, to, err, "s3", region)
}

// send puts an object, and gives the headers of the answer.
func (s *Store) send(x *exchange.Exchange, o object) (http.Header, error) {
	answer, err := s.puts.Do(x, exchange.Request{
		Method: http.MethodPut, Path: "/" + httpbinding.EscapePath(*s.full(o.key), false), Header: o.headers(),
		Body: o.body, Hash: hex.EncodeToString(o.sums.Linear[:]),
	})
	if err != nil {
		return nil, err
	}
	return answer.Header, nil
}

// headers are those that say what an object is. Source: as of signer.
func (o *object) headers() http.Header {
	h := make(http.Header, 16) // with those that signing and sending add
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	set("Content-Type", cmp.Or(o.contentType, "application/octet-stream"))
	set("X-Amz-Checksum-Sha256", *checksum(o.sums))
	set("X-Amz-Storage-Class", o.class)
	if o.when.absent {
		set("If-None-Match", "*")
	}
	set("If-Match", o.when.etag)
	for name, value := range o.metadata {
		h.Set("X-Amz-Meta-"+name, value)
	}
	return h
}
