package describe

import (
	"strings"

	"github.com/firn-archive/firn"
)

// jobMarker begins the descriptions of firn's jobs.
const jobMarker = "firn1 "

// Job writes the description of a job: the token by which the job is found
// again when the answer to its request is lost, and words for people, which
// are cut where they are too long; what is not printable ASCII becomes "?".
func Job(token firn.Token, words string) string {
	s := jobMarker + token.String()
	if words == "" {
		return s
	}
	words = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, words)
	return s + " " + words[:min(len(words), MaxLen-len(s)-1)]
}

// JobToken reads the token in the description of a job.
func JobToken(description string) (firn.Token, bool) {
	rest, ok := strings.CutPrefix(description, jobMarker)
	if !ok {
		return firn.Token{}, false
	}
	word, _, _ := strings.Cut(rest, " ")
	token, err := firn.ParseToken(word)
	return token, err == nil && !token.IsZero()
}

// TokenOf reads the token in the description of an archive, an upload or a
// job.
func TokenOf(description string) (firn.Token, bool) {
	if token, ok := JobToken(description); ok {
		return token, true
	}
	a := decodeMT(description)
	return a.Token, a.Format == Firn
}
