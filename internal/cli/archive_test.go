package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/loose"
	"github.com/firn-archive/firn/internal/pack"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/internal/worktest"
)

// homeEnv is testEnv with a home folder, and the real clock.
func homeEnv(t *testing.T) Env {
	env := testEnv(t)
	home := t.TempDir()
	env.Clock = clock.System{}
	env.LookupEnv = func(name string) (string, bool) {
		if name == "HOME" {
			return home, true
		}
		return "", false
	}
	return env
}

func TestPackRootsAreNamedAsTarDoes(t *testing.T) {
	for given, want := range map[string]string{
		"photos": "photos", "photos/": "photos", "./photos": "photos", "a/b": "a/b", "/home/me/a": "home/me/a",
		"../other": "other", "../../x/y": "x/y", ".": "", "..": "", "/": "", "a/../b": "b", "...": "...", "..x/y": "..x/y",
	} {
		if got := newPackRoot(given, "/x", true).name; got != want {
			t.Errorf("%q is %q in a pack, want %q", given, got, want)
		}
	}
}

func TestDescriptionsAreChecked(t *testing.T) {
	ours, err := describe.Encode(describe.Archive{Token: firn.NewToken(), Kind: describe.File, Path: "a", ModTime: time.Unix(1e9, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]string{
		"": "", "a": "", strings.Repeat("x", 1024): "", "~ !": "", ours[:60]: "",
		strings.Repeat("x", 1025): "1025 characters", "a\tb": "at byte 2", "a\x7f": "at byte 2", "é": "at byte 1", "\xff": "at byte 1",
		" a": "blank", "a ": "blank", ours: "firn's own",
	} {
		err := checkDescription("upload", s)
		if want == "" && err != nil || want != "" && (firn.KindOf(err) != firn.Usage || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
}

func TestUploadFromATerminalIsRefused(t *testing.T) {
	env := homeEnv(t)
	env.Terminal.Stdin = true
	if status, _, stderr := try(env, "archive", "upload", "local:v", "-"); status != WrongUsage || !strings.Contains(stderr, "is a terminal") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// packed runs a packer and gives the names and sizes of what is in the pack.
func packed(t *testing.T, p *packer) (names []string, sizes []int64, err error) {
	t.Helper()
	r := p.start()
	defer func() { r.Close(); <-p.done }()
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return names, sizes, nil
		}
		if err != nil {
			return names, sizes, err
		}
		n, err := io.Copy(io.Discard, in)
		if err != nil {
			return names, sizes, err
		}
		names, sizes = append(names, h.Name), append(sizes, n)
	}
}

// sink gathers events, and calls hook at each.
type sink struct {
	mu     sync.Mutex
	failed []string
	hook   func(firn.Event)
}

func (s *sink) take(e firn.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := e.(firn.FileEvent); ok && f.Action == firn.Failed {
		s.failed = append(s.failed, f.Path)
	}
	if s.hook != nil {
		s.hook(e)
	}
}

// TestPackGoesOnWithoutWhatFails: what is gone, or changes while it is read, is
// told, and the rest is whole.
func TestPackGoesOnWithoutWhatFails(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, make([]byte, size), 0o600)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const large = 3 * toldEvery
	shrinks := write("tree/shrinks", large)
	write("tree/whole", 7)
	events := &sink{hook: func(e firn.Event) {
		if s, ok := e.(firn.ScanEvent); ok && s.Files == 1 && !s.Done { // in its middle
			os.Truncate(shrinks, 10)
		}
	}}
	p := &packer{ctx: t.Context(), app: &app{env: testEnv(t)}, events: events.take, format: pack.Tar, roots: []packRoot{
		newPackRoot("gone", filepath.Join(dir, "gone"), false), newPackRoot("tree", filepath.Join(dir, "tree"), true), newPackRoot("last", write("last", 5), false),
	}}
	names, sizes, err := packed(t, p)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"tree/", "tree/shrinks", "tree/whole", "last"}; !slices.Equal(names, want) {
		t.Errorf("packed %q, want %q", names, want)
	}
	if want := []int64{0, large, 7, 5}; !slices.Equal(sizes, want) {
		t.Errorf("sizes %d, want %d", sizes, want)
	}
	if want := []string{"gone", "tree/shrinks"}; !slices.Equal(events.failed, want) || p.failed != 2 {
		t.Errorf("%d failed, told of %q, want %q", p.failed, events.failed, want)
	}
}

func TestPackOfNothing(t *testing.T) {
	p := &packer{ctx: t.Context(), app: &app{env: testEnv(t)}, events: firn.Discard, format: pack.Tar, roots: []packRoot{newPackRoot("gone", "/gone/away", false)}}
	if _, _, err := packed(t, p); firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "nothing of it could be read") {
		t.Errorf("%v", err)
	}
}

// TestPackStops: at an interrupt no file is told to have failed.
func TestPackStops(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, 4*toldEvery), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	events := &sink{hook: func(firn.Event) { cancel() }}
	p := &packer{ctx: ctx, app: &app{env: testEnv(t)}, events: events.take, format: pack.Tar, roots: []packRoot{newPackRoot("d", dir, true)}}
	if _, _, err := packed(t, p); !errors.Is(err, context.Canceled) || len(events.failed) != 0 {
		t.Errorf("%v, told of %q", err, events.failed)
	}
}

