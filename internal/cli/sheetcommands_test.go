package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
)

// A sheetReader does by hand what a recovery sheet says, on a machine without
// firn.
type sheetReader struct {
	*testing.T
	world    *stockWorld
	commands []string // as they are printed, one a line
}

// command gives the one that begins so, with words in capitals replaced.
func (s *sheetReader) command(begin string, words ...string) string {
	s.Helper()
	for _, c := range s.commands {
		if strings.HasPrefix(c, begin) {
			return strings.NewReplacer(words...).Replace(c) + "\n"
		}
	}
	s.Fatalf("no command begins with %q:\n%s", begin, strings.Join(s.commands, "\n"))
	return ""
}

// find gives what a pattern's parentheses match.
func (s *sheetReader) find(pattern, text string) string {
	s.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		s.Fatalf("no %s in:\n%s", pattern, text)
	}
	return found[1]
}

// readSheet takes the commands for stock tools off a page.
func (s *sheetReader) readSheet(page string) {
	s.Helper()
	_, text, found := strings.Cut(page, "\n== Without firn, in bash ==\n")
	if !found {
		s.Fatalf("no commands in:\n%s", page)
	}
	s.commands = strings.Split(strings.ReplaceAll(text, "\\\n", ""), "\n")
}

// TestSheetOfAVault gets a file back with the commands of the page alone.
func TestSheetOfAVault(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the aws command a dozen times")
	}
	w := &stockWorld{T: t, clock: clock.NewManual(time.Now()), machine: t.TempDir(), env: homeEnv(t)}
	w.findPrograms()
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Timing: &glacierd.Timing{}, Account: "012345678901"})
	w.must(err)
	listening := httptest.NewServer(server)
	defer func() { listening.Close(); server.Close() }()
	w.endpoint = listening.URL
	for name, value := range map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_GLACIER": w.endpoint, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	w.write("/sub/a file", "what was in it\n")
	recipient := strings.TrimSpace(w.firn("key", "new", filepath.Join(w.machine, "identity.txt")))
	w.firn("store", "create", "glacier:photos")
	w.firn("sync", "tree", "glacier:photos", "--recipient", recipient, "--identity", filepath.Join(w.machine, "identity.txt"))

	s := &sheetReader{T: t, world: w}
	s.readSheet(w.firn("recovery-sheet", "glacier:photos"))
	functions := s.command("glacier()") + s.command("ask()")
	run := func(command string) string { return w.bash(t, functions+command) }
	var tags struct{ Tags map[string]string }
	w.must(json.Unmarshal([]byte(run(s.command("glacier list-tags-for-vault"))), &tags))
	tag := ""
	for key, value := range tags.Tags {
		if strings.HasPrefix(key, "firn-full-") {
			tag = value
		}
	}
	get := func(archive, file string) {
		job := s.find(`"jobId": "(.*)"`, run(s.command("ask ARCHIVE", "ARCHIVE", archive)))
		s.find(`"StatusCode": "(Succeeded)"`, run(s.command("glacier describe-job", "JOBID", job)))
		run(s.command("glacier get-job-output", "JOBID", job, "FILE", file))
	}
	_, archive, _ := strings.Cut(tag, "/")
	get(archive, "snapshot")
	run(s.command("age --decrypt --identity identity.txt FILE | zstd", "FILE", "snapshot"))
	number := s.find(`"content":\[(\d+)`, run(s.command(`grep '"name"`, "NAME", "a file")))
	get(s.find(`"remote":"([^"]*)"`, run(s.command(`grep '"archive"`, "N,", number+","))), "archive")
	run(s.command("age --decrypt --identity identity.txt FILE | tar", "FILE", "archive"))
	got, err := os.ReadFile(filepath.Join(w.machine, "sub/a file"))
	if err != nil || string(got) != "what was in it\n" {
		t.Errorf("%q came back, %v", got, err)
	}
	s.find(`"jobId": "(.*)"`, run(s.command("glacier initiate-job")))
}

// body gives the file of the body of an archive, of which the number and the size of
// parts are known, as the page says it: it is there, or made.
func (s *sheetReader) body(row string) (file string) {
	s.Helper()
	text := s.find(`^(\d+)\|0\n`, row)
	number, err := strconv.Atoi(text)
	if err != nil || number > 999 {
		s.Fatalf("archive %s: %v", text, err)
	}
	file = filepath.Join(s.world.vault(), fmt.Sprintf("archives/000/000/%03d", number))
	if _, err := os.Stat(file); err == nil {
		return file
	}
	file = filepath.Join(s.TempDir(), "body")
	s.world.bash(s.T, s.command("cd ")+s.command("sqlite3 vault.db \"SELECT writefile", "FILE", file, "12345", text))
	return file
}

// TestSheetOfAFolder does the same for a vault in a folder.
func TestSheetOfAFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs, by the dozen")
	}
	w := newStockWorld(t, false)
	s := &sheetReader{T: t, world: w}
	s.readSheet(w.firn("recovery-sheet"))
	run := func(command string) string { return w.bash(t, s.command("cd ")+command) }
	for row := range strings.Lines(run(s.command("sqlite3 vault.db \"SELECT number, part_size FROM archive WHERE deleted IS NULL AND description"))) {
		run(s.command("zstd -dc FILE", "FILE", s.body(row)))
	}
	number := s.find(`"content":\[(\d+)`, run(s.command(`grep '"name"`, "NAME", "added")))
	hash := s.find(`"hash":"([^"]*)"`, run(s.command(`grep '"archive"`, "N,", number+",")))
	row := run(s.command("sqlite3 vault.db \"SELECT number, part_size FROM archive WHERE deleted IS NULL AND hex", "HASH", hash))
	w.bash(t, s.command("tar ", "FILE", s.body(row)))
	got, err := os.ReadFile(filepath.Join(w.machine, "added"))
	if err != nil || !bytes.Equal(got, []byte("a")) {
		t.Errorf("%q came back, %v", got, err)
	}
}
