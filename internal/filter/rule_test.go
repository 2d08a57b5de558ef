package filter

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// subjectOf is what rules are matched against: a path with a slash before it,
// and the name after its last slash.
func subjectOf(path string) (s, name []byte) {
	s = []byte("/" + path)
	return s, s[strings.LastIndexByte(string(s), '/')+1:]
}

func (r *Rule) matchesPath(path string) bool { return r.matches(subjectOf(path)) }

// TestRuleMatches has the cases of mt-aws-glacier's own tests, and where its
// manual and its code differ what the code does. A path that ends with a slash
// is a directory's.
func TestRuleMatches(t *testing.T) {
	tests := []struct{ pattern, yes, no string }{
		{"file", "file x/file x/y/file", "filex xfile"},
		{"*.gz", "1.gz a/1.gz b/c/d/22.gz .gz a/.gz", "1.gzip gz 1.gz/"},
		{"*img*", "img img_01.jpeg x_img_01.jpeg a/img_01.jpeg b/c/the_img_01.jpeg b/c/img_01.jpeg", "im/g imxg"},
		{"img*", "img img_01.jpeg a/img_01.jpeg b/c/img_01.jpeg", "im/g b/c/the_img_01.jpeg"},
		{"??.gz", "12.gz a/34.gz b/c/d/xy.gz жя.gz", "123.gz 1.gz a/345.gz b/c/d/p.gz"},
		{"x?z.gz", "xyz.gz a/xpz.gz b/c/d/xxz.gz xяz.gz x\xffz.gz", "xz.gz a/xDDz.gz b/c/d/ppz.gz"},
		{"a/?", "a/1 a/2 a/3", "a/11 a1 a/123"},
		{".gitignore", ".gitignore a/.gitignore b/c/.gitignore", "p.gitignore p.gitignorex a/x.gitignore a/.gitignorep"},
		{"example.txt", "a/example.txt b/c/example.txt example.txt", "xexample.txt a/xexample.txt example.txtA b/c/example.txtP exampleXtxt"},
		{"/data/", "data/ data/1 data/y/x /data/1", "data x/data/1 xdata/1"},
		{"/tmp/a", "tmp/a", "x/tmp/a"},
		{"/data", "data", "data/ data/1 data/y/x"},
		{"tmp/a", "tmp/a", "tmp/ab xtmp/a x/tmp/a"},
		{".git/", ".git/ .git/a x/.git/a x/.git/ x/.git/b/c x/y/.git/p x/y/.git/r/r", ".git x/.git x/y/.git x.git/a"},
		{"!.git/", ".git x/.git x/y/.git", ".git/ .git/a x/.git/a x/.git/ x/.git/b/c x/y/.git/p x/y/.git/r/r"},
		{"/var/log/*.log", "var/log/abc.log var/log/def.log", "var/logx/abc.log var/x/log/def.log var/log/x/def.log"},
		{"tmp/a*", "tmp/a tmp/ab", "tmp/a/x tmp/ab/x"},
		{"tmp/a**", "tmp/a/x tmp/a tmp/ab/x", "tmp/b"},
		{"tmp/a/**", "tmp/a/ tmp/a/x tmp/a/x/y", "tmp/a tmp/ab tmp/ab/x"},
		{"tmp/**", "tmp/a tmp/ab tmp/ab/x tmp/a/x", "x/tmp/a"},
		{"**/tmp/**", "x/tmp/z x/tmp/a tmp/a/ tmp/ab tmp/ab/x tmp/a/x", "p/xtmp p/xtmp/a"},
		{"**/.gitignore", ".gitignore a/.gitignore b/c/.gitignore", "x.gitignore"},
		{"!**/.gitignore", "x.gitignore", ".gitignore a/.gitignore b/c/.gitignore"},
		{"foo/**/bar", "foo/bar foo/1/bar foo/1/2/bar", "foobar foox/bar foo/xbar"},
		{"foo**/bar", "foo/bar foo/1/bar foox/bar foox/1/bar", "foobar foo/xbar foox/xbar"},
		{"foo/**bar", "foo/bar foo/1/bar foo/xbar foo/1/xbar", "foobar foox/bar foox/xbar"},
		{"**/bar", "bar foo/bar foo/1/bar", "1/xbar xbar bar/ foo/bar/ foo/1/bar/"},
		{"**bar", "bar foo/bar foo/1/bar 1/xbar xbar", "bar/ foo/bar/ foo/1/bar/"},
		{"bar**", "bar/1 bar/ bar/1/2/3 barx/ barx/1 bary bar", "zbar"},
		{"**/tmp", "tmp x/tmp", "p/xtmp"},
		{"**/*tmp", "p/xtmp tmp ztmp", "tmpx"},
		{"tmp**", "tmpz tmp/z tmpz/z x/tmpz x/tmpz/z", "ptmpz"},
		{"a/tmp**", "a/tmpz a/tmp/z a/tmpz/z", "a/ptmpz b/a/tmpz"},
		{"/tmp**", "tmpz tmp/z tmpz/z", "ptmpz x/tmpz x/tmpz/z"},
		{"!/tmp**", "ptmpz x/tmpz x/tmpz/z", "tmpz tmp/z tmpz/z"},
		{"example", "tmp/example", "tmp/example/a"},
		{"z/example", "z/example", "tmp/pz/example/a tmp/z/example"},
		{"", "a a/b a/b/c a/", ""},
		{"!", "", "a a/b a/b/c a/"},
		{"*", "a a/b a/", ""},
		{"**", "a a/b a/", ""},
		{"/", "a a/b a/", ""},
		{"*/", "a a/b a/", ""}, // from the slash before the path on
		{"*/a", "a x/a", "x/y/a b"},
		{"data*/", "data/ data1/x x/data2/y/z", "data x/data2 xdata/y"},
		{"log/", "log/a x/log/a", "log"},
		{"a/b/", "a/b/c", "z/a/b/c"},
		{"**/a/b/", "a/b/c z/a/b/c", "a/b"},
		{"foo/**", "foo/bar", "foo x/foo/bar"},
		{"foo**", "foo/bar foox/y", "xfoo"},
		// All but asterisks and question marks stands for itself.
		{"[ab].txt", "[ab].txt", "a.txt b.txt"},
		{"z/ex.mple", "z/ex.mple", "z/exNmple"},
		{`z/ex\dmple`, `z/ex\dmple`, "z/ex1mple"},
		{"z/ex{1,2}mple", "z/ex{1,2}mple", "z/exmple z/exxmple z/ex1mple"},
		{"z/ex[1|2]mple", "z/ex[1|2]mple", "z/ex2mple z/ex1mple"},
		{"\xff*", "\xffa x/\xff", "\ufffda a"},
	}
	for _, tt := range tests {
		r := Include(tt.pattern)
		for _, path := range strings.Fields(tt.yes) {
			if !r.matchesPath(path) {
				t.Errorf("%q does not match %q", tt.pattern, path)
			}
		}
		for _, path := range strings.Fields(tt.no) {
			if r.matchesPath(path) {
				t.Errorf("%q matches %q", tt.pattern, path)
			}
		}
	}
}

