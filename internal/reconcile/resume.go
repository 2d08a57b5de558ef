package reconcile

import (
	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/transfer"
)

// Resume gives the engine what an intent records of a multipart upload. Where it
// names no upload, the engine looks for one by the token.
func Resume(in catalog.Intent) *transfer.Resume {
	return &transfer.Resume{
		Token: in.Token, Upload: in.Upload, PartSize: in.PartSize, Parts: in.Parts, Stamp: in.File.Stamp,
		Completing: in.State == catalog.Completing,
		Content:    firn.Content{Size: in.Size, Tree: in.TreeHash},
	}
}

// ResumeOpened is Resume, or nil where the intent names no upload.
func ResumeOpened(in catalog.Intent) *transfer.Resume {
	if in.Upload == "" {
		return nil
	}
	return Resume(in)
}
