package glacier

import (
	"cmp"
	"io"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/aws-sdk-go-v2/service/glacier/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A tape takes down requests with their bodies, and answers them all.
type tape struct {
	requests []*http.Request
	bodies   []string
}

func (t *tape) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte(nil)
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	t.requests, t.bodies = append(t.requests, r), append(t.bodies, string(body))
	h := http.Header{"X-Amz-Archive-Id": {"id"}, "X-Amz-Job-Id": {"id"}}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody, Request: r}, nil
}

// of gives what the request i comes to: where it goes, what it is signed with, and what
// it says, but for what is the SDK's own, or of the moment.
func (t *tape) of(i int) map[string]string {
	r := t.requests[i]
	told := map[string]string{"to": r.Method + " " + r.URL.Scheme + "://" + cmp.Or(r.Host, r.URL.Host) + " " + r.URL.EscapedPath(), "body": t.bodies[i]}
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "/")
	told["signed for"], _, _ = strings.Cut(scope, ",")
	for name := range r.Header {
		switch name {
		case "Authorization", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "User-Agent", "X-Amz-Date":
		default:
			told[name] = strings.Join(r.Header.Values(name), ",")
		}
	}
	return told
}

// same compares the last two requests, of which the SDK sent the first.
func (t *tape) same(test *testing.T, what string) {
	test.Helper()
	want, got := t.of(len(t.requests)-2), t.of(len(t.requests)-1)
	for name, value := range want {
		if got[name] != value {
			test.Errorf("%s: %s: %q; of the SDK's: %q", what, name, got[name], value)
		}
	}
	for name := range got {
		// The SDK leaves this out where there is no body; it may be there.
		if _, ok := want[name]; !ok && name != "X-Amz-Content-Sha256" {
			test.Errorf("%s: %s: %q, which the SDK doesn't send", what, name, got[name])
		}
	}
}

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
			for key, value := range map[string]string{
				"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "",
				"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_GLACIER": "",
			} {
				t.Setenv(key, value)
			}
			for key, value := range c.environment {
				t.Setenv(key, value)
			}
			tape := &tape{}
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

func storeBoth(t *testing.T, v *Vault, tape *tape) {
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
	tape.same(t, "storing")
}

func askBoth(t *testing.T, v *Vault, tape *tape) {
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
	tape.same(t, "asking")
}

func readBoth(t *testing.T, v *Vault, tape *tape) {
	job, bytes := "a/job", "bytes=5-9"
	x := v.begin(t.Context(), "read", "it")
	x.Streams = true
	_, err := v.client.GetJobOutput(x.Ctx, &sdk.GetJobOutputInput{AccountId: ownAccount(), VaultName: &v.name, JobId: &job, Range: &bytes})
	if err := x.End(err); err != nil {
		t.Fatal(err)
	}
	v.Output(t.Context(), firn.JobID(job), firn.Range{Start: 5, End: 10}) // of which the answer makes no sense
	tape.same(t, "reading")
}