// asRegexp is how mt-aws-glacier would match a pattern without !, written as a
// regular expression; of newlines it knows nothing.
func asRegexp(pattern string) *regexp.Regexp {
	parts := regexp.MustCompile(`\*\*|/\*\*/|\*|\?|.`).FindAllString(pattern, -1)
	re := "(?:^|/)"
	if regexp.MustCompile("/.").MatchString(pattern) {
		re = "^/?"
	}
	for _, p := range parts {
		switch p {
		case "**":
			re += ".*"
		case "/**/":
			re += "(?:/|/.*/)"
		case "*":
			re += "[^/]*"
		case "?":
			re += "[^/]"
		default:
			re += regexp.QuoteMeta(p)
		}
	}
	if pattern == "" || !strings.HasSuffix(pattern, "/") && pattern != "" {
		re += "$"
	}
	if pattern == "" {
		re = ""
	}
	return regexp.MustCompile(re)
}

// TestRuleAlways: whatever the pattern, a rule matches what the regular
// expression matches that it stands for.
func TestRuleAlways(t *testing.T) {
	patterns := rapid.StringOfN(rapid.SampledFrom([]rune("**//?abé")), 0, 12, -1)
	paths := rapid.StringMatching("[abé]{1,3}(/[abé]{1,3}){0,4}/?")
	rapid.Check(t, func(t *rapid.T) {
		pattern, path := patterns.Draw(t, "pattern"), paths.Draw(t, "path")
		r := Include(pattern)
		if got, want := r.matchesPath(path), asRegexp(pattern).MatchString("/"+path); got != want {
			t.Errorf("%q matches %q: %t, want %t", pattern, path, got, want)
		}
	})
}

