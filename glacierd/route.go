package glacierd

import (
	"net/http"
	"net/url"
	"strings"
)

// An operation is one of the calls that the service answers.
type operation struct {
	name   string
	method string
	// path has the segments behind the account; {v} is a vault, {i} the id of
	// something inside it.
	path []string
	// query is the value that the parameter "operation" must have, if any.
	query string
	// streams: the body is an archive or a part, to be read by the handler.
	streams bool
	run     func(*call) error
}

// operations is the table of the service. Source: Amazon Glacier API reference,
// "Operations".
func operations() []operation {
	op := func(name, method, path string, run func(*call) error) operation {
		return operation{name: name, method: method, path: strings.Split(path, "/"), run: run}
	}
	table := []operation{
		op("CreateVault", "PUT", "vaults/{v}", createVault),
		op("DescribeVault", "GET", "vaults/{v}", inVault(describeVault)),
		op("ListVaults", "GET", "vaults", listVaults),
		op("DeleteVault", "DELETE", "vaults/{v}", deleteVault),
		op("UploadArchive", "POST", "vaults/{v}/archives", inVault(uploadArchive)),
		op("DeleteArchive", "DELETE", "vaults/{v}/archives/{i}", inVault(deleteArchive)),
		op("InitiateMultipartUpload", "POST", "vaults/{v}/multipart-uploads", inVault(initiateUpload)),
		op("UploadMultipartPart", "PUT", "vaults/{v}/multipart-uploads/{i}", inVault(uploadPart)),
		op("CompleteMultipartUpload", "POST", "vaults/{v}/multipart-uploads/{i}", inVault(completeUpload)),
		op("AbortMultipartUpload", "DELETE", "vaults/{v}/multipart-uploads/{i}", inVault(abortUpload)),
		op("ListMultipartUploads", "GET", "vaults/{v}/multipart-uploads", inVault(listUploads)),
		op("ListParts", "GET", "vaults/{v}/multipart-uploads/{i}", inVault(listParts)),
		op("InitiateJob", "POST", "vaults/{v}/jobs", inVault(initiateJob)),
		op("DescribeJob", "GET", "vaults/{v}/jobs/{i}", inVault(describeJob)),
		op("ListJobs", "GET", "vaults/{v}/jobs", inVault(listJobs)),
		op("GetJobOutput", "GET", "vaults/{v}/jobs/{i}/output", inVault(getJobOutput)),
		op("SetVaultNotifications", "PUT", "vaults/{v}/notification-configuration", inVault(setNotifications)),
		op("GetVaultNotifications", "GET", "vaults/{v}/notification-configuration", inVault(getNotifications)),
		op("DeleteVaultNotifications", "DELETE", "vaults/{v}/notification-configuration", inVault(deleteNotifications)),
		op("SetVaultAccessPolicy", "PUT", "vaults/{v}/access-policy", inVault(setAccessPolicy)),
		op("GetVaultAccessPolicy", "GET", "vaults/{v}/access-policy", inVault(getAccessPolicy)),
		op("DeleteVaultAccessPolicy", "DELETE", "vaults/{v}/access-policy", inVault(deleteAccessPolicy)),
		op("InitiateVaultLock", "POST", "vaults/{v}/lock-policy", inVault(initiateLock)),
		op("CompleteVaultLock", "POST", "vaults/{v}/lock-policy/{i}", inVault(completeLock)),
		op("AbortVaultLock", "DELETE", "vaults/{v}/lock-policy", inVault(abortLock)),
		op("GetVaultLock", "GET", "vaults/{v}/lock-policy", inVault(getLock)),
		op("AddTagsToVault", "POST", "vaults/{v}/tags", inVault(addTags)),
		op("RemoveTagsFromVault", "POST", "vaults/{v}/tags", inVault(removeTags)),
		op("ListTagsForVault", "GET", "vaults/{v}/tags", inVault(listTags)),
		op("SetDataRetrievalPolicy", "PUT", "policies/data-retrieval", setRetrievalPolicy),
		op("GetDataRetrievalPolicy", "GET", "policies/data-retrieval", getRetrievalPolicy),
		op("PurchaseProvisionedCapacity", "POST", "provisioned-capacity", purchaseCapacity),
		op("ListProvisionedCapacity", "GET", "provisioned-capacity", listCapacity),
	}
	for i := range table {
		switch o := &table[i]; o.name {
		case "UploadArchive", "UploadMultipartPart":
			o.streams = true
		case "AddTagsToVault":
			o.query = "add"
		case "RemoveTagsFromVault":
			o.query = "remove"
		}
	}
	return table
}

// A route is what the first line of a request asks for.
type route struct {
	operation
	account, vault, item string
}

// route finds the operation. Without one, the route has no name.
func (s *Server) route(r *http.Request) route {
	segments, ok := segments(r.URL)
	if !ok || len(segments) < 2 {
		return route{}
	}
	found := route{account: segments[0]}
	for _, op := range s.ops {
		if op.method != r.Method || !found.match(op, segments[1:]) {
			continue
		}
		if op.query != "" && r.URL.Query().Get("operation") != op.query {
			continue
		}
		found.operation = op
		return found
	}
	return route{}
}

func (f *route) match(op operation, segments []string) bool {
	if len(op.path) != len(segments) {
		return false
	}
	for i, want := range op.path {
		switch want {
		case "{v}":
			f.vault = segments[i]
		case "{i}":
			f.item = segments[i]
		case segments[i]:
		default:
			return false
		}
	}
	return true
}

// segments cuts a path into its parts, and unescapes them. One slash at the
// end counts for nothing.
func segments(u *url.URL) ([]string, bool) {
	path, ok := strings.CutPrefix(u.EscapedPath(), "/")
	if !ok {
		return nil, false
	}
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for i, p := range parts {
		if !strings.Contains(p, "%") {
			continue
		}
		plain, err := url.PathUnescape(p)
		if err != nil {
			return nil, false
		}
		parts[i] = plain
	}
	return parts, true
}
