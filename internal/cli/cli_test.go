package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// testEnv is a world without anything in it, in a folder of its own.
func testEnv(t *testing.T) Env {
	return Env{
		Stdin: strings.NewReader(""), Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{},
		LookupEnv: func(string) (string, bool) { return "", false },
		Dir:       t.TempDir(),
		Clock:     clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
	}
}

// try runs a command line in env, and gives what it writes.
func try(env Env, args ...string) (status Status, stdout, stderr string) {
	var out, err bytes.Buffer
	env.Stdout, env.Stderr = &out, &err
	code := Main(context.Background(), append([]string{"firn"}, args...), env)
	return Status(code), out.String(), err.String()
}

// failing is a command that ends with an error.
func failing(a *app, err error) *cobra.Command {
	cmd := &cobra.Command{Use: "fail", Args: takes(), RunE: a.runner(func(context.Context, []string) error { return err })}
	cmd.Flags().Bool("dry-run", false, "")
	return cmd
}

func TestErrorsOfCommands(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		args   []string
		status Status
		stderr string
	}{
		{"an error", &firn.Error{Op: "find store", Subject: "x\x1b", Kind: firn.NotFound, Hint: "make it"}, nil,
			Failed, "firn: find store x\\x1b: not found; make it\n"},
		{"usage found late", wrongUsage("fail", "--to and --in-place are two answers"), nil,
			WrongUsage, "firn: fail: --to and --in-place are two answers\nusage: firn fail [flags]; for more: firn fail --help\n"},
		{"nothing to add", errors.Join(ErrPartial, ErrNotYet), nil, Partial, ""},
		{"an option there is not", nil, []string{"--nope"}, WrongUsage,
			"firn: unknown flag: --nope\nusage: firn fail [flags]; for more: firn fail --help\n"},
		{"two at odds", nil, []string{"-q", "-v"}, WrongUsage,
			"firn: give --quiet or --verbose, not both\nusage: firn fail [flags]; for more: firn fail --help\n"},
		{"an argument too many", nil, []string{"more"}, WrongUsage,
			"firn: \"more\" is one argument too many\nusage: firn fail [flags]; for more: firn fail --help\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			env := testEnv(t)
			env.Stderr = &stderr
			a := &app{env: env}
			root := newRootCmd(a)
			root.AddCommand(failing(a, tt.err))
			if got := a.execute(t.Context(), root, append([]string{"fail"}, tt.args...)); got != tt.status {
				t.Errorf("status %d, want %d", got, tt.status)
			}
			if got := stderr.String(); got != tt.stderr {
				t.Errorf("stderr %q, want %q", got, tt.stderr)
			}
		})
	}
}

func TestUsageErrorsThatSayWhatToDo(t *testing.T) {
	var stderr bytes.Buffer
	env := testEnv(t)
	env.Stderr = &stderr
	a := &app{env: env}
	root := newRootCmd(a)
	root.AddCommand(failing(a, &firn.Error{Op: "ask", Kind: firn.Usage, Err: errors.New("no terminal"), Hint: "give --yes"}))
	if got := a.execute(t.Context(), root, []string{"fail"}); got != WrongUsage {
		t.Errorf("status %d", got)
	}
	if want := "firn: ask: no terminal; give --yes\n"; stderr.String() != want {
		t.Errorf("stderr %q, want %q", stderr.String(), want)
	}
}

func TestInterruptedCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	env := testEnv(t)
	env.Stderr = &stderr
	a := &app{env: env}
	root := newRootCmd(a)
	root.AddCommand(failing(a, errors.Join(ErrPartial, fmt.Errorf("upload a: %w", context.Cause(ctx)))))
	if got := a.execute(ctx, root, []string{"fail"}); got != Interrupted {
		t.Errorf("status %d", got)
	}
	if want := "firn: interrupted; what was done is saved, run the same command again to go on\n"; stderr.String() != want {
		t.Errorf("stderr %q, want %q", stderr.String(), want)
	}
}

