package cli

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// globs are patterns of paths. In each part between slashes * ? and [a-z] mean
// what they mean to path.Match; the part ** stands for any number of folders,
// also none. A pattern with a slash other than at its end is for the whole path
// in its tree, one without is for names in any folder. With a slash at its end
// it is for folders alone.
type globs struct {
	all   []glob
	names []string // of the path being matched
}

type glob struct {
	parts   []string
	folders bool // matches nothing else
}

// anyFolders is the part of a pattern that any number of names match.
const anyFolders = "**"

// parseGlobs reads patterns.
func parseGlobs(patterns []string) (*globs, error) {
	g := &globs{}
	for _, pattern := range patterns {
		one, err := parseGlob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%q is no pattern: %w; * ? and [a-z] stand for parts of a name, ** for any folders, and [*] for *", pattern, err)
		}
		g.all = append(g.all, one)
	}
	return g, nil
}

func parseGlob(pattern string) (g glob, err error) {
	body := strings.TrimSuffix(pattern, "/")
	g.folders = body != pattern
	if !strings.Contains(body, "/") {
		g.parts = append(g.parts, anyFolders)
	}
	named := false
	for part := range strings.SplitSeq(body, "/") {
		if part == "" || part == "." {
			continue
		}
		if _, err := path.Match(part, ""); err != nil {
			return glob{}, fmt.Errorf("%q is not complete", part)
		}
		named = true
		if part == anyFolders && len(g.parts) > 0 && g.parts[len(g.parts)-1] == anyFolders {
			continue
		}
		g.parts = append(g.parts, part)
	}
	if !named {
		return glob{}, errors.New("it names nothing")
	}
	return g, nil
}

// match reports whether any pattern is for the path.
func (g *globs) match(p string, folder bool) bool {
	g.names = g.names[:0]
	for name := range strings.SplitSeq(p, "/") {
		g.names = append(g.names, name)
	}
	return slices.ContainsFunc(g.all, func(one glob) bool {
		return (folder || !one.folders) && one.match(g.names)
	})
}

// match goes through both from left to right. Where it gets stuck, the last **
// takes in one name more: an earlier one has no need to, since what stood
// between the two matched already.
func (g *glob) match(names []string) bool {
	part, name := 0, 0
	after, taken := -1, 0 // the part behind the last **, and where its names end
	for name < len(names) {
		switch {
		case part < len(g.parts) && g.parts[part] == anyFolders:
			part++
			after, taken = part, name
		case part < len(g.parts) && matchName(g.parts[part], names[name]):
			part++
			name++
		case after >= 0:
			taken++
			part, name = after, taken
		default:
			return false
		}
	}
	for part < len(g.parts) && g.parts[part] == anyFolders {
		part++
	}
	return part == len(g.parts)
}

// matchName matches one name with a part that was found to be good.
func matchName(part, name string) bool {
	ok, err := path.Match(part, name)
	return ok && err == nil
}

// below gives the path that all matches are at or below.
func (g *globs) below() string {
	var shared []string
	for i, one := range g.all {
		plain := slices.IndexFunc(one.parts, func(part string) bool { return strings.ContainsAny(part, `*?[\`) })
		if plain < 0 {
			plain = len(one.parts)
		}
		if i == 0 {
			shared = one.parts[:plain]
			continue
		}
		n := 0
		for n < min(len(shared), plain) && shared[n] == one.parts[n] {
			n++
		}
		shared = shared[:n]
	}
	return strings.Join(shared, "/")
}
