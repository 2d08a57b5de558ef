package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/queuetest"
	"github.com/firn-archive/firn/internal/s3test"
)

// TestMain lets the scripts run firn and the older programs: the test program,
// called by one of these names, is that program.
func TestMain(m *testing.M) {
	run := func() {
		ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
		defer cancel()
		os.Exit(Main(ctx, os.Args, inScript(System())))
	}
	testscript.Main(m, map[string]func(){"firn": run, "glacier": run, "mtglacier": run})
}

// TestScripts runs the scripts in testdata/script, each in a folder and a home
// of its own. These commands are there beside testscript's:
//
//	serve DIR [OPTION...]   starts firn serve, and points the environment at it
//	queues [NAME...]        starts a server of queues and topics, likewise, with
//	                        these queues
//	s3 [THAW]               starts an S3 with the bucket "bucket", likewise, where what
//	                        is cold can be read THAW after it was asked for
//	later TIME              winds the clock of that S3
//	fault KIND OP KEY [N]   makes the next calls (1 or N; -1: all) of OP that are about
//	                        such a key fail there
//	mend                    lifts these faults
//	put KEY FILE            stores an object there as another program would
//	unopen                  ends all open uploads there, as a rule of the bucket would
//	wind TIME               winds the clock that all programs of the script have, the
//	                        server and the S3 too: see woundClock. It comes before serve.
//	                        "month" is until the second day of the next month, in UTC,
//	                        so that what a script does in days is in one month's bill
//	bodies DIR TO           writes the bodies of a local vault's archives to files in a
//	                        new folder, in the order in which they came
//	vanish PREFIX           deletes all of its objects whose keys begin so, within
//	                        any store
//	unserve                 interrupts that server, which must end well; stdout
//	                        and stderr are then its own (testscript has a stop,
//	                        which ends a script)
//	status N COMMAND...     runs a command, which must exit with N
//	read NAME FILE          sets a variable to the first line of a file, such as
//	                        stdout
//	mkrand FILE SIZE        makes a file of random bytes, the same for each size
//	tree-equal A B          two directories have the same files: names, kinds,
//	                        content, mode, time, targets
func TestScripts(t *testing.T) {
	const pattern = "testdata/script/*.txtar"
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no scripts match %s: %v", pattern, err)
	}
	if testing.Short() {
		found = raced(t, filepath.Dir(pattern))
	}
	runScripts(t, found, nil)
}

// runScripts runs scripts, with the commands of TestScripts and further ones.
func runScripts(t *testing.T, files []string, more map[string]func(*testscript.TestScript, bool, []string)) {
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"serve":      startServer,
		"queues":     startQueues,
		"s3":         startS3,
		"later":      windS3,
		"fault":      breakS3,
		"mend":       mendS3,
		"put":        putIntoS3,
		"unopen":     endUploadsInS3,
		"wind":       windAll,
		"bodies":     takeBodies,
		"vanish":     vanishFromS3,
		"older":      makeOlder,
		"unserve":    stopServer,
		"status":     wantStatus,
		"read":       readVariable,
		"mkrand":     makeRandom,
		"tree-equal": wantEqualTrees,
	}
	maps.Copy(cmds, more)
	testscript.Run(t, testscript.Params{
		Files:               files,
		Condition:           isCondition,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, ".home")
			env.Setenv("HOME", home)
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true") // no keys from this machine
			env.Setenv("ESC", "\x1b")
			env.Values[serverKey{}] = &server{}
			env.Values[s3Key{}] = &ahead{wound: woundClock{file: filepath.Join(home, woundFile)}}
			return os.Mkdir(home, 0o700)
		},
		Cmds: cmds,
	})
}

