package catalog

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"

	"github.com/firn-archive/firn"
)

// keyOf gives a directory's key: its path with / as byte 0. The root's is
// empty, and not nil, which would be NULL.
func keyOf(path string) []byte {
	key := []byte(path)
	for i, b := range key {
		if b == '/' {
			key[i] = 0
		}
	}
	return key
}

// pathOf is the reverse of keyOf.
func pathOf(key []byte) string {
	return string(bytes.ReplaceAll(key, []byte{0}, []byte{'/'}))
}

// below gives the bounds of the keys below a directory that isn't the root:
// from <= key < to.
func below(key []byte) (from, to []byte) {
	return append(bytes.Clone(key), 0), append(bytes.Clone(key), 1)
}

// split cuts a path into its directory's and its own name.
func split(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// joinPath is the path of a name in a directory; the empty name is the
// directory itself.
func joinPath(dir string, name []byte) string {
	switch {
	case len(name) == 0:
		return dir
	case dir == "":
		return string(name)
	}
	b := make([]byte, 0, len(dir)+1+len(name))
	return string(append(append(append(b, dir...), '/'), name...))
}

var errPath = errors.New("not a path within a tree")

// checkPath refuses paths that would not come back as they were given.
func checkPath(path string) error {
	if path == "" {
		return nil
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0 {
			return &firn.Error{Op: "record", Subject: path, Kind: firn.Invalid, Err: errPath}
		}
	}
	return nil
}

// Types and special bits of st_mode (POSIX, <sys/stat.h>).
const (
	modeType = 0o170000
	modeFile = 0o100000
	modeDir  = 0o040000
	modeLink = 0o120000
)

// modeOf gives st_mode.
func modeOf(kind firn.FileKind, m fs.FileMode) int64 {
	out := int64(firn.PosixMode(m))
	switch kind {
	case firn.Directory:
		out |= modeDir
	case firn.Symlink:
		out |= modeLink
	default:
		out |= modeFile
	}
	return out
}

// fromMode is the reverse of modeOf.
func fromMode(mode int64) (firn.FileKind, fs.FileMode) {
	m := firn.FromPosixMode(uint32(mode))
	switch mode & modeType {
	case modeDir:
		return firn.Directory, m
	case modeLink:
		return firn.Symlink, m
	}
	return firn.Regular, m
}
