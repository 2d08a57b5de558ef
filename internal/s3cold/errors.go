package s3cold

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
)

// The codes that operations look at. Source: Amazon S3 API reference, "Error
// responses".
const (
	codeNoBucket       = "NoSuchBucket"
	codeNoKey          = "NoSuchKey"
	codeNoUpload       = "NoSuchUpload"
	codeNotThere       = "NotFound" // of HEAD, whose answers have no body
	codePrecondition   = "PreconditionFailed"
	codeNotImplemented = "NotImplemented"
	codeState          = "InvalidObjectState"
	codeRestoring      = "RestoreAlreadyInProgress"
	codeRange          = "InvalidRange"
	codeDigest         = "BadDigest"
	codeContentHash    = "XAmzContentSHA256Mismatch"
	codeKeyTooLong     = "KeyTooLongError"
)

// The codes of servers that keep objects as files, where one name is a file's and a
// folder's. Source: versitygw, s3err/s3err.go; MinIO, cmd/api-errors.go.
const (
	codeParentIsFile      = "ObjectParentIsFile"
	codeIsFolder          = "ExistingObjectIsDirectory"
	codeMinioParentIsFile = "XMinioParentIsObject"
	codeMinioIsFolder     = "XMinioObjectExistsAsDirectory"
)

// kindsOfCodes says what each code of the service means for a caller.
var kindsOfCodes = map[string]firn.Kind{
	"AccessDenied":                          firn.Denied,
	"AccountProblem":                        firn.Denied,
	"AllAccessDisabled":                     firn.Denied,
	"AuthorizationHeaderMalformed":          firn.Denied,
	codeDigest:                              firn.Corrupt,
	"BadRequest":                            firn.Invalid,
	"ConditionalRequestConflict":            firn.Unavailable, // another such request is under way
	"EntityTooLarge":                        firn.Invalid,
	"EntityTooSmall":                        firn.Invalid,
	"ExpiredToken":                          firn.Denied,
	"GlacierExpeditedRetrievalNotAvailable": firn.Capacity,
	"IncompleteBody":                        firn.Unavailable,
	"InternalError":                         firn.Lost,
	"InvalidAccessKeyId":                    firn.Denied,
	"InvalidArgument":                       firn.Invalid,
	"InvalidBucketName":                     firn.Invalid,
	"InvalidDigest":                         firn.Corrupt,
	codeState:                               firn.NotReady,
	"InvalidPart":                           firn.Invalid,
	"InvalidPartOrder":                      firn.Invalid,
	codeRange:                               firn.Invalid,
	"InvalidRequest":                        firn.Invalid,
	"InvalidStorageClass":                   firn.Invalid,
	"InvalidToken":                          firn.Denied,
	codeKeyTooLong:                          firn.Conflict, // like the next ones: another name will do
	codeParentIsFile:                        firn.Conflict,
	codeIsFolder:                            firn.Conflict,
	codeMinioParentIsFile:                   firn.Conflict,
	codeMinioIsFolder:                       firn.Conflict,
	"MalformedXML":                          firn.Invalid,
	"MetadataTooLarge":                      firn.Invalid,
	"MethodNotAllowed":                      firn.Denied,
	codeNoBucket:                            firn.NotFound,
	codeNoKey:                               firn.NotFound,
	codeNoUpload:                            firn.NotFound,
	"NoSuchVersion":                         firn.NotFound,
	codeNotThere:                            firn.NotFound,
	codeNotImplemented:                      firn.Invalid,
	"NotSignedUp":                           firn.Denied,
	"OperationAborted":                      firn.Unavailable,
	codePrecondition:                        firn.Conflict,
	"RequestTimeTooSkewed":                  firn.Skew,
	"RequestTimeout":                        firn.SlowBody,
	codeRestoring:                           firn.Conflict,
	"ServiceUnavailable":                    firn.Unavailable,
	"SignatureDoesNotMatch":                 firn.Denied,
	"SlowDown":                              firn.Throttled,
	"Throttling":                            firn.Throttled,
	"TooManyRequests":                       firn.Throttled,
	"UnauthorizedAccess":                    firn.Denied,
	codeContentHash:                         firn.Corrupt,
}

// A judge reads the refusals of a server.
type judge struct {
	label, bucket string
	base          string // that all keys begin with
	http          *exchange.Client
}

// said is an error as the service writes it. Source: Amazon S3 API reference,
// "REST error responses".
type said struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
}

// failedInside reports whether an answer that has the status of a success says in
// its body that it is none: the completion of an upload sends its status before it
// is done. Source: Amazon S3 API reference, "CompleteMultipartUpload".
func failedInside(body []byte) bool {
	text := bytes.TrimSpace(body)
	if bytes.HasPrefix(text, []byte("<?xml")) {
		_, text, _ = bytes.Cut(text, []byte("?>"))
	}
	return bytes.HasPrefix(bytes.TrimSpace(text), []byte("<Error"))
}

