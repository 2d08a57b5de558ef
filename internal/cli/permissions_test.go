package cli

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
)

// vaultOps are the operations of the service that are about one vault, but those by
// which these tests themselves say what is allowed.
var vaultOps = []string{
	"AbortMultipartUpload", "AbortVaultLock", "AddTagsToVault", "CompleteMultipartUpload", "CompleteVaultLock", "CreateVault", "DeleteArchive", "DeleteVault",
	"DeleteVaultAccessPolicy", "DeleteVaultNotifications", "DescribeJob", "DescribeVault", "GetJobOutput", "GetVaultLock", "GetVaultNotifications",
	"InitiateJob", "InitiateMultipartUpload", "InitiateVaultLock", "ListJobs", "ListMultipartUploads", "ListParts", "ListTagsForVault",
	"RemoveTagsFromVault", "SetVaultNotifications", "UploadArchive", "UploadMultipartPart",
}

// documentedPolicies reads docs/permissions.md: the actions of each policy there, by
// the heading that it stands under.
func documentedPolicies(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/permissions.md")
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string][]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		_, block, found := strings.Cut(body, "```json\n")
		if !found {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		var policy struct {
			Version   string
			Statement []struct {
				Effect   string
				Action   []string
				Resource string
			}
		}
		if err := json.Unmarshal([]byte(block), &policy); err != nil {
			t.Fatalf("%s: %v", heading, err)
		}
		for _, s := range policy.Statement {
			if s.Effect != "Allow" {
				continue
			}
			for _, action := range s.Action {
				op, ours := strings.CutPrefix(action, "glacier:")
				if !ours || !strings.HasPrefix(s.Resource, "arn:aws:glacier:") {
					t.Errorf("%s: %s on %s", heading, action, s.Resource)
				}
				policies[heading] = append(policies[heading], op)
			}
		}
		slices.Sort(policies[heading])
	}
	return policies
}

// A permitWorld is a jobWorld whose service does only what is allowed, and tells
// what it was asked for.
type permitWorld struct {
	*jobWorld
	faults *glacierd.Faults

	allowed []string

	mu  sync.Mutex
	ops map[string]bool
}

func newPermitWorld(t *testing.T) *permitWorld {
	// The Date of answers is real: by it all that is stored here is 200 days old.
	long := time.Now().Add(-200 * 24 * time.Hour)
	w := &permitWorld{jobWorld: &jobWorld{T: t, clock: clock.NewManual(long), env: homeEnv(t)}, ops: map[string]bool{}, faults: glacierd.NewFaults(1)}
	timing := glacierd.ServiceTiming()
	timing.InventoryEvery = 0
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: w.clock, Timing: &timing, Faults: w.faults, Log: w.note})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	t.Cleanup(func() { listening.Close(); server.Close() })
	w.endpoint, w.env.Clock = listening.URL, w.clock
	for name, value := range w.aws() {
		t.Setenv(name, value) // the SDK asks the process
	}
	w.firn(Done, "store", "create", "glacier:v")
	return w
}

// note keeps what a request was.
func (w *permitWorld) note(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops[strings.Fields(line)[2]] = true
}

// aside lets fn do more, and forgets what it did.
func (w *permitWorld) aside(more []string, fn func()) {
	w.Helper()
	ops := w.allowed
	w.allow(slices.Concat(ops, more))
	before := maps.Clone(w.ops)
	fn()
	w.allow(ops)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops = before
}

// allow lets the vault do only these operations from now on.
func (w *permitWorld) allow(ops []string) {
	w.Helper()
	w.allowed = ops
	var denied []string
	for _, op := range vaultOps {
		if !slices.Contains(ops, op) {
			denied = append(denied, "glacier:"+op)
		}
	}
	policy, err := json.Marshal(map[string]any{"Statement": []map[string]any{{"Effect": "Deny", "Principal": "*", "Action": denied, "Resource": "*"}}})
	if err != nil {
		w.Fatal(err)
	}
	if err := w.vault().SetAccessPolicy(w.Context(), string(policy)); err != nil {
		w.Fatal(err)
	}
}

