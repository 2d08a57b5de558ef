package glacierd_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/glacierd"
)

const (
	day = 24 * time.Hour
	arn = "arn:aws:glacier:us-east-1:000000000000:vaults/"
)

func TestVaultLife(t *testing.T) {
	b := newBench(t)
	for range 2 { // creating it again is fine
		r := b.do(201, "PUT", "/-/vaults/photos", nil, nil)
		if got := r.header.Get("Location"); got != "/000000000000/vaults/photos" {
			t.Errorf("Location %q", got)
		}
	}
	want := map[string]any{
		"CreationDate": "2026-03-02T10:30:15.250Z", "LastInventoryDate": nil, "NumberOfArchives": 0.0, "SizeInBytes": 0.0,
		"VaultARN": arn + "photos", "VaultName": "photos",
	}
	if diff := cmp.Diff(want, b.get("/000000000000/vaults/photos")); diff != "" {
		t.Errorf("description (-want +got):\n%s", diff)
	}
	for range 2 {
		b.do(204, "DELETE", "/-/vaults/photos", nil, nil)
	}
	b.refuse(404, "ResourceNotFoundException", "Vault not found for ARN: "+arn+"photos", "GET", "/-/vaults/photos", nil, nil)
}

// A vault can be deleted when an inventory has seen it empty and nothing was
// written since.
func TestDeleteVaultWaitsForInventory(t *testing.T) {
	b := newBench(t)
	refused := func() {
		t.Helper()
		b.refuse(400, "InvalidParameterValueException", "Vault not empty or recently written to: "+arn+"v", "DELETE", "/-/vaults/v", nil, nil)
	}
	b.createVault("v")
	id := b.upload("v", []byte("x"), "")
	refused() // written since
	b.clock.advance(day)
	refused() // not empty
	b.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	refused() // written since
	b.clock.advance(day - time.Millisecond)
	b.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil) // no write: it is gone already
	b.clock.advance(time.Millisecond)
	b.do(204, "DELETE", "/-/vaults/v", nil, nil)
	b.createVault("v")
	if n := b.get("/-/vaults/v")["NumberOfArchives"]; n != 0.0 {
		t.Errorf("a new vault of the old name has %v archives", n)
	}
	b.refuse(404, "ResourceNotFoundException", "The archive ID was not found", "POST", "/-/vaults/v/jobs", nil, jobBody("Type", "archive-retrieval", "ArchiveId", "x"))
}

