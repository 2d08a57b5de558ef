package upkeep

// SetRepackBatch makes the number of contents that are seen to at once small.
func SetRepackBatch(o *RepackOptions, n int) { o.batch = n }

// IsYoung is isYoung.
var IsYoung = isYoung