// fail makes the n-th call of an operation from now on fail.
func (w *permitWorld) fail(kind glacierd.FaultKind, op string, n int) {
	w.Helper()
	if _, err := w.faults.Add(glacierd.Fault{Kind: kind, Op: op, Nth: n}); err != nil {
		w.Fatal(err)
	}
}

// fill puts a large and a small file into the vault.
func (w *permitWorld) fill() {
	w.lay("tree/film.mov", noise(1, 66<<20))
	w.lay("tree/a.txt", []byte("a"))
	w.firn(Done, "sync", "tree", "glacier:v")
}

// syncs makes a sync send, resume, settle what was in doubt, and clear away.
func (w *permitWorld) syncs() {
	w.fill()
	w.lay("tree/more.mov", noise(2, 66<<20))
	w.fail(glacierd.FaultNoLongerSupported, "UploadMultipartPart", 2)
	w.firn(Failed, "sync", "tree", "glacier:v", "--concurrency", "1", "--part-size", "32")
	w.firn(Done, "sync", "tree", "glacier:v")
	w.lay("tree/b.txt", []byte("b"))
	w.fail(glacierd.FaultLostAnswer, "UploadArchive", 1)
	w.firn(Done, "sync", "tree", "glacier:v")
	w.clock.Advance(24 * time.Hour)
	w.firn(Done, "sync", "tree", "glacier:v")
}

// restores brings a tree back, and an archive by its id, on a machine that has lost
// its catalog.
func (w *permitWorld) restores() {
	w.env = homeEnv(w.T)
	w.env.Clock = w.clock
	w.firn(Done, "recover", "glacier:v", "--wait", "--yes")
	w.firn(Done, "restore", "glacier:v", "--to", "back", "--wait", "--yes")
	stdout, _ := w.firn(Done, "archive", "list", "glacier:v", "--json")
	id := string(recordsOf[archiveRecord](w.T, stdout, "archive")[0].Archive)
	stdout, _ = w.firn(Done, "job", "start", "glacier:v", "--json", "--yes", "--archive", id)
	w.firn(Done, "job", "show", "glacier:v", "--", string(recordsOf[jobRecord](w.T, stdout, "job")[0].Job))
}

// verifies compares disk, catalog and vault.
func (w *permitWorld) verifies() {
	w.again(Done, "verify", "glacier:v")
	w.again(Done, "store", "refresh", "glacier:v")
	w.lay("tree/more.mov", noise(2, 66<<20))
	w.aside([]string{"InitiateMultipartUpload", "UploadMultipartPart", "ListTagsForVault"}, func() {
		w.fail(glacierd.FaultNoLongerSupported, "UploadMultipartPart", 1)
		w.firn(Failed, "sync", "tree", "glacier:v")
	})
	w.firn(NotYet, "store", "refresh", "glacier:v") // tells of the upload
}

// again runs a command until nothing is pending any more.
func (w *permitWorld) again(want Status, args ...string) {
	w.Helper()
	for range 4 {
		if status, _, _ := try(w.env, args...); status != NotYet {
			break
		}
		w.clock.Advance(24 * time.Hour)
	}
	w.firn(want, args...)
}

// deletes prunes, deletes by ids, and empties the vault.
func (w *permitWorld) deletes() {
	id := strings.TrimSpace(first(w.firn(Done, "archive", "upload", "glacier:v", w.file("loose", []byte("loose")))))
	w.firn(Done, "archive", "delete", "glacier:v", "--yes", "--", id)
	if err := os.Remove(filepath.Join(w.env.Dir, "tree", "film.mov")); err != nil {
		w.Fatal(err)
	}
	w.firn(Done, "sync", "tree", "glacier:v")
	w.clock.Advance(7 * 24 * time.Hour)
	w.again(Done, "prune", "glacier:v", "--keep-last", "1", "--removed-older-than", "1d", "--trust-clock", "--yes", "--pay")
	w.again(Done, "store", "empty", "glacier:v", "--confirm", "v", "--yes")
	w.clock.Advance(24 * time.Hour)
	w.firn(Done, "store", "delete", "glacier:v", "--yes")
}

