package seal

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/firn-archive/firn"
)

// MaxRecipients is how many recipients there may be: each has a place in the
// header of every archive, up to 1,650 bytes, and all headers are in the
// catalog.
const MaxRecipients = 64

// hintRecipient and hintIdentity say what to do where one is missing.
const (
	hintRecipient = "name at least one age recipient; make one with: firn key new"
	hintIdentity  = "give the identity file of one of the recipients that it was encrypted for"
)

var errNoRecipient = errors.New("there is no recipient")

// Recipients are those who can open what is sealed: each of them alone.
type Recipients struct{ list []recipient } // sorted by name

type recipient struct {
	name string // as age writes it
	age  age.Recipient
}

// ParseRecipients reads recipients as age writes them: age1... of X25519 keys,
// age1pq1... of post-quantum ones; the two kinds don't mix, since the weaker
// would undo the stronger. Spaces around them, repeated ones, empty lines, and
// lines that begin with # count for nothing. What can't be read, and a list
// without any, gives Usage.
func ParseRecipients(lines []string) (Recipients, error) {
	var r Recipients
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		one, err := parseRecipient(line)
		if err != nil {
			return Recipients{}, err
		}
		r.list = append(r.list, one)
	}
	slices.SortFunc(r.list, func(a, b recipient) int { return cmp.Compare(a.name, b.name) })
	r.list = slices.CompactFunc(r.list, func(a, b recipient) bool { return a.name == b.name })
	if err := r.check(); err != nil {
		return Recipients{}, &firn.Error{Op: "read the recipients", Kind: firn.Usage, Err: err, Hint: hintRecipient}
	}
	return r, nil
}

// check says what is wrong with the recipients together.
func (r Recipients) check() error {
	strong := 0
	for _, one := range r.list {
		if _, ok := one.age.(*age.HybridRecipient); ok {
			strong++
		}
	}
	switch {
	case len(r.list) == 0:
		return errNoRecipient
	case len(r.list) > MaxRecipients:
		return fmt.Errorf("there are %d, and an archive can have %d", len(r.list), MaxRecipients)
	case strong != 0 && strong != len(r.list):
		return errors.New("post-quantum recipients (age1pq1...) and others can't be mixed")
	}
	return nil
}

// parseRecipient reads one recipient. What may be a secret isn't repeated in
// the error.
func parseRecipient(s string) (recipient, error) {
	fail := func(subject, hint, format string, args ...any) (recipient, error) {
		return recipient{}, &firn.Error{Op: "read the recipient", Subject: subject, Kind: firn.Usage, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	switch {
	case strings.HasPrefix(s, "age1pq1"):
		r, err := age.ParseHybridRecipient(s)
		if err != nil {
			return fail(short(s), "is it whole?", "%w", err)
		}
		return recipient{r.String(), r}, nil
	case strings.HasPrefix(s, "age1") && strings.Count(s, "1") > 1:
		return fail(short(s), hintRecipient, "recipients of age's plugins are not supported")
	case strings.HasPrefix(s, "age1"):
		r, err := age.ParseX25519Recipient(s)
		if err != nil {
			return fail(short(s), "is it whole?", "%w", err)
		}
		return recipient{r.String(), r}, nil
	case strings.HasPrefix(s, "ssh-"):
		return fail("ssh-...", hintRecipient, "ssh keys are not supported")
	case strings.HasPrefix(s, "AGE-"):
		return fail("", "show its recipient with: firn key show", "this is an identity, which is secret")
	}
	return fail("", hintRecipient, "it does not begin with age1")
}

// short is a recipient for a message: those of post-quantum keys have 1,960
// characters.
func short(s string) string {
	const most = 70
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// Strings gives the recipients as age writes them, sorted.
func (r Recipients) Strings() []string {
	names := make([]string, len(r.list))
	for i, one := range r.list {
		names[i] = one.name
	}
	return names
}

// ID tells sets of recipients apart: the SHA-256 of them all as age writes
// them, sorted, each with a line end behind it.
func (r Recipients) ID() [32]byte {
	h := sha256.New()
	for _, one := range r.list {
		h.Write([]byte(one.name + "\n"))
	}
	return [32]byte(h.Sum(nil))
}
