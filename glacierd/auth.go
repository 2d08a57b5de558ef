package glacierd

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/firn-archive/firn/internal/sigv4"
)

// service is the name that signatures are made for.
// Source: Amazon Glacier developer guide, "Signing requests".
const service = "glacier"

// defaultRegion stands in ARNs where neither Config.Region nor a signature
// names one.
const defaultRegion = "us-east-1"

// regionPattern keeps odd characters out of ARNs, and so out of JSON.
var regionPattern = regexp.MustCompile(`^[a-z0-9-]+$`)

// authenticate checks who sent the request and that it is what was signed.
// Afterwards the body is read and checked too, unless the operation streams
// it: then the handler compares its hash with the one that was signed.
func (c *call) authenticate() error {
	if c.r.ContentLength < 0 {
		return badRequest("a body needs a Content-Length; chunked requests are not taken")
	}
	a, err := sigv4.Parse(c.r.Header)
	c.setRegion(a.Scope)
	if c.s.cfg.Credentials == nil {
		if c.streams {
			return nil
		}
		_, err := c.readJSON()
		return err
	}
	if err != nil {
		return authFormat(err)
	}
	pair, err := c.keyPair(a)
	if err != nil {
		return err
	}
	if err := c.scope(a); err != nil {
		return err
	}
	hash, err := c.payloadHash()
	if err != nil {
		return err
	}
	err = a.Verify(c.r, pair.SecretAccessKey, hash, c.signed)
	var mismatch *sigv4.MismatchError
	if errors.As(err, &mismatch) {
		return badSignature("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. "+
			"Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'%s'\n\nThe String-to-Sign should have been\n'%s'\n",
			mismatch.CanonicalRequest, mismatch.StringToSign)
	}
	return err
}

// setRegion decides what stands in ARNs. A client that guesses the service
// guesses the region too (see serviceNamed): that one does not count.
func (c *call) setRegion(signed sigv4.Scope) {
	switch {
	case c.s.cfg.Region != "":
		c.region = c.s.cfg.Region
	case signed.Service == service && len(signed.Region) <= 64 && regionPattern.MatchString(signed.Region):
		c.region = signed.Region
	default:
		c.region = defaultRegion
	}
}

func authFormat(err error) error {
	if errors.Is(err, sigv4.ErrNone) {
		return &apiError{http.StatusBadRequest, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	return badSignature("%v", err)
}

// keyPair finds the key that a signature names, and checks the session token.
func (c *call) keyPair(a sigv4.Authorization) (KeyPair, error) {
	pair, ok := c.s.cfg.Credentials(a.AccessKeyID)
	token := c.r.Header.Get("x-amz-security-token")
	if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(pair.SessionToken)) == 0 {
		return KeyPair{}, &apiError{http.StatusBadRequest, "UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	if !pair.Expires.IsZero() && !c.authNow().Before(pair.Expires) {
		return KeyPair{}, &apiError{http.StatusForbidden, "ExpiredTokenException", "The security token included in the request is expired"}
	}
	return pair, nil
}

// scope checks what the signature is good for: this service, this region, now.
func (c *call) scope(a sigv4.Authorization) error {
	if !c.serviceNamed(a.Scope.Service) {
		return badSignature("Credential should be scoped to correct service: '%s'.", service)
	}
	if want := c.s.cfg.Region; want != "" && a.Scope.Region != want {
		return badSignature("Credential should be scoped to a valid region, not '%s'. This server is in '%s'.", a.Scope.Region, want)
	}
	if !a.Signs("host") || !a.Signs("x-amz-date") && !a.Signs("date") {
		return badSignature("The signature must cover the headers host and x-amz-date.")
	}
	signed, err := sigv4.Time(c.r.Header)
	if err != nil {
		return badSignature("%v", err)
	}
	if day := signed.UTC().Format("20060102"); a.Scope.Date != day {
		return badSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'", a.Scope.Date, day)
	}
	c.signed = signed
	return c.fresh(c.authNow())
}

// serviceNamed takes, besides the service's name, what boto 2 signs for when
// it is given an address instead of a name of Amazon's: the first label of it.
// Where a region is set, clients are asked to sign properly.
func (c *call) serviceNamed(name string) bool {
	if name == service {
		return true
	}
	host, _, _ := strings.Cut(c.r.Host, ":")
	label, _, _ := strings.Cut(host, ".")
	return c.s.cfg.Region == "" && name == label
}

// fresh judges the age of the signature at the time now.
func (c *call) fresh(now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	const f = sigv4.TimeFormat
	if limit := now.Add(-sigv4.Tolerance); c.signed.Before(limit) {
		return badSignature("Signature expired: %s is now earlier than %s (%s - 5 min.)", c.signed.Format(f), limit.Format(f), now.Format(f))
	}
	if limit := now.Add(sigv4.Tolerance); c.signed.After(limit) {
		return badSignature("Signature not yet current: %s is still later than %s (%s + 5 min.)", c.signed.Format(f), limit.Format(f), now.Format(f))
	}
	return nil
}

// stillFresh judges the signature again once a body has come in whole: uploads
// that took longer than a signature lives were refused at their end, as
// clients have reported.
func (c *call) stillFresh() error {
	now := c.authNow()
	if c.acts.hit(FaultLateSignature) {
		if c.signed.IsZero() {
			c.signed = now
		}
		return c.fresh(c.signed.Add(sigv4.Tolerance + time.Minute))
	}
	if c.signed.IsZero() {
		return nil
	}
	return c.fresh(now)
}

// payloadHash gives the hash of the body that the signature covers. Where the
// request names it, the body must agree; streamed bodies always name it.
func (c *call) payloadHash() (string, error) {
	named := c.r.Header.Get("x-amz-content-sha256")
	if named != "" && !isHash(named) {
		return "", badSignature("x-amz-content-sha256 is %q; it must be the SHA-256 of the body in hexadecimal digits: unsigned and streaming payloads are not taken", named)
	}
	if c.streams {
		if named == "" {
			return "", missing("x-amz-content-sha256")
		}
		return named, nil
	}
	computed, err := c.readJSON()
	if err != nil {
		return "", err
	}
	if named != "" && named != computed {
		return "", hashMismatch(computed, named)
	}
	return computed, nil
}

func hashMismatch(computed, named string) error {
	return badSignature("The value passed in as x-amz-content-sha256 does not match the computed payload hash. Computed digest: %s expected hash: %s", computed, named)
}

func isHash(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
