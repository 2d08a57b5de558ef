package bundle

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/firn-archive/firn"
)

// blockSize is the unit of a tar. All here is as POSIX.1-2017 has it, pax,
// "ustar Interchange Format" and "pax Header Block", and the two records of
// GNU tar for names that are not UTF-8 (GNU tar manual, "Basic Tar Format").
const blockSize = 512

// The fields of a ustar header: where they begin, and end.
const (
	nameAt, nameEnd         = 0, 100
	modeAt, modeEnd         = 100, 108
	uidAt, uidEnd           = 108, 116
	gidAt, gidEnd           = 116, 124
	sizeAt, sizeEnd         = 124, 136
	mtimeAt, mtimeEnd       = 136, 148
	checksumAt, checksumEnd = 148, 156
	typeAt                  = 156
	targetAt, targetEnd     = 157, 257
	magicAt                 = 257
	devMajorAt, devMajorEnd = 329, 337
	devMinorAt, devMinorEnd = 337, 345
	prefixAt, prefixEnd     = 345, 500
)

// ustarMagic is the magic with the version.
const ustarMagic = "ustar\x0000"

// The types of entries.
const (
	typeFile       = '0'
	typeLink       = '2'
	typeDir        = '5'
	typePax        = 'x' // records for the next entry
	typeLongName   = 'L' // GNU: the next entry's name
	typeLongTarget = 'K' // GNU: the next entry's link target
)

// zeroes are the two blocks at the end of a tar, and any padding.
const zeroes = 2 * blockSize

// padding is the number of bytes from n to the next block.
func padding(n int64) int64 { return -n & (blockSize - 1) }

func appendZeroes(dst []byte, n int64) []byte {
	var z [zeroes]byte
	return append(dst, z[:n]...)
}

// appendHeaders appends what stands before the content of f in a tar: one
// block, and before it what a block can't hold. size is that of the content.
func appendHeaders(dst []byte, f *firn.File, size int64) []byte {
	name := tarName(f)
	uid, gid := max(f.UID, 0), max(f.GID, 0)
	mtime := f.Stamp.ModTime.Unix()

	prefix, base, fits := splitName(name)
	dst, pax := appendName(dst, nil, "path", typeLongName, name, fits)
	if f.Kind == firn.Symlink {
		dst, pax = appendName(dst, pax, "linkpath", typeLongTarget, f.Target, len(f.Target) <= targetEnd-targetAt)
	}
	pax = appendNumber(pax, "size", size, sizeEnd-sizeAt)
	pax = appendNumber(pax, "mtime", mtime, mtimeEnd-mtimeAt)
	pax = appendNumber(pax, "uid", int64(uid), uidEnd-uidAt)
	pax = appendNumber(pax, "gid", int64(gid), gidEnd-gidAt)
	if len(pax) > 0 {
		dst = appendExtension(dst, typePax, "././@PaxHeader", pax)
	}

	dst = appendZeroes(dst, blockSize)
	h := dst[len(dst)-blockSize:]
	copy(h[nameAt:nameEnd], base)
	copy(h[prefixAt:prefixEnd], prefix)
	putOctal(h[modeAt:modeEnd], int64(firn.PosixMode(f.Mode)))
	putOctal(h[uidAt:uidEnd], int64(uid))
	putOctal(h[gidAt:gidEnd], int64(gid))
	putOctal(h[sizeAt:sizeEnd], size)
	putOctal(h[mtimeAt:mtimeEnd], mtime)
	h[typeAt] = tarType(f.Kind)
	if f.Kind == firn.Symlink {
		copy(h[targetAt:targetEnd], f.Target)
	}
	finish(h)
	return dst
}

// tarName is the name of f in a tar: folders end in a slash.
func tarName(f *firn.File) string {
	switch {
	case f.Path == "":
		return "./"
	case f.Kind == firn.Directory:
		return f.Path + "/"
	}
	return f.Path
}

func tarType(k firn.FileKind) byte {
	switch k {
	case firn.Directory:
		return typeDir
	case firn.Symlink:
		return typeLink
	}
	return typeFile
}

