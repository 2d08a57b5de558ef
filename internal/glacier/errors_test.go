package glacier_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/storetest"
)

// TestKindsOfRefusals has every code of the service's reference, and what
// front ends and proxies say.
func TestKindsOfRefusals(t *testing.T) {
	code := func(code, message string) string {
		return `{"code":"` + code + `","message":"` + message + `","type":"Client"}`
	}
	for _, c := range []struct {
		status int
		header string
		body   string
		kind   firn.Kind
		says   string
	}{
		{403, "", code("AccessDeniedException", "not yours"), firn.Denied, "not allowed"},
		{400, "", code("BadRequest", "m"), firn.Invalid, "m (BadRequest)"},
		{403, "", code("ExpiredTokenException", "m"), firn.Denied, "log in again"},
		{503, "", code("InsufficientCapacityException", "m"), firn.Capacity, "standard or bulk"},
		{400, "", code("InsufficientCapacityException", "m"), firn.Capacity, ""},
		{400, "", code("InvalidParameterValueException", "m"), firn.Invalid, ""},
		{403, "", code("InvalidSignatureException", "m"), firn.Denied, "secret key"},
		{400, "", code("LimitExceededException", "m"), firn.Invalid, ""},
		{400, "", code("MissingAuthenticationTokenException", "m"), firn.Denied, "credentials"},
		{400, "", code("MissingParameterValueException", "m"), firn.Invalid, ""},
		{400, "", code("NoLongerSupportedException", "m"), firn.NoNewCustomers, "use the Glacier storage classes of S3 (s3:BUCKET)"},
		{400, "", code("PolicyEnforcedException", "m"), firn.Policy, "retrieval policy"},
		{408, "", code("RequestTimeoutException", "Request timed out."), firn.SlowBody, ""},
		{404, "", code("ResourceNotFoundException", "The job ID was not found: x"), firn.NotFound, "The job ID"},
		{404, "", code("ResourceNotFoundException", "Vault not found for ARN: x"), firn.NotFound, "firn store create glacier:eu-west-1/photos"},
		{400, "", code("SerializationException", "m"), firn.Invalid, ""},
		{500, "", code("ServiceUnavailableException", "m"), firn.Unavailable, ""},
		{500, "", code("ServiceUnavailableException", "write /x: no space left on device"), firn.Full, "make room"},
		{500, "", code("ServiceUnavailableException", "database or disk is full (13)"), firn.Full, "make room"},
		{400, "", code("ThrottlingException", "Rate exceeded"), firn.Throttled, ""},
		{400, "", code("UnrecognizedClientException", "m"), firn.Denied, "credentials"},

		{400, "ThrottlingException:http://internal.amazon.com/", `{"message":"slow"}`, firn.Throttled, "slow"},
		{400, "", `{"__type":"com.amazon.coral.service#ThrottlingException","Message":"slow"}`, firn.Throttled, "slow"},
		{400, "", `{"CODE":"ThrottlingException"}`, firn.Throttled, ""},
		{500, "", code("InternalFailure", "m"), firn.Lost, ""},
		{400, "", code("SomethingNew", "m"), firn.Other, "m (SomethingNew)"},
		{503, "", code("SomethingNew", "m"), firn.Unavailable, ""},
		{404, "", "<html>\n<h1>Not found</h1>", firn.Other, "is there a Glacier server at glacier.test?"},
		{403, "", "", firn.Other, "status 403"},
		{408, "", "", firn.SlowBody, ""},
		{429, "", "", firn.Throttled, ""},
		{500, "", "oops", firn.Lost, "oops"},
		{502, "", "<html>", firn.Lost, ""},
		{503, "", "", firn.Unavailable, ""},
		{504, "", "", firn.Lost, ""},
		{302, "", "", firn.Other, "status 302"},
		{400, "", `{"code":5,"message":["x"]}`, firn.Other, ""},
		{400, "", `["ThrottlingException"]`, firn.Other, ""},
	} {
		header := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
		if c.header != "" {
			header.Set("X-Amzn-ErrorType", c.header)
		}
		_, err := with(t, answer{c.status, header, c.body}).Job(t.Context(), "x")
		if firn.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d %s%s: %v: %v", c.status, c.header, c.body, firn.KindOf(err), err)
		}
	}
}

