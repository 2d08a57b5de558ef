package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/bench/programs"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/testprog"
)

// A handWorld is a tree in S3, which was synced twice, and a machine without firn
// that is to get it back with what RESTORE.txt says.
type handWorld struct {
	*stockWorld
	bucket, store string
}

// byHandPrefix is where the store is: a name that a shell has to be careful with.
const byHandPrefix = "it's $mine"

// setAWS points the SDK at a server, for all of a test.
func setAWS(t *testing.T, endpoint string) {
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
}

// newHandWorld syncs the tree to a bucket.
func newHandWorld(t *testing.T, endpoint, bucket string, sealed bool, class string, server *clock.Manual) *handWorld {
	t.Helper()
	w := &handWorld{
		stockWorld: &stockWorld{T: t, clock: server, machine: t.TempDir(), bin: t.TempDir(), env: homeEnv(t), endpoint: endpoint},
		bucket:     bucket,
		store:      "s3:" + bucket + "/" + byHandPrefix,
	}
	w.env.Clock = server
	for _, name := range []string{"aws", "age"} {
		w.must(os.Symlink(testprog.Need(t, name), filepath.Join(w.bin, name)))
	}
	w.firn("store", "create", w.store, "--class", class)
	sync := []string{"sync", "tree", w.store}
	if sealed {
		recipient := strings.TrimSpace(w.firn("key", "new", filepath.Join(w.machine, "identity.txt")))
		sync = append(sync, "--recipient", recipient, "--identity", filepath.Join(w.machine, "identity.txt"))
	}
	w.fill()
	w.first = w.listing(w.tree())
	w.firn(sync...)
	w.clock.Advance(25 * time.Hour)
	w.change()
	w.last = w.listing(w.tree())
	w.firn(sync...)
	return w
}

// commands gives the commands that a text has in its comments, in order.
func commands(text string) (found []string) {
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "#     "); ok {
			found = append(found, strings.TrimSpace(command))
		}
	}
	return found
}

// byHand runs a command on the machine without firn, and gives its status.
func (w *handWorld) byHand(command string) (status int, stdout, stderr string) {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), "sh", "-c", command)
	cmd.Dir = w.machine
	cmd.Env = []string{
		"PATH=" + w.bin + ":" + os.Getenv("PATH"), "HOME=" + w.machine, "LANG=C.UTF-8", "TZ=Asia/Kathmandu",
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PAGER=",
	}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		w.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// want runs a command that must end with a status.
func (w *handWorld) want(status int, command string) string {
	w.Helper()
	got, stdout, stderr := w.byHand(command)
	if got != status {
		w.Fatalf("%s: status %d, want %d\n%s\n%s", command, got, status, stdout, stderr)
	}
	return stdout
}

// fetchText finds the newest list, as RESTORE.txt tells, fetches it, and gives
// what RESTORE.txt says, and the commands in it.
func (w *handWorld) fetchText() (text string, found []string) {
	w.Helper()
	lists := `aws --region 'us-east-1' --endpoint-url '` + w.endpoint + `' s3 ls 's3://` + w.bucket + `/it'\''s $mine/.firn/lists/'`
	folders := strings.Split(strings.TrimSpace(w.want(0, lists)), "\n")
	if len(folders) != 2 {
		w.Fatalf("there are the lists %q, want those of two snapshots", folders)
	}
	newest := strings.TrimPrefix(strings.TrimSpace(folders[1]), "PRE ")
	w.want(0, strings.Replace(lists, " ls ", " cp --recursive ", 1)+newest+" .")
	data, err := os.ReadFile(filepath.Join(w.machine, "RESTORE.txt"))
	w.must(err)
	if all := commands(string(data)); all[0] == lists {
		return string(data), all
	}
	w.Fatalf("RESTORE.txt doesn't say how to list the lists, which was %s: %s", lists, data)
	return "", nil
}

