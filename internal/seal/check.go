package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/firn-archive/firn"
)

// CheckIdentity seals random bytes for the recipients and opens them with the
// identities. It fails with Denied where none of them can: whatever was sealed
// so, they could never bring back.
func CheckIdentity(r Recipients, ids Identities) error {
	key, err := r.NewKey()
	if err != nil {
		return err
	}
	text := make([]byte, chunkSize+chunkSize/2)
	rand.Read(text) // never fails: crypto/rand ends the program instead
	size := key.Size(int64(len(text)))
	archive := io.NewSectionReader(key.Seal(bytes.NewReader(text), int64(len(text))), 0, size)
	start := make([]byte, min(size, MaxHeader))
	if _, err := io.ReadFull(archive, start); err != nil {
		return err
	}
	prefix, _, err := ReadHeader(start)
	if err != nil {
		return err
	}
	o, err := ids.Open(prefix, size)
	if firn.KindOf(err) == firn.Denied {
		return &firn.Error{Op: "check the identity", Kind: firn.Denied, Hint: hintIdentity,
			Err: fmt.Errorf("it is that of %s, and does not open what is encrypted for %s", names(ids.Recipients()), names(r.Strings()))}
	} else if err != nil {
		return err
	}
	all := firn.Range{End: o.PlainSize()}
	at := o.SealedRange(all)
	got, err := io.ReadAll(o.Reader(io.NewSectionReader(archive, at.Start, at.Len()), all))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, text) {
		return &firn.Error{Op: "check the identity", Kind: firn.Corrupt, Err: errors.New("what was encrypted does not come back")}
	}
	return nil
}

// names gives recipients for a message.
func names(recipients []string) string {
	if len(recipients) == 0 {
		return "nobody"
	}
	all := make([]string, len(recipients))
	for i, r := range recipients {
		all[i] = short(r)
	}
	return strings.Join(all, " and ")
}