// included gives those of the paths that rules keep.
func included(rules []Rule, paths string) string {
	var kept []string
	for _, path := range strings.Fields(paths) {
		s, name := subjectOf(path)
		if !judgeByRules(rules, s, name).Leave {
			kept = append(kept, path)
		}
	}
	return strings.Join(kept, " ")
}

func mustParse(t testing.TB, s string) []Rule {
	t.Helper()
	rules, err := ParseRules(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return rules
}

// TestRulesInOrder: the first rule that matches decides.
func TestRulesInOrder(t *testing.T) {
	for _, tt := range []struct{ rules, paths, want string }{
		{"+*.gz -/data/ +", "1.gz 1.txt data/1.txt data/z/1.txt data/2.gz f data/p/33.gz", "1.gz 1.txt data/2.gz f data/p/33.gz"},
		{"-/data/ +*.gz -", "1.gz p/1.gz data/ data/1.gz data/a/1.gz", "1.gz p/1.gz"},
		{"+*.gz -/data/", "1.gz 1.txt data/1.txt data/z/1.txt data/2.gz f data/p/33.gz", "1.gz 1.txt data/2.gz f data/p/33.gz"},
		{"+*.gz +/data/ -", "x/y x/y/z.gz /data/1 /data/d/2 abc", "x/y/z.gz /data/1 /data/d/2"},
		{"-!/data/ +*.gz +/data/backup/ -", "data/1 dir/1.gz data/2 data/3.gz data/x/4.gz data/backup/5.gz data/backup/6/7.gz data/backup/z/1.txt",
			"data/3.gz data/x/4.gz data/backup/5.gz data/backup/6/7.gz data/backup/z/1.txt"},
		{"-0.* -фexclude/a/ +*.gz -", "fexclude/b фexclude/b.gz", "фexclude/b.gz"},
		{"+a.txt", "a.txt b.txt", "a.txt b.txt"}, // what no rule matches is included
		{"+a.txt -", "a.txt b.txt", "a.txt"},
	} {
		if got := included(mustParse(t, tt.rules), tt.paths); got != tt.want {
			t.Errorf("%q keeps %q, want %q", tt.rules, got, tt.want)
		}
	}
}

// TestDirectories: a directory is left out with all below it only where no
// rule could include any of that.
func TestDirectories(t *testing.T) {
	for _, tt := range []struct {
		rules, dir    string
		leave, prunes bool
	}{
		{"+*.gz -/data/ +", "data/", true, false},
		{"-/data/ +*.gz +", "data/", true, true},
		{"+*.gz -/data** +", "datadir/", true, false},
		{"-/data** +*.gz +", "datadir/", true, true},
		{"-*.gz -/data** +", "datadir/", true, true},
		{"-/data** -*.gz -/data** +", "datadir/", true, true},
		{"+1.txt -*.gz -/data** +", "datadir/", true, false},
		{"-1.txt -*.gz +/data** +", "datadir/", false, false},
		{"+/data/ -", "data/", false, false},
		{"+!/data/ -", "somedir/", false, false},
		{"-!/data/ +", "somedir/", true, false},
		{"-/data/a/ +", "data/", false, false},
		{"-/data/a/ +", "data/a/", true, true},
		{"-", "data/", true, true},
		{"-*", "data/", true, false},
		{"-data", "data/", false, false},
	} {
		s, name := subjectOf(tt.dir)
		v := judgeByRules(mustParse(t, tt.rules), s, name)
		if prunes := v.Leave && !v.Below; v.Leave != tt.leave || prunes != tt.prunes {
			t.Errorf("%q: %s left out %t, with all below %t; want %t, %t", tt.rules, tt.dir, v.Leave, prunes, tt.leave, tt.prunes)
		}
	}
	for _, tt := range []struct {
		prunes   bool
		patterns []string
	}{
		{true, []string{"", "a/", "/a/", "a/b/", "/a/b/", "**", "/**", "/a/**", "a**", "a/b/**", "a/b**"}},
		{false, []string{" ", "a/ ", "/a/ ", "a/b/ ", "/a/b/ ", "*", "/*", "/a/*", "a*", "a/b/* *", "a/b** *", "a/b**c", "!", "!a/", "!**"}},
	} {
		for _, p := range tt.patterns {
			if r := Exclude(p); r.prunes != tt.prunes {
				t.Errorf("-%q prunes: %t", p, r.prunes)
			}
		}
	}
}

// TestPrunedIsExcluded: nothing is included below a directory that is left out
// with all that is below it.
func TestPrunedIsExcluded(t *testing.T) {
	rule := rapid.StringMatching(`[+-]!?(\*\*|\*|/|\?|a|b){0,5}`)
	component := rapid.StringMatching("[ab]{1,2}")
	rapid.Check(t, func(t *rapid.T) {
		rules, err := ParseRules(strings.Join(rapid.SliceOfN(rule, 1, 4).Draw(t, "rules"), " "))
		if err != nil {
			t.Fatal(err)
		}
		dir := component.Draw(t, "dir") + "/"
		s, name := subjectOf(dir)
		if v := judgeByRules(rules, s, name); !v.Leave || v.Below {
			return
		}
		below := dir + strings.Join(rapid.SliceOfN(component, 1, 3).Draw(t, "below"), "/")
		s, name = subjectOf(below)
		if !judgeByRules(rules, s, name).Leave {
			t.Errorf("%q is left out with all below, but %q is not", dir, below)
		}
	})
}

// written renders rules as signs and patterns.
func written(rules []Rule) (out []string) {
	for _, r := range rules {
		out = append(out, strings.TrimPrefix(r.verdict.Reason, "rule "))
	}
	return out
}

func TestParseRules(t *testing.T) {
	for in, want := range map[string][]string{
		"+": {"+"}, "-": {"-"}, "+ ": {"+"}, " + ": {"+"}, "  +  ": {"+"},
		"++": {"++"}, "+++": {"+++"}, "--": {"--"}, "---": {"---"}, "-+": {"-+"}, "+-": {"+-"},
		"+data/ -":      {"+data/", "-"},
		"-data/  +  ":   {"-data/", "+"},
		"-data/  +":     {"-data/", "+"},
		"-data/  ++":    {"-data/", "++"},
		"-data/  -+":    {"-data/", "-+"},
		"+*data/ - -":   {"+*data/", "--"},
		"- +*.gz":       {"-+*.gz"}, // the blank belongs to the first sign
		"+*.gz\t-*.txt": {"+*.gz", "-*.txt"},
		"+!*.gz  - x y": nil,
		" +z  p +a":     nil, "+z z": nil, "": nil, " ": nil, "*.gz": nil,
	} {
		rules, err := ParseRules(in)
		if diff := cmp.Diff(want, written(rules)); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: %v; rules (-want +got):\n%s", in, err, diff)
		}
	}
	for _, before := range []string{"", " ", "  "} {
		for _, sign := range []string{"+", "-"} {
			in := before + sign + before + "!*.gz" + before + "  " + sign + before + "*.txt" + before
			if got := written(mustParse(t, in)); !cmp.Equal(got, []string{sign + "!*.gz", sign + "*.txt"}) {
				t.Errorf("%q: %q", in, got)
			}
		}
	}
}