// first is the first of two results.
func first(a, _ string) string { return a }

// handlesUploads does all that can be done with uploads.
func (w *permitWorld) handlesUploads() {
	v, data := w.vault(), noise(1, 2*partMiB)
	var id, other string
	w.aside([]string{"InitiateMultipartUpload"}, func() {
		id, other = w.begin(v, "tape", data, 0), w.begin(v, "other", data, 0)
	})
	w.firn(Done, "upload", "list", "glacier:v")
	w.firn(Done, "upload", "parts", "glacier:v", "--", id)
	w.firn(Done, "upload", "resume", "glacier:v", "--", id, w.file("tape", data))
	w.firn(Done, "upload", "abort", "glacier:v", "--", other)
}

// sets changes each setting of the vault.
func (w *permitWorld) sets() {
	const topic = "arn:aws:sns:us-east-1:123456789012:ops"
	w.lay("policy", []byte(`{"Statement":[]}`))
	w.firn(Done, "store", "tag", "glacier:v", "a=b", "--remove", "c")
	w.firn(Done, "store", "notify", "glacier:v", "--topic", topic)
	w.firn(Done, "store", "notify", "glacier:v", "--remove")
	w.firn(Done, "store", "lock", "start", "glacier:v", "policy")
	w.firn(Done, "store", "lock", "abort", "glacier:v")
	id := strings.TrimSpace(first(w.firn(Done, "store", "lock", "start", "glacier:v", "policy")))
	w.firn(Done, "store", "lock", "complete", "glacier:v", "--confirm", "v", "--", id)
	w.firn(Done, "store", "policy", "glacier:v", "--set", "policy")
	w.firn(Done, "store", "policy", "glacier:v", "--remove")
	w.firn(Done, "store", "retrieval-policy", "glacier:v", "--none")
}

// permissions are the commands that each policy of docs/permissions.md is for.
var permissions = map[string]struct {
	do func(*permitWorld)
	// unseen are operations that the policy allows, with the reason why the
	// commands here make no use of them.
	unseen map[string]string
}{
	"Sync": {(*permitWorld).syncs, map[string]string{
		"AbortMultipartUpload": "only where a file changes while it is sent", "DescribeJob": "of a job that is in no list",
		"DeleteArchive": "of old snapshots and of doubles", "RemoveTagsFromVault": "of a snapshot that is gone",
		"InitiateJob": "only by a later inventory is a lost answer settled", "GetJobOutput": "likewise",
	}},
	"Restore and recover": {(*permitWorld).restores, nil},
	"Verify and refresh":  {(*permitWorld).verifies, nil},
	"Delete":              {(*permitWorld).deletes, nil},
	"Uploads by hand":     {(*permitWorld).handlesUploads, nil},
	"Settings":            {(*permitWorld).sets, nil},
}

// TestDocumentedPermissionsAreEnough: with what docs/permissions.md allows and
// nothing else the commands do their work; and each of it they need.
func TestDocumentedPermissionsAreEnough(t *testing.T) {
	policies := documentedPolicies(t)
	for heading := range policies {
		if _, ok := permissions[heading]; !ok {
			t.Errorf("no test for the policy under %q", heading)
		}
	}
	for heading, p := range permissions {
		t.Run(heading, func(t *testing.T) {
			if testing.Short() && heading != "Sync" {
				t.Skip("it takes seconds")
			}
			w := newPermitWorld(t)
			if heading != "Sync" {
				w.fill()
			}
			w.allow(policies[heading])
			clear(w.ops)
			p.do(w)
			for _, op := range policies[heading] {
				if !w.ops[op] && p.unseen[op] == "" {
					t.Errorf("%s is allowed, and nothing needs it", op)
				}
			}
			for op := range w.ops {
				if slices.Contains(vaultOps, op) && !slices.Contains(policies[heading], op) {
					t.Errorf("%s is used, and not allowed", op)
				}
			}
		})
	}
}
