package restore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"unicode"
)

// realName gives the name that what was found at a path has in its folder. It
// is another one where the file system doesn't tell upper from lower case,
// or, on Windows, where it was found by its short name.
func realName(d *os.Root, p string, found fs.FileInfo) (string, error) {
	name := baseName(p)
	if !mayHaveOther(d, p, found) {
		return name, nil
	}
	self, err := d.Open(path.Dir(p))
	if err != nil {
		return "", err
	}
	defer self.Close()
	real := ""
	for {
		names, err := self.Readdirnames(1024)
		for _, one := range names {
			if one == name {
				return name, nil
			}
			if strings.EqualFold(one, name) {
				real = one
			}
		}
		switch {
		case errors.Is(err, io.EOF) && real == "" && runtime.GOOS == "windows":
			return "another file", nil
		case errors.Is(err, io.EOF) && real == "":
			return name, nil // written in other letters, as HFS+ does
		case errors.Is(err, io.EOF):
			return real, nil
		case err != nil:
			return "", err
		}
	}
}

// mayHaveOther reports whether it can be that what was found at a path has
// another name: it is found in the other case too, or the name looks like a
// short one.
func mayHaveOther(d *os.Root, p string, found fs.FileInfo) bool {
	name := baseName(p)
	if runtime.GOOS == "windows" && strings.Contains(name, "~") {
		return true
	}
	turned := strings.Map(turnCase, name)
	if turned == name {
		return false
	}
	info, err := d.Lstat(path.Join(path.Dir(p), turned))
	return err == nil && os.SameFile(info, found)
}

func turnCase(r rune) rune {
	if unicode.IsUpper(r) {
		return unicode.ToLower(r)
	}
	return unicode.ToUpper(r)
}
