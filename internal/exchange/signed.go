package exchange

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/firn-archive/firn/internal/clock"
)

// A Signer signs the requests of which a command sends very many, one for each small
// file, with the SDK's own signer, but without the rest of the SDK: its fifty steps
// for a request take more of the processor than all that firn does for such a file.
type Signer struct {
	client      *Client
	credentials aws.CredentialsProvider
	base        url.URL
	service     string // that requests are signed for
	region      string // ... in
	signer      *v4.Signer
	nowhere     error // why no request can be sent
}

// NewSigner makes what signs requests that go where the SDK's resolver of endpoints says:
// its error, where it has one, is that of each request. They are signed for a service in
// a region, unless the endpoint wants another.
func NewSigner(client *Client, credentials aws.CredentialsProvider, to smithyendpoints.Endpoint, err error, service, region string) *Signer {
	s := &Signer{
		client: client, credentials: credentials, base: to.URI, service: service, region: region, nowhere: err,
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }),
	}
	options, _ := smithyauth.GetAuthOptions(&to.Properties)
	if err != nil || len(options) == 0 {
		return s
	}
	if scheme := options[0].SchemeID; !strings.HasSuffix(smithyauth.SchemeIDSigV4, scheme) { // endpoints name it by its end
		s.nowhere = fmt.Errorf("requests to %s are signed in another way (%s)", to.URI.Host, scheme)
		return s
	}
	named, _ := smithyhttp.GetSigV4SigningName(&options[0].SignerProperties)
	signed, _ := smithyhttp.GetSigV4SigningRegion(&options[0].SignerProperties)
	s.service, s.region = cmp.Or(named, service), cmp.Or(signed, region)
	return s
}

// Region is a region as endpoints are resolved for. Old names of some asked in
// themselves for certified cryptography (FIPS). Source: AWS SDK for Go v2,
// internal/endpoints.
func Region(name string) (region string, certified bool) {
	region = strings.NewReplacer("-fips-", "-", "fips-", "", "-fips", "").Replace(name)
	return region, region != name
}

// A Request is one for a Signer.
type Request struct {
	Method string
	Path   string // below the endpoint, escaped
	Header http.Header
	Body   *io.SectionReader // nil for none; it is sent from its start
	Hash   string            // SHA-256 of the body, in hexadecimal
}

// Do sends a request of an exchange, and gives what Client.Do gives. The error is for
// the exchange's End.
func (s *Signer) Do(x *Exchange, r Request) (*http.Response, error) {
	if s.nowhere != nil {
		return nil, s.nowhere
	}
	keys, err := s.credentials.Retrieve(x.Ctx)
	if err != nil {
		return nil, err
	}
	at, err := s.below(r.Path)
	if err != nil {
		return nil, err
	}
	r.Header["X-Amz-Content-Sha256"] = []string{r.Hash}
	r.Header["User-Agent"] = []string{"firn"}
	req := &http.Request{
		Method: r.Method, URL: at, Host: at.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header,
	}
	if r.Body != nil && r.Body.Size() > 0 {
		req.ContentLength = r.Body.Size()
		req.Body = io.NopCloser(io.NewSectionReader(r.Body, 0, req.ContentLength)) // the caller may send the same again
	}
	req = req.WithContext(x.Ctx)
	if err := s.sign(x.Ctx, keys, req, r.Hash); err != nil {
		return nil, err
	}
	return s.client.Do(req)
}

func (s *Signer) sign(ctx context.Context, keys aws.Credentials, req *http.Request, hash string) error {
	at := clock.System{}.Now().Add(time.Duration(s.client.apart.Load()))
	return s.signer.SignHTTP(ctx, keys, req, hash, s.service, s.region, at)
}

// below is the address of an escaped path below the endpoint.
func (s *Signer) below(path string) (*url.URL, error) {
	at := s.base
	escaped := strings.TrimSuffix(at.EscapedPath(), "/") + path
	plain, err := url.PathUnescape(escaped)
	at.Path, at.RawPath = plain, escaped
	return &at, err
}
