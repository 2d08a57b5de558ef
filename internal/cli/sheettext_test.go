package cli

import (
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/firn-archive/firn/internal/testprog"
)

// TestSheetCommandsAreThemselves: whatever words a command has, and wherever it
// is broken, a shell reads the same words; and all of it is ASCII, in lines that
// are no wider than the page where no quotes forbid that.
func TestSheetCommandsAreThemselves(t *testing.T) {
	shell := testprog.Need(t, "bash")
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("abc '\"\\$é\x01\n#/.-")), 0, 30, -1), 1, 12).Draw(t, "words")
		line := `printf '%s\0'`
		for _, w := range words {
			line += " " + shellWord(w)
		}
		p := &page{}
		p.commands([]string{line})
		if strings.ContainsFunc(p.String(), func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
			t.Fatalf("%q is not ASCII", p.String())
		}
		out, err := exec.Command(shell, "-c", p.String()).Output()
		if want := strings.Join(words, "\x00") + "\x00"; err != nil || string(out) != want {
			t.Fatalf("%s\ngives %q, want %q; %v", p.String(), out, want, err)
		}
	})
}

func TestSheetLinesFit(t *testing.T) {
	p := &page{}
	p.line("  some words that go on and on, %s", strings.Repeat("and on and ", 20))
	p.line("x %s", strings.Repeat("y", 200))
	p.field("name", strings.Repeat("z ", 100))
	p.commands([]string{"cmd --id " + strings.Repeat("i", 150) + " file    # " + strings.Repeat("a remark ", 20)})
	for line := range strings.Lines(p.String()) {
		if len(strings.TrimRight(line, "\n")) > sheetWidth {
			t.Errorf("%d characters: %s", len(line)-1, line)
		}
	}
	if !strings.Contains(p.String(), "\n  ") {
		t.Errorf("the second line isn't indented:\n%s", p)
	}
}

// TestSheetIsAPage: with however many directories and recipients it stays one
// page, which says how many it leaves out.
func TestSheetIsAPage(t *testing.T) {
	for _, kind := range []string{"glacier", "local"} {
		r := sheetRecord{
			Store: kind + ":" + strings.Repeat("d/", 20), Kind: kind, Name: "photos", Account: "012345678901", Region: "eu-west-1",
			Address: "arn:aws:glacier:eu-west-1:012345678901:vaults/photos", Profile: "home", Endpoint: "https://glacier.example.org", Encrypted: true,
			Identity: "/home/" + strings.Repeat("u", 30) + "/.config/firn/identity.txt", host: "nas",
		}
		for range 64 {
			r.Recipients = append(r.Recipients, "age1"+strings.Repeat("q", 58))
			r.Trees = append(r.Trees, treeRecord{Tree: "photos", Host: "nas", Root: strings.Repeat("/dir", 20)})
		}
		r.WithFirn, r.WithStock = firnCommands(r), stockCommands(r)
		text := sheetText(r, "1.0")
		if n := strings.Count(text, "\n"); n > sheetLines || n < sheetLines-8 {
			t.Errorf("%s: %d lines:\n%s", kind, n, text)
		}
		if !strings.Contains(text, "more directories, which") || !strings.Contains(text, "more\n") {
			t.Errorf("%s: it isn't told what is left out:\n%s", kind, text)
		}
	}
}

func TestShortKey(t *testing.T) {
	x25519 := "age1" + strings.Repeat("q", 58)
	if got := shortKey(x25519); got != x25519 {
		t.Errorf("got %s", got)
	}
	if got := shortKey("age1pq1" + strings.Repeat("q", 1952)); len(got) > sheetWidth-4 || !strings.Contains(got, "(1959 characters)") {
		t.Errorf("got %s", got)
	}
}

func TestAccountOf(t *testing.T) {
	for address, want := range map[string]string{
		"arn:aws:glacier:eu-west-1:123456789012:vaults/photos": "123456789012",
		"/mnt/usb/vault": "", "a:b:c:d:e:f": "", "arn:aws:s3:::bucket": "",
	} {
		if got := accountOf(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
