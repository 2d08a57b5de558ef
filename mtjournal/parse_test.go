package mtjournal

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What mt-aws-glacier's tests use: an archive, a job, a tree hash.
const (
	archiveID = "HdGDbije6lWPT8Q8S3uOWJF6Ou9MWRlrfMGDr6TCrhXuDqJ1pzwKR6XV4l1IZ-VrDd2rlLxDFACqnuJouYTzsT5zd6s2ZEAHfRQFriVbjpFfJ1uWruHRRXIrFIma4PVuz-fp9_pBkA"
	jobID     = "6JpQ39WaMaD8O2N5BU5ieEPyAwtGLNdmNmYvomLjvD4JpivO3GwfCWs_sDnla6gl1Y9v-ceUdqU-pqaaz8FgOqc-yxZG"
	treeHash  = "1368761bd826f76cae8b8a74b3aae210b476333484c2d612d061d52e36af631a"
)

// line puts those in for <A>, <J> and <T>, and a tab for →.
func line(short string) string {
	return strings.NewReplacer("→", "\t", "<A>", archiveID, "<J>", jobID, "<T>", treeHash).Replace(short)
}

// stored is the record of an archive.
func stored(version byte, path string) Record {
	return Record{Version: version, Op: Created, Time: 1355666755, Archive: archiveID, Size: 7684356, MTime: 1355566755, HasMTime: true, Tree: treeHash, Path: path}
}

func timeless(r Record) Record {
	r.MTime, r.HasMTime = 0, false
	return r
}

func at(r Record, mtime int64) Record {
	r.MTime, r.HasMTime = mtime, true
	return r
}

