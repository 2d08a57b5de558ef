package catalog

// A RowSet is a set of rows, or of other numbers of which many are next to each
// other: 64 of them in a word.
type RowSet map[int64]uint64

// Add puts a row into the set.
func (s RowSet) Add(row int64) { s[row>>6] |= 1 << (row & 63) }

// Remove takes a row out of the set.
func (s RowSet) Remove(row int64) { s[row>>6] &^= 1 << (row & 63) }

// Has reports whether a row is in the set.
func (s RowSet) Has(row int64) bool { return s[row>>6]&(1<<(row&63)) != 0 }
