package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firn-archive/firn/internal/s3test"
)

// An ahead is a clock that is ahead of the machine's, and the S3 that goes by it.
type ahead struct {
	by     atomic.Int64
	wound  woundClock // that of the script
	server *s3test.Server
	faults *s3test.Faults
}

// Now gives the time.
func (a *ahead) Now() time.Time { return a.wound.Now().Add(time.Duration(a.by.Load())) }

// s3Of gives the S3 of a script that has a command for it.
func s3Of(ts *testscript.TestScript, usage string, ok bool) *ahead {
	s := ts.Value(s3Key{}).(*ahead)
	if !ok || s.server == nil {
		ts.Fatalf("usage: %s, after s3", usage)
	}
	return s
}

// breakS3 plans a fault.
func breakS3(ts *testscript.TestScript, neg bool, args []string) {
	s := s3Of(ts, "fault KIND OP KEY [TIMES]", !neg && (len(args) == 3 || len(args) == 4))
	f := s3test.Fault{Kind: s3test.FaultKind(args[0]), Op: args[1], Key: args[2]}
	if len(args) == 4 {
		var err error
		f.Times, err = strconv.Atoi(args[3])
		ts.Check(err)
	}
	s.faults.Add(f)
}

// mendS3 lifts all faults.
func mendS3(ts *testscript.TestScript, neg bool, args []string) {
	s3Of(ts, "mend", !neg && len(args) == 0).faults.Clear()
}

// ask has the S3 do what somebody else asks for, in its bucket.
func (a *ahead) ask(ts *testscript.TestScript, method, key, query, body string) *http.Response {
	u := url.URL{Scheme: "http", Host: "s3", Path: "/bucket/" + key, RawQuery: query}
	r, err := http.NewRequest(method, u.String(), strings.NewReader(body))
	ts.Check(err)
	sum := sha256.Sum256([]byte(body))
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	answer, err := a.server.Transport().RoundTrip(r)
	ts.Check(err)
	if answer.StatusCode >= http.StatusMultipleChoices {
		ts.Fatalf("%s %s: %s", method, &u, answer.Status)
	}
	return answer
}

// vanishFromS3 deletes objects as somebody else would.
func vanishFromS3(ts *testscript.TestScript, neg bool, args []string) {
	s := s3Of(ts, "vanish PREFIX", !neg && len(args) == 1)
	gone := 0
	for _, key := range s.server.Keys("bucket") {
		if _, below, _ := strings.Cut(key, "/"); strings.HasPrefix(below, args[0]) {
			s.ask(ts, http.MethodDelete, key, "", "")
			gone++
		}
	}
	if gone == 0 {
		ts.Fatalf("no object is at %s, of %q", args[0], s.server.Keys("bucket"))
	}
}

// putIntoS3 stores an object as another program would.
func putIntoS3(ts *testscript.TestScript, neg bool, args []string) {
	s := s3Of(ts, "put KEY FILE", !neg && len(args) == 2)
	body, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	s.ask(ts, http.MethodPut, args[0], "", string(body))
}

// endUploadsInS3 ends all uploads that are open, as a rule of the bucket would.
func endUploadsInS3(ts *testscript.TestScript, neg bool, args []string) {
	s := s3Of(ts, "unopen", !neg && len(args) == 0)
	var open struct {
		Upload []struct{ Key, UploadId string } // as S3 writes it
	}
	answer := s.ask(ts, http.MethodGet, "", "uploads", "")
	ts.Check(xml.NewDecoder(answer.Body).Decode(&open))
	for _, u := range open.Upload {
		s.ask(ts, http.MethodDelete, u.Key, url.Values{"uploadId": {u.UploadId}}.Encode(), "")
	}
	if len(open.Upload) == 0 {
		ts.Fatalf("no upload is open")
	}
}
