package cli

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/testprog"
)

const newPlace = "s3:other/moved"

// newToGoWorld has a store, all of which another machine has moved to newPlace; it gives
// what that machine packed.
func newToGoWorld(t *testing.T) (w *bucketWorld, result []byte) {
	w = newBucketWorld(t, s3test.Options{})
	w.firn(Done, "store", "create", photos, "--class", "STANDARD")
	w.firn(Done, "store", "create", newPlace, "--class", "STANDARD")
	w.lay("tree/a.txt", noise(1, 2000))
	w.lay("tree/b.txt", noise(2, 3000))
	w.lay("second/c.txt", noise(3, 4000))
	w.firn(Done, "sync", "tree", photos, "--no-bundle")
	w.firn(Done, "sync", "second", photos, "--no-bundle")
	export, _ := w.firn(Done, "catalog", "export", photos)
	w.lay("export", []byte(export))
	home := w.env.Dir
	w.elsewhere(func() {
		w.firn(Done, "catalog", "import", filepath.Join(home, "export"))
		w.firn(Done, "migrate", photos, newPlace, "--yes", "--no-bundle")
		w.firn(Done, "migrate", photos, newPlace, "--to-go-result", "result")
		result = w.read("result")
	})
	return w, result
}

// read gives the text of a result.
func (w *bucketWorld) read(name string) []byte {
	w.Helper()
	packed, err := os.ReadFile(filepath.Join(w.env.Dir, name))
	if err != nil {
		w.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		w.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(packed, nil)
	if err != nil {
		w.Fatal(err)
	}
	return text
}

// without gives the lines of a text but those with something in them.
func without(text []byte, what string) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(what)) {
			b.Write(line)
		}
	}
	return b.Bytes()
}

// replaced gives a text in which something stands in place of something that is there.
func replaced(t *testing.T, text []byte, old, now string, n int) []byte {
	t.Helper()
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%q isn't in %s", old, text)
	}
	return bytes.Replace(text, []byte(old), []byte(now), n)
}

// crossed gives a result whose copies are said to be of one another's archives.
func crossed(t *testing.T, text []byte) []byte {
	t.Helper()
	var targets []string
	for line := range bytes.Lines(text) {
		var one movedCopy
		if bytes.HasPrefix(line, []byte(`{"f":`)) && json.Unmarshal(line, &one) == nil {
			targets = append(targets, string(one.To))
		}
	}
	if len(targets) < 2 {
		t.Fatalf("copies %q", targets)
	}
	a, b := `"t":"`+targets[0]+`"`, `"t":"`+targets[1]+`"`
	text = replaced(t, text, a, `"t":"?"`, 1)
	text = replaced(t, text, b, a, 1)
	return replaced(t, text, `"t":"?"`, b, 1)
}

