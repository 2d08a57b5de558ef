package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/testprog"
)

// stockSection is the section of docs/format.md whose commands are run here.
const stockSection = "Getting everything back with stock tools"

// Parts of that section, by their headings.
const (
	askService  = "Asking for archives"
	askFolder   = "Asking a vault in a folder"
	byTags      = "The newest snapshots, by the vault's tags"
	byInventory = "The newest snapshots, by the inventory"
	theList     = "The list of files"
	noSnapshot  = "Without a snapshot"
	theFiles    = "The files"
	oneFile     = "One file alone"
	checking    = "Checking"
)

// stockCase is a way through the section.
type stockCase struct {
	name    string
	sealed  bool
	lost    string // of what the vault had: "", "tags", "snapshots"
	service bool   // the vault is asked with aws, not its folder with sqlite3
	again   bool   // each part is run twice, which does no harm
}

func (c stockCase) steps() []string {
	steps := []string{askService}
	if !c.service {
		steps = append(steps, askFolder)
	}
	switch c.lost {
	case "":
		steps = append(steps, byTags, theList)
	case "tags":
		steps = append(steps, byTags, byInventory, theList)
	default:
		steps = append(steps, byTags, byInventory, noSnapshot)
	}
	return append(steps, theFiles, oneFile, checking)
}

var stockCases = []stockCase{
	{name: "service", service: true},
	{name: "service, sealed, no snapshots", service: true, sealed: true, lost: "snapshots"},
	{name: "folder, again", again: true},
	{name: "folder, sealed", sealed: true},
	{name: "folder, no tags", lost: "tags"},
	{name: "folder, sealed, no tags", sealed: true, lost: "tags"},
	{name: "folder, no snapshots", lost: "snapshots"},
	{name: "folder, sealed, no snapshots", sealed: true, lost: "snapshots"},
}

// TestStockTools runs what docs/format.md tells to run where there is no firn
// any more: bash, aws, jq, zstd, age and tar bring a tree back from the vault.
func TestStockTools(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs, by the dozen")
	}
	doc := readStockSection(t)
	used := map[string]bool{}
	for _, c := range stockCases {
		for _, step := range c.steps() {
			used[step] = true
		}
	}
	for heading := range doc {
		if !used[heading] {
			t.Errorf("docs/format.md: nothing runs the commands of %q", heading)
		}
	}
	for _, c := range stockCases {
		t.Run(c.name, func(t *testing.T) {
			if c.service && testing.Short() {
				t.Skip("starts the aws command dozens of times")
			}
			t.Parallel()
			w := newStockWorld(t, c.sealed)
			w.lose(c.lost)
			for _, step := range c.steps() {
				if doc[step] == "" {
					t.Fatalf("docs/format.md has no commands below %q", step)
				}
				w.script += doc[step]
				if c.again {
					w.script += doc[step]
				}
			}
			if c.service && !c.sealed {
				w.script += alone
			}
			w.compare(c, w.recover(t))
			w.checkFirstBytes(c)
		})
	}
}

// alone gets one of the files of a bundle again, of which it needs the third MiB.
const alone = `
IFS=$'\t' read -r tree dir name mode time owner size target archive seal all offset < <(grep -F '=middle 5' *.files)
[ "$offset" -gt 2097152 ] && [ "$all" -gt "$((offset + size))" ] || echo "$offset of $all" >&2
part found "$archive" "$all" "$offset" "$size"
cmp found "back/tree/middle 5" && [ "$(wc -c <found.mib)" -lt "$all" ] || echo "a part is not what it was" >&2
`

// readStockSection gives the commands for bash below each heading of the section.
func readStockSection(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+stockSection+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !found {
		t.Fatalf("docs/format.md has no section %q", stockSection)
	}
	blocks, heading, inside := map[string]string{}, "", false
	for line := range strings.Lines(section) {
		switch title, isTitle := strings.CutPrefix(line, "### "); {
		case inside && line == "```\n":
			inside = false
		case inside:
			blocks[heading] += line
		case line == "```bash\n":
			inside = true
		case isTitle:
			heading = strings.TrimSpace(title)
		}
	}
	return blocks
}

// A stockWorld is a tree in a vault, which was synced twice, and a machine
// without firn that is to get it back. The hours pass when that one sleeps.
type stockWorld struct {
	*testing.T
	clock    *clock.Manual
	endpoint string
	env      Env
	root     string // the folder of vaults
	machine  string // the folder of the machine without firn
	bin      string // its programs
	script   string
	first    map[string]string // the tree, as it was synced first
	last     map[string]string // and as it was when it was lost
}

