package s3cold_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

func base64Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestReceipts: of what is stored in a single request the class and the checksum are
// told that the server confirmed, also where it was there before, which tells no
// checksum; and its list tells the class of each.
func TestReceipts(t *testing.T) {
	server, s := create(t, s3test.Options{}, func(c *s3cold.Config) { c.Class = s3cold.Glacier })
	deep := open(t, server, func(c *s3cold.Config) { c.Class = s3cold.DeepArchive })
	description, _ := describeFile(t, "photos", "a.jpg")
	body, sums := storetest.Body([]byte("one"))
	var first, again, other firn.Receipt
	id, err := s.UploadArchive(firn.WithReceipt(t.Context(), &first), description, body, sums)
	if err != nil {
		t.Fatal(err)
	}
	if want := (firn.Receipt{Class: "GLACIER", Checksum: "SHA256:" + base64Sum([]byte("one"))}); first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	if same, err := deep.UploadArchive(firn.WithReceipt(t.Context(), &again), description, body, sums); err != nil || same != id || again != (firn.Receipt{Class: "GLACIER"}) {
		t.Errorf("what was there: %s, %+v, %v", same, again, err)
	}
	description, _ = describeFile(t, "photos", "b.jpg")
	if _, err := deep.UploadArchive(firn.WithReceipt(t.Context(), &other), description, body, sums); err != nil || other.Class != "DEEP_ARCHIVE" {
		t.Errorf("by another class: %+v, %v", other, err)
	}
	listed := map[string]int{}
	for _, a := range inventoryOf(t, s) {
		listed[a.Class]++
	}
	if listed["GLACIER"] != 1 || listed["DEEP_ARCHIVE"] != 1 || len(listed) != 2 {
		t.Errorf("listed: %v", listed)
	}
}

// inventoryOf gives all archives that a store lists.
func inventoryOf(t *testing.T, s *s3cold.Store) (all []firn.Archive) {
	t.Helper()
	job, err := s.StartInventory(t.Context(), firn.InventorySpec{})
	if err == nil {
		_, err = s.Inventory(t.Context(), job, func(a firn.Archive) error {
			all = append(all, a)
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestReceiptOfParts: what comes in parts has the class that the upload was begun with,
// whoever ends it, and the checksum of its parts' checksums.
func TestReceiptOfParts(t *testing.T) {
	server, s := create(t, s3test.Options{}, func(c *s3cold.Config) { c.Class = s3cold.Glacier })
	const part = s3cold.MinPart
	data := bytes.Repeat([]byte("firn"), (part+4096)/4)
	description, _ := describeFile(t, "photos", "film.mov")
	upload, err := s.StartUpload(t.Context(), description, part)
	if err != nil {
		t.Fatal(err)
	}
	var sums []byte
	whole := treehash.NewDouble()
	whole.Write(data)
	for at := 0; at < len(data); at += part {
		some := data[at:min(at+part, len(data))]
		_, one := storetest.Body(some)
		if err := s.UploadPart(t.Context(), upload, int64(at), io.NewSectionReader(bytes.NewReader(some), 0, int64(len(some))), one); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(some)
		sums = append(sums, sum[:]...)
	}
	deep := open(t, server, func(c *s3cold.Config) { c.Class = s3cold.DeepArchive })
	var got, again firn.Receipt
	if _, err := deep.CompleteUpload(firn.WithReceipt(t.Context(), &got), upload, int64(len(data)), whole.Sums().Tree); err != nil {
		t.Fatal(err)
	}
	want := firn.Receipt{Class: "GLACIER", Checksum: fmt.Sprintf("SHA256:%s-2", base64Sum(sums))}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := deep.CompleteUpload(firn.WithReceipt(t.Context(), &again), upload, int64(len(data)), whole.Sums().Tree); err != nil || again != (firn.Receipt{Class: "GLACIER"}) {
		t.Errorf("said again: %+v, %v", again, err)
	}
}