// TestUploadRefusals: on uploads, some codes mean more.
func TestUploadRefusals(t *testing.T) {
	body, sums := storetest.Body([]byte("x"))
	now := time.Now().UTC()
	for _, c := range []struct {
		code, message string
		date          time.Time
		kind          firn.Kind
	}{
		{"InvalidParameterValueException", "Checksum mismatch: expected a, computed b", now, firn.Corrupt},
		{"InvalidParameterValueException", "Invalid Content-Length: 0", now, firn.Invalid},
		{"InvalidSignatureException", "The value passed in as x-amz-content-sha256 does not match the computed payload hash.", now, firn.Corrupt},
		{"InvalidSignatureException", "Signature expired: a is now earlier than b (c - 5 min.)", now, firn.SlowBody},
		{"InvalidSignatureException", "Signature expired: a is now earlier than b (c - 5 min.)", now.Add(time.Hour), firn.Skew},
		{"InvalidSignatureException", "Signature not yet current: a is still later than b (c + 5 min.)", now.Add(-time.Hour), firn.Skew},
		{"InvalidSignatureException", "The request signature we calculated does not match", now, firn.Denied},
	} {
		header := http.Header{"Date": {c.date.Format(http.TimeFormat)}}
		v := with(t, answer{400, header, `{"code":"` + c.code + `","message":"` + c.message + `"}`})
		_, err := v.UploadArchive(t.Context(), "x", body, sums)
		if firn.KindOf(err) != c.kind {
			t.Errorf("%s %s: %v", c.code, c.message, firn.KindOf(err))
		}
	}
}

// TestSkewedClocks: the first refusal tells the SDK what the server's clock
// shows; with that the second request is signed.
func TestSkewedClocks(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, 20 * time.Minute} {
		s := serve(t, func(c *glacierd.Config) { c.AuthClock = skewed(skew) })
		v := open(t, s, nil)
		err := v.Create(t.Context())
		wantKind(t, err, firn.Skew)
		if err == nil || !strings.Contains(err.Error(), "set the clock") {
			t.Errorf("%v", err)
		}
		if err := v.Create(t.Context()); err != nil {
			t.Errorf("%v: the next request: %v", skew, err)
		}
		if err := retried(open(t, s, nil)).Create(t.Context()); err != nil {
			t.Errorf("%v: beneath guard: %v", skew, err)
		}
	}
}

type skewed time.Duration

func (s skewed) Now() time.Time { return time.Now().Add(time.Duration(s)) }