func newStockWorld(t *testing.T, sealed bool) *stockWorld {
	t.Helper()
	w := &stockWorld{T: t, clock: clock.NewManual(time.Now()), root: t.TempDir(), machine: t.TempDir(), env: homeEnv(t)}
	w.findPrograms()
	timing := glacierd.ServiceTiming()
	timing.Bulk, timing.Inventory = 20*time.Minute, 20*time.Minute // each start of aws costs a second
	server, err := glacierd.New(glacierd.Config{Root: w.root, Clock: w.clock, Timing: &timing})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	t.Cleanup(func() { listening.Close(); server.Close() })
	w.endpoint = listening.URL
	w.env.Clock = w.clock
	sync := []string{"sync", "tree", "local:" + w.vault()} // which the server has, too
	if sealed {
		recipient := strings.TrimSpace(w.firn("key", "new", filepath.Join(w.machine, "identity.txt")))
		sync = append(sync, "--recipient", recipient, "--identity", filepath.Join(w.machine, "identity.txt"))
	}
	w.fill()
	w.first = w.listing(w.tree())
	w.firn(sync...)
	w.clock.Advance(25 * time.Hour) // a snapshot a day
	w.change()
	w.last = w.listing(w.tree())
	w.firn(sync...)
	w.clock.Advance(3 * 24 * time.Hour) // inventories are a day old
	return w
}

func (w *stockWorld) vault() string { return filepath.Join(w.root, "photos") }

func (w *stockWorld) tree() string { return filepath.Join(w.env.Dir, "tree") }

// firn runs a command that must do all it is asked for.
func (w *stockWorld) firn(args ...string) string {
	w.Helper()
	status, stdout, stderr := try(w.env, args...)
	if status != Done {
		w.Fatalf("firn %v: status %d\n%s", args, status, stderr)
	}
	return stdout
}

// findPrograms makes a folder of the programs that the commands need, with an
// aws that asks this server, and a sleep that moves the server's clock on.
func (w *stockWorld) findPrograms() {
	w.bin = w.TempDir()
	for _, name := range []string{"bash", "jq", "zstd", "age", "tar", "sqlite3", "openssl", "sha256sum"} {
		if err := os.Symlink(testprog.Need(w, name), filepath.Join(w.bin, name)); err != nil {
			w.Fatal(err)
		}
	}
	control := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.Atoi(r.URL.Query().Get("sleep"))
		if err != nil {
			w.Errorf("%s: %v", r.URL, err)
		}
		w.clock.Advance(time.Duration(seconds) * time.Second)
	}))
	w.Cleanup(control.Close)
	w.program("aws", "exec "+testprog.Need(w, "aws")+` --endpoint-url "$ENDPOINT" "$@"`)
	w.program("sleep", `exec 3<>"/dev/tcp/`+strings.Replace(strings.TrimPrefix(control.URL, "http://"), ":", "/", 1)+`"
printf 'GET /?sleep=%s HTTP/1.0\r\n\r\n' "$1" >&3
cat <&3 >/dev/null`)
}

func (w *stockWorld) program(name, script string) {
	text := "#!" + filepath.Join(w.bin, "bash") + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(w.bin, name), []byte(text), 0o755); err != nil {
		w.Fatal(err)
	}
}

// bash runs commands on the machine without firn, which must say nothing on
// stderr, and gives what they write to stdout.
func (w *stockWorld) bash(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(w.bin, "bash"), "-c", script)
	cmd.Dir = w.machine
	cmd.Env = []string{
		"PATH=" + w.bin + ":" + os.Getenv("PATH"), "HOME=" + w.machine, "ENDPOINT=" + w.endpoint, "LANG=C.UTF-8", "TZ=Asia/Kathmandu",
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PAGER=",
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v\nstdout: %s\nstderr: %s\nof: %s", err, stdout.String(), stderr.String(), script)
	}
	return stdout.String()
}

// run runs commands of the section, about this vault.
func (w *stockWorld) run(t *testing.T, script string) string {
	t.Helper()
	return w.bash(t, strings.ReplaceAll(script, "DIR=/mnt/usb/vault", "DIR="+w.vault()))
}

// recover runs the script, and gives what came back.
func (w *stockWorld) recover(t *testing.T) map[string]string {
	t.Helper()
	out := w.run(t, w.script)
	if strings.Contains(out, "is not what was sent") {
		t.Error(out)
	}
	return w.listing(filepath.Join(w.machine, "back", "tree"))
}

func (w *stockWorld) listing(dir string) map[string]string {
	w.Helper()
	files, err := listing(dir)
	if err != nil {
		w.Fatal(err)
	}
	return files
}

// Files of the tree that are not there at both times.
const (
	fileGone    = "/sub dir/gone"
	fileRenamed = "/sub dir/large, with an old name"
	fileNewName = "/sub dir/large, with a new name"
)

