package glacierd_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/glacierd"
)

func TestNotifications(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	const path = "/-/vaults/v/notification-configuration"
	b.refuse(404, "ResourceNotFoundException", "No notification configuration", "GET", path, nil, nil)
	b.do(204, "DELETE", path, nil, nil)
	for _, events := range [][]any{{"ArchiveRetrievalCompleted", "InventoryRetrievalCompleted"}, {"InventoryRetrievalCompleted"}} {
		want := map[string]any{"SNSTopic": "arn:aws:sns:us-east-1:0:topic", "Events": events}
		body, _ := json.Marshal(want)
		b.do(204, "PUT", path, nil, body)
		if diff := cmp.Diff(want, b.get(path)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for body, text := range map[string]string{
		`{}`: "SNSTopic", `{"SNSTopic":"topic","Events":["ArchiveRetrievalCompleted"]}`: "SNSTopic",
		`{"SNSTopic":"arn:t","Events":["Other"]}`: "Invalid event: Other", `{"SNSTopic":"arn:t","Events":"x"}`: "Events",
		`{"SNSTopic":"arn:t","Events":[]}`: "Events", `{"SNSTopic":"arn:t"}`: "Events", `x`: "JSON", ``: "no body",
	} {
		if r := b.do(400, "PUT", path, nil, []byte(body)); !strings.Contains(string(r.body), text) {
			t.Errorf("%s: %s", body, r.body)
		}
	}
	b.do(204, "DELETE", path, nil, nil)
	b.do(404, "GET", path, nil, nil)
}

func policyBody(text string) []byte {
	body, _ := json.Marshal(map[string]string{"Policy": text})
	return body
}

const emptyPolicy = `{"Version":"2012-10-17","Statement":[]}`

func TestAccessPolicy(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	const path = "/-/vaults/v/access-policy"
	b.refuse(404, "ResourceNotFoundException", "No vault access policy", "GET", path, nil, nil)
	b.do(204, "DELETE", path, nil, nil)
	b.do(204, "PUT", path, nil, policyBody(emptyPolicy))
	if got := b.get(path)["Policy"]; got != emptyPolicy {
		t.Errorf("policy %v", got)
	}
	big := strings.Replace(emptyPolicy, "[]", "["+strings.Repeat(" ", 20<<10)+"]", 1)
	for body, text := range map[string]string{
		`{}`: "Required parameter missing: Policy", `{"Policy":""}`: "Policy", `{"Policy":{}}`: "Policy",
		string(policyBody("x")): "Invalid policy", string(policyBody("{}")): "Statement", string(policyBody(`{"Statement":[{"Effect":"Maybe"}]}`)): "Effect",
		string(policyBody(big)): "more than 20480",
	} {
		if r := b.do(400, "PUT", path, nil, []byte(body)); !strings.Contains(string(r.body), text) {
			t.Errorf("%.100s: %s", body, r.body)
		}
	}
	b.do(204, "DELETE", path, nil, nil)
	b.do(404, "GET", path, nil, nil)
}

// A lock is proposed, tried out for a day, and then for ever or gone.
func TestVaultLock(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	const path = "/-/vaults/v/lock-policy"
	propose := func() string {
		return b.do(201, "POST", path, nil, policyBody(emptyPolicy)).header.Get("x-amz-lock-id")
	}
	none := func() { t.Helper(); b.refuse(404, "ResourceNotFoundException", "No vault lock", "GET", path, nil, nil) }
	none()
	b.do(204, "DELETE", path, nil, nil) // nothing is set
	b.refuse(404, "ResourceNotFoundException", "No vault lock", "POST", path+"/id", nil, nil)

	id := propose()
	want := map[string]any{"Policy": emptyPolicy, "State": "InProgress", "CreationDate": "2026-03-02T10:30:15.250Z", "ExpirationDate": "2026-03-03T10:30:15.250Z"}
	if diff := cmp.Diff(want, b.get(path)); diff != "" {
		t.Errorf("in progress (-want +got):\n%s", diff)
	}
	b.refuse(403, "AccessDeniedException", "already InProgress", "POST", path, nil, policyBody(emptyPolicy))
	b.refuse(400, "InvalidParameterValueException", "Invalid lock ID: other", "POST", path+"/other", nil, nil)
	b.do(204, "DELETE", path, nil, nil)
	none()

	propose()
	b.clock.advance(day)
	none() // expired
	b.refuse(404, "ResourceNotFoundException", "No vault lock", "POST", path+"/"+id, nil, nil)

	id = propose()
	for range 2 {
		b.do(204, "POST", path+"/"+id, nil, nil)
	}
	b.clock.advance(10 * day)
	want = map[string]any{"Policy": emptyPolicy, "State": "Locked", "CreationDate": "2026-03-03T10:30:15.250Z", "ExpirationDate": nil}
	if diff := cmp.Diff(want, b.get(path)); diff != "" {
		t.Errorf("locked (-want +got):\n%s", diff)
	}
	b.refuse(403, "AccessDeniedException", "another lock id", "POST", path+"/other", nil, nil)
	b.refuse(403, "AccessDeniedException", "can't be aborted", "DELETE", path, nil, nil)
	b.refuse(403, "AccessDeniedException", "already Locked", "POST", path, nil, policyBody(emptyPolicy))
}

// The lock that people use most: nothing younger than a year is deleted.
func TestLockKeepsYoungArchives(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	lock := `{"Version":"2012-10-17","Statement":[{"Sid":"keep","Principal":"*","Effect":"Deny","Action":"glacier:DeleteArchive",
		"Resource":["` + arn + `v"],"Condition":{"NumericLessThan":{"glacier:ArchiveAgeInDays":"365"}}}]}`
	archive := b.upload("v", []byte("x"), "")
	r := b.do(201, "POST", "/-/vaults/v/lock-policy", nil, policyBody(lock)) // counts while it is tried out, too
	denied := func() {
		t.Helper()
		b.refuse(403, "AccessDeniedException", "not authorized to perform: glacier:DeleteArchive on resource: "+arn+"v with an explicit deny", "DELETE", "/-/vaults/v/archives/"+archive, nil, nil)
	}
	denied()
	b.do(204, "POST", "/-/vaults/v/lock-policy/"+r.header.Get("x-amz-lock-id"), nil, nil)
	b.clock.advance(365*day - time.Millisecond)
	denied()
	b.job("v", "Type", "inventory-retrieval") // other operations go on
	b.clock.advance(time.Millisecond)
	b.do(204, "DELETE", "/-/vaults/v/archives/"+archive, nil, nil)
}

// TestDeniedUploadsLeaveNothing: whether it is looked before the body comes, or after.
func TestDeniedUploadsLeaveNothing(t *testing.T) {
	root := t.TempDir()
	b := newBench(t, atOnce, func(cfg *glacierd.Config) { cfg.Root = root })
	b.createVault("v")
	b.do(204, "PUT", "/-/vaults/v/access-policy", nil, policyBody(`{"Version":"2012-10-17","Statement":[{"Principal":"*","Effect":"Deny","Action":"glacier:UploadArchive","Resource":"`+arn+`v"}]}`))
	for _, size := range []int{3, 2 << 20} {
		body := pattern(size)
		b.refuse(403, "AccessDeniedException", "glacier:UploadArchive", "POST", "/-/vaults/v/archives", uploadHeaders(body), body)
	}
	filepath.WalkDir(filepath.Join(root, "v", "archives"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			t.Errorf("%s is left", path)
		}
		return nil
	})
}

func TestPolicyStatements(t *testing.T) {
	const applies, not = true, false
	for statement, want := range map[string]bool{
		`"Principal":"*","Action":"glacier:UploadArchive"`:                            applies,
		`"Principal":{"AWS":"*"},"Action":["x:y","glacier:Upload*"]`:                  applies,
		`"Principal":{"AWS":["arn:aws:iam::000000000000:root"]},"Action":"glacier:*"`: applies,
		`"Principal":{"AWS":"000000000000"},"Action":"*"`:                             applies,
		`"Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"*"`:           not,
		`"Principal":{"Service":"x"},"Action":"*"`:                                    not,
		`"Action":"*"`: not,
		`"Principal":"*","Action":"glacier:DeleteArchive"`:                                                                     not,
		`"Principal":"*","Action":"glacier:uploadarchiv?"`:                                                                     not,
		`"Principal":"*","Action":"glacier:UploadArchiv?"`:                                                                     applies,
		`"Principal":"*","NotAction":"glacier:DeleteArchive"`:                                                                  not,
		`"Principal":"*","Action":"*","Resource":"` + arn + `v"`:                                                               applies,
		`"Principal":"*","Action":"*","Resource":"arn:aws:glacier:eu-west-1:000000000000:vaults/v"`:                            applies, // regions are each client's own
		`"Principal":"*","Action":"*","Resource":["` + arn + `w","` + arn + `*"]`:                                              applies,
		`"Principal":"*","Action":"*","Resource":"` + arn + `w"`:                                                               not,
		`"Principal":"*","Action":"*","Condition":{"StringEquals":{"glacier:ResourceTag/hold":"true"}}`:                        applies,
		`"Principal":"*","Action":"*","Condition":{"StringLike":{"glacier:resourcetag/hold":["x","t*"]}}`:                      applies,
		`"Principal":"*","Action":"*","Condition":{"StringNotEquals":{"glacier:ResourceTag/hold":"true"}}`:                     not,
		`"Principal":"*","Action":"*","Condition":{"StringNotLike":{"glacier:ResourceTag/hold":"f*"}}`:                         applies,
		`"Principal":"*","Action":"*","Condition":{"StringEqualsIgnoreCase":{"glacier:ResourceTag/hold":"TRUE"}}`:              applies,
		`"Principal":"*","Action":"*","Condition":{"StringEquals":{"glacier:ResourceTag/other":"true"}}`:                       not,
		`"Principal":"*","Action":"*","Condition":{"NumericLessThan":{"glacier:ArchiveAgeInDays":"365"}}`:                      not, // no archive is concerned
		`"Principal":"*","Action":"*","Condition":{"Bool":{"aws:MultiFactorAuthAge":"true"}}`:                                  not,
		`"Principal":"*","Action":"*","Condition":{"Bool":{"glacier:ResourceTag/hold":"true"}}`:                                not,
		`"Principal":"*","Action":"*","Condition":{"StringEquals":{"glacier:ResourceTag/hold":"true","aws:UserAgent":"boto"}}`: not,
	} {
		b := newBench(t, atOnce) // some of them deny even their own removal
		b.createVault("v")
		b.do(204, "POST", "/-/vaults/v/tags?operation=add", nil, []byte(`{"Tags":{"hold":"true"}}`))
		single := `{"Statement":{"Effect":"Deny",` + statement + `}}` // needs no list
		b.do(204, "PUT", "/-/vaults/v/access-policy", nil, policyBody(single))
		r, err := b.try("POST", "/-/vaults/v/archives", uploadHeaders([]byte("x")), []byte("x"))
		if err != nil || (r.status == 403) != want {
			t.Errorf("%s: %d %s, %v", statement, r.status, r.body, err)
		}
		allow := `{"Statement":[{"Effect":"Allow",` + statement + `}]}`
		if r, err := b.try("PUT", "/-/vaults/v/access-policy", nil, policyBody(allow)); err == nil && r.status == 204 {
			b.upload("v", []byte("x"), "")
		}
	}
}

func TestArchiveAgeOperators(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	archive := b.upload("v", []byte("x"), "")
	b.clock.advance(10 * day)
	for condition, denied := range map[string]bool{
		`"NumericLessThan":{"glacier:ArchiveAgeInDays":"10"}`:         false,
		`"NumericLessThanEquals":{"glacier:ArchiveAgeInDays":10}`:     true,
		`"NumericGreaterThan":{"glacier:ArchiveAgeInDays":"10"}`:      false,
		`"NumericGreaterThanEquals":{"glacier:ArchiveAgeInDays":"9"}`: true,
		`"NumericEquals":{"glacier:ArchiveAgeInDays":["1","10"]}`:     true,
		`"NumericNotEquals":{"glacier:ArchiveAgeInDays":"10"}`:        false,
		`"NumericEquals":{"glacier:ArchiveAgeInDays":"ten"}`:          false,
	} {
		b.do(204, "PUT", "/-/vaults/v/access-policy", nil,
			policyBody(`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"glacier:DeleteArchive","Condition":{`+condition+`}}]}`))
		r, err := b.try("DELETE", "/-/vaults/v/archives/"+archive, nil, nil)
		if err != nil || (r.status == 403) != denied {
			t.Errorf("%s: %d %s, %v", condition, r.status, r.body, err)
		}
		if r.status == 204 {
			archive = b.upload("v", []byte("x"), "")
			b.clock.advance(10 * day)
		}
	}
}

func TestTags(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	const path = "/-/vaults/v/tags"
	expect := func(want map[string]any) {
		t.Helper()
		if diff := cmp.Diff(map[string]any{"Tags": want}, b.get(path)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	add := func(tags map[string]string) response {
		body, _ := json.Marshal(map[string]any{"Tags": tags})
		r, err := b.try("POST", path+"?operation=add", nil, body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	expect(map[string]any{})
	long := strings.Repeat("k", 128)
	for _, tags := range []map[string]string{{"a": "1", "A": "2", "ümlaut": "ja", "x_./=+-@ y": ""}, {"a": "3", long: strings.Repeat("v", 255)}} {
		if r := add(tags); r.status != 204 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	expect(map[string]any{"a": "3", "A": "2", "ümlaut": "ja", "x_./=+-@ y": "", long: strings.Repeat("v", 255)})
	b.do(204, "POST", path+"?operation=remove", nil, []byte(`{"TagKeys":["A","unknown","`+long+`"]}`))
	expect(map[string]any{"a": "3", "ümlaut": "ja", "x_./=+-@ y": ""})

	eleven := map[string]string{}
	for i := range 11 {
		eleven[fmt.Sprint(i)] = ""
	}
	for name, tags := range map[string]map[string]string{
		"none": {}, "eleven": eleven, "empty key": {"": "x"}, "long key": {long + "k": ""}, "long value": {"k": strings.Repeat("v", 256)},
		"aws": {"aws:x": ""}, "odd key": {"a*": ""}, "odd value": {"a": "b\n"},
	} {
		if r := add(tags); r.status != 400 || !strings.Contains(string(r.body), "InvalidParameterValueException") {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	for i := range 5 {
		tags := map[string]string{}
		for j := range 10 {
			tags[fmt.Sprint("n", i, j)] = "v"
		}
		r := add(tags)
		if want := i < 4; (r.status == 204) != want { // with the three from above
			t.Errorf("tags %d to %d: %d %s", 10*i+4, 10*i+13, r.status, r.body)
		}
		if i == 4 && !strings.Contains(string(r.body), "LimitExceededException") {
			t.Errorf("%s", r.body)
		}
	}
	if n := len(b.get(path)["Tags"].(map[string]any)); n != 43 {
		t.Errorf("%d tags, want 43: a call that is refused adds none", n)
	}
	for _, body := range []string{`{}`, `{"TagKeys":[]}`, `{"TagKeys":["1","2","3","4","5","6","7","8","9","10","11"]}`} {
		b.refuse(400, "InvalidParameterValueException", "TagKeys", "POST", path+"?operation=remove", nil, []byte(body))
	}
	b.refuse(400, "BadRequest", "no operation", "POST", path, nil, []byte(`{}`))
}

func TestDataRetrievalPolicy(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	const path = "/-/policies/data-retrieval"
	rule := func(strategy string, perHour any) map[string]any {
		return map[string]any{"Policy": map[string]any{"Rules": []any{map[string]any{"Strategy": strategy, "BytesPerHour": perHour}}}}
	}
	expect := func(want map[string]any) {
		t.Helper()
		if diff := cmp.Diff(want, b.get(path)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	expect(rule("None", nil))
	b.do(204, "PUT", path, nil, []byte(`{"Policy":{"Rules":[{"Strategy":"FreeTier"}]}}`))
	expect(rule("FreeTier", nil))
	b.do(204, "PUT", path, nil, []byte(`{"Policy":{"Rules":[{"Strategy":"BytesPerHour","BytesPerHour":4194304}]}}`))
	expect(rule("BytesPerHour", 4194304.0))
	for body, text := range map[string]string{
		`{}`: "0 rules", `{"Policy":{}}`: "0 rules", `{"Policy":{"Rules":[{"Strategy":"None"},{"Strategy":"None"}]}}`: "2 rules",
		`{"Policy":{"Rules":[{}]}}`: "Strategy", `{"Policy":{"Rules":[{"Strategy":"Half"}]}}`: "Invalid strategy: Half",
		`{"Policy":{"Rules":[{"Strategy":"BytesPerHour"}]}}`: "BytesPerHour", `{"Policy":{"Rules":[{"Strategy":"BytesPerHour","BytesPerHour":0}]}}`: "BytesPerHour",
		`{"Policy":{"Rules":[{"Strategy":"None","BytesPerHour":1}]}}`:                           "does not belong",
		`{"Policy":{"Rules":[{"Strategy":"BytesPerHour","BytesPerHour":9999999999999999999}]}}`: "BytesPerHour",
	} {
		if r := b.do(400, "PUT", path, nil, []byte(body)); !strings.Contains(string(r.body), text) {
			t.Errorf("%s: %s", body, r.body)
		}
	}

	// 4 MiB an hour are allowed now.
	archive := b.upload("v", pattern(3*mib), "")
	get := func(fields ...string) []byte {
		return jobBody(append([]string{"Type", "archive-retrieval", "ArchiveId", archive}, fields...)...)
	}
	enforced := func(fields ...string) {
		t.Helper()
		b.refuse(400, "PolicyEnforcedException", "denied by current data retrieval policy", "POST", jobsPath, nil, get(fields...))
	}
	b.do(202, "POST", jobsPath, nil, get())
	enforced()
	b.do(202, "POST", jobsPath, nil, get("RetrievalByteRange", "0-1048575"))
	enforced("RetrievalByteRange", "0-1048575")
	b.do(202, "POST", jobsPath, nil, get("Tier", "Bulk"))
	b.do(202, "POST", jobsPath, nil, get("Tier", "Expedited"))
	b.clock.advance(day)
	b.do(202, "POST", jobsPath, nil, jobBody("Type", "inventory-retrieval"))
	b.do(202, "POST", jobsPath, nil, get("Tier", "Standard"))
	b.clock.advance(time.Hour - time.Millisecond)
	enforced()
	b.clock.advance(time.Millisecond)
	b.do(202, "POST", jobsPath, nil, get())
	b.do(204, "PUT", path, nil, []byte(`{"Policy":{"Rules":[{"Strategy":"None"}]}}`))
	b.do(202, "POST", jobsPath, nil, get())
}

func TestFreeTier(t *testing.T) {
	root := t.TempDir()
	b := newBench(t, func(c *glacierd.Config) { c.Root = root })
	b.createVault("v")
	archive := b.upload("v", pattern(1), "")
	b.do(204, "PUT", "/-/policies/data-retrieval", nil, []byte(`{"Policy":{"Rules":[{"Strategy":"FreeTier"}]}}`))
	b.do(202, "POST", jobsPath, nil, jobBody("Type", "archive-retrieval", "ArchiveId", archive))
	spend(t, root, start, 10<<30-1) // now 10 GiB of the month are gone
	b.refuse(400, "PolicyEnforcedException", "", "POST", jobsPath, nil, jobBody("Type", "archive-retrieval", "ArchiveId", archive))
	b.clock.advance(30 * day) // April
	b.do(202, "POST", jobsPath, nil, jobBody("Type", "archive-retrieval", "ArchiveId", archive))
}

// spend notes a retrieval of so many bytes behind the server's back.
func spend(t *testing.T, root string, at time.Time, bytes int64) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(root, "+account", "account.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO retrieval VALUES (?, ?)", at.UnixMilli(), bytes); err != nil {
		t.Fatal(err)
	}
}

func TestProvisionedCapacity(t *testing.T) {
	b := newBench(t)
	const path = "/-/provisioned-capacity"
	if diff := cmp.Diff(map[string]any{"ProvisionedCapacityList": []any{}}, b.get(path)); diff != "" {
		t.Errorf("none (-want +got):\n%s", diff)
	}
	buy := func() string { return b.do(201, "POST", path, nil, nil).header.Get("x-amz-capacity-id") }
	one := buy()
	b.clock.advance(29 * day) // 31 March
	two := buy()
	b.refuse(400, "LimitExceededException", "2 provisioned capacity units", "POST", path, nil, nil)
	want := []any{
		map[string]any{"CapacityId": one, "StartDate": "2026-03-02T10:30:15.250Z", "ExpirationDate": "2026-04-02T10:30:15.250Z"},
		map[string]any{"CapacityId": two, "StartDate": "2026-03-31T10:30:15.250Z", "ExpirationDate": "2026-04-30T10:30:15.250Z"},
	}
	if diff := cmp.Diff(map[string]any{"ProvisionedCapacityList": want}, b.get(path)); diff != "" {
		t.Errorf("two (-want +got):\n%s", diff)
	}
	b.clock.advance(2 * day)
	if diff := cmp.Diff(map[string]any{"ProvisionedCapacityList": want[1:]}, b.get(path)); diff != "" {
		t.Errorf("one expired (-want +got):\n%s", diff)
	}
	buy()
}
