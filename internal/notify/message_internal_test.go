package notify

import (
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/queuetest"
)

// told is the message about a job that Amazon's guide shows, in short.
const told = `{"Action":"ArchiveRetrieval","ArchiveId":"NkbB","ArchiveSizeInBytes":16777216,"Completed":true,
"CompletionDate":"2012-05-15T17:21:39.339Z","CreationDate":"2012-05-15T17:21:39.339Z","InventorySizeInBytes":null,
"JobDescription":"My archive retrieval job","JobId":"HkF9p6","SHA256TreeHash":"beb0fe","SNSTopic":"arn:aws:sns:us-west-2:012345678901:mytopic",
"StatusCode":"Succeeded","StatusMessage":"Succeeded","VaultARN":"arn:aws:glacier:us-west-2:012345678901:vaults/examplevault"}`

func TestParseNotice(t *testing.T) {
	const vault = "arn:aws:glacier:us-west-2:012345678901:vaults/examplevault"
	done := notice{vault: vault, job: "HkF9p6", done: true}
	for name, c := range map[string]struct {
		body string
		want notice
		err  string
	}{
		"raw":                {body: told, want: done},
		"in an envelope":     {body: queuetest.Envelope("arn:aws:sns:us-west-2:012345678901:mytopic", told), want: done},
		"failed":             {body: `{"Completed":true,"JobId":"j","StatusCode":"Failed","VaultARN":"v"}`, want: notice{"v", "j", true}},
		"without Completed":  {body: `{"JobId":"j","StatusCode":"Succeeded","VaultARN":"v"}`, want: notice{"v", "j", true}},
		"under way":          {body: `{"Completed":false,"JobId":"j","StatusCode":"InProgress","VaultARN":"v"}`, want: notice{"v", "j", false}},
		"nulls":              {body: `{"Completed":null,"JobId":"j","StatusCode":null,"VaultARN":"v"}`, want: notice{"v", "j", false}},
		"a confirmation":     {body: `{"Type":"SubscriptionConfirmation","Token":"t","Message":"You have chosen"}`},
		"nothing":            {err: "unexpected end"},
		"an empty envelope":  {body: `{"Type":"Notification"}`, err: "unexpected end"},
		"a text":             {body: `{"Type":"Notification","Message":"hello"}`, err: "invalid character"},
		"no vault":           {body: `{"JobId":"j"}`, err: "about no job"},
		"no job":             {body: `{"VaultARN":"v"}`, err: "about no job"},
		"another kind":       {body: `{"VaultARN":["v"],"JobId":"j"}`, err: "cannot unmarshal"},
		"a list":             {body: `[]`, err: "cannot unmarshal"},
		"null":               {body: `null`, err: "about no job"},
		"an odd type":        {body: `{"Type":1,"VaultARN":"v","JobId":"j","Completed":true}`, want: notice{"v", "j", true}},
		"two envelopes":      {body: queuetest.Envelope("t", queuetest.Envelope("t", told)), err: "about no job"},
		"too long":           {body: strings.Repeat(" ", maxMessage) + "{}", err: "bytes"},
		"something after it": {body: told + "x", err: "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseNotice(c.body)
			if c.err == "" && (err != nil || got != c.want) {
				t.Errorf("%+v, %v", got, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%+v, %v; want %q", got, err, c.err)
			}
		})
	}
}

// FuzzParseNotice: what anybody may send does no harm, and what is read of it is
// about a vault and a job.
func FuzzParseNotice(f *testing.F) {
	for _, body := range []string{told, queuetest.Envelope("t", told), `{"Type":"Notification","Message":"{}"}`, `{"Type":"SubscriptionConfirmation"}`, "", "null", `{"VaultARN":"\u0000","JobId":"\ud800"}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		n, err := parseNotice(body)
		if err != nil && n != (notice{}) {
			t.Errorf("%+v with %v", n, err)
		}
		if (n.vault == "") != (n.job == "") || n.done && n.vault == "" {
			t.Errorf("%+v", n)
		}
	})
}

func TestNames(t *testing.T) {
	for vault, want := range map[string]string{
		"photos":                 "firn-photos-689f6a62",
		"my.vault":               "firn-my-vault-689f6a62",
		strings.Repeat("v", 255): "firn-" + strings.Repeat("v", 60) + "-689f6a62",
	} {
		if got := named(vault, "identity"); got != want || len(got) > 80 {
			t.Errorf("%s: %s, want %s", vault, got, want)
		}
	}
	if named("v", "a", "b") == named("v", "ab") {
		t.Error("other keys, and the same name")
	}
}
