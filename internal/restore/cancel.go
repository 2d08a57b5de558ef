package restore

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/firn-archive/firn"
)

// Key is what the catalog knows a restore by that takes days: one with the same
// key goes on with it. It is made of the target, the trees, and the choice among
// their files.
func Key(o Options) (string, error) {
	real, err := realPath(o.To)
	if err != nil {
		return "", localError("restore to", o.To, err)
	}
	o.Paths = outermost(o.Paths)
	return (&restorer{Options: o, real: real}).key(), nil
}

// RemoveLeftovers removes what restores into dir left that were not finished:
// files that never got their names. It gives how many, and their bytes. Links are
// not followed. Folders that can't be read are left out, and told of by the error
// when all others are done. A dir that isn't there has none.
func RemoveLeftovers(ctx context.Context, dir string) (removed firn.Count, err error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return removed, nil
	}
	if err != nil {
		return removed, localError("clean up", dir, err)
	}
	defer root.Close()
	var errs []error
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			errs = append(errs, localError("clean up", filepath.Join(dir, p), err))
			return nil
		case !isLeftover(p, d):
			return nil
		}
		info, err := d.Info()
		if err == nil {
			err = root.Remove(p)
		}
		if err != nil {
			errs = append(errs, localError("clean up", filepath.Join(dir, p), err))
			return nil
		}
		removed.Files++
		removed.Bytes += info.Size()
		return nil
	})
	return removed, errors.Join(append(errs, err)...)
}

// isLeftover reports whether an entry has a name that only restores give: that of
// a file that is not whole, or the mark of a target that is not finished.
func isLeftover(p string, d fs.DirEntry) bool {
	if !d.Type().IsRegular() {
		return false
	}
	if p == markName {
		return true
	}
	digits, ok := strings.CutPrefix(d.Name(), ".firn-")
	if ok {
		digits, ok = strings.CutSuffix(digits, ".part")
	}
	_, err := hex.DecodeString(digits)
	return ok && err == nil && len(digits) == 16
}
