package cli

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// documentedGrants reads the policies of docs/permissions.md: for each heading what is
// allowed on the vault, on the bucket and on its objects.
func documentedGrants(t *testing.T) map[string]grant {
	t.Helper()
	text, err := os.ReadFile("../../docs/permissions.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]grant{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		var g grant
		for _, block := range strings.Split(body, "```json\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			var p iamPolicy
			if err := json.Unmarshal([]byte(block), &p); err != nil {
				t.Fatalf("%s: %v", heading, err)
			}
			for _, s := range p.Statement {
				for _, action := range s.Action {
					service, op, _ := strings.Cut(action, ":")
					switch {
					case service == "glacier":
						g.Vault = append(g.Vault, op)
					case strings.HasSuffix(s.Resource, "/*"):
						g.Objects = append(g.Objects, op)
					default:
						g.Bucket = append(g.Bucket, op)
					}
				}
			}
		}
		all[heading] = g
	}
	return all
}

// TestPoliciesAreDocumented: firn policy prints what docs/permissions.md says.
func TestPoliciesAreDocumented(t *testing.T) {
	documented := documentedGrants(t)
	for _, w := range workGrants() {
		if w.Both {
			continue
		}
		d := documented[w.Heading]
		for name, lists := range map[string][2][]string{"vault": {w.On.Vault, d.Vault}, "bucket": {w.On.Bucket, d.Bucket}, "objects": {w.On.Objects, d.Objects}} {
			ours, theirs := slices.Sorted(slices.Values(lists[0])), slices.Sorted(slices.Values(lists[1]))
			if !slices.Equal(ours, theirs) {
				t.Errorf("%s, %s: firn policy says %v, the document %v", w.Work, name, ours, theirs)
			}
		}
		deletes := slices.ContainsFunc(slices.Concat(w.On.Vault, w.On.Objects), func(op string) bool { return strings.HasPrefix(op, "Delete") })
		if deletes && (w.Work == "sync" || w.Work == "restore" || w.Work == "verify") {
			t.Errorf("%s may delete", w.Work)
		}
	}
}
