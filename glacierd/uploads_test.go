package glacierd_test

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/treehash"
)

const uploadsPath = "/-/vaults/v/multipart-uploads"

func TestInitiateMultipartUpload(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	for size := int64(mib); size <= 4<<30; size *= 2 {
		r := b.do(201, "POST", uploadsPath, h{"x-amz-part-size", fmt.Sprint(size)}, nil)
		id := r.header.Get("x-amz-multipart-upload-id")
		if len(id) != 92 || r.header.Get("Location") != "/000000000000/vaults/v/multipart-uploads/"+id {
			t.Errorf("id %q at %q", id, r.header.Get("Location"))
		}
	}
	for _, size := range []string{"0", "1", "1048575", "1048577", "3145728", "8589934592", "-1048576", "x", "1e6", "99999999999999999999999", "0x100000"} {
		b.refuse(400, "InvalidParameterValueException",
			"Invalid part size: "+size+". Part size must not be null, must be a power of two and be between 1048576 and 4294967296 bytes.",
			"POST", uploadsPath, h{"x-amz-part-size", size}, nil)
	}
	b.refuse(400, "MissingParameterValueException", "x-amz-part-size", "POST", uploadsPath, nil, nil)
	b.refuse(400, "InvalidParameterValueException", "Only printable ASCII", "POST", uploadsPath, h{"x-amz-part-size", "1048576", "x-amz-archive-description", "\u00e4"}, nil)
	b.refuse(404, "ResourceNotFoundException", "Vault not found", "POST", "/-/vaults/w/multipart-uploads", h{"x-amz-part-size", "1048576"}, nil)
}

// Every part size and length around the borders of parts, in random order.
func TestMultipartSizes(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	for _, partSize := range []int{mib, 2 * mib, 4 * mib} {
		for _, size := range []int{1, mib, partSize - 1, partSize, partSize + 1, 3*partSize - 1, 3 * partSize} {
			whole := pattern(size)
			upload := b.initiate("v", partSize, "d")
			for at := (size - 1) / partSize * partSize; at >= 0; at -= partSize { // backwards
				part := whole[at:min(size, at+partSize)]
				if got := b.part("v", upload, at, part).header.Get("x-amz-sha256-tree-hash"); got != treehash.Sum(part).String() {
					t.Errorf("tree hash of a part: %s", got)
				}
			}
			r := b.do(201, "POST", uploadsPath+"/"+upload, completeHeaders(whole), nil)
			id := r.header.Get("x-amz-archive-id")
			if r.header.Get("Location") != "/000000000000/vaults/v/archives/"+id || r.header.Get("x-amz-sha256-tree-hash") != treehash.Sum(whole).String() {
				t.Errorf("completed with %v", r.header)
			}
			if got := b.output("v", b.job("v", "Type", "archive-retrieval", "ArchiveId", id)).body; !bytes.Equal(got, whole) {
				t.Errorf("parts of %d, size %d: %d bytes came back and differ", partSize, size, len(got))
			}
		}
	}
}

func TestPartRefusals(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	upload := b.initiate("v", mib, "")
	path := uploadsPath + "/" + upload
	body := []byte("part")
	refuse := func(code, text, contentRange string) {
		t.Helper()
		b.refuse(400, code, text, "PUT", path, uploadHeaders(body, "Content-Range", contentRange), body)
	}
	const invalid = "InvalidParameterValueException"
	refuse("MissingParameterValueException", "Content-Range", "")
	for _, bad := range []string{"bytes=0-3/*", "0-3/*", "bytes 0-3", "bytes 0-3/4", "bytes 3-0/*", "bytes -3/*", "bytes 0-/*", "bytes a-b/*", "bytes 0-3/* ,", "bytes 0-99999999999999999999/*"} {
		refuse(invalid, "Invalid Content-Range: "+bad, bad)
	}
	refuse(invalid, "Content-Range: bytes 0-4/* is incompatible with Content-Length: 4", "bytes 0-4/*")
	refuse(invalid, "Invalid Content-Range: bytes 4-7/*", "bytes 4-7/*")
	refuse(invalid, "This is part number 10001 for the current multipart upload. It exceeds the limit of 10000 parts.", "bytes 10485760000-10485760003/*")
	b.part("v", upload, 9999*mib, body) // the last one there can be
	long := pattern(mib + 1)
	b.refuse(400, invalid, "is no longer than that", "PUT", path, partHeaders(0, long), long)
	b.refuse(400, invalid, "Checksum mismatch", "PUT", path, append(partHeaders(0, body), "x-amz-sha256-tree-hash", strings.Repeat("1", 64)), body)
	b.refuse(400, invalid, "Invalid Content-Length: 0", "PUT", path, h{"x-amz-content-sha256", hexSum(nil), "Content-Range", "bytes 0-0/*"}, nil)
	for _, bad := range []string{"x", flip(upload, 30), strings.Repeat("A", 92)} {
		b.refuse(404, "ResourceNotFoundException", "The upload ID was not found: "+bad, "PUT", uploadsPath+"/"+bad, partHeaders(0, body), body)
	}
	if n := len(b.get(path)["Parts"].([]any)); n != 1 {
		t.Errorf("%d parts are left, want the one that was taken", n)
	}
}

