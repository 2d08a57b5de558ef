package seal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/firn-archive/firn"
)

// maxIdentityFile is how long an identity file may be, in bytes; one identity
// has less than 100.
const maxIdentityFile = 1 << 20

// Identities open what is sealed for their recipients.
type Identities struct {
	list  []age.Identity
	names []string // of their recipients
}

// Recipients gives the recipients of the identities, as age writes them, in the
// order of the file.
func (ids Identities) Recipients() []string { return ids.names }

// ReadIdentities reads an identity file as age-keygen writes it: identities
// (AGE-SECRET-KEY-...), one a line, empty lines, and lines that begin with #. It
// may be encrypted with a passphrase, as age -p does it, armored or not; then
// passphrase is asked for it. It fails with Usage where the file is none, or
// where there is nobody to ask, and with Denied for a wrong passphrase. Errors
// of passphrase are handed on; the others name the file by its name.
func ReadIdentities(r io.Reader, name string, passphrase func() (string, error)) (Identities, error) {
	in := source(name)
	file, err := io.ReadAll(io.LimitReader(r, maxIdentityFile+1))
	switch {
	case err != nil:
		return Identities{}, in.fail(firn.Local, "", err)
	case len(file) > maxIdentityFile:
		return Identities{}, in.isNone("it is longer than %d bytes", maxIdentityFile)
	}
	if armored := bytes.TrimSpace(file); bytes.HasPrefix(armored, []byte(armor.Header)) {
		if file, err = io.ReadAll(armor.NewReader(bytes.NewReader(armored))); err != nil {
			return Identities{}, in.isNone("%w", err)
		}
	}
	if IsSealed(file) {
		if file, err = in.unlock(file, passphrase); err != nil {
			return Identities{}, err
		}
	}
	return in.parse(file)
}

// A source is an identity file, by its name.
type source string

// fail says that the file can't be used.
func (in source) fail(kind firn.Kind, hint string, err error) error {
	return &firn.Error{Op: "read the identity file", Subject: string(in), Kind: kind, Err: err, Hint: hint}
}

// isNone says why the file is no identity file.
func (in source) isNone(format string, args ...any) error {
	return in.fail(firn.Usage, "give a file as made by: firn key new", fmt.Errorf(format, args...))
}

// unlock decrypts an identity file.
func (in source) unlock(file []byte, passphrase func() (string, error)) ([]byte, error) {
	header, _, err := ReadHeader(file)
	if err != nil {
		return nil, in.isNone("it is damaged: %w", err)
	}
	if !bytes.HasPrefix(header[len(intro):], []byte("-> scrypt ")) {
		return nil, in.isNone("it is encrypted for a recipient, not with a passphrase")
	}
	if passphrase == nil {
		return nil, in.fail(firn.Usage, "", errors.New("it needs a passphrase, and nobody can be asked"))
	}
	word, err := passphrase()
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(word)
	if err != nil {
		return nil, in.fail(firn.Usage, "", err)
	}
	// age's scrypt takes 256 MiB, which a machine that runs firn for weeks can
	// use better.
	defer debug.FreeOSMemory()
	plain, err := age.Decrypt(bytes.NewReader(file), id)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, in.fail(firn.Denied, "", errors.New("the passphrase is wrong"))
	} else if err != nil {
		return nil, in.isNone("it is damaged: %w", err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return nil, in.isNone("it is damaged: %w", err)
	}
	return text, nil
}

// parse reads the lines of an identity file. Errors name lines by
// their numbers, since any of them may be a secret.
func (in source) parse(text []byte) (Identities, error) {
	if strings.HasPrefix(strings.TrimSpace(string(text)), "-----BEGIN") {
		return Identities{}, in.isNone("it is no age identity; ssh keys are not supported")
	}
	var ids Identities
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, name, err := parseIdentity(line)
		if err != nil {
			return Identities{}, in.isNone("line %d: %w", n, err)
		}
		ids.list = append(ids.list, id)
		ids.names = append(ids.names, name)
	}
	if err := lines.Err(); err != nil {
		return Identities{}, in.isNone("%w", err)
	}
	if len(ids.list) == 0 {
		return Identities{}, in.isNone("there is no identity in it")
	}
	return ids, nil
}

// parseIdentity reads one identity, and gives its recipient's name.
func parseIdentity(s string) (age.Identity, string, error) {
	switch {
	case strings.HasPrefix(s, "AGE-SECRET-KEY-PQ-1"):
		id, err := age.ParseHybridIdentity(s)
		if err != nil {
			return nil, "", errDamaged
		}
		return id, id.Recipient().String(), nil
	case strings.HasPrefix(s, "AGE-SECRET-KEY-1"):
		id, err := age.ParseX25519Identity(s)
		if err != nil {
			return nil, "", errDamaged
		}
		return id, id.Recipient().String(), nil
	case strings.HasPrefix(s, "AGE-PLUGIN-"):
		return nil, "", errors.New("identities of age's plugins are not supported")
	case strings.HasPrefix(s, "age1"):
		return nil, "", errors.New("this is a recipient, which can't open anything")
	}
	return nil, "", errors.New("it does not begin with AGE-SECRET-KEY-")
}

// errDamaged stands for the library's error, which may repeat what it read.
var errDamaged = errors.New("the identity is damaged or not whole")

// NewIdentity makes an identity, and gives the identity file that holds it,
// which is secret, and the recipient, which is not. It is an X25519 key, or one
// that is safe from quantum computers too, which age reads from version 1.3.
func NewIdentity(created time.Time, postQuantum bool) (file []byte, recipient string, err error) {
	var secret string
	if postQuantum {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return nil, "", err
		}
		secret, recipient = id.String(), id.Recipient().String()
	} else {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, "", err
		}
		secret, recipient = id.String(), id.Recipient().String()
	}
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", created.UTC().Format(time.RFC3339), recipient, secret)
	return []byte(text), recipient, nil
}

// Protect encrypts an identity file with a passphrase, as age -p -a does: the
// result is text, for paper too. It takes a second and 256 MiB, and so does
// each reading. An empty passphrase gives Usage.
func Protect(file []byte, passphrase string) ([]byte, error) {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, &firn.Error{Op: "protect the identity", Kind: firn.Usage, Err: err}
	}
	defer debug.FreeOSMemory() // as in unlock
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, r)
	if err != nil {
		return nil, &firn.Error{Op: "protect the identity", Err: err}
	}
	_, err = w.Write(file)
	if err = errors.Join(err, w.Close(), text.Close()); err != nil {
		return nil, &firn.Error{Op: "protect the identity", Err: err}
	}
	return out.Bytes(), nil
}
