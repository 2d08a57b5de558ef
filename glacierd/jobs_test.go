package glacierd_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/treehash"
)

const jobsPath = "/-/vaults/v/jobs"

// A retrieval lives through its hours, its day, and is gone: two days of the
// service's life in one test.
func TestRetrievalLife(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	body := pattern(3*mib + 5)
	archive := b.upload("v", body, "photo")
	hash := treehash.Sum(body).String()
	for tier, delay := range map[string]time.Duration{"Expedited": 5 * time.Minute, "Standard": 5 * time.Hour, "Bulk": 12 * time.Hour, "": 5 * time.Hour} {
		fields := []string{"Type", "archive-retrieval", "ArchiveId", archive, "Description", "my job", "SNSTopic", "arn:aws:sns:us-east-1:0:t"}
		if tier != "" {
			fields = append(fields, "Tier", tier)
		}
		begun := b.clock.Now()
		r := b.do(202, "POST", jobsPath, nil, jobBody(fields...))
		job := r.header.Get("x-amz-job-id")
		if len(job) != 92 || r.header.Get("Location") != "/000000000000/vaults/v/jobs/"+job || len(r.body) != 0 {
			t.Errorf("job %q at %q, body %q", job, r.header.Get("Location"), r.body)
		}
		if tier == "" {
			tier = "Standard"
		}
		want := map[string]any{
			"Action": "ArchiveRetrieval", "ArchiveId": archive, "ArchiveSHA256TreeHash": hash, "ArchiveSizeInBytes": float64(len(body)),
			"Completed": false, "CompletionDate": nil, "CreationDate": stampOf(begun), "InventoryRetrievalParameters": nil,
			"InventorySizeInBytes": nil, "JobDescription": "my job", "JobId": job, "JobOutputPath": nil, "OutputLocation": nil,
			"RetrievalByteRange": "0-3145732", "SHA256TreeHash": nil, "SNSTopic": "arn:aws:sns:us-east-1:0:t", "SelectParameters": nil,
			"StatusCode": "InProgress", "StatusMessage": "Operation in progress.", "Tier": tier, "VaultARN": arn + "v",
		}
		if diff := cmp.Diff(want, b.get(jobsPath+"/"+job)); diff != "" {
			t.Errorf("%s, just begun (-want +got):\n%s", tier, diff)
		}
		b.clock.advance(delay - time.Millisecond)
		b.refuse(400, "InvalidParameterValueException", "The job is not currently available for download: "+job, "GET", jobsPath+"/"+job+"/output", nil, nil)
		b.clock.advance(time.Millisecond)
		want["Completed"], want["CompletionDate"], want["SHA256TreeHash"] = true, stampOf(begun.Add(delay)), hash
		want["StatusCode"], want["StatusMessage"] = "Succeeded", "Succeeded"
		if diff := cmp.Diff(want, b.get(jobsPath+"/"+job)); diff != "" {
			t.Errorf("%s, done (-want +got):\n%s", tier, diff)
		}
		b.clock.advance(day - time.Millisecond)
		if out := b.output("v", job); !bytes.Equal(out.body, body) {
			t.Errorf("%s: output differs", tier)
		}
		b.clock.advance(time.Millisecond)
		for _, path := range []string{jobsPath + "/" + job, jobsPath + "/" + job + "/output"} {
			b.refuse(404, "ResourceNotFoundException", "The job ID was not found: "+job, "GET", path, nil, nil)
		}
		if list := b.get(jobsPath)["JobList"].([]any); len(list) != 0 {
			t.Errorf("%d jobs are listed after their time", len(list))
		}
	}
}

