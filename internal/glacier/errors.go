package glacier

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/awschain"
)

// The codes that operations look at. Source: Amazon Glacier API reference,
// "Error Responses".
const (
	codeNotFound     = "ResourceNotFoundException"
	codeInvalidValue = "InvalidParameterValueException"
	codeSignature    = "InvalidSignatureException"
	codeNoCapacity   = "InsufficientCapacityException"
	codeUnavailable  = "ServiceUnavailableException"
	codeDenied       = "AccessDeniedException"
)

// kindsOfCodes says what each code of the service means for a caller. Those of
// the second group are not in the reference of this service; front ends that
// all AWS services share may give them.
var kindsOfCodes = map[string]firn.Kind{
	codeDenied:                            firn.Denied,
	"BadRequest":                          firn.Invalid,
	"ExpiredTokenException":               firn.Denied,
	codeNoCapacity:                        firn.Capacity,
	codeInvalidValue:                      firn.Invalid,
	codeSignature:                         firn.Denied,
	"LimitExceededException":              firn.Invalid,
	"MissingAuthenticationTokenException": firn.Denied,
	"MissingParameterValueException":      firn.Invalid,
	"NoLongerSupportedException":          firn.NoNewCustomers,
	"PolicyEnforcedException":             firn.Policy,
	"RequestTimeoutException":             firn.SlowBody,
	codeNotFound:                          firn.NotFound,
	"SerializationException":              firn.Invalid,
	codeUnavailable:                       firn.Unavailable,
	"ThrottlingException":                 firn.Throttled,
	"UnrecognizedClientException":         firn.Denied,

	"AccessDenied":                           firn.Denied,
	"ExpiredToken":                           firn.Denied,
	"IncompleteSignature":                    firn.Denied,
	"IncompleteSignatureException":           firn.Denied,
	"InternalFailure":                        firn.Lost,
	"InternalServerError":                    firn.Lost,
	"InternalServerException":                firn.Lost,
	"InvalidAction":                          firn.Invalid,
	"InvalidClientTokenId":                   firn.Denied,
	"MissingAuthenticationToken":             firn.Denied,
	"OptInRequired":                          firn.Denied,
	"RequestExpired":                         firn.Skew,
	"RequestLimitExceeded":                   firn.Throttled,
	"RequestTimeTooSkewed":                   firn.Skew,
	"RequestTimeout":                         firn.SlowBody,
	"ServiceUnavailable":                     firn.Unavailable,
	"SignatureDoesNotMatch":                  firn.Denied,
	"SlowDown":                               firn.Throttled,
	"SubscriptionRequiredException":          firn.Denied,
	"Throttling":                             firn.Throttled,
	"ThrottledException":                     firn.Throttled,
	"TooManyRequestsException":               firn.Throttled,
	"UnknownOperationException":              firn.Invalid,
	"ValidationException":                    firn.Invalid,
	"ProvisionedThroughputExceededException": firn.Throttled,
}

// A refusal is an answer of the service that isn't a success.
type refusal struct {
	status  int
	code    string // "" where the answer bears none
	message string
	kind    firn.Kind
}

// Error is the service's own message, or what can be said without one.
func (r *refusal) Error() string {
	switch {
	case r.message != "" && r.code != "":
		return r.message + " (" + r.code + ")"
	case r.code != "":
		return r.code
	case r.message != "":
		return fmt.Sprintf("status %d without an error code: %s", r.status, r.message)
	}
	return fmt.Sprintf("status %d without an error code", r.status)
}

// ErrorCode lets the SDK know the code, as its own errors do.
func (r *refusal) ErrorCode() string { return r.code }

// noVault reports whether what wasn't found is the vault itself: the code is
// the same for all, and the message alone tells.
func (r *refusal) noVault() bool {
	return r.code == codeNotFound && strings.HasPrefix(r.message, "Vault not found")
}

// refusalOf reads an answer that isn't a success.
func refusalOf(resp *http.Response, body []byte, x *exchange) *refusal {
	r := &refusal{status: resp.StatusCode}
	r.code, r.message = parseRefusal(resp.Header.Get("X-Amzn-Errortype"), body)
	kind, known := kindsOfCodes[r.code]
	switch {
	case !known:
		kind = kindOfStatus(r.status)
	case kind == firn.Denied && skewed(resp, x):
		kind = firn.Skew
	case r.code == codeSignature:
		kind = kindOfSignature(r.message, x.length > 0)
	case r.code == codeUnavailable && diskFull(r.message):
		kind = firn.Full
	case r.code == codeInvalidValue && strings.HasPrefix(r.message, "Checksum mismatch") && x.length > 0:
		kind = firn.Corrupt
	}
	r.kind = kind
	return r
}

// diskFull reports whether a server that keeps vaults in folders says that its
// disk is full: waiting would not help. Amazon's service says no such thing.
func diskFull(message string) bool {
	return strings.Contains(message, "no space left on device") || strings.Contains(message, "disk is full")
}

// parseRefusal finds the code and the message of a refusal. The service says
// {"code":...,"message":...,"type":...}; front ends say __type, or have the code
// in a header only; a proxy may say anything.
func parseRefusal(header string, body []byte) (code, message string) {
	var said struct {
		Code    any
		Type    any `json:"__type"`
		Message any
	}
	if json.Unmarshal(body, &said) != nil {
		said.Code, said.Type, said.Message = nil, nil, firstLine(body)
	}
	for _, c := range []any{said.Code, said.Type, header} {
		if s, _ := c.(string); code == "" {
			code = bareCode(s)
		}
	}
	if s, ok := said.Message.(string); ok {
		message = s
	}
	return code, message
}

