package transfer

// Requests says how many requests an archive of size bytes takes, as far as the
// line is known: one, or one for each part and two around them. What fails, and
// is repeated, comes on top; on a line that turns out to be slow there are more
// parts. 0: the store takes no archive of that size.
func (u *Uploader) Requests(size int64) int64 {
	smallest, err := smallestPart(size, u.traits)
	if err != nil {
		return 0
	}
	reach := u.line.reach()
	if u.isSingle(size, smallest, reach) {
		return 1
	}
	p := parts{size, partSize(u.opt.PartSize, smallest, reach, u.traits)}
	return int64(p.count()) + 2
}

// isSingle reports whether size bytes go up in one request, where a body may be
// planned to have reach bytes; 0 if that isn't known.
func (u *Uploader) isSingle(size, smallest, reach int64) bool {
	return size <= min(u.opt.Single, u.traits.MaxSingle) && (size <= smallest || reach == 0 || size <= reach)
}