func stampOf(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func TestInventoryJobShape(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	b.upload("v", []byte("x"), "")
	b.clock.advance(day)
	job := b.job("v", "Type", "inventory-retrieval")
	want := map[string]any{
		"Action": "InventoryRetrieval", "ArchiveId": nil, "ArchiveSHA256TreeHash": nil, "ArchiveSizeInBytes": nil,
		"Completed": false, "CompletionDate": nil, "CreationDate": "2026-03-03T10:30:15.250Z",
		"InventoryRetrievalParameters": map[string]any{"EndDate": nil, "Format": "JSON", "Limit": nil, "Marker": nil, "StartDate": nil},
		"InventorySizeInBytes":         nil, "JobDescription": nil, "JobId": job, "JobOutputPath": nil, "OutputLocation": nil,
		"RetrievalByteRange": nil, "SHA256TreeHash": nil, "SNSTopic": nil, "SelectParameters": nil,
		"StatusCode": "InProgress", "StatusMessage": "Operation in progress.", "Tier": nil, "VaultARN": arn + "v",
	}
	if diff := cmp.Diff(want, b.get(jobsPath+"/"+job)); diff != "" {
		t.Errorf("just begun (-want +got):\n%s", diff)
	}
	b.clock.advance(4 * time.Hour)
	out := b.output("v", job)
	want["Completed"], want["CompletionDate"] = true, "2026-03-03T14:30:15.250Z"
	want["StatusCode"], want["StatusMessage"] = "Succeeded", "Succeeded"
	want["InventorySizeInBytes"] = float64(len(out.body))
	if diff := cmp.Diff(want, b.get(jobsPath+"/"+job)); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	if out.header.Get("x-amz-sha256-tree-hash") != "" || out.header.Get("Content-Type") != "application/json" || out.header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("header %v", out.header)
	}
}

func TestJobRefusals(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	b.createVault("w")
	archive, other := b.upload("v", pattern(3*mib+5), ""), b.upload("w", []byte("x"), "")
	const invalid, missing = "InvalidParameterValueException", "MissingParameterValueException"
	for _, c := range []struct {
		body   string
		status int
		code   string
		text   string
	}{
		{``, 400, "SerializationException", "no body"},
		{`{`, 400, "SerializationException", "not a JSON object"},
		{`[]`, 400, "SerializationException", "not a JSON object"},
		{`"x"`, 400, "SerializationException", "not a JSON object"},
		{`{"Type":1}`, 400, "SerializationException", "Type"},
		{`{}`, 400, missing, "Type"},
		{`{"Type":null}`, 400, missing, "Type"},
		{`{"type":"inventory-retrieval"}`, 400, missing, "Type"},
		{`{"jobParameters":{"Type":"inventory-retrieval"}}`, 400, missing, "Type"},
		{`{"Type":"delete"}`, 400, invalid, "Invalid job type: delete"},
		{`{"Type":"select","ArchiveId":"x"}`, 400, invalid, "Select jobs are no longer available"},
		{`{"Type":"archive-retrieval"}`, 400, missing, "ArchiveId"},
		{`{"Type":"archive-retrieval","ArchiveId":"x"}`, 404, "ResourceNotFoundException", "The archive ID was not found: x"},
		{`{"Type":"archive-retrieval","ArchiveId":"OTHER"}`, 400, invalid, "Invalid vault name: " + arn + "v"},
		{`{"Type":"archive-retrieval","ArchiveId":"ID","Tier":"Fast"}`, 400, invalid, "Invalid tier: Fast"},
		{`{"Type":"archive-retrieval","ArchiveId":"ID","Description":"\u00e4"}`, 400, invalid, "Only printable ASCII"},
		{`{"Type":"archive-retrieval","ArchiveId":"ID","Description":"` + strings.Repeat("d", 1025) + `"}`, 400, invalid, "more than 1024"},
		{`{"Type":"archive-retrieval","ArchiveId":"ID","InventoryRetrievalParameters":{}}`, 400, invalid, "belong to inventory-retrieval"},
		{`{"Type":"archive-retrieval","ArchiveId":"ID","RetrievalByteRange":"0-1048574"}`, 400, invalid, "Invalid range: 0-1048574"},
		{`{"Type":"archive-retrieval","ArchiveId":"ID","RetrievalByteRange":"1-1048575"}`, 400, invalid, "Invalid range"},
		{`{"Type":"archive-retrieval","ArchiveId":"ID","RetrievalByteRange":"0-4194303"}`, 400, invalid, "Invalid range"},
		{`{"Type":"archive-retrieval","ArchiveId":"ID","RetrievalByteRange":"bytes=0-1048575"}`, 400, invalid, "Invalid range"},
		{`{"Type":"inventory-retrieval","ArchiveId":"ID"}`, 400, invalid, "ArchiveId does not belong"},
		{`{"Type":"inventory-retrieval","RetrievalByteRange":"0-1048575"}`, 400, invalid, "RetrievalByteRange does not belong"},
		{`{"Type":"inventory-retrieval","Format":"XML"}`, 400, invalid, "Invalid format: XML"},
		{`{"Type":"inventory-retrieval","InventoryRetrievalParameters":{"Limit":"0"}}`, 400, invalid, "Invalid limit: 0"},
		{`{"Type":"inventory-retrieval","InventoryRetrievalParameters":{"Limit":5}}`, 400, "SerializationException", "Limit"},
		{`{"Type":"inventory-retrieval","InventoryRetrievalParameters":{"Marker":"x"}}`, 400, invalid, "Invalid marker: x"},
		{`{"Type":"inventory-retrieval","InventoryRetrievalParameters":{"StartDate":"yesterday"}}`, 400, invalid, "Invalid StartDate: yesterday"},
		{`{"Type":"inventory-retrieval","InventoryRetrievalParameters":{"StartDate":"2026-01-02T00:00:00Z","EndDate":"2026-01-01T00:00:00Z"}}`, 400, invalid, "Invalid date range"},
	} {
		body := strings.NewReplacer(`"ID"`, `"`+archive+`"`, "OTHER", other).Replace(c.body)
		b.refuse(c.status, c.code, c.text, "POST", jobsPath, nil, []byte(body))
	}
	if list := b.get(jobsPath)["JobList"].([]any); len(list) != 0 {
		t.Errorf("refusals left %d jobs", len(list))
	}
	b.do(202, "POST", jobsPath, nil, []byte(`{"Type":"inventory-retrieval","ArchiveId":null,"Format":null,"Unknown":[1],"InventoryRetrievalParameters":null}`))
}

