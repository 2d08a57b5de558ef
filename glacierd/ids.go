package glacierd

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
)

// Ids are given out as the service's: url-safe and opaque, 138 characters for
// archives, 92 for uploads and jobs (seen, not documented). They hold what
// finds the row, so that no index on long texts is needed:
//
//	vault id (16) | number and salt under the vault's key (16) | filler | check (4)
//
// The check tells an id of another vault from a text that is no id at all. The
// salt is in the row as well: an id that was made before the vault was put
// back from a copy finds nothing, rather than something else.
const (
	archiveIDBytes = 103
	shortIDBytes   = 69
	checkBytes     = 4
)

// An idKind says what an id stands for.
type idKind byte

const (
	archiveID idKind = 1 + iota
	uploadID
	jobID
)

func (k idKind) length() int {
	if k == archiveID {
		return archiveIDBytes
	}
	return shortIDBytes
}

// A ref is what an id holds.
type ref struct {
	number, salt int64
}

// newSalt gives a salt for a new row.
func newSalt() int64 {
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:]) >> 1)
}

// An identity is what makes a vault the one it is.
type identity struct {
	id      [16]byte
	created int64
	block   cipher.Block // of the key that seals ids
}

func newIdentity(id, key []byte, created int64) (identity, error) {
	block, err := aes.NewCipher(key)
	n := identity{created: created, block: block}
	copy(n.id[:], id)
	return n, err
}

// seal makes the id of a row.
func (n identity) seal(kind idKind, r ref) string {
	var room [archiveIDBytes]byte
	raw := n.fill(room[:kind.length()], kind, r)
	var text [138]byte
	base64.RawURLEncoding.Encode(text[:], raw)
	return string(text[:base64.RawURLEncoding.EncodedLen(len(raw))])
}

func (n identity) fill(raw []byte, kind idKind, r ref) []byte {
	copy(raw, n.id[:])
	core := raw[16:32]
	binary.BigEndian.PutUint64(core, uint64(kind)<<56|uint64(r.number))
	binary.BigEndian.PutUint64(core[8:], uint64(r.salt))
	n.block.Encrypt(core, core)
	cipher.NewCTR(n.block, core).XORKeyStream(raw[32:], raw[32:])
	sum := sha256.Sum256(raw[:len(raw)-checkBytes])
	copy(raw[len(raw)-checkBytes:], sum[:])
	return raw
}

// An origin says where an id comes from.
type origin int

const (
	fromHere      origin = iota
	fromElsewhere        // another vault of a server like this
	fromNowhere          // no server like this made it
)

// open reads an id that seal made.
func (n identity) open(kind idKind, text string) (ref, origin) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != kind.length() {
		return ref{}, fromNowhere
	}
	sum := sha256.Sum256(raw[:len(raw)-checkBytes])
	if subtle.ConstantTimeCompare(sum[:checkBytes], raw[len(raw)-checkBytes:]) == 0 {
		return ref{}, fromNowhere
	}
	if [16]byte(raw[:16]) != n.id {
		return ref{}, fromElsewhere
	}
	var core [16]byte
	n.block.Decrypt(core[:], raw[16:32])
	head := binary.BigEndian.Uint64(core[:])
	r := ref{number: int64(head & (1<<56 - 1)), salt: int64(binary.BigEndian.Uint64(core[8:]))}
	if idKind(head>>56) != kind || n.seal(kind, r) != text {
		return ref{}, fromNowhere
	}
	return r, fromHere
}
