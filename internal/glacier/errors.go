package glacier

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/exchange"
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

// noVault reports whether what wasn't found is the vault itself: the code is
// the same for all, and the message alone tells.
func noVault(r *exchange.Refusal) bool {
	return r.Code == codeNotFound && strings.HasPrefix(r.Message, "Vault not found")
}

// missed reports whether something in the vault wasn't found, and not the vault
// itself.
func missed(x *exchange.Exchange) bool {
	return x.RefusedWith() == codeNotFound && !noVault(x.Refusal())
}

// judge reads an answer that isn't a success.
func (s *service) judge(a exchange.Answer) exchange.Refusal {
	r := exchange.Refusal{Status: a.Status}
	r.Code, r.Message = parseRefusal(a.Header.Get("X-Amzn-Errortype"), a.Body)
	kind, known := kindsOfCodes[r.Code]
	switch {
	case !known:
		kind = kindOfStatus(r.Status)
	case kind == firn.Denied && a.Skewed:
		kind = firn.Skew
	case r.Code == codeSignature:
		kind = kindOfSignature(r.Message, a.Upload)
	case r.Code == codeUnavailable && diskFull(r.Message):
		kind = firn.Full
	case r.Code == codeInvalidValue && strings.HasPrefix(r.Message, "Checksum mismatch") && a.Upload:
		kind = firn.Corrupt
	}
	r.Kind = kind
	r.Hint = s.hint(&r)
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

// final says what a kind of failure means where the server is in this process:
// there is no network, and no problem that passes. A download that fails is one
// of an archive whose bytes are damaged, or gone.
func final(kind firn.Kind, streams bool) (firn.Kind, string) {
	const hint = "look at the disk of the vault's folder, and at the folder itself"
	switch kind {
	case firn.Unavailable, firn.Network:
		if streams {
			return firn.Corrupt, hint
		}
		return firn.Other, hint
	case firn.Lost:
		if streams {
			return firn.Corrupt, hint
		}
	}
	return kind, ""
}

// hint says what to do about a refusal, where something can be said.
func (s *service) hint(r *exchange.Refusal) string {
	switch r.Kind {
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
		if noVault(r) {
			return fmt.Sprintf("create it with: firn store create %s%s, or name the region that it is in: glacier:REGION/VAULT", s.label, config.EndpointOption(s.cfg.Endpoint))
		}
	case firn.Denied:
		return deniedHint(r.Code)
	case firn.Other:
		return s.http.ServerHint()
	}
	return ""
}

func deniedHint(code string) string {
	switch code {
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
