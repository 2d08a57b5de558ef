package s3test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

// ask makes one request, and gives status and body of the answer.
func ask(t *testing.T, s *Server, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://s3.test"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestCold: an object's way from cold to readable and back, as the service's
// documents have it.
func TestCold(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	s := New(Options{Buckets: []string{"b"}, Clock: now, Thaw: time.Hour})
	restore := "<RestoreRequest><Days>1</Days></RestoreRequest>"
	for _, step := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"PUT", "/b/k", "data", 200, ""},
		{"GET", "/b/k", "", 403, "InvalidObjectState"},
		{"POST", "/b/k?restore", restore, 202, ""},
		{"POST", "/b/k?restore", restore, 409, "RestoreAlreadyInProgress"},
		{"GET", "/b?list-type=2", "", 200, "<IsRestoreInProgress>true"},
		{"wait", "1h", "", 0, ""},
		{"GET", "/b/k", "", 200, "data"},
		{"GET", "/b?list-type=2", "", 200, "<RestoreExpiryDate>"},
		{"POST", "/b/k?restore", restore, 200, ""},
		{"wait", "25h", "", 0, ""},
		{"GET", "/b/k", "", 200, "data"}, // until midnight
		{"wait", "18h54m", "", 0, ""},
		{"GET", "/b/k", "", 200, "data"},
		{"wait", "2m", "", 0, ""},
		{"GET", "/b/k", "", 403, "InvalidObjectState"},
		{"GET", "/b/other", "", 404, "NoSuchKey"},
		{"GET", "/c/k", "", 404, "NoSuchBucket"},
	} {
		if step.method == "wait" {
			d, err := time.ParseDuration(step.path)
			if err != nil {
				t.Fatal(err)
			}
			now.Advance(d)
			continue
		}
		status, body := ask(t, s, step.method, step.path, step.body,
			"X-Amz-Storage-Class", "GLACIER", "X-Amz-Optional-Object-Attributes", "RestoreStatus")
		if status != step.status || !strings.Contains(body, step.says) {
			t.Errorf("%s %s: %d %s; want %d %s", step.method, step.path, status, body, step.status, step.says)
		}
	}
}

// TestConditions: what is there is overwritten only where nobody minds.
func TestConditions(t *testing.T) {
	for _, without := range []bool{false, true} {
		s := New(Options{Buckets: []string{"b"}, NoConditions: without})
		ask(t, s, "PUT", "/b/k", "one", "If-None-Match", "*")
		status, _ := ask(t, s, "PUT", "/b/k", "two", "If-None-Match", "*")
		if refused := status == http.StatusPreconditionFailed; refused == without {
			t.Errorf("without conditions %v: %d", without, status)
		}
	}
	s := New(Options{Buckets: []string{"b"}})
	if status, body := ask(t, s, "PUT", "/b/k", "data", "X-Amz-Content-Sha256", "wrong"); status != 400 || !strings.Contains(body, "XAmzContentSHA256Mismatch") {
		t.Errorf("%d %s", status, body)
	}
}

// TestSpan: ranges of ten bytes.
func TestSpan(t *testing.T) {
	for header, want := range map[string]struct {
		first, last int
		ok          bool
	}{
		"bytes=0-9": {0, 9, true}, "bytes=3-4": {3, 4, true}, "bytes=8-20": {8, 9, true}, "bytes=4-": {4, 9, true},
		"bytes=-3": {7, 9, true}, "bytes=-30": {0, 9, true}, "bytes=10-": {}, "bytes=10-12": {}, "bytes=4-3": {}, "bytes=-": {}, "bytes=a-b": {}, "bytes": {},
	} {
		first, last, ok := span(header, 10)
		if ok != want.ok || ok && (first != want.first || last != want.last) {
			t.Errorf("%s: %d to %d, %v", header, first, last, ok)
		}
	}
}
