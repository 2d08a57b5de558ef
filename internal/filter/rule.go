package filter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/firn-archive/firn/internal/scan"
)

// A Rule includes or excludes what matches its pattern, as the options
// --filter, --include and --exclude of mt-aws-glacier do. The first rule of a
// list that matches decides; what none matches is included.
//
// A pattern is matched against the path, with a slash before it, and after it
// too where it is a directory's:
//
//   - * stands for anything but slashes, ? for one character but a slash, **
//     for anything, and /**/ for one slash too. All else stands for itself.
//   - A pattern with a slash before its end is matched from the root of the
//     tree on; any other from the beginning of any component.
//   - A pattern that ends with a slash matches the directory and all below it;
//     any other has to match up to the end.
//   - An empty pattern matches all, and ! before a pattern turns it round.
type Rule struct {
	include bool
	negate  bool
	// prunes: what it excludes of directories, it excludes with all below.
	prunes  bool
	verdict scan.Verdict

	how  howToMatch
	name nameGlob
	path glob
	text []byte // of byFolder and byStart; else what every match has in it
}

// howToMatch is which of a path's parts a rule has to look at.
type howToMatch uint8

const (
	always   howToMatch = iota // an empty pattern
	byName                     // the last component
	byFolder                   // any component that a slash follows: text
	byStart                    // the path begins with text
	fromRoot                   // the path, with or without the slash before it
	anywhere                   // the path, or what follows any slash
)

// ParseRules reads the value of --filter: rules, each of them + or - and a
// pattern without blanks, which may be empty, with blanks between them. There
// may be blanks between the sign and its pattern too, so that a sign which is a
// rule by itself can only be the last.
func ParseRules(s string) ([]Rule, error) {
	var rules []Rule
	rest := strings.TrimLeftFunc(s, unicode.IsSpace)
	if rest == "" {
		return nil, fmt.Errorf("no rules; write for example '+*.jpg -'")
	}
	for rest != "" {
		sign := rest[0]
		if sign != '+' && sign != '-' {
			return nil, fmt.Errorf("%q begins with neither + nor -; a rule is a sign and a pattern, as in '+*.jpg -'; for patterns with blanks there are --include and --exclude", rest)
		}
		rest = strings.TrimLeftFunc(rest[1:], unicode.IsSpace)
		end := strings.IndexFunc(rest, unicode.IsSpace)
		if end < 0 {
			end = len(rest)
		}
		rules = append(rules, newRule(sign == '+', rest[:end]))
		rest = strings.TrimLeftFunc(rest[end:], unicode.IsSpace)
	}
	return rules, nil
}

// Include gives the rule that includes what matches the pattern.
func Include(pattern string) Rule { return newRule(true, pattern) }

// Exclude gives the rule that excludes what matches the pattern.
func Exclude(pattern string) Rule { return newRule(false, pattern) }

// Excludes reports whether the rule can leave anything out.
func (r *Rule) Excludes() bool { return !r.include }

func newRule(include bool, pattern string) Rule {
	sign := "-"
	if include {
		sign = "+"
	}
	r := Rule{include: include, verdict: scan.Verdict{Leave: !include, Reason: "rule " + sign + pattern}}
	pattern, r.negate = strings.CutPrefix(pattern, "!")
	ends := pattern == "" || strings.HasSuffix(pattern, "/") || strings.HasSuffix(pattern, "**")
	r.prunes = ends && !r.negate
	r.compile(pattern)
	return r
}

// compile chooses the quickest way to match the pattern.
func (r *Rule) compile(pattern string) {
	g := ruleGlob(pattern)
	body, folder := strings.CutSuffix(pattern, "/")
	literal := shapeOf(g) == whole
	anchored := strings.Contains(body, "/")
	if folder {
		g.add(deep)
	}
	r.path, r.text = g, g.longestText()
	switch {
	case pattern == "":
		r.how = always
	case literal && folder && strings.HasPrefix(body, "/"):
		r.how, r.text = byStart, []byte(pattern)
	case literal && folder && !anchored && body != "":
		r.how, r.text = byFolder, []byte("/"+pattern)
	case anchored:
		r.how = fromRoot
	case !folder && !slices.Contains(slices.Collect(g.kinds), deep):
		r.how, r.name = byName, nameGlob{g, shapeOf(g)}
	default:
		r.how = anywhere
	}
}

// ruleGlob reads a pattern as mt-aws-glacier does: of what could begin at one
// place, /**/ comes first, then **.
func ruleGlob(pattern string) glob {
	var g glob
	for pattern != "" {
		size := 1
		switch {
		case strings.HasPrefix(pattern, "/**/"):
			size = len("/**/")
			g.add(gap)
		case strings.HasPrefix(pattern, "**"):
			size = len("**")
			g.add(deep)
		case pattern[0] == '*':
			g.add(run)
		case pattern[0] == '?':
			g.add(one)
		default:
			g.literal(pattern[:1])
		}
		pattern = pattern[size:]
	}
	return g
}

// matches tells whether the rule is for s, a path with a slash before it, and
// also after it where it is a directory's. name is what follows the last slash.
func (r *Rule) matches(s, name []byte) bool { return r.matchesPattern(s, name) != r.negate }

func (r *Rule) matchesPattern(s, name []byte) bool {
	switch r.how {
	case always:
		return true
	case byName:
		return r.name.matchName(name)
	case byFolder:
		return bytes.Contains(s, r.text)
	case byStart:
		return bytes.HasPrefix(s, r.text) || bytes.HasPrefix(s[1:], r.text)
	}
	if !bytes.Contains(s, r.text) {
		return false
	}
	if r.how == fromRoot {
		return r.path.match(s[1:]) || r.path.mayBeginWithSlash() && r.path.match(s)
	}
	if r.path.mayBeginWithSlash() && r.path.match(s) {
		return true
	}
	for i, c := range s {
		if c == '/' && r.path.match(s[i+1:]) {
			return true
		}
	}
	return false
}

// judgeByRules gives the verdict of the first rule that matches. A directory is
// left out with all below it only where no rule can include any of that: where
// the rule says so of all below, and none before it includes anything.
func judgeByRules(rules []Rule, s, name []byte) scan.Verdict {
	included := false
	for i := range rules {
		r := &rules[i]
		included = included || r.include
		if !r.matches(s, name) {
			continue
		}
		v := r.verdict
		if r.include {
			return scan.Verdict{}
		}
		isDir := len(name) == 0
		v.Below = isDir && (included || !r.prunes)
		return v
	}
	return scan.Verdict{}
}
