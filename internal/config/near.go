package config

import "strings"

// nearest gives the word that is most like s, or "" where none is much like it.
func nearest(s string, words []string) string {
	if len(s) > 64 {
		return "" // no key is as long
	}
	best, least := "", max(2, len(s)/3)+1
	for _, w := range words {
		d := distance(s, w)
		if strings.HasPrefix(w, s) && len(s) > 2 {
			d = min(d, 1)
		}
		if d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is how many bytes to change, add or drop until a is b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // of the row above, one to the left
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
