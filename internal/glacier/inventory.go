package glacier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// Inventory reads the output of an inventory job.
func (v *Vault) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	x := v.begin(ctx, "read inventory", "of "+v.label)
	x.stream = true
	out, err := v.client.GetJobOutput(x.ctx, &sdk.GetJobOutputInput{AccountId: ownAccount(), VaultName: &v.name, JobId: (*string)(&id)})
	if err != nil {
		return firn.InventoryInfo{}, v.noOutput(ctx, x, id, err)
	}
	body := &download{ReadCloser: out.Body, x: x, left: unbounded}
	defer body.Close()
	var stopped *callerError
	info, err := decodeInventory(body, func(a firn.Archive) error {
		if err := each(a); err != nil {
			return &callerError{err}
		}
		return nil
	})
	switch {
	case err == nil:
		return info, nil
	case errors.As(err, &stopped):
		return info, stopped.error
	case body.err != nil && body.err != io.EOF:
		return info, body.err
	}
	return info, x.fail(firn.Corrupt, err, "")
}

// A callerError is one that each gave; it goes back as it is.
type callerError struct{ error }

// entry is one archive as an inventory lists it. Source: Amazon Glacier API
// reference, "Get Job Output".
type entry struct {
	ArchiveID          string `json:"ArchiveId"`
	ArchiveDescription *string
	CreationDate       *string
	Size               int64
	SHA256TreeHash     string
}

func (e *entry) archive() (firn.Archive, error) {
	if e.ArchiveID == "" {
		return firn.Archive{}, errors.New("an archive without id")
	}
	if e.Size < 0 {
		return firn.Archive{}, fmt.Errorf("archive %s: a size of %d bytes", quote(e.ArchiveID), e.Size)
	}
	created, err := moment(e.CreationDate)
	if err != nil {
		return firn.Archive{}, fmt.Errorf("archive %s: %w", quote(e.ArchiveID), err)
	}
	tree, err := treehash.Parse(e.SHA256TreeHash)
	if err != nil {
		return firn.Archive{}, fmt.Errorf("archive %s: %w", quote(e.ArchiveID), err)
	}
	return firn.Archive{
		ID:          firn.ArchiveID(e.ArchiveID),
		Description: text(e.ArchiveDescription),
		Created:     created,
		Size:        e.Size,
		Tree:        tree,
	}, nil
}

// decodeInventory reads an inventory in JSON and hands each archive to each, in
// order. It holds one archive at a time, takes the keys in any order, and
// passes over those it doesn't know. It reads r to its end.
func decodeInventory(r io.Reader, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	var info firn.InventoryInfo
	dec := json.NewDecoder(r)
	if err := delimiter(dec, '{'); err != nil {
		return info, err
	}
	listed := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return info, err
		}
		switch key {
		case "VaultARN":
			err = dec.Decode(&info.Subject)
		case "InventoryDate":
			var s *string
			if err = dec.Decode(&s); err == nil {
				info.Date, err = moment(s)
			}
		case "ArchiveList":
			if listed {
				return info, errors.New("two lists of archives")
			}
			listed = true
			err = decodeArchives(dec, &info, each)
		default:
			err = skip(dec)
		}
		if err != nil {
			return info, err
		}
	}
	if err := delimiter(dec, '}'); err != nil {
		return info, err
	}
	if !listed {
		return info, errors.New("not an inventory: no list of archives")
	}
	if _, err := dec.Token(); err != io.EOF {
		return info, errors.New("more follows the inventory")
	}
	return info, nil
}

func decodeArchives(dec *json.Decoder, info *firn.InventoryInfo, each func(firn.Archive) error) error {
	switch open, err := dec.Token(); {
	case err != nil:
		return err
	case open == nil: // null: an empty list
		return nil
	case open != json.Delim('['):
		return fmt.Errorf("not an inventory: a list of archives that begins with %v", open)
	}
	for dec.More() {
		var e entry
		if err := dec.Decode(&e); err != nil {
			return err
		}
		a, err := e.archive()
		if err != nil {
			return err
		}
		if err := each(a); err != nil {
			return err
		}
		info.Archives++
	}
	return delimiter(dec, ']')
}

// delimiter reads one brace or bracket.
func delimiter(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	if err == nil && got != want {
		err = fmt.Errorf("not an inventory: %v where %v is expected", got, want)
	}
	return err
}

// skip passes over one value, however large, without holding it.
func skip(dec *json.Decoder) error {
	for depth := 0; ; {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
