package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A keyboard is the user's end of a pseudo-terminal of the kernel's.
type keyboard struct {
	*os.File
	t     *testing.T
	shown string // all that the terminal showed
}

// sitDown gives env a terminal as its stdin and stderr.
func sitDown(t *testing.T, env *Env) *keyboard {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	env.Stdin, env.Stderr = terminal, terminal
	env.Terminal = Terminal{Stdin: true, Stderr: true}
	return &keyboard{File: master, t: t}
}

// see waits until the terminal shows text.
func (k *keyboard) see(text string) {
	k.t.Helper()
	for p := make([]byte, 4096); !strings.Contains(k.shown, text); {
		n, err := k.Read(p)
		if err != nil {
			k.t.Fatalf("%v; the terminal shows %q", err, k.shown)
		}
		k.shown += string(p[:n])
	}
}

// echoes says whether the terminal shows what is typed.
func (k *keyboard) echoes() bool {
	k.t.Helper()
	mode, err := unix.IoctlGetTermios(int(k.Fd()), unix.TCGETS)
	if err != nil {
		k.t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// silence waits until the terminal shows nothing of what is typed.
func (k *keyboard) silence() {
	k.t.Helper()
	for k.echoes() {
		runtime.Gosched()
	}
}

// answer waits for a question, and types, which the terminal must not show.
func (k *keyboard) answer(question, line string) {
	k.t.Helper()
	k.see(question)
	k.shown = ""
	k.silence()
	fmt.Fprintln(k, line)
	k.see("\n")
	if strings.Contains(k.shown, line) {
		k.t.Errorf("the terminal shows the passphrase: %q", k.shown)
	}
}

// start runs a command line at the terminal.
func start(ctx context.Context, env Env, args ...string) (ended chan Status, stdout *bytes.Buffer) {
	ended, stdout = make(chan Status, 1), &bytes.Buffer{}
	env.Stdout = stdout
	go func() { ended <- Status(Main(ctx, append([]string{"firn"}, args...), env)) }()
	return ended, stdout
}

// TestPassphraseOnTheTerminal: it is asked twice when it is chosen and once
// when it is used, is never shown, and works.
func TestPassphraseOnTheTerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("scrypt takes a second each time, on purpose")
	}
	env := testEnv(t)
	k := sitDown(t, &env)
	ended, made := start(t.Context(), env, "key", "new", "--passphrase", "id.txt")
	k.answer("new passphrase: ", "correct horse")
	k.answer("the same again: ", "correct horse")
	if status := <-ended; status != Done {
		t.Fatalf("status %d", status)
	}
	ended, shown := start(t.Context(), env, "key", "show", "id.txt")
	k.answer("passphrase of "+env.Path("id.txt")+": ", "correct horse")
	if status := <-ended; status != Done || shown.String() != made.String() {
		t.Errorf("status %d, %q, want %q", status, shown, made)
	}
	if !k.echoes() {
		t.Error("the terminal stays silent")
	}
}

func TestPassphrasesThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		typed []string
		want  string
	}{
		{"empty", []string{""}, "it is empty"},
		{"two", []string{"correct horse", "correct house"}, "differ"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := testEnv(t)
			k := sitDown(t, &env)
			ended, _ := start(t.Context(), env, "key", "new", "--passphrase", "id.txt")
			for i, line := range tt.typed {
				k.see([]string{"new passphrase: ", "the same again: "}[i])
				k.silence()
				fmt.Fprintln(k, line)
			}
			k.see(tt.want)
			if status := <-ended; status != WrongUsage {
				t.Errorf("status %d", status)
			}
			if _, err := os.Lstat(env.Path("id.txt")); err == nil {
				t.Error("an identity was written")
			}
		})
	}
}

// TestInterruptAtTheQuestion: the terminal shows again what is typed.
func TestInterruptAtTheQuestion(t *testing.T) {
	env := testEnv(t)
	k := sitDown(t, &env)
	ctx, cancel := context.WithCancel(t.Context())
	ended, _ := start(ctx, env, "key", "new", "--passphrase", "id.txt")
	k.see("new passphrase: ")
	k.silence()
	cancel()
	if status := <-ended; status != Interrupted {
		t.Errorf("status %d", status)
	}
	if !k.echoes() {
		t.Error("the terminal stays silent")
	}
	fmt.Fprintln(k) // lets the read go that was left behind
}
