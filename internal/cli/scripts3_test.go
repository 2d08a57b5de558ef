package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A secondRun is how a script of TestScripts runs with stores in S3.
type secondRun struct {
	// stores are there from the beginning, of class STANDARD: nothing makes one there
	// but firn store create.
	stores string
	// thaw, if any: what the script keeps in vaults of the service is in S3, too, where
	// objects can be read this long after they were asked for.
	thaw string
}

// onS3 are the scripts that run a second time, with stores in S3.
var onS3 = map[string]secondRun{
	"adopt": {stores: "vault fresh plain"}, "archive": {stores: "vault"}, "archivedoubt": {thaw: "3h"},
	"archiveids": {stores: "vault", thaw: "3h"}, "archivepack": {stores: "vault"}, "archivepipe": {stores: "vault"},
	"archiveprofile": {stores: "vault other"}, "badinput": {stores: "vault"},
	"bundles": {stores: "all single vault"}, "catalog": {stores: "vault"}, "catalogjournal": {stores: "vault"},
	"completion": {}, "damaged": {stores: "vault other"}, "detect": {stores: "vault"},
	"encryption": {stores: "vault vault2 vault3"}, "errors": {},
	"filter": {stores: "v1 v2 v3 v4 v5 v6 v7 v8 v9 homevault"}, "find": {stores: "vault"}, "guards": {stores: "vault"},
	"hooks": {stores: "vault vault3"}, "journal": {stores: "vault one two"}, "limits": {stores: "vault"},
	"migrate": {stores: "old new"}, "migratefinish": {stores: "old new third fourth c1 c2 c3 p1 p2"},
	"migraterows": {stores: "old new"}, "modes": {stores: "vault bundled"}, "names": {stores: "vault"},
	"profile": {stores: "vault usb vault2"}, "prune": {stores: "vault bundled sparse-vault"},
	"recover": {stores: "vault sealed empty"}, "recoverysheet": {}, "refresh": {stores: "vault"},
	"restore": {thaw: "3h"}, "restorecancel": {thaw: "3h"}, "restorechoice": {stores: "vault"},
	"restoreinplace": {stores: "vault"}, "restoreremoved": {thaw: "4h"},
	"resume": {stores: "vault vault2 vault3 vault4"}, "resumejobs": {thaw: "3h"},
	"snapshots": {stores: "vault both"}, "store": {thaw: "3h"}, "storeempty": {stores: "vault"},
	"storesettings": {thaw: "3h"}, "sync": {stores: "vault"}, "trees": {stores: "vault"},
	"trusttimes": {stores: "vault"}, "uploads": {stores: "vault"}, "verify": {stores: "vault"},
	"verifystore": {stores: "disk", thaw: "3h"}, "versions": {stores: "vault vault2"},
}

// notOnS3 are the scripts that would say nothing of S3 if they ran there, and why.
var notOnS3 = map[string]string{
	"bill":         "its sums are those of vaults; s3bill has those of S3",
	"cost":         "its sums are those of vaults; s3bill has those of S3",
	"restoreplan":  "its sums are those of vaults; s3plan has those of S3",
	"inventorycsv": "vaults alone write such lists",
	"job":          "it is about jobs as vaults have them; what S3 has of them is in s3job",
	"key":          "it has no store",
	"queue":        "S3 tells no queue; storesettings has what is said of that",
	"serve":        "it is about the server of vaults",
	"usage":        "it has no store",
	"vaultregion":  "a bucket has its name to itself, in whatever region",
	"version":      "it has no store",
}

// Stores, as scripts write them.
var (
	localStore = regexp.MustCompile(`local:(?:\$WORK/|\.\./|\./)*`)
	vaultStore = regexp.MustCompile(`glacier:(?:[a-z]+-[a-z]+-[0-9]/)?`)
)

// s3Store is how the names of stores in S3 begin.
const s3Store = "s3:bucket/"

// inS3 makes of a script one whose stores are in S3. Lines that begin with [!s3] are
// left out, and so are paragraphs whose first line ends with it; those with [s3],
// which TestScripts leaves out, are there.
func (r secondRun) inS3(script string) string {
	var b strings.Builder
	fmt.Fprintln(&b, strings.TrimSpace("s3 "+r.thaw))
	for store := range strings.FieldsSeq(r.stores) {
		fmt.Fprintf(&b, "exec firn store create %s%s --class STANDARD\n", s3Store, store)
	}
	left := false
	for line := range strings.Lines(script) {
		switch {
		case line == "\n":
			left = false
		case strings.HasPrefix(line, "#") && strings.HasSuffix(line, " [!s3]\n"):
			left = true
		}
		if !left && !strings.HasPrefix(line, "[!s3] ") {
			b.WriteString(r.lineInS3(strings.TrimPrefix(line, "[s3] ")))
		}
	}
	return b.String()
}

// lineInS3 is a line about stores in S3. No vaults are served there.
func (r secondRun) lineInS3(line string) string {
	line = localStore.ReplaceAllString(line, s3Store)
	if r.thaw == "" {
		return line
	}
	if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "serve" || word == "unserve" {
		return ""
	}
	return vaultStore.ReplaceAllString(line, s3Store)
}

// isCondition tells scripts where they run: see inS3.
func isCondition(name string) (bool, error) {
	if name != "s3" {
		return false, fmt.Errorf("no condition %q", name)
	}
	return false, nil
}

// ownS3 is the line by which a script begins an S3 itself.
var ownS3 = regexp.MustCompile(`(?m)^s3( |$)`)

// TestEveryScriptIsForS3: what a script shows of vaults and folders is shown of S3, too,
// or there is a reason why not. Those of the programs that firn replaces know only
// vaults, as these programs did.
func TestEveryScriptIsForS3(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		_, second := onS3[name]
		kinds := 0
		for _, is := range []bool{
			second, notOnS3[name] != "", ownS3.Match(script),
			strings.HasPrefix(name, "glacier") || strings.HasPrefix(name, "mtglacier"),
		} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%s: it has to be in onS3, to be in notOnS3 with a reason, or to begin an S3 of its own: it is %d of these", file, kinds)
		}
	}
	for name := range notOnS3 {
		if !slices.Contains(files, filepath.Join("testdata", "script", name+".txtar")) {
			t.Errorf("notOnS3 has %s, and there is no such script", name)
		}
	}
}

// TestScriptsOnS3 runs scripts a second time, with stores in S3.
func TestScriptsOnS3(t *testing.T) {
	if testing.Short() {
		t.Skip("those of S3's own run")
	}
	dir := t.TempDir()
	var files []string
	for name, run := range onS3 {
		script, err := os.ReadFile(filepath.Join("testdata", "script", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name+".txtar")
		if err := os.WriteFile(file, []byte(run.inS3(string(script))), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	runScripts(t, files, nil)
}
