package firn_test

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A line is one line of a text file.
type line struct {
	where string // "file:line"
	text  string
}

// lines gives the lines of a file; none of one that isn't text.
func (m *module) lines(name string) (lines []line) {
	data := m.read(name)
	if bytes.IndexByte(data, 0) >= 0 {
		return nil
	}
	for text := range strings.Lines(string(data)) {
		lines = append(lines, line{fmt.Sprintf("%s:%d", name, len(lines)+1), strings.TrimRight(text, "\n")})
	}
	return lines
}

// documents gives the names of the files that people read first.
func (m *module) documents(yield func(string) bool) {
	for _, name := range m.names {
		if path.Ext(name) == ".md" && !yield(name) {
			return
		}
	}
}

var (
	requireLine = regexp.MustCompile(`^(?:require )?\t?([a-z][^ ]*\.[^ ]*/[^ ]+) v[^ ]+$`)
	toolLine    = regexp.MustCompile(`^(?:tool )?\t?([a-z][^ ]*\.[^ ]*/[^ ]+)$`)
	reasonLine  = regexp.MustCompile("^\\| `([^`]+)` \\|(?: [^|]+ \\|){3}$")
)

// dependenciesHaveReasons: docs/dependencies.md says of each module and tool
// why it is here, and of no other.
func dependenciesHaveReasons(m *module, report report) {
	const doc = "docs/dependencies.md"
	used, explained := map[string]string{}, map[string]string{} // module, where
	collect := func(into map[string]string, file string, pattern *regexp.Regexp) {
		for _, l := range m.lines(file) {
			found := pattern.FindStringSubmatch(l.text)
			if found == nil {
				continue
			}
			if first := into[found[1]]; first != "" {
				report(l.where, "%s is named twice, first in %s", found[1], first)
			}
			into[found[1]] = l.where
		}
	}
	collect(used, "go.mod", requireLine)
	collect(used, "tools/go.mod", toolLine)
	collect(explained, doc, reasonLine)
	for module, where := range used {
		if explained[module] == "" {
			report(where, "%s has no row in %s: write there why it is needed, that it is alive, and its licence; or do without it", module, doc)
		}
	}
	for module, where := range explained {
		if used[module] == "" {
			report(where, "%s is explained but not used: take the row out", module)
		}
	}
	for _, l := range m.lines("go.mod") {
		if strings.HasPrefix(l.text, "replace ") {
			report(l.where, "replace holds only in this folder: whoever imports firn gets another program")
		}
	}
}

var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// linksLeadSomewhere: a link within the project names a file that is there, or
// a heading of it.
func linksLeadSomewhere(m *module, report report) {
	for name := range m.documents {
		for _, l := range m.lines(name) {
			for _, found := range markdownLink.FindAllStringSubmatch(l.text, -1) {
				if why := m.deadLink(name, found[1]); why != "" {
					report(l.where, "the link %s: %s", found[1], why)
				}
			}
		}
	}
}

// deadLink says what is wrong with a link in the document from; nothing where
// it is good, or leads out of the project.
func (m *module) deadLink(from, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	target, heading, _ := strings.Cut(link, "#")
	file := from
	if target != "" {
		file = path.Join(path.Dir(from), target)
	}
	if !m.exists(file) {
		return "there is no " + file
	}
	if heading != "" && !slices.ContainsFunc(m.lines(file), func(l line) bool { return anchor(l.text) == heading }) {
		return fmt.Sprintf("%s has no heading for #%s", file, heading)
	}
	return ""
}

// exists says whether there is a file or folder of that name.
func (m *module) exists(name string) bool {
	return name == "." || slices.ContainsFunc(m.names, func(n string) bool { return within(n, name) })
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchor is what a link says after # for a heading; nothing for other lines.
func anchor(text string) string {
	title, ok := strings.CutPrefix(strings.TrimLeft(text, "#"), " ")
	if !ok || !strings.HasPrefix(text, "#") {
		return ""
	}
	return strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}

var (
	testMention   = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)")
	scriptMention = regexp.MustCompile("`(?:[^`]*/)?([\\w.-]+\\.txtar)`")
)

// namedTestsExist: where a document says that a test shows something, the
// test is there.
func namedTestsExist(m *module, report report) {
	there := map[string]bool{}
	for s := range m.tests {
		for d := range s.functions {
			there[d.Name.Name] = true
		}
	}
	for _, name := range m.names {
		there[path.Base(name)] = true
	}
	for name := range m.documents {
		for _, l := range m.lines(name) {
			for _, found := range append(testMention.FindAllStringSubmatch(l.text, -1), scriptMention.FindAllStringSubmatch(l.text, -1)...) {
				if !there[found[1]] {
					report(l.where, "there is no test %s: name the one that shows this, or write it", found[1])
				}
			}
		}
	}
}

var (
	secretText = regexp.MustCompile(`\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----`)
	upwardPath = regexp.MustCompile(`(?:\.\./)+[\w/-]+\.md\b`)
	// placePath is an absolute path in a text, with its first folder.
	placePath = regexp.MustCompile("(?:^|[\\s\"'`(=:])/([a-z][a-z0-9]*)/[\\w.-]+")
)

// publishedKeys are key ids that stand in public documents, with secrets that
// open nothing: Amazon's examples, and mt-aws-glacier's tests.
var publishedKeys = []string{"AKIAIOSFODNN7EXAMPLE", "AKIAJ2QN54K3SOFABCDE"}

// places are the folders that any machine may have.
var places = []string{"bin", "dev", "etc", "home", "media", "mnt", "opt", "proc", "run", "srv", "sys", "tmp", "usr", "var", "volume1"}

// textsStandAlone: whoever has a clone, and only that, can follow every text
// in it; and nobody finds a key.
func textsStandAlone(m *module, report report) {
	for _, name := range m.names {
		prose := slices.Contains([]string{".md", ".sh", ".py"}, path.Ext(name)) || within(name, ".ci")
		for _, l := range m.lines(name) {
			if key := secretText.FindString(l.text); key != "" && !slices.Contains(publishedKeys, key) {
				report(l.where, "this looks like a key: take it out and make it void; examples use Amazon's, %s", publishedKeys[0])
			}
			for _, up := range upwardPath.FindAllString(l.text, -1) {
				if !m.exists(path.Join(path.Dir(name), up)) {
					report(l.where, "%s isn't in the project: say here what it says", up)
				}
			}
			for _, found := range placePath.FindAllStringSubmatch(l.text, -1) {
				if prose && !slices.Contains(places, found[1]) {
					report(l.where, "other machines have no /%s: name a place that all have, such as /tmp", found[1])
				}
			}
		}
	}
}
