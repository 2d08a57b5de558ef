package filter

import (
	"io"
	"os"
	"path/filepath"
)

// A directory is a cache where it has a regular file of this name that begins
// with this text (Cache Directory Tagging Specification,
// https://bford.info/cachedir/).
const (
	CacheTag       = "CACHEDIR.TAG"
	CacheSignature = "Signature: 8a477f597d28d172789f06886806bc55"
)

// isCache tells whether the directory below root is one. One whose tag can't
// be read is none: it is rather archived than forgotten.
func isCache(root, path string) bool {
	name := filepath.Join(root, filepath.FromSlash(path), CacheTag)
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(CacheSignature))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == CacheSignature
}
