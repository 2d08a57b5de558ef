package glacierd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/sigv4"
)

func TestWhoMaySign(t *testing.T) {
	clock := &manualClock{now: start}
	temporary := glacierd.KeyPair{AccessKeyID: "ASIATEMP", SecretAccessKey: "s", SessionToken: "token", Expires: start.Add(time.Hour)}
	_, c := open(t, glacierd.Config{Root: t.TempDir(), Credentials: glacierd.Credentials(key, temporary), AuthClock: clock})
	list := func(k sigv4.Key) *http.Request {
		r := c.request("GET", "/-/vaults", nil, nil)
		sigv4.Sign(r, k, "us-east-1", "glacier", sigv4.EmptyHash, clock.Now())
		return r
	}
	for _, step := range []struct {
		name   string
		r      *http.Request
		status int
		text   string
		after  time.Duration
	}{
		{"good", list(c.key), 200, "", 0},
		{"wrong secret", list(sigv4.Key{AccessKeyID: c.key.AccessKeyID, Secret: "other"}), 403, `"InvalidSignatureException","message":"The request signature we calculated does not match`, 0},
		{"unknown key", list(sigv4.Key{AccessKeyID: "AKIAOTHER", Secret: "secret"}), 400, `"UnrecognizedClientException"`, 0},
		{"token not asked for", list(sigv4.Key{AccessKeyID: c.key.AccessKeyID, Secret: c.key.Secret, Token: "x"}), 400, `"UnrecognizedClientException"`, 0},
		{"token", list(sigv4.Key{AccessKeyID: "ASIATEMP", Secret: "s", Token: "token"}), 200, "", 0},
		{"no token", list(sigv4.Key{AccessKeyID: "ASIATEMP", Secret: "s"}), 400, `"UnrecognizedClientException"`, 0},
		{"wrong token", list(sigv4.Key{AccessKeyID: "ASIATEMP", Secret: "s", Token: "other"}), 400, `"UnrecognizedClientException"`, 0},
	} {
		resp, err := c.send(step.r)
		if err != nil || resp.status != step.status || !strings.Contains(string(resp.body), step.text) {
			t.Errorf("%s: %d %s, %v", step.name, resp.status, resp.body, err)
		}
	}
	clock.advance(time.Hour)
	resp, err := c.send(list(sigv4.Key{AccessKeyID: "ASIATEMP", Secret: "s", Token: "token"}))
	if err != nil || resp.status != 403 || !strings.Contains(string(resp.body), "ExpiredTokenException") {
		t.Errorf("expired: %d %s, %v", resp.status, resp.body, err)
	}
}

// Signatures are judged by a clock of their own, five minutes either way.
func TestSignatureAge(t *testing.T) {
	clock := &manualClock{now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	_, c := open(t, glacierd.Config{Root: t.TempDir(), AuthClock: clock})
	for offset, want := range map[time.Duration]string{
		0:                              "",
		-5 * time.Minute:               "",
		5 * time.Minute:                "",
		-5*time.Minute - time.Second:   "Signature expired: 20260302T115459Z is now earlier than 20260302T115500Z (20260302T120000Z - 5 min.)",
		5*time.Minute + time.Second:    "Signature not yet current: 20260302T120501Z is still later than 20260302T120500Z (20260302T120000Z + 5 min.)",
		-13 * time.Hour:                "Signature expired",
		20 * 365 * 24 * time.Hour:      "Signature not yet current",
		-20 * 365 * 24 * time.Hour:     "Signature expired",
		-5*time.Minute + 1*time.Second: "",
	} {
		r := c.request("GET", "/-/vaults", nil, nil)
		sigv4.Sign(r, c.key, "us-east-1", "glacier", sigv4.EmptyHash, clock.Now().Add(offset))
		resp, err := c.send(r)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" && resp.status != 200 || want != "" && (resp.status != 403 || !strings.Contains(string(resp.body), want)) {
			t.Errorf("signed %v away: %d %s", offset, resp.status, resp.body)
		}
		if date := resp.header.Get("Date"); date != "Mon, 02 Mar 2026 12:00:00 GMT" {
			t.Errorf("Date %q", date)
		}
	}
}

