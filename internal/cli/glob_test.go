package cli

import (
	"strings"
	"testing"
)

func TestGlobs(t *testing.T) {
	tests := []struct {
		pattern string
		match   string // blank between paths; / at the end of a folder's
		differ  string
	}{
		{"*.jpg", "a.jpg x/a.jpg x/y/.jpg", "a.jpeg a.jpg/b"},
		{"/*.jpg", "a.jpg", "x/a.jpg"},
		{"./*.jpg", "a.jpg", "x/a.jpg"},
		{"2019", "2019/ x/2019", "2019/a 20190"},
		{"2019/", "2019/ x/2019/", "2019 x/2019 2019/a"},
		{"x/y/", "x/y/", "x/y z/x/y/"},
		{"2019/*", "2019/a 2019/b/", "2019/ 2019/b/c x/2019/a"},
		{"2019/**", "2019/ 2019/a 2019/b/c/d", "2018/a x/2019/a 20190"},
		{"**", "a a/b a/b/c/", ""},
		{"**/a", "a x/a x/y/a", "a/x"},
		{"**/a/**", "a a/x x/a x/a/y/z", "b x/b"},
		{"a/**/z", "a/z a/b/z a/b/c/z a/z/z", "z a b/z a/b"},
		{"a/**/b/**/c", "a/b/c a/x/b/y/c a/b/b/c/c", "a/c a/b a/c/b"},
		{"**/a/b/**/a/b", "a/b/a/b x/a/b/a/a/b a/a/b/a/b", "a/b b/a/b"},
		{"**/**/a", "a x/a x/y/a", "b"},
		{"a**", "a ab x/abc", "ba a/b"},
		{"?", "a é x/b", "ab"},
		{"[a-c]x", "ax y/cx", "dx [a-c]x"},
		{"[^a]", "b x/b", "a x/a"},
		{`\*`, "* x/*", "a"},
		{`a/\[b]`, "a/[b]", "a/b"},
		{"a//b", "a/b", "b a"},
		{"bad\xff*", "bad\xffa x/bad\xff", "bad"},
	}
	for _, tt := range tests {
		g, err := parseGlobs([]string{tt.pattern})
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		for want, paths := range map[bool]string{true: tt.match, false: tt.differ} {
			for _, p := range strings.Fields(paths) {
				name := strings.TrimSuffix(p, "/")
				if got := g.match(name, name != p); got != want {
					t.Errorf("%q with %q: %v", tt.pattern, p, got)
				}
				if below := g.below(); want && below != "" && name != below && !strings.HasPrefix(name, below+"/") {
					t.Errorf("%q matches %q, which is not below %q", tt.pattern, p, below)
				}
			}
		}
	}
}

func TestGlobsThatAreNone(t *testing.T) {
	for _, pattern := range []string{"", "/", "./", "[", "a/[b", "x[]", "[a/b]", `a\`, "[b-a"} {
		if _, err := parseGlobs([]string{"good", pattern}); err == nil || !strings.Contains(err.Error(), "is no pattern") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestGlobsBelow(t *testing.T) {
	for patterns, want := range map[string]string{
		"a/b/*.jpg":       "a/b",
		"a/b":             "a/b",
		"/a":              "a",
		"a":               "",
		"a/*/c":           "a",
		`a\b/c/d`:         "",
		"a/b/* a/b/c/**":  "a/b",
		"a/b/c a/b/d a/b": "a/b",
		"a/b b/a":         "",
		"a/b *.jpg":       "",
		"a/b/c a/bc/d":    "a",
	} {
		g, err := parseGlobs(strings.Fields(patterns))
		if err != nil {
			t.Fatal(err)
		}
		if got := g.below(); got != want {
			t.Errorf("%s: %q, want %q", patterns, got, want)
		}
	}
}

// FuzzGlob holds the matcher to a plain one that tries everything.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{{"**/a/b/**/a/b", "a/b/a/b"}, {"a*/**", "ab/c"}, {"**", "a"}, {"[a-c]?", "x/bé"}, {`\*/`, "*"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := parseGlobs([]string{pattern})
		if err != nil || strings.Count(pattern, "/")+strings.Count(name, "/") > 12 {
			return
		}
		names := strings.Split(name, "/")
		if got, want := g.all[0].match(names), slowMatch(g.all[0].parts, names); got != want {
			t.Errorf("%q with %q: %v, want %v", pattern, name, got, want)
		}
	})
}

func slowMatch(parts, names []string) bool {
	switch {
	case len(parts) == 0:
		return len(names) == 0
	case parts[0] == anyFolders:
		return slowMatch(parts[1:], names) || len(names) > 0 && slowMatch(parts, names[1:])
	}
	return len(names) > 0 && matchName(parts[0], names[0]) && slowMatch(parts[1:], names[1:])
}