// command is the one of those in RESTORE.txt that has all of these words, with
// values for the words in capitals.
func (w *handWorld) command(all []string, words string, values ...string) string {
	w.Helper()
	for _, one := range all {
		has := true
		for word := range strings.FieldsSeq(words) {
			has = has && strings.Contains(one, word)
		}
		if has {
			return strings.NewReplacer(values...).Replace(one)
		}
	}
	w.Fatalf("no command with %q in %q", words, all)
	return ""
}

// bringBack follows RESTORE.txt until all is back. Later lets the hours pass.
func (w *handWorld) bringBack(all []string, cold bool, later func()) {
	w.Helper()
	w.must(os.Remove(filepath.Join(w.machine, "RESTORE.txt"))) // the command that it names brings it, too
	w.want(0, w.command(all, "s3 cp --recursive"))
	script := w.command(all, "sh RESTORE.txt")
	if cold {
		w.want(75, script)
		w.want(75, script) // asked for already
		later()
	}
	for tries := 0; ; tries++ { // moto counts looks, not hours
		status, stdout, stderr := w.byHand(script)
		if status == 0 {
			break
		}
		if status != 75 || tries == 5 {
			w.Fatalf("status %d\n%s\n%s", status, stdout, stderr)
		}
	}
	w.compare(stockCase{}, w.listing(filepath.Join(w.machine, "back", "tree")))
	w.want(0, script) // which finds all done
	w.compare(stockCase{}, w.listing(filepath.Join(w.machine, "back", "tree")))
}

// oneFile gets a file of a bundle by itself, by the commands for that.
func (w *handWorld) oneFile(all []string, cold, sealed bool, later func()) {
	w.Helper()
	line := w.want(0, "grep '^tree,middle 5,' files.csv")
	f := strings.Split(strings.TrimSpace(line), ",")
	key, offset, size := "'"+strings.ReplaceAll(f[8], "'", `'\''`)+"'", f[10], f[6]
	last := w.want(0, "printf %s $(("+offset+" + "+size+" - 1))")
	values := []string{"KEY", key, "OFFSET", offset, "SIZE", size, "LAST", last, "FILE", "found"}
	if cold {
		w.want(0, w.command(all, "restore-object", values...))
		if said := w.want(0, w.command(all, "head-object", values...)); !strings.Contains(said, `ongoing-request=\"true\"`) && !strings.Contains(said, `ongoing-request=\"false\"`) {
			w.Errorf("head-object said %s", said)
		}
		later()
	}
	if !sealed {
		w.want(0, w.command(all, "get-object --range", values...))
	} else {
		w.want(0, w.command(all, "s3api get-object archive.age", values...))
		w.want(0, w.command(all, "age tail -c", values...))
		w.want(0, "mkdir tar && cd tar && ln -s ../identity.txt ../archive.age . && "+w.command(all, "age tar -xpf"))
	}
	want, err := os.ReadFile(w.tree() + "/middle 5")
	w.must(err)
	for _, name := range map[bool][]string{false: {"found"}, true: {"found", "tar/middle 5"}}[sealed] {
		got, err := os.ReadFile(filepath.Join(w.machine, name))
		if err != nil || string(got) != string(want) {
			w.Errorf("%s by itself isn't what it was: %d bytes of %d; %v", name, len(got), len(want), err)
		}
	}
	if sealed {
		return
	}
	name := strings.TrimSuffix(filepath.Base(f[8]), ".tar")
	w.want(0, "mkdir tar && cd tar && "+w.command(all, "s3 cp tar -xpf", "NAME", name))
	got, err := os.ReadFile(filepath.Join(w.machine, "tar", "middle 5"))
	if err != nil || string(got) != string(want) {
		w.Errorf("the tar has another file: %d bytes of %d; %v", len(got), len(want), err)
	}
}

