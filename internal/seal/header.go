package seal

import (
	"bytes"

	"filippo.io/age"
)

// MaxHeader is how long, in bytes, the header and the nonce of an archive may
// be: whoever has the first MiB of one, the least that a vault gives, can open
// it.
const MaxHeader = 1 << 20

// intro is the first line of an age file. Source: https://c2sp.org/age, "Header".
const intro = "age-encryption.org/v1\n"

// IsSealed reports whether an archive that begins with these bytes is an age
// file.
func IsSealed(start []byte) bool { return bytes.HasPrefix(start, []byte(intro)) }

// ReadHeader finds the prefix of an archive, which is age's header and the
// nonce behind it: all that comes before the first chunk, and with an identity
// all that is needed to open any chunk. start is the archive's first bytes, the
// first MaxHeader of them at best; the prefix is a part of it, n bytes long.
// What is no age file, or ends before the prefix does, gives Corrupt.
func ReadHeader(start []byte) (prefix []byte, n int, err error) {
	start = start[:min(len(start), MaxHeader)]
	if !IsSealed(start) {
		return nil, 0, corrupt("it does not begin as an age file does")
	}
	header, err := age.ExtractHeader(bytes.NewReader(start))
	if err != nil {
		return nil, 0, corrupt("its first %d bytes hold no whole age header: %w", len(start), err)
	}
	// The library gives the header as it would write it.
	if !bytes.HasPrefix(start, header) {
		return nil, 0, corrupt("its age header is not written as age writes it")
	}
	if n = len(header) + nonceSize; n > len(start) {
		return nil, 0, corrupt("it ends within its age header")
	}
	return start[:n:n], n, nil
}

// split cuts a prefix, of which ReadHeader must find the end where it is, into
// header and nonce.
func split(prefix []byte) (header []byte, nonce [nonceSize]byte, err error) {
	_, n, err := ReadHeader(prefix)
	if err != nil {
		return nil, nonce, err
	}
	if n != len(prefix) {
		return nil, nonce, corrupt("%d bytes lie behind its age header and nonce, which have %d", len(prefix)-n, n)
	}
	header = prefix[:n-nonceSize]
	copy(nonce[:], prefix[len(header):])
	return header, nonce, nil
}