// raced gives the scripts that run with -short, as under the race detector, where
// each program that they start takes several times as long: those in which much
// goes on at once.
func raced(t *testing.T, dir string) (files []string) {
	for _, name := range []string{
		"archivepipe", "bundles", "prune", "recover", "restore", "resumejobs", "storeempty", "sync",
	} {
		file := filepath.Join(dir, name+".txtar")
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// A server is the firn serve that a script has started.
type server struct {
	cmd    *exec.Cmd
	rest   chan output // what it writes behind its first line, once that has ended
	stderr bytes.Buffer
}

type output struct {
	text []byte
	err  error
}

type serverKey struct{}

func startServer(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*server)
	if neg || len(args) < 1 || s.cmd != nil {
		ts.Fatalf("usage: serve DIR [OPTION...], once")
	}
	path, err := exec.LookPath("firn") // that of testscript.Main
	ts.Check(err)
	s.cmd = exec.Command(path, append([]string{"serve", "--json", "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if v := ts.Getenv(name); v != "" {
			s.cmd.Env = append(s.cmd.Env, name+"="+v)
		}
	}
	s.cmd.Stderr = &s.stderr
	out, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	cmd := s.cmd
	ts.Defer(func() {
		cmd.Process.Kill() // one that was stopped is gone already
		cmd.Wait()
	})
	var said serveRecord
	if err := json.NewDecoder(oneLine{out}).Decode(&said); err != nil {
		ts.Fatalf("firn serve said nothing: %v\n%s", err, s.stderr.String())
	}
	s.rest = make(chan output, 1)
	go func(rest chan<- output) { // a full pipe would stop the server
		text, err := io.ReadAll(out)
		rest <- output{text, err}
	}(s.rest)
	ts.Setenv("ENDPOINT", said.Endpoint)
	ts.Setenv("ENDPOINT_HOST", strings.TrimPrefix(said.Endpoint, "http://"))
	ts.Setenv("AWS_ENDPOINT_URL_GLACIER", said.Endpoint)
	ts.Setenv("AWS_REGION", "us-east-1")
	ts.Setenv("AWS_SHARED_CREDENTIALS_FILE", said.CredentialsFile)
}

func startQueues(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: queues [NAME...]")
	}
	s := queuetest.NewTrusting(clock.System{}) // the keys are those of serve
	for _, name := range args {
		s.AddQueue(name)
	}
	ts.Defer(s.Close)
	ts.Setenv("AWS_ENDPOINT_URL_SQS", s.URL)
	ts.Setenv("AWS_ENDPOINT_URL_SNS", s.URL)
}

type s3Key struct{}

func startS3(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 2 {
		ts.Fatalf("usage: s3 [THAW [THAW-BY-STANDARD] | one-class]")
	}
	now := ts.Value(s3Key{}).(*ahead)
	now.faults = s3test.NewFaults()
	o := s3test.Options{Buckets: []string{"bucket"}, Clock: now, Faults: now.faults}
	if o.OneClass = len(args) == 1 && args[0] == "one-class"; o.OneClass {
		args = nil
	}
	if len(args) > 0 {
		var err error
		o.Thaw, err = time.ParseDuration(args[0])
		ts.Check(err)
	}
	if len(args) > 1 {
		standard, err := time.ParseDuration(args[1])
		ts.Check(err)
		o.Thaws = map[string]time.Duration{"Standard": standard}
	}
	now.server = s3test.New(o)
	s := httptest.NewServer(now.server)
	ts.Defer(s.Close)
	ts.Setenv("AWS_ENDPOINT_URL_S3", s.URL)
	ts.Setenv("AWS_REGION", "us-east-1")
	ts.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	ts.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
}

func windS3(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: later TIME")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Value(s3Key{}).(*ahead).by.Add(int64(d))
}

// oneLine reads byte by byte, so that what follows a line is left.
type oneLine struct{ r io.Reader }

func (o oneLine) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

func stopServer(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*server)
	if neg || len(args) > 0 || s.cmd == nil {
		ts.Fatalf("usage: unserve, after serve")
	}
	ts.Check(s.cmd.Process.Signal(os.Interrupt))
	out := <-s.rest
	ts.Check(out.err)
	if err := s.cmd.Wait(); err != nil {
		ts.Fatalf("firn serve: %v\n%s", err, s.stderr.String())
	}
	ts.Stdout().Write(out.text)
	ts.Stderr().Write(s.stderr.Bytes())
	s.cmd = nil
}

func wantStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("status %d, want %d", got, want)
	}
}

func readVariable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: read NAME FILE")
	}
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	ts.Setenv(args[0], line)
}

func makeRandom(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mkrand FILE SIZE")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o777))
	f, err := os.Create(name)
	ts.Check(err)
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{byte(size)}), size)
	ts.Check(errors.Join(err, f.Close()))
}

func wantEqualTrees(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: tree-equal A B")
	}
	a, err := listing(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := listing(ts.MkAbs(args[1]))
	ts.Check(err)
	var differ []string
	for name := range a {
		if a[name] != b[name] {
			differ = append(differ, fmt.Sprintf("%s: %s and %q", name, a[name], b[name]))
		}
	}
	for name := range b {
		if a[name] == "" {
			differ = append(differ, fmt.Sprintf("%s: only in %s: %s", name, args[1], b[name]))
		}
	}
	if equal := len(differ) == 0; equal == neg {
		ts.Fatalf("%s and %s: %d files, differences: %s", args[0], args[1], len(a), strings.Join(differ, "\n"))
	}
}

// listing describes each file below dir; the time of dir itself and the sizes of
// folders say nothing.
func listing(dir string) (map[string]string, error) {
	files := map[string]string{}
	return files, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode().IsRegular():
			var data []byte
			data, err = os.ReadFile(name)
			content = string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(name)
		}
		files[strings.TrimPrefix(name, dir)] = fmt.Sprintf("%v %v %d %x", info.Mode(), info.ModTime().UnixNano(), len(content), sha256.Sum256([]byte(content)))
		return err
	})
}
