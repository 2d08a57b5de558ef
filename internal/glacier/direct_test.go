package glacier

import (
	"io"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/aws-sdk-go-v2/service/glacier/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// payloadHash is a header that the SDK leaves out where a body is no archive; it may be
// there.
const payloadHash = "X-Amz-Content-Sha256"

// TestDirectLikeTheSDK: the requests that firn sends by itself go where the SDK would
// have sent them, and say and sign the same.
func TestDirectLikeTheSDK(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		cfg         Config
	}{
		"a region":           {cfg: Config{Region: "eu-west-1"}},
		"China":              {cfg: Config{Region: "cn-north-1"}},
		"FIPS":               {map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, Config{Region: "us-east-1"}},
		"dual stack":         {map[string]string{"AWS_USE_DUALSTACK_ENDPOINT": "true"}, Config{Region: "eu-west-1"}},
		"another server":     {cfg: Config{Endpoint: "http://127.0.0.1:9000"}},
		"below a path":       {cfg: Config{Endpoint: "https://store.example/of/vaults/"}},
		"by the environment": {map[string]string{"AWS_ENDPOINT_URL_GLACIER": "https://store.example"}, Config{Region: "eu-west-1"}},
		"a session":          {map[string]string{"AWS_SESSION_TOKEN": "token"}, Config{Region: "eu-west-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.AWS(t, c.environment)
			tape := &storetest.Tape{Answer: http.Header{"X-Amz-Archive-Id": {"id"}, "X-Amz-Job-Id": {"id"}}}
			c.cfg.Transport, c.cfg.Vault = tape, "a.vault_-1"
			v, err := Open(t.Context(), c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			storeBoth(t, v, tape)
			askBoth(t, v, tape)
			readBoth(t, v, tape)
		})
	}
}

func storeBoth(t *testing.T, v *Vault, tape *storetest.Tape) {
	double := treehash.NewDouble()
	double.Write([]byte("alpha"))
	sums := double.Sums()
	body := io.NewSectionReader(strings.NewReader("alpha"), 0, 5)
	description, tree := "two  blanks", sums.Tree.String()
	x := v.begin(t.Context(), "upload", "it")
	_, err := v.client.UploadArchive(x.Ctx, &sdk.UploadArchiveInput{
		AccountId: ownAccount(), VaultName: &v.name, ArchiveDescription: &description, Body: body, Checksum: &tree,
	}, preset(sums))
	if err := x.End(err); err != nil {
		t.Fatal(err)
	}
	if id, err := v.UploadArchive(t.Context(), description, body, sums); err != nil || id != "id" {
		t.Fatal(id, err)
	}
	tape.Same(t, "storing")
}

func askBoth(t *testing.T, v *Vault, tape *storetest.Tape) {
	kind, archive, tier, bytes, description := typeArchive, "an/archive", "Bulk", "0-1048575", `a "job"`
	x := v.begin(t.Context(), "ask", "for it")
	_, err := v.client.InitiateJob(x.Ctx, &sdk.InitiateJobInput{AccountId: ownAccount(), VaultName: &v.name, JobParameters: &types.JobParameters{
		Type: &kind, ArchiveId: &archive, Tier: &tier, RetrievalByteRange: &bytes, Description: &description,
	}}, withoutTreeHash)
	if err := x.End(err); err != nil {
		t.Fatal(err)
	}
	spec := firn.RetrievalSpec{Archive: firn.ArchiveID(archive), Tier: firn.Bulk, Range: &firn.Range{End: 1 << 20}, Description: description}
	if id, err := v.StartRetrieval(t.Context(), spec); err != nil || id != "id" {
		t.Fatal(id, err)
	}
	tape.Same(t, "asking", payloadHash)
}

func readBoth(t *testing.T, v *Vault, tape *storetest.Tape) {
	job, bytes := "a/job", "bytes=5-9"
	x := v.begin(t.Context(), "read", "it")
	x.Streams = true
	_, err := v.client.GetJobOutput(x.Ctx, &sdk.GetJobOutputInput{AccountId: ownAccount(), VaultName: &v.name, JobId: &job, Range: &bytes})
	if err := x.End(err); err != nil {
		t.Fatal(err)
	}
	v.Output(t.Context(), firn.JobID(job), firn.Range{Start: 5, End: 10}) // of which the answer makes no sense
	tape.Same(t, "reading", payloadHash)
}