// bareCode strips what may surround a code: a namespace before '#', an address
// after ':'.
func bareCode(s string) string {
	bare, _, _ := strings.Cut(s, ":")
	if _, after, found := strings.Cut(bare, "#"); found {
		bare = after
	}
	return strings.TrimSpace(bare)
}

// firstLine is what to show of a body that is no JSON.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if line == "" {
		return ""
	}
	return quote(strings.TrimSpace(line))
}

// kindOfStatus is the kind of an answer without a known code, which then isn't
// the service's own: a gateway that got no answer doesn't know what happened.
func kindOfStatus(status int) firn.Kind {
	switch {
	case status == http.StatusRequestTimeout:
		return firn.SlowBody
	case status == http.StatusTooManyRequests:
		return firn.Throttled
	case status == http.StatusServiceUnavailable:
		return firn.Unavailable
	case status >= 500:
		return firn.Lost
	}
	return firn.Other
}

// maxSkew is how far two clocks may be apart before a refused signature is put
// down to that. The service allows five minutes.
const maxSkew = 4 * time.Minute

// skewed reports whether the clock of the service is far from the one by which
// the request was signed.
func skewed(resp *http.Response, x *exchange) bool {
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return false
	}
	return there.Sub(x.signed.Add(x.service.clock.Now().Sub(x.started))).Abs() > maxSkew
}

// kindOfSignature tells apart why a signature was refused while the clocks
// agree. A body that came for so long that its signature is too old by the end
// has been seen to be refused so; so is a body that isn't what was signed.
func kindOfSignature(message string, body bool) firn.Kind {
	switch {
	case body && strings.Contains(message, "x-amz-content-sha256"):
		return firn.Corrupt
	case body && strings.HasPrefix(message, "Signature expired"):
		return firn.SlowBody
	case strings.HasPrefix(message, "Signature expired"), strings.HasPrefix(message, "Signature not yet current"):
		return firn.Skew
	}
	return firn.Denied
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
func (x *exchange) explain(err error) verdict {
	var credentials *awschain.CredentialsError
	var lost *lostAnswer
	left := x.left()
	sent, bodyErr := x.body()
	switch stopped := x.caller.Err() != nil; {
	case x.refusal != nil:
		return verdict{x.refusal.kind, x.refusal, x.hint(x.refusal)}
	case stopped && left:
		return verdict{firn.Lost, fmt.Errorf("stopped before the answer came: %w", x.stopped()), ""}
	case stopped:
		return verdict{firn.Other, x.stopped(), ""}
	case bodyErr != nil && !left:
		return explainBody(bodyErr, sent, x.length)
	case errors.As(err, &credentials):
		return explainCredentials(credentials.Err)
	case !x.reached:
		return explainUnsent(err)
	case errors.As(err, &lost):
		return verdict{firn.Lost, fmt.Errorf("the answer broke off: %w", lost.error), ""}
	case x.status != 0:
		return verdict{firn.Lost, fmt.Errorf("the answer can't be read: %w", err), x.serverHint()}
	}
	cause := sendError(err)
	if s := stall(0); errors.As(context.Cause(x.ctx), &s) {
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
func (x *exchange) explainNetwork(err error) verdict {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	err = fmt.Errorf("no connection to %s: %w", x.service.endpoint, err)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound && !x.service.knownRegion():
		return verdict{firn.Usage, err, fmt.Sprintf("is there a region %s?", quote(x.service.region))}
	case errors.As(err, &certificate):
		return verdict{firn.Denied, err, "the server's certificate is not trusted: is this machine's clock right? AWS_CA_BUNDLE names the certificates of a proxy"}
	}
	return verdict{firn.Network, err, "is there a network?"}
}

// serverHint is for answers that the service wouldn't give.
func (x *exchange) serverHint() string {
	return "is there a Glacier server at " + x.service.endpoint + "?"
}

// hint says what to do about a refusal, where something can be said.
func (x *exchange) hint(r *refusal) string {
	switch r.kind {
	case firn.NoNewCustomers:
		return "the service has taken no new customers since 2025-12-15; use the Glacier storage classes of S3 (s3:BUCKET), or a folder (local:DIR)"
	case firn.Skew:
		return "this machine's clock and the service's are more than five minutes apart: set the clock"
	case firn.Full:
		return "make room on the disk of the store"
	case firn.Capacity:
		return "use the tier standard or bulk, or try again later"
	case firn.Policy:
		return "the account's data retrieval policy forbids more for this hour; try again later, or use the tier bulk, which it doesn't count"
	case firn.NotFound:
		if r.noVault() {
			return fmt.Sprintf("create it with: firn store create %s, or name the region that it is in: glacier:REGION/VAULT", x.service.label)
		}
	case firn.Denied:
		return deniedHint(r)
	case firn.Other:
		return x.serverHint()
	}
	return ""
}

func deniedHint(r *refusal) string {
	switch r.code {
	case codeDenied, "AccessDenied":
		return "these credentials are not allowed to do it, or a lock or policy of the vault forbids it"
	case "ExpiredTokenException", "ExpiredToken":
		return "the session has expired: log in again, for example with \"aws sso login\""
	case codeSignature, "SignatureDoesNotMatch":
		return "is the secret key right, and is it this region's server?"
	case "OptInRequired":
		return "is the region switched on in this account?"
	}
	return "are the credentials right?"
}
