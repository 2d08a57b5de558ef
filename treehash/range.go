package treehash

// Leaves is the number of leaves of a payload of size bytes, at least 1.
func Leaves(size int64) int64 { return max(1, (size+LeafSize-1)/LeafSize) }

// LeafAligned reports whether the half-open byte range [start, end) of a
// payload of size bytes may be asked for in a retrieval job: it begins at a
// whole MiB and ends at one, or at the payload's end.
func LeafAligned(size, start, end int64) bool {
	return 0 <= start && start < end && end <= size &&
		start%LeafSize == 0 && (end%LeafSize == 0 || end == size)
}

// NodeAligned reports whether the half-open byte range [start, end) of a
// payload of size bytes is exactly one node of its tree, so that the tree hash
// of the range is part of the tree hash of the whole. Source: Amazon Glacier
// developer guide, "Receiving checksums when downloading data".
func NodeAligned(size, start, end int64) bool {
	if !LeafAligned(size, start, end) {
		return false
	}
	first, last := start/LeafSize, Leaves(end)
	width := int64(1)
	for width < last-first {
		width *= 2
	}
	return first%width == 0 && (last-first == width || last == Leaves(size))
}