// splitName cuts a name for the two fields that hold it. Where it doesn't fit,
// base is the name, to be cut off: better than nothing for programs that know
// of no extension.
func splitName(name string) (prefix, base string, fits bool) {
	if len(name) <= nameEnd-nameAt {
		return "", name, true
	}
	// The slash between the two is in neither, and doesn't end the name.
	i := strings.LastIndexByte(name[:min(prefixEnd-prefixAt+1, len(name)-1)], '/')
	if i <= 0 || len(name)-i-1 > nameEnd-nameAt {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

// appendName does what else a name needs: a PAX record where it doesn't fit, or
// isn't ASCII, since PAX alone says that a name is UTF-8. A name that is not
// UTF-8 stands in the header as it is, or in a record of GNU tar: so it comes
// back byte for byte from GNU tar, bsdtar, BusyBox, Python and Go. With PAX's
// hdrcharset=BINARY it would too, but GNU tar warns of that.
func appendName(dst, pax []byte, key string, long byte, name string, fits bool) (newDst, newPax []byte) {
	switch {
	case fits && isASCII(name):
	case utf8.ValidString(name):
		pax = appendRecord(pax, key, name)
	case !fits:
		dst = appendExtension(dst, long, "././@LongLink", append([]byte(name), 0))
	}
	return dst, pax
}

// appendNumber adds a PAX record for a number that has no place in a field of
// width bytes.
func appendNumber(pax []byte, key string, n int64, width int) []byte {
	if fitsOctal(n, width) {
		return pax
	}
	return appendRecord(pax, key, strconv.FormatInt(n, 10))
}

// appendRecord adds "LENGTH key=value\n"; the length counts its own digits.
func appendRecord(pax []byte, key, value string) []byte {
	rest := len(" =\n") + len(key) + len(value)
	n := rest + len(strconv.Itoa(rest))
	n = rest + len(strconv.Itoa(n)) // the digits may have made it longer
	pax = strconv.AppendInt(pax, int64(n), 10)
	pax = append(append(append(pax, ' '), key...), '=')
	return append(append(pax, value...), '\n')
}

// appendExtension adds an entry that says more of the next one.
func appendExtension(dst []byte, kind byte, name string, data []byte) []byte {
	dst = appendZeroes(dst, blockSize)
	h := dst[len(dst)-blockSize:]
	copy(h[nameAt:nameEnd], name)
	putOctal(h[modeAt:modeEnd], 0)
	putOctal(h[uidAt:uidEnd], 0)
	putOctal(h[gidAt:gidEnd], 0)
	putOctal(h[sizeAt:sizeEnd], int64(len(data)))
	putOctal(h[mtimeAt:mtimeEnd], 0)
	h[typeAt] = kind
	finish(h)
	dst = append(dst, data...)
	return appendZeroes(dst, padding(int64(len(data))))
}

// finish fills in what is the same in every header, and the checksum.
func finish(h []byte) {
	copy(h[magicAt:], ustarMagic)
	putOctal(h[devMajorAt:devMajorEnd], 0)
	putOctal(h[devMinorAt:devMinorEnd], 0)
	sum := int64((checksumEnd - checksumAt) * ' ') // it counts as blanks itself
	for _, c := range h {
		sum += int64(c)
	}
	putOctal(h[checksumAt:checksumEnd-1], sum)
	h[checksumEnd-1] = ' '
}

// fitsOctal says whether n can be written into a field of width bytes, the
// last of which is zero.
func fitsOctal(n int64, width int) bool { return n >= 0 && n < 1<<(3*(width-1)) }

// putOctal fills the field with n; with 0 where n doesn't fit, and a PAX
// record says what it is.
func putOctal(field []byte, n int64) {
	if !fitsOctal(n, len(field)) {
		n = 0
	}
	for i := len(field) - 2; i >= 0; i-- {
		field[i] = byte('0' + n&7)
		n >>= 3
	}
	field[len(field)-1] = 0
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
