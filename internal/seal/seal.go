// Package seal encrypts archives as age files and opens them again, chunk by
// chunk: what was sealed can be made a second time, byte for byte, by another
// process, and a range of the plaintext needs only the chunks that hold it.
//
// An age file is a header, which holds the file key once for each recipient,
// then a nonce, then the plaintext in chunks, encrypted with a key that is made
// of the two. Headers, recipients and identities are the age library's, which
// encrypts only from the beginning to the end, and never twice the same; so the
// chunks are done here. Source of the format: https://c2sp.org/age.
package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/firn-archive/firn"
)

// The payload, in bytes. Source: https://c2sp.org/age, "Payload".
const (
	keySize     = 16                        // of the file key
	nonceSize   = 16                        // between the header and the first chunk
	chunkSize   = 64 << 10                  // of plaintext; the last chunk may have fewer
	overhead    = chacha20poly1305.Overhead // the tag behind each chunk
	sealedChunk = chunkSize + overhead

	payloadInfo = "payload" // what HKDF makes the payload's key for
	// The nonce of a chunk is its number, big-endian, and one byte that is 1
	// for the last chunk alone.
	lastByte = chacha20poly1305.NonceSize - 1
	lastFlag = 1
)

// errNegative is what readers at negative offsets get.
var errNegative = errors.New("negative offset")

// A payload is the chunks of one archive: where they lie, and their cipher.
type payload struct {
	aead  cipher.AEAD
	start int64 // of the first chunk, from the archive's beginning
	plain int64 // size of the plaintext
}

// newPayload gives the payload of plain bytes that begins at start.
func newPayload(fileKey [keySize]byte, nonce [nonceSize]byte, start, plain int64) payload {
	key, err := hkdf.Key(sha256.New, fileKey[:], nonce[:], payloadInfo, chacha20poly1305.KeySize)
	if err != nil {
		panic("seal: " + err.Error()) // only where FIPS forbids all of age
	}
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		panic("seal: " + err.Error()) // the key has its length
	}
	return payload{aead, start, plain}
}

// chunks is how many chunks hold n bytes of plaintext: the last chunk is never
// empty, unless there is nothing to hold.
func chunks(n int64) int64 { return max(1, (n+chunkSize-1)/chunkSize) }

// last is the number of the last chunk.
func (p *payload) last() int64 { return chunks(p.plain) - 1 }

// size is that of the archive.
func (p *payload) size() int64 { return p.start + p.plain + chunks(p.plain)*overhead }

// offset is where chunk i begins in the archive.
func (p *payload) offset(i int64) int64 { return p.start + i*sealedChunk }

// length is how much ciphertext chunk i has.
func (p *payload) length(i int64) int { return int(min(chunkSize, p.plain-i*chunkSize)) + overhead }

// nonce is that of chunk i.
func (p *payload) nonce(i int64) []byte {
	n := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(n[lastByte-8:], uint64(i))
	if i == p.last() {
		n[lastByte] = lastFlag
	}
	return n
}

// plainSize is the plaintext's size where the chunks together have n bytes;
// false where no plaintext has so many.
func plainSize(n int64) (int64, bool) {
	count := (n + sealedChunk - 1) / sealedChunk
	plain := n - count*overhead
	return plain, n > 0 && plain >= 0 && chunks(plain) == count
}

// corrupt says that an archive isn't what was sealed.
func corrupt(format string, args ...any) error {
	return &firn.Error{Op: "decrypt the archive", Kind: firn.Corrupt, Err: fmt.Errorf(format, args...)}
}
