package mtjournal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// read gives what a journal says, line by line: the operation and the path of
// a record, or the reason why there is none and what can be read in spite.
func read(t *testing.T, r io.Reader) (lines []string) {
	t.Helper()
	for rec, err := range Records(r) {
		bad := (*LineError)(nil)
		switch {
		case err == nil:
			lines = append(lines, fmt.Sprintf("%d %s %s", rec.Line, rec.Op, rec.Path))
		case !errors.As(err, &bad):
			t.Fatal(err)
		case bad.Record != nil:
			lines = append(lines, fmt.Sprintf("%d %v (%s %s)", bad.Line, bad.Reason, bad.Record.Op, bad.Record.Path))
		default:
			lines = append(lines, fmt.Sprintf("%d %v", bad.Line, bad.Reason))
		}
	}
	return lines
}

// TestLineEnds holds the cases of t/integration/journal_parselines.t, and more.
func TestLineEnds(t *testing.T) {
	const good = "B→1355666755→CREATED→<A>→7684356→1355566755→<T>→def/abc"
	tests := []struct {
		journal string
		want    []string
	}{
		{good + "\n", []string{"1 CREATED def/abc"}},
		{good + "\r\n", []string{"1 CREATED def/abc"}},
		{good + "\r\r\n", []string{"1 CREATED def/abc\r"}},
		{good, []string{"1 " + Torn.String() + " (CREATED def/abc)"}},
		{good + "\r", []string{"1 " + Torn.String() + " (CREATED def/abc)"}},
		{good[:len(good)-2], []string{"1 " + Torn.String() + " (CREATED def/a)"}},
		{good[:len(good)-8], []string{"1 " + Torn.String()}},
		{good + "\nFFFFFFFFF", []string{"1 CREATED def/abc", "2 " + Torn.String()}},
		{good + "\nX→ZZZZZZZZ", []string{"1 CREATED def/abc", "2 " + Torn.String()}},
		{good + "\n ", []string{"1 CREATED def/abc", "2 " + Torn.String()}},
		{good + "\n" + good, []string{"1 CREATED def/abc", "2 " + Torn.String() + " (CREATED def/abc)"}},
		{"\n\r\n" + good + "\n", []string{"1 " + Unknown.String(), "2 " + Unknown.String(), "3 CREATED def/abc"}},
		{"A→1→CREATED→x→1→NONE→h→a\nE→\nB→\n9\n" + good + "\n", []string{
			"1 " + NoMTime.String() + " (CREATED a)", "2 " + Future.String(), "3 " + Broken.String(), "4 " + Unknown.String(), "5 CREATED def/abc"}},
		{"A→1→CREATED→x→1→NONE→h→a", []string{"1 " + Torn.String() + " (CREATED a)"}},
		{"", nil},
	}
	for _, tt := range tests {
		for _, r := range []io.Reader{strings.NewReader(line(tt.journal)), iotest.OneByteReader(strings.NewReader(line(tt.journal))), iotest.DataErrReader(strings.NewReader(line(tt.journal)))} {
			if diff := cmp.Diff(tt.want, read(t, r)); diff != "" {
				t.Errorf("%q (-want +got)\n%s", tt.journal, diff)
			}
		}
	}
}

// TestLongLines: the longest line is read, a longer one is skipped.
func TestLongLines(t *testing.T) {
	const begin, last = "1 DELETED x ", "1 DELETED x z\n"
	fits := begin + strings.Repeat("a", MaxLine-len(begin)-1) + "\n"
	for _, tt := range []struct {
		journal string
		want    []string
	}{
		{fits + last, []string{"1 DELETED " + fits[len(begin):MaxLine-1], "2 DELETED z"}},
		{"1" + fits + last, []string{"1 " + TooLong.String(), "2 DELETED z"}},
		{strings.Repeat("1", 3*MaxLine) + "\n" + last, []string{"1 " + TooLong.String(), "2 DELETED z"}},
		{fits[:MaxLine-1], []string{"1 " + Torn.String() + " (DELETED " + fits[len(begin):MaxLine-1] + ")"}},
		{fits[:MaxLine-1] + "a", []string{"1 " + Torn.String()}},
		{strings.Repeat(fits[:MaxLine-1], 3), []string{"1 " + Torn.String()}},
	} {
		if diff := cmp.Diff(tt.want, read(t, strings.NewReader(tt.journal))); diff != "" {
			t.Errorf("%.20q... of %d bytes (-want +got)\n%.500s", tt.journal, len(tt.journal), diff)
		}
	}
}