// A vault without an inventory has none to give out.
func TestNoInventoryYet(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	none := func() {
		t.Helper()
		b.refuse(404, "ResourceNotFoundException", "no inventory yet: "+arn+"v", "POST", jobsPath, nil, jobBody("Type", "inventory-retrieval"))
	}
	none()
	b.clock.advance(3 * day)
	none() // nothing was ever in it
	b.upload("v", []byte("x"), "")
	none()
	b.clock.advance(day)
	b.job("v", "Type", "inventory-retrieval")
}

// A job for some MiB carries a tree hash where they are a node of the tree,
// and so does each answer for a range of its output. All ranges of a tree of
// seven leaves, of an archive in one file and of one in parts.
func TestRangesAndTreeHashes(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	whole := pattern(6*mib + 1000)
	const leaves = 7
	end := func(leaf int) int { return min(leaf*mib, len(whole)) }
	ofWhole := treehash.Sum(whole).String()
	archives := []string{b.uploadParts("v", 2*mib, whole, "")}
	if !testing.Short() {
		archives = append(archives, b.upload("v", whole, ""), b.uploadParts("v", mib, whole, ""), b.uploadParts("v", 8*mib, whole, ""))
	}
	for _, archive := range archives {
		full := b.job("v", "Type", "archive-retrieval", "ArchiveId", archive)
		for first := range leaves {
			for last := first + 1; last <= leaves; last++ {
				part := whole[first*mib : end(last)]
				bytesRange := fmt.Sprintf("%d-%d", first*mib, end(last)-1)
				want := ""
				if treehash.NodeAligned(int64(len(whole)), int64(first*mib), int64(end(last))) {
					want = treehash.Sum(part).String()
				}
				out := b.output("v", full, "Range", "bytes="+bytesRange)
				if !bytes.Equal(out.body, part) || out.header.Get("x-amz-sha256-tree-hash") != want {
					t.Errorf("range %s of the whole: %d bytes, hash %q, want %q", bytesRange, len(out.body), out.header.Get("x-amz-sha256-tree-hash"), want)
				}
				if got, want := out.header.Get("Content-Range"), fmt.Sprintf("bytes %s/%d", bytesRange, len(whole)); got != want {
					t.Errorf("Content-Range %q, want %q", got, want)
				}
				job := b.job("v", "Type", "archive-retrieval", "ArchiveId", archive, "RetrievalByteRange", bytesRange)
				d := b.get(jobsPath + "/" + job)
				if got, _ := d["SHA256TreeHash"].(string); got != want || d["RetrievalByteRange"] != bytesRange || d["ArchiveSHA256TreeHash"] != ofWhole {
					t.Errorf("job %s: %v", bytesRange, d)
				}
				out = b.output("v", job)
				if !bytes.Equal(out.body, part) || out.header.Get("x-amz-sha256-tree-hash") != want {
					t.Errorf("job %s: %d bytes, hash %q, want %q", bytesRange, len(out.body), out.header.Get("x-amz-sha256-tree-hash"), want)
				}
			}
		}
	}
}

