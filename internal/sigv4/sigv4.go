// Package sigv4 makes and checks AWS Signature Version 4 in request headers,
// the only form that Amazon Glacier takes. It knows nothing of who may sign:
// a caller looks the secret key up and decides about region, service and time.
//
// Source: AWS General Reference, "Signature Version 4 signing process".
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// Algorithm opens the Authorization header and the string to sign.
	Algorithm = "AWS4-HMAC-SHA256"
	// TimeFormat is the layout of X-Amz-Date, always in UTC.
	TimeFormat = "20060102T150405Z"
	// EmptyHash is the payload hash of a request without a body.
	EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	// Tolerance is how far apart the clocks of signer and service may be.
	// Seen in the service's answers ("T3 - 5 min."), not documented.
	Tolerance = 5 * time.Minute

	terminator = "aws4_request"
	dateFormat = "20060102"
)

// A Key is the key pair that signs. Token is the session token that comes with
// temporary keys, else empty.
type Key struct {
	AccessKeyID, Secret, Token string
}

// A Scope is what a signature is good for: one day (YYYYMMDD, UTC), one region
// and one service.
type Scope struct {
	Date, Region, Service string
}

// String gives the scope as it stands in the string to sign.
func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// An Authorization is the content of an Authorization header.
type Authorization struct {
	AccessKeyID   string
	Scope         Scope
	SignedHeaders []string // lower case, in the order of the header
	Signature     string   // 64 hex digits
}

// Errors of Parse and Time that callers tell apart.
var (
	ErrNone   = errors.New("the request has no Authorization header")
	ErrFormat = errors.New("the Authorization header is malformed")
	ErrNoDate = errors.New("the request has neither X-Amz-Date nor a Date of the form YYYYMMDDTHHMMSSZ")
)

// Parse reads the Authorization header of h.
func Parse(h http.Header) (Authorization, error) {
	text := h.Get("Authorization")
	if text == "" {
		return Authorization{}, ErrNone
	}
	rest, ok := strings.CutPrefix(text, Algorithm)
	if !ok || rest == "" || rest[0] != ' ' {
		return Authorization{}, fmt.Errorf("%w: it does not begin with %s", ErrFormat, Algorithm)
	}
	var a Authorization
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			if err := a.credential(value); err != nil {
				return Authorization{}, err
			}
		case "SignedHeaders":
			a.SignedHeaders = strings.Split(value, ";")
		case "Signature":
			a.Signature = value
		}
	}
	return a, a.complete()
}

// credential reads KEY/DATE/REGION/SERVICE/aws4_request. The key may itself
// hold slashes, so that the fields are counted from the end.
func (a *Authorization) credential(text string) error {
	f := strings.Split(text, "/")
	n := len(f)
	if n < 5 || f[n-1] != terminator {
		return fmt.Errorf("%w: Credential=%s is not KEY/DATE/REGION/SERVICE/%s", ErrFormat, text, terminator)
	}
	a.AccessKeyID = strings.Join(f[:n-4], "/")
	a.Scope = Scope{Date: f[n-4], Region: f[n-3], Service: f[n-2]}
	return nil
}

func (a *Authorization) complete() error {
	switch {
	case a.AccessKeyID == "":
		return fmt.Errorf("%w: Credential is missing", ErrFormat)
	case len(a.SignedHeaders) == 0 || a.SignedHeaders[0] == "":
		return fmt.Errorf("%w: SignedHeaders is missing", ErrFormat)
	case a.Signature == "":
		return fmt.Errorf("%w: Signature is missing", ErrFormat)
	}
	return nil
}

// Signs reports whether the signature covers the named header (lower case).
func (a Authorization) Signs(header string) bool {
	for _, h := range a.SignedHeaders {
		if h == header {
			return true
		}
	}
	return false
}

// Time is the moment of signing that a request states: X-Amz-Date, else Date.
func Time(h http.Header) (time.Time, error) {
	for _, name := range []string{"X-Amz-Date", "Date"} {
		text := h.Get(name)
		if text == "" {
			continue
		}
		if t, err := time.Parse(TimeFormat, text); err == nil {
			return t, nil
		}
		// Some signers send the form of RFC 9110 and sign the same moment.
		if t, err := http.ParseTime(text); err == nil && name == "Date" {
			return t.UTC(), nil
		}
		return time.Time{}, fmt.Errorf("%w (%s: %s)", ErrNoDate, name, text)
	}
	return time.Time{}, ErrNoDate
}

// A MismatchError says that a signature is not the one that the key makes. It
// shows what should have been signed, and no secret.
type MismatchError struct {
	CanonicalRequest string
	StringToSign     string
}

// Error says so in short; the fields tell a caller more than a user wants.
func (e *MismatchError) Error() string { return "the signature does not match" }

// Verify checks the signature of r, which a made with secret at the moment at.
// payloadHash is the lower-case hex SHA-256 of the body; the caller makes sure
// that it is. The error is a *MismatchError.
func (a Authorization) Verify(r *http.Request, secret, payloadHash string, at time.Time) error {
	canonical := Canonical(r, a.SignedHeaders, payloadHash)
	toSign := stringToSign(a.Scope, canonical, at)
	want := sign(secret, a.Scope, toSign)
	if !hmac.Equal([]byte(want), []byte(a.Signature)) {
		return &MismatchError{CanonicalRequest: canonical, StringToSign: toSign}
	}
	return nil
}

// Sign sets X-Amz-Date, X-Amz-Security-Token where the key has a token, and
// Authorization. The signature covers host and all headers that r has by then,
// but those that proxies and clients change on the way. Set X-Amz-Content-Sha256
// before where the service wants it; payloadHash is not sent by itself.
func Sign(r *http.Request, k Key, region, service, payloadHash string, at time.Time) {
	at = at.UTC()
	r.Header.Set("X-Amz-Date", at.Format(TimeFormat))
	if k.Token != "" {
		r.Header.Set("X-Amz-Security-Token", k.Token)
	}
	signed := signable(r.Header)
	scope := Scope{Date: at.Format(dateFormat), Region: region, Service: service}
	toSign := stringToSign(scope, Canonical(r, signed, payloadHash), at)
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		Algorithm, k.AccessKeyID, scope, strings.Join(signed, ";"), sign(k.Secret, scope, toSign)))
}

func stringToSign(s Scope, canonical string, at time.Time) string {
	sum := sha256.Sum256([]byte(canonical))
	return Algorithm + "\n" + at.UTC().Format(TimeFormat) + "\n" + s.String() + "\n" + hex.EncodeToString(sum[:])
}

func sign(secret string, s Scope, toSign string) string {
	key := []byte("AWS4" + secret)
	for _, text := range []string{s.Date, s.Region, s.Service, terminator, toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}
