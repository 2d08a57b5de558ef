package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// targetFile is a temporary file in the target.
type targetFile = os.File

// A fileState says what is where a file is to go.
type fileState int

const (
	isAbsent fileState = iota
	isEqual            // the same content
	isOther            // something else
)

// compare looks at what is at p, and reads it where only that can tell.
func (t *target) compare(ctx context.Context, p string, want firn.Content) (fileState, error) {
	info, err := t.root.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return isAbsent, nil
	case err != nil:
		return isAbsent, err
	case !info.Mode().IsRegular() || info.Size() != want.Size:
		return isOther, nil
	}
	f, err := t.root.Open(p)
	if err != nil {
		return isAbsent, err
	}
	defer f.Close()
	got, err := scan.Hash(ctx, f)
	if err != nil {
		return isAbsent, err
	}
	if got != want {
		return isOther, nil
	}
	return isEqual, nil
}

func waitingFor(files int) string {
	if files == 1 {
		return "1 file that the store is getting ready"
	}
	return fmt.Sprintf("%d files that the store is getting ready", files)
}
