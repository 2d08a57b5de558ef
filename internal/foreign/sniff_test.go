package foreign_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/testprog"
)

const (
	inJSON = `{"VaultARN":"arn:aws:glacier:us-east-1:012345678901:vaults/v","InventoryDate":"2013-12-20T00:00:00Z",` +
		`"ArchiveList":[{"ArchiveId":"id","ArchiveDescription":"a","CreationDate":"2013-12-19T08:33:01Z","Size":1,"SHA256TreeHash":"` + hashOfA + `"}]}`
	inCSV   = "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash\nid,a,2013-12-19T08:33:01Z,1," + hashOfA + "\n"
	journal = "B\t1355666755\tCREATED\tid\t1\tNONE\t" + hashOfA + "\ta\n"
	chatter = "Checking job status...\nJob status: Succeeded\nRetrieving job data...\n"
)

// packed compresses text.
func packed(t testing.TB, text string, zst bool) string {
	t.Helper()
	var b bytes.Buffer
	if zst {
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		return string(w.EncodeAll([]byte(text), nil))
	}
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSniff(t *testing.T) {
	indented := strings.ReplaceAll(strings.ReplaceAll(inJSON, ",", ",\n  "), "{", "{\n  ")
	for name, c := range map[string]struct {
		path string
		want foreign.Kind
	}{
		"glacier-cli":    {database(t, cliSchema), foreign.GlacierCLIDatabase},
		"with more":      {database(t, cliSchema, "ALTER TABLE archive ADD COLUMN more", "CREATE TABLE x(y)"), foreign.GlacierCLIDatabase},
		"renamed":        {database(t, strings.Replace(cliSchema, "archive", "old", 1), "ALTER TABLE old RENAME TO archive"), foreign.GlacierCLIDatabase},
		"fork":           {database(t, forkSchema), foreign.ForkDatabase},
		"glaciersync":    {database(t, syncSchema), foreign.GlacierSyncDatabase},
		"JSON":           {file(t, inJSON), foreign.InventoryJSON},
		"indented":       {file(t, "\n"+indented), foreign.InventoryJSON},
		"printed":        {file(t, chatter+indented), foreign.InventoryJSON},
		"marked":         {file(t, "\xef\xbb\xbf"+inJSON), foreign.InventoryJSON},
		"empty list":     {file(t, `{"ArchiveList":[]}`), foreign.InventoryJSON},
		"JSON, gzip":     {file(t, packed(t, inJSON, false)), foreign.InventoryJSON},
		"JSON, zstd":     {file(t, packed(t, inJSON, true)), foreign.InventoryJSON},
		"CSV":            {file(t, inCSV), foreign.InventoryCSV},
		"CSV, CR LF":     {file(t, strings.ReplaceAll(inCSV, "\n", "\r\n")), foreign.InventoryCSV},
		"CSV, marked":    {file(t, "\xef\xbb\xbf"+inCSV), foreign.InventoryCSV},
		"CSV, printed":   {file(t, chatter+inCSV), foreign.InventoryCSV},
		"CSV, semicolon": {file(t, strings.ReplaceAll(inCSV, ",", ";")), foreign.InventoryCSV},
		"CSV, zstd":      {file(t, packed(t, inCSV, true)), foreign.InventoryCSV},
		"journal":        {file(t, journal), foreign.Journal},
		"journal, CR LF": {file(t, strings.ReplaceAll(journal, "\n", "\r\n")), foreign.Journal},
		"journal, torn":  {file(t, strings.TrimSuffix(journal, "\n")), foreign.Journal},
		"journal, 0":     {file(t, "1355666755 CREATED id 1 "+hashOfA+" a\n"), foreign.Journal},
		"journal, odd":   {file(t, "# mine\n\n"+journal), foreign.Journal},
		"journal, gzip":  {file(t, packed(t, strings.Repeat(journal, 5000), false)), foreign.Journal},
	} {
		if got, err := foreign.Sniff(t.Context(), c.path); got != c.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

// TestSniffStranger: what can't be read is told, with what to do.
func TestSniffStranger(t *testing.T) {
	pprint := chatter + "{'ArchiveList': [{'ArchiveDescription': 'it\\'s',\n  'Size': 1}]}\n"
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"other tables":  {database(t, "CREATE TABLE some(x)", "CREATE TABLE archive(x)"), `a SQLite database of another program, with the tables "some", "archive"; firn reads`},
		"a view":        {database(t, "CREATE TABLE t(x)", "CREATE VIEW archive AS SELECT x AS id, x AS name, x AS vault, x AS key FROM t"), `with the tables "t"`},
		"no tables":     {database(t, "CREATE TABLE t(x)", "DROP TABLE t"), "without tables"},
		"half":          {database(t, "CREATE TABLE glaciersync_files(profile)"), `"glaciersync_files"`},
		"gzip database": {file(t, packed(t, "SQLite format 3\x00", false)), "unpack it first"},
		"empty":         {file(t, ""), "it is empty; firn reads an inventory"},
		"blanks":        {file(t, " \n\n"), "it is empty"},
		"text":          {file(t, "Hello\nworld"), `text that begins with "Hello"`},
		"bytes":         {file(t, "\x00\x01\x02"), `it is no text, and begins with "\x00\x01\x02"`},
		"zip":           {file(t, "PK\x03\x04abcdef"), "a zip file; unpack it first"},
		"xz":            {file(t, "\xfd7zXZ\x00abc"), "xz; unpack it first"},
		"UTF-16":        {file(t, "\xff\xfe{\x00\""), "UTF-16; save it as UTF-8"},
		"list of jobs":  {file(t, `{"JobList":[{"Action":"InventoryRetrieval"}]}`), "JSON, but has no ArchiveList"},
		"a job":         {file(t, `{"Action":"InventoryRetrieval","InventorySizeInBytes":7}`), "get-job-output"},
		"pprint":        {file(t, pprint), "ast.literal_eval"},
		"bytes repr":    {file(t, chatter+`b'ArchiveId,ArchiveDescription\r\n'`), "ast.literal_eval"},
		"torn gzip":     {file(t, packed(t, inJSON, false)[:8]), "EOF"},
	} {
		kind, err := foreign.Sniff(t.Context(), c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %q, %v; want %s", name, kind, err, c.want)
		}
		if k := firn.KindOf(err); k != firn.Usage && k != firn.Corrupt {
			t.Errorf("%s: %v", name, k)
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, err := foreign.Sniff(t.Context(), path); firn.KindOf(err) != firn.Local || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%v", err)
		}
	}
}

// TestSniffOwn: firn's own databases are known, and not read here.
func TestSniffOwn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "catalog.db")
	c, err := catalog.Open(t.Context(), path, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.Sniff(t.Context(), path); err == nil || !strings.Contains(err.Error(), "firn catalog import") {
		t.Errorf("%v", err)
	}

	root := filepath.Join(dir, "vaults")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	server, err := glacierd.New(glacierd.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/-/vaults/v":                "",
		"/-/policies/data-retrieval": `{"Policy":{"Rules":[{"Strategy":"FreeTier"}]}}`,
	} {
		request := httptest.NewRequest(http.MethodPut, path, strings.NewReader(body))
		request.Header.Set("x-amz-glacier-version", "2012-06-01")
		server.ServeHTTP(httptest.NewRecorder(), request)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	databases := 0
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".db" {
			databases++
			if _, err := foreign.Sniff(t.Context(), path); err == nil || !strings.Contains(err.Error(), "local:FOLDER") {
				t.Errorf("%s: %v", path, err)
			}
		}
		return err
	})
	if err != nil || databases < 2 {
		t.Errorf("%d databases, %v", databases, err)
	}
}