// TestInterruptedUploadOfAStream leaves nothing, and says so.
func TestInterruptedUploadOfAStream(t *testing.T) {
	env := homeEnv(t)
	stdin, feed := io.Pipe()
	var stderr bytes.Buffer
	env.Stdin, env.Stderr = stdin, &stderr
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		feed.Write(make([]byte, 5<<20))
		cancel() // it wants more
	}()
	status := Main(ctx, []string{"firn", "archive", "upload", "local:v", "-", "--part-size", "1"}, env)
	feed.Close()
	if Status(status) != Interrupted || !strings.Contains(stderr.String(), "stdin was not stored; send it again from its start") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
	if status, stdout, _ := try(env, "status"); status != Done || !strings.Contains(stdout, "in 0 archives") {
		t.Errorf("status %d: %s", status, stdout)
	}
}

// TestLostAnswerOfAnUpload: where the store can tell at once, nothing stays in
// doubt.
func TestLostAnswerOfAnUpload(t *testing.T) {
	for name, lags := range map[string]time.Duration{"at once": 0, "in a day": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{InventoryEvery: lags}, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: true})
			var out bytes.Buffer
			screen := ui.New(ui.Options{Stdout: &out, Stderr: io.Discard, Clock: b.Clock})
			run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, archiveUpload)
			if err != nil {
				t.Fatal(err)
			}
			uploader, err := transfer.NewUploader(b.Store, b.Store.Traits(), transfer.UploadOptions{Clock: b.Clock, TokenOf: describe.TokenOf})
			if err != nil {
				t.Fatal(err)
			}
			home := t.TempDir()
			u := &archiveUploader{
				options: &archiveUploadOptions{}, row: b.Row, run: run, uploader: uploader,
				journal: &loose.Journal{Catalog: b.Catalog, Run: run, Clock: b.Clock, Name: "stdin", Description: "words"},
				cargo:   cargo{name: "stdin", open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hello")), nil }},
				session: &session{
					env: wire.Env{Clock: b.Clock, Events: b.Events, Getenv: func(string) string { return home }},
					ui:  screen, catalog: b.Catalog, store: &wire.Store{Store: b.Store},
				},
			}
			err = u.upload(t.Context())
			open, listErr := b.Catalog.OpenIntents(t.Context(), b.Row.ID)
			if listErr != nil {
				t.Fatal(listErr)
			}
			if lags > 0 {
				if StatusOf(t.Context(), err) != NotYet || len(open) != 1 || out.Len() != 0 {
					t.Errorf("%v; open: %+v, printed %q", err, open, out.String())
				}
				return
			}
			archives := b.Memory.Archives()
			if err != nil || len(open) != 0 || len(archives) != 1 || out.String() != string(archives[0].ID)+"\n" {
				t.Errorf("%v; open: %+v, archives %+v, printed %q", err, open, archives, out.String())
			}
		})
	}
}

// spawn runs firn as a process of its own, in the world of env.
func spawn(t *testing.T, env Env, stdin io.Reader, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("firn") // that of testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdin = env.Dir, stdin
	cmd.Env = []string{"HOME=" + env.Getenv("HOME"), "PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

// waitFor calls status until that tells of some text.
func waitFor(t *testing.T, env Env, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		_, stdout, _ := try(env, "status")
		if strings.Contains(stdout, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("status never told %q, but\n%s", text, stdout)
		}
	}
}

func TestKilledUploadOfAStream(t *testing.T) {
	env := homeEnv(t)
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	cmd := spawn(t, env, stdin, "archive", "upload", "local:v", "-", "--part-size", "1")
	feed.Write(make([]byte, 3<<20+5))
	waitFor(t, env, "the upload of stdin is open")
	cmd.Process.Kill()
	cmd.Wait()
	env.Stdin = strings.NewReader("another")
	status, stdout, stderr := try(env, "archive", "upload", "local:v", "-")
	if status != Done || len(stdout) < 100 || !strings.Contains(stderr, "aborted the upload of stdin") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if status, stdout, _ := try(env, "status"); status != Done || !strings.Contains(stdout, "in 1 archives") {
		t.Errorf("status %d: %s", status, stdout)
	}
}

// TestKilledUploadOfAFile goes on where it was, whatever came between.
func TestKilledUploadOfAFile(t *testing.T) {
	env := homeEnv(t)
	content := storetest.Data(1, 66<<20)
	if err := os.WriteFile(filepath.Join(env.Dir, "a.tar"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"archive", "upload", "local:v", "a.tar", "--part-size", "1", "--description", "a tar"}
	cmd := spawn(t, env, nil, append(args, "--limit-upload", "4M")...)
	waitFor(t, env, "MiB of 66.0 MiB are there")
	env.Stdin = strings.NewReader("another, while that is under way")
	if status, _, stderr := try(env, "archive", "upload", "local:w", "-"); status != Done {
		t.Errorf("status %d: %s", status, stderr)
	}
	cmd.Process.Kill()
	cmd.Wait()
	env.Stdin = strings.NewReader("another, between")
	if status, _, stderr := try(env, "archive", "upload", "local:v", "-"); status != Done || strings.Contains(stderr, "aborted") {
		t.Errorf("status %d: %s", status, stderr)
	}
	status, stdout, stderr := try(env, args...)
	if status != Done || len(stdout) < 100 || !strings.Contains(stderr, "were there already") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if status, stdout, _ := try(env, "status", "local:v"); status != Done || !strings.Contains(stdout, "in 2 archives") {
		t.Errorf("status %d: %s", status, stdout)
	}
}
