package firn

import "io/fs"

// The bits beside the permissions, as POSIX numbers them: stat(2), tar(5).
const (
	posixSetuid = 0o4000
	posixSetgid = 0o2000
	posixSticky = 0o1000
)

// posixBits pairs them with Go's.
var posixBits = [...]struct {
	mode fs.FileMode
	bit  uint32
}{{fs.ModeSetuid, posixSetuid}, {fs.ModeSetgid, posixSetgid}, {fs.ModeSticky, posixSticky}}

// PosixMode gives permissions, setuid, setgid and sticky as POSIX numbers them,
// from 0 to 07777.
func PosixMode(m fs.FileMode) uint32 {
	b := uint32(m.Perm())
	for _, p := range posixBits {
		if m&p.mode != 0 {
			b |= p.bit
		}
	}
	return b
}

// FromPosixMode is the inverse of PosixMode. Other bits are not looked at.
func FromPosixMode(b uint32) fs.FileMode {
	m := fs.FileMode(b) & fs.ModePerm
	for _, p := range posixBits {
		if b&p.bit != 0 {
			m |= p.mode
		}
	}
	return m
}
