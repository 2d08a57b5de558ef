package mtglacier

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEncodings: the letters of one word in encodings by the names that Perl has
// for them. Source of the bytes: the code pages, as Unicode maps them.
func TestEncodings(t *testing.T) {
	for name, want := range map[string]string{
		"UTF-8": "\xd1\x84", "utf8": "\xd1\x84", "utf-8-strict": "\xd1\x84",
		"KOI8-R": "\xc6", "koi8-r": "\xc6", "koi8-u": "\xc6", "cp1251": "\xf4", "CP1251": "\xf4", "windows-1251": "\xf4", "cp866": "\xe4", "iso-8859-5": "\xe4", "ISO_8859-5": "\xe4",
		"MacCyrillic": "\xf4", "shiftjis": "\x84\x86", "cp932": "\x84\x86", "euc-jp": "\xa7\xe6", "gbk": "\xa7\xe6", "gb2312": "\xa7\xe6", "euc-kr": "\xac\xe6",
	} {
		e, err := encodingNamed(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := e.Encode("ф"); err != nil || got != want {
			t.Errorf("%s: ф is %q, %v", name, got, err)
		}
		if got, err := e.Decode(want); err != nil || got != "ф" {
			t.Errorf("%s: %q is %q, %v", name, want, got, err)
		}
		if e.IsUTF8() != strings.HasPrefix(strings.ToLower(name), "utf") {
			t.Errorf("%s: IsUTF8 is %t", name, e.IsUTF8())
		}
	}
	for name, want := range map[string]string{"latin1": "\xe9", "ISO-8859-1": "\xe9", "iso-8859-15": "\xe9", "cp1252": "\xe9", "cp437": "\x82", "cp850": "\x82", "MacRoman": "\x8e"} {
		e, err := encodingNamed(name)
		if got, _ := e.Encode("é"); err != nil || got != want {
			t.Errorf("%s: é is %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "klingon", "UTF-16", "UTF-16LE", "UCS-2BE", "cp37", "cp99999999999999999999"} {
		if e, err := encodingNamed(name); err == nil {
			t.Errorf("%q is taken for %v", name, e)
		}
	}
}

// TestEncodingsAreStrict: what can't be turned is an error, and never another
// character.
func TestEncodingsAreStrict(t *testing.T) {
	for name, bad := range map[string]string{"UTF-8": "a\xff", "ascii": "\xe9", "cp1251": "\x98", "shiftjis": "\x84", "euc-jp": "\xa7"} {
		e, err := encodingNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Decode(bad); err == nil {
			t.Errorf("%s: %q is %q", name, bad, got)
		}
	}
	for _, name := range []string{"ascii", "latin1", "koi8-r", "cp1251"} {
		e, _ := encodingNamed(name)
		if got, err := e.Encode("日"); err == nil {
			t.Errorf("%s: 日 is %q", name, got)
		}
	}
}

// TestTerminalEncoding: arguments are read in it, and lines are written in it.
func TestTerminalEncoding(t *testing.T) {
	env := testEnv(t)
	if err := os.Mkdir(filepath.Join(env.Dir, "\xc6"), 0o700); err != nil { // ф in KOI8-R
		t.Skipf("names here are UTF-8: %v", err)
	}
	args := []string{"sync", "--config", "cfg", "--terminal-encoding", "cp1251", "--filenames-encoding", "koi8-r", "--dir", "\xf4"}
	o, _, err := parse(args, env)
	if err != nil || o.Dir != "ф" {
		t.Fatalf("%+v, %v", o, err)
	}
	if path, err := o.path(env, o.Dir+"/日"); err == nil {
		t.Errorf("a name that KOI8-R has no letters for is %q", path)
	}
	if path, err := o.path(env, "ф/x"); err != nil || path != env.Dir+"/\xc6/x" {
		t.Errorf("the path is %q, %v", path, err)
	}
	args[len(args)-1] = "\xf4\xf4"
	if Main(t.Context(), args, env) != 1 {
		t.Error("a folder that isn't there is taken")
	}
	if out := env.Stderr.(*bytes.Buffer).String(); !strings.Contains(out, "\"\xf4\xf4\"") {
		t.Errorf("stderr is %q", out)
	}
	var out bytes.Buffer
	if n, err := o.Encodings.Terminal.writer(&out).Write([]byte("ф日\n")); err != nil || n != len("ф日\n") || out.String() != "\xf4\\x{65e5}\n" {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
}

// TestConfigEncoding: the config file's values are read in its encoding, which the
// config file itself may name. The command line's are not.
func TestConfigEncoding(t *testing.T) {
	env := testEnv(t)
	cfg := filepath.Join(env.Dir, "cfg")
	before, err := os.ReadFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg, append(before, "vault=\xf4\nto-dir=tree\nconfig-encoding=cp1251\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	o, notes, err := parse([]string{"sync", "--config", "cfg"}, env)
	if err != nil || o.Vault != "ф" || len(notes) != 1 {
		t.Errorf("%v, %q, %q", err, o.Vault, notes)
	}
	if _, _, err := parse([]string{"sync", "--config", "cfg", "--config-encoding", "UTF-8"}, env); err == nil {
		t.Error("what isn't UTF-8 is taken for it")
	}
}