// TestGoodLines holds the lines of t/unit/journal_readjournal.t and
// journal_writejournal.t, one that version 1.120 wrote, and each rule.
func TestGoodLines(t *testing.T) {
	deleted := Record{Version: 'B', Op: Deleted, Time: 1355666755, Archive: archiveID, Path: "def/abc"}
	job := Record{Version: 'B', Op: RetrieveJob, Time: 1355666755, Archive: archiveID, Job: jobID}
	as := func(r Record, version byte) Record { r.Version = version; return r }
	short := func(path string) Record {
		return Record{Version: '0', Op: Deleted, Time: 1, Archive: "x", Path: path}
	}
	tests := []struct {
		line string
		want Record
	}{
		{"A→1355666755→CREATED→<A>→7684356→1355566755→<T>→def/abc", stored('A', "def/abc")},
		{"B→1355666755→CREATED→<A>→7684356→1355566755→<T>→def/abc", stored('B', "def/abc")},
		{"C→1355666755→CREATED→<A>→7684356→1355566755→<T>→def/abc", stored('C', "def/abc")},
		{"A→1355666755→DELETED→<A>→def/abc", as(deleted, 'A')},
		{"B→1355666755→DELETED→<A>→def/abc", deleted},
		{"C→1355666755→DELETED→<A>→def/abc", as(deleted, 'C')},
		{"A→1355666755→RETRIEVE_JOB→<A>→<J>", as(job, 'A')},
		{"B→1355666755→RETRIEVE_JOB→<A>→<J>", job},
		{"C→1355666755→RETRIEVE_JOB→<A>→<J>", as(job, 'C')},
		{"1355666755 CREATED <A> 7684356 <T> def/abc", timeless(stored('0', "def/abc"))},
		{"1355666755 DELETED <A> def/abc", as(deleted, '0')},
		{"1355666755 RETRIEVE_JOB <A>", Record{Version: '0', Op: RetrieveJob, Time: 1355666755, Archive: archiveID}},
		{"B→1795293789→CREATED→00000000005_01795293789_00002_12814_1672570361→6→1352924178→5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03→a.txt",
			Record{Version: 'B', Op: Created, Time: 1795293789, Archive: "00000000005_01795293789_00002_12814_1672570361", Size: 6, MTime: 1352924178, HasMTime: true,
				Tree: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", Path: "a.txt"}},

		// The time of a file.
		{"B→1355666755→CREATED→<A>→7684356→NONE→<T>→def/abc", timeless(stored('B', "def/abc"))},
		{"C→1355666755→CREATED→<A>→7684356→NONE→<T>→def/abc", timeless(stored('C', "def/abc"))},
		{"B→1355666755→CREATED→<A>→7684356→-1355566755→<T>→def/abc", at(stored('B', "def/abc"), -1355566755)},
		{"A→1355666755→CREATED→<A>→7684356→+1355566755→<T>→def/abc", stored('A', "def/abc")},
		{"B→1355666755→CREATED→<A>→7684356→-0→<T>→def/abc", at(stored('B', "def/abc"), 0)},
		{"B→1355666755→CREATED→<A>→7684356→00000000000000000007→<T>→def/abc", at(stored('B', "def/abc"), 7)},
		{"B→1355666755→CREATED→<A>→7684356→9223372036854775807→<T>→def/abc", at(stored('B', "def/abc"), 9223372036854775807)},
		{"B→1355666755→CREATED→<A>→7684356→-9223372036854775807→<T>→def/abc", at(stored('B', "def/abc"), -9223372036854775807)},
		{"A→1355666755→CREATED→<A>→7684356→1355566755→<T>→<A>", timeless(stored('A', archiveID))},
		{"B→1355666755→CREATED→<A>→7684356→1355566755→<T>→<A>", stored('B', archiveID)},

		// Names run to the end of the line.
		{"B→1355666755→CREATED→<A>→7684356→1355566755→<T>→ def / abc ", stored('B', " def / abc ")},
		{"B→1355666755→CREATED→<A>→7684356→1355566755→<T>→a→b", stored('B', "a\tb")},
		{"B→1355666755→CREATED→<A>→7684356→1355566755→<T>→", stored('B', "")},
		{"B→1355666755→CREATED→<A>→7684356→1355566755→<T>→\xff\x00", stored('B', "\xff\x00")},
		{"B→1355666755→DELETED→<A>→def/abc", deleted},
		{"1355666755 CREATED <A> 7684356 <T>  def  abc ", timeless(stored('0', " def  abc "))},

		// White space in version 0.
		{"1→\v DELETED \f→x→\r  a b ", short("a b ")},
		{"1 DELETED x ", short("")},
		{"1→RETRIEVE_JOB  x", Record{Version: '0', Op: RetrieveJob, Time: 1, Archive: "x"}},

		// Fields that nobody checks.
		{"B→1→RETRIEVE_JOB→x→", Record{Version: 'B', Op: RetrieveJob, Time: 1, Archive: "x"}},
		{"B→1→RETRIEVE_JOB→x→ a→b", Record{Version: 'B', Op: RetrieveJob, Time: 1, Archive: "x", Job: " a\tb"}},
		{"B→0→CREATED→x→0→0→no-hash→a", Record{Version: 'B', Op: Created, Archive: "x", HasMTime: true, Tree: "no-hash", Path: "a"}},
	}
	for _, tt := range tests {
		r, reason := parse([]byte(line(tt.line)))
		if diff := cmp.Diff(tt.want, r.record()); diff != "" || reason != 0 {
			t.Errorf("%s: %v (-want +got)\n%s", tt.line, reason, diff)
		}
	}
}

func TestBadLines(t *testing.T) {
	const tooMany = "123456789012345678901" // 21 digits
	tests := []struct {
		line string
		want Reason
	}{
		{"", Unknown},
		{" ", Unknown},
		{"\t", Unknown},
		{"# comment", Unknown},
		{"FFFFFFFFF", Unknown},
		{"B", Unknown},
		{"7", Unknown},
		{"b→1→DELETED→x→a", Unknown},
		{"\ufeffB→1→DELETED→x→a", Unknown},
		{"2014-01-01 12:00 a line of a log", Unknown},
		{"1 UPLOADED x", Unknown},

		{"X→ZZZZZZZZ", Future},
		{"D→1→DELETED→x→a", Future},
		{"Z→", Future},

		{"B→", Broken},
		{"A→1→deleted→x→a", Broken},
		{"B→1→CREATED→x→1→1→h", Broken},
		{"B→1→CREATED→x→1→1", Broken},
		{"B→1→CREATED→x→1→→h→a", Broken},
		{"B→1→CREATED→x→1→none→h→a", Broken},
		{"B→1→CREATED→x→1→+→h→a", Broken},
		{"B→1→CREATED→x→1→+-1→h→a", Broken},
		{"B→1→CREATED→x→-1→1→h→a", Broken},
		{"B→-1→CREATED→x→1→1→h→a", Broken},
		{"B→+1→CREATED→x→1→1→h→a", Broken},
		{"B→1.5→CREATED→x→1→1→h→a", Broken},
		{"B→→CREATED→x→1→1→h→a", Broken},
		{"B→1→CREATED→→1→1→h→a", Broken},
		{"B→1→CREATED→x y→1→1→h→a", Broken},
		{"B→1→CREATED→x\v→1→1→h→a", Broken},
		{"B→1→CREATED→x→1→1→h h→a", Broken},
		{"B→1→CREATED→x→1→1→→a", Broken},
		{"B→" + tooMany + "→CREATED→x→1→1→h→a", Broken},
		{"B→1→CREATED→x→" + tooMany + "→1→h→a", Broken},
		{"B→1→CREATED→x→1→" + tooMany + "→h→a", Broken},
		{"B→1→DELETED→x", Broken},
		{"B→1→RETRIEVE_JOB→x", Broken},
		{"B 1 CREATED x 1 1 h a", Unknown},
		{"A→1→CREATED→x→1→NONE→h h→a", Broken},

		{"1  CREATED x 1 h a", Broken},
		{"1→CREATED x 1 h a", Broken},
		{"1 CREATED→x 1 h a", Broken},
		{"1 CREATED x  1 h a", Broken},
		{"1 CREATED x 1 h", Broken},
		{"1 CREATED", Broken},
		{"1 CREATED x 1 1 h", 0}, // h is the name
		{"1x CREATED x 1 h a", Broken},
		{"1 DELETED x", Broken},
		{"1 DELETED", Broken},
		{"1 RETRIEVE_JOB x ", Broken},
		{"1 RETRIEVE_JOB x y", Broken},
		{"1 RETRIEVE_JOB ", Broken},
		{tooMany + " DELETED x a", Broken},

		{"B→9223372036854775808→DELETED→x→a", Overflow},
		{"B→99999999999999999999→DELETED→x→a", Overflow},
		{"B→1→CREATED→x→9223372036854775808→1→h→a", Overflow},
		{"B→1→CREATED→x→1→-9223372036854775808→h→a", Overflow},
		{"B→1→CREATED→x→18446744073709551617→1→h→a", Overflow},
		{"99999999999999999999 DELETED x a", Overflow},
		{"1 CREATED x 99999999999999999999 h a", Overflow},
		{"B→1→CREATED→x→9999999999999999999x→1→h→a", Broken},

		{"A→1→CREATED→x→1→NONE→h→a", NoMTime},
		{"A→1→CREATED→x→1→NONE→h→x", NoMTime},
	}
	for _, tt := range tests {
		if _, got := parse([]byte(line(tt.line))); got != tt.want {
			t.Errorf("%q %v; want: %v", tt.line, got, tt.want)
		}
	}
}

// oracle holds the regular expressions of Journal.pm, as they stand there, but
// that \s of Perl takes \v for white space and \s of Go doesn't.
var oracle = []struct {
	re     *regexp.Regexp
	op     Op
	fields string // what the groups are
}{
	{regexp.MustCompile(`^([ABC])\t([0-9]{1,20})\tCREATED\t([^\s\v]+)\t([0-9]{1,20})\t([+-]?[0-9]{1,20}|NONE)\t([^\s\v]+)\t(.*?)$`), Created, "vtasmhp"},
	{regexp.MustCompile(`^([ABC])\t([0-9]{1,20})\tDELETED\t([^\s\v]+)\t(.*?)$`), Deleted, "vtap"},
	{regexp.MustCompile(`^([ABC])\t([0-9]{1,20})\tRETRIEVE_JOB\t([^\s\v]+)\t(.*?)$`), RetrieveJob, "vtaj"},
	{regexp.MustCompile(`^([0-9]{1,20}) CREATED ([^\s\v]+) ([0-9]{1,20}) ([^\s\v]+) (.*?)$`), Created, "tashp"},
	{regexp.MustCompile(`^([0-9]{1,20})[\s\v]+DELETED[\s\v]+([^\s\v]+)[\s\v]+(.*?)$`), Deleted, "tap"},
	{regexp.MustCompile(`^([0-9]{1,20})[\s\v]+RETRIEVE_JOB[\s\v]+([^\s\v]+)$`), RetrieveJob, "ta"},
}

// byRegexp is parse, slow and plain.
func byRegexp(line []byte) (r Record, matches, fits bool) {
	for _, o := range oracle {
		groups := o.re.FindSubmatch(line)
		if groups == nil {
			continue
		}
		r, fits = Record{Version: '0', Op: o.op}, true
		number := func(s string) int64 {
			n, err := strconv.ParseInt(s, 10, 64)
			fits = fits && err == nil && n != -1<<63
			return n
		}
		for i, what := range o.fields {
			text := string(groups[i+1])
			switch what {
			case 'v':
				r.Version = text[0]
			case 't':
				r.Time = number(text)
			case 'a':
				r.Archive = text
			case 's':
				r.Size = number(text)
			case 'm':
				if r.HasMTime = text != "NONE"; r.HasMTime {
					r.MTime = number(text)
				}
			case 'h':
				r.Tree = text
			case 'p':
				r.Path = text
			case 'j':
				r.Job = text
			}
		}
		if r.Version == 'A' && r.Path == r.Archive && r.Op == Created {
			r.MTime, r.HasMTime = 0, false
		}
		return r, true, fits
	}
	return Record{}, false, false
}

// agrees compares parse with the regular expressions.
func agrees(t interface{ Errorf(string, ...any) }, line []byte) {
	want, matches, fits := byRegexp(line)
	r, reason := parse(line)
	switch reason {
	case 0, NoMTime:
		if diff := cmp.Diff(want, r.record()); diff != "" || !fits {
			t.Errorf("%q (-regexp +parse)\n%s", line, diff)
		}
		if none := reason == NoMTime; none != (none && r.version == 'A' && bytes.Contains(line, []byte("\tNONE\t"))) {
			t.Errorf("%q: %v", line, reason)
		}
	case Overflow:
		if !matches || fits {
			t.Errorf("%q: %v, but a regexp takes it", line, reason)
		}
	default:
		if matches {
			t.Errorf("%q: %v, but a regexp takes it", line, reason)
		}
	}
}

// TestParseIsTheRegexps makes lines of pieces that are nearly right.
func TestParseIsTheRegexps(t *testing.T) {
	pick := func(of ...string) *rapid.Generator[string] { return rapid.SampledFrom(of) }
	sep := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "odd") > 0 {
			return "" // the usual one
		}
		return pick("\t", " ", "  ", "\t\t", "\v", "\r", " \t", "\xa0", "-").Draw(t, "sep")
	})
	number := pick("1", "0", "12345678901", "9223372036854775807", "9223372036854775808", "99999999999999999999", "123456789012345678901",
		"+1", "-1", "-9223372036854775808", "NONE", "", "1x", "x")
	word := pick("x", "x-_y", "x y", "", "\v", "é", "\xff", "x\ty", "a")
	rapid.Check(t, func(t *rapid.T) {
		usual, version := "\t", pick("A", "B", "C", "D", "", "a").Draw(t, "version")
		if rapid.Bool().Draw(t, "old") {
			usual, version = " ", ""
		}
		var parts []string
		if version != "" || usual == "\t" {
			parts = append(parts, version)
		}
		op := pick("CREATED", "DELETED", "RETRIEVE_JOB", "OTHER").Draw(t, "op")
		parts = append(parts, number.Draw(t, "time"), op, word.Draw(t, "archive"))
		switch {
		case op == "CREATED" && usual == "\t":
			parts = append(parts, number.Draw(t, "size"), number.Draw(t, "mtime"), word.Draw(t, "tree"), word.Draw(t, "name"))
		case op == "CREATED":
			parts = append(parts, number.Draw(t, "size"), word.Draw(t, "tree"), word.Draw(t, "name"))
		case op != "RETRIEVE_JOB" || usual == "\t":
			parts = append(parts, word.Draw(t, "last"))
		}
		var line strings.Builder
		for i, p := range parts {
			if i > 0 {
				s := sep.Draw(t, "sep")
				if s == "" {
					s = usual
				}
				line.WriteString(s)
			}
			line.WriteString(p)
		}
		agrees(t, []byte(line.String()))
	})
}

func TestTreeHash(t *testing.T) {
	if h, ok := stored('B', "a").TreeHash(); !ok || h.String() != treeHash {
		t.Errorf("got %v, %v", h, ok)
	}
	if h, ok := (Record{Tree: "no-hash"}).TreeHash(); ok || !h.IsZero() {
		t.Errorf("got %v, %v", h, ok)
	}
}

func TestUnsafe(t *testing.T) {
	for _, tt := range []struct {
		r    Record
		want bool
	}{
		{stored('B', "a"), false},
		{stored('B', "../a"), true},
		{Record{Op: Deleted, Path: "/a"}, true},
		{Record{Op: RetrieveJob}, false},
	} {
		if got := tt.r.Unsafe(); got != tt.want {
			t.Errorf("%+v: %v", tt.r, got)
		}
	}
}
