package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Canonical is the canonical request: the text of r that a signature covers,
// with the named headers (lower case) in the order of their names.
func Canonical(r *http.Request, signed []string, payloadHash string) string {
	var b strings.Builder
	b.Grow(512)
	b.WriteString(r.Method)
	b.WriteByte('\n')
	b.WriteString(canonicalPath(r.URL.EscapedPath()))
	b.WriteByte('\n')
	b.WriteString(canonicalQuery(r.URL.RawQuery))
	b.WriteByte('\n')
	for _, name := range signed {
		b.WriteString(name)
		b.WriteByte(':')
		writeValues(&b, headerValues(r, name))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.WriteString(strings.Join(signed, ";"))
	b.WriteByte('\n')
	b.WriteString(payloadHash)
	return b.String()
}

// headerValues finds a header where net/http keeps it: it takes Host out of
// the map, and Content-Length is a field on requests that were not received.
func headerValues(r *http.Request, name string) []string {
	switch name {
	case "host":
		if r.Host != "" {
			return []string{r.Host}
		}
		return []string{r.URL.Host}
	case "content-length":
		if v := r.Header["Content-Length"]; len(v) == 0 && r.ContentLength >= 0 {
			return []string{strconv.FormatInt(r.ContentLength, 10)}
		}
	}
	return r.Header[http.CanonicalHeaderKey(name)]
}

// writeValues joins values by commas, each trimmed and its runs of blanks
// made one blank.
func writeValues(b *strings.Builder, values []string) {
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		v = strings.Trim(v, " \t")
		for {
			cut := strings.Index(v, "  ")
			if cut < 0 {
				break
			}
			b.WriteString(v[:cut+1])
			v = strings.TrimLeft(v[cut:], " ")
		}
		b.WriteString(v)
	}
}

// signable names the headers that Sign covers, sorted.
func signable(h http.Header) []string {
	names := []string{"host"}
	for name := range h {
		switch name = strings.ToLower(name); name {
		case "authorization", "connection", "expect", "host", "transfer-encoding", "user-agent", "x-amzn-trace-id":
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// canonicalPath normalizes an escaped path and escapes it once more, as all
// services but S3 want it.
func canonicalPath(path string) string {
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	out := "/" + strings.Join(kept, "/")
	if len(kept) > 0 && strings.HasSuffix(path, "/") {
		out += "/"
	}
	return escape(out, true)
}

// canonicalQuery sorts the parameters, escaped in the one way that is counted.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	var pairs []string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		pairs = append(pairs, reescape(name)+"="+reescape(value))
	}
	// '=' sorts above '-', '.', '%' and digits, so compare names before values.
	slices.SortFunc(pairs, func(a, b string) int {
		an, av, _ := strings.Cut(a, "=")
		bn, bv, _ := strings.Cut(b, "=")
		if c := strings.Compare(an, bn); c != 0 {
			return c
		}
		return strings.Compare(av, bv)
	})
	return strings.Join(pairs, "&")
}

// reescape brings an escaped text to the canonical escapes. A plus stands for
// itself, as the service reads it.
func reescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		s = plain
	}
	return escape(s, false)
}

// escape percent-encodes all bytes but RFC 3986's unreserved characters, and
// the slash where it is asked to keep it.
func escape(s string, keepSlash bool) string {
	const hexDigits = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '_' || c == '.' || c == '~' || c == '/' && keepSlash
	}
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	out := make([]byte, i, len(s)+16)
	copy(out, s)
	for ; i < len(s); i++ {
		if c := s[i]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(out)
}
