package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/testprog"
)

// TestGitAnnex runs git-annex with remotes of type=glacier: it finds the test program
// under the name glacier on its PATH. A further command is there for its scripts:
//
//	killed COMMAND...       runs a command, and kills it as soon as it has a process
//	                        that uploads; then it waits until that has ended, too
func TestGitAnnex(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	testprog.Need(t, "git-annex")
	testprog.Need(t, "git")
	files, err := filepath.Glob("testdata/gitannex/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	runScripts(t, files, map[string]func(*testscript.TestScript, bool, []string){"killed": killUploading})
}

func killUploading(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: killed COMMAND [ARGUMENT...]")
	}
	if runtime.GOOS != "linux" {
		ts.Fatalf("it looks for processes in /proc")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_GLACIER", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	home := "HOME=" + ts.Getenv("HOME")
	until(ts, func() bool { return isUploading(home) })
	ts.Check(cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		ts.Fatalf("%v had ended before it was killed", args)
	}
	until(ts, func() bool { return !isUploading(home) })
}

// until looks every few milliseconds whether something is so, for a minute.
func until(ts *testscript.TestScript, is func() bool) {
	for began := (clock.System{}).Now(); !is(); {
		if (clock.System{}).Now().Sub(began) > time.Minute {
			ts.Fatalf("a minute has passed in vain")
		}
		(clock.System{}).Sleep(context.Background(), 2*time.Millisecond)
	}
}

// isUploading reports whether there is a process glacier archive upload with a home.
func isUploading(home string) bool {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range procs {
		line, _ := os.ReadFile(file) // it may have ended
		if args := "\x00" + string(line); !strings.Contains(args, "glacier\x00") || !strings.Contains(args, "\x00archive\x00upload\x00") {
			continue
		}
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		if strings.Contains("\x00"+string(env), "\x00"+home+"\x00") {
			return true
		}
	}
	return false
}
