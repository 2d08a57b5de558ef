package cli

import (
	"slices"
	"testing"
	"time"
)

// shortly is again, for what is there for a day only.
func (w *permitWorld) shortly(want Status, args ...string) {
	w.Helper()
	for range 12 {
		if status, _, _ := try(w.env, args...); status != NotYet {
			break
		}
		w.clock.Advance(6 * time.Hour)
	}
	w.firn(want, args...)
}

// TestPermissionsToMigrate: what firn policy prints for a vault as the source, or the
// target, of a migration is enough, and all of it is needed.
func TestPermissionsToMigrate(t *testing.T) {
	out := func(w *permitWorld) {
		w.shortly(Done, "migrate", "glacier:v", "local:new", "--yes")
	}
	for name, c := range map[string]struct {
		work   string
		to     bool // the vault is the target
		before func(*permitWorld)
		do     func(*permitWorld)
		unseen map[string]string
	}{
		"migrate from": {work: "migrate", do: out, unseen: map[string]string{
			"ListMultipartUploads": "only where uploads are open", "DescribeJob": "of a job that is in no list",
			"UploadArchive": "of a snapshot, where the vault has none", "AddTagsToVault": "likewise", "ListTagsForVault": "likewise",
		}},
		"migrate to": {work: "migrate", to: true, do: func(w *permitWorld) {
			w.lay("tree/film.mov", noise(1, 66<<20))
			w.lay("tree/a.txt", []byte("a"))
			w.firn(Done, "sync", "tree", "local:old")
			w.shortly(Done, "migrate", "local:old", "glacier:v", "--yes")
		}, unseen: map[string]string{
			"AbortMultipartUpload": "only where a copy can't be finished", "ListMultipartUploads": "only after a kill", "ListParts": "likewise",
			"RemoveTagsFromVault": "of a snapshot that is gone", "InitiateJob": "only by a later inventory is a lost answer settled",
			"ListJobs": "likewise", "DescribeJob": "likewise", "GetJobOutput": "likewise",
		}},
		"finish": {work: "finish", before: out, do: func(w *permitWorld) {
			w.clock.Advance(300 * 24 * time.Hour) // the Date of answers is real, and 200 days ahead
			w.again(Done, "migrate", "--finish", "glacier:v", "local:new", "--confirm", "v")
		}, unseen: map[string]string{
			"AbortMultipartUpload": "only where uploads are open", "DescribeJob": "of a job that is in no list",
			"UploadArchive": "of a snapshot, where the vault is emptied in part", "RemoveTagsFromVault": "likewise", "ListTagsForVault": "likewise",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("it takes seconds")
			}
			work, err := findWork(c.work)
			if err != nil {
				t.Fatal(err)
			}
			allowed := work.On.Vault
			if c.to {
				allowed = work.To.Vault
			}
			w := newPermitWorld(t)
			if !c.to {
				w.fill()
			}
			if c.before != nil {
				c.before(w)
			}
			w.allow(allowed)
			clear(w.ops)
			c.do(w)
			for _, op := range allowed {
				if !w.ops[op] && c.unseen[op] == "" {
					t.Errorf("%s is allowed, and nothing needs it", op)
				}
			}
			for op := range w.ops {
				if slices.Contains(vaultOps, op) && !slices.Contains(allowed, op) {
					t.Errorf("%s is used, and not allowed", op)
				}
			}
		})
	}
}
