package seal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/seal"
)

// The example of age's own manual, with the identity that age's tests have.
const (
	exampleRecipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
	exampleIdentity  = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
)

func TestRecipientsID(t *testing.T) {
	a, b := newPair(t, false).name, newPair(t, false).name
	one, err := seal.ParseRecipients([]string{"# mine", a, "", "  " + b + " ", a})
	must(t, err)
	two, err := seal.ParseRecipients([]string{b, a})
	must(t, err)
	if one.ID() != two.ID() || !slices.Equal(one.Strings(), two.Strings()) || len(one.Strings()) != 2 {
		t.Errorf("%v and %v are not the same", one.Strings(), two.Strings())
	}
	alone, err := seal.ParseRecipients([]string{a})
	must(t, err)
	if alone.ID() == one.ID() {
		t.Error("fewer recipients have the same id")
	}
	// It is in catalogs, and so must never change: the SHA-256 of the line.
	example, err := seal.ParseRecipients([]string{exampleRecipient})
	must(t, err)
	id := example.ID()
	if got, want := hex.EncodeToString(id[:]), "86ce776fa223ed04ce1a8dd3538e1109cd1c8b9f80b9de79a52d33d181311fbc"; got != want {
		t.Errorf("id %s, want %s", got, want)
	}
}

func TestParseRecipientsRefuses(t *testing.T) {
	classic, strong := newPair(t, false), newPair(t, true)
	secret := strings.Fields(string(classic.file))
	var many []string
	for range seal.MaxRecipients + 1 {
		many = append(many, newPair(t, false).name)
	}
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, "no recipient"},
		{"only comments", []string{"", "# age1..."}, "no recipient"},
		{"cut", []string{classic.name[:40]}, "is it whole?"},
		{"one letter wrong", []string{swap(classic.name, 20)}, "is it whole?"},
		{"post-quantum, cut", []string{strong.name[:1000]}, "is it whole?"},
		{"mixed", []string{classic.name, strong.name}, "can't be mixed"},
		{"plugin", []string{"age1yubikey1q2w3e4r"}, "plugins are not supported"},
		{"tag", []string{"age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e"}, "plugins are not supported"},
		{"ssh", []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOK me@home"}, "ssh keys are not supported"},
		{"an identity", []string{secret[len(secret)-1]}, "which is secret"},
		{"words", []string{"hunter2 is my password"}, "does not begin with age1"},
		{"too many", many, "an archive can have 64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := seal.ParseRecipients(tt.lines)
			wantKind(t, err, firn.Usage)
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want %q", err, tt.want)
			}
			for _, word := range []string{secret[len(secret)-1][15:], "hunter2"} {
				if strings.Contains(err.Error(), word) {
					t.Errorf("it tells a secret: %v", err)
				}
			}
		})
	}
	_, err := seal.Recipients{}.NewKey()
	wantKind(t, err, firn.Usage)
}

// swap exchanges a letter of a name for another one.
func swap(name string, at int) string {
	letter := "q"
	if name[at] == 'q' {
		letter = "p"
	}
	return name[:at] + letter + name[at+1:]
}

// TestManyRecipients: the most there may be still have a header that can be
// read from an archive's beginning.
func TestManyRecipients(t *testing.T) {
	p := newPair(t, true)
	names := []string{p.name}
	for len(names) < seal.MaxRecipients {
		names = append(names, newPair(t, true).name)
	}
	all, err := seal.ParseRecipients(names)
	must(t, err)
	must(t, seal.CheckIdentity(all, p.ids))
}

func TestReadIdentities(t *testing.T) {
	classic, strong := newPair(t, false), newPair(t, true)
	both := append(append([]byte("\r\n  # two\r\n"), classic.file...), strong.file...)
	ids, err := seal.ReadIdentities(bytes.NewReader(both), "id.txt", nil)
	must(t, err)
	if got, want := ids.Recipients(), []string{classic.name, strong.name}; !slices.Equal(got, want) {
		t.Errorf("recipients %v, want %v", got, want)
	}
	must(t, seal.CheckIdentity(classic.recipients, ids))
	must(t, seal.CheckIdentity(strong.recipients, ids))
	example, err := seal.ReadIdentities(strings.NewReader(exampleIdentity), "id.txt", nil)
	must(t, err)
	if got := example.Recipients()[0]; got != exampleRecipient {
		t.Errorf("the recipient of age's example is %s", got)
	}
}

func TestReadIdentitiesRefuses(t *testing.T) {
	p := newPair(t, false)
	fields := strings.Fields(string(p.file))
	secret := fields[len(fields)-1]
	sealed := string(sealAll(t, newKey(t, p.recipients), p.file))
	for _, tt := range []struct{ name, file, want string }{
		{"empty", "", "no identity in it"},
		{"only comments", "# created\n", "no identity in it"},
		{"a recipient", p.name, "line 1: this is a recipient"},
		{"cut", "# x\n" + secret[:40], "line 2: the identity is damaged"},
		{"cut, post-quantum", "AGE-SECRET-KEY-PQ-1" + secret[20:40], "line 1: the identity is damaged"},
		{"plugin", "AGE-PLUGIN-YUBIKEY-1QQQ", "plugins are not supported"},
		{"ssh", "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nAAAA\n", "ssh keys are not supported"},
		{"words", secret[15:] + " hunter2", "line 1: it does not begin"},
		{"bytes", "\x00\xff\xfe", "line 1"},
		{"one endless line", strings.Repeat("a", 100_000), "too long"},
		{"too long", strings.Repeat("#\n", 1<<20), "longer than"},
		{"encrypted for a recipient", sealed, "not with a passphrase"},
		{"encrypted, cut", sealed[:50], "damaged"},
		{"armored, cut", armor.Header + "\nAAAA\n", "invalid armor"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := seal.ReadIdentities(strings.NewReader(tt.file), "id.txt", nil)
			wantKind(t, err, firn.Usage)
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret[15:40]) {
				t.Errorf("%v; want %q, without the secret", err, tt.want)
			}
		})
	}
	_, err := seal.ReadIdentities(iotest.ErrReader(errors.New("the disk is broken")), "id.txt", nil)
	wantKind(t, err, firn.Local)
}

