package seal_test

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/seal"
)

// TestReadHeader: the prefix ends where the library says, however much follows;
// what is cut anywhere before is no header.
func TestReadHeader(t *testing.T) {
	for _, postQuantum := range []bool{false, true} {
		p := newPair(t, postQuantum)
		key := newKey(t, p.recipients)
		archive := sealAll(t, key, random(1000))
		header, err := age.ExtractHeader(bytes.NewReader(archive))
		must(t, err)
		prefix, n, err := seal.ReadHeader(archive)
		must(t, err)
		if n != len(header)+16 || !bytes.Equal(prefix, archive[:n]) || !bytes.Equal(prefix, key.Prefix()) {
			t.Errorf("the prefix has %d bytes, want %d", n, len(header)+16)
		}
		if !seal.IsSealed(archive) || seal.IsSealed(archive[1:]) {
			t.Error("IsSealed is wrong")
		}
		for i := range n {
			if _, _, err := seal.ReadHeader(archive[:i]); firn.KindOf(err) != firn.Corrupt {
				t.Fatalf("cut to %d of %d bytes: %v", i, n, err)
			}
		}
	}
}

func TestReadHeaderOfOthers(t *testing.T) {
	stanza := "-> X25519 " + strings.Repeat("A", 43) + "\n" + strings.Repeat("A", 43) + "\n"
	long := "-> x " + strings.Repeat("a", 2000) + "\n\n"
	const mac = "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	const nonce = "0123456789abcdef"
	for _, tt := range []struct{ name, start, want string }{
		{"nothing", "", "does not begin"},
		{"a tar", strings.Repeat("\x00", 1024), "does not begin"},
		{"armored", "-----BEGIN AGE ENCRYPTED FILE-----\n", "does not begin"},
		{"another version", "age-encryption.org/v2\n" + stanza + mac + nonce, "does not begin"},
		{"no recipient", "age-encryption.org/v1\n" + mac + nonce, "no whole age header"},
		{"no nonce", "age-encryption.org/v1\n" + stanza + mac + nonce[1:], "ends within"},
		{"too many recipients", "age-encryption.org/v1\n" + strings.Repeat(stanza, 2000) + mac + nonce, "no whole age header"},
		{"more than the first MiB", "age-encryption.org/v1\n" + strings.Repeat(long, 600) + mac + nonce, "first 1048576 bytes hold no whole"},
		{"too long", "age-encryption.org/v1\n-> x " + strings.Repeat("a", 3<<20), "no whole age header"},
		{"a body without end", "age-encryption.org/v1\n-> x\n" + strings.Repeat(strings.Repeat("A", 64)+"\n", 50_000), "no whole age header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := seal.ReadHeader([]byte(tt.start))
			wantKind(t, err, firn.Corrupt)
			if !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 400 {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
}

func TestRestoreKey(t *testing.T) {
	p := newPair(t, false)
	key, other := newKey(t, p.recipients), newKey(t, p.recipients)
	got, err := seal.RestoreKey(key.Prefix(), key.FileKey[:])
	must(t, err)
	if !bytes.Equal(got.Header, key.Header) || got.FileKey != key.FileKey || got.Nonce != key.Nonce {
		t.Error("the key is another one")
	}
	for name, parts := range map[string][2][]byte{
		"file key of another": {key.Prefix(), other.FileKey[:]},
		"short file key":      {key.Prefix(), key.FileKey[1:]},
		"no file key":         {key.Prefix(), nil},
		"no nonce":            {key.Header, key.FileKey[:]},
		"more than a prefix":  {append(key.Prefix(), 0), key.FileKey[:]},
		"no prefix":           {nil, key.FileKey[:]},
	} {
		if _, err := seal.RestoreKey(parts[0], parts[1]); firn.KindOf(err) != firn.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzReadHeader: any bytes give a prefix of them that the library agrees with,
// or Corrupt.
func FuzzReadHeader(f *testing.F) {
	archive := sealAll(f, newKey(f, newPair(f, false).recipients), random(10))
	f.Add([]byte(""))
	f.Add(archive)
	f.Add(archive[:100])
	f.Add(bytes.Replace(archive, []byte("\n"), []byte("\r\n"), 1))
	f.Add([]byte("age-encryption.org/v1\n-> X25519 A\n\n--- \n"))
	f.Add(newKey(f, newPair(f, true).recipients).Prefix())
	f.Fuzz(func(t *testing.T, start []byte) {
		prefix, n, err := seal.ReadHeader(start)
		if err != nil {
			wantKind(t, err, firn.Corrupt)
			return
		}
		if n != len(prefix) || n > seal.MaxHeader || !bytes.HasPrefix(start, prefix) {
			t.Fatalf("a prefix of %d bytes", n)
		}
		header, err := age.ExtractHeader(bytes.NewReader(start))
		if err != nil || !bytes.Equal(header, prefix[:n-16]) {
			t.Fatalf("the library has another header: %v", err)
		}
	})
}
