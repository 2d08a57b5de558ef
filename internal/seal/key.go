package seal

import (
	"bytes"
	"io"

	"filippo.io/age"

	"github.com/firn-archive/firn"
)

// A Key seals one archive, and no other: two plaintexts under one key betray
// each other. Whoever wants to make the same ciphertext again after a kill
// keeps the prefix and the file key until the archive is stored; after that the
// prefix alone, which holds no secret.
type Key struct {
	Header  []byte          // age's, up to the line end behind its MAC
	FileKey [keySize]byte   // secret
	Nonce   [nonceSize]byte // stands behind the header
}

// NewKey draws a key for one archive that the recipients can open.
func (r Recipients) NewKey() (Key, error) {
	if len(r.list) == 0 {
		return Key{}, &firn.Error{Op: "encrypt", Kind: firn.Usage, Err: errNoRecipient, Hint: hintRecipient}
	}
	w := &witness{Recipient: r.list[0].age}
	all := []age.Recipient{w}
	for _, other := range r.list[1:] {
		all = append(all, other.age)
	}
	// What Encrypt writes before it gets any plaintext is header and nonce. It
	// is never closed, and so never writes a chunk.
	var prefix bytes.Buffer
	if _, err := age.Encrypt(&prefix, all...); err != nil {
		return Key{}, &firn.Error{Op: "encrypt", Kind: firn.Usage, Err: err}
	}
	return RestoreKey(prefix.Bytes(), w.fileKey)
}

// A witness is a recipient that remembers the file key it wrapped.
type witness struct {
	age.Recipient
	fileKey []byte
}

// WrapWithLabels wraps the file key for the recipient behind the witness, and
// hands on its labels, by which age tells recipients that don't go together.
func (w *witness) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	w.fileKey = bytes.Clone(fileKey)
	if r, ok := w.Recipient.(age.RecipientWithLabels); ok {
		return r.WrapWithLabels(fileKey)
	}
	stanzas, err := w.Wrap(fileKey)
	return stanzas, nil, err
}

// RestoreKey gives the key again of which a prefix and a file key were kept. It
// fails with Corrupt where the two don't belong together: what would be sealed
// with them, nobody could open.
func RestoreKey(prefix, fileKey []byte) (Key, error) {
	header, nonce, err := split(prefix)
	if err != nil {
		return Key{}, err
	}
	if len(fileKey) != keySize {
		return Key{}, corrupt("its file key has %d bytes, not %d", len(fileKey), keySize)
	}
	// This checks the header's MAC, which is made with the file key.
	if _, err := age.DecryptHeader(header, age.NewInjectedFileKeyIdentity(fileKey)); err != nil {
		return Key{}, corrupt("its file key is not that of its header: %w", err)
	}
	return Key{bytes.Clone(header), [keySize]byte(fileKey), nonce}, nil
}

// Prefix gives what the archive begins with: the header and the nonce.
// [Identities.Open] needs it.
func (k Key) Prefix() []byte {
	return append(bytes.Clone(k.Header), k.Nonce[:]...)
}

// Size is that of the archive, in bytes, which holds plain bytes of plaintext.
func (k Key) Size(plain int64) int64 {
	p := payload{start: int64(len(k.Header) + nonceSize), plain: plain}
	return p.size()
}

// Seal gives the archive of the first size bytes of plain, Size(size) bytes
// long. The same key and plaintext give the same bytes. The plaintext must be
// the same at each reading: where it isn't, take a new key.
//
// It encrypts when it is read, may be read by several goroutines at once, and
// keeps a chunk for each of those that stopped within one, up to 16. Errors are
// those of plain; where plain ends too early, io.ErrUnexpectedEOF.
func (k Key) Seal(plain io.ReaderAt, size int64) io.ReaderAt {
	prefix := k.Prefix()
	p := newPayload(k.FileKey, k.Nonce, int64(len(prefix)), size)
	return &sealed{payload: p, prefix: prefix, src: plain, shelf: shelf{size: p.length(0)}}
}