// Positions in a Range count from the start of the job's output.
func TestRangeOfRange(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	whole := pattern(6 * mib)
	archive := b.uploadParts("v", mib, whole, "")
	node := b.job("v", "Type", "archive-retrieval", "ArchiveId", archive, "RetrievalByteRange", "2097152-4194303")
	loose := b.job("v", "Type", "archive-retrieval", "ArchiveId", archive, "RetrievalByteRange", "1048576-4194303")
	for _, c := range []struct {
		job         string
		size        int
		rng         string
		from, until int // in the archive
		hashed      bool
	}{
		{node, 2 * mib, "bytes=0-1048575", 2 * mib, 3 * mib, true},
		{node, 2 * mib, "bytes=1048576-2097151", 3 * mib, 4 * mib, true},
		{node, 2 * mib, "bytes=0-2097151", 2 * mib, 4 * mib, true},
		{node, 2 * mib, "bytes=0-0", 2 * mib, 2*mib + 1, false},
		{node, 2 * mib, "bytes=1048570-1048580", 3*mib - 6, 3*mib + 5, false},
		{node, 2 * mib, "bytes=1048576-", 3 * mib, 4 * mib, true},
		{node, 2 * mib, "bytes=-10", 4*mib - 10, 4 * mib, false},
		{node, 2 * mib, "bytes=2097151-9999999", 4*mib - 1, 4 * mib, false},
		{loose, 3 * mib, "bytes=0-1048575", 1 * mib, 2 * mib, false}, // the job is no node itself
	} {
		out := b.output("v", c.job, "Range", c.rng)
		want := whole[c.from:c.until]
		if !bytes.Equal(out.body, want) || (out.header.Get("x-amz-sha256-tree-hash") != "") != c.hashed {
			t.Errorf("%s: %d bytes, want %d; header %v", c.rng, len(out.body), len(want), out.header)
		}
		if c.hashed && out.header.Get("x-amz-sha256-tree-hash") != treehash.Sum(want).String() {
			t.Errorf("%s: wrong tree hash", c.rng)
		}
		if got := out.header.Get("Content-Range"); !strings.HasSuffix(got, fmt.Sprint("/", c.size)) {
			t.Errorf("%s: Content-Range %s", c.rng, got)
		}
	}
	for _, bad := range []string{"bytes=2097152-", "bytes=5-2", "bytes=x-y", "0-5", "bytes=-0", "bytes=-", "bytes=0-1,5-6", "lines=0-1"} {
		b.refuse(400, "InvalidParameterValueException", "Invalid Range: "+bad, "GET", jobsPath+"/"+node+"/output", h{"Range", bad}, nil)
	}
}

