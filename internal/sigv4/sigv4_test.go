package sigv4_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/sigv4"
)

// example is the key pair of Amazon's documentation.
var example = sigv4.Key{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

// mtaws is the key pair of the check vectors made with mt-aws-glacier's signer.
var mtaws = sigv4.Key{AccessKeyID: "AKIAJ2QN54K3SOFABCDE", Secret: "jhuYh6d73hdhGndk1jdHJHdjHghDjDkkdkKDkdkd"}

const sentence = "Welcome to Amazon Glacier."

// vectors: the first two are the developer guide's, "Example signature
// calculation"; the other two were made with mt-aws-glacier 1.120.
var vectors = []struct {
	name      string
	key       sigv4.Key
	method    string
	target    string
	date      string
	body      string
	hashSent  bool // X-Amz-Content-Sha256 is among the signed headers
	signature string
}{
	{"create vault", example, "PUT", "/-/vaults/examplevault", "20120525T002453Z", "", false,
		"3ce5b2f2fffac9262b4da9256f8d086b4aaf42eba5f111c21681a65a127b7c2a"},
	{"upload archive", example, "POST", "/-/vaults/examplevault/archives", "20120507T000000Z", sentence, true,
		"b092397439375d59119072764a1e9a144677c43d9906fd98a5742c57a2855de6"},
	{"list jobs", mtaws, "GET", "/-/vaults/myvault/jobs?completed=true&marker=a%20b%2Fc%2Bd%3D%3D", "20121216T140555Z", "", false,
		"ac7ed56735e5df0ebedc8d22266fe171fc0662539dd0a9be738c456d2158cc8a"},
	{"create vault, mt-aws-glacier", mtaws, "PUT", "/-/vaults/newvault", "20121216T140555Z", "", false,
		"f02c86278547688f59ec32e504077aa7d2445dc21b098866685d7d77eac445c5"},
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func at(t testing.TB, date string) time.Time {
	t.Helper()
	when, err := time.Parse(sigv4.TimeFormat, date)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func request(t testing.TB, method, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "https://glacier.us-east-1.amazonaws.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			r := request(t, v.method, v.target)
			r.Header.Set("x-amz-glacier-version", "2012-06-01")
			if v.hashSent {
				r.Header.Set("x-amz-content-sha256", hashOf(v.body))
			}
			when := at(t, v.date)
			sigv4.Sign(r, v.key, "us-east-1", "glacier", hashOf(v.body), when)
			a, err := sigv4.Parse(r.Header)
			if err != nil {
				t.Fatal(err)
			}
			if a.Signature != v.signature {
				t.Errorf("signature %s, want %s", a.Signature, v.signature)
			}
			if a.AccessKeyID != v.key.AccessKeyID || a.Scope.Region != "us-east-1" || a.Scope.Service != "glacier" {
				t.Errorf("parsed %+v", a)
			}
			if err := a.Verify(r, v.key.Secret, hashOf(v.body), when); err != nil {
				t.Errorf("own signature refused: %v", err)
			}
		})
	}
}

// The guide publishes the hash of the first vector's canonical request too.
func TestCanonicalRequest(t *testing.T) {
	r := request(t, "PUT", "/-/vaults/examplevault")
	r.Header.Set("X-Amz-Date", "20120525T002453Z")
	r.Header.Set("X-Amz-Glacier-Version", "2012-06-01")
	text := sigv4.Canonical(r, []string{"host", "x-amz-date", "x-amz-glacier-version"}, sigv4.EmptyHash)
	if got, want := hashOf(text), "5f1da1a2d0feb614dd03d71e87928b8e449ac87614479332aced3a701f916743"; got != want {
		t.Errorf("hash %s, want %s, of\n%s", got, want, text)
	}
}

func TestCanonicalForms(t *testing.T) {
	for _, c := range []struct{ target, path, query string }{
		{"", "/", ""},
		{"/-/vaults", "/-/vaults", ""},
		{"/-/vaults/", "/-/vaults/", ""},
		{"/-//vaults/./x/../y", "/-/vaults/y", ""},
		{"/../..", "/", ""},
		{"/-/vaults/a%2Fb", "/-/vaults/a%252Fb", ""},
		{"/a?b=2&a=1&b=1", "/a", "a=1&b=1&b=2"},
		{"/a?a-b=1&a=2", "/a", "a=2&a-b=1"},
		{"/a?operation", "/a", "operation="},
		{"/a?marker=arn:aws:x/y", "/a", "marker=arn%3Aaws%3Ax%2Fy"},
		{"/a?marker=arn%3aaws", "/a", "marker=arn%3Aaws"},
		{"/a?m=1+2", "/a", "m=1%2B2"},
	} {
		text := sigv4.Canonical(request(t, "GET", c.target), []string{"host"}, sigv4.EmptyHash)
		lines := strings.Split(text, "\n")
		if lines[1] != c.path || lines[2] != c.query {
			t.Errorf("%s: path %q query %q, want %q %q", c.target, lines[1], lines[2], c.path, c.query)
		}
	}
}

