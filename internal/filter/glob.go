package filter

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// A glob is a compiled pattern. It matches a whole subject or nothing of it.
type glob []token

// A token matches a part of a subject.
type token struct {
	kind tokenKind
	text []byte // of text
	set  *set   // of class
}

type tokenKind uint8

const (
	text  tokenKind = iota // these bytes
	one                    // one character, but no slash
	run                    // any number of characters, but no slash
	deep                   // anything
	gap                    // a slash; or a slash, anything, and a slash
	class                  // one character of a set, but no slash
)

// literal adds bytes to a glob, to its last token where that is text.
func (g *glob) literal(s string) {
	if n := len(*g); n > 0 && (*g)[n-1].kind == text {
		(*g)[n-1].text = append((*g)[n-1].text, s...)
		return
	}
	*g = append(*g, token{kind: text, text: []byte(s)})
}

func (g *glob) add(k tokenKind) { *g = append(*g, token{kind: k}) }

// eats gives how many bytes of s one token takes, of those that leave no
// choice; -1 where it doesn't match.
func (t *token) eats(s []byte) int {
	if t.kind == text {
		if bytes.HasPrefix(s, t.text) {
			return len(t.text)
		}
		return -1
	}
	r, n := utf8.DecodeRune(s)
	if n == 0 || r == '/' || t.kind == class && !t.set.has(r) {
		return -1
	}
	return n
}

// match tells whether all of s matches. It takes time in proportion to the
// square of the length of s at worst.
//
// Where a token leaves a choice, the shortest one is tried first. Only the last
// run and the last token that crosses slashes are ever tried again: what an
// earlier one could still reach, the later one reaches too.
func (g glob) match(s []byte) bool {
	t, at := 0, 0
	lastRun, runEnd := -1, 0
	lastDeep, deepEnd := -1, 0
	for t < len(g) || at < len(s) {
		if t < len(g) {
			switch k := g[t].kind; {
			case k == run:
				lastRun, runEnd = t, at
				t++
				continue
			case k == deep:
				lastDeep, deepEnd, lastRun = t, at, -1
				t++
				continue
			case k == gap && at < len(s) && s[at] == '/':
				at++
				lastDeep, deepEnd, lastRun = t, at, -1
				t++
				continue
			case k != gap:
				if n := g[t].eats(s[at:]); n >= 0 {
					t, at = t+1, at+n
					continue
				}
			}
		}
		switch {
		case lastRun >= 0 && runEnd < len(s) && s[runEnd] != '/':
			runEnd += width(s[runEnd:])
			t, at = lastRun+1, runEnd
		case lastDeep >= 0:
			n := g[lastDeep].stretch(s[deepEnd:])
			if n < 0 {
				return false
			}
			deepEnd += n
			t, at, lastRun = lastDeep+1, deepEnd, -1
		default:
			return false
		}
	}
	return true
}

// stretch gives by how many bytes of s a deep or a gap can be made longer; -1
// where it can't.
func (t *token) stretch(s []byte) int {
	if t.kind == gap {
		if i := bytes.IndexByte(s, '/'); i >= 0 {
			return i + 1
		}
		return -1
	}
	if len(s) == 0 {
		return -1
	}
	return width(s)
}

// width is the length of the first character; a byte that is no UTF-8 counts
// as one.
func width(s []byte) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(s)
	return n
}

// mayBeginWithSlash tells whether g matches anything that begins with a slash.
func (g glob) mayBeginWithSlash() bool {
	if len(g) == 0 {
		return false
	}
	switch g[0].kind {
	case text:
		return g[0].text[0] == '/'
	case run, deep, gap:
		return true
	}
	return false
}

// A nameGlob is a glob for the last component of paths, with quick ways for
// those that nearly all are.
type nameGlob struct {
	glob
	shape shape
}

type shape uint8

const (
	anyShape shape = iota
	whole          // NAME
	suffix         // *.SUFFIX
	prefix         // PREFIX*
)

func shapeOf(g glob) shape {
	switch kinds := slices.Collect(g.kinds); {
	case slices.Equal(kinds, []tokenKind{text}):
		return whole
	case slices.Equal(kinds, []tokenKind{run, text}):
		return suffix
	case slices.Equal(kinds, []tokenKind{text, run}):
		return prefix
	}
	return anyShape
}

// longestText is the longest part of g that stands for itself: what matches
// has it somewhere.
func (g glob) longestText() (longest []byte) {
	for _, t := range g {
		if len(t.text) > len(longest) {
			longest = t.text
		}
	}
	return longest
}

func (g glob) kinds(yield func(tokenKind) bool) {
	for _, t := range g {
		if !yield(t.kind) {
			return
		}
	}
}

// matchName tells whether a name, which has no slash, matches. One byte tells
// most names apart.
func (g *nameGlob) matchName(name []byte) bool {
	switch g.shape {
	case whole:
		return bytes.Equal(name, g.glob[0].text)
	case suffix:
		t := g.glob[1].text
		return len(name) >= len(t) && name[len(name)-1] == t[len(t)-1] && bytes.HasSuffix(name, t)
	case prefix:
		t := g.glob[0].text
		return len(name) >= len(t) && name[0] == t[0] && bytes.HasPrefix(name, t)
	}
	return g.match(name)
}