func TestScopes(t *testing.T) {
	_, anywhere := open(t, glacierd.Config{Root: t.TempDir()})
	_, ireland := open(t, glacierd.Config{Root: t.TempDir(), Region: "eu-west-1"})
	try := func(c client, host, region, service string) (int, string) {
		r := c.request("PUT", "/-/vaults/v", nil, nil)
		r.Host = host
		sigv4.Sign(r, c.key, region, service, sigv4.EmptyHash, time.Now())
		resp, err := c.send(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp.status, string(resp.body)
	}
	for _, s := range []struct {
		c                     client
		host, region, service string
		status                int
		text                  string
	}{
		{anywhere, "glacier.us-west-2.amazonaws.com", "us-west-2", "glacier", 201, ""},
		{anywhere, "localhost:8080", "eu-north-1", "glacier", 201, ""},
		{anywhere, "127.0.0.1:8080", "0", "127", 201, ""}, // boto 2 at an address
		{anywhere, "localhost", "localhost", "localhost", 201, ""},
		{anywhere, "localhost", "us-east-1", "s3", 403, "Credential should be scoped to correct service: 'glacier'."},
		{ireland, "glacier.eu-west-1.amazonaws.com", "eu-west-1", "glacier", 201, ""},
		{ireland, "glacier.us-east-1.amazonaws.com", "us-east-1", "glacier", 403, "Credential should be scoped to a valid region, not 'us-east-1'."},
		{ireland, "127.0.0.1", "0", "127", 403, "correct service"},
	} {
		if status, body := try(s.c, s.host, s.region, s.service); status != s.status || !strings.Contains(body, s.text) {
			t.Errorf("%s %s/%s: %d %s", s.host, s.region, s.service, status, body)
		}
	}
	anywhere.region = "ap-south-1"
	if got := anywhere.get("/-/vaults/v")["VaultARN"]; got != "arn:aws:glacier:ap-south-1:000000000000:vaults/v" {
		t.Errorf("ARN %v does not have the client's region", got)
	}
}

func TestSignatureFormat(t *testing.T) {
	b := newBench(t)
	change := func(edit func(*http.Request)) response {
		t.Helper()
		r := b.request("GET", "/-/vaults", nil, nil)
		edit(r)
		resp, err := b.send(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	authorization := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	otherDay := func(r *http.Request) {
		day, _, _ := strings.Cut(r.Header.Get("X-Amz-Date"), "T")
		authorization(day, "20200101")(r)
	}
	for name, c := range map[string]struct {
		edit   func(*http.Request)
		status int
		text   string
	}{
		"none":            {func(r *http.Request) { r.Header.Del("Authorization") }, 400, "MissingAuthenticationTokenException"},
		"other algorithm": {authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA"), 403, "does not begin with AWS4-HMAC-SHA256"},
		"no signature":    {authorization("Signature=", "Sig="), 403, "Signature is missing"},
		"host unsigned":   {authorization("SignedHeaders=host;", "SignedHeaders="), 403, "must cover the headers host and x-amz-date"},
		"other day":       {otherDay, 403, "Date in Credential scope does not match"},
		"no date":         {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 403, "neither X-Amz-Date nor a Date"},
		"header changed":  {func(r *http.Request) { r.Header.Set("x-amz-glacier-version", "2012-06-02") }, 403, "does not match the signature"},
		"query changed":   {func(r *http.Request) { r.URL.RawQuery = "limit=3" }, 403, "does not match the signature"},
		"unsigned body": {func(r *http.Request) {
			r.Header.Set("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
			sigv4.Sign(r, b.key, "us-east-1", "glacier", "UNSIGNED-PAYLOAD", time.Now())
		}, 403, "unsigned and streaming payloads are not taken"},
		"other body": {func(r *http.Request) {
			r.Header.Set("x-amz-content-sha256", hexSum([]byte("other")))
			sigv4.Sign(r, b.key, "us-east-1", "glacier", hexSum([]byte("other")), time.Now())
		}, 403, "does not match the computed payload hash. Computed digest: " + sigv4.EmptyHash},
	} {
		if resp := change(c.edit); resp.status != c.status || !strings.Contains(string(resp.body), c.text) {
			t.Errorf("%s: %d %s, want %d %s", name, resp.status, resp.body, c.status, c.text)
		}
	}
}

// The body of a JSON call is part of what is signed, named in a header or not.
func TestBodyIsSigned(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	const path = "/-/vaults/v/jobs"
	body := jobBody("Type", "inventory-retrieval")
	b.do(202, "POST", path, nil, body)
	b.do(202, "POST", path, h{"x-amz-content-sha256", hexSum(body)}, body)
	b.do(202, "POST", path, uploadHeaders(body), body) // as aws-sdk-go-v2 does
	r := b.request("POST", path, nil, body)
	other := jobBody("Type", "inventory-retrieval", "Format", "CSV")
	r.Body, r.ContentLength, r.GetBody = io.NopCloser(bytes.NewReader(other)), int64(len(other)), nil
	if resp, err := b.send(r); err != nil || resp.status != 403 {
		t.Errorf("another body: %d %s %v", resp.status, resp.body, err)
	}
}

func TestWithoutCredentials(t *testing.T) {
	s, err := glacierd.New(glacierd.Config{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := httptest.NewRequest("PUT", "/-/vaults/v", nil)
	r.Header.Set("x-amz-glacier-version", "2012-06-01")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 201 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	r = httptest.NewRequest("POST", "/-/vaults/v/archives", strings.NewReader("x"))
	r.Header.Set("x-amz-glacier-version", "2012-06-01")
	s.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "x-amz-content-sha256") {
		t.Errorf("hashes are needed all the same: %d %s", w.Code, w.Body)
	}
}

func TestCommonRules(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	b.refuse(400, "MissingParameterValueException", "x-amz-glacier-version", "GET", "/-/vaults", h{"x-amz-glacier-version", ""}, nil)
	b.refuse(400, "InvalidParameterValueException", "2011-01-01", "GET", "/-/vaults", h{"x-amz-glacier-version", "2011-01-01"}, nil)
	b.refuse(403, "AccessDeniedException", "999999999999", "GET", "/999999999999/vaults", nil, nil)
	b.refuse(403, "AccessDeniedException", "0000-0000-0000", "GET", "/0000-0000-0000/vaults", nil, nil)
	for _, path := range []string{"/", "/-", "/-/vaults/v/other", "/-/vaults/v/jobs/j/output/x", "/-/policies", "/-/vaults/v/tags?operation=other"} {
		b.refuse(400, "BadRequest", "there is no operation POST", "POST", path, nil, nil)
	}
	b.do(200, "GET", "/-/vaults/v/", nil, nil)
	big := bytes.Repeat([]byte(" "), 1<<20+1)
	b.refuse(400, "BadRequest", "longer than", "POST", "/-/vaults/v/jobs", nil, big)
}

// Old programs write requests in their own ways.
func TestOddRequests(t *testing.T) {
	b := newBench(t, atOnce)
	web := httptest.NewServer(b.server)
	defer web.Close()
	b.createVault("v")
	raw := func(text string) (int, string) {
		t.Helper()
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n"))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	// signed gives the Authorization of a request with these headers.
	now := time.Now()
	signed := func(method, path, host, body string, headers h) string {
		r := b.request(method, path, headers, nil)
		for name := range r.Header {
			if n := strings.ToLower(name); n != "x-amz-glacier-version" && !strings.Contains(strings.ToLower(fmt.Sprint([]string(headers))), n) {
				r.Header.Del(name)
			}
		}
		r.Host = host
		sigv4.Sign(r, b.key, "us-east-1", "glacier", hexSum([]byte(body)), now)
		return r.Header.Get("Authorization")
	}
	date := now.UTC().Format(sigv4.TimeFormat)
	const host = "glacier.us-east-1.amazonaws.com"
	common := "Host: " + host + "\nX-AMZ-DATE: " + date + "\nx-AMZ-glacier-VERSION: 2012-06-01\n"

	t.Run("POST without Content-Length", func(t *testing.T) {
		auth := signed("POST", "/-/vaults/v/multipart-uploads", host, "", h{"x-amz-part-size", "1048576"})
		status, body := raw("POST /-/vaults/v/multipart-uploads HTTP/1.1\n" + common + "x-amz-part-size: 1048576\nTE: deflate,gzip;q=0.3\nConnection: TE, close\nAuthorization: " + auth + "\n\n")
		if status != 201 {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("PUT without Content-Length", func(t *testing.T) {
		auth := signed("PUT", "/-/vaults/w", host, "", nil)
		status, body := raw("PUT /-/vaults/w HTTP/1.1\n" + common + "Connection: close\nAuthorization: " + auth + "\n\n")
		if status != 201 {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("a job as a form", func(t *testing.T) {
		job := `{"Type":"inventory-retrieval"}`
		auth := signed("POST", "/-/vaults/v/jobs", host, job, h{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"})
		status, body := raw("POST /-/vaults/v/jobs HTTP/1.1\n" + common + "Content-Type: application/x-www-form-urlencoded; charset=utf-8\nConnection: close\nAuthorization: " + auth +
			fmt.Sprintf("\nContent-Length: %d\n\n%s", len(job), job))
		if status != 202 {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("chunked", func(t *testing.T) {
		auth := signed("POST", "/-/vaults/v/archives", host, "hi", nil)
		status, body := raw("POST /-/vaults/v/archives HTTP/1.1\n" + common + "Transfer-Encoding: chunked\nConnection: close\nAuthorization: " + auth + "\n\n2\nhi\n0\n\n")
		if status != 400 || !strings.Contains(body, "Content-Length") {
			t.Errorf("%d %s", status, body)
		}
	})
}