// TestResultsThatArentTaken: of a result that is damaged, or about something else,
// nothing is believed, and the right one is taken in afterwards.
func TestResultsThatArentTaken(t *testing.T) {
	w, late := newToGoWorld(t)
	head := headOf(t, late)
	header := bytes.Index(late, []byte(headerLine))
	for name, c := range map[string]struct {
		text   []byte
		status Status
		says   string
	}{
		"cut in the copies":   {late[:header-10], Failed, "it ends early"},
		"cut before the rows": {late[:header], Failed, ""},
		"cut in the rows":     {late[:len(late)-40], Failed, ""},
		"of a newer firn":     {replaced(t, late, `{"moved":{"v":1`, `{"moved":{"v":2`, 1), Failed, "a newer firn wrote it"},
		"of no form":          {replaced(t, late, `{"moved":{"v":1`, `{"moved":{"v":0`, 1), Failed, "doesn't say what was moved"},
		"of a strange source": {replaced(t, late, `"from":"`+head.From, `"from":"x`+head.From, 1), Failed, "take it in where the folder was made"},
		"of itself":           {replaced(t, late, `"from":"`+head.From, `"from":"`+head.To, 1), Failed, "moved to itself"},
		"to a strange target": {replaced(t, late, `"to":"`, `"to":"x`, 1), Failed, "to which nothing was moved"},
		"copies crossed":      {crossed(t, late), Failed, "it holds something else"},
		"copies of nothing":   {replaced(t, late, `{"f":"`, `{"f":"no`, -1), Partial, "that this catalog doesn't know"},
		"a copy of nothing":   {replaced(t, late, `{"f":"`, `{"f":"","x":"`, 1), Failed, "a copy of nothing"},
		"a member below none": {replaced(t, late, `{"f":"`, `{"m":-1,"f":"`, 1), Failed, "a copy of nothing"},
		"no JSON":             {replaced(t, late, `{"f":"`, `{"f":`, 1), Failed, "it ends early, or isn't one"},
	} {
		w.lay("bad", c.text)
		before, _ := w.firn(Done, "catalog", "export", photos)
		status, stdout, stderr := try(w.env, "catalog", "import", "bad")
		if status != c.status || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: status %d, want %d: %s%s; want %q in it", name, status, c.status, stdout, stderr, c.says)
		}
		if _, stderr := w.firn(Done, "ls", photos); strings.Contains(stderr, "moved") {
			t.Errorf("%s: it was moved", name)
		}
		if after, _ := w.firn(Done, "catalog", "export", photos); rowsOf(after) != rowsOf(before) {
			t.Errorf("%s: what the catalog knows of the source was\n%s\nand is\n%s", name, before, after)
		}
		w.firn(Done, "catalog", "check")
	}
	// An older result moves what it has; after a newer one it changes nothing.
	copies := bytes.Count(late, []byte(`{"f":`))
	older := without(late, `{"f":"second`)
	if n := bytes.Count(older, []byte(`{"f":`)); n >= copies || n == 0 {
		t.Fatalf("%d of %d copies in %s", n, copies, older)
	}
	w.lay("older", older)
	w.lay("newer", late)
	for _, file := range []string{"newer", "newer", "older"} {
		w.firn(Done, "catalog", "import", file)
		_, stderr := w.firn(Done, "ls", photos)
		w.says(stderr, "was moved to "+newPlace)
	}
	w.firn(Done, "catalog", "check")
	w.firn(Done, "restore", photos, "--tree", "tree", "--to", "back", "--yes")
	w.holds("back/b.txt", noise(2, 3000))
}

// TestResultOfOtherContents: a target that holds something else than the source, by
// size or by hash, moves nothing.
func TestResultOfOtherContents(t *testing.T) {
	for name, with := range map[string]string{"size": "[[0,3001,", "place": "[[1,3000,"} {
		t.Run(name, func(t *testing.T) {
			w, result := newToGoWorld(t)
			w.lay("bad", replaced(t, result, "[[0,3000,", with, 1))
			status, _, stderr := try(w.env, "catalog", "import", "bad")
			if status == Done {
				t.Errorf("it was taken in: %s", stderr)
			}
			if _, stderr := w.firn(Done, "ls", photos); strings.Contains(stderr, "moved") {
				t.Error("it was moved")
			}
			w.firn(Done, "catalog", "check")
			w.firn(Done, "restore", photos, "--tree", "tree", "--to", "back", "--yes")
			w.holds("back/b.txt", noise(2, 3000))
		})
	}
}

// TestRightResultAfterAWrongOne: what a result says wrongly of the target leaves nothing
// behind that keeps the right one from being taken in.
func TestRightResultAfterAWrongOne(t *testing.T) {
	w, result := newToGoWorld(t)
	_, after, _ := bytes.Cut(result, []byte("[[0,3000,"))
	hash := string(after[:66])
	w.lay("bad", replaced(t, result, "[[0,3000,"+hash, `[[0,3000,"`+strings.Repeat("ab", 32)+`"`, 1))
	w.lay("good", result)
	before, _ := w.firn(Done, "catalog", "export", newPlace)
	if status, _, stderr := try(w.env, "catalog", "import", "bad"); status != Failed || !strings.Contains(stderr, "it holds something else") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if after, _ := w.firn(Done, "catalog", "export", newPlace); rowsOf(after) != rowsOf(before) {
		t.Errorf("it left\n%s", after)
	}
	w.firn(Done, "catalog", "import", "good")
	_, stderr := w.firn(Done, "ls", photos)
	w.says(stderr, "was moved to "+newPlace)
	w.firn(Done, "restore", photos, "--tree", "tree", "--to", "back", "--yes")
	w.holds("back/b.txt", noise(2, 3000))
}

// rowsOf is an export without its header, which has a time and a number.
func rowsOf(export string) string {
	_, rows, _ := strings.Cut(export, "\n")
	return string(without([]byte(rows), `{"end":`))
}