func TestCanonicalHeaders(t *testing.T) {
	raw := "POST /x HTTP/1.1\r\nHOST: some.host:8080\r\nX-Amz-Archive-Description:   two  and   three \t\r\n" +
		"x-multi: a\r\nX-MULTI: b\r\ncontent-length: 2\r\n\r\nhi"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	text := sigv4.Canonical(r, []string{"content-length", "host", "x-absent", "x-amz-archive-description", "x-multi"}, "HASH")
	want := "POST\n/x\n\ncontent-length:2\nhost:some.host:8080\nx-absent:\nx-amz-archive-description:two and three\nx-multi:a,b\n\n" +
		"content-length;host;x-absent;x-amz-archive-description;x-multi\nHASH"
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// Whatever a signature covers can't be changed without notice.
func TestTampering(t *testing.T) {
	when := at(t, "20261121T120000Z")
	for name, change := range map[string]func(*http.Request){
		"method": func(r *http.Request) { r.Method = "DELETE" },
		"path":   func(r *http.Request) { r.URL.Path = "/-/vaults/other" },
		"query":  func(r *http.Request) { r.URL.RawQuery = "limit=2" },
		"host":   func(r *http.Request) { r.Host = "elsewhere" },
		"header": func(r *http.Request) { r.Header.Set("X-Amz-Glacier-Version", "1") },
		"token":  func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "other") },
	} {
		r := request(t, "GET", "/-/vaults/examplevault?limit=1")
		r.Header.Set("X-Amz-Glacier-Version", "2012-06-01")
		k := example
		k.Token = "session"
		sigv4.Sign(r, k, "eu-west-1", "glacier", sigv4.EmptyHash, when)
		a, err := sigv4.Parse(r.Header)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Verify(r, k.Secret, sigv4.EmptyHash, when); err != nil {
			t.Fatalf("%s: untouched: %v", name, err)
		}
		change(r)
		var mismatch *sigv4.MismatchError
		if err := a.Verify(r, k.Secret, sigv4.EmptyHash, when); !errors.As(err, &mismatch) {
			t.Errorf("%s: changed: %v", name, err)
		} else if !strings.HasPrefix(mismatch.StringToSign, sigv4.Algorithm) || strings.Contains(mismatch.CanonicalRequest, k.Secret) {
			t.Errorf("%s: the error shows %+v", name, mismatch)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "AWS4-HMAC-SHA256 Credential=K/20260101/r/glacier/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
	parse := func(text string) (sigv4.Authorization, error) {
		return sigv4.Parse(http.Header{"Authorization": {text}})
	}
	a, err := parse(strings.ReplaceAll(good, ", ", ","))
	if err != nil || !a.Signs("host") || a.Signs("hos") || a.Scope.String() != "20260101/r/glacier/aws4_request" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, cut := range []string{"AWS4-HMAC-SHA256 ", "Credential=K/", "/aws4_request", "SignedHeaders=host;x-amz-date, ", ", Signature=00", "20260101/"} {
		if a, err := parse(strings.Replace(good, cut, "", 1)); !errors.Is(err, sigv4.ErrFormat) {
			t.Errorf("without %q: %+v, %v", cut, a, err)
		}
	}
	if _, err := parse(""); !errors.Is(err, sigv4.ErrNone) {
		t.Errorf("empty: %v", err)
	}
}

func TestTime(t *testing.T) {
	for _, c := range []struct {
		name string
		h    http.Header
		want string // empty: refused
	}{
		{"amz", http.Header{"X-Amz-Date": {"20261121T120000Z"}, "Date": {"nonsense"}}, "20261121T120000Z"},
		{"date, ISO", http.Header{"Date": {"20261121T120000Z"}}, "20261121T120000Z"},
		{"date, RFC 9110", http.Header{"Date": {"Sat, 21 Nov 2026 12:00:00 GMT"}}, "20261121T120000Z"},
		{"none", http.Header{}, ""},
		{"bad", http.Header{"X-Amz-Date": {"2026-11-21"}}, ""},
		{"amz in the other form", http.Header{"X-Amz-Date": {"Sat, 21 Nov 2026 12:00:00 GMT"}}, ""},
	} {
		got, err := sigv4.Time(c.h)
		if c.want == "" {
			if !errors.Is(err, sigv4.ErrNoDate) {
				t.Errorf("%s: %v, %v", c.name, got, err)
			}
			continue
		}
		if err != nil || !got.Equal(at(t, c.want)) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// FuzzAuthorization feeds Parse what a stranger may send; whatever it takes
// must be whole.
func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/glacier/aws4_request, SignedHeaders=host;x-amz-date, Signature=fe5f")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/20130524/0/127/aws4_request,SignedHeaders=host,Signature=x")
	f.Add("AWS4-HMAC-SHA256 ,,,=,")
	f.Add("AWS SIGV2:abc")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := sigv4.Parse(http.Header{"Authorization": {text}})
		if err != nil {
			return
		}
		if a.AccessKeyID == "" || a.Signature == "" || len(a.SignedHeaders) == 0 {
			t.Errorf("%q gave %+v", text, a)
		}
		if !strings.Contains(text, a.AccessKeyID+"/"+a.Scope.String()) {
			t.Errorf("%q: scope %s", text, a.Scope)
		}
	})
}

// FuzzCanonical looks for targets that make two different requests look alike
// in what is signed, or that break its lines.
func FuzzCanonical(f *testing.F) {
	f.Add("/-/vaults/a?marker=b", "marker=c")
	f.Add("/%2e%2e/x//y/", "a=1&a=2&=")
	f.Add("/a%zz", "%zz=%")
	f.Fuzz(func(t *testing.T, path, query string) {
		r := request(t, "GET", "/")
		r.URL.Path, r.URL.RawQuery = path, query
		text := sigv4.Canonical(r, []string{"host"}, sigv4.EmptyHash)
		if n := strings.Count(text, "\n"); n != 6 {
			t.Errorf("path %q query %q: %d line ends in\n%s", path, query, n, text)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := request(b, "POST", "/-/vaults/examplevault/archives")
	r.Header.Set("X-Amz-Glacier-Version", "2012-06-01")
	when := at(b, "20261121T120000Z")
	sigv4.Sign(r, example, "us-east-1", "glacier", sigv4.EmptyHash, when)
	a, err := sigv4.Parse(r.Header)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Verify(r, example.Secret, sigv4.EmptyHash, when); err != nil {
			b.Fatal(err)
		}
	}
}