// TestHintsWork: the commands that messages give make what they promise.
func TestHintsWork(t *testing.T) {
	python := testprog.Need(t, "python3")
	for _, c := range []struct {
		make string // Python that prints what glacier-upload did
		want foreign.Kind
	}{
		{"import json, pprint, sys; pprint.pprint(json.loads(sys.stdin.read()))", foreign.InventoryJSON},
		{"import sys; print(sys.stdin.buffer.read())", foreign.InventoryCSV},
	} {
		input := inJSON
		if c.want == foreign.InventoryCSV {
			input = inCSV
		}
		saved := run(t, python, c.make, input)
		_, err := foreign.Sniff(t.Context(), file(t, saved))
		if err == nil {
			t.Fatalf("%s is taken as it is", saved)
		}
		_, command, _ := strings.Cut(err.Error(), "python3 -c '")
		script, _, _ := strings.Cut(command, "'")
		turned := file(t, run(t, python, script, saved))
		if kind, err := foreign.Sniff(t.Context(), turned); kind != c.want || err != nil {
			t.Errorf("%s, %v; want %s", kind, err, c.want)
		}
		if _, err := foreign.ReadInventory(turned, func(firn.Archive) error { return nil }, nil); err != nil {
			t.Error(err)
		}
	}
}

// run gives the output of a Python script.
func run(t *testing.T, python, script, input string) string {
	t.Helper()
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return string(out)
}