// locked encrypts an identity file with a passphrase, faster than Protect.
func locked(t testing.TB, file []byte, passphrase string, armored bool) []byte {
	t.Helper()
	r, err := age.NewScryptRecipient(passphrase)
	must(t, err)
	r.SetWorkFactor(10)
	var out bytes.Buffer
	dst := struct {
		io.Writer
		io.Closer
	}{&out, io.NopCloser(nil)}
	if armored {
		a := armor.NewWriter(&out)
		dst.Writer, dst.Closer = a, a
	}
	w, err := age.Encrypt(dst, r)
	must(t, err)
	_, err = w.Write(file)
	must(t, errors.Join(err, w.Close(), dst.Close()))
	return out.Bytes()
}

func TestPassphrase(t *testing.T) {
	p := newPair(t, false)
	say := func(word string) func() (string, error) { return func() (string, error) { return word, nil } }
	gone := errors.New("interrupted")
	for _, armored := range []bool{false, true} {
		file := locked(t, p.file, "correct horse", armored)
		read := func(ask func() (string, error)) (seal.Identities, error) {
			return seal.ReadIdentities(bytes.NewReader(append([]byte{}, file...)), "id.txt", ask)
		}
		ids, err := read(say("correct horse"))
		must(t, err)
		must(t, seal.CheckIdentity(p.recipients, ids))
		_, err = read(say("wrong"))
		wantKind(t, err, firn.Denied)
		_, err = read(say(""))
		wantKind(t, err, firn.Usage)
		_, err = read(nil)
		wantKind(t, err, firn.Usage)
		if _, err = read(func() (string, error) { return "", gone }); err != gone {
			t.Errorf("got %v", err)
		}
		file = file[:len(file)-40]
		_, err = read(say("correct horse"))
		wantKind(t, err, firn.Usage)
	}
}

// TestProtect: the file that Protect makes is text that age's library opens
// with the passphrase.
func TestProtect(t *testing.T) {
	if testing.Short() {
		t.Skip("scrypt takes a second, on purpose")
	}
	p := newPair(t, false)
	file, err := seal.Protect(p.file, "correct horse")
	must(t, err)
	id, err := age.NewScryptIdentity("correct horse")
	must(t, err)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(file)), id)
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, err)
	if !bytes.Equal(got, p.file) {
		t.Error("the identity file differs")
	}
	_, err = seal.Protect(p.file, "")
	wantKind(t, err, firn.Usage)
}

// TestNewIdentity: the file is as age-keygen writes it, and the age library
// reads it.
func TestNewIdentity(t *testing.T) {
	for _, postQuantum := range []bool{false, true} {
		file, name, err := seal.NewIdentity(time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), postQuantum)
		must(t, err)
		if want := "# created: 2026-01-02T02:04:05Z\n# public key: " + name + "\nAGE-SECRET-KEY-"; !strings.HasPrefix(string(file), want) {
			t.Errorf("pq=%v: the file does not begin with %q", postQuantum, want)
		}
		ids, err := age.ParseIdentities(bytes.NewReader(file))
		if err != nil || len(ids) != 1 {
			t.Errorf("pq=%v: the library reads %d identities: %v", postQuantum, len(ids), err)
		}
	}
}

func TestCheckIdentity(t *testing.T) {
	p, other := newPair(t, false), newPair(t, false)
	both, err := seal.ParseRecipients([]string{p.name, other.name})
	must(t, err)
	must(t, seal.CheckIdentity(p.recipients, p.ids))
	must(t, seal.CheckIdentity(both, p.ids))
	err = seal.CheckIdentity(other.recipients, p.ids)
	wantKind(t, err, firn.Denied)
	for _, name := range []string{p.name, other.name} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v; want %s in it", err, name)
		}
	}
	wantKind(t, seal.CheckIdentity(p.recipients, seal.Identities{}), firn.Denied)
	wantKind(t, seal.CheckIdentity(seal.Recipients{}, p.ids), firn.Usage)
}

// FuzzIdentities: any file gives identities that have recipients, or an error
// that doesn't repeat it.
func FuzzIdentities(f *testing.F) {
	p := newPair(f, false)
	f.Add(p.file)
	f.Add([]byte(exampleIdentity))
	f.Add([]byte("# only a comment"))
	f.Add(locked(f, p.file, "x", true))
	f.Add(locked(f, p.file, "x", false))
	f.Fuzz(func(t *testing.T, file []byte) {
		ids, err := seal.ReadIdentities(bytes.NewReader(file), "id.txt", nil)
		if err != nil {
			wantKind(t, err, firn.Usage)
			return
		}
		if _, err := seal.ParseRecipients(ids.Recipients()[:1]); err != nil {
			t.Fatalf("a recipient of an identity can't be read: %v", err)
		}
	})
}
