package syncer

// Those of Bundling for S3's DEEP_ARCHIVE: a request costs there as much as half a
// year of storing 8 MiB.
const (
	deepBundleBelow = 8 << 20
	deepBundleSize  = 256 << 20
)

// DefaultBundling gives Below and Size of Bundling, in bytes, for what is stored in a
// storage class of S3; empty: in a vault, or a folder.
func DefaultBundling(class string) (below, size int64) {
	if class == "DEEP_ARCHIVE" {
		return deepBundleBelow, deepBundleSize
	}
	return DefaultBundleBelow, DefaultBundleSize
}
