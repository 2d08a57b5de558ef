package glacier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
	"github.com/firn-archive/firn/treehash"
)

// apiVersion is the only one. Source: Amazon Glacier API reference, "Common Request
// Headers".
const apiVersion = "2012-06-01"

// noBody is the SHA-256 of nothing, in hexadecimal.
var noBody = hex.EncodeToString(sha256.New().Sum(nil))

// signer makes what signs the requests that there is one of for each archive: to store
// it, to ask for it, to read it. All others go through the SDK.
func (s *service) signer(ctx context.Context) *exchange.Signer {
	o := s.client.Options()
	region, certified := exchange.Region(o.Region)
	to, err := o.EndpointResolverV2.ResolveEndpoint(ctx, sdk.EndpointParameters{
		Region: &region, Endpoint: o.BaseEndpoint,
		UseFIPS:      aws.Bool(certified || o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	return exchange.NewSigner(s.http, o.Credentials, to, err, "glacier", region)
}

// path is that of something of the vault, by the parts of its name below it. Source: API
// reference, "Upload Archive", "Initiate Job", "Get Job Output".
func (v *Vault) path(parts ...string) string {
	path := "/" + *ownAccount() + "/vaults/" + httpbinding.EscapePath(v.name, true)
	for _, part := range parts {
		path += "/" + httpbinding.EscapePath(part, true)
	}
	return path
}

// header begins the headers of a request.
func header() http.Header {
	h := make(http.Header, 12) // with those that signing and sending add
	h["X-Amz-Glacier-Version"] = []string{apiVersion}
	return h
}

// storing is the request that stores an archive.
func (v *Vault) storing(description string, body *io.SectionReader, sums treehash.Sums) exchange.Request {
	h := header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Amz-Sha256-Tree-Hash", sums.Tree.String())
	h.Set("X-Amz-Archive-Description", description)
	return exchange.Request{
		Method: http.MethodPost, Path: v.path("archives"), Header: h,
		Body: body, Hash: hex.EncodeToString(sums.Linear[:]),
	}
}

// asking is the request for an archive or a range of it.
func (v *Vault) asking(spec firn.RetrievalSpec, tier string) (exchange.Request, error) {
	params := struct {
		ArchiveID          string `json:"ArchiveId"`
		Description        string `json:",omitempty"`
		RetrievalByteRange string `json:",omitempty"`
		Tier, Type         string
	}{ArchiveID: string(spec.Archive), Description: spec.Description, Tier: tier, Type: typeArchive}
	if spec.Range != nil {
		params.RetrievalByteRange = formatRange(*spec.Range)
	}
	body, err := json.Marshal(params)
	if err != nil {
		return exchange.Request{}, err
	}
	h := header()
	h.Set("Content-Type", "application/json")
	sum := sha256.Sum256(body)
	return exchange.Request{
		Method: http.MethodPost, Path: v.path("jobs"), Header: h,
		Body: io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))), Hash: hex.EncodeToString(sum[:]),
	}, nil
}

// reading is the request for part of a job's output.
func (v *Vault) reading(job firn.JobID, at firn.Range) exchange.Request {
	h := header()
	h.Set("Range", "bytes="+formatRange(at))
	return exchange.Request{Method: http.MethodGet, Path: v.path("jobs", string(job), "output"), Header: h, Hash: noBody}
}
