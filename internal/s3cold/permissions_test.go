package s3cold_test

import (
	"context"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
)

// TestPermissionsAreNamed: what is refused says which permission is missing.
func TestPermissionsAreNamed(t *testing.T) {
	for _, c := range []struct {
		op, key string // that is refused
		says    string
		call    func(context.Context, firn.Store, firn.ArchiveID, firn.UploadID) error
	}{
		{"POST restore", "", "s3:RestoreObject for arn:aws:s3:::bucket/photos/*", func(ctx context.Context, s firn.Store, id firn.ArchiveID, _ firn.UploadID) error {
			_, err := s.StartRetrieval(ctx, firn.RetrievalSpec{Archive: id, Tier: firn.Bulk})
			return err
		}},
		{"PUT", "objects/", "s3:PutObject for arn:aws:s3:::bucket/photos/*", func(ctx context.Context, s firn.Store, _ firn.ArchiveID, _ firn.UploadID) error {
			body, sums := storetest.Body([]byte("x"))
			_, err := s.UploadArchive(ctx, "x", body, sums)
			return err
		}},
		{"POST uploads", "", "s3:PutObject", func(ctx context.Context, s firn.Store, _ firn.ArchiveID, _ firn.UploadID) error {
			_, err := s.StartUpload(ctx, "x", s3cold.MinPart)
			return err
		}},
		{"GET list-type", "", "s3:ListBucket for arn:aws:s3:::bucket", func(ctx context.Context, s firn.Store, _ firn.ArchiveID, _ firn.UploadID) error {
			_, err := storetest.Collect(s.Jobs(ctx))
			return err
		}},
		{"GET uploads", "", "s3:ListBucketMultipartUploads for arn:aws:s3:::bucket", func(ctx context.Context, s firn.Store, _ firn.ArchiveID, _ firn.UploadID) error {
			_, err := storetest.Collect(s.Uploads(ctx))
			return err
		}},
		{"GET uploadId", "", "s3:ListMultipartUploadParts", func(ctx context.Context, s firn.Store, _ firn.ArchiveID, id firn.UploadID) error {
			_, err := storetest.Collect(s.Parts(ctx, id))
			return err
		}},
		{"DELETE uploadId", "", "s3:AbortMultipartUpload", func(ctx context.Context, s firn.Store, _ firn.ArchiveID, id firn.UploadID) error {
			return s.AbortUpload(ctx, id)
		}},
		{"DELETE", "objects/", "s3:DeleteObject for", func(ctx context.Context, s firn.Store, id firn.ArchiveID, _ firn.UploadID) error {
			return s.DeleteArchive(ctx, id)
		}},
		{"HEAD", "objects/", "s3:GetObject for arn:aws:s3:::bucket/photos/*, and s3:ListBucket for arn:aws:s3:::bucket", func(ctx context.Context, s firn.Store, id firn.ArchiveID, _ firn.UploadID) error {
			_, err := s.Job(ctx, firn.JobID("thaw::"+string(id)))
			return err
		}},
		{"GET", "tags.json", "s3:GetObject", func(ctx context.Context, s firn.Store, _ firn.ArchiveID, _ firn.UploadID) error {
			_, err := s.Tags(ctx)
			return err
		}},
	} {
		// The first call of the operation is the one that is refused.
		faults := s3test.NewFaults()
		o := s3test.Options{Faults: faults}
		_, s := create(t, o, nil)
		id := upload(t, s, "kept", []byte("content"))
		up, err := s.StartUpload(t.Context(), "open", s3cold.MinPart)
		if err != nil {
			t.Fatal(err)
		}
		faults.Add(s3test.Fault{Op: c.op, Key: c.key, Times: -1, Kind: s3test.Denied})
		err = c.call(t.Context(), s, id, up)
		wantKind(t, c.op, err, firn.Denied)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q in it", c.op, err, c.says)
		}
	}
}

// TestVersionPermission: in a bucket that keeps versions a deletion needs another
// permission.
func TestVersionPermission(t *testing.T) {
	faults := s3test.NewFaults(s3test.Fault{Op: "DELETE versionId", Kind: s3test.Denied})
	_, s := create(t, s3test.Options{Versioned: true, Faults: faults}, nil)
	id := upload(t, s, "x", []byte("content"))
	err := s.DeleteArchive(t.Context(), id)
	if err == nil || !strings.Contains(err.Error(), "s3:DeleteObjectVersion") {
		t.Error(err)
	}
}
