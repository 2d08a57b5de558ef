package firn

import "context"

// A Receipt is what a store says of an archive that it has stored, beside its id.
type Receipt struct {
	// Class is the storage class of S3 that it is in; empty elsewhere, and where
	// nobody knows.
	Class string
	// Checksum is what the store has computed of the bytes and confirmed, as
	// ALGORITHM:VALUE in its own spelling: SHA256: and base64; of what came in parts
	// VALUE may be that of their checksums, and ends with - and their number. Empty
	// where it told none.
	Checksum string
}

// receiptKey is the context's key of a *Receipt.
type receiptKey struct{}

// WithReceipt gives a context for one UploadArchive or CompleteUpload of a store,
// whatever decorators it has on: one that has anything to say of what it stored
// writes it to r before it answers without an error. Else r stays as it is. It may be
// for a StartUpload or UploadPart as well, which say for what class that is.
func WithReceipt(ctx context.Context, r *Receipt) context.Context {
	return context.WithValue(ctx, receiptKey{}, r)
}

// GiveReceipt is how a store tells whoever wants to know.
func GiveReceipt(ctx context.Context, r Receipt) {
	if wanted, ok := ctx.Value(receiptKey{}).(*Receipt); ok {
		*wanted = r
	}
}
