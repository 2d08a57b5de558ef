package filter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/firn-archive/firn/internal/scan"
)

// A Pattern is one line of a file in the format of .gitignore (git
// documentation, gitignore(5)). It leaves out what it matches, or with a ! in
// front keeps it after all.
type Pattern struct {
	verdict scan.Verdict // empty where it keeps
	dirOnly bool
	byName  bool // matches the last component; else the path from the root
	name    nameGlob
	path    glob
}

// maxPatterns is the largest file of patterns, in bytes: what is larger was
// not written by hand, and is read into memory whole.
const maxPatterns = 16 << 20

// ReadPatterns reads a file in the format of .gitignore, whose patterns are
// relative to the root of the tree wherever the file is. name is what verdicts
// and errors call the file.
func ReadPatterns(r io.Reader, name string) ([]Pattern, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPatterns+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPatterns || bytes.IndexByte(data, 0) >= 0 {
		return nil, fmt.Errorf("%s is no list of patterns, with one a line, of at most 16 MiB", name)
	}
	var patterns []Pattern
	n := 0
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		n++
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if strings.HasPrefix(text, "#") {
			continue
		}
		if text = trimBlanks(text); text == "" {
			continue
		}
		p, err := parsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("line %d of %s: %w", n, name, err)
		}
		if p.verdict.Leave {
			p.verdict.Reason = fmt.Sprintf("%s:%d: %s", name, n, text)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// trimBlanks cuts off the blanks at the end of a line, but for one after a
// backslash.
func trimBlanks(line string) string {
	cut := strings.TrimRight(line, " ")
	if len(cut) < len(line) && endsWithEscape(cut) {
		return line[:len(cut)+1]
	}
	return cut
}

// endsWithEscape tells whether s ends with a backslash that is itself not
// escaped.
func endsWithEscape(s string) bool {
	n := len(s) - len(strings.TrimRight(s, `\`))
	return n%2 == 1
}

func parsePattern(line string) (Pattern, error) {
	p := Pattern{verdict: scan.Verdict{Leave: true}}
	line, keep := strings.CutPrefix(line, "!")
	if keep {
		p.verdict = scan.Verdict{}
	}
	if endsWithEscape(line) {
		return p, errors.New(`nothing follows the \ at its end; write \\ for a backslash`)
	}
	line, p.dirOnly = strings.CutSuffix(line, "/")
	p.byName = !strings.Contains(line, "/")
	if line == "" { // "/", "!": nothing has an empty name
		p.byName, p.path = false, glob{{kind: text}}
		return p, nil
	}
	if p.byName {
		g, err := appendComponent(nil, line)
		p.name = nameGlob{g, shapeOf(g)}
		return p, err
	}
	var err error
	p.path, err = pathGlob(strings.Split(strings.TrimPrefix(line, "/"), "/"))
	return p, err
}

// pathGlob joins components; its subject is a path with a slash before it.
func pathGlob(components []string) (g glob, err error) {
	crosses := false // the last component was **
	for i, c := range components {
		if isDeep(c) {
			crosses = true
			continue
		}
		if crosses {
			g.add(gap)
		} else {
			g.literal("/")
		}
		crosses = false
		if i < len(components)-1 && endsWithEscape(c) {
			c = c[:len(c)-1] // what it escapes is the slash
		}
		if g, err = appendComponent(g, c); err != nil {
			return nil, err
		}
	}
	if crosses { // all that is below
		g.literal("/")
		g.add(deep)
	}
	return g, nil
}

// isDeep tells whether a component is **, or more asterisks.
func isDeep(c string) bool { return len(c) > 1 && strings.Trim(c, "*") == "" }

// appendComponent adds what stands between two slashes.
func appendComponent(g glob, c string) (glob, error) {
	for c != "" {
		size := 1
		switch c[0] {
		case '*':
			for size < len(c) && c[size] == '*' {
				size++
			}
			g.add(run)
		case '?':
			g.add(one)
		case '[':
			set, n, err := parseSet(c)
			if err != nil {
				return nil, err
			}
			g = append(g, token{kind: class, set: set})
			size = n
		case '\\':
			_, n := utf8.DecodeRuneInString(c[1:])
			size = 1 + n
			g.literal(c[1:size])
		default:
			g.literal(c[:1])
		}
		c = c[size:]
	}
	return g, nil
}

// judgeByPatterns gives the verdict of the last pattern that matches. s is the
// path with a slash before it, and name its last component.
func judgeByPatterns(patterns []Pattern, s, name []byte, isDir bool) scan.Verdict {
	for i := len(patterns) - 1; i >= 0; i-- {
		if p := &patterns[i]; p.matches(s, name, isDir) {
			return p.verdict
		}
	}
	return scan.Verdict{}
}

func (p *Pattern) matches(s, name []byte, isDir bool) bool {
	switch {
	case p.dirOnly && !isDir:
		return false
	case p.byName:
		return p.name.matchName(name)
	}
	return p.path.match(s)
}