// TestEndlessLine: memory is bounded, whatever comes.
func TestEndlessLine(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := 0
	for _, err := range Records(io.LimitReader(zeros{}, 1<<30)) {
		n++
		if bad := (*LineError)(nil); !errors.As(err, &bad) || bad.Reason != Torn || len(bad.Text) != maxQuote {
			t.Errorf("got %v", err)
		}
	}
	runtime.ReadMemStats(&after)
	if n != 1 {
		t.Errorf("%d lines", n)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("a line of 1 GiB took %d bytes", got)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestReadFails: an error of the reader ends it, and no piece of a line is taken
// for the torn end of the journal.
func TestReadFails(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, begin := range []string{"", "1 DELETED x a\n1 DELETED x b", strings.Repeat("z", MaxLine+1)} {
		var records int
		var last error
		for _, err := range Records(io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken))) {
			if err == nil {
				records++
			}
			last = err
		}
		if !errors.Is(last, broken) || records != strings.Count(begin, "\n") {
			t.Errorf("%.20q: %d records, %v", begin, records, last)
		}
		if _, err := Load(io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken)), func(*LineError) {}); !errors.Is(err, broken) {
			t.Errorf("%.20q: Load: %v", begin, err)
		}
	}
}

func TestReadMayStop(t *testing.T) {
	journal := strings.Repeat("nothing\n1 DELETED x a\n", 10)
	for stopAfter := 1; stopAfter < 4; stopAfter++ {
		n := 0
		for range Records(strings.NewReader(journal)) {
			if n++; n == stopAfter {
				break
			}
		}
		if n != stopAfter {
			t.Errorf("%d lines, wanted to stop after %d", n, stopAfter)
		}
	}
}

// TestErrorsAreQuoted: what a journal holds gets to no terminal as it is.
func TestErrorsAreQuoted(t *testing.T) {
	for _, err := range Records(strings.NewReader("B\t\x1b[2J\xff\n")) {
		if want := `journal line 1 is broken: "B\t\x1b[2J\xff"`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// FuzzRead: no journal stops the reader; each of its lines is a record or an
// error; the records are those of the regular expressions of mt-aws-glacier;
// and what is written of them reads the same.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"A→1355666755→CREATED→<A>→7684356→1355566755→<T>→<A>\nB→1→DELETED→<A>→def/abc\nC→1→RETRIEVE_JOB→<A>→<J>\n",
		"B→1355666755→CREATED→<A>→7684356→NONE→<T>→def/abc\r\n# no\n\nX→\n",
		"1355666755 CREATED <A> 7684356 <T> def/abc\n1355666755 DELETED <A> def/abc\n1355666755 RETRIEVE_JOB <A>",
		"B→1→CREATED→x→9→-5→<T>→a\nB→2→CREATED→y→9→+5→z→a\nB→3→CREATED→x→9→7→h→b\nB→4→DELETED→y→a\nB→99999999999999999999→DELETED→y→a\n",
	} {
		f.Add([]byte(line(s)))
	}
	f.Fuzz(func(t *testing.T, journal []byte) {
		var good []Record
		var lines int64
		var written []byte
		for rec, err := range Records(bytes.NewReader(journal)) {
			lines++
			bad := (*LineError)(nil)
			if err != nil && (!errors.As(err, &bad) || bad.Line != lines) || err == nil && rec.Line != lines {
				t.Fatalf("line %d: %+v, %v", lines, rec, err)
			}
			if err != nil {
				continue
			}
			text, err := rec.AppendLine(written)
			if err == nil {
				good, written = append(good, rec), text
			} else if !errors.Is(err, ErrUnfit) || len(text) != len(written) {
				t.Fatalf("%+v: %v", rec, err)
			}
		}
		want := bytes.Count(journal, []byte("\n"))
		if len(journal) > 0 && journal[len(journal)-1] != '\n' {
			want++
		}
		if lines != int64(want) {
			t.Fatalf("%d lines of %d", lines, want)
		}
		for text := range bytes.Lines(journal) {
			agrees(t, bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")))
		}
		var again []Record
		for rec, err := range Records(bytes.NewReader(written)) {
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, rec)
		}
		for i := range good {
			good[i].Line, good[i].Version = int64(i+1), 'B'
		}
		if !slices.Equal(good, again) {
			t.Errorf("written and read (-want +got)\n%s", cmp.Diff(good, again))
		}
		loads(t, journal)
	})
}