func TestCompleteRefusals(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	whole := pattern(3*mib - 10)
	upload := b.initiate("v", mib, "")
	path := uploadsPath + "/" + upload
	const invalid = "InvalidParameterValueException"
	refuse := func(text string, headers h) {
		t.Helper()
		b.refuse(400, invalid, text, "POST", path, headers, nil)
	}
	good := completeHeaders(whole)
	refuse("the parts have 0 bytes", good)
	b.part("v", upload, 0, whole[:mib])
	b.part("v", upload, 2*mib, whole[2*mib:])
	refuse("the bytes from 1048576 to 2097151 are missing", good)
	b.part("v", upload, mib, whole[mib:2*mib-1]) // short, in the middle
	refuse("the bytes from 2097151 to 2097151 are missing", good)
	b.part("v", upload, mib, whole[:mib]) // full, and wrong
	refuse("Checksum mismatch: expected "+treehash.Sum(whole).String(), good)
	b.part("v", upload, mib, whole[mib:2*mib])
	refuse("Invalid x-amz-archive-size: 3145719; the parts have 3145718 bytes", h{"x-amz-archive-size", fmt.Sprint(len(whole) + 1), "x-amz-sha256-tree-hash", treehash.Sum(whole).String()})
	refuse("Invalid x-amz-archive-size: 3MiB", h{"x-amz-archive-size", "3MiB", "x-amz-sha256-tree-hash", treehash.Sum(whole).String()})
	refuse("Invalid x-amz-sha256-tree-hash: 12", h{"x-amz-archive-size", "1", "x-amz-sha256-tree-hash", "12"})
	b.refuse(400, "MissingParameterValueException", "x-amz-archive-size", "POST", path, good[2:], nil)
	b.refuse(400, "MissingParameterValueException", "x-amz-sha256-tree-hash", "POST", path, good[:2], nil)
	b.do(201, "POST", path, good, nil)
}

// Completing and aborting may be repeated for a day; afterwards, and with one
// another, they are not found.
func TestEndOfUpload(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	whole := pattern(mib + 1)
	archive := func(upload string) string {
		t.Helper()
		return b.do(201, "POST", uploadsPath+"/"+upload, completeHeaders(whole), nil).header.Get("x-amz-archive-id")
	}
	gone := func(method, upload string, headers h, body []byte) {
		t.Helper()
		b.refuse(404, "ResourceNotFoundException", "The upload ID was not found: "+upload, method, uploadsPath+"/"+upload, headers, body)
	}
	done, given := b.initiate("v", mib, ""), b.initiate("v", mib, "")
	for _, upload := range []string{done, given} {
		b.part("v", upload, 0, whole[:mib])
		b.part("v", upload, mib, whole[mib:])
	}
	id := archive(done)
	b.do(204, "DELETE", uploadsPath+"/"+given, nil, nil)
	b.clock.advance(day - time.Millisecond)
	if again := archive(done); again != id {
		t.Errorf("completed again: archive %s, want %s", again, id)
	}
	b.do(204, "DELETE", uploadsPath+"/"+given, nil, nil)
	gone("POST", given, completeHeaders(whole), nil)
	gone("DELETE", done, nil, nil)
	for _, upload := range []string{done, given} {
		gone("GET", upload, nil, nil)
		gone("PUT", upload, partHeaders(0, whole[:mib]), whole[:mib])
	}
	b.clock.advance(time.Millisecond)
	gone("POST", done, completeHeaders(whole), nil)
	gone("DELETE", given, nil, nil)
	if n := len(b.get(uploadsPath)["UploadsList"].([]any)); n != 0 {
		t.Errorf("%d uploads are listed", n)
	}
}