// headOf says what a result is about.
func headOf(t *testing.T, text []byte) movedHead {
	t.Helper()
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var first struct{ Moved movedHead }
	if err := json.Unmarshal(line, &first); err != nil || first.Moved.To == "" {
		t.Fatalf("%s: %v", line, err)
	}
	return first.Moved
}

// TestToGoHasNoSecrets: nothing of what is secret is in any file of the folder.
func TestToGoHasNoSecrets(t *testing.T) {
	w := newBucketWorld(t, s3test.Options{})
	for name, value := range map[string]string{
		"AWS_SECRET_ACCESS_KEY": "S3CRETkeyS3CRETkeyS3CRETkeyS3CRETkey0000", "AWS_SESSION_TOKEN": "S3CRETsession", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "S3CRETcontainer",
		"AWS_ENDPOINT_URL_GLACIER": "https://me:S3CRETpassword@vaults.example.org", "FIRN_PASSPHRASE": "S3CRETphrase",
	} {
		t.Setenv(name, value)
	}
	w.env.LookupEnv = os.LookupEnv
	t.Setenv("HOME", t.TempDir())
	t.Setenv("FIRN_HOME", filepath.Join(w.env.Dir, "data"))
	t.Setenv("FIRN_CONFIG_DIR", filepath.Join(w.env.Dir, "config"))
	t.Setenv("XDG_CONFIG_HOME", "")
	w.lay("config/prices.toml", nil)
	w.firn(Done, "key", "new", "config/identity.txt")
	recipient := strings.TrimSpace(first(w.firn(Done, "key", "show", "config/identity.txt")))
	w.lay("tree/a.txt", []byte("a"))
	w.lay("config/config.toml", []byte("[profile.photos]\nstore = \""+photos+"\"\nrecipients = [\""+recipient+"\"]\n"+
		"identity_file = \"identity.txt\"\non_failure = \"echo S3CREThook\"\n[[profile.photos.tree]]\npath = \"../tree\"\n"))
	w.firn(Done, "store", "create", photos, "--class", "STANDARD")
	w.firn(Done, "sync", "photos")
	w.firn(Done, "migrate", "photos", newPlace, "--to-go", "togo")
	identity, err := os.ReadFile(filepath.Join(w.env.Dir, "config", "identity.txt"))
	if err != nil {
		t.Fatal(err)
	}
	key := string(identity[bytes.Index(identity, []byte("AGE-SECRET-KEY-1")):])[:40]
	n := 0
	err = filepath.WalkDir(filepath.Join(w.env.Dir, "togo"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "firn" {
			return err
		}
		n++
		text, err := os.ReadFile(path)
		if strings.HasSuffix(path, ".zst") {
			text = w.read(strings.TrimPrefix(path, w.env.Dir+"/"))
		}
		for _, secret := range []string{"S3CRET", key, "AKIAIOSFODNN7EXAMPLE"} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s has %s", path, secret)
			}
		}
		return err
	})
	if err != nil || n < 3 {
		t.Errorf("%d files: %v", n, err)
	}
}

// TestToGoProgram: the program that goes along is firn, and for the machine that it goes
// to.
func TestToGoProgram(t *testing.T) {
	goTool := testprog.Built(t, "go", "it comes with Go")
	dir := t.TempDir()
	build := func(arch string) string {
		path := filepath.Join(dir, "firn-"+arch)
		cmd := exec.CommandContext(t.Context(), goTool, "test", "-c", "-o", path, "../../treehash")
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return path
	}
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	theirs := build(other)
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, kind, says string }{
		{theirs, "linux/" + other, ""},
		{theirs, "linux/riscv64", "it is for linux/" + other + ", and that machine is linux/riscv64"},
		{theirs, "freebsd/" + other, "it is for linux/" + other},
		{goTool, runtime.GOOS + "/" + runtime.GOARCH, "not firn"},
		{text, "linux/" + other, "it isn't firn"},
		{dir, "linux/" + other, "it is no file"},
		{theirs, "windows/" + other, "which windows/" + other + " hasn't got"},
		{theirs, "linux/arm/v7", "is no kind of machine"},
		{"", "linux/" + other, "name it with --binary FILE"},
	} {
		o := &toGoOptions{app: &app{}, For: c.kind, Binary: c.path}
		_, err := o.program(runtime.GOOS + "/" + runtime.GOARCH)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s for %s: %v; want %q", c.path, c.kind, err, c.says)
		}
	}
}
