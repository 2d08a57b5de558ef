package exchange

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// maxSkew is how far two clocks may be apart before a refused signature is put
// down to that. The service allows five minutes.
const maxSkew = 4 * time.Minute

// skewed reports whether the clock of the service is far from the one by which
// the request was signed.
func (x *Exchange) skewed(resp *http.Response) bool {
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return false
	}
	return there.Sub(x.signed.Add(x.client.Clock.Now().Sub(x.started))).Abs() > maxSkew
}

// apart is how far the clock of the service is ahead of this machine's; 0 where they
// agree as far as signatures want it.
func apart(resp *http.Response) time.Duration {
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0
	}
	if d := there.Sub(clock.System{}.Now()); d.Abs() > maxSkew {
		return d
	}
	return 0
}

// A verdict is what a failed exchange comes to: its kind, its cause without
// the SDK's wrapping, and what to do about it.
type verdict struct {
	kind firn.Kind
	err  error
	hint string
}

// explain judges a failed exchange. The kind is Other, and the cause the
// caller's own, where the caller ended an exchange that surely had no effect.
func (x *Exchange) explain(err error) verdict {
	var lost *lostAnswer
	left := x.left()
	sent, bodyErr := x.body()
	switch stopped := x.caller.Err() != nil; {
	case x.refusal != nil:
		return verdict{x.refusal.Kind, x.refusal, x.refusal.Hint}
	case stopped && left:
		return verdict{firn.Lost, fmt.Errorf("stopped before the answer came: %w", x.stopped()), ""}
	case stopped:
		return verdict{firn.Other, x.stopped(), ""}
	case bodyErr != nil && !left:
		return explainBody(bodyErr, sent, x.length)
	case x.client.credentials(err) != nil:
		return explainCredentials(x.client.credentials(err))
	case !x.reached:
		return explainUnsent(err)
	case errors.As(err, &lost):
		return verdict{firn.Lost, fmt.Errorf("the answer broke off: %w", lost.error), ""}
	case x.status != 0:
		return verdict{firn.Lost, fmt.Errorf("the answer can't be read: %w", err), x.client.ServerHint()}
	}
	cause := sendError(err)
	if s := stall(0); errors.As(context.Cause(x.Ctx), &s) {
		cause = s
	}
	if left && !undialed(cause) {
		return verdict{firn.Lost, fmt.Errorf("no answer came: %w", cause), ""}
	}
	return x.explainNetwork(cause)
}

// undialed reports whether err says that there was no connection, or none any
// more, before the request was written. The last of these errors of net/http
// has no name: the server had closed a connection that waited for its next
// request.
func undialed(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns) ||
		strings.HasSuffix(err.Error(), "http: server closed idle connection")
}

// sendError finds what the transport gave in the SDK's error around it.
func sendError(err error) error {
	var sent *smithyhttp.RequestSendError
	if errors.As(err, &sent) {
		return sent.Err
	}
	return err
}

// explainBody is about a body that couldn't be read.
func explainBody(err error, sent, length int64) verdict {
	if err == io.ErrUnexpectedEOF {
		return verdict{firn.Changed, fmt.Errorf("the body ended after %d of %d bytes", sent, length), ""}
	}
	kind := firn.KindOf(err)
	if kind == firn.Other {
		kind = firn.Local
	}
	return verdict{kind, err, ""}
}

// credentials gives why none were found, where err says that.
func (c *Client) credentials(err error) error {
	if c.NoCredentials == nil {
		return nil
	}
	return c.NoCredentials(err)
}

// explainCredentials is about a failed search for credentials. Asking the
// machine's own metadata service, the last place looked in, fails wherever
// there are none; any other failure to reach a server is one of the network.
func explainCredentials(err error) verdict {
	var op *smithy.OperationError
	var network net.Error
	if errors.As(err, &op) && op.Service() != "ec2imds" && errors.As(err, &network) {
		return verdict{firn.Network, fmt.Errorf("no connection to %s for credentials: %w", op.Service(), err), ""}
	}
	return verdict{firn.Denied, fmt.Errorf("no credentials: %w", err),
		"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; or run \"aws configure\" or \"aws sso login\""}
}

// explainUnsent is about a request that the SDK wouldn't send.
func explainUnsent(err error) verdict {
	var op *smithy.OperationError
	if errors.As(err, &op) {
		err = op.Err
	}
	return verdict{firn.Invalid, err, ""}
}

// explainNetwork is about a request that never left, or not whole.
func (x *Exchange) explainNetwork(err error) verdict {
	var certificate *tls.CertificateVerificationError
	nameless := x.client.nameless(err)
	err = fmt.Errorf("no connection to %s: %w", x.client.Endpoint, err)
	switch {
	case nameless && x.client.nowhere() != "":
		return verdict{firn.Usage, err, x.client.nowhere()}
	case nameless:
		return verdict{firn.Network, err, "is there a network? and is the name of the server right?"}
	case errors.As(err, &certificate):
		return verdict{firn.Denied, err, "the server's certificate is not trusted: is this machine's clock right? AWS_CA_BUNDLE names the certificates of a proxy"}
	}
	return verdict{firn.Network, err, "is there a network? and a server at " + x.client.Endpoint + "?"}
}

// nameless reports whether err says that there is no host of the server's name, and
// not that nobody could be asked. That of a proxy says nothing about the server.
func (c *Client) nameless(err error) bool {
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound {
		return false
	}
	host := (&url.URL{Host: c.Endpoint}).Hostname()
	asked := (&url.URL{Host: dns.Name}).Hostname()
	return asked == host || strings.HasSuffix(asked, "."+host) // S3 puts the bucket in front
}

// nowhere is Nowhere of now.
func (c *Client) nowhere() string {
	if c.Nowhere == nil {
		return ""
	}
	return c.Nowhere(c.Unmet && !c.answered.Load())
}

// Misnamed is what to check where no host has the name of a server that nobody has met
// yet; region is that of Amazon's service, empty at another server.
func Misnamed(region string) string {
	if region == "" {
		return "is the address right, in --endpoint-url, the profile's endpoint or AWS_ENDPOINT_URL? and is there a network?"
	}
	return fmt.Sprintf("is the region %q right, and is there a network? A server that isn't Amazon's is named with --endpoint-url, or with endpoint in a profile", region)
}

// ServerHint is for answers that the service wouldn't give.
func (c *Client) ServerHint() string {
	return "is there " + c.Server + " at " + c.Endpoint + "?"
}