// Sending a range again replaces it, also while the archive waits to be
// completed; what is replaced leaves no file behind.
func TestPartAgain(t *testing.T) {
	var root string
	b := newBench(t, atOnce, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	whole := pattern(2 * mib)
	upload := b.initiate("v", mib, "")
	var wg sync.WaitGroup
	for i := range 8 { // different bytes, at once
		wg.Go(func() {
			other := bytes.Repeat([]byte{byte(i)}, mib)
			r, err := b.try("PUT", uploadsPath+"/"+upload, partHeaders(0, other), other)
			if err != nil || r.status != 204 {
				t.Errorf("%d %s %v", r.status, r.body, err)
			}
		})
	}
	wg.Wait()
	b.part("v", upload, mib, whole[mib:])
	b.part("v", upload, 0, whole[:mib])
	b.part("v", upload, 0, whole[:mib])
	b.do(201, "POST", uploadsPath+"/"+upload, completeHeaders(whole), nil)
	if files := bodies(t, root); len(files) != 2 {
		t.Errorf("files of two parts: %q", files)
	}
}

func TestAbortRemovesParts(t *testing.T) {
	var root string
	b := newBench(t, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	upload := b.initiate("v", mib, "")
	b.part("v", upload, 0, pattern(mib))
	b.do(204, "DELETE", uploadsPath+"/"+upload, nil, nil)
	if files := bodies(t, root); len(files) != 0 {
		t.Errorf("left: %q", files)
	}
}

func TestListParts(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	upload := b.initiate("v", mib, "the description")
	path := uploadsPath + "/" + upload
	small := []byte("x") // short parts are taken until Complete
	want := []any{}
	for i := range 120 {
		at := i * 3 * mib
		b.part("v", upload, at, small)
		want = append(want, map[string]any{"RangeInBytes": fmt.Sprintf("%d-%d", at, at), "SHA256TreeHash": hexSum(small)})
	}
	first := b.get(path + "?limit=2")
	if diff := cmp.Diff(map[string]any{
		"ArchiveDescription": "the description", "CreationDate": "2026-03-02T10:30:15.250Z", "Marker": first["Marker"], "MultipartUploadId": upload,
		"PartSizeInBytes": float64(mib), "Parts": want[:2], "VaultARN": arn + "v",
	}, first); diff != "" {
		t.Errorf("first page (-want +got):\n%s", diff)
	}
	for limit, page := range map[int]int{0: 50, 1: 1, 7: 7, 50: 50, 60: 50, 1000: 50} {
		query := "?"
		if limit > 0 {
			query = fmt.Sprintf("?limit=%d&", limit)
		}
		got := pages(b.client, path+query, "Parts", page)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	for _, bad := range []string{"limit=0", "limit=x", "marker=x", "marker=-1"} {
		b.refuse(400, "InvalidParameterValueException", "Invalid ", "GET", path+"?"+bad, nil, nil)
	}
}

// pages follows the markers of a list, whose pages must be full.
func pages(c client, path, member string, size int) (all []any) {
	c.t.Helper()
	marker := ""
	for {
		list := c.get(path + "marker=" + url.QueryEscape(marker))
		part := list[member].([]any)
		all = append(all, part...)
		if list["Marker"] == nil {
			return all
		}
		if len(part) != size {
			c.t.Fatalf("%s: a page of %d with a marker, want %d", path, len(part), size)
		}
		marker = list["Marker"].(string)
	}
}

func TestListMultipartUploads(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	if diff := cmp.Diff(map[string]any{"Marker": nil, "UploadsList": []any{}}, b.get(uploadsPath)); diff != "" {
		t.Errorf("none (-want +got):\n%s", diff)
	}
	want := []any{}
	for i := range 103 {
		var description any
		if i%2 == 1 {
			description = fmt.Sprint("upload ", i)
		}
		text, _ := description.(string)
		id := b.initiate("v", mib, text)
		want = append(want, map[string]any{
			"ArchiveDescription": description, "CreationDate": "2026-03-02T10:30:15.250Z", "MultipartUploadId": id,
			"PartSizeInBytes": float64(mib), "VaultARN": arn + "v",
		})
	}
	for limit, page := range map[int]int{1: 1, 20: 20, 50: 50, 1000: 50} {
		got := pages(b.client, fmt.Sprintf("%s?limit=%d&", uploadsPath, limit), "UploadsList", page)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	b.refuse(400, "InvalidParameterValueException", "Invalid marker: x", "GET", uploadsPath+"?marker=x", nil, nil)
}
