package glacier

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// ownAccount is the account id that means "whose credentials these are".
func ownAccount() *string {
	s := "-"
	return &s
}

// text gives the string that the service said, "" where it said null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// errText is an error that says s.
func errText(s string) error { return errors.New(s) }

// quote shows what may hold anything, in one short line.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}

// moment reads a time as the service writes it: ISO 8601, with or without
// parts of a second. Null and "" are the zero time.
func moment(s *string) (time.Time, error) {
	if text(s) == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is not a time", quote(*s))
	}
	return t, nil
}

// hash reads a tree hash; null and "" are the zero hash.
func hash(s *string) (treehash.Hash, error) {
	if text(s) == "" {
		return treehash.Hash{}, nil
	}
	return treehash.Parse(*s)
}

// parseRange reads a range as the service writes it: first and last byte,
// both included, as "0-1048575".
func parseRange(s string) (firn.Range, error) {
	first, last, found := strings.Cut(s, "-")
	start, err1 := strconv.ParseInt(first, 10, 64)
	end, err2 := strconv.ParseInt(last, 10, 64)
	if !found || err1 != nil || err2 != nil || start < 0 || end < start || end == 1<<63-1 {
		return firn.Range{}, fmt.Errorf("%s is not a range of bytes", quote(s))
	}
	return firn.Range{Start: start, End: end + 1}, nil
}

// formatRange writes a range as parseRange reads it.
func formatRange(r firn.Range) string {
	return strconv.FormatInt(r.Start, 10) + "-" + strconv.FormatInt(r.End-1, 10)
}

// checkDescription says what is wrong with the description of an archive or a
// job, which travels in a header. Source: Amazon Glacier API reference,
// "Upload Archive", "Initiate Job".
func checkDescription(s string) error {
	if len(s) > MaxDescription {
		return fmt.Errorf("a description of %d characters: at most %d", len(s), MaxDescription)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("the description %s: only printable ASCII characters", quote(s))
		}
	}
	return nil
}
