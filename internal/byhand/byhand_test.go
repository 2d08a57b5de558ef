package byhand_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/byhand"
	"github.com/firn-archive/firn/internal/testprog"
	"github.com/firn-archive/firn/treehash"
)

// list gives the lines of a list of rows, unpacked.
func list(t *testing.T, rows ...byhand.Row) string {
	t.Helper()
	var b bytes.Buffer
	w, err := byhand.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := w.Write(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func file(path string) firn.File {
	return firn.File{Path: path, Kind: firn.Regular, Mode: 0o640, UID: -1, GID: -1, Stamp: firn.Stamp{ModTime: time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)}}
}

func TestList(t *testing.T) {
	tree := treehash.Sum([]byte("content"))
	stored := byhand.Row{Tree: "tree", File: file("a, \"b\"\\\n\xffé"), Content: firn.Content{Size: 7, Tree: tree}, Key: "p/tree/a", Offset: 512, Size: 4096}
	sealed := stored
	sealed.File, sealed.Seal = file("sealed"), byhand.Age
	gone := byhand.Row{Tree: "tree", File: file("gone"), Content: firn.Content{Size: 1, Tree: tree}}
	empty := byhand.Row{Tree: "tree", File: file("empty")}
	link := byhand.Row{Tree: "tree", File: firn.File{Path: "link", Kind: firn.Symlink, Mode: 0o777, Target: "../a,b", UID: 0, GID: 7}}
	dir := byhand.Row{Tree: "tree", File: firn.File{Kind: firn.Directory, Mode: fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o755, UID: 1000, GID: 100, Stamp: firn.Stamp{ModTime: time.Unix(-1<<60, 0)}}}
	got := list(t, stored, sealed, gone, empty, link, dir)
	want := strings.Join([]string{
		`tree,path,type,mode,mtime,owner,size,target,key,seal,offset,archive_size,tree_hash`,
		`tree,a\0054 \0042b\0042\0134\0012\0377é,file,0640,2020-01-02T03:04:05.000006Z,,7,,p/tree/a,,512,4096,` + tree.String(),
		`tree,sealed,file,0640,2020-01-02T03:04:05.000006Z,,7,,p/tree/a,age,512,4096,` + tree.String(),
		`tree,gone,lost,0640,2020-01-02T03:04:05.000006Z,,1,,,,,,` + tree.String(),
		`tree,empty,file,0640,2020-01-02T03:04:05.000006Z,,0,,,,,,`,
		`tree,link,link,0777,0001-01-01T00:00:00Z,0:7,,../a\0054b,,,,,`,
		`tree,,dir,7755,,1000:100,,,,,,,`, "",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzFields: every reader splits a line alike, one that knows CSV and one that knows only
// commas.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"a", "", "a,b", `"`, "'", "\\0101", "\\", "a\nb\r\t", "\xff\xfe", "é€𝄞", "\x00\x7f", " a ", "-n", "=1+1", "\u2028\u0085"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, path, key string) {
		row := byhand.Row{Tree: "t", File: file(path), Content: firn.Content{Size: 1}, Key: "k" + key}
		line := strings.Split(list(t, row), "\n")
		if len(line) != 3 || line[2] != "" {
			t.Fatalf("%q takes more than a line: %q", path, line)
		}
		fields := strings.Split(line[1], ",")
		r := csv.NewReader(strings.NewReader(line[1]))
		read, err := r.Read()
		if err != nil || cmp.Diff(fields, read) != "" || len(fields) != 13 {
			t.Fatalf("%q and %q, %v", fields, read, err)
		}
		if got := unescape(t, fields[1]); got != path {
			t.Errorf("%q came back as %q", path, got)
		}
		if got := unescape(t, fields[8]); got != "k"+key {
			t.Errorf("%q came back as %q", key, got)
		}
	})
}

// unescape is what printf %b makes of a field.
func unescape(t *testing.T, s string) string {
	t.Helper()
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		if i+4 >= len(s) || s[i+1] != '0' {
			t.Fatalf("%q: a backslash that begins no octal number", s)
		}
		b = append(b, (s[i+2]-'0')<<6|(s[i+3]-'0')<<3|(s[i+4]-'0'))
		i += 4
	}
	return string(b)
}

// TestShellReadsFields: the shell's own printf makes the same bytes of a field.
func TestShellReadsFields(t *testing.T) {
	sh := testprog.Need(t, "bash")
	every := make([]byte, 0, 255)
	for c := 1; c < 256; c++ { // no file's name has a zero
		every = append(every, byte(c))
	}
	row := byhand.Row{Tree: "t", File: file(string(every)), Content: firn.Content{Size: 1}, Key: "k"}
	field := strings.Split(strings.Split(list(t, row), "\n")[1], ",")[1]
	out, err := exec.Command(sh, "-c", `printf %b "$1"`, "sh", field).Output()
	if err != nil || !bytes.Equal(out, every) {
		t.Errorf("%q, %v", out, err)
	}
}

var odd = byhand.Guide{
	Place: firn.Place{
		Bucket: "bucket", Prefix: "it's $HOME `id` \"quoted\"/", Region: "us-east-1", Endpoint: "http://127.0.0.1:1/x'y", Companions: ".firn/lists/",
	},
	Folder: "20260102T030405Z.catalog.snapshot", Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Host: "my\nrm -rf machine",
}

// TestTextIsAScript: whatever the names are, all of it but the script is comments,
// and the commands in them are commands.
func TestTextIsAScript(t *testing.T) {
	sh := testprog.Need(t, "bash")
	for _, sealed := range []bool{false, true} {
		g := odd
		g.Sealed = sealed
		text, err := g.Text()
		if err != nil {
			t.Fatal(err)
		}
		check := exec.Command(sh, "-n")
		check.Stdin = strings.NewReader(text)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		head, _, _ := strings.Cut(text, "\nset -u\n")
		for line := range strings.Lines(head) {
			if line != "\n" && !strings.HasPrefix(line, "#") {
				t.Errorf("the text has a line that is run: %q", line)
			}
			if len(line) > 110 && !strings.Contains(line, "aws ") && !strings.Contains(line, "s3://") {
				t.Errorf("a long line: %q", line)
			}
		}
		for _, said := range []struct {
			text   string
			sealed bool
		}{{"my\\0012rm", false}, {"bundle/NAME.tar", false}, {"files.csv.gz.age", true}, {"tar -xpf -", true}} {
			if strings.Contains(text, said.text) != (said.sealed == sealed) {
				t.Errorf("sealed %v: %q is there, or isn't", sealed, said.text)
			}
		}
		if !strings.Contains(text, `'s3://bucket/it'\''s $HOME`) {
			t.Errorf("the prefix is not quoted: %s", text)
		}
	}
}

// TestWordsOfTheShell: the commands pass on what they are about as it is.
func TestWordsOfTheShell(t *testing.T) {
	sh := testprog.Need(t, "bash")
	text, err := odd.Text()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		command, isCommand := strings.CutPrefix(line, "#     aws ")
		if !isCommand || !strings.Contains(command, "s3 ls") {
			continue
		}
		out, err := exec.Command(sh, "-c", `printf '%s\n' `+command).Output()
		want := "--region\nus-east-1\n--endpoint-url\nhttp://127.0.0.1:1/x'y\ns3\nls\ns3://bucket/it's $HOME `id` \"quoted\"/.firn/lists/\n"
		if err != nil || string(out) != want {
			t.Errorf("%q, want %q; %v", out, want, err)
		}
		return
	}
	t.Error("no command lists the lists")
}