// TestFaultsThatNoRepetitionHelps.
func TestFaultsThatNoRepetitionHelps(t *testing.T) {
	ctx := t.Context()
	faults := glacierd.NewFaults(0)
	v := create(t, serve(t, func(c *glacierd.Config) { c.Faults = faults }))
	data := storetest.Data(4, 3<<20)
	body, sums := storetest.Body(data)
	archive, err := v.UploadArchive(ctx, "x", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	start := func() firn.JobID {
		t.Helper()
		id, err := v.StartRetrieval(ctx, firn.RetrievalSpec{Archive: archive, Tier: firn.Expedited})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	whole := firn.Range{End: int64(len(data))}

	arm(t, faults, glacierd.Fault{Kind: glacierd.FaultNoCapacity, Times: 1})
	_, err = v.StartRetrieval(ctx, firn.RetrievalSpec{Archive: archive, Tier: firn.Expedited})
	wantKind(t, err, firn.Capacity)

	arm(t, faults, glacierd.Fault{Kind: glacierd.FaultTruncate, After: 1 << 20, Times: 1})
	out, err := v.Output(ctx, start(), whole)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(out)
	wantKind(t, err, firn.Network)
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 1<<20 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, again := out.Read(make([]byte, 1)); again != err {
		t.Errorf("read again: %v", again)
	}
	out.Close()

	arm(t, faults, glacierd.Fault{Kind: glacierd.FaultFailedJob, Times: 1})
	_, err = v.Output(ctx, start(), whole)
	wantKind(t, err, firn.Invalid)
	if err == nil || !strings.Contains(err.Error(), "the job failed") {
		t.Errorf("%v", err)
	}

	arm(t, faults, glacierd.Fault{Kind: glacierd.FaultExpiredJob, Times: 1})
	_, err = v.Output(ctx, start(), whole)
	wantKind(t, err, firn.NotFound)

	arm(t, faults, glacierd.Fault{Kind: glacierd.FaultNoLongerSupported, Times: 1})
	_, err = v.Describe(ctx)
	wantKind(t, err, firn.NoNewCustomers)
}

// TestCorruptDownload: the hash that comes with a download is of what was
// stored, so that other bytes are noticed.
func TestCorruptDownload(t *testing.T) {
	ctx := t.Context()
	faults := glacierd.NewFaults(0)
	v := create(t, serve(t, func(c *glacierd.Config) { c.Faults = faults }))
	body, sums := storetest.Body(storetest.Data(4, 3<<20))
	archive, err := v.UploadArchive(ctx, "x", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	job, err := v.StartRetrieval(ctx, firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	arm(t, faults, glacierd.Fault{Kind: glacierd.FaultCorrupt, After: 100, Times: 1})
	out, err := v.Output(ctx, job, firn.Range{End: body.Size()})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	got, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	_, came := storetest.Body(got)
	if out.Tree != sums.Tree || came.Tree == sums.Tree {
		t.Errorf("announced %v, came %v, stored %v", out.Tree, came.Tree, sums.Tree)
	}
}

// TestDownloadsOfTheWrongRange: a server or a cache in between may send
// something else than was asked for.
func TestDownloadsOfTheWrongRange(t *testing.T) {
	for _, c := range []struct {
		contentRange string
		body         string
		at           firn.Range
		ok           bool
	}{
		{"bytes 2-4/10", "cde", firn.Range{Start: 2, End: 5}, true},
		{"bytes 0-4/10", "abcde", firn.Range{Start: 2, End: 5}, false},
		{"bytes 2-9/10", "cdefghij", firn.Range{Start: 2, End: 5}, false},
		{"", "abcde", firn.Range{Start: 0, End: 5}, true},
		{"", "abcdefghij", firn.Range{Start: 0, End: 5}, true}, // the rest is cut off
		{"", "abcdefghij", firn.Range{Start: 2, End: 5}, false},
		{"nonsense", "cde", firn.Range{Start: 2, End: 5}, false},
		{"bytes 2-3/10", "cd", firn.Range{Start: 2, End: 5}, false}, // ends early
	} {
		a := answer{status: 206, header: http.Header{}, body: c.body}
		if c.contentRange != "" {
			a.header.Set("Content-Range", c.contentRange)
		}
		out, err := with(t, a).Output(t.Context(), "x", c.at)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(out)
			out.Close()
		}
		if want := "abcdefghij"[c.at.Start:c.at.End]; (err == nil) != c.ok || c.ok && string(got) != want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

// TestEndlessPages: a server that gives the same page for ever isn't asked for
// ever.
func TestEndlessPages(t *testing.T) {
	v := with(t, answer{status: 200, body: `{"JobList":[],"Marker":"again"}`})
	if _, err := storetest.Collect(v.Jobs(t.Context())); err == nil {
		t.Error("no error")
	}
}

// TestAnswersThatMakeNoSense: of a listing nothing can come; of an upload that
// was accepted, something did.
func TestAnswersThatMakeNoSense(t *testing.T) {
	for _, body := range []string{"<html>", `{"JobList":5}`, `{"JobList":[{"CreationDate":"yesterday"}]}`, `{"JobList":[{"Action":"ArchiveRetrieval","RetrievalByteRange":"x"}]}`} {
		if _, err := storetest.Collect(with(t, answer{status: 200, body: body}).Jobs(t.Context())); err == nil {
			t.Errorf("%s: no error", body)
		}
	}
}

// TestNulls: the service says null, or nothing, for all that it doesn't know.
func TestNulls(t *testing.T) {
	for _, body := range []string{`{"JobList":null,"Marker":null}`, `{}`} {
		if jobs, err := storetest.Collect(with(t, answer{status: 200, body: body}).Jobs(t.Context())); err != nil || len(jobs) > 0 {
			t.Errorf("%s: %v, %v", body, jobs, err)
		}
	}
	const vault = `{"CreationDate":"2012-02-20T17:01:45Z","LastInventoryDate":null,"NumberOfArchives":null,"SizeInBytes":null,"VaultARN":"arn:v","VaultName":"v"}`
	info, err := with(t, answer{status: 200, body: vault}).Describe(t.Context())
	if err != nil || info.Address != "arn:v" || info.Archives != 0 || !info.LastInventory.IsZero() {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := with(t, answer{status: 200, body: `{"VaultName":"v"}`}).Describe(t.Context()); err == nil {
		t.Error("a vault without ARN was accepted")
	}
}

// TestForeignJobs: jobs that others started have more kinds.
func TestForeignJobs(t *testing.T) {
	const jobs = `{"JobList":[
		{"JobId":"a","Action":"InventoryRetrieval","StatusCode":"Succeeded","CreationDate":"2012-05-15T17:21:39.339Z","CompletionDate":"2012-05-15T21:21:39.339Z",
		 "InventorySizeInBytes":123,"InventoryRetrievalParameters":{"Format":"JSON","StartDate":null,"EndDate":null,"Limit":null,"Marker":null}},
		{"JobId":"b","Action":"InventoryRetrieval","StatusCode":"InProgress","InventoryRetrievalParameters":{"Format":"CSV","Limit":"10"}},
		{"JobId":"c","Action":"Select","StatusCode":"Failed","StatusMessage":"no more","NextInventoryRetrievalMarker":null},
		{"JobId":"d","Action":"ArchiveRetrieval","StatusCode":"InProgress","ArchiveId":"x","ArchiveSizeInBytes":10,"Tier":"Expedited","SHA256TreeHash":null}
	]}`
	got, err := storetest.Collect(with(t, answer{status: 200, body: jobs}).Jobs(t.Context()))
	if err != nil || len(got) != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	if j := got[0]; j.Kind != firn.InventoryJob || j.Partial || j.State != firn.JobReady || j.InventorySize != 123 || j.Completed.Sub(j.Created) != 4*time.Hour {
		t.Errorf("%+v", j)
	}
	if j := got[1]; !j.Partial || j.State != firn.JobRunning {
		t.Errorf("%+v", j)
	}
	if j := got[2]; j.Kind != "select" || j.State != firn.JobFailed || j.Message != "no more" {
		t.Errorf("%+v", j)
	}
	if j := got[3]; j.Tier != firn.Expedited || j.Range != (firn.Range{End: 10}) || !j.RangeTree.IsZero() {
		t.Errorf("%+v", j)
	}
}

// TestVaults: more vaults than there are on a page.
func TestVaults(t *testing.T) {
	s := serve(t, nil)
	var want []string
	for i := range 23 {
		name := "vault-" + string(rune('a'+i))
		v := open(t, s, func(c *glacier.Config) { c.Vault = name })
		if err := v.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	var got []string
	for info, err := range glacier.Vaults(t.Context(), glacier.Config{
		Region: "eu-west-1", Endpoint: "http://glacier.test", Transport: s.Transport(),
		Credentials: glacier.StaticCredentials(accessKey, secretKey, ""),
	}) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Identity == "" || info.Created.IsZero() {
			t.Errorf("%+v", info)
		}
		got = append(got, info.Name)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, err := range glacier.Vaults(t.Context(), glacier.Config{Credentials: glacier.StaticCredentials("a", "b", "")}) {
		wantKind(t, err, firn.Usage)
	}
}