// TestParseRulesSaysWhatIsWrong: an error quotes what it could not read.
func TestParseRulesSaysWhatIsWrong(t *testing.T) {
	for in, rest := range map[string]string{" +z  p +a": "p +a", "+z z": "z"} {
		if _, err := ParseRules(in); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q begins", rest)) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestExcludes: rules that only include leave nothing out.
func TestExcludes(t *testing.T) {
	plus, minus := Include("a b"), Exclude("a b")
	if plus.Excludes() || !minus.Excludes() || !minus.matchesPath("x/a b") {
		t.Error("Include and Exclude are mixed up, or blanks don't match")
	}
}

func FuzzParseRules(f *testing.F) {
	for _, s := range []string{"+*.jpg -", "-/data/ +", "-! +**/a/**/b?/", "+z z", "\xff", "-\u00a0x", "+**//**/*"} {
		f.Add(s, "data/a b/c\xff")
	}
	f.Fuzz(func(t *testing.T, in, path string) {
		rules, err := ParseRules(in)
		if (err == nil) != (len(rules) > 0) {
			t.Fatalf("%d rules, and %v", len(rules), err)
		}
		path = strings.TrimLeft(path, "/")
		if err != nil || path == "" {
			return
		}
		// Each rule is found again in its own words, and gives the same verdict.
		s, name := subjectOf(path)
		again := mustParse(t, strings.Join(written(rules), " "))
		if got, want := judgeByRules(again, s, name).Leave, judgeByRules(rules, s, name).Leave; got != want {
			t.Errorf("%q: verdict %t, written again %t", in, want, got)
		}
	})
}
