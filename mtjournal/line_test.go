package mtjournal

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// TestWritten holds lines as mtglacier writes them, t/unit/journal_writejournal.t.
func TestWritten(t *testing.T) {
	for _, tt := range []struct {
		r    Record
		want string
	}{
		{stored('B', "def/abc"), "B→1355666755→CREATED→<A>→7684356→1355566755→<T>→def/abc\n"},
		{stored('0', " def/abc "), "B→1355666755→CREATED→<A>→7684356→1355566755→<T>→ def/abc \n"},
		{timeless(stored('A', "тест")), "B→1355666755→CREATED→<A>→7684356→NONE→<T>→тест\n"},
		{at(stored('B', "a"), -5), "B→1355666755→CREATED→<A>→7684356→-5→<T>→a\n"},
		{Record{Op: Deleted, Time: 1355666755, Archive: archiveID, Path: "def/abc"}, "B→1355666755→DELETED→<A>→def/abc\n"},
		{Record{Op: RetrieveJob, Time: 1355666755, Archive: archiveID, Job: jobID}, "B→1355666755→RETRIEVE_JOB→<A>→<J>\n"},
	} {
		got, err := tt.r.AppendLine([]byte("before "))
		if err != nil || string(got) != "before "+line(tt.want) {
			t.Errorf("%+v:\n got %q, %v\nwant %q", tt.r, got, err, line(tt.want))
		}
	}
}

// TestUnfit: what the format can't hold is refused, with the rule.
func TestUnfit(t *testing.T) {
	with := func(change func(*Record)) Record {
		r := stored('B', "a")
		change(&r)
		return r
	}
	job := Record{Op: RetrieveJob, Archive: "x", Job: "j j"}
	for _, tt := range []struct {
		r    Record
		want string
	}{
		{stored('B', "a\nb"), "has a tab, CR or LF"},
		{stored('B', "a\rb"), "has a tab, CR or LF"},
		{stored('B', "a\tb"), "has a tab, CR or LF"},
		{stored('B', ""), "the name is empty"},
		{stored('B', "/a"), "begins with a slash"},
		{stored('B', "a//b"), "two slashes"},
		{stored('B', "a/../b"), "has . or .. as a component"},
		{stored('B', "a\xff"), "not UTF-8"},
		{stored('B', strings.Repeat("a", MaxLine)), "longer than"},
		{Record{Op: Deleted, Archive: "x", Path: "../a"}, "has . or .. as a component"},
		{with(func(r *Record) { r.Op = "UPLOADED" }), `no operation "UPLOADED"`},
		{with(func(r *Record) { r.Time = -1 }), "before 1970"},
		{with(func(r *Record) { r.Size = -1 }), "size -1"},
		{with(func(r *Record) { r.MTime = math.MinInt64 }), "63 bits"},
		{with(func(r *Record) { r.Archive = "" }), "archive id"},
		{with(func(r *Record) { r.Archive = "a b" }), "archive id"},
		{with(func(r *Record) { r.Archive = "a\u00a0b" }), "archive id"}, // white space to Perl
		{with(func(r *Record) { r.Tree = "" }), "tree hash"},
		{with(func(r *Record) { r.Tree = "a\nb" }), "tree hash"},
		{job, "job id"},
	} {
		err := tt.r.Check()
		if !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.200q: %v; want: %s", tt.r.Path, err, tt.want)
		}
		if got, err := tt.r.AppendLine([]byte("before")); string(got) != "before" || !errors.Is(err, ErrUnfit) {
			t.Errorf("%.200q: AppendLine gave %q, %v", tt.r.Path, got, err)
		}
	}
}

// TestLongestFits: what Check takes is no longer than a line.
func TestLongestFits(t *testing.T) {
	r := stored('B', "")
	r.Time, r.Size, r.MTime = math.MaxInt64, math.MaxInt64, -math.MaxInt64
	r.Path = strings.Repeat("a", maxText-len(r.Archive)-len(r.Tree))
	got, err := r.AppendLine(nil)
	if err != nil || len(got) > MaxLine {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r.Path += "a"
	if err := r.Check(); !errors.Is(err, ErrUnfit) {
		t.Errorf("a byte more: %v", err)
	}
}