// fill makes the tree: files for archives of their own and for bundles, with
// names that a description, or a line of text, can't hold.
func (w *stockWorld) fill() {
	large := func(seed string) string { return strings.Repeat(seed+" and so on\n", 150_000) }
	for name, content := range map[string]string{
		"/sub dir/größe\\n": large("1"), "/sub dir/large\xff\n": large("2"), fileRenamed: large("3"), "/large that changes": large("before"),
		"/changes": "before", "/read only": "r",
		"/ blanks ": "b", "/'quotes'\"$HOME\"`": "q", "/back\\slash\\n": "s", "/tab\tline\n": "t", "/\xe9\n": "x", "/-n": "n", "/= :": "c",
		"/sub dir/d\xe9/\xfe": "y", "/sub dir/twin": "the same", "/sub dir/twin 2": "the same", "/empty": "", fileGone: "gone",
	} {
		w.write(name, content)
	}
	for i := range 6 { // a bundle of some MiB
		w.write(fmt.Sprint("/middle ", i), strings.Repeat(fmt.Sprintf("%d, ", i), 200_000))
	}
	w.must(os.Mkdir(w.tree()+"/sub dir/nothing in it", 0o750))
	w.must(os.Symlink("../größe\n", w.tree()+"/sub dir/link"))
	w.must(os.Symlink("\xff", w.tree()+"/sub dir/link\xff"))
	w.must(os.Chmod(w.tree()+"/-n", 0o700|os.ModeSetuid))
	w.must(os.Chmod(w.tree()+"/read only", 0o400))
	w.must(os.Chtimes(w.tree()+"/read only", time.Time{}, time.Unix(1<<31, 1)))
	w.must(os.Chtimes(w.tree()+"/= :", time.Time{}, time.Unix(-1<<31, 123)))
	w.must(os.Chtimes(w.tree()+"/sub dir/nothing in it", time.Time{}, time.Unix(1e9, 0)))
}

// change makes of the tree what is lost later.
func (w *stockWorld) change() {
	w.write("/changes", "afterwards")
	w.write("/large that changes", strings.Repeat("after\n", 300_000))
	w.write("/added", "a")
	w.must(os.Remove(w.tree() + fileGone))
	w.must(os.Rename(w.tree()+fileRenamed, w.tree()+fileNewName))
}

func (w *stockWorld) write(name, content string) {
	w.Helper()
	path := w.tree() + name
	w.must(os.MkdirAll(filepath.Dir(path), 0o755))
	w.must(os.WriteFile(path, []byte(content), 0o644))
}

func (w *stockWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// lose takes the tags, or the snapshots too, away from the vault.
func (w *stockWorld) lose(what string) {
	if what == "" {
		return
	}
	var tags struct{ Tags map[string]string }
	w.must(json.Unmarshal(w.request("GET", "/tags", nil), &tags))
	if what == "snapshots" {
		ids := map[string]bool{}
		for key, value := range tags.Tags {
			if number, id, found := strings.Cut(value, "/"); found && number != "" {
				ids[id] = true
				continue
			}
			if key != "firn-store" {
				w.Fatalf("tag %s is %s", key, value)
			}
		}
		for id := range ids {
			w.request("DELETE", "/archives/"+id, nil)
		}
		w.clock.Advance(3 * 24 * time.Hour)
	}
	names, err := json.Marshal(map[string]any{"TagKeys": slices.Collect(maps.Keys(tags.Tags))})
	w.must(err)
	w.request("POST", "/tags?operation=remove", names)
}

// request asks the server for something about the vault.
func (w *stockWorld) request(method, path string, body []byte) []byte {
	w.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.endpoint+"/-/vaults/photos"+path, bytes.NewReader(body))
	w.must(err)
	r.Header.Set("X-Amz-Glacier-Version", "2012-06-01")
	answer, err := http.DefaultClient.Do(r)
	w.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	w.must(err)
	if answer.StatusCode >= 300 {
		w.Fatalf("%s %s: %s %s", method, path, answer.Status, text)
	}
	return text
}

// compare looks whether all came back as it was. What only a snapshot knows
// doesn't without one.
func (w *stockWorld) compare(c stockCase, got map[string]string) {
	want := maps.Clone(w.last)
	if c.lost == "snapshots" {
		for _, name := range []string{fileGone, fileRenamed, filepath.Dir(fileGone)} { // that one's time
			want[name] = w.first[name]
		}
		delete(want, fileNewName)
	}
	for name, is := range want {
		if got[name] != is {
			w.Errorf("%q: %s, want %s", name, got[name], is)
		}
	}
	for name := range got {
		if want[name] == "" {
			w.Errorf("%q came back", name)
		}
	}
}

