// Package inventory reads the list of its archives that a vault gives, in
// either of the service's forms: as the service sends it, and as programs saved
// it. It holds one archive at a time, however many there are.
//
// In JSON an inventory is one object with VaultARN, InventoryDate and
// ArchiveList. In CSV it is a line that names the columns, then a line for each
// archive; it says neither of which vault it is nor of when. Source: Amazon
// Glacier API reference, "Get Job Output".
package inventory

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// An Error says what is wrong with an inventory, and where. All errors of this
// package are of this type, those of reading the bytes too; what a caller's
// function answers comes back as it is.
type Error struct {
	Where string // "archive 17", "line 18"; empty: the inventory as a whole
	Err   error
}

// Error reads "where: cause".
func (e *Error) Error() string {
	if e.Where == "" {
		return e.Err.Error()
	}
	return e.Where + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// maxID is how long an archive's id may be. The service's have 138 characters of
// base64url; those of other servers may be different.
const maxID = 1024

// CheckID says what is wrong with an archive's id: it must have 1 to 1,024
// visible ASCII characters, whoever wrote it down.
func CheckID(id string) error {
	if id == "" {
		return errors.New("an archive without id")
	}
	if len(id) > maxID {
		return fmt.Errorf("an archive's id of %d characters: at most %d", len(id), maxID)
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return fmt.Errorf("%s is not the id of an archive", quote(id))
		}
	}
	return nil
}

// entry is one archive as an inventory lists it, not yet looked at.
type entry struct {
	ArchiveID          string `json:"ArchiveId"`
	ArchiveDescription *string
	CreationDate       *string
	Size               *int64
	SHA256TreeHash     string
}

func (e *entry) archive() (firn.Archive, error) {
	if err := CheckID(e.ArchiveID); err != nil {
		return firn.Archive{}, err
	}
	a := firn.Archive{ID: firn.ArchiveID(e.ArchiveID)}
	fail := func(err error) (firn.Archive, error) {
		return firn.Archive{}, fmt.Errorf("archive %s: %w", e.ArchiveID, err)
	}
	if e.Size == nil {
		return fail(errors.New("it has no size"))
	}
	if a.Size = *e.Size; a.Size < 0 {
		return fail(fmt.Errorf("a size of %d bytes", a.Size))
	}
	var err error
	if e.CreationDate != nil {
		if a.Created, err = moment(*e.CreationDate); err != nil {
			return fail(err)
		}
	}
	if a.Tree, err = treehash.Parse(e.SHA256TreeHash); err != nil {
		return fail(fmt.Errorf("%s: %w", quote(e.SHA256TreeHash), treehash.ErrSyntax))
	}
	if e.ArchiveDescription != nil {
		a.Description = *e.ArchiveDescription
	}
	return a, nil
}

// moment reads a time as the service writes it: ISO 8601, with or without
// parts of a second. "" is the zero time.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is not a time as 2012-05-15T17:19:46.700Z", quote(s))
	}
	return t, nil
}

// quote shows what may hold anything, in one short line.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
