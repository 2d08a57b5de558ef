package s3test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// minPart is the least size of all parts but the last, in bytes. Source: Amazon S3
// user guide, "Amazon S3 multipart upload limits".
const minPart = 5 << 20

func (c *call) startUpload() *refusal {
	c.serial++
	id := fmt.Sprintf("upload-%06d", c.serial)
	c.uploads[id] = &upload{key: c.key, class: c.classOf(), meta: c.metadata(), started: c.now, parts: map[int]part{}}
	c.xml(200, struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		Key      string
		UploadId string
	}{Key: c.key, UploadId: id})
	return nil
}

func (c *call) putPart(u *upload) *refusal {
	n, err := strconv.Atoi(c.query["partNumber"])
	if err != nil || n < 1 || n > 10_000 {
		return no(400, "InvalidArgument")
	}
	u.parts[n] = part{c.body, etag(c.body), c.r.Header.Get("X-Amz-Checksum-Sha256")}
	c.w.Header().Set("ETag", u.parts[n].etag)
	return nil
}

func (c *call) complete(u *upload) *refusal {
	if c.o.LateErrors > 0 {
		c.o.LateErrors--
		c.w.WriteHeader(http.StatusOK)
		fmt.Fprint(c.w, xml.Header+"\n\n<Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error>")
		return nil
	}
	if e := c.allowed(); e != nil {
		return e
	}
	var in struct {
		Part []struct {
			PartNumber           int
			ETag, ChecksumSHA256 string
		}
	}
	if xml.Unmarshal(c.body, &in) != nil || len(in.Part) == 0 {
		return no(400, "MalformedXML")
	}
	o := &object{class: u.class, modified: u.started.Truncate(time.Second), meta: u.meta}
	var sums []string
	for i, p := range in.Part {
		have, ok := u.parts[p.PartNumber]
		switch {
		case !ok || have.etag != p.ETag || p.ChecksumSHA256 != have.sum:
			return no(400, "InvalidPart")
		case i > 0 && p.PartNumber <= in.Part[i-1].PartNumber:
			return no(400, "InvalidPartOrder")
		case i < len(in.Part)-1 && len(have.data) < minPart:
			return no(400, "EntityTooSmall")
		}
		o.data = append(o.data, have.data...)
		sums = append(sums, have.sum)
	}
	o.etag = fmt.Sprintf(`"%032x-%d"`, len(o.data), len(in.Part))
	delete(c.uploads, c.query["uploadId"])
	c.store(o)
	c.xml(200, struct {
		XMLName        xml.Name `xml:"CompleteMultipartUploadResult"`
		Key            string
		ETag           string
		ChecksumSHA256 string `xml:",omitempty"`
	}{Key: c.key, ETag: o.etag, ChecksumSHA256: composite(sums)})
	return nil
}

// composite is the checksum of an object that came in parts: that of their checksums,
// and how many they were. It is empty where not each of them had one.
func composite(sums []string) string {
	all := sha256.New()
	for _, s := range sums {
		sum, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(sum) != sha256.Size {
			return ""
		}
		all.Write(sum)
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(all.Sum(nil)), len(sums))
}
