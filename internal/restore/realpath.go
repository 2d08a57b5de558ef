package restore

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// realPath gives the absolute path of a folder, with links followed as far as
// there is something already.
func realPath(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		parent, name := filepath.Split(dir)
		if !errors.Is(err, fs.ErrNotExist) || name == "" {
			return "", err
		}
		dir, rest = filepath.Clean(parent), filepath.Join(name, rest)
	}
}