// refusal says what an answer that is no success means.
func (j judge) refusal(a exchange.Answer) exchange.Refusal {
	r := exchange.Refusal{Status: a.Status, Code: codeOfStatus(a.Status)}
	var e said
	if xml.Unmarshal(a.Body, &e) == nil && e.Code != "" {
		r.Code, r.Message = e.Code, e.Message
	} else if line, _, _ := strings.Cut(strings.TrimSpace(string(a.Body)), "\n"); line != "" {
		r.Message = fmt.Sprintf("%.80q", line)
	} else if r.Code == codeNotThere {
		r.Message = "no such object"
	}
	kind, known := kindsOfCodes[r.Code]
	if !known {
		kind = kindOfStatus(a.Status)
	}
	if kind == firn.Denied && a.Skewed {
		kind = firn.Skew
	}
	r.Kind = kind
	if region := a.Header.Get("X-Amz-Bucket-Region"); a.Status == http.StatusMovedPermanently || a.Status == http.StatusBadRequest && region != "" {
		r.Kind, r.Hint = firn.Usage, fmt.Sprintf("the bucket is in another region: name it, as in %s?region=%s", j.label, region)
		return r
	}
	r.Hint = j.hint(r, a.Request)
	return r
}

// codeOfStatus stands in where an answer has no body, as those to HEAD.
func codeOfStatus(status int) string {
	switch status {
	case http.StatusNotFound:
		return codeNotThere
	case http.StatusPreconditionFailed:
		return codePrecondition
	case http.StatusNotImplemented:
		return codeNotImplemented
	case http.StatusRequestedRangeNotSatisfiable:
		return codeRange
	}
	return ""
}

// kindOfStatus is the kind of an answer without a known code.
func kindOfStatus(status int) firn.Kind {
	switch {
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return firn.Denied
	case status == http.StatusNotFound:
		return firn.NotFound
	case status == http.StatusRequestTimeout:
		return firn.SlowBody
	case status == http.StatusTooManyRequests:
		return firn.Throttled
	case status == http.StatusServiceUnavailable, status == http.StatusConflict: // of what somebody else does just now
		return firn.Unavailable
	case status >= 500:
		return firn.Lost
	case status == http.StatusBadRequest:
		return firn.Invalid
	}
	return firn.Other
}

// hint says what to do about a refusal, where something can be said.
func (j judge) hint(r exchange.Refusal, req *http.Request) string {
	switch r.Kind {
	case firn.NotFound:
		if r.Code == codeNoBucket {
			return "make the bucket first, for example with: aws s3 mb s3://" + j.bucket
		}
	case firn.Capacity:
		return "use the tier standard or bulk, or try again later"
	case firn.Skew:
		return "this machine's clock and the service's are more than fifteen minutes apart: set the clock"
	case firn.Denied:
		return j.deniedHint(r.Code, req)
	case firn.Other:
		return j.http.ServerHint()
	}
	return ""
}

func (j judge) deniedHint(code string, req *http.Request) string {
	switch code {
	case "ExpiredToken":
		return "the session has expired: log in again, for example with \"aws sso login\""
	case "SignatureDoesNotMatch":
		return "is the secret key right, and is it this region's server?"
	case "AccessDenied", "AllAccessDisabled", "UnauthorizedAccess", "MethodNotAllowed", "":
		return j.permissionHint(req)
	}
	return "are the credentials right?"
}

// permissions are those that the operations need which a store uses, by method and
// what the query has. Source: Service Authorization Reference, "Actions, resources,
// and condition keys for Amazon S3".
var permissions = []struct {
	method, query, action string
	bucket                bool // it is one for the bucket, not for its objects
}{
	{http.MethodGet, "list-type", "s3:ListBucket", true},
	{http.MethodGet, "uploads", "s3:ListBucketMultipartUploads", true},
	{http.MethodGet, "uploadId", "s3:ListMultipartUploadParts", false},
	{http.MethodDelete, "uploadId", "s3:AbortMultipartUpload", false},
	{http.MethodDelete, "versionId", "s3:DeleteObjectVersion", false},
	{http.MethodDelete, "", "s3:DeleteObject", false},
	{http.MethodPost, "restore", "s3:RestoreObject", false},
	{http.MethodPost, "", "s3:PutObject", false}, // begins and completes uploads
	{http.MethodPut, "", "s3:PutObject", false},
	{http.MethodGet, "", "s3:GetObject", false},
	{http.MethodHead, "", "s3:GetObject", false},
}

// permissionHint says which permission the credentials lack.
func (j judge) permissionHint(req *http.Request) string {
	bucket := "arn:aws:s3:::" + j.bucket
	query := req.URL.Query()
	for _, p := range permissions {
		if p.method != req.Method || p.query != "" && !query.Has(p.query) {
			continue
		}
		if p.bucket {
			return fmt.Sprintf("these credentials need the permission %s for %s", p.action, bucket)
		}
		hint := fmt.Sprintf("these credentials need the permission %s for %s/%s*", p.action, bucket, j.base)
		if p.action == "s3:GetObject" {
			// Source: Amazon S3 API reference, "HeadObject", Permissions.
			hint += ", and s3:ListBucket for " + bucket + ", without which what isn't there counts as forbidden"
		}
		return hint
	}
	return "these credentials are not allowed to do it; is it the right bucket?"
}

// errText is an error that says s.
func errText(s string) error { return errors.New(s) }