// Counters are those of the last inventory, whose date moves only when
// something has changed.
func TestDescriptionLags(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	state := func() string {
		d := b.get("/-/vaults/v")
		return fmt.Sprint(d["NumberOfArchives"], " ", d["SizeInBytes"], " ", d["LastInventoryDate"])
	}
	expect := func(when, want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	b.clock.advance(time.Hour)
	id := b.upload("v", make([]byte, 1000), "")
	expect("just uploaded", "0 0 <nil>")
	b.clock.advance(day)
	expect("after a day", "1 33768 2026-03-03T10:30:15.000Z")
	b.clock.advance(3 * day)
	expect("nothing changed", "1 33768 2026-03-03T10:30:15.000Z")
	b.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	expect("just deleted", "1 33768 2026-03-03T10:30:15.000Z")
	b.clock.advance(day)
	expect("a day after the deletion", "0 0 2026-03-07T10:30:15.000Z")
}

func TestDescriptionWithoutLag(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	b.clock.advance(time.Hour)
	b.upload("v", make([]byte, 1000), "")
	d := b.get("/-/vaults/v")
	if d["NumberOfArchives"] != 1.0 || d["LastInventoryDate"] != "2026-03-02T11:30:15.250Z" {
		t.Errorf("%v", d)
	}
}

func TestVaultNames(t *testing.T) {
	b := newBench(t)
	long := strings.Repeat("n", 255)
	for _, name := range []string{"a", "A-b_c.D9", "...", ".hidden", "vault.db", "account.db", long} {
		b.createVault(name)
		b.get("/-/vaults/" + name)
	}
	for _, name := range []string{"a b", "a%2Fb", "ä", "+account", long + "n", "a:b", "%2e%2e"} {
		escaped := strings.ReplaceAll(url.PathEscape(name), "%25", "%")
		b.refuse(400, "InvalidParameterValueException", "Invalid vault name", "PUT", "/-/vaults/"+escaped, nil, nil)
		b.refuse(404, "ResourceNotFoundException", "Vault not found for ARN", "GET", "/-/vaults/"+escaped, nil, nil)
	}
}

func names(list map[string]any) (names []string) {
	for _, v := range list["VaultList"].([]any) {
		names = append(names, v.(map[string]any)["VaultName"].(string))
	}
	return names
}

func TestListVaults(t *testing.T) {
	b := newBench(t)
	if diff := cmp.Diff(map[string]any{"Marker": nil, "VaultList": []any{}}, b.get("/-/vaults")); diff != "" {
		t.Errorf("no vaults (-want +got):\n%s", diff)
	}
	var want []string
	for i := range 23 {
		name := fmt.Sprintf("v%02d", i)
		b.createVault(name)
		want = append(want, name)
	}
	b.createVault("Upper") // sorts first, by bytes
	want = append([]string{"Upper"}, want...)
	for _, limit := range []int{1, 7, 10, 1000} {
		var got []string
		page := min(limit, 10)
		marker := ""
		for {
			list := b.get(fmt.Sprintf("/-/vaults?limit=%d&marker=%s", limit, url.QueryEscape(marker)))
			n := names(list)
			got = append(got, n...)
			if list["Marker"] == nil {
				break
			}
			if len(n) != page {
				t.Fatalf("limit %d: a page of %d", limit, len(n))
			}
			marker = list["Marker"].(string)
			if marker != arn+n[len(n)-1] {
				t.Fatalf("marker %s after %s", marker, n[len(n)-1])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	for _, bad := range []string{"limit=0", "limit=-1", "limit=1001", "limit=x", "marker=v03", "marker=arn%3Aaws%3Aglacier%3Avaults%2F..%2Fx"} {
		b.refuse(400, "InvalidParameterValueException", "Invalid ", "GET", "/-/vaults?"+bad, nil, nil)
	}
}

func TestThousandVaults(t *testing.T) {
	var root string
	b := newBench(t, func(c *glacierd.Config) { root = c.Root })
	b.createVault("real")
	for i := range 999 { // as good as vaults, for counting
		dir := filepath.Join(root, fmt.Sprint("v", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "vault.db"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.refuse(400, "LimitExceededException", "1000 vaults", "PUT", "/-/vaults/more", nil, nil)
	b.createVault("real") // is there already
}

// What another process does to the folders shows at the next request.
func TestFoldersComeAndGo(t *testing.T) {
	root := t.TempDir()
	one, c1 := open(t, glacierd.Config{Root: root})
	_, c2 := open(t, glacierd.Config{Root: root, Timing: &glacierd.Timing{}})
	c2.createVault("v")
	c1.get("/-/vaults/v")
	id, err := one.VaultID("v")
	if err != nil || len(id) != 32 {
		t.Fatalf("id %q, %v", id, err)
	}
	c2.do(204, "DELETE", "/-/vaults/v", nil, nil)
	c1.do(404, "GET", "/-/vaults/v", nil, nil)
	if _, err := os.Stat(filepath.Join(root, "v")); !os.IsNotExist(err) {
		t.Errorf("the folder of a deleted vault: %v", err)
	}
	c2.createVault("v")
	c1.get("/-/vaults/v")
	again, err := one.VaultID("v")
	if err != nil || again == id {
		t.Errorf("a new vault has the id of the old: %q, %v", again, err)
	}
	if err := os.Rename(filepath.Join(root, "v"), filepath.Join(root, "w")); err != nil {
		t.Fatal(err)
	}
	c1.do(404, "GET", "/-/vaults/v", nil, nil)
	c1.get("/-/vaults/w")
	if moved, err := one.VaultID("w"); err != nil || moved != again {
		t.Errorf("after a rename: id %q, %v, want %q", moved, err, again)
	}
	if _, err := one.VaultID("v"); err == nil {
		t.Error("a vault that is gone has an id")
	}
}

// A folder with somebody's files is not made a vault, and deleting a vault
// leaves what isn't the vault's.
func TestForeignFiles(t *testing.T) {
	var root string
	b := newBench(t, atOnce, func(c *glacierd.Config) { root = c.Root })
	letter := filepath.Join(root, "docs", "letter.txt")
	if err := os.Mkdir(filepath.Dir(letter), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(letter, []byte("Dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.refuse(400, "InvalidParameterValueException", `holds "letter.txt"`, "PUT", "/-/vaults/docs", nil, nil)
	if err := os.Rename(letter, filepath.Join(root, "letter.txt")); err != nil {
		t.Fatal(err)
	}
	b.createVault("docs")
	if err := os.Rename(filepath.Join(root, "letter.txt"), letter); err != nil {
		t.Fatal(err)
	}
	b.do(204, "DELETE", "/-/vaults/docs", nil, nil)
	if text, err := os.ReadFile(letter); err != nil || string(text) != "Dear" {
		t.Errorf("the letter: %q, %v", text, err)
	}
	left, err := os.ReadDir(filepath.Dir(letter))
	if err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestOneVault(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "My Vault!")
	s, c := open(t, glacierd.Config{Vault: dir, Timing: &glacierd.Timing{}})
	const name = "My-Vault-"
	if got := glacierd.VaultName(dir); got != name {
		t.Fatalf("name %q, want %q", got, name)
	}
	if list := names(c.get("/-/vaults")); len(list) != 0 {
		t.Errorf("vaults before there is one: %q", list)
	}
	c.do(204, "DELETE", "/-/vaults/"+name, nil, nil)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("deleting no vault made the folder: %v", err)
	}
	c.refuse(400, "InvalidParameterValueException", "keeps a single vault, "+name, "PUT", "/-/vaults/other", nil, nil)
	c.refuse(400, "InvalidParameterValueException", "keeps a single vault, "+name, "DELETE", "/-/vaults/other", nil, nil)
	c.createVault(name)
	c.upload(name, []byte("x"), "")
	if list := names(c.get("/-/vaults")); len(list) != 1 || list[0] != name {
		t.Errorf("vaults %q", list)
	}
	if list := names(c.get("/-/vaults?marker=" + url.QueryEscape(arn+name))); len(list) != 0 {
		t.Errorf("vaults after the only one: %q", list)
	}
	c.do(404, "GET", "/-/vaults/other", nil, nil)
	c.do(201, "POST", "/-/provisioned-capacity", nil, nil) // account state has a home too
	if _, err := s.VaultID(name); err != nil {
		t.Error(err)
	}
	beside, err := os.ReadDir(parent)
	if err != nil || len(beside) != 1 {
		t.Errorf("beside the vault: %v, %v", beside, err)
	}
}

func TestOneVaultLeavesForeignFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, c := open(t, glacierd.Config{Vault: dir})
	c.refuse(400, "InvalidParameterValueException", `holds "letter.txt"`, "PUT", "/-/vaults/"+glacierd.VaultName(dir), nil, nil)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v, %v", left, err)
	}
}

func TestVaultName(t *testing.T) {
	for dir, want := range map[string]string{
		"/data/photos": "photos", "photos/": "photos", "/data/a b": "a-b", "/": "vault", ".": "vault", "/data/ä": "vault",
		"/x/" + strings.Repeat("y", 300): strings.Repeat("y", 255), "/x/.cache": ".cache", "/x/...": "vault",
	} {
		if got := glacierd.VaultName(dir); got != want {
			t.Errorf("VaultName(%q) = %q, want %q", dir, got, want)
		}
	}
}

// More vaults than are kept open at a time.
func TestManyVaults(t *testing.T) {
	b := newBench(t, atOnce)
	for round := range 2 {
		for i := range 20 {
			name := fmt.Sprint("v", i)
			b.createVault(name)
			b.upload(name, []byte(name), "")
			if n := b.get("/-/vaults/" + name)["NumberOfArchives"]; n != float64(round+1) {
				t.Errorf("%s, round %d: %v archives", name, round, n)
			}
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for text, cfg := range map[string]glacierd.Config{
		"either Root or Vault":  {},
		"set either":            {Root: dir, Vault: dir},
		"12 digits":             {Root: dir, Account: "12345"},
		"no such file":          {Root: filepath.Join(dir, "none")},
		"not a folder":          {Root: file},
		"can't be negative":     {Root: dir, Timing: &glacierd.Timing{Bulk: -1}},
		"between 1s and 720h":   {Root: dir, Timing: &glacierd.Timing{InventoryEvery: time.Millisecond}},
		"or 0 for one at each ": {Root: dir, Timing: &glacierd.Timing{InventoryEvery: 31 * day}},
	} {
		if _, err := glacierd.New(cfg); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %q", cfg, err, text)
		}
	}
}

// Makers and removers in several servers take turns: at the end the vault is
// there whole, or gone.
func TestMakersAndRemovers(t *testing.T) {
	root := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		_, c := open(t, glacierd.Config{Root: root, Timing: &glacierd.Timing{}})
		wg.Go(func() {
			for i := range 15 {
				method, want := "PUT", 201
				if i%2 == 1 {
					method, want = "DELETE", 204
				}
				if r, err := c.try(method, "/-/vaults/v", nil, nil); err != nil || r.status != want {
					t.Errorf("%s: %d %s, %v", method, r.status, r.body, err)
				}
				r, err := c.try("GET", "/-/vaults/v", nil, nil)
				if err != nil || r.status != 200 && r.status != 404 {
					t.Errorf("GET: %d %s, %v", r.status, r.body, err)
				}
			}
		})
	}
	wg.Wait()
	_, c := open(t, glacierd.Config{Root: root, Timing: &glacierd.Timing{}})
	c.createVault("v")
	c.upload("v", []byte("x"), "")
}

// Uploads into a vault that is being removed are refused, or keep it.
func TestRemovedWhileWritten(t *testing.T) {
	b := newBench(t, atOnce)
	for round := range 10 {
		vault := fmt.Sprint("v", round)
		b.createVault(vault)
		var wg sync.WaitGroup
		var mu sync.Mutex
		stored, removed := 0, false
		for range 3 {
			wg.Go(func() {
				r, err := b.try("POST", "/-/vaults/"+vault+"/archives", uploadHeaders([]byte("x")), []byte("x"))
				mu.Lock()
				defer mu.Unlock()
				if err == nil && r.status == 201 {
					stored++
				} else if err != nil || r.status != 404 && r.status != 500 {
					t.Errorf("upload: %d %s, %v", r.status, r.body, err)
				}
			})
		}
		wg.Go(func() {
			r, err := b.try("DELETE", "/-/vaults/"+vault, nil, nil)
			mu.Lock()
			defer mu.Unlock()
			removed = r.status == 204
			if err != nil || r.status != 204 && r.status != 400 {
				t.Errorf("delete: %d %s, %v", r.status, r.body, err)
			}
		})
		wg.Wait()
		if removed && stored > 0 {
			t.Errorf("round %d: removed with %d archives in it", round, stored)
		}
		if !removed && b.get("/-/vaults/" + vault)["NumberOfArchives"] != float64(stored) {
			t.Errorf("round %d: kept, with another number of archives than %d", round, stored)
		}
	}
}

// A folder whose database can't be read is an error that names it, not an
// empty vault.
func TestDamagedVault(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "v"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "v", "vault.db"), bytes.Repeat([]byte("not SQLite\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	_, c := open(t, glacierd.Config{Root: root})
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		c.refuse(500, "ServiceUnavailableException", filepath.Join("v", "vault.db"), method, "/-/vaults/v", nil, nil)
	}
}

// A body that somebody removed from the folder is missed when it is asked for,
// before the answer begins.
func TestMissingBody(t *testing.T) {
	var root string
	b := newBench(t, atOnce, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	for _, archive := range []string{b.upload("v", pattern(mib), ""), b.uploadParts("v", mib, pattern(2*mib), "")} {
		job := b.job("v", "Type", "archive-retrieval", "ArchiveId", archive)
		for _, file := range bodies(t, root) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		b.refuse(500, "ServiceUnavailableException", "no such file", "GET", jobsPath+"/"+job+"/output", nil, nil)
	}
}