// TestRestoreByHand: aws, tar and a shell bring back what firn stored in S3, with
// nothing but what RESTORE.txt says.
func TestRestoreByHand(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the aws command dozens of times")
	}
	servers := map[string]http.Handler{} // one for each bucket, with a clock of its own
	listening := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		bucket, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		servers[bucket].ServeHTTP(rw, r)
	}))
	t.Cleanup(listening.Close)
	setAWS(t, listening.URL)
	for _, c := range []struct {
		name, class  string
		sealed, cold bool
	}{
		{name: "deep", class: "DEEP_ARCHIVE", cold: true},
		{name: "sealed", class: "GLACIER", cold: true, sealed: true},
		{name: "direct", class: "GLACIER_IR"},
	} {
		now := clock.NewManual(clock.System{}.Now())
		server := s3test.New(s3test.Options{Buckets: []string{c.name}, Clock: now, Thaw: 12 * time.Hour})
		servers[c.name] = server
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newHandWorld(t, listening.URL, c.name, c.sealed, c.class, now)
			w.checkLists(server, c.sealed)
			_, all := w.fetchText()
			later := func() { now.Advance(13 * time.Hour) }
			w.bringBack(all, c.cold, later)
			if c.cold {
				w.oneFile(all, c.cold, c.sealed, later)
			}
			w.lessCommand(all)
		})
	}
}

// lessCommand: the command that leaves lines out of the list leaves those of the
// folder.
func (w *handWorld) lessCommand(all []string) {
	w.Helper()
	w.want(0, w.command(all, "head grep", "TREE", "tree", "FOLDER", "sub dir"))
	left := strings.Split(strings.TrimSpace(w.want(0, "cat files.csv")), "\n")
	if len(left) < 5 || !strings.HasPrefix(left[0], "tree,path,") {
		w.Errorf("the list is now %q", left)
	}
	for _, line := range left[1:] {
		if !strings.HasPrefix(line, "tree,sub dir/") {
			w.Errorf("the list has %q", line)
		}
	}
}

// checkLists: what lies beside the snapshots can be read at once, and where the
// tree is encrypted no name of it shows.
func (w *handWorld) checkLists(server *s3test.Server, sealed bool) {
	w.Helper()
	n := 0
	for _, key := range server.Keys(w.bucket) {
		if !strings.Contains(key, "/.firn/lists/") {
			continue
		}
		n++
		data, class, _ := server.Object(w.bucket, key)
		if class != "STANDARD" {
			w.Errorf("%s is of the class %s", key, class)
		}
		if strings.HasSuffix(key, ".age") != (sealed && strings.Contains(key, "files.csv")) {
			w.Errorf("%s is there", key)
		}
		host, err := os.Hostname()
		w.must(err)
		const telling = 6 // bytes: shorter ones are in what is encrypted by chance
		if sealed && (len(host) >= telling && strings.Contains(string(data), host) || strings.Contains(string(data), "sub dir")) {
			w.Errorf("%s tells names: %.1000q", key, data)
		}
	}
	if n != 4 {
		w.Errorf("%d files lie beside two snapshots, want 4", n)
	}
}

// TestRestoreByHandMoto does the same with a server that others wrote.
func TestRestoreByHandMoto(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the aws command dozens of times")
	}
	endpoint := startMoto(t)
	setAWS(t, endpoint)
	w := newHandWorld(t, endpoint, "bucket", false, "DEEP_ARCHIVE", clock.NewManual(clock.System{}.Now()))
	_, all := w.fetchText()
	w.bringBack(all, true, func() {})
	w.oneFile(all, true, false, func() {})
}

// startMoto starts moto, with a bucket, where what is asked for comes when it was
// looked at a few times.
func startMoto(t *testing.T) (endpoint string) {
	path := testprog.Find(t, "moto_server", "pip install 'moto[server]'")
	port, err := programs.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	endpoint = "http://127.0.0.1:" + port
	if err := programs.Await(t.Context(), endpoint); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, endpoint+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s: %v %v", path, resp, err)
		}
		resp.Body.Close()
	}
	ask(http.MethodPut, "/bucket", "")
	ask(http.MethodPost, "/moto-api/state-manager/set-transition", `{"model_name":"s3::keyrestore","transition":{"progression":"manual","times":3}}`)
	return endpoint
}
