package s3test

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// stamp is how S3 writes times in XML.
const stamp = "2006-01-02T15:04:05.000Z"

func (c *call) list() *refusal {
	type status struct {
		IsRestoreInProgress bool
		RestoreExpiryDate   string `xml:",omitempty"`
	}
	type entry struct {
		Key, LastModified, ETag, StorageClass string
		Size                                  int
		RestoreStatus                         *status `xml:",omitempty"`
	}
	type folder struct{ Prefix string }
	out := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Prefix, EncodingType  string
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []entry
		CommonPrefixes        []folder
	}{Prefix: c.encode(c.query["prefix"]), EncodingType: c.query["encoding-type"]}
	after := c.query["start-after"]
	if token := c.query["continuation-token"]; token != "" {
		b, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return no(400, "InvalidArgument")
		}
		after = string(b)
	}
	most := c.o.Page
	if n, err := strconv.Atoi(c.query["max-keys"]); err == nil {
		most = min(most, n)
	}
	tell := !c.o.NoRestoreStatus && c.r.Header.Get("X-Amz-Optional-Object-Attributes") == "RestoreStatus"
	last := ""
	keys := c.keys()
	from, _ := slices.BinarySearch(keys, after)
	for _, key := range keys[from:] {
		if key <= after || !strings.HasPrefix(key, c.query["prefix"]) {
			continue
		}
		if len(out.Contents) == most {
			out.IsTruncated, out.NextContinuationToken = true, base64.StdEncoding.EncodeToString([]byte(last))
			break
		}
		if below := c.folderOf(key); below != "" {
			if name := c.encode(below); len(out.CommonPrefixes) == 0 || out.CommonPrefixes[len(out.CommonPrefixes)-1].Prefix != name {
				out.CommonPrefixes = append(out.CommonPrefixes, folder{name}) // which don't count for the page
			}
			last = key
			continue
		}
		o := c.objects[key]
		e := entry{Key: c.encode(key), LastModified: o.modified.Format(stamp), ETag: o.etag, StorageClass: o.class, Size: len(o.data)}
		if ongoing, readable := c.restoring(o); tell && (ongoing || readable) {
			e.RestoreStatus = &status{IsRestoreInProgress: ongoing}
			if readable {
				e.RestoreStatus.RestoreExpiryDate = o.expires.Format(stamp)
			}
		}
		out.Contents, last = append(out.Contents, e), key
	}
	c.xml(200, out)
	return nil
}

// folderOf is what a listing by folders shows instead of a key; "": it shows the
// key.
func (c *call) folderOf(key string) string {
	prefix, delimiter := c.query["prefix"], c.query["delimiter"]
	if delimiter == "" {
		return ""
	}
	folder, _, found := strings.Cut(key[len(prefix):], delimiter)
	if !found {
		return ""
	}
	return prefix + folder + delimiter
}

// encode writes a key as the request wants it.
func (c *call) encode(key string) string {
	if c.query["encoding-type"] != "url" {
		return key
	}
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

func (c *call) listUploads() *refusal {
	type entry struct{ Key, UploadId, Initiated string }
	out := struct {
		XMLName                           xml.Name `xml:"ListMultipartUploadsResult"`
		EncodingType                      string
		IsTruncated                       bool
		NextKeyMarker, NextUploadIdMarker string `xml:",omitempty"`
		Upload                            []entry
	}{EncodingType: c.query["encoding-type"]}
	ids := slices.SortedFunc(maps.Keys(c.uploads), func(a, b string) int {
		return strings.Compare(c.uploads[a].key+"\x00"+a, c.uploads[b].key+"\x00"+b)
	})
	after := c.query["key-marker"] + "\x00" + c.query["upload-id-marker"]
	for _, id := range ids {
		u := c.uploads[id]
		if c.query["key-marker"] != "" && u.key+"\x00"+id <= after || !strings.HasPrefix(u.key, c.query["prefix"]) {
			continue
		}
		if n := len(out.Upload); n == c.o.Page {
			out.IsTruncated, out.NextKeyMarker, out.NextUploadIdMarker = true, out.Upload[n-1].Key, out.Upload[n-1].UploadId
			break
		}
		out.Upload = append(out.Upload, entry{c.encode(u.key), id, u.started.Format(stamp)})
	}
	c.xml(200, out)
	return nil
}

func (c *call) listParts(u *upload) *refusal {
	type entry struct {
		PartNumber, Size                   int
		ETag, ChecksumSHA256, LastModified string
	}
	out := struct {
		XMLName              xml.Name `xml:"ListPartsResult"`
		IsTruncated          bool
		NextPartNumberMarker string `xml:",omitempty"`
		StorageClass         string
		Part                 []entry
	}{StorageClass: u.class}
	after, _ := strconv.Atoi(c.query["part-number-marker"])
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		if n <= after {
			continue
		}
		if len(out.Part) == c.o.Page {
			out.IsTruncated, out.NextPartNumberMarker = true, strconv.Itoa(out.Part[len(out.Part)-1].PartNumber)
			break
		}
		p := u.parts[n]
		out.Part = append(out.Part, entry{n, len(p.data), p.etag, p.sum, c.now.Format(stamp)})
	}
	c.xml(200, out)
	return nil
}
