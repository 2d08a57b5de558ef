package exchange_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
)

// TestSignerSendsNothing: where a request can't be signed, none leaves, and the error
// says why.
func TestSignerSendsNothing(t *testing.T) {
	keys := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "A", SecretAccessKey: "s"}, nil
	})
	no := errors.New("no such keys")
	otherwise := smithyendpoints.Endpoint{URI: url.URL{Scheme: "https", Host: "many.test"}}
	smithyauth.SetAuthOptions(&otherwise.Properties, []*smithyauth.Option{{SchemeID: "sigv4a"}})
	for name, c := range map[string]struct {
		keys aws.CredentialsProvider
		to   smithyendpoints.Endpoint
		err  error
		says string
	}{
		"another scheme": {keys, otherwise, nil, "many.test are signed in another way (sigv4a)"},
		"no endpoint":    {keys, smithyendpoints.Endpoint{}, errors.New("no such region"), "no such region"},
		"no keys": {aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, no }),
			smithyendpoints.Endpoint{URI: url.URL{Scheme: "https", Host: "one.test"}}, nil, "no such keys"},
	} {
		t.Run(name, func(t *testing.T) {
			way := client(func(*http.Request) (*http.Response, error) {
				t.Error("a request left")
				return nil, errors.ErrUnsupported
			})
			s := exchange.NewSigner(way, c.keys, c.to, c.err, "s3", "eu-west-1")
			x := way.Begin(t.Context(), "try", "it")
			_, err := s.Do(x, exchange.Request{Method: http.MethodGet, Path: "/", Header: http.Header{}})
			if err = x.End(err); firn.KindOf(err) != firn.Invalid || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v; want %q", firn.KindOf(err), err, c.says)
			}
		})
	}
}