// Deleting the archive spoils what is under way and leaves what is ready.
func TestDeleteDuringJob(t *testing.T) {
	var root string
	b := newBench(t, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	body := pattern(2 * mib)
	archive := b.uploadParts("v", mib, body, "")
	ready := b.job("v", "Type", "archive-retrieval", "ArchiveId", archive)
	b.clock.advance(5 * time.Hour)
	waiting := b.job("v", "Type", "archive-retrieval", "ArchiveId", archive)
	b.clock.advance(time.Hour)
	deleted := b.clock.Now()
	b.do(204, "DELETE", "/-/vaults/v/archives/"+archive, nil, nil)
	d := b.get(jobsPath + "/" + waiting)
	if d["StatusCode"] != "Failed" || d["Completed"] != true || d["CompletionDate"] != stampOf(deleted) || d["ArchiveId"] != archive {
		t.Errorf("the job under way: %v", d)
	}
	b.refuse(400, "InvalidParameterValueException", "not currently available", "GET", jobsPath+"/"+waiting+"/output", nil, nil)
	b.refuse(404, "ResourceNotFoundException", "The archive ID was not found: "+archive, "POST", jobsPath, nil, jobBody("Type", "archive-retrieval", "ArchiveId", archive))
	b.clock.advance(23*time.Hour - time.Millisecond)
	if out := b.output("v", ready); !bytes.Equal(out.body, body) {
		t.Error("the output that was ready differs")
	}
	if n := len(bodies(t, root)); n != 2 {
		t.Errorf("%d files while the output lasts, want 2", n)
	}
	b.clock.advance(time.Hour)
	b.get("/-/vaults/v") // any request tidies up
	if left := bodies(t, root); len(left) != 0 {
		t.Errorf("left after the output expired: %q", left)
	}
}

func TestListJobs(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	if diff := cmp.Diff(map[string]any{"JobList": []any{}, "Marker": nil}, b.get(jobsPath)); diff != "" {
		t.Errorf("none (-want +got):\n%s", diff)
	}
	archive, doomed := b.upload("v", []byte("x"), ""), b.upload("v", []byte("y"), "")
	var done, waiting []string
	for i := range 60 {
		done = append(done, b.job("v", "Type", "archive-retrieval", "ArchiveId", archive, "Tier", "Expedited", "Description", fmt.Sprint(i)))
		waiting = append(waiting, b.job("v", "Type", "archive-retrieval", "ArchiveId", archive, "Tier", "Bulk"))
		b.clock.advance(time.Second)
	}
	failed := []string{b.job("v", "Type", "archive-retrieval", "ArchiveId", doomed)}
	b.do(204, "DELETE", "/-/vaults/v/archives/"+doomed, nil, nil)
	b.clock.advance(time.Hour)
	var all []string
	for i := range done {
		all = append(all, done[i], waiting[i])
	}
	all = append(all, failed...)
	ended := append(slices.Clone(done), failed...)
	for query, want := range map[string][]string{
		"?": all, "?limit=7&": all, "?limit=1000&": all,
		"?completed=true&": ended, "?completed=false&": waiting,
		"?statuscode=Succeeded&": done, "?statuscode=Failed&": failed, "?statuscode=InProgress&limit=3&": waiting,
		"?statuscode=Succeeded&completed=false&": nil,
	} {
		size := 50
		fmt.Sscanf(query[strings.Index(query, "limit=")+1:], "imit=%d", &size)
		var got []string
		for _, j := range pages(b.client, jobsPath+query, "JobList", min(50, size)) {
			got = append(got, j.(map[string]any)["JobId"].(string))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	b.refuse(400, "InvalidParameterValueException", "The job status code is not valid: finished", "GET", jobsPath+"?statuscode=finished", nil, nil)
	b.refuse(400, "InvalidParameterValueException", "Invalid completed: maybe", "GET", jobsPath+"?completed=maybe", nil, nil)
	b.refuse(400, "InvalidParameterValueException", "Invalid marker: x", "GET", jobsPath+"?marker=x", nil, nil)
	b.refuse(404, "ResourceNotFoundException", "The job ID was not found: "+flip(done[0], 40), "GET", jobsPath+"/"+flip(done[0], 40), nil, nil)
}