func TestResultsThatAreNotWrittenAreNoSuccess(t *testing.T) {
	var stderr bytes.Buffer
	env := testEnv(t)
	env.Stdout, env.Stderr = full{}, &stderr
	if status := Main(t.Context(), []string{"firn", "version"}, env); Status(status) != Failed {
		t.Errorf("status %d", status)
	}
	if want := "firn: write the result to stdout: no space left on device\n"; stderr.String() != want {
		t.Errorf("stderr %q, want %q", stderr.String(), want)
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestLogFile(t *testing.T) {
	env := testEnv(t)
	for range 2 {
		a := &app{env: env}
		root := newRootCmd(a)
		root.AddCommand(failing(a, errors.New("boom")))
		a.execute(t.Context(), root, []string{"fail", "--log", "firn.log"})
	}
	got, err := os.ReadFile(filepath.Join(env.Dir, "firn.log"))
	if want := strings.Repeat("2026-01-02T03:04:05Z error: boom\n", 2); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	status, _, stderr := try(env, "version", "--log", "missing/firn.log")
	if status != Failed || stderr != "firn: open log missing/firn.log: no such file or directory; give another file with --log\n" {
		t.Errorf("a log in a folder that is not: %d %s", status, stderr)
	}
}

func TestDryRunIsToldToTheUI(t *testing.T) {
	for _, args := range [][]string{{"work"}, {"work", "--dry-run"}} {
		var out bytes.Buffer
		env := testEnv(t)
		env.Stdout = &out
		a := &app{env: env}
		root := newRootCmd(a)
		cmd := failing(a, nil)
		cmd.Use = "work"
		cmd.RunE = a.runner(func(context.Context, []string) error {
			a.ui.Sink()(firn.FileEvent{Action: firn.Sent, Path: "a"})
			return nil
		})
		root.AddCommand(cmd)
		a.execute(t.Context(), root, args)
		if got, want := out.String() == "would send\ta\t\n", len(args) > 1; got != want {
			t.Errorf("%v: stdout %q", args, out.String())
		}
	}
}

func TestTakes(t *testing.T) {
	tests := []struct {
		names, args, want string
	}{
		{"", "", ""},
		{"", "a", `"a" is one argument too many`},
		{"DIR", "", "DIR is missing"},
		{"DIR", "a b", `"b" is one argument too many`},
		{"DIR... STORE", "", "DIR is missing"},
		{"DIR... STORE", "a", "STORE is missing"},
		{"DIR... STORE", "a b c d", ""},
		{"STORE [PATH]", "", "STORE is missing"},
		{"STORE [PATH]", "a", ""},
		{"STORE [PATH]", "a b c", `"c" is one argument too many`},
		{"STORE [PATH...]", "a b c", ""},
	}
	for _, tt := range tests {
		got := ""
		if err := takes(strings.Fields(tt.names)...)(nil, strings.Fields(tt.args)); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q with %q: got %q, want %q", tt.names, tt.args, got, tt.want)
		}
	}
}

func TestPath(t *testing.T) {
	e := Env{Dir: "/work/dir"}
	for in, want := range map[string]string{"a": "/work/dir/a", "../b/": "/work/b", "/c/./d": "/c/d", ".": "/work/dir", "": "/work/dir"} {
		if got := e.Path(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestRecordsAreDocumented fails where docs/json.md lacks a record of a
// command, or one of its fields.
func TestRecordsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for kind, record := range records() {
		_, section, found := strings.Cut(string(text), "\n## `"+kind+"`")
		if !found {
			t.Errorf("docs/json.md has no section `%s`", kind)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		for _, field := range reflect.VisibleFields(reflect.TypeOf(record)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" && !strings.Contains(section, "| `"+name+"` |") {
				t.Errorf("docs/json.md, section `%s`, lacks the field `%s`", kind, name)
			}
		}
	}
}

// records are the objects that commands show with --json, by their type.
func records() map[string]any {
	return map[string]any{
		"entry": lsRecord{}, "file_version": historyRecord{}, "store": storeRecord{}, "tree": treeRecord{}, "pending": pendingRecord{},
		"archive": archiveRecord{}, "vault": vaultRecord{}, "serve": serveRecord{}, "version": versionRecord{},
		"catalog_fault": catalogFaultRecord{}, "catalog_check": catalogCheckRecord{}, "catalog_export": exportRecord{}, "journal_export": journalRecord{},
		"migration_price": migrationPriceRecord{}, "uncopied": uncopiedRecord{}, "to_go": toGoRecord{}, "to_go_result": toGoResultRecord{},
		"iam_policy": iamPolicyRecord{}, "batch_manifest": batchManifestRecord{},
		"catalog_import": importRecord{}, "recovery_sheet": sheetRecord{}, "price": priceRecord{},
		"job": jobRecord{}, "output": outputRecord{}, "retrieval": retrievedRecord{}, "deletion": deletionRecord{}, "account": accountRecord{}, "reference": referenceRecord{}, "plan": planRecord{}, "cancelled": cancelledRecord{},
		"queue": queueRecord{}, "prune": pruneRecord{}, "pruned": prunedRecord{}, "deletions": deletionsRecord{},
		"open_upload": uploadRecord{}, "part": partRecord{}, "upload_check": uploadCheckRecord{}, "aborted_upload": abortRecord{},
		"tag": tagRecord{}, "notification": notificationRecord{}, "policy": policyRecord{}, "lock": lockRecord{}, "retrieval_policy": retrievalPolicyRecord{}, "bill": billRecord{}, "bill_item": billItem{},
		"hashes": hashesRecord{}, "store_check": storeCheckRecord{}, "safe": safeRecord{}, "safe_summary": safeSumRecord{},
		"difference": differenceRecord{}, "refreshed": refreshedRecord{}, "refresh": refreshRecord{}, "migration": migrationRecord{},
	}
}
