package storetest

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"strings"
	"testing"
)

// AWS gives the process keys of its own, and nothing else of an AWS configuration but
// what the environment says.
func AWS(t *testing.T, environment map[string]string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL_GLACIER": "",
	} {
		t.Setenv(name, value)
	}
	for name, value := range environment {
		t.Setenv(name, value)
	}
}

// A Tape is a server that takes down requests, and answers each with the same headers
// and no body. One at a time.
type Tape struct {
	Answer   http.Header
	Requests []*http.Request // their bodies can be read
}

// RoundTrip takes a request down.
func (t *Tape) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte(nil)
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	t.Requests = append(t.Requests, r)
	answer := t.Answer.Clone()
	if answer == nil {
		answer = http.Header{}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: answer, Body: http.NoBody, Request: r}, nil
}

// Same compares the last two requests, of which the SDK sent the first, and firn the
// second: where they go, what they say and what they are signed for. The SDK's may lack
// the optional headers.
func (t *Tape) Same(test *testing.T, what string, optional ...string) {
	test.Helper()
	n := len(t.Requests)
	want, got := told(test, t.Requests[n-2]), told(test, t.Requests[n-1])
	for name, value := range want {
		if got[name] != value {
			test.Errorf("%s: %s: %q; of the SDK's: %q", what, name, got[name], value)
		}
	}
	for _, name := range optional {
		if _, sent := want[name]; !sent {
			delete(got, name)
		}
	}
	for name := range got {
		if _, sent := want[name]; !sent {
			test.Errorf("%s: %s: %q, which the SDK doesn't send", what, name, got[name])
		}
	}
}

// told is what a request comes to, but for what is the SDK's own, or of the moment.
func told(test *testing.T, r *http.Request) map[string]string {
	test.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		test.Fatal(err)
	}
	all := map[string]string{"to": r.Method + " " + r.URL.Scheme + "://" + cmp.Or(r.Host, r.URL.Host) + " " + r.URL.EscapedPath(), "body": string(body)}
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "/")
	all["signed for"], _, _ = strings.Cut(scope, ",")
	for name := range r.Header {
		switch name {
		case "Authorization", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "User-Agent", "X-Amz-Date":
		default:
			all[name] = strings.Join(r.Header.Values(name), ",")
		}
	}
	return all
}