// checkFirstBytes looks whether those of the snapshots tell that they are
// encrypted, or are not.
func (w *stockWorld) checkFirstBytes(c stockCase) {
	catalogs, err := os.ReadFile(filepath.Join(w.machine, "catalogs"))
	w.must(err)
	ids := strings.Fields(string(catalogs))
	if want := map[bool]int{false: 3, true: 0}[c.lost == "snapshots"]; len(ids) != want {
		w.Fatalf("catalogs has %q, want a catalog and its two snapshots, or nothing without them", catalogs)
	}
	if len(ids) == 0 {
		return
	}
	if ids[1] == ids[2] {
		w.Error("no snapshot adds to another")
	}
	want := "\x28\xb5\x2f\xfd" // RFC 8878, section 3.1.1
	if c.sealed {
		want = "age-encryption.org/v1\n"
	}
	for _, id := range ids[1:] {
		data, err := os.ReadFile(filepath.Join(w.machine, "archives", id))
		if err != nil || !strings.HasPrefix(string(data), want) {
			w.Errorf("snapshot %s begins with %.30q, want %q; %v", id, data, want, err)
		}
	}
}

// TestStockChecking: the commands that check archives find one that is not what
// was sent, of one leaf and of many.
func TestStockChecking(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs, by the dozen")
	}
	doc := readStockSection(t)
	w := newStockWorld(t, false)
	w.script = doc[askService] + doc[askFolder] + doc[byTags] + doc[theList] + doc[theFiles]
	w.recover(t)
	archives, err := filepath.Glob(filepath.Join(w.machine, "archives", "*"))
	w.must(err)
	catalogs, err := os.ReadFile(filepath.Join(w.machine, "catalogs"))
	archives = slices.DeleteFunc(archives, func(path string) bool { // snapshots don't know themselves
		return strings.Contains(string(catalogs), filepath.Base(path))
	})
	if err != nil || len(archives) < 5 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	for _, path := range archives {
		data, err := os.ReadFile(path)
		w.must(err)
		data[len(data)/2] ^= 1
		w.must(os.Remove(path)) // a link into the vault
		w.must(os.WriteFile(path, data, 0o600))
	}
	out := w.bash(t, doc[checking])
	for _, path := range archives {
		if !strings.Contains(out, filepath.Base(path)+" is not what was sent") {
			t.Errorf("nothing is said of %s", path)
		}
	}
}

// TestStockParts puts an archive that came in parts together, out of the
// vault's folder.
func TestStockParts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs, by the dozen")
	}
	doc := readStockSection(t)
	w := newStockWorld(t, false)
	content := strings.Repeat("from a pipe\n", 300_000)
	w.env.Stdin = strings.NewReader(content)
	id := strings.TrimSpace(w.firn("archive", "upload", "local:"+w.vault(), "-", "--part-size", "1"))
	if parts, err := filepath.Glob(w.vault() + "/archives/*/*/*/00003"); err != nil || len(parts) != 1 {
		t.Fatalf("%d archives came in four parts, %v", len(parts), err)
	}
	w.run(t, doc[askService]+doc[askFolder]+"fetch "+id)
	got, err := os.ReadFile(filepath.Join(w.machine, "archives", id))
	if err != nil || string(got) != content {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(content), err)
	}
}

// TestStockTar opens archives alone, with the commands that are told for that:
// all that comes out was in the tree.
func TestStockTar(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs, by the dozen")
	}
	text, err := os.ReadFile("../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := readStockSection(t)
	for kind, command := range map[string]string{
		"bundle": "tar -xpf archives/ARCHIVE\n", "sealed": "age --decrypt --identity identity.txt archives/ARCHIVE | tar -xp\n",
	} {
		if !strings.Contains(string(text), "\n"+command) {
			t.Errorf("docs/format.md doesn't tell of %q", command)
		}
		w := newStockWorld(t, kind == "sealed")
		w.run(t, doc[askService]+doc[askFolder]+doc[byInventory]+`
for id in $(described | jq -r 'select(.kind == "`+kind+`") | .ArchiveId'); do fetch "$id"; `+strings.ReplaceAll(command[:len(command)-1], "ARCHIVE", `"$id"`)+` 2>/dev/null; done # without its words on times
rm -rf archives identity.txt inventory.json catalogs`)
		got := contents(w.listing(w.machine))
		first, last := contents(w.first), contents(w.last)
		for name, is := range got {
			if is != first[name] && is != last[name] {
				t.Errorf("%s: %q is %s", kind, name, is)
			}
		}
		for _, name := range []string{"/tab\tline\n", "/\xe9\n", "/sub dir/link\xff", "/sub dir/large\xff\n", fileGone, "/added"} {
			if got[name] == "" {
				t.Errorf("%s: %q isn't there", kind, name)
			}
		}
	}
}

// contents leaves of a listing only mode, size and hash: tar rounds times.
func contents(listing map[string]string) map[string]string {
	short := map[string]string{}
	for name, line := range listing {
		f := strings.Fields(line)
		short[name] = f[0] + " " + f[2] + " " + f[3]
	}
	return short
}
